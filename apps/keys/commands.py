"""`main.py keys`: add, list and revoke the keys of a service, whether it runs or not."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from apps.keys.records import KeyRecords, text_of
from libs.actions import ACTIONS
from libs.context import DEFAULT_ROLE
from libs.errors import RequestError
from libs.state import State
from libs.times import parse_duration

T = TypeVar("T")
# Makes the state, and names the roles that the settings describe.
Open = Callable[[], tuple[State, Collection[str]]]


def commands(opened: Open) -> typer.Typer:
    """The commands over the state that `opened` makes."""
    keys = typer.Typer(help="API keys: add, list, revoke. A running service notices within two seconds.")

    @keys.command()
    def add(
        name: Annotated[str, typer.Argument(help="Who calls with it, as the logs show it.")],
        allow: Annotated[str, typer.Option(help=f"What it may do, with commas between: {', '.join(ACTIONS)}.")],
        role: Annotated[str, typer.Option(help="The role whose limits hold for it.")] = DEFAULT_ROLE,
        expires: Annotated[
            str, typer.Option(help="How long it is valid, such as 12h or 30d; for ever without it.")
        ] = "",
    ) -> None:
        """Make a key. It is shown once, here, and kept nowhere."""
        state, roles = opened()
        _check_role(role, roles)
        actions, until = _actions(allow), _expiry(expires)
        record, text = _run(state, lambda records: records.add(name, actions, role, until))
        valid = f"valid until {record.expires_at}" if record.expires_at else "valid until it is revoked"
        print(
            f"The key {record.id} of {record.name!r} may {', '.join(record.actions)}; {valid}. It is not shown again:",
            file=sys.stderr,
        )
        print(text)

    @keys.command("list")
    def list_keys() -> None:
        """Show all keys, without their secrets."""
        state, _ = opened()
        table = Table("id", "name", "allows", "role", "state", "created", "expires")
        for one in _run(state, lambda records: records.list()):
            table.add_row(
                one.id, one.name, ",".join(one.actions), one.role, one.state, one.created_at, one.expires_at or "never"
            )
        # A pipe has no width of its own: nothing is cut there.
        Console(width=None if sys.stdout.isatty() else 200).print(table)

    @keys.command()
    def revoke(key: Annotated[str, typer.Argument(metavar="ID|NAME", help="A key's id, or its name.")]) -> None:
        """End a key."""
        state, _ = opened()
        record = _run(state, lambda records: records.revoke(key))
        print(f"The key {record.id} of {record.name!r} is revoked.", file=sys.stderr)

    return keys


def _run(state: State, ask: Callable[[KeyRecords], Awaitable[T]]) -> T:
    async def whole() -> T:
        await state.open()
        try:
            return await ask(KeyRecords(state))
        finally:
            await state.close()

    return asyncio.run(whole())


def _check_role(role: str, roles: Collection[str]) -> None:
    known = sorted({DEFAULT_ROLE, *roles})
    if role not in known:
        raise RequestError(f"There is no role {role[:70]!r}; the settings have {', '.join(known)}.")


def _actions(allow: str) -> list[str]:
    names = [name.strip() for name in allow.split(",")]
    wrong = [name for name in names if name not in ACTIONS]
    if wrong:
        raise RequestError(f"{wrong[0][:70]!r} is nothing to allow: one or more of {', '.join(ACTIONS)}.")
    return names


def _expiry(expires: str) -> str | None:
    if not expires:
        return None
    try:
        seconds = parse_duration(expires) / 1e9
        if seconds <= 0:
            raise ValueError(f"{expires!r} is over at once")
        return text_of(time.time() + seconds)
    except (ValueError, OverflowError) as error:
        raise RequestError(f"--expires: {error}") from None
