"""Both stores exported to files, and the question asked of those with DuckDB, all in the bench's own process."""

from __future__ import annotations

import csv
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from bench.fetch_and_merge import Stores
from bench.fleet import MINUTE

_SQL = f"""
WITH errors AS (
    SELECT host, "@timestamp" // 1000 // {MINUTE} * {MINUTE} AS t, count(*) AS errors
    FROM read_json($documents, columns = {{host: 'VARCHAR', "@timestamp": 'BIGINT', status: 'INTEGER'}})
    WHERE status >= 500 GROUP BY ALL
), cpu AS (
    SELECT host, time // {MINUTE} * {MINUTE} AS t, avg(usage) AS cpu FROM read_csv($points) GROUP BY ALL
)
SELECT host, t, errors, cpu FROM errors LEFT JOIN cpu USING (host, t) ORDER BY host, t
"""


@dataclass(frozen=True, slots=True)
class Files:
    """Newline-delimited JSON and CSV; `seconds` is how long the export took."""

    documents: Path
    points: Path
    seconds: float


@contextmanager
def files(stores: Stores, start: int, end: int) -> Iterator[Files]:
    """The errors' documents and all points of a time range (seconds), for as long as the block lasts."""
    with tempfile.TemporaryDirectory() as folder:
        documents, points = Path(folder) / "documents.ndjson", Path(folder) / "points.csv"
        started = time.perf_counter()
        with documents.open("w") as out:
            for document in stores.documents(start, end, {"range": {"status": {"gte": 500}}}):
                out.write(json.dumps(document) + "\n")
        with points.open("w", newline="") as out:
            rows = csv.writer(out)
            rows.writerow(("time", "host", "usage"))
            rows.writerows(stores.points(start, end))
        yield Files(documents, points, time.perf_counter() - started)


def errors_beside_cpu(held: Files) -> list[dict[str, Any]]:
    connection = duckdb.connect()
    found = connection.execute(_SQL, {"documents": str(held.documents), "points": str(held.points)})
    rows = [dict(zip(("host", "t", "errors", "cpu"), row, strict=True)) for row in found.fetchall()]
    connection.close()
    return rows
