"""Docs and code agree: codes, operators, aggregates, routes; and every example of the language's page answers, on the
embedded store and on the real ones."""

from __future__ import annotations

import json
import re
import shlex
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from apps.demo import load_demo
from apps.demo.encoding import to_lines, to_ndjson
from apps.demo.loading import DATABASE, HOSTS_INDEX, INDEX, MAPPINGS
from apps.demo.samples import HOUR, MINUTE, Point, access_log, inventory, metrics
from dev.write_docs import errors_page
from query.dynamic_settings import DYNAMIC
from query.vocabulary import AGGREGATES, OPERATORS
from unittest_.live import Client, service

DOCS = Path(__file__).parent.parent / "docs"
LANGUAGE = (DOCS / "query-language.md").read_text()
EXAMPLE = re.compile(r"<!-- example: (\w+) (\S+) -->\n```json\n(.*?)```", re.DOTALL)
FOUND = EXAMPLE.findall(LANGUAGE)
# What queries of the page need beside the demonstration's data, and those queries.
TABLES = [(path, body) for method, path, body in FOUND if method == "PUT"]
EXAMPLES = [(path, body) for method, path, body in FOUND if method == "POST"]
IDS = [f"{at}{path}" for at, (path, _) in enumerate(EXAMPLES)]


@pytest.fixture(scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with service(tmp_path_factory.mktemp("demo")) as client:
        await load_demo(client.url, hours=24, seed=1)
        await put_tables(client)
        yield client


async def put_tables(client: Client) -> None:
    for path, body in TABLES:
        await client.ok("PUT", path, json=json.loads(body))


@pytest.mark.parametrize(("path", "body"), EXAMPLES, ids=IDS)
async def test_examples_of_the_language_answer_rows(demo: Client, path: str, body: str) -> None:
    answer = await demo.ok("POST", path, json=json.loads(body))
    assert answer["data"]
    explained = await demo.ok("POST", f"{path}/explain", json=json.loads(body))
    assert explained["data"]
    canonical = (await demo.ok("POST", f"{path}/validate", json=json.loads(body)))["data"]
    again = await demo.ok("POST", "/mix/query", json=canonical)
    assert again["data"] == answer["data"] or "now" in body


@dataclass(frozen=True)
class Real:
    """The service over real stores; `name` is the database, and stands before the names of the indices."""

    client: Client
    name: str

    def renamed(self, text: str) -> str:
        """A path or a body of the page, with the names of here."""
        for index in MAPPINGS:
            text = text.replace(f"/es/{index}/", f"/es/{self.name}-{index}/")
            text = text.replace(f'"index": "{index}"', f'"index": "{self.name}-{index}"')
        return text.replace(f"/{DATABASE}/", f"/{self.name}/").replace(f'"{DATABASE}"', f'"{self.name}"')


@pytest.fixture(scope="module")
async def real(tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str) -> AsyncIterator[Real]:
    async with service(tmp_path_factory.mktemp("real"), es_url=es_url, influx_url=influx_url) as client:
        made = Real(client, f"docs_{uuid.uuid4().hex[:10]}")
        try:
            await load_real(made)
            await put_tables(client)
            yield made
        finally:
            for index in MAPPINGS:
                await client.send("DELETE", f"/es/{made.name}-{index}")
            await client.send("DELETE", f"/influx/{made.name}")


async def load_real(real: Real) -> None:
    """Twelve hours of the demonstration."""
    client, name = real.client, real.name
    end = time.time_ns() // MINUTE * MINUTE + MINUTE
    start = end - 12 * HOUR
    documents: dict[str, Any] = {INDEX: access_log(start, end, seed=1), HOSTS_INDEX: inventory(1)}
    for index, properties in MAPPINGS.items():
        body = {"index": f"{name}-{index}", "settings": {}, "mappings": {"properties": properties}}
        await client.ok("POST", "/es/index", json=body)
        sent = {"data": to_ndjson(list(documents[index])), "headers": {"content-type": "application/x-ndjson"}}
        await client.ok("POST", f"/es/{name}-{index}/docs?refresh=true", **sent)
    await client.ok("PUT", f"/influx/{name}")
    by_measurement: defaultdict[str, list[Point]] = defaultdict(list)
    for point in metrics(start, end, seed=1):
        by_measurement[point["measurement"]].append(point)
    for measurement, points in by_measurement.items():
        text = {"data": to_lines(points), "headers": {"content-type": "text/plain"}}
        await client.ok("POST", f"/influx/{name}/{measurement}/points", **text)


@pytest.mark.parametrize(("path", "body"), EXAMPLES, ids=IDS)
async def test_examples_of_the_language_answer_rows_from_real_stores(real: Real, path: str, body: str) -> None:
    asked = json.loads(real.renamed(body))
    answer = await real.client.ok("POST", real.renamed(path), json=asked)
    assert answer["data"]
    sources = {one["source"] for one in answer["meta"]["sources"]}
    assert sources == set(re.findall(r'"source": "(\w+)"', body)) or path != "/mix/query"


def test_the_jobs_that_lead_the_language_are_examples() -> None:
    """Errors beside CPU; hosts in one store alone; a metric against a threshold; log lines next to spikes."""
    hows = [json.loads(body)["join"][0]["how"] for _, body in EXAMPLES if '"join"' in body]
    assert {"left", "anti", "inner", "asof"} <= set(hows)
    assert any('"lookup"' in body for _, body in EXAMPLES)
    assert len(EXAMPLES) >= 5


async def test_examples_of_the_document_answer_rows(demo: Client) -> None:
    """Every query operation's example, as Swagger UI offers it, answers real rows after the demo is loaded."""
    document = await demo.ok("GET", "/openapi.json")
    tried = 0
    for path, item in document["paths"].items():
        operation = item.get("post", {"operationId": ""})
        # InfluxDB's own protocol asks in a form.
        if not path.endswith("/query") or operation["operationId"].endswith("-nativeQuery"):
            continue
        parameters = {p["name"]: p["example"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        content = operation["requestBody"]["content"]["application/json"]
        body = content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]
        answer = await demo.ok("POST", path.format(**parameters), json=body)
        assert answer["data"], path
        tried += 1
    assert tried >= 5


async def test_commands_of_the_metadata_page_run(demo: Client) -> None:
    """Each as it stands, in their order, on the demonstration's data."""
    answers = await run_commands(demo, (DOCS / "metadata.md").read_text())
    assert len(answers) > 12
    assert all(answer["data"] for answer in answers)


async def test_commands_of_the_page_on_filters_run(tmp_path: Path) -> None:
    """Each as it stands, in their order; they make what they need, and none is left with nothing to do."""
    async with service(tmp_path) as client:
        answers = await run_commands(client, (DOCS / "by-filter.md").read_text())
    assert [one["affected"] for one in answers if "dry_run" in one] == [2, 1, 1, 1]
    assert [one["updated"] for one in answers if "updated" in one] == [2]
    assert [one["deleted"] for one in answers if "deleted" in one] == [1, 2, 1]


async def run_commands(client: Client, page: str) -> list[Any]:
    """The answers to all commands of a page that stand on one line."""
    answers = []
    for command in re.findall(r"^curl .*$", page, re.MULTILINE):
        words = shlex.split(command)[1:]
        options = dict(pairwise(words))
        (address,) = [word for word in words if word.startswith("localhost:8000/")]
        name, _, value = options.get("-H", "").partition(": ")
        body = {"data": options["-d"], "headers": {name: value}} if "-d" in options else {}
        path = address.removeprefix("localhost:8000")
        answers.append(await client.ok(options.get("-X", "GET"), path, **body))
    return answers


def test_every_setting_that_can_change_is_documented() -> None:
    page = (DOCS / "metadata.md").read_text()
    assert all(f"| `{name}` |" in page for name in DYNAMIC)


def test_every_error_code_is_documented() -> None:
    assert (DOCS / "errors.md").read_text() == errors_page(), "run python dev/write_docs.py"


@pytest.mark.parametrize("word", [*OPERATORS, *AGGREGATES])
def test_every_word_is_documented(word: str) -> None:
    assert f"`{word}`" in LANGUAGE
