"""The state file: made, brought forward from every earlier form, refused when it is newer, durable and atomic."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, func, inspect, select, text

from libs.errors import ConfigError, StoreError
from libs.state import FILE, State
from libs.state_migrations import STEPS
from libs.state_tables import LOOKUP, METADATA

ROW: dict[str, Any] = {"version": 1, "changed_at": "", "tag": "t", "length": 0, "columns": "[]", "cells": "[]"}


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[State]:
    state = State(tmp_path / "data")
    await state.open()
    yield state
    await state.close()


async def count(state: State) -> int:
    async with state.read() as connection:
        found: int = (await connection.execute(select(func.count()).select_from(LOOKUP))).scalar_one()
        return found


async def test_the_steps_make_the_tables_that_statements_are_written_against(state: State) -> None:
    async with state.read() as connection:
        names = await connection.run_sync(lambda sync: set(inspect(sync).get_table_names()))
        assert names == {*METADATA.tables, "migration"}
        for table in METADATA.tables.values():
            columns = await connection.run_sync(_columns, table.name)
            made = [(c["name"], str(c["type"]), c["nullable"] and not c["primary_key"]) for c in columns]
            assert made == [(c.name, str(c.type), bool(c.nullable)) for c in table.columns]


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    for number in range(3):
        state = State(tmp_path)
        await state.open()
        assert await count(state) == number
        async with state.write() as connection:
            await connection.execute(LOOKUP.insert().values(name=f"n{number}", **ROW))
        await state.close()


def _columns(connection: Connection, table: str) -> list[Any]:
    return list(inspect(connection).get_columns(table))


@pytest.mark.parametrize("done", range(len(STEPS)))
async def test_a_file_of_any_earlier_release_comes_forward(tmp_path: Path, done: int) -> None:
    old = State(tmp_path, STEPS[:done])
    await old.open()
    await old.close()
    state = State(tmp_path)
    await state.open()
    assert await count(state) == 0
    async with state.read() as connection:
        numbers = (await connection.execute(text("SELECT number FROM migration ORDER BY 1"))).scalars().all()
    assert numbers == list(range(1, len(STEPS) + 1))
    await state.close()


async def test_data_survives_a_later_step(tmp_path: Path) -> None:
    state = State(tmp_path)
    await state.open()
    async with state.write() as connection:
        await connection.execute(LOOKUP.insert().values(name="kept", **ROW))
    await state.close()
    later = State(tmp_path, (*STEPS, ("ALTER TABLE lookup ADD COLUMN note TEXT",)))
    await later.open()
    async with later.read() as connection:
        assert (await connection.execute(text("SELECT name, note FROM lookup"))).all() == [("kept", None)]
    await later.close()


async def test_a_step_that_fails_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    broken = State(tmp_path, (*STEPS, ("CREATE TABLE half (a TEXT)", "CREATE TABLE half (a TEXT)")))
    with pytest.raises(ConfigError, match="half"):
        await broken.open()
    state = State(tmp_path)
    await state.open()
    async with state.read() as connection:
        assert "half" not in await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await state.close()


async def test_a_newer_release_s_file_is_refused(tmp_path: Path) -> None:
    newer = State(tmp_path, (*STEPS, ("CREATE TABLE later (a TEXT)",)))
    await newer.open()
    await newer.close()
    with pytest.raises(ConfigError, match="newer release"):
        await State(tmp_path).open()


async def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"hello" * 1000)
    with pytest.raises(ConfigError, match="not a database"):
        await State(tmp_path).open()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigError, match="cannot be made"):
        await State(tmp_path / "file" / "data").open()


async def test_a_write_that_fails_is_undone(state: State) -> None:
    async def fail() -> None:
        async with state.write() as connection:
            await connection.execute(LOOKUP.insert().values(name="a", **ROW))
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await count(state) == 0


async def test_writes_of_many_at_once_all_count(state: State) -> None:
    async def increase() -> None:
        async with state.write() as connection:
            version = (await connection.execute(select(LOOKUP.c.version))).scalar_one()
            await asyncio.sleep(0)
            await connection.execute(LOOKUP.update().values(version=version + 1))

    async with state.write() as connection:
        await connection.execute(LOOKUP.insert().values(name="a", **ROW))
    await asyncio.gather(*(increase() for _ in range(20)))
    async with state.read() as connection:
        assert (await connection.execute(select(LOOKUP.c.version))).scalar_one() == 21


async def test_a_cancelled_write_is_undone_and_blocks_nobody(state: State) -> None:
    begun = asyncio.Event()

    async def hang() -> None:
        async with state.write() as connection:
            await connection.execute(LOOKUP.insert().values(name="a", **ROW))
            begun.set()
            await asyncio.sleep(60)

    task = asyncio.create_task(hang())
    await begun.wait()
    assert await count(state) == 0
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with state.write() as connection:
        await connection.execute(LOOKUP.insert().values(name="a", **ROW))
    assert await count(state) == 1


async def test_a_state_in_trouble_is_a_store_error(state: State) -> None:
    async with state.write() as connection:
        await connection.execute(LOOKUP.insert().values(name="a", **ROW))
    with pytest.raises(StoreError) as caught:
        async with state.write() as connection:
            await connection.execute(text("INSERT INTO nowhere VALUES (1)"))
    assert (caught.value.code.name, caught.value.source) == ("STORE_UNAVAILABLE", "state")
    await state.close()
    with pytest.raises(StoreError):
        await count(state)


async def test_commits_are_forced_to_the_disk(state: State) -> None:
    async with state.read() as connection:
        assert (await connection.execute(text("PRAGMA synchronous"))).scalar_one() == 2
        assert (await connection.execute(text("PRAGMA journal_mode"))).scalar_one() == "wal"
    with sqlite3.connect(state.path) as other:
        assert other.execute("PRAGMA integrity_check").fetchone() == ("ok",)
