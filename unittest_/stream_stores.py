"""The three stores behind one service, with the same rows in each, for what streams and cursors have to hold."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.instances import InstanceSettings
from unittest_.live import Client, service

STORES = ("embedded", "elasticsearch", "embedded-series", "influx")
BASE_MS = 1_700_000_000_000
_PART = 50_000


@dataclass
class Stores:
    """`client` of a service whose instances are STORES; `name` is the index and the database in each."""

    client: Client
    name: str

    def path(self, store: str) -> str:
        if store in ("embedded", "elasticsearch"):
            return f"/{INSTANCES[store]}/{self.name}/query"
        return f"/{INSTANCES[store]}/{self.name}/content/query"

    def time_field(self, store: str) -> str:
        return "@timestamp" if store in ("embedded", "elasticsearch") else "time"


INSTANCES = {"embedded": "es", "elasticsearch": "es-real", "embedded-series": "influx", "influx": "influx-real"}


@asynccontextmanager
async def stores(folder: Path, es_url: str, influx_url: str, rows: int, **settings: Any) -> AsyncIterator[Stores]:
    """Rows 0 to `rows`: `n` is the number, `host` one of seven, `text` awkward, `part` missing in every third."""
    instances = {
        "es-real": InstanceSettings(kind="documents", url=es_url),
        "influx-real": InstanceSettings(kind="series", url=influx_url),
    }
    name = f"stream-{uuid.uuid4().hex[:10]}"
    async with service(folder, instances=instances, **settings) as client:
        made = Stores(client, name)
        try:
            for store in STORES:
                await load(client, INSTANCES[store], name, rows)
            yield made
        finally:
            for store in STORES:
                await drop(client, INSTANCES[store], name)


async def load(client: Client, instance: str, name: str, rows: int) -> None:
    if instance.startswith("es"):
        await client.ok("POST", f"/{instance}/index", json={"index": name, "mappings": _MAPPINGS, "settings": _ONE})
        for body in _parts(rows, _document):
            sent = {"data": body, "headers": {"content-type": "application/x-ndjson"}}
            await client.ok("POST", f"/{instance}/{name}/docs?refresh=true", **sent)
        return
    await client.ok("PUT", f"/{instance}/{name}")
    for body in _parts(rows, _point):
        sent = {"data": body, "headers": {"content-type": "text/plain"}}
        await client.ok("POST", f"/{instance}/{name}/content/points", **sent)


async def drop(client: Client, instance: str, name: str) -> None:
    await client.send("DELETE", f"/{instance}/{name}")


_ONE = {"number_of_shards": 2, "number_of_replicas": 0}
_MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "n": {"type": "long"},
        "host": {"type": "keyword"},
        "text": {"type": "keyword"},
        "part": {"type": "double"},
    }
}


def text(at: int) -> str:
    """Quotes, separators, a formula, line ends."""
    return ('=1+1 "a", b', "plain words of some length", "two\nlines\r\n", "-é,;\t", "@sum", " ")[at % 6]


def _document(at: int) -> str:
    row: dict[str, Any] = {"@timestamp": BASE_MS + at // 3, "n": at, "host": f"h{at % 7}", "text": text(at)}
    return json.dumps(row if at % 3 == 0 else row | {"part": at / 4})


def _point(at: int) -> str:
    shown = text(at).replace("\\", "\\\\").replace('"', '\\"')
    part = "" if at % 3 == 0 else f",part={at / 4}"
    return f'content,host=h{at % 7} n={at}i,text="{shown}"{part} {(BASE_MS + at // 3) * 1_000_000}'


def _parts(rows: int, line: Any) -> Iterator[bytes]:
    for start in range(0, rows, _PART):
        yield ("\n".join(line(at) for at in range(start, min(start + _PART, rows))) + "\n").encode()
