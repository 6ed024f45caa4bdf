"""Who may call what: keys, actions, Host and Origin, on every route of the real service (T24, T25, T29, T31)."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count, product
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from influxdb import InfluxDBClient  # type: ignore[import-untyped]
from influxdb.exceptions import InfluxDBClientError  # type: ignore[import-untyped]
from sanic import Sanic
from yarl import URL

from apps.keys.records import KeyRecords
from config.logging import close_logging, configure_logging
from config.settings import Settings
from libs.actions import ACTIONS
from libs.rest import Api, Namespace, Resource
from libs.rest.policy import Policy
from libs.state import State
from main import create_app
from middlewares.auth import MOST_FAILURES
from unittest_.sample_service import running

FIRST = "hm_first0000_" + "Qb7" * 5 + "xYz019RtUvWkLmNoPqAsDfGhJ"
_numbers = count(1)


@dataclass
class Called:
    """A running service, and a client that shows what it is told to."""

    app: Sanic[Any, Any]
    url: str
    session: aiohttp.ClientSession
    keys: dict[str, str]
    folder: Path

    async def ask(self, method: str, path: str, **arguments: Any) -> tuple[int, Any, Mapping[str, str]]:
        """(status, decoded JSON or bytes, headers)."""
        url = URL(self.url + path, encoded=True)
        async with self.session.request(method, url, allow_redirects=False, **arguments) as response:
            body = await response.read()
            kind = response.content_type
            return response.status, json.loads(body) if body and kind.endswith("json") else body, response.headers

    async def status(self, method: str, path: str, **headers: str) -> int:
        """`X_API_Key` is the header X-API-Key."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await self.ask(method, path, headers=sent))[0]

    async def code(self, method: str, path: str, **headers: str) -> str:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return str((await self.ask(method, path, headers=sent))[1]["code"])


@asynccontextmanager
async def serving(folder: Path, **settings: Any) -> AsyncIterator[Called]:
    """The service, with a key for each action alone, by the action's name, where it has a first key."""
    made = Settings(data_dir=folder / "data", log_dir=folder / "logs", **settings)
    keys: dict[str, str] = {}
    if "api_key" in settings:
        state = State(made.data_dir)
        await state.open()
        for action in ACTIONS:
            _, keys[action] = await KeyRecords(state).add(f"only-{action}", [action])
        await state.close()
    app = create_app(made, name=f"auth-{next(_numbers)}")
    app.config.TOUCHUP = False
    async with running(app) as url, aiohttp.ClientSession() as session:
        yield Called(app, url, session, keys, folder)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def closed(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Called]:
    folder = tmp_path_factory.mktemp("closed")
    configure_logging(Settings(log_dir=folder / "logs"))
    async with serving(folder, api_key=FIRST) as called:
        yield called
    close_logging()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def opened(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Called]:
    server = {"allowed_hosts": "hm.example, other.example"}
    folder = tmp_path_factory.mktemp("opened")
    async with serving(folder, server=server, public_url="https://public.example/monitor") as called:
        yield called


def routes(called: Called) -> list[tuple[str, str, Policy]]:
    """(method, path with `x` for each parameter, policy) of all that the router answers."""
    found = []
    for route in called.app.router.routes:
        path = "/" + re.sub(r"<[^>]+>", "x", route.path)
        found += [(method, path, route.ctx.policy) for method in sorted(route.methods) if method != "OPTIONS"]
        found += [("HEAD", path, route.ctx.policy)] if "GET" in route.methods else []
        found += [("OPTIONS", path, route.ctx.policy)] if "OPTIONS" in route.methods else []
    return found


async def test_every_route_lets_in_exactly_whom_its_policy_names(closed: Called) -> None:
    asked = routes(closed)
    assert len(asked) > 100
    for method, path, policy in asked:
        body: dict[str, Any] = (
            {"data": b"{}", "headers": {"content-type": "application/json"}} if method in ("POST", "PUT") else {}
        )
        for action in (None, *(ACTIONS if method not in ("HEAD", "OPTIONS") else ("read", "admin"))):
            key = {} if action is None else {"x-api-key": closed.keys[action]}
            sent = body | {"headers": {**body.get("headers", {}), **key}}
            status, answer, _ = await closed.ask(method, path, **sent)
            place = (method, path, action, status, answer)
            if policy.public:
                assert status not in (401, 403), place
            elif action is None:
                assert status == 401, place
                assert method == "HEAD" or answer["code"] == "AUTHENTICATION_REQUIRED", place
            elif policy.actions <= {action}:
                assert status not in (401, 403), place
            else:
                assert status == 403, place
                assert method == "HEAD" or answer["code"] == "PERMISSION_DENIED", place
        if len(policy.actions) > 1:
            assert (await closed.ask(method, path, **body | {"headers": {"x-api-key": FIRST}}))[0] not in (401, 403)


