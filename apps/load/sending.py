"""Sends batches to the service, again where it failed, and tells which of their records it refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import orjson

from libs.errors import HostMonitorError, UnavailableError

_TRIES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
_BUSY = 429
_GO_ON = "run the same command again: it goes on where it stopped"


class Refusal(HostMonitorError):
    """The service takes nothing of a batch, whatever its records are: an index that is not there, a key that may not write."""


class Item(NamedTuple):
    """A record as it is sent."""

    line: int
    text: bytes


@dataclass
class Outcome:
    """`refused` holds (place in the batch, reason)."""

    stored: int = 0
    known: int = 0
    refused: list[tuple[int, str]] = field(default_factory=list)


class Service:
    """The service over HTTP; what it cannot take now is sent again, under the same key."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def ask(
        self,
        method: str,
        path: str,
        body: bytes,
        content_type: str,
        key: str | None,
        again: Callable[[Any], bool] = lambda answer: False,
    ) -> tuple[int, Any]:
        """The status and the JSON of an answer below 500, where it is none that asks for another try, and `again` neither.

        Raises UnavailableError after some tries."""
        headers = {"content-type": content_type} | ({"idempotency-key": key} if key else {})
        pause, why = _FIRST_PAUSE, ""
        for _ in range(_TRIES):
            wait = pause
            try:
                async with self._session.request(method, self._url + path, data=body, headers=headers) as response:
                    status, text = response.status, await response.read()
                    wait = max(wait, _seconds(response.headers.get("retry-after")))
                answer = orjson.loads(text)
                running = isinstance(answer, dict) and answer.get("code") == "IDEMPOTENCY_RUNNING"
                if status < 500 and status != _BUSY and not running and not again(answer):
                    return status, answer
                why = f"{status}: {told(answer)}"
            except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
                why = str(error) or "no answer in time"
            await asyncio.sleep(min(wait, _LONGEST_PAUSE))
            pause *= 2
        raise UnavailableError(f"{self._url} does not take it ({why}); {_GO_ON}")


class Documents:
    """An index. A document whose own `_id` is there already is left as it is, and counted as known; or replaced."""

    def __init__(self, service: Service, instance: str, index: str, replace: bool) -> None:
        self._service = service
        self._path = f"/{_quoted(instance)}/{_quoted(index)}/docs" + ("?mode=replace" if replace else "")
        self._create = (f"/{_quoted(instance)}/index", index)

    async def create(self, properties: dict[str, Any]) -> None:
        """Makes the index unless it is there. Raises HostMonitorError."""
        path, index = self._create
        body = {"index": index, "mappings": {"properties": properties} if properties else {}}
        await _make(self._service, path, body)

    async def send(self, items: Sequence[Item], key: Callable[[str], str]) -> Outcome:
        outcome = Outcome()
        waiting = list(range(len(items)))
        turn = 0
        while waiting:
            body = b"\n".join(items[at].text for at in waiting) + b"\n"
            status, answer = await self._service.ask(
                "POST", self._path, body, "application/x-ndjson", key(f"-{turn}" if turn else ""), _unfinished
            )
            if status in (200, 207):
                self._take(answer, waiting, outcome)
                return outcome
            waiting = _without(refusals(status, answer), waiting, outcome, status, answer)
            turn += 1
        return outcome

    def _take(self, answer: Any, sent: Sequence[int], outcome: Outcome) -> None:
        entries = [(entry.get("position", at), entry) for at, entry in enumerate(answer["items"])]
        refused = known = 0
        for at, entry in entries:
            if entry.get("error") is None:
                continue
            if entry["status"] == 409:
                known += 1
            else:
                refused += 1
                outcome.refused.append((sent[at], str(entry["error"].get("reason", ""))[:1000]))
        outcome.known += known
        outcome.stored += len(sent) - known - refused


class Points:
    """A measurement. What a store drops of a batch is found by sending its halves: a point written twice is one."""

    def __init__(self, service: Service, instance: str, db: str, measurement: str, lines: bool, precision: str) -> None:
        self._service = service
        self._type = "text/plain; charset=utf-8" if lines else "application/x-ndjson"
        self._path = f"/{_quoted(instance)}/{_quoted(db)}/{_quoted(measurement)}/points"
        self._path += f"?precision={precision}" if lines else ""
        self._create = (f"/{_quoted(instance)}/db", db)

    async def create(self, properties: dict[str, Any]) -> None:
        """Makes the database unless it is there. Raises HostMonitorError."""
        path, db = self._create
        await _make(self._service, path, {"db": db})

    async def send(self, items: Sequence[Item], key: Callable[[str], str]) -> Outcome:
        outcome = Outcome()
        parts: list[list[int]] = [list(range(len(items)))]
        turn = 0
        while parts:
            part = parts.pop()
            if not part:
                continue
            body = b"\n".join(items[at].text for at in part) + b"\n"
            status, answer = await self._service.ask(
                "POST", self._path, body, self._type, key(f"-{turn}" if turn else "")
            )
            turn += 1
            if status == 200:
                outcome.stored += len(part)
            elif status == 207 and len(part) > 1:
                parts += [part[: len(part) // 2], part[len(part) // 2 :]]
            elif status == 207 or answer.get("code") == "WRITE_REFUSED":
                outcome.refused += [(at, _reasons(answer)) for at in part]
            else:
                parts.append(_without(refusals(status, answer), part, outcome, status, answer))
        outcome.refused.sort()
        return outcome


def refusals(status: int, answer: Any) -> dict[int, str]:
    """What a refused body tells of single records of it: reasons by their places, from pointers like /17/fields/usage."""
    found: dict[int, str] = {}
    for issue in answer.get("errors") or () if status in (400, 422) else ():
        first = issue["pointer"].split("/")[1:2]
        if first and first[0].isdecimal():
            found.setdefault(int(first[0]), issue["message"])
    return found


def told(answer: Any) -> str:
    """An error's message."""
    if isinstance(answer, dict) and "message" in answer:
        return f"{answer.get('code', '')} {answer['message']}".strip()
    return str(answer)[:300]


async def _make(service: Service, path: str, body: dict[str, Any]) -> None:
    status, answer = await service.ask("POST", path, orjson.dumps(body), "application/json", None)
    if status not in (200, 409):
        raise HostMonitorError(f"POST {path}: {status} {told(answer)}")


def _without(found: dict[int, str], sent: list[int], outcome: Outcome, status: int, answer: Any) -> list[int]:
    """The places that are left when the refused ones are out. Raises Refusal where it is not about single ones."""
    if not found or max(found) >= len(sent):
        raise Refusal(f"the service refuses: {status} {told(answer)}; once that is mended, {_GO_ON}")
    outcome.refused += [(sent[at], reason) for at, reason in sorted(found.items())]
    return [place for at, place in enumerate(sent) if at not in found]


def _unfinished(answer: Any) -> bool:
    """Whether the store failed some documents of a bulk for now."""
    items = answer.get("items") if isinstance(answer, dict) else None
    return any(item["status"] >= 500 or item["status"] == _BUSY for item in items or ())


def _reasons(answer: Any) -> str:
    told_by = answer.get("reasons") or [issue.get("hint") or issue["message"] for issue in answer.get("errors") or ()]
    return "; ".join(told_by)[:1000]


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdecimal() else 0.0


def _quoted(name: str) -> str:
    return quote(name, safe="")
