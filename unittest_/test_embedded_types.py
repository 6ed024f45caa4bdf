"""Odd documents in a real Elasticsearch and in the embedded store: the same mapping, stored values, ignored fields and errors.

Two things are held apart. Elasticsearch's texts of errors name positions and Java classes, so the type of the error and the
field that it names are compared. A `float` is compared by the 32-bit value, since what decimal Elasticsearch shows of it
depends on the age of its Java.
"""

from __future__ import annotations

import json
import re
import struct
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from libs.context import RequestContext
from libs.errors import RequestError
from query.backend import InstanceConfig
from query.catalog import Field, SourceRef
from query.document_store import Document
from query.embedded import open_backend
from query.embedded.documents import EmbeddedDocuments
from query.embedded.documents_state import StoredField
from query.plan import Scan
from unittest_.embedded_type_cases import CASES, Case

SOURCE = "typed"


def _call(url: str, method: str, body: bytes | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedDocuments]:
    folder: Path = tmp_path_factory.mktemp("embedded-types")
    backend = open_backend(InstanceConfig(SOURCE, "documents", None, str(folder)))
    yield cast(EmbeddedDocuments, backend)
    await backend.close()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_types_on_write(case: Case, es_url: str, embedded: EmbeddedDocuments) -> None:
    real = _elasticsearch(es_url, case)
    ours = await _embedded(embedded, case)
    assert ours["created"] == real["created"]
    if not real["created"]:
        return
    wrong = [
        f"{what} of {document[:80]!r}: {ours[what].get(number)} instead of {real[what].get(number)}"
        for number, document in enumerate(case.documents)
        for what in ("errors", "ignored", "values")
        if ours[what].get(number) != real[what].get(number)
    ]
    assert not wrong, "\n".join(wrong)
    assert _plain(ours["mapping"]) == _plain(real["mapping"])


def _plain(mapping: Any) -> Any:
    """A mapping without its spellings: Elasticsearch answers `dynamic` as text and leaves the type of objects away."""
    if not isinstance(mapping, dict):
        return mapping
    plain = {name: _plain(value) for name, value in mapping.items()}
    if "dynamic" in plain:
        plain["dynamic"] = str(plain["dynamic"]).lower()
    if plain.get("type") == "object" and "properties" in plain:
        del plain["type"]
    return plain


def _elasticsearch(url: str, case: Case) -> dict[str, Any]:
    index = f"{url}/embedded-types-{uuid.uuid4().hex[:10]}"
    settings = {**case.settings, "number_of_shards": 1, "number_of_replicas": 0}
    status, _ = _call(index, "PUT", json.dumps({"settings": settings, "mappings": case.mapping}).encode())
    if status != 200:
        return {"created": False}
    try:
        errors = {}
        for number, document in enumerate(case.documents):
            status, answer = _call(f"{index}/_create/{number}", "PUT", document)
            if status != 201:
                errors[number] = (status, answer["error"]["type"], _named(answer["error"]["reason"]))
        _call(f"{index}/_refresh", "POST")
        mapping = next(iter(_call(f"{index}/_mapping", "GET")[1].values()))["mappings"]
        kinds = dict(_kinds(mapping.get("properties", {}), ""))
        asked = {"size": 1000, "fields": _asked(kinds), "query": {"match_all": {}}, "track_total_hits": True}
        hits = _call(f"{index}/_search", "POST", json.dumps(asked).encode())[1]["hits"]["hits"]
    finally:
        _call(index, "DELETE")
    return {
        "created": True,
        "errors": errors,
        "mapping": mapping,
        "ignored": {int(hit["_id"]): sorted(hit["_ignored"]) for hit in hits if "_ignored" in hit},
        "values": {int(hit["_id"]): _fields(hit.get("fields", {}), kinds) for hit in hits},
    }


def _kinds(properties: Mapping[str, Any], prefix: str) -> Sequence[tuple[str, Mapping[str, Any]]]:
    found: list[tuple[str, Mapping[str, Any]]] = []
    for name, spec in properties.items():
        if "properties" in spec and spec.get("type") != "nested":
            found += _kinds(spec["properties"], f"{prefix}{name}.")
            continue
        found.append((prefix + name, spec))
        found += [(f"{prefix}{name}.{sub}", inner) for sub, inner in spec.get("fields", {}).items()]
    return found


