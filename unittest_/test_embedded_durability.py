"""What the embedded store acknowledged is there after a kill, a torn or damaged log and a full disk (F10, F13, F15, F16, G1-G8)."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from libs.context import RequestContext
from libs.errors import ConfigError, HostMonitorError, StoreError
from query.backend import InstanceConfig, Point
from query.catalog import SourceRef
from query.document_store import Document
from query.embedded import open_backend
from query.embedded.documents import EmbeddedDocuments
from query.embedded.series import EmbeddedSeries
from query.plan import Scan

ROOT = Path(__file__).parent.parent
KILLS = 20
FILE = "hostmonitor.duckdb"


def context() -> RequestContext:
    return RequestContext(deadline=time.monotonic() + 60)


@asynccontextmanager
async def documents(folder: Path) -> AsyncIterator[EmbeddedDocuments]:
    backend = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, str(folder))))
    try:
        yield backend
    finally:
        await backend.close()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def failing(script: str) -> str:
    """What a Python that fails says."""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode != 0
    return done.stderr


async def ids(backend: EmbeddedDocuments, index: str) -> list[str]:
    source = SourceRef("es", (index,))
    table = await backend.table(source, context())
    query = backend.compile(Scan(source, ("_id",), table=table))
    return [str(row[0]) async for batch in query.stream(context()) for row in batch.rows()]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, set[str], set[str]]:
    """A data directory whose writer was killed many times, what was sent to it and what it acknowledged."""
    folder = tmp_path_factory.mktemp("killed")
    rng = random.Random(13)
    sent: set[str] = set()
    acknowledged: set[str] = set()
    for round_ in range(KILLS):
        command = [sys.executable, "-m", "unittest_.embedded_ledger", str(folder), str(round_)]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            first = writer.stdout.readline()
            assert first == "ready\n"
            time.sleep(rng.uniform(0, 0.5))
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                word, _, name = line.strip().partition(" ")
                if line.endswith("\n"):
                    (sent if word == "sent" else acknowledged).add(name)
    return folder, sent, acknowledged


async def test_kill(killed: tuple[Path, set[str], set[str]]) -> None:
    """Nothing acknowledged is lost, nothing is there twice, nothing is there that was not sent."""
    folder, sent, acknowledged = killed
    async with documents(folder) as backend:
        assert backend.store.quarantined is None
        stored = Counter(await ids(backend, "ledger"))
        series = cast(EmbeddedSeries, open_backend(InstanceConfig("influx", "series", None, str(folder))))
        source = SourceRef("influx", ("ledger", "points"))
        table = await series.table(source, context())
        query = series.compile(Scan(source, ("time", "name"), table=table))
        points = Counter(str(row[1]) for part in [b async for b in query.stream(context())] for row in part.rows())
        await series.close()
    assert len(acknowledged) > 100
    assert {name for name in acknowledged if name.startswith("d")} <= stored.keys() <= sent
    assert {name for name in acknowledged if name.startswith("p")} <= points.keys() <= sent
    assert set(stored.values()) == set(points.values()) == {1}


@pytest.fixture(scope="module")
async def crashed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory as a crash leaves it: 60 documents, each a commit of its own, in the log alone."""
    folder = tmp_path_factory.mktemp("crashed")
    async with documents(folder / "live") as backend:
        await backend.create_index("a", {}, {"properties": {"n": {"type": "long"}}}, context())
        for number in range(60):
            await backend.insert("a", Document(json.dumps({"n": number}).encode(), f"d{number}"), False, context())
        shutil.copytree(folder / "live", folder / "crashed")
    assert (folder / "crashed" / f"{FILE}.wal").stat().st_size > 4096
    return folder / "crashed"


async def test_crash(crashed: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(crashed, tmp_path / "c"))
    async with documents(folder) as backend:
        assert await ids(backend, "a") == [f"d{number}" for number in range(60)]
        assert backend.store.quarantined is None
    assert sorted(contents(folder)) == [FILE, f"{FILE}.commits"]


async def test_torn_log(crashed: Path, tmp_path: Path) -> None:
    """A log cut anywhere near its end opens with a prefix of what was written, and says what it lost."""
    whole = (crashed / f"{FILE}.wal").read_bytes()
    for cut in range(len(whole) - 4096, len(whole), 97):
        folder = Path(shutil.copytree(crashed, tmp_path / str(cut)))
        (folder / f"{FILE}.wal").write_bytes(whole[:cut])
        async with documents(folder) as backend:
            found = await ids(backend, "a")
            assert found == [f"d{number}" for number in range(len(found))]
            assert len(found) == 60 or backend.store.quarantined is not None
        shutil.rmtree(folder)


async def test_damaged_log(crashed: Path, tmp_path: Path) -> None:
    """A flipped bit never goes unsaid: all is there, or the log is kept aside and named. The store takes writes again."""
    whole = (crashed / f"{FILE}.wal").read_bytes()
    rng = random.Random(16)
    for offset in [*range(0, 64, 4), *rng.sample(range(64, len(whole)), 48)]:
        folder = Path(shutil.copytree(crashed, tmp_path / str(offset)))
        damaged = bytearray(whole)
        damaged[offset] ^= 1 << rng.randrange(8)
        (folder / f"{FILE}.wal").write_bytes(bytes(damaged))
        async with documents(folder) as backend:
            names = [entry["index"] for entry in await backend.indices(context())]
            found = await ids(backend, "a") if names else []
            assert found == [f"d{number}" for number in range(len(found))]
            if len(found) < 60:
                about = await backend.ping(context())
                assert (folder / str(about["quarantined"])).read_bytes() == bytes(damaged)
            else:
                assert backend.store.quarantined is None
            await backend.create_index(f"b{offset}", {}, {}, context())
        shutil.rmtree(folder)


