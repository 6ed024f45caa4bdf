"""InfluxDB's v1 protocol, asked as its clients do: Influx's own Python client, Telegraf, Grafana; of a real store every byte."""

from __future__ import annotations

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

import aiohttp
import pytest
from influxdb import InfluxDBClient  # type: ignore[import-untyped]
from influxdb.exceptions import InfluxDBClientError, InfluxDBServerError  # type: ignore[import-untyped]
from yarl import URL

from apps.influx.v1 import Ping
from apps.instance import SeriesInstance
from config.limits import LimitsSettings
from libs.errors import NotSupportedError
from libs.times import format_instant
from query.backend import SeriesStore
from query.influxql import VERSION
from unittest_.bombs import GZIP
from unittest_.fault_proxy import Fault, FaultProxy, faulty
from unittest_.live import Client, service
from unittest_.recording_proxy import RecordingProxy, recording
from unittest_.test_influxql_statements import INVALID, REFUSED

T = TypeVar("T")
TEXT = {"content-type": "text/plain; charset=utf-8"}  # as Telegraf says it
FORM = {"content-type": "application/x-www-form-urlencoded"}
START = 1_795_687_200_000_000_000
POINTS, BATCH = 1_000_000, 100_000
END = b"Content-Length: 2\r\n\r\n{}"


@dataclass(frozen=True)
class V1:
    """A running service; `direct` is the store's own address, "" for the embedded one."""

    client: Client
    direct: str

    def python(self, db: str, **options: Any) -> InfluxDBClient:
        url = URL(self.client.url)
        return InfluxDBClient(url.host, url.port, database=db, path="influx", timeout=20, **options)

    async def raw(
        self, method: str, path: str, direct: bool = False, **arguments: Any
    ) -> tuple[int, dict[str, str], bytes]:
        """(status, what the answer says of its body, the body as it came), of the service or of the store itself."""
        url = f"{self.direct}{path}" if direct else f"{self.client.url}/influx{path}"
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(method, URL(url, encoded=True), **arguments) as response,
        ):
            told = {name.lower(): value for name, value in response.headers.items()}
            kept = (
                "content-type",
                "content-encoding",
                "x-influxdb-version",
                "x-influxdb-build",
                "x-influxdb-error",
            )
            # InfluxDB tells the type of nothing, too.
            names = kept[2:] if response.status == 204 else kept
            return response.status, {name: told[name] for name in names if name in told}, await response.read()

    async def query(self, text: str, db: str = "", method: str = "POST", **params: str) -> tuple[int, Any]:
        params = {"q": text, "db": db, **params}
        path = f"/influx/query?{urlencode(params)}"
        return await self.client.send(method, path)

    async def write(self, db: str, lines: bytes, **params: str) -> tuple[int, Any]:
        path = f"/influx/write?{urlencode({'db': db, **params})}"
        return await self.client.send("POST", path, data=lines, headers=TEXT)


