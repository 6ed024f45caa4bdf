"""SHOW, CREATE DATABASE and DROP DATABASE of InfluxQL, as far as the embedded store answers them exactly. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.errors import NotSupportedError
from query.influxql import Statement, Token

# Which parts may follow each kind.
_PARTS = {
    "SHOW DATABASES": frozenset[str](),
    "SHOW RETENTION POLICIES": frozenset({"ON"}),
    "SHOW MEASUREMENTS": frozenset({"ON", "WITH MEASUREMENT", "LIMIT", "OFFSET"}),
    "SHOW TAG KEYS": frozenset({"ON", "FROM", "LIMIT", "OFFSET"}),
    "SHOW FIELD KEYS": frozenset({"ON", "FROM", "LIMIT", "OFFSET"}),
    "SHOW TAG VALUES": frozenset({"ON", "FROM", "WITH KEY", "LIMIT", "OFFSET"}),
    "SHOW SERIES": frozenset({"ON", "FROM", "LIMIT", "OFFSET"}),
    "CREATE DATABASE": frozenset({"NAME"}),
    "DROP DATABASE": frozenset({"NAME"}),
}
_TWO_WORDS = frozenset({"WITH"})


@dataclass(frozen=True, slots=True)
class Show:
    """What is asked for. `db` is the one named by ON, or the database that is made or dropped; `measurements` those of FROM, None
    for all; `keys` the tags of WITH KEY, `without` that all others are meant."""

    kind: str
    db: str | None = None
    measurements: tuple[str, ...] | None = None
    keys: tuple[str, ...] = ()
    without: bool = False
    limit: int | None = None
    offset: int = 0


def read_show(statement: Statement, instance: str) -> Show:
    """Raises NotSupportedError for what this store does not answer."""
    parts = _PARTS.get(statement.kind)
    if parts is None:
        hint = (
            f"POST /{instance}/<db>/<measurement>/query asks for rows and groups"
            if "SELECT" in statement.kind
            else None
        )
        raise _unsupported(statement.kind, hint)
    return _Reader(statement, parts).read()


class _Reader:
    def __init__(self, statement: Statement, parts: frozenset[str]) -> None:
        self._kind = statement.kind
        self._tokens: Sequence[Token] = statement.tokens
        self._at = len(statement.kind.split())
        self._parts = set(parts)
        self._db: str | None = None
        self._measurements: tuple[str, ...] | None = None
        self._keys: tuple[str, ...] = ()
        self._without = False
        self._numbers: dict[str, int] = {}

    def read(self) -> Show:
        if "NAME" in self._parts:
            self._db = self._name()
        while self._at < len(self._tokens):
            self._part()
        if self._kind == "SHOW TAG VALUES" and not self._keys:
            raise _unsupported("SHOW TAG VALUES without WITH KEY")
        limit = self._numbers.get("LIMIT") or None  # LIMIT 0 is none
        return Show(
            self._kind, self._db, self._measurements, self._keys, self._without, limit, self._numbers.get("OFFSET", 0)
        )

    def _part(self) -> None:
        part = self._word()
        if part in _TWO_WORDS:
            part = f"{part} {self._word()}"
        if part not in self._parts:
            raise _unsupported(f"{self._kind} … {part}")
        self._parts.discard(part)
        if part == "ON":
            self._db = self._name()
        elif part == "FROM":
            self._measurements = self._names()
        elif part == "WITH MEASUREMENT":
            self._mark("=")
            self._measurements = (self._name(),)
        elif part == "WITH KEY":
            self._read_keys()
        else:
            self._numbers[part] = self._number()

    def _read_keys(self) -> None:
        token = self._next()
        if token.kind == "word" and token.text == "IN":
            self._mark("(")
            self._keys = self._names()
            self._mark(")")
        elif token.kind == "mark" and token.text in ("=", "!="):
            self._keys, self._without = (self._name(),), token.text == "!="
        else:
            raise _unsupported(f"WITH KEY {token.text}")

    def _names(self) -> tuple[str, ...]:
        names = [self._name()]
        while self._at < len(self._tokens) and self._tokens[self._at] == Token("mark", ","):
            self._at += 1
            names.append(self._name())
        return tuple(names)

    def _name(self) -> str:
        token = self._next()
        if token.kind not in ("word", "identifier"):
            raise _unsupported(f"{token.text[:50]} in the place of a name")
        return token.name

    def _word(self) -> str:
        token = self._next()
        if token.kind != "word":
            raise _unsupported(f"{self._kind} … {token.text[:50]}")
        return token.text

    def _mark(self, mark: str) -> None:
        token = self._next()
        if token != Token("mark", mark):
            raise _unsupported(f"{token.text[:50]} in the place of {mark}")

    def _number(self) -> int:
        token = self._next()
        if token.kind != "number" or not token.text.isdecimal() or len(token.text) > 18:
            raise _unsupported(f"{token.text[:50]} in the place of a whole number")
        return int(token.text)

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise _unsupported(f"{self._kind} that ends here")
        self._at += 1
        return self._tokens[self._at - 1]


def _unsupported(what: str, hint: str | None = None) -> NotSupportedError:
    return NotSupportedError(
        f"The embedded store does not take {what}; none of the statements was run.",
        hint=hint
        or "it takes SHOW DATABASES, RETENTION POLICIES, MEASUREMENTS, TAG KEYS, TAG VALUES, FIELD KEYS, SERIES with ON, FROM, "
        "WITH KEY, LIMIT, OFFSET, and CREATE and DROP DATABASE",
    )
