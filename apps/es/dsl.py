"""The allow-list for the body of GET /<instance>/<index>: which clauses of the query DSL pass, how deep and how large.

Nothing that runs code or reads elsewhere (scripts, runtime fields, terms look-ups, query_string) is on it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from libs.errors import Issue, RequestError

_TOP = frozenset({"query", "sort", "size", "from", "_source", "track_total_hits", "timeout", "min_score"})
_LEAVES = frozenset(
    {
        "match_all",
        "match_none",
        "term",
        "terms",
        "range",
        "exists",
        "prefix",
        "wildcard",
        "ids",
        "match",
        "match_phrase",
    }
)
_BOOL = frozenset({"must", "must_not", "should", "filter", "minimum_should_match", "boost"})
_FORBIDDEN_MEMBERS = frozenset({"script", "_script", "index", "id", "path", "routing", "runtime_mappings", "lookup"})
MAX_DEPTH = 16
MAX_CLAUSES = 512
MAX_SORT_KEYS = 32
MAX_SIZE = 10_000
_MAX_ISSUES = 20


def check_dsl(body: Any) -> dict[str, Any]:
    """The body, when it passes. Raises RequestError with every clause that does not, by its pointer."""
    issues: list[Issue] = []
    if not isinstance(body, dict):
        raise RequestError("The body is not an object.", code="BODY_INVALID", pointer="", hint='like {"query": {…}}')
    for name in sorted(body.keys() - _TOP)[:_MAX_ISSUES]:
        issues.append(_refused(name, f"/{name}", _TOP))
    if "query" in body:
        _check_queries(body["query"], issues)
    _check_sort(body.get("sort"), issues)
    for name in ("size", "from"):
        _check_number(body.get(name, 0), f"/{name}", issues)
    _check_source(body.get("_source", True), issues)
    if issues:
        raise RequestError.of(issues[:_MAX_ISSUES])
    return body


def _refused(name: str, at: str, known: frozenset[str]) -> Issue:
    return Issue(
        "REQUEST_INVALID", f"the clause {name[:100]!r} is not taken here", at, "one of " + ", ".join(sorted(known))
    )


def _check_queries(query: Any, issues: list[Issue]) -> None:
    """Walks the clauses without recursion, so that no depth can hurt."""
    waiting: list[tuple[Any, str, int]] = [(query, "/query", 1)]
    clauses = 0
    while waiting and len(issues) < _MAX_ISSUES:
        clause, at, depth = waiting.pop()
        clauses += 1
        if depth > MAX_DEPTH or clauses > MAX_CLAUSES:
            code = "TOO_DEEP" if depth > MAX_DEPTH else "TOO_MANY_NODES"
            issues.append(Issue(code, f"more than {MAX_DEPTH} levels or {MAX_CLAUSES} clauses", at, None))
            return
        if not isinstance(clause, dict) or len(clause) != 1:
            issues.append(Issue("BODY_INVALID", "a query is an object of exactly one clause", at, 'like {"term": {…}}'))
            continue
        name, content = next(iter(clause.items()))
        inner = f"{at}/{name}"
        if name == "bool":
            waiting.extend(_children(content, inner, depth, issues))
        elif name not in _LEAVES:
            issues.append(_refused(name, inner, _LEAVES | {"bool"}))
        else:
            _check_leaf(content, inner, issues)


def _children(content: Any, at: str, depth: int, issues: list[Issue]) -> list[tuple[Any, str, int]]:
    if not isinstance(content, dict):
        issues.append(Issue("BODY_INVALID", "bool is an object", at, "of " + ", ".join(sorted(_BOOL))))
        return []
    found: list[tuple[Any, str, int]] = []
    for name, value in content.items():
        if name not in _BOOL:
            if len(issues) >= _MAX_ISSUES:
                break
            issues.append(_refused(name, f"{at}/{name}", _BOOL))
        elif name in ("must", "must_not", "should", "filter"):
            many = value if isinstance(value, list) else [value]
            found.extend((item, f"{at}/{name}/{number}", depth + 1) for number, item in enumerate(many))
    return found


def _check_leaf(content: Any, at: str, issues: list[Issue]) -> None:
    """A leaf holds plain values down to its third level, and no member that runs or reads something else."""
    if not isinstance(content, dict):
        issues.append(Issue("BODY_INVALID", "a clause is an object", at, None))
        return
    for name, value in content.items():
        members: list[tuple[str, Any]] = list(value.items()) if isinstance(value, Mapping) else []
        if len(issues) >= _MAX_ISSUES:
            return
        for inner, _ in members:
            if inner in _FORBIDDEN_MEMBERS:
                issues.append(_refused(inner, f"{at}/{name}/{inner}", frozenset({"value"})))
        values = [item for _, item in members] or (value if isinstance(value, list) else [value])
        if any(isinstance(item, dict | list) for item in values):
            issues.append(Issue("BODY_INVALID", "a clause's operands are plain values", f"{at}/{name}", None))
        if isinstance(value, list) and len(value) > 1000:
            issues.append(Issue("TOO_MANY_VALUES", "more than 1000 values", f"{at}/{name}", None))


def _check_sort(sort: Any, issues: list[Issue]) -> None:
    many = sort if isinstance(sort, list) else [] if sort is None else [sort]
    if len(many) > MAX_SORT_KEYS:
        issues.append(Issue("TOO_MANY_VALUES", f"more than {MAX_SORT_KEYS} sort keys", "/sort", None))
        return
    for number, item in enumerate(many):
        at = f"/sort/{number}"
        if isinstance(item, str):
            name = item
        elif isinstance(item, dict) and len(item) == 1:
            name, how = next(iter(item.items()))
            options = set(how) if isinstance(how, dict) else set()
            for option in options - {"order", "missing", "mode", "unmapped_type", "format"}:
                issues.append(_refused(option, f"{at}/{option}", frozenset({"order", "missing", "mode"})))
        else:
            issues.append(Issue("BODY_INVALID", "a sort key is a field, or an object of one field", at, None))
            continue
        if name == "_script":
            issues.append(_refused(name, at, frozenset({"a field"})))


def _check_number(value: Any, at: str, issues: list[Issue]) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_SIZE:
        issues.append(Issue("LIMIT_INVALID", "this is no whole number in its range", at, f"0 to {MAX_SIZE}"))


def _check_source(value: Any, issues: list[Issue]) -> None:
    plain = isinstance(value, bool | str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))
    if not plain:
        issues.append(Issue("BODY_INVALID", "_source is a boolean, a field or a list of fields", "/_source", None))