@pytest.fixture(scope="module", params=["embedded", "real"])
async def v1(
    request: pytest.FixtureRequest, influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[V1]:
    direct = influx_url if request.param == "real" else ""
    settings = {"influx_url": direct} if direct else {}
    async with service(tmp_path_factory.mktemp("v1"), **settings) as client:
        yield V1(client, direct)


@pytest.fixture(scope="module")
async def db(v1: V1) -> AsyncIterator[str]:
    name = f"v1{uuid.uuid4().hex[:10]}"
    assert await v1.query(f'CREATE DATABASE "{name}"') == (200, {"results": [{"statement_id": 0}]})
    yield name
    await v1.query(f'DROP DATABASE "{name}"')


async def apart(work: Callable[[], T]) -> T:
    """Influx's client waits, so it runs beside the service's loop."""
    return await asyncio.to_thread(work)


async def test_a_ping(v1: V1) -> None:
    for method in ("GET", "HEAD"):
        status, headers, body = await v1.raw(method, "/ping")
        assert (status, body) == (204, b"")
        assert headers["x-influxdb-version"]
        assert headers["x-influxdb-build"]
        if v1.direct:
            told = await v1.raw(method, "/ping", direct=True)
            assert headers["x-influxdb-version"] == told[1]["x-influxdb-version"]
    status, headers, body = await v1.raw("GET", "/ping?verbose=true")
    assert (status, headers["content-type"]) == (200, "application/json")
    assert json.loads(body) == {"version": headers["x-influxdb-version"]}
    assert (await v1.raw("GET", "/ping?verbose=false"))[0] == 204


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_influx_own_python_client(v1: V1, packed: bool) -> None:
    name = f"v1{uuid.uuid4().hex[:10]}"
    client = v1.python(name, gzip=packed)
    assert await apart(client.ping)
    await apart(lambda: client.create_database(name))
    points = [
        {"measurement": "cpu", "tags": {"host": f"web {n}"}, "fields": {"usage": n / 2, "on": True}, "time": START + n}
        for n in range(3)
    ]
    points.append(
        {"measurement": "mem", "tags": {"host": "web 0"}, "fields": {"free": 2**60, "s": 'a"\nb'}, "time": START}
    )
    try:
        assert await apart(lambda: client.write_points(points, batch_size=2))
        assert {"name": name} in await apart(client.get_list_database)
        assert await apart(client.get_list_measurements) == [{"name": "cpu"}, {"name": "mem"}]
        series = await apart(lambda: client.get_list_series(name))
        assert series == [f"cpu,host=web\\ {n}" for n in range(3)] + ["mem,host=web\\ 0"]
        policies = await apart(client.get_list_retention_policies)
        assert [policy["name"] for policy in policies] == ["autogen"]
        rows = (await v1.client.ok("POST", f"/influx/{name}/cpu/query", json={"select": ["usage"]}))["data"]
        assert rows == [{"usage": 0.0}, {"usage": 0.5}, {"usage": 1.0}]
        if v1.direct:
            found = await apart(
                lambda: client.query('SELECT "usage" FROM cpu WHERE host = $h', bind_params={"h": "web 1"})
            )
            assert [point["usage"] for point in found.get_points()] == [0.5]
            many = await apart(lambda: client.query("SELECT * FROM cpu; SELECT free FROM mem", epoch="ns"))
            assert [len(list(one.get_points())) for one in many] == [3, 1]
            # Of parts in MessagePack, which it asks for, the client itself reads the first alone.
            other = v1.python(name, headers={"Accept": "application/json"})
            parts = await apart(lambda: list(other.query("SELECT * FROM cpu", chunked=True, chunk_size=2)))
            assert len(parts) == 2
        else:
            with pytest.raises(InfluxDBServerError, match="NOT_SUPPORTED"):
                await apart(lambda: client.query("SELECT * FROM cpu"))
        with pytest.raises(InfluxDBClientError, match="partial write"):
            await apart(
                lambda: client.write_points([{"measurement": "cpu", "fields": {"usage": "text"}, "time": START}])
            )
        with pytest.raises(InfluxDBClientError, match="database not found"):
            await apart(lambda: client.write_points(points, database=f"{name}x"))
    finally:
        await apart(lambda: client.drop_database(name))
    assert {"name": name} not in await apart(client.get_list_database)
    client.close()


async def test_telegraf(v1: V1) -> None:
    """plugins/outputs/influxdb/http.go: the database is made by a form, batches are gzip in chunks of no told length."""
    name = f"telegraf-{uuid.uuid4().hex[:10]}"
    create = urlencode({"q": f'CREATE DATABASE "{name}"'}).encode()
    headers = FORM | {"user-agent": "Telegraf/1.30.0"}
    status, answer = await v1.client.send("POST", "/influx/query", data=create, headers=headers)
    assert (status, answer) == (200, {"results": [{"statement_id": 0}]})
    lines = b"".join(
        b"cpu,host=h%d usage_idle=%d.5,n=%di %d\nmem,host=h%d free=%di %d\n" % (n % 3, n, n, START + n, n % 3, n, START)
        for n in range(500)
    )

    async def pieces() -> AsyncIterator[bytes]:
        packed = gzip.compress(lines)
        for at in range(0, len(packed), 1000):
            yield packed[at : at + 1000]

    headers = TEXT | {"content-encoding": "gzip", "user-agent": "Telegraf/1.30.0"}
    try:
        for _ in range(2):  # a batch sent again changes nothing
            path = f"/influx/write?consistency=any&db={name}&rp="
            status, answer = await v1.client.send("POST", path, data=pieces(), headers=headers)
            assert (status, answer) == (204, b"")
        rows = await v1.client.ok("POST", f"/influx/{name}/cpu/query", json={"select": [{"agg": "count", "as": "n"}]})
        assert rows["data"] == [{"n": 500}]
        # What it does where the database is gone: it looks for these words, and makes it.
        status, answer = await v1.write(f"{name}x", b"cpu v=1")
        assert status == 404
        assert answer["error"] == f'database not found: "{name}x"'
    finally:
        await v1.query(f'DROP DATABASE "{name}"')


async def test_precisions(v1: V1, db: str) -> None:
    ticks = {"n": 1, "ns": 1, "u": 1_000, "us": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
    for precision, tick in ticks.items():
        status, answer = await v1.write(db, b"times,p=%b v=1 7" % precision.encode(), precision=precision)
        assert (status, answer) == (204, b"")
        body = {"select": ["time"], "where": {"field": "p", "op": "eq", "value": precision}}
        rows = (await v1.client.ok("POST", f"/influx/{db}/times/query", json=body))["data"]
        assert len(rows) == 1
        assert rows[0]["time"] == format_instant(7 * tick)
    status, answer = await v1.write(db, b"times v=1 7", precision="d")
    assert (status, answer["code"]) == (400, "REQUEST_INVALID")


async def test_partial_writes_tell_as_influxdb_does(v1: V1, db: str) -> None:
    assert (await v1.write(db, b"part,h=a v=1.5 1\nother v=1i 1"))[0] == 204
    status, answer = await v1.write(db, b'part,h=a v=2.5 2\npart,h=a v="x" 3\nother v=2i 2')
    assert status == 400
    assert answer["error"].startswith("partial write: field type conflict: ")
    assert answer["error"].endswith("dropped=1")
    rows = (await v1.client.ok("POST", f"/influx/{db}/part/query", json={"select": ["v"]}))["data"]
    assert rows == [{"v": 1.5}, {"v": 2.5}]
    rows = (await v1.client.ok("POST", f"/influx/{db}/other/query", json={"select": ["v"]}))["data"]
    assert rows == [{"v": 1}, {"v": 2}]
    status, answer = await v1.write(db, b"no line at all")
    assert status == 400
    assert "unable to parse 'no line at all'" in answer["error"]
    assert (await v1.write(db, b"# a comment alone\n"))[0] in (200, 204)


SHOWN = [
    "SHOW MEASUREMENTS", "SHOW MEASUREMENTS LIMIT 1 OFFSET 1", "SHOW MEASUREMENTS WITH MEASUREMENT = cpu", "SHOW TAG KEYS",
    "SHOW TAG KEYS LIMIT 1", "SHOW TAG KEYS FROM cpu, mem", "SHOW FIELD KEYS", "SHOW FIELD KEYS FROM \"cpu\" LIMIT 1 OFFSET 1",
    "SHOW TAG VALUES WITH KEY = host", "SHOW TAG VALUES FROM cpu WITH KEY IN (host, \"d c\") LIMIT 2", "SHOW TAG VALUES WITH KEY != host",
    "SHOW SERIES", "SHOW SERIES FROM cpu LIMIT 1 OFFSET 1", "SHOW TAG KEYS FROM nothing", "SHOW TAG VALUES FROM nothing WITH KEY = x",
    "SHOW RETENTION POLICIES", "SHOW TAG KEYS ON nothing", "SHOW SERIES ON nothing", "SHOW RETENTION POLICIES ON nothing",
    "SHOW MEASUREMENTS; SHOW FIELD KEYS ON nothing", "SHOW MEASUREMENTS; SHOW TAG KEYS; SHOW FIELD KEYS FROM mem",
]  # fmt: skip


async def test_the_embedded_store_shows_what_influxdb_shows(v1: V1, influx_url: str) -> None:
    """To statements of names and databases that are there and that are not; CSV byte for byte."""
    name = f"v1{uuid.uuid4().hex[:10]}"
    lines = (
        b'cpu,host=a,d\\ c=x v=1,n=2i 1\ncpu,host=b\\ c v=2 2\nmem free=1i,on=t 1\nz\\ z,host=\xc3\xa9,q=a\\=b s="x" 1'
    )
    both = V1(v1.client, influx_url)
    for direct in (False, True):
        await both.raw("POST", f"/query?q=CREATE+DATABASE+{name}", direct)
        assert (await both.raw("POST", f"/write?db={name}", direct, data=lines))[0] == 204
    for text in SHOWN:
        path = f"/query?{urlencode({'q': text, 'db': name})}"
        identity = {"accept-encoding": "identity"}
        ours = await both.raw("GET", path, headers=identity)
        theirs = await both.raw("GET", path, direct=True, headers=identity)
        assert (ours[0], json.loads(ours[2])) == (200, json.loads(theirs[2])), text
    for text in ("SHOW MEASUREMENTS; SHOW TAG VALUES WITH KEY = host", "SHOW FIELD KEYS"):
        path = f"/query?{urlencode({'q': text, 'db': name})}"
        headers = {"accept": "application/csv", "accept-encoding": "identity"}
        ours = await both.raw("GET", path, headers=headers)
        assert ours[2] == (await both.raw("GET", path, direct=True, headers=headers))[2], text
    for direct in (False, True):
        await both.raw("POST", f"/query?q=DROP+DATABASE+{name}", direct)


async def test_what_the_embedded_store_cannot_is_a_501_and_nothing_runs(v1: V1, db: str) -> None:
    if v1.direct:
        return
    for text in (
        "SELECT * FROM cpu",
        "EXPLAIN SELECT * FROM cpu",
        "SHOW MEASUREMENTS WHERE host = 'a'",
        "SHOW TAG KEYS FROM /c.*/",
        "SHOW TAG VALUES WITH KEY =~ /h/",
        "SHOW SERIES CARDINALITY",
        "SHOW DATABASES LIMIT 1",
        "DELETE FROM cpu",
        "DROP MEASUREMENT cpu",
        "CREATE RETENTION POLICY p ON x DURATION 1d REPLICATION 1",
        "CREATE DATABASE y WITH DURATION 1d",
    ):
        status, answer = await v1.query(f"CREATE DATABASE {db}_made; {text}", db)
        assert (status, answer["code"]) == (501, "NOT_SUPPORTED"), text
        assert answer["error"] == answer["message"]
    assert "POST /influx/<db>/<measurement>/query" in (await v1.query("SELECT * FROM cpu", db))[1]["errors"][0]["hint"]
    assert [f"{db}_made"] not in (await v1.query("SHOW DATABASES"))[1]["results"][0]["series"][0]["values"]
    status, headers, body = await v1.raw(
        "GET", f"/query?q=SHOW+MEASUREMENTS;SHOW+SERIES&db={db}&chunked=true&pretty=true"
    )
    assert (status, headers["x-influxdb-version"]) == (200, VERSION)
    assert body.count(b'    "results": [') == 2
    status, answer = await v1.write(db, b"m v=1", rp="other")
    assert (status, answer["code"]) == (400, "REQUEST_INVALID")


async def test_names_stay_names(v1: V1) -> None:
    """T1: a database's name is a folder's name somewhere."""
    for name in ("..", ".", "a/b", "../../x", "a\\b", "a\x01b", "x" * 300):
        quoted = '"' + name.replace("\\", "\\\\") + '"'
        for text in (f"CREATE DATABASE {quoted}", f"SHOW DATABASES; DROP DATABASE {quoted}"):
            status, answer = await v1.query(text)
            assert (status, answer["code"]) == (400, "NAME_INVALID"), (text, answer)
        status, answer = await v1.write(name, b"m v=1")
        assert (status, answer["code"]) == (400, "NAME_INVALID"), name


@pytest.fixture(scope="module")
async def recorded(
    influx_url: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[V1, RecordingProxy]]:
    async with recording(influx_url) as proxy:
        limits = LimitsSettings(ingest_bytes=2**22)
        async with service(tmp_path_factory.mktemp("recorded"), influx_url=proxy.url, limits=limits) as client:
            yield V1(client, influx_url), proxy


async def test_nothing_refused_reaches_the_store(recorded: tuple[V1, RecordingProxy]) -> None:
    """T8, T12: the statements by GET, in an address and in a form, and bodies that are no line protocol."""
    v1, proxy = recorded
    proxy.clear()
    for text in [*REFUSED, *INVALID]:
        status = 403 if text in REFUSED else 400
        for answer in (
            await v1.query(text, "x", method="GET"),
            await v1.query(f"SHOW DATABASES; {text}" if text in REFUSED else text, "x"),
            await v1.client.send("POST", "/influx/query?db=x", data=urlencode({"q": text}).encode(), headers=FORM),
        ):
            assert answer[0] == status, (text, answer)
            assert answer[1]["error"] == answer[1]["message"]
    for path in (
        "/influx/query?q=SHOW+DATABASES&q=DROP+DATABASE+x",
        "/influx/query?q=%ff",
        "/influx/query?db=a&db=b&q=SHOW+SERIES",
    ):
        assert (await v1.client.send("POST", path))[0] == 400
    assert (await v1.client.send("POST", "/influx/query?q=SHOW+SERIES", data=b"q=DROP+DATABASE+x", headers=FORM))[
        0
    ] == 400
    assert (await v1.client.send("POST", "/influx/query", data=b"q=\xff", headers=FORM))[0] == 400
    assert (await v1.client.send("POST", "/influx/query", data=b"q=SHOW+SERIES+ON+'\xff'", headers=FORM))[0] == 400
    assert (await v1.client.send("POST", "/influx/query?q=SHOW+SERIES&db=%ed%a0%80"))[0] == 400
    assert (await v1.query("SHOW DATABASES", **{"async": "true"}))[0] == 501
    assert (await v1.query("DROP DATABASE x", method="GET"))[0] == 405
    for kind, make in GZIP.items():
        if kind == "packed twice":
            continue  # gzip it is, and what is in it is the store's to read
        headers = TEXT | {"content-encoding": "gzip"}
        status, answer = await v1.client.send("POST", "/influx/write?db=x", data=make(), headers=headers)
        assert status in (413, 422), answer
        assert answer["error"] == answer["message"]
    assert (
        await v1.client.send("POST", "/influx/write?db=x", data=b"m v=1", headers=TEXT | {"content-encoding": "br"})
    )[0] == 415
    assert (await v1.client.send("POST", "/influx/write?db=x", data=b"m v=1\n" * 2**20, headers=TEXT))[0] == 413
    assert (await v1.client.send("POST", "/influx/write", data=b"m v=1", headers=TEXT))[0] == 400
    assert proxy.received == b""


async def test_how_statements_travel(recorded: tuple[V1, RecordingProxy]) -> None:
    """Reads by GET, also POSTed ones; what changes something by POST; long reads by POST, too."""
    v1, proxy = recorded
    long_one = "SHOW TAG VALUES WITH KEY IN (" + ",".join(f'"k{n}"' for n in range(2000)) + ")"
    for text, method in (
        ("SHOW DATABASES; SELECT a FROM m", b"GET /query?q="),
        ("SELECT a INTO b FROM m", b"POST /query HTTP"),
        ("CREATE DATABASE x; DROP DATABASE x", b"POST /query HTTP"),
        (long_one, b"POST /query HTTP"),
    ):
        proxy.clear()
        form = urlencode({"q": text, "db": "no_such"}).encode()
        status, _ = await v1.client.send("POST", "/influx/query?epoch=s&u=", data=form, headers=FORM)
        assert status in (200, 400)
        assert proxy.received.startswith(method), proxy.received[:100]
        assert proxy.received.count(b" HTTP/1.1\r\n") == 1
        assert b"epoch=s" in proxy.received


async def bytes_of(v1: V1, method: str, path: str, **arguments: Any) -> None:
    ours = await v1.raw(method, path, **arguments)
    assert ours == await v1.raw(method, path, direct=True, **arguments), (method, path)


async def test_every_byte_of_the_store_is_passed_on(v1: V1, db: str) -> None:
    """As Grafana asks (pkg/tsdb/influxdb): db and epoch in the address, q there or in a form; and every form there is."""
    if not v1.direct:
        return
    lines = b"\n".join(
        b'grafana,host=h%d v=%d.25,s="\xc3\xa9" %d' % (n % 7, n, START + n * 10**9) for n in range(12_000)
    )
    assert (await v1.write(db, lines))[0] == 204
    selects = [
        'SELECT mean("v") FROM "grafana" WHERE ("host" =~ /^h[12]$/) AND time >= 1795687200000ms and time <= 1795712200000ms '
        'GROUP BY time(1m), "host" fill(null)',
        'SHOW TAG VALUES FROM "grafana" WITH KEY = "host"',
        "SELECT v FROM grafana LIMIT 3; SELECT count(s) FROM grafana; SHOW MEASUREMENTS; SELECT * FROM nothing",
        "SELECT v FROM grafana WHERE host = $h LIMIT 2",
        "SELECT nothing FROM WHERE",
        "EXPLAIN SELECT v FROM grafana",
    ]
    forms = [
        ({}, {}),
        ({"epoch": "ms"}, {"accept-encoding": "gzip"}),
        ({"pretty": "true", "epoch": "s"}, {"accept": "application/json"}),
        ({"chunked": "true"}, {}),
        ({"chunked": "true", "chunk_size": "100", "epoch": "ns"}, {"accept-encoding": "gzip"}),
        ({}, {"accept": "application/csv"}),
        ({"chunked": "true"}, {"accept": "text/csv"}),
        ({}, {"accept": "application/x-msgpack"}),
    ]
    for text in selects:
        for params, headers in forms:
            told = {"q": text, "db": db, **params} | ({"params": '{"h": "h1"}'} if "$h" in text else {})
            headers = {"accept-encoding": "identity"} | headers
            await bytes_of(v1, "GET", f"/query?{urlencode(told)}", headers=headers)
        form = urlencode({"q": text}).encode()
        await bytes_of(v1, "POST", f"/query?{urlencode({'db': db, 'epoch': 'ms'})}", data=form, headers=FORM)
    for params, headers in forms[1:-2]:
        path = f"/query?{urlencode({'q': 'SELECT * FROM grafana', 'db': db, **params})}"
        await bytes_of(v1, "GET", path, headers={"accept-encoding": "identity"} | headers)
    for path, body in (
        (f"/write?db={db}", b"grafana v=1i 1"),
        (f"/write?db={db}", b"nothing"),
        (f"/write?db={db}", b"a v=1 1\nnothing\nb v=2 2"),
        ("/write?db=no_such", b"a v=1 1"),
        (f"/write?db={db}&rp=no_such", b"a v=1 1"),
        (f"/write?db={db}&precision=s", b"a v=1 1"),
        (f"/write?db={db}", b""),
    ):
        await bytes_of(v1, "POST", path, data=body, headers=TEXT)
    await bytes_of(v1, "POST", f"/query?q=DELETE+FROM+grafana+WHERE+host+%3D+%27h9%27&db={db}")
    await bytes_of(v1, "POST", f"/query?q=DROP+MEASUREMENT+grafana&db={db}")


async def test_a_million_points_are_all_there(v1: V1, db: str) -> None:
    """By four writers at a time, as compressed batches of line protocol."""
    if not v1.direct:
        return
    headers, places = TEXT | {"content-encoding": "gzip"}, asyncio.Semaphore(4)

    async def write(batch: range) -> None:
        async with places:
            lines = b"".join([b"load,h=%d v=%di %d\n" % (n % 100, n, START + n) for n in batch])
            body = gzip.compress(lines, 1)
            status, answer = await v1.client.send("POST", f"/influx/write?db={db}", data=body, headers=headers)
            assert (status, answer) == (204, b"")

    await asyncio.gather(*(write(range(at, at + BATCH)) for at in range(0, POINTS, BATCH)))
    status, answer = await v1.query("SELECT count(v), sum(v) FROM load", db, method="GET")
    assert status == 200
    assert answer["results"][0]["series"][0]["values"][0][1:] == [POINTS, POINTS * (POINTS - 1) // 2]


@pytest.fixture(scope="module")
async def proxied(influx_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[V1, FaultProxy]]:
    async with faulty(influx_url) as proxy:
        limits = LimitsSettings(timeout_seconds=3)
        async with service(tmp_path_factory.mktemp("broken"), influx_url=proxy.url, limits=limits) as client:
            yield V1(client, influx_url), proxy


@pytest.fixture
async def broken(proxied: tuple[V1, FaultProxy]) -> AsyncIterator[tuple[V1, FaultProxy]]:
    yield proxied
    await proxied[1].heal()


async def test_a_store_that_fails_is_told_or_the_answer_is_cut(broken: tuple[V1, FaultProxy]) -> None:
    """F1, F2, F4: before the first byte an error in InfluxDB's form, behind it no clean end."""
    v1, proxy = broken
    name = f"v1{uuid.uuid4().hex[:10]}"
    await v1.query(f"CREATE DATABASE {name}")
    lines = b"\n".join(b"m,h=%d v=%d %d" % (n % 5, n, START + n) for n in range(20_000))
    assert (await v1.write(name, lines))[0] == 204
    path = f"/query?{urlencode({'q': 'SELECT * FROM m', 'db': name, 'chunked': 'true'})}"
    identity = {"accept-encoding": "identity"}
    whole = await v1.raw("GET", path, direct=True, headers=identity)
    for cut in (0, 20, len(whole[2]) // 2, len(whole[2]) - 10):
        for reset in (False, True):
            await proxy.set(Fault(cut=cut, reset=reset))
            try:
                status, _, body = await v1.raw("GET", path, headers=identity)
            except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
                assert cut > 300
                continue
            assert status in (502, 503), (cut, body[:100])
            assert json.loads(body)["error"]
    for fault, statuses, code in (
        (Fault(hang=True), {504}, "DEADLINE_EXCEEDED"),
        (Fault(says=b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + END), {502}, "STORE_ANSWER_INVALID"),
        (Fault(says=b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n" + END), {502}, "STORE_ANSWER_INVALID"),
        (Fault(says=b"HTTP/1.1 401 Unauthorized\r\nContent-Type: application/json\r\n" + END), {502}, "STORE_FAILED"),
    ):  # fmt: skip
        await proxy.set(fault)
        for method, target, data in (
            ("GET", path, None),
            ("POST", f"/write?db={name}", b"m v=1 1"),
            ("GET", "/ping", None),
        ):
            status, headers, body = await v1.raw(method, target, data=data, headers=TEXT)
            found = json.loads(body)
            assert status in statuses, (fault, method, target, body)
            if target != "/ping":
                assert (found["code"], found["error"]) == (code, found["message"])
            assert headers["content-type"] == "application/json"
    await proxy.heal()
    await v1.query(f"DROP DATABASE {name}")


async def test_a_store_of_another_protocol_says_so(v1: V1) -> None:
    assert v1.client.services is not None
    other = Ping(SeriesInstance("other", cast(SeriesStore, object()), v1.client.services, 1))
    with pytest.raises(NotSupportedError):
        _ = other.native


async def test_a_client_that_leaves_frees_the_store(broken: tuple[V1, FaultProxy]) -> None:
    """The store's connection ends with the client's, long before the answer does."""
    v1, proxy = broken
    name = f"v1{uuid.uuid4().hex[:10]}"
    await v1.query(f"CREATE DATABASE {name}")
    lines = b"\n".join(b"m,h=%d v=%d %d" % (n % 5, n, START + n) for n in range(20_000))
    assert (await v1.write(name, lines))[0] == 204
    await proxy.set(Fault(late=0.2))
    url = URL(v1.client.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    path = f"/influx/query?{urlencode({'q': 'SELECT * FROM m', 'db': name, 'chunked': 'true', 'chunk_size': '100'})}"
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    writer.transport.abort()
    await asyncio.sleep(0.5)
    passed = proxy.passed
    await asyncio.sleep(0.6)
    assert proxy.passed == passed
    await proxy.heal()
    await v1.query(f"DROP DATABASE {name}")


async def test_a_write_that_its_client_cuts_writes_nothing(v1: V1, db: str) -> None:
    url = URL(v1.client.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    head = f"POST /influx/write?db={db} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode() + b"cut v=1 1\n" * 50_000)
    await writer.drain()
    writer.close()
    del reader
    await asyncio.sleep(0.2)
    listed = await v1.query("SHOW MEASUREMENTS", db, method="GET")
    assert ["cut"] not in listed[1]["results"][0].get("series", [{"values": []}])[0]["values"]
