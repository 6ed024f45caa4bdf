"""A request walks one way: apps, parser, query, operator_, middlewares, each stage ended before the next begins."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from unittest_.live import Client, service

ROOT = Path(__file__).parent.parent
WALK = ["apps", "parser", "query", "operator_", "middlewares"]
# Stages 3 to 8, each by the function that it begins with.
STAGES = [
    "parser/json_body.py:parse_body",
    "query/bind.py:bind",
    "query/optimizer.py:optimize",
    "query/factory.py:compile",
    "operator_/build.py:build",
    "middlewares/format.py:page_response",
]
BODIES: dict[str, Any] = {
    "rows": {"where": {"field": "size", "op": "gte", "value": 2}, "order_by": ["size"]},
    "groups": {"group_by": ["host"], "select": [{"agg": "sum", "field": "size", "as": "s"}], "order_by": ["s"]},
    "here": {
        "group_by": ["host"],
        "select": [{"agg": "count", "as": "n"}, {"expr": "n * 2", "as": "x"}],
        "having": {"field": "x", "op": "gt", "value": 1},
    },
}


@dataclass
class Footsteps:
    """The calls of this thread into the project: when each function was first and last entered, by `path:name`."""

    first: dict[str, int] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def step(self, frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(str(ROOT)):
            return
        path = Path(code.co_filename).relative_to(ROOT)
        if path.parts[0] in WALK:
            name = f"{path}:{code.co_name}"
            self.count += 1
            self.first.setdefault(name, self.count)
            self.last[name] = self.count

    def packages(self) -> list[str]:
        """The packages as they were first entered, from the resource in `apps` on (who asks is known before it)."""
        begun = min(at for name, at in self.first.items() if name.startswith("apps/"))
        entered: dict[str, int] = {}
        for name, at in self.first.items():
            package = name.partition("/")[0]
            if at >= begun:
                entered[package] = min(at, entered.get(package, at))
        return sorted(entered, key=entered.__getitem__)


@contextmanager
def footsteps() -> Iterator[Footsteps]:
    found, before = Footsteps(), sys.getprofile()
    sys.setprofile(found.step)
    try:
        yield found
    finally:
        sys.setprofile(before)


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with service(tmp_path_factory.mktemp("walk"), slow_query_seconds=60) as client:
        properties = {"host": {"type": "keyword"}, "size": {"type": "long"}}
        index = {"index": "walked", "settings": {}, "mappings": {"properties": properties}}
        await client.ok("POST", "/es/index", json=index)
        documents = [{"host": f"h{at % 2}", "size": at} for at in range(6)]
        await client.ok("POST", "/es/walked/docs?refresh=true", json=documents)
        await client.ok("PUT", "/influx/walked")
        lines = "\n".join(f"cpu,host=h{at % 2} size={at}i {at}" for at in range(6))
        await client.ok("POST", "/influx/walked/cpu/points", data=lines, headers={"content-type": "text/plain"})
        yield client


@pytest.mark.parametrize("path", ["/es/walked/query", "/influx/walked/cpu/query"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_the_walk_goes_one_way(client: Client, path: str, body: Any) -> None:
    # What is made once, at the first request, is made; what is kept of a body that comes again is not used.
    await client.ok("POST", path, json={**body, "limit": 99})
    with footsteps() as found:
        answer = await client.ok("POST", path, json=body)
    assert answer["data"]
    assert found.packages() == WALK
    begun = [found.first[stage] for stage in STAGES]
    assert begun == sorted(begun), dict(zip(STAGES, begun, strict=True))
    # No step back: the parser is done when binding begins, and nothing is planned once the operators are built.
    assert max(at for name, at in found.last.items() if name.startswith("parser/")) < found.first[STAGES[1]]
    for planned in ("query/bind", "query/rules/", "query/optimizer.py"):
        assert max(at for name, at in found.last.items() if name.startswith(planned)) < found.first[STAGES[4]]
    executed = max(at for name, at in found.last.items() if name.startswith("operator_/"))
    assert executed < found.first[STAGES[5]]


@pytest.mark.parametrize(("body", "stages"), [({"limit": "many"}, 1), ({"order_by": ["nothing"]}, 2)])
async def test_a_refused_body_walks_no_further(client: Client, body: Any, stages: int) -> None:
    with footsteps() as found:
        status, _ = await client.send("POST", "/es/walked/query", json=body)
    assert status == 422
    assert [stage for stage in STAGES if stage in found.first] == STAGES[:stages]
