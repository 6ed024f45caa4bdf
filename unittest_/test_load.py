"""`main.py load`: what becomes of each line of every format, what is told of refused ones, and that a load which is killed goes
on with every line exactly once."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner

from apps.load.combined import document
from apps.load.command import Wanted
from apps.load.csv_rows import cells, column_types, time_ns, value
from apps.load.formats import Options, format_of, ndjson
from apps.load.point_lines import timed
from apps.load.reading import MAX_RECORD_BYTES, Record, Source
from apps.load.refused import NotTaken
from libs.errors import ConfigError, HostMonitorError
from main import cli
from unittest_.live import Client, service
from unittest_.real_data import log_documents

ROOT = Path(__file__).parent.parent
COUNT = {"select": [{"agg": "count", "as": "n"}]}


# What becomes of a line


def test_a_line_of_an_access_log() -> None:
    line = r'10.0.0.1 - ann [17/May/2015:10:05:03 +0200] "GET /a?b=%20 HTTP/1.1" 200 512 "http://h/\"q\"" "Agent \\ 1"'
    assert document(line, "web-1") == {
        "@timestamp": "2015-05-17T08:05:03Z",
        "host": "web-1",
        "client_ip": "10.0.0.1",
        "user": "ann",
        "method": "GET",
        "path": "/a?b=%20",
        "protocol": "HTTP/1.1",
        "status": 200,
        "bytes": 512,
        "referrer": 'http://h/"q"',
        "user_agent": "Agent \\ 1",
    }


@pytest.mark.parametrize(
    ("request_line", "found"),
    [
        ("GET /", {"method": "GET", "path": "/"}),
        ("-", {}),
        (r"\x16\x03\x01", {"request": r"\x16\x03\x01"}),
        ("GET /a b HTTP/1.1", {"request": "GET /a b HTTP/1.1"}),
    ],
)
def test_a_request_line_of_another_form_stays_whole(request_line: str, found: dict[str, str]) -> None:
    line = f'h - - [17/May/2015:10:05:03 +0000] "{request_line}" 400 - "-" "-"'
    assert document(line, "") == {"@timestamp": "2015-05-17T10:05:03Z", "client_ip": "h", **found, "status": 400}


@pytest.mark.parametrize(
    "line",
    [
        "hello",
        'h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 20 5 "-" "-"',
        'h - - [37/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
        'h - - [17/Mai/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-"',
        'h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5 "-" "-" more',
        'h - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 99999999999999999999 "-" "-"',
    ],
)
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(NotTaken):
        document(line, "")


def test_columns_have_the_types_of_their_cells_or_those_given() -> None:
    names = ["i", "f", "b", "zip", "big", "none", "given", "mixed"]
    rows = [
        ["1", "2", "true", "01234", str(2**63), "", "7", "1"],
        ["-5", "2.5", "FALSE", "99", "1", "", "8", "x"],
    ]
    types = column_types(names, rows, {"given": "string"})
    assert list(types.values()) == ["integer", "float", "boolean", "string", "string", "string", "string", "string"]
    assert value("3", "float", "f") == 3.0
    assert isinstance(value("3", "float", "f"), float)
    for text, kind in (("2.5", "integer"), ("x", "float"), ("1", "boolean"), ("1e999", "float"), ("007", "integer")):
        with pytest.raises(NotTaken):
            value(text, kind, "c")


def test_times_of_csv() -> None:
    second = 10**9
    assert time_ns("1970-01-01 00:00:01", "ns") == second
    assert time_ns("1970-01-01T01:00:01+01:00", "ns") == second
    assert [time_ns("1", unit) for unit in ("ns", "u", "ms", "s", "m", "h")] == [
        1, 1000, 10**6, second, 60 * second, 3600 * second
    ]  # fmt: skip
    for text in ("yesterday", "2014-02-30 00:00:00", str(2**63)):
        with pytest.raises(NotTaken):
            time_ns(text, "ns")


def test_rows_of_csv() -> None:
    assert cells('a,"b,""c""\nd",') == ["a", 'b,"c"\nd', ""]
    with pytest.raises(NotTaken):
        cells('a,"b"c')


def test_lines_without_a_time_get_one() -> None:
    assert timed(b"cpu,host=a v=1", "cpu", 5) == b"cpu,host=a v=1 5"
    assert timed(b"cpu,host=a v=1 7", "cpu", 5) == b"cpu,host=a v=1 7"
    assert timed(rb'c\ pu s="a b 7",w="\"" ', "c pu", 5) == rb'c\ pu s="a b 7",w="\"" 5'
    for line in (b"cpu", b"cpu v=1 x", b"mem v=1 7", b'cpu v="1'):
        with pytest.raises(NotTaken):
            timed(line, "cpu", 5)


def test_documents_that_are_none_are_refused() -> None:
    assert ndjson(b' {"a": 1} ') == b'{"a": 1}'
    assert ndjson(b" ") is None
    for text in (b"[1]", b"{", b'{"_id": 5}', b'{"_id": ""}', b'{"a": NaN}', b"\xff"):
        with pytest.raises(NotTaken):
            ndjson(text)


def test_the_format_is_told_by_the_name() -> None:
    names = {"a.ndjson": "ndjson", "A.CSV": "csv", "access.log.gz": "combined", "x.lp": "lines"}
    assert {name: format_of(name) for name in names} == names
    with pytest.raises(ConfigError, match="--format"):
        format_of("a.txt")


# Records


def records(data: bytes, offset: int = 0, line: int = 1, quoted: bool = False) -> list[Record]:
    return list(Source(io.BufferedReader(io.BytesIO(data)), len(data)).records(offset, line, quoted))


@pytest.mark.parametrize("packed", [False, True])
def test_records_know_where_they_end(packed: bool) -> None:
    text = b'\xef\xbb\xbfa\r\n"b\nc",d\n\ne'
    data = gzip.compress(text) if packed else text
    found = records(data, quoted=True)
    assert [(one.line, one.text, one.next_line) for one in found] == [
        (1, b"a", 2), (2, b'"b\nc",d', 4), (4, b"", 5), (5, b"e", 5)
    ]  # fmt: skip
    for at, one in enumerate(found[:-1]):
        assert records(data, one.end, one.next_line, quoted=True) == found[at + 1 :]


def test_a_record_that_is_too_long_is_told_and_passed_over() -> None:
    found = records(b"a\n" + b"x" * (3 * MAX_RECORD_BYTES) + b"\nb\n")
    assert [(one.line, one.text) for one in found] == [(1, b"a"), (2, None), (3, b"b")]


def test_a_broken_file_is_an_error() -> None:
    whole = gzip.compress(os.urandom(10_000))
    for data in (whole[:-2000], whole[:50] + b"x" * 50 + whole[100:]):
        with pytest.raises(HostMonitorError, match="cannot be read to its end"):
            records(data)
    with pytest.raises(HostMonitorError, match="shorter"):
        records(b"a\n", 9)
    with pytest.raises(HostMonitorError, match="within a line"):
        records(b"abc\n", 2)


# Into a service


@dataclass(frozen=True)
class Place:
    client: Client
    name: str
    folder: Path

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / f"{uuid.uuid4().hex[:6]}-{name}"
        path.write_bytes(data)
        return path

    async def load(self, file: Path, to: str, batch: int = 5000, restart: bool = False, **options: Any) -> int:
        """How many were refused."""
        options = {"format": options.pop("format", "") or format_of(file.name)} | options
        create = options.pop("create", True)
        made = Options(**options)
        wanted = Wanted(file, to, made, create, False, batch, None, None, restart)
        return await wanted.load(self.client.url, None)

    async def count(self, path: str) -> int:
        await self.client.send("POST", f"{path}/docs?refresh=true", json=[{"_id": "mark"}])
        answer = await self.client.ok("POST", f"{path}/query", json=COUNT)
        return int(answer["data"][0]["n"]) - path.startswith("/es/")


@pytest.fixture(scope="module", params=["embedded", "real"])
async def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, es_url: str, influx_url: str
) -> AsyncIterator[Place]:
    folder = tmp_path_factory.mktemp(f"load-{request.param}-")
    stores = {} if request.param == "embedded" else {"es_url": es_url, "influx_url": influx_url}
    async with service(folder, **stores) as client:
        made = Place(client, f"load_{uuid.uuid4().hex[:12]}", folder)
        try:
            yield made
        finally:
            for index in ("log", "docs", "csv"):
                await client.send("DELETE", f"/es/{made.name}-{index}")
            await client.send("DELETE", f"/influx/{made.name}")


def rejects(file: Path) -> list[tuple[int, str]]:
    (found,) = file.parent.glob(f"{file.name}.*.rejects")
    return [(one["line"], one["text"]) for one in map(orjson.loads, found.read_bytes().splitlines())]


async def test_documents_are_stored_and_refused_ones_told(place: Place) -> None:
    lines = [b'{"a": 1}', b"{", b"", b'{"_id": "x", "a": 2}', b'{"a": "no number"}', b'{"_id": "x", "a": 3}', b"[]"]
    file = place.file("some.ndjson", b"\n".join(lines))
    assert await place.load(file, f"es/{place.name}-docs") == 3
    assert rejects(file) == [(2, "{"), (5, '{"a": "no number"}'), (7, "[]")]
    assert await place.count(f"/es/{place.name}-docs") == 2
    # A second time, nothing happens; the file grown, its rest is loaded.
    assert await place.load(file, f"es/{place.name}-docs") == 3
    with file.open("ab") as opened:
        opened.write(b"\n" + b'{"a": 4}\n')
    with pytest.raises(HostMonitorError, match="grown within a line"):
        await place.load(file, f"es/{place.name}-docs")
    assert await place.count(f"/es/{place.name}-docs") == 2


async def test_csv_becomes_documents(place: Place) -> None:
    text = 'when,host,n,zip\n2026-11-22 10:00:00,a,1,01\n"2026-11-22T10:00:01Z","b\nc",,02\n1,d\n,e,x,03\n'
    file = place.file("rows.csv.gz", gzip.compress(text.encode()))
    assert await place.load(file, f"es/{place.name}-csv", time="when", types={"n": "integer"}) == 2
    assert rejects(file) == [(5, "1,d"), (6, ",e,x,03")]
    await place.count(f"/es/{place.name}-csv")
    body = {"order_by": [{"field": "@timestamp"}], "where": {"field": "host", "op": "exists", "value": True}}
    rows = (await place.client.ok("POST", f"/es/{place.name}-csv/query", json=body))["data"]
    kept = [(row["@timestamp"], row["host"], row["n"], row["zip"]) for row in rows]
    assert kept == [("2026-11-22T10:00:00Z", "a", 1, "01"), ("2026-11-22T10:00:01Z", "b\nc", None, "02")]


async def test_csv_becomes_points(place: Place) -> None:
    rows = [f"2026-11-22 10:00:{n:02d},h{n % 2},{n}.5,{n}" for n in range(40)]
    rows[7] = "never,h1,7.5,7"
    file = place.file("cpu.csv", ("timestamp,host,usage,n\n" + "\n".join(rows) + "\n").encode())
    assert await place.load(file, f"influx/{place.name}/c p%41+u", tags=("host",), batch=7) == 1
    assert rejects(file) == [(9, rows[7])]
    body = {"group_by": ["host"], "select": [{"agg": "sum", "field": "n", "as": "n"}], "order_by": [{"field": "host"}]}
    sums = (await place.client.ok("POST", f"/influx/{place.name}/c%20p%2541%2Bu/query", json=body))["data"]
    assert [(one["host"], one["n"]) for one in sums] == [("h0", sum(range(0, 40, 2))), ("h1", sum(range(1, 40, 2)) - 7)]


async def test_lines_that_the_store_drops_are_found(place: Place) -> None:
    lines = [f"mem,host=h{n} free={n}i {n}" for n in range(30)]
    lines[3], lines[11], lines[20] = "mem,host=x free=1.5 3", "disk free=1i 11", "# nothing"
    lines[25] = "mem,host=no-time free=25i"
    file = place.file("mem.lp", "\n".join(lines).encode() + b"\n")
    assert await place.load(file, f"influx/{place.name}/mem", precision="s") == 2
    assert rejects(file) == [(4, lines[3]), (12, lines[11])]
    answer = await place.client.ok("POST", f"/influx/{place.name}/mem/query", json=COUNT)
    assert answer["data"] == [{"n": 27}]


async def test_what_has_to_be_mended_is_mended_and_the_load_goes_on(place: Place) -> None:
    index = f"{place.name}-log"
    file = place.file("a.ndjson", b'{"a": 1}\n')
    with pytest.raises(HostMonitorError, match="INDEX_UNKNOWN"):
        await place.load(file, f"es/{index}", create=False)
    assert await place.load(file, f"es/{index}") == 0
    with pytest.raises(ConfigError, match="other options"):
        await place.load(file, f"es/{index}", host="h")
    file.write_bytes(b'{"b": 2}\n')
    with pytest.raises(ConfigError, match="another file"):
        await place.load(file, f"es/{index}")
    assert await place.load(file, f"es/{index}", restart=True) == 0
    assert await place.count(f"/es/{index}") == 2
    await place.client.ok("DELETE", f"/es/{index}")


def loader(url: str, *words: str) -> subprocess.Popen[bytes]:
    """The command alone, which starts faster than all of main."""
    code = f"import typer; from apps.load import add_load; c = typer.Typer(); add_load(c, lambda: ({url!r}, None)); c()"
    return subprocess.Popen([sys.executable, "-c", code, *words], cwd=ROOT, stderr=subprocess.PIPE)


async def test_a_load_that_is_interrupted_goes_on_with_every_line_once(place: Place, test_data: Path) -> None:
    """The real access log, killed on its way; on the embedded store, a part of it, cancelled."""
    embedded = "embedded" in str(place.folder)
    lines = 2_000 if embedded else 10_000
    log = (test_data / "apache_access.log").read_bytes().splitlines(keepends=True)
    file = place.file("access.log", b"".join(log[:lines]))
    index = f"{place.name}-log"
    state = file.with_name(f"{file.name}.es-{index}.load")
    words = (str(file), "--to", f"es/{index}", "--create", "--batch", "200")
    if embedded:
        loading = asyncio.create_task(place.load(file, f"es/{index}", batch=200))
        await come_to(state, lines // 10)
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
    else:
        with loader(place.client.url, *words) as process:
            await come_to(state, lines // 10)
            process.send_signal(signal.SIGKILL)
    kept = json.loads(state.read_bytes())
    assert lines // 10 <= kept["stored"] < lines
    assert kept["pending"] > kept["offset"]
    assert await place.load(file, f"es/{index}", batch=200) == 0
    assert json.loads(state.read_bytes())["stored"] == lines
    assert await place.count(f"/es/{index}") == lines
    assert await stored(place.client, index) == expected(test_data, lines)


async def come_to(state: Path, stored: int) -> None:
    """Waits until so many are known to be stored."""
    async with asyncio.timeout(60):
        while not _has(state, stored):  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def _has(state: Path, stored: int) -> bool:
    return state.exists() and int(json.loads(state.read_bytes())["stored"]) >= stored


async def stored(client: Client, index: str) -> Counter[tuple[Any, ...]]:
    fields = ["@timestamp", "client_ip", "path", "status", "bytes", "user_agent"]
    where = {"field": "client_ip", "op": "exists", "value": True}
    asked: dict[str, Any] = {"json": {"select": fields, "where": where}, "headers": {"accept": "application/x-ndjson"}}
    async with client.session.post(f"{client.url}/es/{index}/query", **asked) as response:
        lines = await response.read()
    rows = [row for line in lines.splitlines() if "@timestamp" in (row := orjson.loads(line))]
    return Counter(tuple(row[name] for name in fields) for row in rows)


def expected(folder: Path, lines: int) -> Counter[tuple[Any, ...]]:
    return Counter(
        (one["@timestamp"], one["ip"], one["path"], one["status"], one.get("bytes"), one.get("agent"))
        for one in log_documents(folder)[:lines]
    )


# The command line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["a.csv", "--to", "es"], "like es/web"),
        (["a.csv", "--to", "es/a/b/c"], "like es/web"),
        (["a.lp", "--to", "es/a"], "documents are loaded from"),
        (["a.log", "--to", "influx/a/b"], "points are loaded from"),
        (["a.csv", "--to", "es/a", "--format", "xml"], "one of ndjson"),
        (["a.csv", "--to", "es/a", "--types", "a=b"], "one of string"),
        (["a.csv", "--to", "es/a", "--precision", "d"], "one of ns"),
        (["-", "--to", "es/a"], "needs --format"),
        (["nowhere.csv", "--to", "es/a"], "cannot be read"),
        (["nowhere.csv", "--to", "es/a", "--key-file", "nowhere"], "cannot be read"),
    ],
)
def test_what_the_command_line_cannot_mean_is_told(words: list[str], said: str) -> None:
    result = CliRunner().invoke(cli, ["load", *words])
    assert isinstance(result.exception, HostMonitorError)
    assert said in result.exception.message


SAMPLES = {
    "access.log": b'10.0.0.1 - - [22/Nov/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl"\n',
    "events.ndjson.gz": gzip.compress(b'{"@timestamp": "2026-11-22T10:00:00Z", "host": "web-1"}\n'),
    "orders.csv": b"placed,zip,total\n2026-11-22 10:00:00,01234,9.5\n",
    "cpu.lp": b"cpu,host=web-1 usage=12.5 1795687200000000000\n",
    "cpu.csv": b"time,host,usage\n1795687200,web-1,12.5\n",
}


async def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "loading.md").read_text()
    commands = re.findall(r"^python main.py (load \S+ .*)$", page, re.MULTILINE)
    assert [command.split()[1] for command in commands] == list(SAMPLES)
    for name, data in SAMPLES.items():
        (tmp_path / name).write_bytes(data)
    monkeypatch.chdir(tmp_path)
    async with service(tmp_path) as client:
        for command in commands:
            words = [*shlex.split(command), "--url", client.url]
            result = await asyncio.to_thread(CliRunner().invoke, cli, words)
            assert result.exit_code == 0, (command, result.output, result.exception)
            assert "1 stored, 0 refused" in result.output
