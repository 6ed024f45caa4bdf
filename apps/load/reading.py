"""Records of a file or of standard input, each with its line and with where it ends, so that a load can go on there."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, cast

from libs.errors import HostMonitorError

MAX_RECORD_BYTES = 1 << 20
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """`text` without its line's end; `end` is the offset behind it, in bytes of the text (not of a gzip file), and
    `next_line` the number of the line that begins there. None in place of a text that is too long to be one."""

    line: int
    text: bytes | None
    end: int
    next_line: int


class Source:
    """An open input. `position` is where it is read, of `size` bytes as they lie on the disk (None: not known)."""

    def __init__(self, raw: io.BufferedReader, size: int | None) -> None:
        self._raw, self.size = raw, size
        packed = raw.peek(2)[:2] == _GZIP
        self._text = cast(IO[bytes], gzip.GzipFile(fileobj=raw) if packed else raw)

    @property
    def position(self) -> int:
        return self._raw.tell() if self.size is not None else 0

    def records(self, offset: int, line: int, quoted: bool) -> Iterator[Record]:
        """From an offset on, where the line of that number begins. `quoted`: a record goes on while a quote is open (CSV).

        Raises HostMonitorError where the input cannot be read, or a gzip file is broken."""
        try:
            if offset:
                self._go_to(offset)
            yield from self._records(offset, line, quoted)
        except (OSError, EOFError, zlib.error) as error:
            raise HostMonitorError(f"the input cannot be read to its end: {error}") from None

    def _go_to(self, offset: int) -> None:
        """Raises HostMonitorError where no line begins there."""
        self._text.seek(offset - 1)
        before = self._text.read(1)
        if not before:
            raise HostMonitorError("the input is shorter than what was loaded of it; --restart loads it from its start")
        if before != b"\n" and self._text.read(1):
            raise HostMonitorError(
                "the input has grown within a line that was loaded; --restart loads it from its start"
            )

    def _records(self, offset: int, line: int, quoted: bool) -> Iterator[Record]:
        while text := self._text.readline(MAX_RECORD_BYTES):
            first, size, fits = line, len(text), True
            while not text.endswith(b"\n") or (quoted and text.count(b'"') % 2):
                line += text.endswith(b"\n")
                more = self._text.readline(MAX_RECORD_BYTES)
                if not more:
                    break
                size += len(more)
                fits = fits and size <= MAX_RECORD_BYTES
                text = text + more if fits else more
            offset += size
            line += text.endswith(b"\n")
            if first == 1:
                text = text.removeprefix(_MARK)
            yield Record(first, text.rstrip(b"\r\n") if fits else None, offset, line)


@contextmanager
def opened(path: Path | None, standard_input: io.BufferedReader) -> Iterator[Source]:
    """The file, gzip too, or standard input. Raises HostMonitorError."""
    if path is None:
        yield Source(standard_input, None)
        return
    try:
        raw = path.open("rb")
    except OSError as error:
        raise HostMonitorError(f"{path} cannot be read: {error.strerror}") from None
    with raw:
        yield Source(raw, path.stat().st_size)
