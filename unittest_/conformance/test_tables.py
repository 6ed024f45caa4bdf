"""The tables of the reference hold what real stores hold: the one place where the oracle itself meets Elasticsearch and InfluxDB."""

from __future__ import annotations

import json
import math
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from unittest_.conformance.data import DataSet, Point, data_sets
from unittest_.reference.tables import Column, Row
from unittest_.reference.times import instant

PREFIX = "conformance-tables"
SETS = list(data_sets().values())


def _call(url: str, method: str = "GET", body: bytes | None = None, kind: str = "application/json") -> Any:
    request = urllib.request.Request(url, data=body, method=method, headers={"Content-Type": kind} if body else {})
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


@pytest.fixture(params=SETS, ids=lambda one: one.name)
def index(es_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[DataSet, str]]:
    data: DataSet = request.param
    url = f"{es_url}/{PREFIX}-{data.name}"
    mapping = {"mappings": {"dynamic": "strict", "properties": data.properties}}
    _call(url, "PUT", json.dumps(mapping).encode())
    try:
        lines = [json.dumps(part) for id_, source in data.documents for part in ({"create": {"_id": id_}}, source)]
        if lines:
            body = "\n".join([*lines, ""]).encode()
            report = _call(f"{url}/_bulk?refresh=true", "POST", body, "application/x-ndjson")
            assert not report["errors"], [item for item in report["items"] if item["create"]["status"] != 201][:3]
        yield data, url
    finally:
        _call(url, "DELETE")


def test_documents(index: tuple[DataSet, str]) -> None:
    data, url = index
    table = data.tables["documents"]
    wanted: list[Any] = []
    for name, spec in table.fields.items():
        if spec.type == "timestamp":
            wanted.append({"field": name, "format": "strict_date_optional_time_nanos"})
        elif spec.role != "id" and spec.type != "json":
            wanted.append(name)
    asked = {"size": 5000, "_source": True, "fields": wanted, "query": {"match_all": {}}}
    hits = _call(f"{url}/_search", "POST", json.dumps(asked).encode())["hits"]["hits"]
    held = {hit["_id"]: _row(hit, data) for hit in hits}
    assert held.keys() == {row["_id"] for row in table.rows}
    for row in table.rows:
        assert held[row["_id"]] == row


def _row(hit: dict[str, Any], data: DataSet) -> Row:
    row: Row = {"_id": hit["_id"]}
    for name, spec in data.tables["documents"].fields.items():
        if spec.type == "json":
            if hit["_source"].get(name) not in (None, []):
                row[name] = hit["_source"][name]
            continue
        values = [_value(value, Column(name, spec.type)) for value in hit.get("fields", {}).get(name, ())]
        if values:
            row[name] = values if spec.multi else values[0]
    return row


def _value(value: Any, column: Column) -> Any:
    if column.type == "timestamp":
        return instant(value, 0)
    return float(value) + 0.0 if column.type == "float64" else value


@pytest.fixture(params=[one for one in SETS if one.points is not None], ids=lambda one: one.name)
def measurement(influx_url: str, request: pytest.FixtureRequest) -> Iterator[tuple[DataSet, str]]:
    data: DataSet = request.param
    name = f"{PREFIX}-{data.name}"
    _statement(influx_url, f'CREATE DATABASE "{name}"')
    try:
        lines = "\n".join(line(data.name, point) for point in data.points or ())
        _call(f"{influx_url}/write?db={name}&precision=ns", "POST", lines.encode(), "text/plain")
        yield data, f"{influx_url}/query?db={name}&epoch=ns"
    finally:
        _statement(influx_url, f'DROP DATABASE "{name}"')


def _statement(url: str, text: str) -> Any:
    return _call(
        f"{url}/query", "POST", urllib.parse.urlencode({"q": text}).encode(), "application/x-www-form-urlencoded"
    )


def test_series(measurement: tuple[DataSet, str]) -> None:
    data, url = measurement
    table = data.tables["series"]
    text = f'SELECT * FROM "{data.name}" WHERE time >= -9223372036854775806 AND time <= 9223372036854775806'
    answer = _call(f"{url}&{urllib.parse.urlencode({'q': text})}")["results"][0]["series"][0]
    held = [
        {
            name: _value(value, Column(name, "float64")) if table.fields[name].type == "float64" else value
            for name, value in zip(answer["columns"], values, strict=True)
            if value is not None
        }
        for values in answer["values"]
    ]
    key = _identity(table.fields.keys())
    assert sorted(held, key=key) == sorted(table.rows, key=key)


def _identity(names: Any) -> Any:
    ordered = sorted(names)
    return lambda row: (row["time"], [repr(row.get(name)) for name in ordered])


def line(measurement: str, point: Point) -> str:
    """One line of InfluxDB's line protocol."""
    tags = "".join(f",{_escape(name)}={_escape(value)}" for name, value in sorted(point.tags.items()))
    fields = ",".join(f"{_escape(name)}={_field(value)}" for name, value in point.fields.items())
    return f"{measurement}{tags} {fields} {point.time}"


def _escape(text: str) -> str:
    return text.replace(",", "\\,").replace("=", "\\=").replace(" ", "\\ ")


def _field(value: bool | int | float | str) -> str:
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, bool):
        return "true" if value else "false"
    assert math.isfinite(value)
    return repr(value) if isinstance(value, float) else f"{value}i"
