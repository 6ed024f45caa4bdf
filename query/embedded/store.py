"""The one DuckDB file of a data directory, shared by every embedded instance of this process.

An acknowledged write is in DuckDB's log on disk (synced at commit). No SQL of a caller ever runs; reads and writes alike
have no access to other files or the network (T22).
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb

from libs.errors import ConfigError, HostMonitorError, StoreError
from query.backend import InstanceConfig
from query.embedded import catalogue
from query.embedded.commit_mark import CommitMark, keep_log, set_aside
from query.embedded.documents_state import DocumentsState
from query.embedded.file import FILE, DamagedLog, damaged, open_file
from query.embedded.readers import Readers
from query.embedded.series_state import SeriesState
from query.embedded.writer import Writer
from query.sql import translate

Cursor = duckdb.DuckDBPyConnection

_FULL = ("no space left", "disk quota", "file too large", "could not write", "disk is full", "failed to write")
_log = logging.getLogger(__name__)


class Store:
    """An open file: a writer, readers, and what the file holds (as published by the last commit).

    A file that DuckDB cannot read leaves the store degraded: `check` and every operation raise what is wrong, the service
    and its other stores go on. The file is opened without a log that is damaged, which is kept aside (`quarantined` names it).
    """

    def __init__(self, path: Path, memory_mb: int, threads: int) -> None:
        """Raises ConfigError: the directory cannot be used, another process holds the file, or its format is another."""
        self.path = path
        self.started = time.time()
        self.failure: HostMonitorError | None = None
        self.quarantined: str | None = None
        self.documents = DocumentsState()
        self.series = SeriesState()
        self._memory_mb = memory_mb
        self._broken = False
        self._stale = False
        self._mark = CommitMark(path)
        self._write: Cursor | None = None
        self._root: Cursor | None = None
        try:
            self._start()
        except (StoreError, duckdb.Error) as error:
            self.failure = error if isinstance(error, StoreError) else damaged(path, error)
            _log.error("embedded store unusable: %s", self.failure.message)
        self.readers = Readers(self._cursor, self.translate, threads)
        self.writer = Writer(self)
        self.writer.start()

    def check(self) -> None:
        """Raises StoreError when the file is not usable."""
        if self.failure is not None:
            raise self.failure

    @property
    def commits(self) -> int:
        """How many transactions of writes there have been."""
        return self._mark.count

    def write_cursor(self) -> Cursor:
        """The writer's own cursor; after a failure that ended the engine, over the file opened anew."""
        self.check()
        self.recover()
        if self._write is None:
            self._write = self._cursor()
        if self._stale:
            self._load(self._write)
        return self._write

    def recover(self) -> None:
        """Opens the file again after a failure that ended the engine. Raises what opening raises."""
        if self._broken:
            self._reopen()

    def committing(self, cursor: Cursor) -> None:
        self._mark.step(cursor)

    def committed(self) -> None:
        self._mark.acknowledge()
        self.documents.publish()
        self.series.publish()

    def rolled_back(self) -> None:
        """What the transaction did in memory is forgotten by reading the catalogue again, before the next one."""
        self._stale = True

    def translate(self, error: duckdb.Error, source: str | None = None) -> HostMonitorError:
        """A DuckDB error as one of the tree's; a fatal one makes the next write open the file anew."""
        lowered = str(error).lower()
        if isinstance(error, duckdb.FatalException) or "has been invalidated" in lowered:
            self._broken = True
        if any(sign in lowered for sign in _FULL):
            return StoreError("The store has no room.", code="STORE_FULL", source=source)
        return translate(error, source)

    def close(self) -> None:
        self.writer.close()
        self.readers.close()
        if self._write is not None:
            self._write.close()
        if self._root is not None:
            self._root.close()
        self._mark.close()

    def _start(self) -> None:
        """Opens the file; a log that has lost acknowledged writes is kept aside, and said."""
        copy = keep_log(self.path)
        try:
            self._root = open_file(self.path, self._memory_mb)
        except DamagedLog:
            copy = set_aside(self.path, copy)
            self._root = open_file(self.path, self._memory_mb)
        except (StoreError, ConfigError):
            if copy is not None:
                copy.unlink()
            raise
        cursor = self._cursor()
        held, known = catalogue.commits(cursor), self._mark.known()
        if held < known:
            self.quarantined = copy.name if copy is not None else "nothing"
            _log.error("the embedded store has lost %d commits; kept of its log: %s", known - held, self.quarantined)
        elif copy is not None:
            copy.unlink()
        self._mark.begin(held)
        self._load(cursor)

    def _load(self, cursor: Cursor) -> None:
        columns = catalogue.columns_of(cursor)
        self.documents.load(cursor, columns)
        self.series.load(cursor, columns)
        self._stale = False

    def _cursor(self) -> Cursor:
        self.check()
        assert self._root is not None
        return self._root.cursor()

    def _reopen(self) -> None:
        """Opens the file again: DuckDB ends an instance whose log it could not write; what was committed is in the file."""
        self.readers.forget_cursors()
        for connection in (self._write, self._root):
            if connection is not None:
                connection.close()
        self._write = None
        self._root = open_file(self.path, self._memory_mb)
        self._broken = False
        cursor = self._cursor()
        self._mark.begin(catalogue.commits(cursor))
        self._load(cursor)


@dataclass(slots=True)
class _Shared:
    store: Store
    users: int


_open_stores: dict[str, _Shared] = {}
_guard = threading.Lock()


def acquire(config: InstanceConfig) -> Store:
    """The store of the instance's data directory, opened by its first user. Raises ConfigError."""
    path = Path(os.path.realpath(config.data_dir)) / FILE
    with _guard:
        shared = _open_stores.get(str(path))
        if shared is None:
            shared = _open_stores[str(path)] = _Shared(Store(path, config.memory_mb, config.threads), 0)
        shared.users += 1
        return shared.store


def release(store: Store) -> None:
    """Closes the store with its last user."""
    with _guard:
        shared = _open_stores[str(store.path)]
        shared.users -= 1
        if shared.users:
            return
        del _open_stores[str(store.path)]
    store.close()