async def test_policies_are_as_strict_as_what_the_routes_do(closed: Called) -> None:
    public = {path for method, path, policy in routes(closed) if policy.public}
    assert {path for path in public if not path.startswith("/_swagger/")} == {
        "/", "/openapi.json", "/health/live", "/health/ready",
    }  # fmt: skip
    unnamed = {
        path
        for method, path, policy in routes(closed)
        if not policy.public and not policy.actions and method != "OPTIONS"
    }
    assert unnamed <= {"/influx/query"}
    asks = re.compile(r"/(query|explain|validate|batch|_search)$")
    for method, path, policy in routes(closed):
        if method in ("PUT", "PATCH", "DELETE", "POST") and policy.actions <= {"read", "native"} and policy.actions:
            assert asks.search(path) or path == "/mix/job/x", (method, path, policy)
        if method == "GET" and policy.actions:
            assert policy.actions <= {"read", "native"}, (method, path, policy)
        assert policy.basic == bool(re.fullmatch(r"/influx/(ping|query|write)", path)), path


def test_an_operation_without_a_policy_is_not_mounted() -> None:
    forgotten = Namespace("forgotten", "/forgotten")

    @forgotten.route("")
    class Forgotten(Resource):
        async def get(self, request: object) -> dict[str, int]:
            return {}

    with pytest.raises(ValueError, match=r"needs @namespace\.allow"):
        Api("Forgotten", "1").add(forgotten)
    for wrong in ((), ("reads",), ("public", "read"), ("any key", "read")):
        with pytest.raises(ValueError, match="are no actions"):
            forgotten.allow(*wrong)


async def test_a_route_without_a_policy_admits_nobody(closed: Called, opened: Called) -> None:
    for called in (closed, opened):
        (route,) = [route for route in called.app.router.routes if route.name.endswith(".health-live")]
        policy = route.ctx.policy
        del route.ctx.policy
        assert await called.code("GET", "/health/live", X_API_Key=FIRST) == "PERMISSION_DENIED"
        route.ctx.policy = policy
        assert await called.status("GET", "/health/live") == 200


async def test_a_key_is_shown_in_one_of_two_headers(closed: Called) -> None:
    key, path = closed.keys["read"], "/es/index"
    assert await closed.status("GET", path, X_API_Key=key) == 200
    for scheme in ("Bearer", "bearer", "BEARER"):
        assert await closed.status("GET", path, Authorization=f"{scheme} {key}") == 200
    assert await closed.status("GET", path, Authorization=f"Bearer  {key} ") == 200
    assert await closed.status("GET", path, Authorization=f"Bearer {key}", X_API_Key=key) == 200
    wrong = (key[:-1], key + "x", key.upper(), f"hm__{key}", "hm_", "", FIRST[:-1], "é" * 40, f"{key} x", f'"{key}"')
    for other in wrong:
        assert await closed.status("GET", path, X_API_Key=other) == 401, other
        assert await closed.status("GET", path, Authorization=f"Bearer {other}") == 401, other
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    for value in (key, f"Token {key}", f"Basic {basic}", f"Digest {key}", "Bearer", "Basic", f"Bearer{key}"):
        assert await closed.status("GET", path, Authorization=value) == 401, value
    assert await closed.status("GET", f"{path}?api_key={key}") == 401


async def test_different_credentials_in_one_request_are_refused(closed: Called) -> None:
    key, other = closed.keys["read"], closed.keys["write"]
    for authorization in (f"Bearer {other}", "Bearer x", "Basic dTpw", "Digest a=b"):
        status, answer, _ = await closed.ask(
            "GET", "/es/index", headers={"x-api-key": key, "authorization": authorization}
        )
        assert (status, answer["code"]) == (400, "REQUEST_INVALID")
    twice = [("X-API-Key", key), ("X-API-Key", other)]
    assert (await closed.ask("GET", "/es/index", headers=twice))[0] == 400


