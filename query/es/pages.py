"""The pages of a whole scan, each still the bytes that came: what has to be known of one to ask for the next. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

_HITS = b'"hits":['
_SORT = b'"sort":['
_END = b"]}}"


@dataclass(frozen=True, slots=True)
class Page:
    """`head` is the answer without its hits, `last` the sort values of the last one.
    The list of hits stands in `content` from `start` to `stop`. `by_fields` are the columns asked for through `fields`."""

    content: bytes
    head: Any
    start: int
    stop: int
    last: Any
    by_fields: frozenset[str]

    @property
    def ignoring(self) -> bool:
        """Whether the index may have ignored a value of a row."""
        return b'"_ignored"' in self.content


def cut(content: bytes, by_fields: frozenset[str]) -> Page | None:
    """An answer cut by its text alone; None where that does not tell its parts for sure.

    Inside of a text quotes are escaped, so that the marks are members; the hits are the first list of that name, and what
    orders a hit is the last of its members.
    """
    at, last_at = content.find(_HITS), content.rfind(_SORT)
    if at < 0 or last_at < at or not content.endswith(b"}" + _END):
        return None
    start = at + len(_HITS) - 1
    try:
        head = orjson.loads(content[: start + 1] + _END)
        last = orjson.loads(b"{" + content[last_at : -len(_END)])
    except orjson.JSONDecodeError:
        return None
    if not isinstance(head, dict) or not isinstance(head.get("hits"), dict) or set(last) != {"sort"}:
        return None
    return Page(content, head, start, len(content) - 2, last["sort"], by_fields)


def parsed(content: bytes, answer: Any, by_fields: frozenset[str]) -> Page:
    """The same of an answer that has been read whole."""
    hits = answer["hits"]["hits"]
    return Page(content, answer, 0, 0, hits[-1]["sort"] if hits else None, by_fields)
