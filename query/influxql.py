"""InfluxQL as it came from a client: its words, what each statement needs, and the seam to a store that takes it as it is.

parser/influxql.py makes these; a series store that speaks InfluxDB's v1 protocol is also a `NativeSeries`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from libs.context import RequestContext

# What the service's own answers of the protocol call themselves; clients look for the header, some for the first number.
VERSION = "1.8-hostmonitor"
BUILD = "hostmonitor"

TokenKind = Literal["word", "identifier", "string", "number", "parameter", "regex", "mark"]


class Token(NamedTuple):
    """`text` is a word in capitals; a quoted identifier's or string's content; anything else as it is written. `name` is what
    a word or an identifier names, "" for others."""

    kind: TokenKind
    text: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `kind` is its leading words ("SHOW TAG KEYS"), `needs` the actions of libs/actions that it takes.
    `rows`: it reads or changes points, or tells of them by a condition; what does not tells of names alone."""

    kind: str
    tokens: tuple[Token, ...]
    needs: frozenset[str]
    mutates: bool
    rows: bool


@dataclass(frozen=True, slots=True)
class NativeQuery:
    """`text` is all statements as they are sent. `options` are InfluxDB's own parameters besides `q` and `db`; `accept` is
    the header, `gzip` whether the client takes a compressed answer."""

    text: str
    statements: tuple[Statement, ...]
    db: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    accept: str | None = None
    gzip: bool = False

    @property
    def mutates(self) -> bool:
        return any(statement.mutates for statement in self.statements)


@dataclass(frozen=True, slots=True)
class NativeWrite:
    """Line protocol of any measurements. `size` is the body's bytes; `gzip`: they are compressed."""

    db: str
    size: int
    precision: str = "ns"
    options: Mapping[str, str] = field(default_factory=dict)
    gzip: bool = False


class NativeAnswer(Protocol):
    """A store's own answer. `headers` are those that may be passed on, with lower-case names."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...

    @property
    def complete(self) -> bool:
        """Whether all of it has come."""
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come. Raises StoreError while it is pulled."""
        ...


class ServerVersion(NamedTuple):
    version: str
    build: str


@runtime_checkable
class NativeSeries(Protocol):
    """A series store that answers InfluxDB's v1 protocol. `takes_gzip`: a compressed body is passed on as it came."""

    takes_gzip: bool

    async def server_version(self, context: RequestContext) -> ServerVersion:
        """Raises StoreError."""
        ...

    def native_query(self, query: NativeQuery, context: RequestContext) -> AbstractAsyncContextManager[NativeAnswer]:
        """Runs statements that the caller has been allowed. Raises RequestError (NAME_INVALID), NotSupportedError where one of
        them cannot be run here (none has been run then), StoreError."""
        ...

    def timed(self, lines: bytes, precision: str, now_ns: int) -> bytes:
        """Whole lines as they are to be written so that a second write of them makes no other points: those without a time
        have this one, where the store would take its own."""
        ...

    def native_write(
        self, write: NativeWrite, body: AsyncIterator[bytes], context: RequestContext
    ) -> AbstractAsyncContextManager[NativeAnswer]:
        """Writes points; `body` is pulled in pieces, of whole lines where the store does not take gzip. Raises RequestError
        (NAME_INVALID, POINTS_DROPPED, VALUE_INVALID), NotFoundError (DATABASE_UNKNOWN), StoreError."""
        ...


@dataclass(frozen=True, slots=True)
class MadeAnswer:
    """A NativeAnswer that is made here, whole."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""
    complete: bool = True

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.body:
            yield self.body