async def test_a_refusal_says_what_to_send_and_repeats_nothing(closed: Called) -> None:
    canary = "hm_canary00_" + "canaryCANARY" * 4
    for headers in ({}, {"x-api-key": canary}, {"authorization": f"Basic {canary}"}, {"authorization": canary}):
        status, answer, sent = await closed.ask("GET", "/es/index", headers=headers)
        assert (status, answer["code"]) == (401, "AUTHENTICATION_REQUIRED")
        assert sent["www-authenticate"] == 'Bearer realm="HostMonitor"'
        assert "X-API-Key" in answer["errors"][0]["hint"]
        assert "canary" not in str(answer) + str(sent)
    status, answer, sent = await closed.ask("DELETE", "/es/x", headers={"x-api-key": closed.keys["read"]})
    assert (status, answer["code"]) == (403, "PERMISSION_DENIED")
    assert "does not allow metadata" in answer["message"]
    assert closed.keys["read"] not in str(answer) + str(sent)
    status, answer, _ = await closed.ask("GET", "/es/x", headers={"x-api-key": closed.keys["read"]})
    assert "does not allow native" in answer["message"]


async def test_what_is_answered_with_a_key_stays_with_its_caller(closed: Called) -> None:
    _, _, headers = await closed.ask("GET", "/es/index", headers={"x-api-key": closed.keys["read"]})
    assert headers["cache-control"] == "private, no-store"
    _, _, headers = await closed.ask("GET", "/health/live")
    assert "no-store" not in headers.get("cache-control", "")


async def test_nothing_is_read_of_a_body_whose_caller_is_unknown(closed: Called) -> None:
    host, port = closed.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = "POST /es/x/docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
    writer.write((head + "Content-Length: 60000000\r\n\r\n").encode())
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n"), 5)
    assert answer.startswith(b"HTTP/1.1 401 ")
    writer.close()


async def test_another_site_cannot_use_a_password_that_a_browser_remembers(closed: Called) -> None:
    basic = "Basic " + base64.b64encode(f"user:{closed.keys['read']}".encode()).decode()
    assert await closed.status("GET", "/influx/ping", Authorization=basic) < 300
    for foreign in ({"Origin": "https://evil.example"}, {"Sec_Fetch_Site": "cross-site"}):
        assert await closed.code("GET", "/influx/query?q=SHOW+DATABASES", Authorization=basic, **foreign) == (
            "PERMISSION_DENIED"
        )
    # A key in a header of its own is sent by nobody but who has it.
    assert await closed.status("GET", "/es/index", X_API_Key=closed.keys["read"], Origin="https://evil.example") == 200


async def test_the_routes_of_influxdb_take_a_key_as_its_clients_send_it(closed: Called) -> None:
    key = closed.keys["read"]
    basic = base64.b64encode(f"any user:{key}".encode()).decode()
    for value in (f"Basic {basic}", f"Token {key}", f"Token user:{key}", f"Bearer {key}"):
        assert await closed.status("GET", "/influx/ping", Authorization=value) < 300, value
    bad = ("Basic !!!", "Basic " + base64.b64encode(b"\xff\xfe").decode(), f"Basic {key}", "Token", f"token {key[1:]}")
    for value in bad:
        status, _, sent = await closed.ask("GET", "/influx/ping", headers={"authorization": value})
        assert status == 401, value
        assert sent["www-authenticate"].startswith("Bearer ")
        assert "Basic " in sent["www-authenticate"]


async def test_influx_s_own_client_shows_a_key_as_its_password(closed: Called) -> None:
    url = URL(closed.url)

    def databases(key: str) -> Any:
        with InfluxDBClient(str(url.host), int(url.port or 0), "anybody", key, path="influx") as client:
            return client.get_list_database()

    assert isinstance(await asyncio.to_thread(databases, FIRST), list)
    for key, status in ((FIRST + "x", 401), (closed.keys["write"], 403)):
        with pytest.raises(InfluxDBClientError) as raised:
            await asyncio.to_thread(databases, key)
        assert raised.value.code == status


async def test_no_credentials_are_taken_from_an_address(closed: Called, opened: Called) -> None:
    key = closed.keys["read"]
    for called, query in product((closed, opened), (f"u=any&p={key}", f"p={key}", f"%70={key}", "u=x")):
        status, answer, _ = await called.ask("GET", f"/influx/query?q=SHOW+DATABASES&{query}")
        assert status == 400, query
        assert "address" in answer["message"]
        assert key not in str(answer)


