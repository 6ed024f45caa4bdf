"""Where a load is in its file, kept beside it: what was interrupted goes on there.

A batch is sent under an Idempotency-Key made of the load's id and the batch's place, and where it ends is on the disk before
it is sent: sent twice, it is the same request, which the service takes once.
"""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from libs.errors import ConfigError, HostMonitorError

_VERSION = 1
_ENDS_BYTES = 1 << 20


@dataclass
class Place:
    """`offset` and `line` are where the next batch begins, `pending` where it ends (None: it was not sent yet). `task` is what
    the load does, `head` the digest of the file's first `head_bytes`; `mended` counts what stopped it and had to be mended:
    the service has kept its answer to that under its key. Without a path, nothing is kept."""

    path: Path | None
    id: str
    task: dict[str, Any]
    head: str = ""
    head_bytes: int = 0
    began_ns: int = field(default_factory=time.time_ns)
    columns: dict[str, str] | None = None
    offset: int = 0
    line: int = 1
    pending: int | None = None
    stored: int = 0
    known: int = 0
    refused: int = 0
    rejects_bytes: int = 0
    mended: int = 0

    @classmethod
    def of(cls, file: Path, path: Path, task: dict[str, Any], anew: bool) -> Self:
        """The place of an earlier run of this load, or the file's start.

        Raises ConfigError: the earlier run did something else, or its file was another."""
        if path.exists() and not anew:
            return cls._read(file, path, task)
        size = file.stat().st_size
        head_bytes = min(size, _ENDS_BYTES)
        head = _digest(file, 0, head_bytes)
        parts = (head, _digest(file, max(0, size - _ENDS_BYTES), size), str(size), orjson.dumps(task).decode())
        # Loaded anew on purpose, it is another load.
        anew_mark = (str(time.time_ns()),) if anew else ()
        identity = hashlib.sha256("\0".join((*parts, *anew_mark)).encode()).hexdigest()[:32]
        return cls(path, identity, task, head, head_bytes)

    @classmethod
    def _read(cls, file: Path, path: Path, task: dict[str, Any]) -> Self:
        try:
            kept = orjson.loads(path.read_bytes())
            version = kept.pop("version")
            place = cls(path, **kept)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            raise ConfigError(f"{path} does not tell where a load is; delete it to load the file anew") from None
        if version != _VERSION or place.task != task:
            raise ConfigError(f"{path} is of a load with other options; repeat those, or give --restart")
        if _digest(file, 0, place.head_bytes) != place.head:
            raise ConfigError(f"{path} is of another file than {file} is now; give --restart to load it from its start")
        return place

    def key(self, part: str) -> str:
        """The Idempotency-Key of a part of the batch that begins here."""
        return f"load-{self.id}-{self.mended}-{self.offset}{part}"

    def write(self) -> None:
        """Raises HostMonitorError."""
        if self.path is None:
            return
        kept = {name: value for name, value in asdict(self).items() if name != "path"} | {"version": _VERSION}
        part = self.path.with_name(self.path.name + ".part")
        try:
            with part.open("wb") as opened:
                opened.write(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
                opened.flush()
                os.fsync(opened.fileno())
            part.replace(self.path)
        except OSError as error:
            hint = "give --state PATH for another place"
            raise HostMonitorError(f"{self.path} cannot be written ({error.strerror}); {hint}") from None


def _digest(file: Path, start: int, end: int) -> str:
    with file.open("rb") as opened:
        opened.seek(start)
        return hashlib.sha256(opened.read(end - start)).hexdigest()
