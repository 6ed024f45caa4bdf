"""Docs and code agree: codes, operators, aggregates, routes; and every example of the language's page answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apps.demo import load_demo
from dev.write_docs import errors_page
from query.vocabulary import AGGREGATES, OPERATORS
from unittest_.live import Client, service

DOCS = Path(__file__).parent.parent / "docs"
LANGUAGE = (DOCS / "query-language.md").read_text()
EXAMPLE = re.compile(r"<!-- example: (\w+) (\S+) -->\n```json\n(.*?)```", re.DOTALL)
EXAMPLES = EXAMPLE.findall(LANGUAGE)


@pytest.fixture(scope="module")
async def demo(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with service(tmp_path_factory.mktemp("demo")) as client:
        await load_demo(client.url, hours=24, seed=1)
        yield client


@pytest.mark.parametrize(("method", "path", "body"), EXAMPLES, ids=[f"{at}{e[1]}" for at, e in enumerate(EXAMPLES)])
async def test_examples_of_the_language_answer_rows(demo: Client, method: str, path: str, body: str) -> None:
    answer = await demo.ok(method, path, json=json.loads(body))
    assert answer["data"]
    explained = await demo.ok(method, f"{path}/explain", json=json.loads(body))
    assert explained["data"]
    canonical = (await demo.ok(method, f"{path}/validate", json=json.loads(body)))["data"]
    again = await demo.ok("POST", "/mix/query", json=canonical)
    assert again["data"] == answer["data"] or "now" in body


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 5


async def test_examples_of_the_document_answer_rows(demo: Client) -> None:
    """Every query operation's example, as Swagger UI offers it, answers real rows after the demo is loaded."""
    document = await demo.ok("GET", "/openapi.json")
    tried = 0
    for path, item in document["paths"].items():
        if not path.endswith("/query"):
            continue
        operation = item["post"]
        parameters = {p["name"]: p["example"] for p in operation.get("parameters", ()) if p["in"] == "path"}
        content = operation["requestBody"]["content"]["application/json"]
        body = content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]
        answer = await demo.ok("POST", path.format(**parameters), json=body)
        assert answer["data"], path
        tried += 1
    assert tried >= 5


def test_every_error_code_is_documented() -> None:
    assert (DOCS / "errors.md").read_text() == errors_page(), "run python dev/write_docs.py"


@pytest.mark.parametrize("word", [*OPERATORS, *AGGREGATES])
def test_every_word_is_documented(word: str) -> None:
    assert f"`{word}`" in LANGUAGE
