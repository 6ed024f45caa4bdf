"""Lines that were not stored: told with their numbers, on the terminal and in a file."""

from __future__ import annotations

from pathlib import Path
from typing import IO, NamedTuple

import orjson
from rich.console import Console

MOST_SHOWN = 10
_MOST_SHOWN_CHARS = 300


class Refused(NamedTuple):
    """`text` is the line as it was read; None where it was too long to keep."""

    line: int
    reason: str
    text: bytes | None


class NotTaken(Exception):
    """A record that cannot become a document or a point; the text says why."""


class Rejects:
    """A JSON object a refused line: {"line", "reason", "text"}. Without a path, all of them are shown instead."""

    def __init__(self, path: Path | None, console: Console, size: int) -> None:
        """`size`: what of the file stands for lines that were done with before; the rest is written anew."""
        self.path, self._console = path, console
        self.size, self._shown = size, 0
        self._file: IO[bytes] | None = None

    def add(self, refused: list[Refused]) -> None:
        for one in refused:
            if self.path is None or self._shown < MOST_SHOWN:
                self._shown += 1
                self._console.print(f"line {one.line}: {one.reason[:_MOST_SHOWN_CHARS]}", markup=False, soft_wrap=True)
        if self.path is None or not refused:
            return
        file = self._file or self._opened(self.path)
        for one in refused:
            text = None if one.text is None else one.text.decode("utf-8", "backslashreplace")
            told = {"line": one.line, "reason": one.reason, "text": text}
            self.size += file.write(orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE))
        file.flush()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self, path: Path) -> IO[bytes]:
        # Kept open until `close`.
        self._file = path.open("ab")
        self._file.truncate(self.size)
        self._file.seek(self.size)
        return self._file
