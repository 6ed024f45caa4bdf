"""The main job on real input: the same body, but for its source, answers the same rows from every store.

The access log is held as documents, the server metrics both as points and as documents, each on its real and on its embedded
store; all of it is written and asked through the API. What the rows should be the plain-Python reference tells.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from config.instances import InstanceSettings
from unittest_.conformance.case import Body
from unittest_.live import Client, service
from unittest_.real_data import (
    LOG_PROPERTIES,
    METRIC_PROPERTIES,
    as_document,
    log_documents,
    log_table,
    metric_points,
    metric_table,
    ndjson,
)
from unittest_.real_data_bodies import LOG, METRICS
from unittest_.reference.compare import differences
from unittest_.reference.evaluate import answer
from unittest_.reference.tables import Answer, Table

NDJSON = {"content-type": "application/x-ndjson"}
DOCUMENT_STORES = ("es", "es-embedded")
SERIES_STORES = ("influx", "influx-embedded")
MEASUREMENT = "cloudwatch"
CHUNK = 10_000
RELATIVE = 1e-9


@dataclass(frozen=True)
class Loaded:
    """The running service with all of it loaded under a name of its own, and the same as the reference holds it."""

    client: Client
    name: str
    log: Table
    metrics: Table

    def log_sources(self) -> list[Body]:
        return [{"source": store, "index": f"{self.name}-log"} for store in DOCUMENT_STORES]

    def metric_sources(self) -> list[Body]:
        indices: list[Body] = [{"source": store, "index": f"{self.name}-metrics"} for store in DOCUMENT_STORES]
        return indices + [{"source": store, "db": self.name, "measurement": MEASUREMENT} for store in SERIES_STORES]


@pytest.fixture(scope="module")
async def loaded(
    test_data: Path, es_url: str, influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Loaded]:
    instances = {"es-embedded": InstanceSettings(kind="documents"), "influx-embedded": InstanceSettings(kind="series")}
    folder = tmp_path_factory.mktemp("real")
    name = f"real-{uuid.uuid4().hex[:12]}"
    documents, points = log_documents(test_data), metric_points(test_data)
    async with service(folder, es_url=es_url, influx_url=influx_url, instances=instances) as client:
        try:
            for store in DOCUMENT_STORES:
                await load_index(client, store, f"{name}-log", LOG_PROPERTIES, documents)
                await load_index(client, store, f"{name}-metrics", METRIC_PROPERTIES, list(map(as_document, points)))
            for store in SERIES_STORES:
                await client.ok("PUT", f"/{store}/{name}")
                for body in ndjson(points, CHUNK):
                    path = f"/{store}/{name}/{MEASUREMENT}/points"
                    report = await client.ok("POST", path, data=body, headers=NDJSON)
                    assert report["dropped"] == 0
            yield Loaded(client, name, log_table(documents), metric_table(points))
        finally:
            for store in DOCUMENT_STORES:
                await client.send("DELETE", f"/{store}/{name}-log")
                await client.send("DELETE", f"/{store}/{name}-metrics")
            for store in SERIES_STORES:
                await client.send("DELETE", f"/{store}/{name}")


async def load_index(
    client: Client, store: str, index: str, properties: Mapping[str, Any], documents: list[dict[str, Any]]
) -> None:
    settings = {"number_of_shards": 2, "number_of_replicas": 0}
    body = {"index": index, "settings": settings, "mappings": {"properties": properties}}
    await client.ok("POST", f"/{store}/index", json=body)
    parts = list(ndjson(documents, CHUNK))
    for at, part in enumerate(parts, 1):
        refresh = "true" if at == len(parts) else "false"
        written = await client.ok("POST", f"/{store}/{index}/docs?refresh={refresh}", data=part, headers=NDJSON)
        assert written["errors"] is False


async def test_all_of_it_is_there(loaded: Loaded) -> None:
    assert len(loaded.log.rows) == 10_000
    assert len(loaded.metrics.rows) > 60_000
    counted = {"select": [{"agg": "count", "as": "n"}]}
    for source in loaded.log_sources():
        told = await loaded.client.ok("POST", "/mix/query", json={"from": source, **counted})
        assert told["data"] == [{"n": len(loaded.log.rows)}], source
    for source in loaded.metric_sources():
        told = await loaded.client.ok("POST", "/mix/query", json={"from": source, **counted})
        assert told["data"] == [{"n": len(loaded.metrics.rows)}], source


@pytest.mark.parametrize("name", LOG)
async def test_the_access_log(loaded: Loaded, name: str) -> None:
    await same_rows(loaded.client, LOG[name], loaded.log_sources(), loaded.log)


@pytest.mark.parametrize("name", METRICS)
async def test_the_metrics(loaded: Loaded, name: str) -> None:
    await same_rows(loaded.client, METRICS[name], loaded.metric_sources(), loaded.metrics)


async def same_rows(client: Client, body: Body, sources: list[Body], table: Table) -> None:
    """Every source answers the rows that the reference tells, and all sources one another's."""
    expected = answer(body, {"": table} | {key(source): table for source in sources}, time.time_ns())
    assert expected.ranked, "a body that finds nothing shows nothing"
    answers = [await client.ok("POST", "/mix/query", json={"from": source, **body}) for source in sources]
    wrong: list[str] = []
    for source, told in zip(sources, answers, strict=True):
        wrong += [f"{source['source']}: {fault}" for fault in differences(expected, told)]
        wrong += [f"{source['source']}: {fault}" for fault in apart(answers[0], told, expected)]
        assert told["meta"]["partial"] is False
        assert not any(column["approximate"] for column in told["columns"]), source
    assert not wrong, "\n".join(wrong)


def key(source: Body) -> str:
    return "/".join(str(part) for part in source.values())


def apart(first: Mapping[str, Any], other: Mapping[str, Any], expected: Answer) -> list[str]:
    """Where two answers are not the same row by row: floats to RELATIVE (or what their sum allows), all else exactly."""
    if len(first["data"]) != len(other["data"]):
        return [f"{len(other['data'])} rows instead of {len(first['data'])}"]
    found: list[str] = []
    for at, (row, its) in enumerate(zip(first["data"], other["data"], strict=True)):
        slack = expected.slack[at]
        for name, cell in row.items():
            allowed = slack.get(name, 0.0)
            if isinstance(cell, float) and isinstance(its[name], float):
                if abs(cell - its[name]) > 2 * max(allowed, RELATIVE * abs(cell)):
                    found.append(f"row {at}, {name}: {its[name]!r} instead of {cell!r}")
            elif cell != its[name]:
                found.append(f"row {at}, {name}: {its[name]!r} instead of {cell!r}")
    return found[:5]
