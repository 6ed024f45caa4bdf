"""What a client's InfluxQL would do: every statement found, and classified, before any is sent. Pure.

Only what stands in the tables below is taken; users, grants, passwords, KILL, subscriptions, shards and whatever is not known
are refused, and one refused statement refuses all. A statement's words are InfluxDB's own parse tree (influxql's
parse_tree.go): it, too, decides by the leading words alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from libs.errors import RequestError
from parser.influxql_tokens import invalid, tokens
from query.influxql import Statement, Token

_READ = frozenset({"read", "native"})
_SERVER = _READ | {"admin"}  # what InfluxDB itself shows administrators, or what other callers ask
_WRITE = frozenset({"write"})
_METADATA = frozenset({"metadata"})

_READING = {
    "SELECT": _READ,
    "EXPLAIN SELECT": _READ,
    "EXPLAIN VERBOSE SELECT": _READ,
    "EXPLAIN ANALYZE SELECT": _READ,
    "EXPLAIN ANALYZE VERBOSE SELECT": _READ,
    "SHOW DATABASES": _READ,
    "SHOW RETENTION POLICIES": _READ,
    "SHOW MEASUREMENTS": _READ,
    "SHOW MEASUREMENT CARDINALITY": _READ,
    "SHOW MEASUREMENT EXACT CARDINALITY": _READ,
    "SHOW SERIES": _READ,
    "SHOW TAG KEYS": _READ,
    "SHOW TAG KEY CARDINALITY": _READ,
    "SHOW TAG KEY EXACT CARDINALITY": _READ,
    "SHOW TAG VALUES": _READ,
    "SHOW FIELD KEYS": _READ,
    "SHOW FIELD KEY CARDINALITY": _READ,
    "SHOW FIELD KEY EXACT CARDINALITY": _READ,
    "SHOW CONTINUOUS QUERIES": _READ,
    "SHOW QUERIES": _SERVER,
    "SHOW STATS": _SERVER,
    "SHOW DIAGNOSTICS": _SERVER,
}
_CHANGING = {
    "DELETE": _WRITE,
    "CREATE DATABASE": _METADATA,
    "CREATE RETENTION POLICY": _METADATA,
    "CREATE CONTINUOUS QUERY": _METADATA | _READ | _WRITE,
    "ALTER RETENTION POLICY": _METADATA,
    "DROP DATABASE": _METADATA,
    "DROP MEASUREMENT": _METADATA,
    "DROP SERIES": _METADATA,
    "DROP RETENTION POLICY": _METADATA,
    "DROP CONTINUOUS QUERY": _METADATA,
}
_KINDS = _READING | _CHANGING
_MOST_WORDS = max(len(kind.split()) for kind in _KINDS)
# These tell no more than names, unless a condition follows, which asks of the points.
_NAMES = frozenset(
    {
        "SHOW DATABASES",
        "SHOW RETENTION POLICIES",
        "SHOW MEASUREMENTS",
        "SHOW TAG KEYS",
        "SHOW FIELD KEYS",
        "CREATE DATABASE",
        "CREATE RETENTION POLICY",
        "ALTER RETENTION POLICY",
        "DROP DATABASE",
        "DROP MEASUREMENT",
        "DROP RETENTION POLICY",
        "DROP CONTINUOUS QUERY",
    }
)


def statements(text: str) -> tuple[tuple[Statement, ...], str]:
    """The statements of a query, and the text to send. Raises RequestError: STATEMENT_INVALID for what cannot be read or holds
    no statement, STATEMENT_REFUSED for one that nobody may run here."""
    if "\x00" in text:
        raise invalid("it holds a zero character", text.index("\x00"))
    found, sent = tokens(text)
    made = tuple(_statement(part) for part in _split(found))
    if not made:
        raise RequestError(
            'missing required parameter "q"',
            code="STATEMENT_INVALID",
            pointer="query/q",
            hint="send a statement as q, in the address or a form",
        )
    return made, sent


def _split(found: Sequence[Token]) -> Iterator[tuple[Token, ...]]:
    part: list[Token] = []
    depth = 0
    for token in (*found, Token("mark", ";")):
        if token.kind == "mark" and token.text in ("(", ")", ";"):
            depth += (token.text == "(") - (token.text == ")")
            if depth < 0 or (depth and token.text == ";"):
                raise invalid("its parentheses do not match", 0)
            if token.text == ";":
                if part:
                    yield tuple(part)
                part = []
                continue
        part.append(token)


def _statement(part: tuple[Token, ...]) -> Statement:
    kind = _kind(part)
    if kind is None:
        raise _refused(part)
    needs = _KINDS[kind]
    mutates = kind in _CHANGING
    if _holds(part, "INTO") and kind != "CREATE CONTINUOUS QUERY":
        if kind != "SELECT":
            raise _refused(part)
        needs, mutates = needs | _WRITE, True
    return Statement(kind, part, needs, mutates, kind not in _NAMES or _holds(part, "WHERE"))


def _holds(part: Sequence[Token], word: str) -> bool:
    """Whether a keyword stands anywhere: no name is written like one without quotes."""
    return any(token.text == word and token.kind == "word" for token in part)


def _kind(part: Sequence[Token]) -> str | None:
    """The longest known beginning."""
    words: list[str] = []
    known = None
    for token in part[:_MOST_WORDS]:
        if token.kind != "word":
            break
        words.append(token.text)
        if " ".join(words) in _KINDS:
            known = " ".join(words)
    return known


def _refused(part: Sequence[Token]) -> RequestError:
    """Names the leading words alone: what follows may be a password."""
    words: list[str] = []
    for token in part[:2]:
        if token.kind != "word":
            break
        words.append(token.text[:30])
    return RequestError(
        f"the statement {' '.join(words) or '…'} is not allowed here; none of the statements was run",
        code="STATEMENT_REFUSED",
        pointer="query/q",
        hint="SELECT, EXPLAIN, SHOW of data and names, DELETE, and CREATE, ALTER and DROP of databases, measurements, series, "
        "retention policies and continuous queries are taken",
    )
