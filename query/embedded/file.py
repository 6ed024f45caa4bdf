"""Opening the DuckDB file, shut off from all other files and the network, and telling why it cannot be opened."""

from __future__ import annotations

from pathlib import Path

import duckdb

from libs.errors import ConfigError, HostMonitorError, StoreError
from query.embedded import catalogue

FILE = "hostmonitor.duckdb"


class DamagedLog(StoreError):
    """The file itself may be sound: its log cannot be replayed."""


def open_file(path: Path, memory_mb: int) -> duckdb.DuckDBPyConnection:
    """Opens or makes the file. Raises ConfigError (not usable, in use by another process, of another format) and StoreError
    (damaged)."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unusable(path, error.strerror or str(error)) from error
    try:
        connection = duckdb.connect(
            str(path),
            config={
                "memory_limit": f"{memory_mb}MB",
                "threads": "1",  # of one query: the pool of readers runs several
                "temp_directory": str(path.parent / "spill"),
                "autoload_known_extensions": "false",
                "autoinstall_known_extensions": "false",
                "allow_community_extensions": "false",
            },
        )
        connection.execute("SET enable_external_access = false")
        connection.execute("SET lock_configuration = true")
        found = catalogue.prepare(connection)
    except duckdb.Error as error:
        raise _why(path, error) from error
    if found != catalogue.FORMAT:
        connection.close()
        raise ConfigError(f"{path} has format {found}; this version reads {catalogue.FORMAT}.")
    return connection


def _unusable(path: Path, why: str) -> ConfigError:
    return ConfigError(
        f"The data directory {path.parent} cannot be used: {why}.", hint="set data_dir to a directory of one's own"
    )


def _why(path: Path, error: duckdb.Error) -> HostMonitorError:
    text = str(error).splitlines()[0]
    lowered = text.lower()
    if "lock" in lowered and ("conflicting" in lowered or "could not set" in lowered):
        return ConfigError(
            f"{path} is in use by another process: {text}",
            hint="run one process on a data directory, or set another data_dir",
        )
    if "permission denied" in lowered or "is a directory" in lowered or "read-only" in lowered:
        return _unusable(path, text)
    if "replaying WAL" in text or "Corrupt WAL" in text:
        return DamagedLog(f"The log of {path.name} is damaged: {text}")
    return damaged(path, error)


def damaged(path: Path, error: duckdb.Error) -> StoreError:
    """What every operation on a file that cannot be read raises."""
    return StoreError(f"{path.name} cannot be opened: {str(error).splitlines()[0]}")
