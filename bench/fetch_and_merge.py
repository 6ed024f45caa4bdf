"""What an operations engineer writes without HostMonitor: fetch both sides whole, merge them in dictionaries.

Pages of documents by `search_after`, a thousand at a time (what Elasticsearch's own client helpers take), points by one
query, everything by the standard library over connections that stay open.
"""

from __future__ import annotations

import http.client
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from bench.fleet import MEASUREMENT, MINUTE, Fleet

PAGE = 1_000
Row = dict[str, Any]


class Stores:
    """Connections to both stores."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self._es = http.client.HTTPConnection(urlsplit(fleet.es_url).netloc)
        self._influx = http.client.HTTPConnection(urlsplit(fleet.influx_url).netloc)

    def documents(self, start: int, end: int, condition: Row) -> Iterator[Row]:
        """The sources of the documents of a time range (seconds), by time."""
        times = {"range": {"@timestamp": {"gte": start * 1000, "lt": end * 1000}}}
        body: Row = {
            "size": PAGE,
            "query": {"bool": {"filter": [times, condition]}},
            "sort": [{"@timestamp": "asc"}, {"_doc": "asc"}],
        }
        while True:
            headers = {"Content-Type": "application/json"}
            self._es.request("POST", f"/{self.fleet.index}/_search", json.dumps(body), headers)
            hits = json.loads(self._es.getresponse().read())["hits"]["hits"]
            for hit in hits:
                yield hit["_source"]
            if len(hits) < PAGE:
                return
            body["search_after"] = hits[-1]["sort"]

    def points(self, start: int, end: int) -> Iterator[tuple[int, str, float]]:
        """(time in seconds, host, usage) of a time range, by time."""
        query = f"SELECT host, usage FROM {MEASUREMENT} WHERE time >= {start}s AND time < {end}s"
        params = urlencode({"db": self.fleet.db, "q": query, "epoch": "s"})
        self._influx.request("GET", f"/query?{params}")
        answer = json.loads(self._influx.getresponse().read())
        yield from answer["results"][0]["series"][0]["values"]

    def close(self) -> None:
        self._es.close()
        self._influx.close()


def errors_beside_cpu(stores: Stores, start: int, end: int) -> list[Row]:
    """Errors per host and minute, with the mean CPU of that host and minute."""
    errors: dict[tuple[str, int], int] = defaultdict(int)
    for document in stores.documents(start, end, {"range": {"status": {"gte": 500}}}):
        minute = document["@timestamp"] // 1000 // MINUTE * MINUTE
        errors[document["host"], minute] += 1
    usages: dict[tuple[str, int], list[float]] = defaultdict(list)
    for time, name, usage in stores.points(start, end):
        usages[name, time // MINUTE * MINUTE].append(usage)
    rows = []
    for (name, minute), count in sorted(errors.items()):
        found = usages.get((name, minute))
        rows.append({"host": name, "t": minute, "errors": count, "cpu": sum(found) / len(found) if found else None})
    return rows


def logs_beside_cpu(stores: Stores, start: int, end: int, service: str, tolerance: int) -> list[Row]:
    """The service's log rows, each with its host's latest CPU, at most `tolerance` seconds old."""
    times: dict[str, list[int]] = defaultdict(list)
    usages: dict[str, list[float]] = defaultdict(list)
    for time, name, usage in stores.points(start - tolerance, end):
        times[name].append(time)
        usages[name].append(usage)
    rows = []
    for document in stores.documents(start, end, {"term": {"service": service}}):
        name, when = document["host"], document["@timestamp"]
        at = bisect_right(times[name], when / 1000) - 1
        near = at >= 0 and when - times[name][at] * 1000 <= tolerance * 1000
        rows.append({**document, "cpu": usages[name][at] if near else None})
    return rows