def _asked(kinds: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    dates = {"format": "strict_date_optional_time_nanos"}
    return [
        {"field": name, **(dates if str(spec.get("type")).startswith("date") else {})} for name, spec in kinds.items()
    ]


def _fields(fields: Mapping[str, list[Any]], kinds: Mapping[str, Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Elasticsearch's `fields` as the embedded store holds them; nested members, which it shows flat, left out."""
    held = {}
    for name, values in fields.items():
        spec = kinds.get(name, {})
        kind = spec.get("type")
        if kind in (None, "nested", "flattened"):
            continue
        held[name] = [_value(value, str(kind), spec) for value in values]
    return held


def _value(value: Any, kind: str, spec: Mapping[str, Any]) -> Any:
    if kind in ("date", "date_nanos") and isinstance(value, str):
        return _instant(value, "ms" if kind == "date" else "ns")
    if kind in ("float", "half_float"):
        return struct.unpack("f", struct.pack("f", value))[0] + 0.0
    return value + 0.0 if isinstance(value, float) else value


def _instant(text: str, unit: str) -> int:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    moment = datetime.fromisoformat(whole + "+00:00")
    seconds = (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)
    return seconds * (1000 if unit == "ms" else 10**9) + int(fraction.ljust(9, "0")[: 3 if unit == "ms" else 9] or 0)


def _named(reason: str) -> list[str]:
    """The fields that an error's text names."""
    return re.findall(r"(?:field|mapper|of|mapping|for) \[([^\]]*)\]", reason)[:1]


async def _embedded(backend: EmbeddedDocuments, case: Case) -> dict[str, Any]:
    index = f"t-{uuid.uuid4().hex[:10]}"
    context = RequestContext()
    try:
        await backend.create_index(index, case.settings, case.mapping, context)
    except RequestError:
        return {"created": False}
    errors = {}
    for number, document in enumerate(case.documents):
        (entry,) = await backend.bulk(index, [Document(document, str(number))], True, context)
        if "error" in entry:
            errors[number] = (entry["status"], entry["error"]["type"], _named(entry["error"]["reason"]))
    table = await backend.table(SourceRef(SOURCE, (index,)), context)
    mapping = (await backend.describe_index(index, context))["mappings"]
    names = tuple(table.fields)
    values: dict[int, dict[str, list[Any]]] = {}
    query = backend.compile(Scan(SourceRef(SOURCE, (index,)), names, table=table))
    tolerant = RequestContext(partial_allowed=True)
    async for batch in query.stream(tolerant):
        for row in batch.rows():
            held = {
                name: _shown(cell, table.fields[name])
                for name, cell in zip(names, row, strict=True)
                if cell is not None
            }
            (number,) = held.pop("_id")
            values[int(number)] = {name: cells for name, cells in held.items() if cells}
    ignored = await _ignored(backend, index)
    return {"created": True, "errors": errors, "mapping": mapping, "values": values, "ignored": ignored}


async def _ignored(backend: EmbeddedDocuments, index: str) -> dict[int, list[str]]:
    state = backend.store.documents.indices[SOURCE, index]
    names = {column.number: column.name for column in state.columns.values()}
    async with backend.store.readers.reader(RequestContext(), SOURCE) as reader:
        rows = await reader.all(f"SELECT _id, _ignored FROM {state.table} WHERE _ignored IS NOT NULL")
    return {int(number): sorted(names[one] for one in lost) for number, lost in rows}


def _shown(cell: Any, member: Field) -> list[Any]:
    native = member.native
    assert isinstance(native, StoredField)
    if native.kind in ("nested", "flattened"):
        return []
    cells = cell if isinstance(cell, list) else [cell]
    if native.kind in ("float", "half_float"):
        return [struct.unpack("f", struct.pack("f", one))[0] for one in cells]
    return list(cells)


async def test_source_is_kept(embedded: EmbeddedDocuments) -> None:
    """Whatever the index holds, `_source` is what was sent."""
    context = RequestContext()
    await embedded.create_index("kept", {}, {"properties": {"n": {"type": "long"}, "f": {"type": "float"}}}, context)
    sent = b'{"n": "5", "f": 0.123456789, "s": "\\u00e9", "l": [1, null, 2]}'
    await embedded.insert("kept", Document(sent, "a"), True, context)
    answer = await embedded.search("kept", {}, context)
    assert answer["hits"]["hits"][0]["_source"] == orjson.loads(sent)
