"""A small data centre, made up: its hosts, the access log of its web servers, and the metrics that go with it.

The same seed makes the same data, minute by minute, whatever window is asked for: two windows that overlap agree. Days
are busy and nights quiet, some hosts are silent for a while, and a few times a day a burst of requests makes the web
servers of one data centre slow and faulty while their CPUs rise. Times are nanoseconds since 1970, windows half-open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any, TypedDict

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
BURST_SLOT = 6 * HOUR

Document = dict[str, Any]


class Point(TypedDict):
    """One point of a series; `time` in nanoseconds since 1970."""

    measurement: str
    tags: dict[str, str]
    fields: dict[str, bool | int | float | str]
    time: int


@dataclass(frozen=True, slots=True)
class Host:
    """A server: `base_cpu` is what it uses when idle, in percent."""

    name: str
    role: str
    dc: str
    region: str
    cpus: int
    memory_gb: int
    base_cpu: float


@dataclass(frozen=True, slots=True)
class Burst:
    """A time of trouble for the web servers of one data centre."""

    dc: str
    start: int
    end: int

    def strength(self, time: int) -> float:
        """0 outside, up to 1 in the middle."""
        if not self.start <= time < self.end:
            return 0.0
        middle = (self.start + self.end) / 2
        return 1.0 - abs(time - middle) / (middle - self.start) * 0.6


_CENTRES = (("dc1", "eu-west"), ("dc2", "us-east"))
# Role, hosts of it, CPUs, memory in GB, idle CPU in percent.
_ROLES = (("web", 6, 8, 32, 8.0), ("api", 4, 16, 64, 12.0), ("db", 2, 32, 256, 15.0), ("cache", 2, 8, 128, 4.0))
_PATHS = (
    ("/", 30),
    ("/products", 18),
    ("/products/{}", 22),
    ("/search", 9),
    ("/cart", 7),
    ("/checkout", 3),
    ("/login", 4),
    ("/api/v1/orders", 5),
    ("/static/app.js", 6),
    ("/produkte/größe", 1),
    ("/admin", 1),
)
_METHODS = {"/cart": "POST", "/checkout": "POST", "/login": "POST", "/api/v1/orders": "POST"}
_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "curl/8.10.1",
    "ExampleBot/2.1 (+http://bot.example.com/about)",
)
# Addresses that stand in documents and belong to nobody.
_NETWORKS = ("192.0.2.{}", "198.51.100.{}", "203.0.113.{}", "2001:db8::{:x}")


def hosts(seed: int = 1) -> list[Host]:
    """The hosts, by name: web-1 to web-6 and so on, spread over two data centres."""
    random = Random(f"{seed}:hosts")
    return [
        Host(f"{role}-{number}", role, *_CENTRES[number % 2], cpus, memory_gb, base_cpu + random.uniform(-2.0, 4.0))
        for role, amount, cpus, memory_gb, base_cpu in _ROLES
        for number in range(1, amount + 1)
    ]


def inventory(seed: int = 1) -> Iterator[Document]:
    """A document for each host, what is known of it; not every one has an owner."""
    random = Random(f"{seed}:inventory")
    for host in hosts(seed):
        document: Document = {
            "_id": host.name,
            "host": host.name,
            "role": host.role,
            "dc": host.dc,
            "region": host.region,
            "cpus": host.cpus,
            "memory_gb": host.memory_gb,
            "os": random.choice(("Debian 12", "Debian 13", "Ubuntu 24.04")),
            "labels": sorted(random.sample(("critical", "public", "pci", "canary"), random.randint(0, 3))),
        }
        if random.random() < 0.8:
            document["owner"] = {"team": random.choice(("shop", "platform", "data")), "pager": random.random() < 0.5}
        yield document


@cache
def burst_of(slot: int, seed: int) -> Burst:
    """The burst of a slot of six hours since 1970."""
    random = Random(f"{seed}:burst:{slot}")
    start = slot * BURST_SLOT + random.randrange(5 * 60, 5 * 3600) * SECOND
    return Burst(random.choice(_CENTRES)[0], start, start + random.randrange(5 * 60, 20 * 60) * SECOND)


def bursts(start: int, end: int, seed: int = 1) -> list[Burst]:
    """The bursts that touch the window, in time order."""
    slots = range(start // BURST_SLOT, (end - 1) // BURST_SLOT + 1)
    return [burst for slot in slots if (burst := burst_of(slot, seed)).end > start and burst.start < end]


def load(time: int) -> float:
    """How busy the users are, 0.15 at night to 1 in the afternoon (UTC), less at weekends."""
    hour = time % (24 * HOUR) / HOUR
    day = 0.15 + 0.85 * max(0.0, math.sin((hour - 5.0) / 18.0 * math.pi)) ** 1.5 if 5.0 < hour < 23.0 else 0.15
    weekday = (time // (24 * HOUR) + 3) % 7
    return day * (0.6 if weekday >= 5 else 1.0)


def trouble(host: Host, time: int, seed: int) -> float:
    """How hard a burst hits the host at this time, 0 to 1; those behind the web servers feel a third."""
    strength = burst_of(time // BURST_SLOT, seed).strength(time)
    if not strength or burst_of(time // BURST_SLOT, seed).dc != host.dc:
        return 0.0
    return strength if host.role == "web" else strength / 3


def access_log(start: int, end: int, *, seed: int = 1, per_minute: float = 40.0) -> Iterator[Document]:
    """The access log in time order, `per_minute` requests at full load; `_id` tells the same request again."""
    web = [host for host in hosts(seed) if host.role == "web"]
    for minute in range(start // MINUTE, -(-end // MINUTE)):
        random = Random(f"{seed}:access:{minute}")
        begin = minute * MINUTE
        hit = max(trouble(host, begin, seed) for host in web)
        expected = per_minute * load(begin) * (1.0 + 1.5 * hit)
        amount = max(0, round(random.gauss(expected, math.sqrt(expected))))
        for number, offset in enumerate(sorted(random.randrange(60_000) for _ in range(amount))):
            time = begin + offset * 1_000_000
            document = _request(random, web, time, seed)
            if start <= time < end:
                yield {"_id": f"{minute}-{number}", **document}


def _request(random: Random, web: list[Host], time: int, seed: int) -> Document:
    host = random.choice(web)
    hit = trouble(host, time, seed)
    path = random.choices([path for path, _ in _PATHS], [weight for _, weight in _PATHS])[0]
    status = _status(random, path, hit)
    agent = random.choice(_AGENTS)
    document: Document = {
        "@timestamp": timestamp(time),
        "host": host.name,
        "dc": host.dc,
        "region": host.region,
        "client_ip": random.choice(_NETWORKS).format(random.randint(1, 254)),
        "method": _METHODS.get(path, "GET"),
        "path": path.format(random.randint(1, 500)),
        "status": status,
        "bytes": 0 if status == 304 else int(random.lognormvariate(8.0, 1.2)),
        "latency_ms": round(random.lognormvariate(3.2, 0.6) * (1.0 + 9.0 * hit), 3),
        "user_agent": agent,
    }
    if random.random() < 0.35:
        document["user"] = f"user-{random.randint(1, 300)}"
    if random.random() < 0.5:
        document["referrer"] = random.choice(("https://search.example.com/", "https://shop.example.com/", ""))
    tags = [word for word, present in (("bot", "Bot" in agent), ("slow", document["latency_ms"] > 250)) if present]
    if tags:
        document["tags"] = tags
    return document


def _status(random: Random, path: str, hit: float) -> int:
    if random.random() < 0.004 + 0.4 * hit:
        return random.choice((500, 502, 503, 503, 504))
    if path == "/admin":
        return 403
    return random.choices((200, 201, 301, 304, 404, 429), (85, 4, 2, 6, 3, 1 + 10 * hit))[0]


def metrics(start: int, end: int, *, seed: int = 1, step_seconds: int = 60) -> Iterator[Point]:
    """The points of cpu, mem, disk and net of every host, in time order, one each `step_seconds`."""
    every = hosts(seed)
    step = step_seconds * SECOND
    for time in range(-(-start // step) * step, end, step):
        for host in every:
            random = Random(f"{seed}:{host.name}:{time}")
            # One sample in two hundred is lost, and each host is silent for some minutes a day.
            if random.random() < 0.005 or _silent(host, time, seed):
                continue
            yield from _points(random, host, time, seed)


def _silent(host: Host, time: int, seed: int) -> bool:
    day = time // (24 * HOUR)
    random = Random(f"{seed}:silence:{host.name}:{day}")
    begin = day * 24 * HOUR + random.randrange(24 * 60) * MINUTE
    return begin <= time < begin + random.randrange(10) * MINUTE


def _points(random: Random, host: Host, time: int, seed: int) -> Iterator[Point]:
    busy, hit = load(time), trouble(host, time, seed)
    tags = {"host": host.name, "dc": host.dc, "region": host.region, "role": host.role}
    usage = min(100.0, max(0.0, host.base_cpu + 40.0 * busy + 45.0 * hit + random.gauss(0.0, 3.0)))
    memory = host.memory_gb * 1024**3
    used = int(memory * min(0.97, 0.35 + 0.25 * busy + 0.2 * hit + random.uniform(-0.02, 0.02)))
    traffic = (0.2 + busy + 2.0 * hit) * (4e6 if host.role == "web" else 1.5e6)
    yield _point("cpu", tags, time, {
        "usage": round(usage, 2),
        "system": round(usage * random.uniform(0.2, 0.3), 2),
        "iowait": round(random.expovariate(1.0) + 6.0 * hit, 2),
        "load1": round(host.cpus * usage / 100.0 * random.uniform(0.9, 1.2), 2),
        "cores": host.cpus,
    })  # fmt: skip
    yield _point("mem", tags, time, {
        "used_bytes": used,
        "used_percent": round(100.0 * used / memory, 2),
        "swapping": hit > 0.8,
    })  # fmt: skip
    yield _point("disk", {**tags, "device": "nvme0n1"}, time, {
        "used_percent": round(40.0 + 0.5 * (time // HOUR % 24) + random.uniform(0.0, 0.4), 2),
        "read_bytes": int(random.expovariate(1.0) * 2e6 * (1.0 + busy)),
        "write_bytes": int(random.expovariate(1.0) * 1e6 * (1.0 + busy + 3.0 * hit)),
    })  # fmt: skip
    yield _point("net", {**tags, "interface": "eth0"}, time, {
        "in_bytes": int(traffic * random.uniform(0.8, 1.2)),
        "out_bytes": int(traffic * random.uniform(3.0, 5.0)),
        "errors": int(hit > 0.0 and random.random() < hit),
    })  # fmt: skip


def _point(measurement: str, tags: dict[str, str], time: int, fields: dict[str, bool | int | float | str]) -> Point:
    return {"measurement": measurement, "tags": tags, "fields": fields, "time": time}


def timestamp(time: int) -> str:
    """RFC 3339 in UTC with milliseconds."""
    whole = datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{whole}.{time % SECOND // 1_000_000:03d}Z"
