"""Results on disk: what is read is what was written, from any row on; caps hold, and nothing half written stays."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import aclosing, contextmanager
from math import isnan
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.arrow_ipc import ArrowStream
from libs.arrow_reading import DamagedArrow, read_batches
from libs.errors import ConfigError, CostError, StoreError
from libs.result import FLOAT64, INT64, JSON, STRING, TIMESTAMP_MS, Batch, Column, Schema, Type, TypeName
from libs.spool import SpoolReader, Spools, SpoolWriter

MEBIBYTE = 1024 * 1024
CELLS: dict[TypeName, st.SearchStrategy[Any]] = {
    TypeName.BOOLEAN: st.booleans(),
    TypeName.INT64: st.integers(-(2**63), 2**63 - 1),
    TypeName.FLOAT64: st.floats(),
    TypeName.STRING: st.text(max_size=5),
    TypeName.TIMESTAMP: st.integers(-(2**63), 2**63 - 1),
    TypeName.JSON: st.sampled_from(["{}", '{"a":1}', "[1]"]),
}
KINDS = st.builds(Type, st.sampled_from(TypeName), st.booleans(), st.sampled_from(["ms", "ns"]))
NUMBERS: Schema = (Column("n", INT64, "es"), Column("s", STRING))


@st.composite
def results(draw: st.DrawFn) -> tuple[Schema, list[Batch]]:
    kinds = draw(st.lists(KINDS, max_size=4))
    schema = tuple(Column(f"c{at}", kind) for at, kind in enumerate(kinds))
    batches = []
    for length in draw(st.lists(st.integers(0, 20), max_size=4)):
        columns = []
        for kind in kinds:
            cell = CELLS[kind.name]
            cell = st.lists(cell, min_size=1, max_size=3) if kind.multi else cell
            columns.append(draw(st.lists(st.none() | cell, min_size=length, max_size=length)))
        batches.append(Batch(schema, columns, length))
    return schema, batches


def rows(batches: list[Batch]) -> list[tuple[Any, ...]]:
    return [tuple("nan" if isinstance(c, float) and isnan(c) else repr(c) for c in row) for b in batches for row in b.rows()]  # fmt: skip


async def endless(writer: SpoolWriter) -> None:
    for _ in range(100):
        await writer.write(numbers(500))


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


async def kept(spools: Spools, name: str, schema: Schema, batches: list[Batch]) -> None:
    writer = spools.write(name, schema)
    await writer.begin()
    for batch in batches:
        await writer.write(batch)
    await writer.finish()


async def read(reader: SpoolReader, start: int = 0, count: int | None = None) -> list[Batch]:
    async with aclosing(reader.batches(start, count)) as batches:
        return [batch async for batch in batches]


@settings(max_examples=60)
@given(results(), st.integers(0, 90), st.integers(0, 90))
def test_any_part_of_a_result_reads_as_it_was_written(
    result: tuple[Schema, list[Batch]], start: int, count: int
) -> None:
    schema, batches = result

    async def check() -> None:
        with TemporaryDirectory() as folder:
            spools = Spools(Path(folder), MEBIBYTE, MEBIBYTE)
            await kept(spools, "one", schema, batches)
            wanted = rows(batches)
            assert rows(await read(await spools.read("one", schema))) == wanted
            part = await read(await spools.read("one", schema), start, count)
            assert rows(part) == wanted[start : start + count]
            assert sum(batch.length for batch in part) == len(wanted[start : start + count])

    asyncio.run(check())


def numbers(count: int, start: int = 0) -> Batch:
    return Batch(NUMBERS, [range(start, start + count), [f"text {n}" for n in range(count)]], count)


async def test_what_is_not_kept_or_not_whole_is_swept_away(tmp_path: Path) -> None:
    spools = Spools(tmp_path / "jobs", MEBIBYTE, MEBIBYTE)
    assert await spools.open(["kept"]) == set()
    for name in ("kept", "removed", "bare"):
        await kept(spools, name, NUMBERS, [numbers(5)])
    (tmp_path / "jobs" / "bare.index").unlink()
    writer = spools.write("half", NUMBERS)
    await writer.begin()
    await writer.write(numbers(5))
    again = Spools(tmp_path / "jobs", MEBIBYTE, MEBIBYTE)
    assert await again.open(["kept", "half", "bare", "never"]) == {"kept"}
    assert names(tmp_path / "jobs") == {"kept.arrows", "kept.index"}
    assert again.used == (tmp_path / "jobs" / "kept.arrows").stat().st_size
    await again.remove("kept")
    assert (again.used, names(tmp_path / "jobs")) == (0, set())


async def test_a_folder_that_cannot_be_made_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "jobs").touch()
    with pytest.raises(ConfigError, match="jobs cannot hold the results"):
        await Spools(tmp_path / "jobs", MEBIBYTE, MEBIBYTE).open([])


async def test_caps_of_one_and_of_all(tmp_path: Path) -> None:
    spools = Spools(tmp_path, 100_000, 150_000)
    await spools.open([])
    writer = spools.write("large", NUMBERS)
    await writer.begin()
    with pytest.raises(CostError, match="100000 bytes") as caught:
        await endless(writer)
    assert caught.value.code.name == "COST_EXCEEDED"
    await writer.abandon()
    assert (spools.used, names(tmp_path)) == (0, set())
    await kept(spools, "first", NUMBERS, [numbers(4000)])
    spools.check_room()
    writer = spools.write("second", NUMBERS)
    await writer.begin()
    with pytest.raises(StoreError, match="150000 bytes") as full:
        await endless(writer)
    assert full.value.code.name == "SPOOL_FULL"
    await writer.abandon()
    await kept(spools, "third", NUMBERS, [numbers(10)])


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """As a full disk: writes behind it fail."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """F10: what was whole stays, and there is room again behind it."""
    spools = Spools(tmp_path, MEBIBYTE, MEBIBYTE)
    await spools.open([])
    await kept(spools, "whole", NUMBERS, [numbers(10)])
    with files_no_larger_than(20_000):
        writer = spools.write("cut", NUMBERS)
        await writer.begin()
        with pytest.raises(StoreError, match="no room") as caught:
            await endless(writer)
        await writer.abandon()
    assert (caught.value.code.name, caught.value.status) == ("SPOOL_FULL", 507)
    assert names(tmp_path) == {"whole.arrows", "whole.index"}
    await kept(spools, "later", NUMBERS, [numbers(2000)])
    assert rows(await read(await spools.read("later", NUMBERS))) == rows([numbers(2000)])


async def test_a_result_that_goes_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEBIBYTE, MEBIBYTE)
    await kept(spools, "one", NUMBERS, [numbers(5), numbers(5, 5)])
    reader = await spools.read("one", NUMBERS)
    await spools.remove("one")
    assert sum(batch.length for batch in await read(reader)) == 10
    with pytest.raises(StoreError, match="no longer on the disk"):
        await spools.read("one", NUMBERS)


async def test_damage_is_an_error_and_no_rows(tmp_path: Path) -> None:
    spools = Spools(tmp_path, MEBIBYTE, MEBIBYTE)
    await kept(spools, "one", NUMBERS, [numbers(50), numbers(50, 50)])
    path = tmp_path / "one.arrows"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(StoreError, match="damaged"):
        await spools.read("one", NUMBERS)
    path.write_bytes(whole)
    with pytest.raises(StoreError, match="damaged"):
        await read(await spools.read("one", (*NUMBERS, Column("more", FLOAT64))))


def test_every_cut_of_a_stream_is_damage() -> None:
    schema = (Column("t", TIMESTAMP_MS), Column("j", JSON))
    stream = ArrowStream(schema)
    head = stream.start()
    first = stream.batch(Batch(schema, [[1, None, 3], ["1", None, "[]"]], 3))
    for cut in range(len(head) + 1, len(head) + len(first)):
        with pytest.raises(DamagedArrow):
            read_batches(schema, (head + first)[:cut])
    assert [batch.rows() for batch in read_batches(schema, head + first)] == [[(1, "1"), (None, None), (3, "[]")]]
