"""A whole result by cursor: pages of the sizes that are told, put together as one answer."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, repeat
from typing import Any

from apps.cursors import Cursors
from apps.pipeline import Services, run
from libs.context import Principal, RequestContext
from middlewares.format import Page, page_response
from parser.json_body import parse_body
from unittest_.conformance.data import NOW

_REST = 10_000


def new_context(principal: Principal | None = None) -> RequestContext:
    return RequestContext(now_ns=NOW, deadline=time.monotonic() + 60, principal=principal or Principal())


async def walked(
    body: dict[str, Any], sizes: Sequence[int], services: Services, cursors: Cursors
) -> tuple[dict[str, Any], int]:
    """(the answer's JSON with the rows of all pages, the number of pages). `sizes` are those of the first pages, the others
    are as large as a page can be. Raises what the walk raises."""
    wanted = chain(sizes, repeat(_REST))
    size = next(wanted)
    context = new_context()
    question = parse_body(json.dumps(body | {"limit": size}).encode())
    page, _ = await run(question, services, context)
    cursor = cursors.remember(page, question, context)
    payload, pages = _payload(page, context, cursor, size), 1
    while cursor is not None:
        size, context = next(wanted), new_context()
        page, cursor = await cursors.follow(cursor, size, services, context)
        further = _payload(page, context, cursor, size)
        assert further["columns"] == payload["columns"]
        payload["data"] += further["data"]
        pages += 1
    payload["page"] = {"has_more": False}
    return payload, pages


def _payload(page: Page, context: RequestContext, cursor: str | None, size: int) -> dict[str, Any]:
    payload: dict[str, Any] = json.loads(
        page_response(replace(page, cursor=cursor), context, 0.0, "objects").body or b""
    )
    rows = len(payload["data"])
    assert payload["page"]["has_more"] is (cursor is not None)
    assert rows == size if cursor is not None else rows <= size, (rows, size)
    return payload
