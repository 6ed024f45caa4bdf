"""Random histories of documents: both stores and a dict tell the same of every step, and of the whole at the end."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from unittest_.document_service import STORES, Documents, documents

IDS = ["a", "b/c", "é#%"]
STEPS = 60
BAD = {"n": "many"}
Told = tuple[int, Any]


class Model:
    """The documents as they should be: sources and a count of writes, which tells tags apart."""

    def __init__(self) -> None:
        self.sources: dict[str, Any] = {}
        self.writes: dict[str, int] = {}
        self.count = 0

    def tag(self, identifier: str) -> int | None:
        return self.writes.get(identifier)

    def step(self, method: str, identifier: str, body: Any, condition: tuple[str, Any]) -> Told:
        """(status, result or error code); a condition is ("if_match", tag) and the like, or ("", None)."""
        known = self.tag(identifier)
        fits = body is None or body.get("n") != BAD["n"]
        if method in ("PATCH", "DELETE") and known is None:
            return 404, "DOCUMENT_UNKNOWN"
        match condition:
            case ("if_match", wanted) if known is None or wanted not in ("*", known):
                return 412, "PRECONDITION_FAILED"
            case ("if_none_match", "*") if known is not None:
                return 412, "PRECONDITION_FAILED"
        if not fits:
            return 422, "VALUE_INVALID"
        return self._done(method, identifier, body)

    def _done(self, method: str, identifier: str, body: Any) -> Told:
        held = self.sources.get(identifier)
        if method == "DELETE":
            del self.sources[identifier], self.writes[identifier]
            return 200, "deleted"
        source = copy.deepcopy(body) if method == "PUT" else _merged(held, body)
        if method == "PATCH" and json.dumps(source) == json.dumps(held):
            return 200, "noop"
        self.sources[identifier] = source
        self.count += 1
        self.writes[identifier] = self.count
        return (201, "created") if held is None else (200, "updated")


def _merged(held: Any, patch: Any) -> Any:
    if not (isinstance(held, dict) and isinstance(patch, dict)):
        return copy.deepcopy(patch)
    return held | {name: _merged(held.get(name), value) for name, value in patch.items()}


def _body(rng: random.Random) -> dict[str, Any]:
    if rng.random() < 0.08:
        return dict(BAD)
    members: dict[str, Any] = {
        "n": rng.choice([1, 2, None]),
        "host": rng.choice(["x", "y"]),
        "tags": rng.choice(["p", ["p", "q"], []]),
        "o": {rng.choice("ab"): rng.choice([1, 1.0, True, None, {"k": 1}, {"l": [1]}])},
    }
    return {name: members[name] for name in sorted(members) if rng.random() < 0.6}


class History:
    """One store's history; `tags` has its tag of every count of writes."""

    def __init__(self, held: Documents, store: str) -> None:
        self.held, self.store = held, store
        self.tags: dict[Any, str] = {"*": "*"}

    async def step(self, method: str, identifier: str, body: Any, condition: tuple[str, Any], refresh: str) -> Told:
        name, wanted = condition
        headers = {name: self.tags.get(wanted, '"none"')} if name else {}
        status, answer, tag = await self.held.send(method, self.store, identifier, body, refresh, **headers)
        self.tag = tag
        return status, answer["result"] if status < 300 else answer

    async def check(self, model: Model) -> None:
        """Reads and queries tell what the model holds."""
        for identifier in IDS:
            status, answer, tag = await self.held.send("GET", self.store, identifier)
            known = model.tag(identifier)
            assert (status == 200) == (known is not None)
            if known is not None:
                assert json.dumps(answer["_source"], sort_keys=True) == json.dumps(
                    model.sources[identifier], sort_keys=True
                )
                assert tag == self.tags[known]
        await self.held.client.ok("PUT", f"/{self.store}/{self.held.index}?refresh=true", json={"host": "last"})
        rows = await self.held.rows(self.store, select=["_id", "n", "host"])
        found = {row["_id"]: (row["n"], row["host"]) for row in rows if row["_id"] in IDS}
        assert len(rows) == len(found) + 1
        assert found == {one: (source.get("n"), source.get("host")) for one, source in model.sources.items()}


@pytest.fixture(scope="module")
async def held(es_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Documents]:
    async with documents(tmp_path_factory.mktemp("histories"), es_url) as running:
        found = Documents(*running)
        await found.make()
        yield found
        await found.drop()


@pytest.mark.parametrize("seed", [1, 2])
async def test_both_stores_tell_one_history(held: Documents, seed: int) -> None:
    await held.drop()
    await held.make()
    rng = random.Random(seed)
    model, histories = Model(), [History(held, store) for store in STORES]
    for at in range(STEPS):
        method = rng.choice(["PUT", "PUT", "PATCH", "PATCH", "PATCH", "DELETE"])
        identifier = rng.choice(IDS)
        body = None if method == "DELETE" else _body(rng)
        known = model.tag(identifier)
        old = rng.randint(1, max(1, model.count))
        condition = rng.choice(
            [("", None)] * 3
            + [("if_match", known), ("if_match", old), ("if_match", "*")]
            + ([("if_none_match", "*")] if method == "PUT" else [])
        )
        if body == BAD:  # which of two faults is told is not fixed
            condition = ("", None)
        refresh = rng.choice(["", "", "?refresh=true"])
        expected = model.step(method, identifier, body, condition)
        for history in histories:
            told = await history.step(method, identifier, body, condition, refresh)
            assert told == expected, (history.store, at, method, identifier, body, condition)
            if expected[1] in ("created", "updated"):
                assert history.tag not in history.tags.values()
                assert history.tag is not None
                history.tags[model.count] = history.tag
            elif expected[1] == "noop":
                assert history.tag == history.tags[known]
    for history in histories:
        await history.check(model)
