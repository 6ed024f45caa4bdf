"""A batch: an array of query bodies, each read by itself later, so that one's faults are its own."""

from __future__ import annotations

import json

from libs.errors import RequestError
from libs.issues import Issues, kind_of
from parser.decode import check_depth, decode, decode_exact, find_duplicates

MOST_BODIES = 20


def parse_batch(body: bytes) -> list[bytes]:
    """The bodies as JSON texts. Raises RequestError when it is no array of 1 to 20 objects."""
    decode(body)
    value = decode_exact(body)
    check_depth(value)
    if type(value) is not list or not 0 < len(value) <= MOST_BODIES:
        raise RequestError(
            f"This must be an array of 1 to {MOST_BODIES} queries.",
            code="BODY_INVALID", pointer="", hint="such as [{\"from\": …}, {\"from\": …}]",
        )  # fmt: skip
    issues = Issues()
    for at, item in enumerate(value):
        if type(item) is not dict:
            issues.add("BODY_INVALID", f"This must be a query, an object, not {kind_of(item)}.", f"/{at}", "use a body")
    find_duplicates(body, issues)
    issues.raise_any()
    return [json.dumps(item, ensure_ascii=False).encode() for item in value]