LOOPBACK = ("localhost", "LocalHost:8000", "127.0.0.1", "127.0.0.1:8000", "127.8.9.10", "[::1]", "[::1]:8000")
FOREIGN = (
    "evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "0.0.0.0",
    "[::2]", "localhost.", "localhost@evil.example", "127.0.0.1, evil.example", "2130706433", "", "xn--localhost",
)  # fmt: skip


async def test_without_keys_only_this_machine_is_answered(opened: Called) -> None:
    for path in ("/es/index", "/influx/ping", "/influx/query?q=SHOW+DATABASES", "/metrics", "/openapi.json", "/"):
        for host in (*LOOPBACK, "hm.example", "OTHER.example:80", "public.example"):
            assert await opened.status("GET", path, Host=host) < 300, (path, host)
        for host in FOREIGN:
            # Sanic refuses an empty Host itself.
            assert await opened.status("GET", path, Host=host) in ((400,) if not host else (403,)), (path, host)
    assert await opened.code("POST", "/influx/write?db=x", Host="evil.example") == "PERMISSION_DENIED"
    assert "ALLOWED_HOSTS" in str(await opened.ask("GET", "/es/index", headers={"host": "evil.example"}))


async def test_without_keys_a_page_of_another_site_is_refused(opened: Called) -> None:
    own = opened.url
    taken: tuple[dict[str, str], ...] = (
        {}, {"Origin": own}, {"Origin": "https://public.example"}, {"Origin": "https://hm.example:444"},
        {"Sec_Fetch_Site": "same-origin"}, {"Sec_Fetch_Site": "none"}, {"Sec_Fetch_Site": "same-origin", "Origin": own},
    )  # fmt: skip
    refused: tuple[dict[str, str], ...] = (
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": "http://localhost:1"}, {"Origin": ""},
        {"Origin": f"{own}.evil.example"}, {"Origin": "file://"}, {"Origin": own.replace("http", "ftp")},
        {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}, {"Sec_Fetch_Site": "odd"},
        {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}, {"Origin": own, "Sec_Fetch_Site": "same-site"},
    )  # fmt: skip
    reads = [("GET", "/es/index"), ("POST", "/mix/query/validate"), ("GET", "/influx/ping"), ("GET", "/influx/db")]
    writes = [("POST", "/influx/write?db=x"), ("POST", "/influx/query?q=CREATE+DATABASE+csrf"), ("DELETE", "/es/x")]
    for method, path in (*reads, *writes):
        for headers in taken:
            assert await opened.status(method, path, **headers) != 403, (method, path, headers)
        for headers in refused:
            assert await opened.code(method, path, **headers) == "PERMISSION_DENIED", (method, path, headers)


async def test_a_link_leads_to_the_page_from_anywhere(opened: Called) -> None:
    link = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert await opened.status("GET", "/", **link) == 200
    assert await opened.status("GET", "/openapi.json", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="cors") == 403


async def test_no_other_origin_may_read(closed: Called, opened: Called) -> None:
    sent = {"access-control-request-method": "POST", "access-control-request-headers": "x-api-key"}
    for called, method in product((closed, opened), ("OPTIONS", "GET")):
        for origin in ("https://evil.example", "null", called.url):
            _, _, headers = await called.ask(method, "/es/index", headers=sent | {"origin": origin})
            assert not [name for name in headers if name.lower().startswith("access-control-")]


async def test_the_caller_is_in_the_log_and_the_metrics_and_no_key_is(closed: Called) -> None:
    secret = closed.keys["read"]
    for headers in ({"x-api-key": secret}, {"authorization": f"Bearer {secret}"}):
        await closed.ask("GET", f"/es/index?key={secret}", headers=headers)
    await closed.ask("POST", "/mix/query", data=b"{", headers={"x-api-key": secret})
    await closed.ask("GET", "/es/index", headers={"x-api-key": f"{secret}x"})
    _, metrics, _ = await closed.ask("GET", "/metrics", headers={"x-api-key": secret})
    assert b'hostmonitor_caller_requests_total{caller="only-read"}' in metrics
    _, document, _ = await closed.ask("GET", "/openapi.json")
    lines = [json.loads(line) for line in (closed.folder / "logs" / "access.log").read_text().splitlines()]
    assert {"only-read", "configured", "-"} <= {line["caller"] for line in lines}
    seen = metrics.decode() + json.dumps(document)
    # The write-ahead log too: what is kept of a key is its digest.
    seen += "".join(
        path.read_text(errors="replace")
        for top in ("logs", "data")
        for path in (closed.folder / top).rglob("*")
        if path.is_file()
    )
    for key in (*closed.keys.values(), FIRST):
        assert key.rpartition("_")[2] not in seen


