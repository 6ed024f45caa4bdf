"""The number of the last acknowledged commit, beside the file: what tells that a damaged log has lost some.

DuckDB refuses a log whose checksums fail, but a flipped length looks to it like a log cut short by a crash, which it
rightly opens. Every transaction counts itself in the file; after its commit the count is written here (not synced: it is
never ahead of what was durable). A file that knows fewer commits than its mark has lost some.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import duckdb

Cursor = duckdb.DuckDBPyConnection


class CommitMark:
    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".commits")
        self.count = 0
        self._file: int | None = None

    def known(self) -> int:
        """The last acknowledged commit; 0 without a mark."""
        try:
            return int(self._path.read_text())
        except (OSError, ValueError):
            return 0

    def begin(self, count: int) -> None:
        """Goes on from the count that the file holds."""
        self.count = count
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._write()

    def step(self, cursor: Cursor) -> None:
        """Counts the transaction under way."""
        cursor.execute("UPDATE hm_format SET commits = ?", [self.count + 1])

    def acknowledge(self) -> None:
        """After the commit."""
        self.count += 1
        self._write()

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self) -> None:
        if self._file is not None:
            os.pwrite(self._file, f"{self.count:020d}".encode(), 0)


def log_of(path: Path) -> Path:
    return path.with_name(path.name + ".wal")


def keep_log(path: Path) -> Path | None:
    """A copy of the log that opening will replay; None when the file was closed properly, or there is no room for one."""
    log = log_of(path)
    if not log.exists():
        return None
    copy = _aside(log)
    try:
        shutil.copyfile(log, copy)
    except OSError:
        copy.unlink(missing_ok=True)
        return None
    return copy


def set_aside(path: Path, copy: Path | None) -> Path:
    """Takes the log away from the file; answers where it is kept."""
    log = log_of(path)
    if copy is None:
        return log.rename(_aside(log))
    log.unlink()
    return copy


def _aside(log: Path) -> Path:
    return log.with_name(f"{log.name}.corrupt.{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.{os.getpid()}")
