"""Loads the samples into a running service, over HTTP as any client would."""

from __future__ import annotations

import time
from collections import defaultdict
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from apps.demo.encoding import to_lines, to_ndjson
from apps.demo.samples import HOUR, MINUTE, Document, Point, access_log, inventory, metrics
from libs.errors import HostMonitorError, UnavailableError

INDEX, HOSTS_INDEX, DATABASE = "access", "hosts", "telegraf"
BATCH = 5_000
SLICE = 30 * MINUTE
_KEYWORD = {"type": "keyword"}
MAPPINGS = {
    INDEX: {
        "@timestamp": {"type": "date"},
        **dict.fromkeys(("host", "dc", "region", "client_ip", "method", "path", "user", "referrer", "tags"), _KEYWORD),
        "status": {"type": "integer"},
        "bytes": {"type": "long"},
        "latency_ms": {"type": "double"},
        "user_agent": {"type": "text", "fields": {"keyword": _KEYWORD}},
    },
    HOSTS_INDEX: {
        **dict.fromkeys(("host", "role", "dc", "region", "os", "labels"), _KEYWORD),
        "cpus": {"type": "integer"},
        "memory_gb": {"type": "integer"},
        "owner": {"properties": {"team": _KEYWORD, "pager": {"type": "boolean"}}},
    },
}


async def load_demo(url: str, *, hours: int, seed: int, key: str | None = None) -> None:
    """Load the last `hours` of the data centre, with a progress bar; what is there already stays as it is. `key` is for a
    service that needs one.

    Raises HostMonitorError where the service does not answer, or refuses.
    """
    console = Console(stderr=True)
    end = time.time_ns() // MINUTE * MINUTE + MINUTE
    start = end - hours * HOUR
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    timeout = aiohttp.ClientTimeout(total=120)
    headers = {"x-api-key": key} if key else {}
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        client = _Client(session, url)
        with Progress(*columns, console=console) as progress:
            await client.prepare()
            slices = (end - start) // SLICE
            documents = progress.add_task("access log", total=slices)
            points = progress.add_task("metrics   ", total=slices)
            for begin in range(start, end, SLICE):
                await client.documents(INDEX, list(access_log(begin, begin + SLICE, seed=seed)))
                progress.advance(documents)
            await client.documents(HOSTS_INDEX, list(inventory(seed)))
            for begin in range(start, end, SLICE):
                await client.points(list(metrics(begin, begin + SLICE, seed=seed)))
                progress.advance(points)
    console.print(
        f"{client.written['documents']} documents in /es/{INDEX} and /es/{HOSTS_INDEX},"
        f" {client.written['points']} points in /influx/{DATABASE}; {client.written['known']} were there already."
        f" Ask at {url}/",
        soft_wrap=True,
    )


class _Client:
    """The routes of the service that the demonstration uses; `written` counts what was."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url
        self.written: defaultdict[str, int] = defaultdict(int)

    async def prepare(self) -> None:
        """Make the indices and the database, unless they are there."""
        for index, properties in MAPPINGS.items():
            body = {"index": index, "settings": {}, "mappings": {"properties": properties}}
            await self._post("/es/index", accepted=(200, 409), json=body)
        await self._post("/influx/db", accepted=(200, 409), json={"db": DATABASE})

    async def documents(self, index: str, documents: list[Document]) -> None:
        """Write documents; one whose id is there already is left as it is."""
        for begin in range(0, len(documents), BATCH):
            answer = await self._post(
                f"/es/{index}/docs",
                accepted=(200, 201, 207),
                params={"refresh": "true"},
                data=to_ndjson(documents[begin : begin + BATCH]),
                headers={"content-type": "application/x-ndjson"},
            )
            items = answer.get("data", answer)["items"]
            for item in items:
                if item["status"] not in (200, 201, 409):
                    raise HostMonitorError(f"a document of {index} was refused: {item.get('error')}")
            known = sum(item["status"] == 409 for item in items)
            self.written["known"] += known
            self.written["documents"] += len(items) - known

    async def points(self, points: list[Point]) -> None:
        """Write points, each measurement by itself; a point of the same tags and time is written over."""
        by_measurement: defaultdict[str, list[Point]] = defaultdict(list)
        for point in points:
            by_measurement[point["measurement"]].append(point)
        for measurement, those in by_measurement.items():
            for begin in range(0, len(those), BATCH):
                await self._post(
                    f"/influx/{DATABASE}/{measurement}/points",
                    accepted=(200, 201, 204),
                    data=to_lines(those[begin : begin + BATCH]),
                    headers={"content-type": "text/plain; charset=utf-8"},
                )
            self.written["points"] += len(those)

    async def _post(self, path: str, accepted: tuple[int, ...], **request: Any) -> Any:
        try:
            async with self._session.post(self._url + path, **request) as answer:
                if answer.status not in accepted:
                    said = (await answer.text())[:500]
                    raise HostMonitorError(f"POST {path} was answered with {answer.status}: {said}")
                return await answer.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise UnavailableError(
                f"no service answers at {self._url} ({str(error) or 'timeout'}); start it with: make run"
            ) from None