async def test_a_job_is_its_callers_own(closed: Called) -> None:
    await closed.ask("POST", "/es/index", json={"index": "jobs"}, headers={"x-api-key": closed.keys["metadata"]})
    asks = {"x-api-key": closed.keys["read"], "prefer": "respond-async"}
    status, answer, _ = await closed.ask("POST", "/es/jobs/query", json={}, headers=asks)
    assert status == 202, answer
    job = f"/mix/job/{answer['data']['id']}"
    assert await closed.status("GET", job, X_API_Key=closed.keys["read"]) == 200
    assert await closed.code("GET", job, X_API_Key=FIRST) == "JOB_UNKNOWN"


async def test_a_cursor_is_its_callers_own(closed: Called) -> None:
    read = {"x-api-key": closed.keys["read"]}
    await closed.ask("POST", "/es/index", json={"index": "paged"}, headers={"x-api-key": closed.keys["metadata"]})
    rows = [{"n": number} for number in range(3)]
    written = await closed.ask(
        "POST", "/es/paged/docs?refresh=true", json=rows, headers={"x-api-key": closed.keys["write"]}
    )
    assert written[0] == 200, written
    _, page, _ = await closed.ask("POST", "/es/paged/query", json={"limit": 1, "order_by": ["n"]}, headers=read)
    link = f"/mix/cursor/{page['page']['cursor']}"
    assert await closed.code("GET", link, X_API_Key=FIRST) == "CURSOR_INVALID"
    _, page, _ = await closed.ask("GET", link, headers=read)
    assert [row["n"] for row in page["data"]] == [1]


async def test_the_document_shows_saved_queries_to_who_may_read_them(closed: Called) -> None:
    saved = {"from": {"source": "es", "index": "access"}, "limit": 1}
    put = await closed.ask("PUT", "/mix/saved/hidden", json=saved, headers={"x-api-key": closed.keys["write"]})
    assert put[0] == 201
    shown = [(await closed.ask("GET", "/openapi.json", headers=headers))[1] for headers in (
        {}, {"x-api-key": closed.keys["write"]}, {"x-api-key": closed.keys["read"]},
    )]  # fmt: skip
    assert ["/mix/saved/hidden" in document["paths"] for document in shown] == [False, False, True]


async def test_many_wrong_keys_are_slowed_down_and_a_valid_one_is_not(closed: Called) -> None:
    # Twice as many: the window may end meanwhile, once.
    wrong = [{"x-api-key": f"{FIRST}{number}"} for number in range(2 * MOST_FAILURES + 1)]
    answered = [await closed.ask("GET", "/es/index", headers=headers) for headers in wrong]
    assert {status for status, _, _ in answered} == {401, 429}
    _, answer, headers = next(one for one in answered if one[0] == 429)
    assert answer["code"] == "RATE_LIMITED"
    assert int(headers["retry-after"]) > 0
    assert await closed.status("GET", "/es/index", X_API_Key=FIRST) == 200
    assert await closed.status("GET", "/es/index") == 401


async def test_a_key_and_its_end_are_noticed_within_two_seconds(opened: Called) -> None:
    """The last one: the service has had a key then."""
    state = State(opened.folder / "data")
    await state.open()
    records = KeyRecords(state)
    assert await opened.status("GET", "/es/index") == 200
    _, key = await records.add("late", ["read"], "small")
    assert await _within(2.0, opened, 401) < 2.0
    assert await opened.status("GET", "/es/index", X_API_Key=key) == 200
    await records.revoke("late")
    assert await _within(2.0, opened, 401, X_API_Key=key) < 2.0
    # It does not open again by itself.
    assert await opened.status("GET", "/es/index") == 401
    await state.close()


async def _within(seconds: float, called: Called, status: int, **headers: str) -> float:
    started = time.monotonic()
    while await called.status("GET", "/es/index", **headers) != status:
        assert time.monotonic() - started < seconds
        await asyncio.sleep(0.05)
    return time.monotonic() - started
