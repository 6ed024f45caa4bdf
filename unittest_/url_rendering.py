"""A body of rows as a URL's query, in one of the ways that one can write it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

from parser.url_filters import GROUPS, WORDS
from unittest_.conformance.case import Body

_LISTS = ("in", "nin", "between")
_MARKS = frozenset(',()"')
Draw = st.DrawFn


def url_body(body: Body) -> Body:
    """The body as a URL can say it: `not` of `not` needs an `and` between them."""
    return body | ({"where": _sayable(body["where"])} if "where" in body else {})


def _sayable(node: Body) -> Body:
    if "not" in node:
        inner = _sayable(node["not"])
        return {"not": {"and": [inner]} if "not" in inner else inner}
    for word in ("and", "or"):
        if word in node:
            return {word: [_sayable(item) for item in node[word]]}
    return node


@st.composite
def queries(draw: Draw, body: Body) -> str:
    """A query string that asks what the body asks; quotes and parameters vary where both forms are right."""
    pairs = _filters(draw, body["where"]) if "where" in body else []
    if "time_range" in body:
        names = {"from": "from", "to": "to", "field": "time_field"}
        pairs += [(names[name], value) for name, value in body["time_range"].items()]
    if "select" in body:
        names_of = [item if isinstance(item, str) else item["field"] for item in body["select"]]
        pairs.append(("select", ",".join(_text(draw, name, keep=False) for name in names_of)))
    if "order_by" in body:
        pairs.append(("order", ",".join(_order(draw, item) for item in body["order_by"])))
    if "limit" in body:
        pairs.append(("limit", str(body["limit"])))
    pairs += [(name, _spelled(value)) for name, value in body.get("options", {}).items()]
    return "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)


def _filters(draw: Draw, where: Body) -> list[tuple[str, str]]:
    if "and" in where and len(where["and"]) > 1 and draw(st.booleans()):
        return [pair for item in where["and"] for pair in _filters(draw, item)]
    word = next(iter(where))
    if word in ("and", "or"):
        return [(word, _members(draw, where[word]))]
    if word == "not" and "field" not in where["not"]:
        inner = next(iter(where["not"]))
        return [("not." + inner, _members(draw, where["not"][inner]))]
    leaf = where["not"] if word == "not" else where
    if leaf["field"] in (*WORDS, *GROUPS, "shape") or draw(st.integers(0, 3)) == 0:
        return [("and", f"({_member(draw, where)})")]
    negation = "not." if word == "not" else ""
    return [(leaf["field"], f"{negation}{leaf['op']}.{_operand(draw, leaf, alone=True)}")]


def _members(draw: Draw, nodes: list[Body]) -> str:
    return "(" + ",".join(_member(draw, node) for node in nodes) + ")"


def _member(draw: Draw, node: Body) -> str:
    word = next(iter(node))
    if word in ("and", "or"):
        return word + _members(draw, node[word])
    negation = "not." if word == "not" else ""
    leaf = node["not"] if word == "not" else node
    if "field" not in leaf:
        inner = next(iter(leaf))
        return f"not.{inner}{_members(draw, leaf[inner])}"
    return f"{_text(draw, leaf['field'], keep=True)}.{negation}{leaf['op']}.{_operand(draw, leaf, alone=False)}"


def _operand(draw: Draw, leaf: Body, *, alone: bool) -> str:
    if leaf["op"] in _LISTS:
        return "(" + ",".join(_text(draw, _spelled(value), keep=True) for value in leaf["value"]) + ")"
    spelled = _spelled(leaf["value"])
    return spelled if alone or leaf["op"] == "exists" else _text(draw, spelled, keep=True)


def _order(draw: Draw, item: Any) -> str:
    if isinstance(item, str):
        return _text(draw, item, keep=False)
    direction = item.get("dir", "asc")
    behind = "." + direction if direction == "desc" or draw(st.booleans()) else ""
    return _text(draw, item["field"], keep=bool(behind)) + behind


def _text(draw: Draw, text: str, *, keep: bool) -> str:
    """In quotes where it must be, and sometimes where it need not. `keep`: its dots need no quotes."""
    plain = text and not _MARKS & set(text) and (keep or not text.endswith((".asc", ".desc")))
    if plain and draw(st.booleans()):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _spelled(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