@pytest.mark.parametrize("offset", [0, 8, 4096, 8192])
async def test_damaged_file(offset: int, crashed: Path, tmp_path: Path) -> None:
    """The instance is degraded and says so; nothing is moved, nothing is written."""
    folder = Path(shutil.copytree(crashed, tmp_path / "c"))
    whole = bytearray((folder / FILE).read_bytes())
    whole[offset : offset + 16] = b"\xff" * 16
    (folder / FILE).write_bytes(bytes(whole))
    before = contents(folder)
    async with documents(folder) as backend:
        for work in (
            backend.ping(context()),
            backend.indices(context()),
            backend.create_index("x", {}, {}, context()),
            backend.table(SourceRef("es", ("a",)), context()),
            backend.insert("a", Document(b"{}"), False, context()),
        ):
            with pytest.raises(StoreError, match="cannot be opened"):
                await work
    assert contents(folder) == before


async def test_damaged_blocks(tmp_path: Path) -> None:
    """Wherever the file is damaged: it opens, and what cannot be read is an error of the store, never a wrong answer."""
    async with documents(tmp_path / "whole") as backend:
        await backend.create_index("a", {}, {}, context())
        source = [Document(b'{"n":%d,"s":"%b"}' % (n, str(n * 7919).encode() * 9), f"d{n}") for n in range(20_000)]
        await backend.bulk("a", source, False, context())
    size = (tmp_path / "whole" / FILE).stat().st_size
    rng = random.Random(17)
    outcomes: Counter[str] = Counter()
    for offset in [rng.randrange(12_288, size) for _ in range(24)]:
        folder = Path(shutil.copytree(tmp_path / "whole", tmp_path / str(offset)))
        with (folder / FILE).open("r+b") as file:
            file.seek(offset)
            file.write(b"\xa5" * 64)
        async with documents(folder) as backend:
            try:
                found = await backend.search(
                    "a", {"query": {"range": {"n": {"gte": 100}}}, "size": 0, "track_total_hits": True}, context()
                )
                assert found["hits"]["total"]["value"] == 19_900
                outcomes["whole"] += 1
            except StoreError:
                outcomes["told"] += 1
        shutil.rmtree(folder)
    assert outcomes["told"]


async def test_lost_log(crashed: Path, tmp_path: Path) -> None:
    """A log that is gone is told, too."""
    folder = Path(shutil.copytree(crashed, tmp_path / "c"))
    (folder / f"{FILE}.wal").unlink()
    async with documents(folder) as backend:
        assert (await backend.ping(context()))["quarantined"] == "nothing"
    async with documents(folder) as backend:
        assert "quarantined" not in await backend.ping(context())


async def test_one_process(tmp_path: Path) -> None:
    """A second process is told which file is in use; instances of one process share it."""
    async with documents(tmp_path), documents(tmp_path):
        script = (
            "from query.embedded import open_backend\nfrom query.backend import InstanceConfig\n"
            f"open_backend(InstanceConfig('es', 'documents', None, {str(tmp_path)!r}))"
        )
        said = failing(script)
        assert "ConfigError" in said
        assert f"{FILE} is in use by another process" in said


def test_data_directory_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="data directory"):
        open_backend(InstanceConfig("es", "documents", None, str(tmp_path / "file" / "data")))


def test_disk_full(tmp_path: Path) -> None:
    """A full disk refuses writes with 507, keeps what was acknowledged, answers reads, and recovers without a restart."""
    done = subprocess.run(
        [sys.executable, "-m", "unittest_.embedded_full_disk", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_one_bad_write_costs_nobody_else(tmp_path: Path) -> None:
    """Writes of one commit are judged each by itself."""
    async with documents(tmp_path) as backend:
        await backend.create_index("a", {}, {"properties": {"n": {"type": "long"}}}, context())

        async def write(number: int) -> str:
            body = b'{"n": "x"}' if number % 7 == 0 else b'{"n": %d}' % number
            try:
                await backend.insert("a", Document(body, f"d{number // 2}"), False, context())
            except HostMonitorError as error:
                return error.code.name
            return "created"

        outcomes = Counter(await asyncio.gather(*(write(number) for number in range(140))))
        assert outcomes == {"created": 70, "ALREADY_EXISTS": 50, "VALUE_INVALID": 20}
        assert len(set(await ids(backend, "a"))) == 70
        (entry,) = await backend.indices(context())
        assert entry["docs"] == 70


async def test_replayed_batches_are_stored_once(tmp_path: Path) -> None:
    """F23, G8: every batch three times, at once and out of order."""
    async with documents(tmp_path) as backend:
        await backend.create_index("a", {}, {}, context())
        series = cast(EmbeddedSeries, open_backend(InstanceConfig("influx", "series", None, str(tmp_path))))
        await series.create_database("db", context())
        batches = [
            [Document(b'{"n":%d}' % n, f"d{n}") for n in range(start, start + 50)] for start in range(0, 500, 50)
        ] * 3
        random.Random(8).shuffle(batches)
        reports = await asyncio.gather(*(backend.bulk("a", batch, False, context()) for batch in batches))
        assert Counter(item["status"] for report in reports for item in report) == {201: 500, 409: 1000}
        points = [
            [Point("m", {"h": str(n % 5)}, {"v": n}, n) for n in range(start, start + 50)]
            for start in range(0, 500, 50)
        ] * 3
        random.Random(9).shuffle(points)
        await asyncio.gather(*(series.write("db", batch, context()) for batch in points))
        assert (await series.table(SourceRef("influx", ("db", "m")), context())).rows == 500
        assert len(await ids(backend, "a")) == 500
        await series.close()
