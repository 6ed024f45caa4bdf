"""API keys: their form, how they are found, and the commands that make and end them (T20)."""

from __future__ import annotations

import ast
import asyncio
import hmac
import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from apps.keys.commands import commands
from apps.keys.records import FIRST, KeyRecords, first_key, has_keys
from config.load import load_settings
from libs import keys
from libs.actions import ALL_ACTIONS
from libs.context import Principal, require
from libs.errors import ConfigError, HostMonitorError, RequestError
from libs.keys import Key, KeyRing, digest_of, id_of, new_key
from libs.state import FILE, State

ROOT = Path(__file__).parent.parent
FORM = re.compile(r"hm_[a-z0-9]{10}_[A-Za-z0-9]{43}")
STRONG = "0123456789abcdefghijklmnopqrstuvwxyzAB"


@pytest.fixture
def ring() -> KeyRing:
    return KeyRing()


def made(name: str = "ann", **more: Any) -> tuple[str, Key]:
    key_id, text = new_key()
    return text, Key(key_id, digest_of(text), Principal(name), **more)


def test_a_key_has_its_form_and_is_never_made_twice() -> None:
    texts = {new_key()[1] for _ in range(1000)}
    assert len(texts) == 1000
    for text in texts:
        assert FORM.fullmatch(text)
        assert id_of(text) == text.split("_")[1]
    for other in ("", "hm", "hm_", "hm_abc", "xx_abc_def", "abc", "_abc_def"):
        assert id_of(other) == ""


def test_a_ring_finds_whose_key_it_is(ring: KeyRing) -> None:
    (ann, ann_key), (bob, bob_key) = made("ann"), made("bob")
    assert ring.find(ann) is None
    ring.replace([ann_key, bob_key])
    assert [ring.find(text) for text in (ann, bob)] == [ann_key.principal, bob_key.principal]
    for wrong in (ann[:-1], ann + "x", ann.replace(ann_key.id, bob_key.id), ann_key.digest.hex(), "", "\udcff"):
        assert ring.find(wrong) is None
    ring.replace([bob_key])
    assert ring.find(ann) is None
    ring.replace([])
    assert ring.find(bob) is None


def test_a_ring_that_was_closed_once_stays_so(ring: KeyRing) -> None:
    seen = [ring.closed]
    for stored in ([made()[1]], []):
        ring.replace(stored)
        seen.append(ring.closed)
    assert seen == [False, True, True]


def test_an_expired_key_is_none_and_closes_all_the_same(ring: KeyRing) -> None:
    late, late_key = made(expires=time.time() - 1)
    ring.replace([late_key])
    assert ring.closed
    assert ring.find(late) is None


def test_the_first_key_stays_whatever_is_stored() -> None:
    for text in (STRONG, new_key()[1]):
        ring = KeyRing(first_key(text))
        ring.replace([made()[1]])
        found = ring.find(text)
        assert found is not None
        assert (found.name, found.actions) == (FIRST, ALL_ACTIONS)
    assert first_key(None) is None


def test_every_look_up_compares_once_in_constant_time(ring: KeyRing, monkeypatch: pytest.MonkeyPatch) -> None:
    """A known id or none, a wrong first or last letter: the same steps over the same lengths.

    Times are not measured: compare_digest over two hashes tells nothing of the key, and statistics on a shared machine would
    tell more of the machine.
    """
    text, key = made()
    ring.replace([key])
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    monkeypatch.setattr(keys, "hmac", type("Watched", (), {"compare_digest": staticmethod(compare)}))
    tried = (text, text[:-1] + "!", f"hm_{key.id}_!" + text[15:], new_key()[1], "of no form", "")
    for one in tried:
        ring.find(one)
    assert compared == [(32, 32)] * len(tried)


SECRETS = re.compile(r"secret|digest|presented|shown|credential|password|authorization|\bkey\b|\btext\b", re.IGNORECASE)


def test_no_secret_is_compared_by_equality() -> None:
    paths = [
        ROOT / "libs/keys.py",
        ROOT / "middlewares/auth.py",
        ROOT / "config/first_key.py",
        *ROOT.glob("apps/keys/*.py"),
    ]
    assert len(paths) >= 6
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                # How many there are, and which scheme, is no secret.
                compared = [ast.unparse(one) for one in (node.left, *node.comparators) if not _is_length(one)]
                assert not SECRETS.search(" ".join(compared)), (path.name, ast.unparse(node))


def _is_length(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "len"


def test_require_names_what_is_missing() -> None:
    ann = Principal("ann", actions=frozenset({"read", "write"}))
    require(ann, "read")
    require(ann, "write", "read")
    require(ann)
    with pytest.raises(
        RequestError, match=r"'ann' may not do this: its key does not allow metadata and native"
    ) as raised:
        require(ann, "native", "metadata", "read")
    assert raised.value.code.name == "PERMISSION_DENIED"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Any]:
    app = commands(lambda: (State(tmp_path), {"small"}))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))

    return invoke  # type: ignore[return-value]


def refused(result: Result) -> str:
    assert isinstance(result.exception, HostMonitorError), result
    return result.exception.message


def test_keys_are_added_listed_and_revoked(run: Any, tmp_path: Path) -> None:
    added = run("add", "grafana", "--allow", "native,read")
    text = added.stdout.strip()
    assert FORM.fullmatch(text)
    assert "grafana" in added.stderr
    assert "read, native" in added.stderr
    assert run("add", "telegraf", "--allow", "write", "--role", "small", "--expires", "30d").exit_code == 0
    listed = run("list").stdout
    assert "grafana" in listed
    assert "read,native" in listed
    assert "small" in listed
    assert listed.count("valid") == 2
    month = datetime.now(UTC) + timedelta(days=30)
    assert month.strftime("%Y-%m-%dT%H") in listed or (month - timedelta(minutes=1)).strftime("%Y-%m-%dT%H") in listed
    assert text.rpartition("_")[2] not in listed
    assert run("revoke", "grafana").exit_code == 0
    assert run("revoke", id_of(text)).exit_code != 0
    assert "revoked" in run("list").stdout
    with sqlite3.connect(tmp_path / FILE) as connection:
        rows = dict(connection.execute("SELECT name, digest FROM api_key").fetchall())
    assert rows["grafana"] == ""
    assert len(rows["telegraf"]) == 64


def test_a_name_may_have_two_keys_while_one_takes_over(run: Any) -> None:
    first, second = (run("add", "ann", "--allow", "read").stdout.strip() for _ in range(2))
    assert id_of(first) in refused(run("revoke", "ann"))
    assert run("revoke", id_of(first)).exit_code == 0
    assert run("revoke", "ann").exit_code == 0
    assert "no key" in refused(run("revoke", id_of(second)))


@pytest.mark.parametrize(
    "arguments",
    [
        ("ann", "--allow", "reads"), ("ann", "--allow", ""), ("ann", "--allow", "read,"), ("ann", "--allow", "READ"),
        ("", "--allow", "read"), ("a b", "--allow", "read"), ("anonymous", "--allow", "read"), ("x" * 65, "--allow", "read"),
        ("configured", "--allow", "read"), ("a\nb", "--allow", "read"), ("ann", "--allow", "read", "--role", "large"),
        ("ann", "--allow", "read", "--expires", "soon"), ("ann", "--allow", "read", "--expires", "0s"),
        ("ann", "--allow", "read", "--expires", "1y"), ("ann", "--allow", "read", "--expires", "99999999999d"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_key_is_refused(run: Any, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    assert refused(run("add", *arguments))
    assert not asyncio.run(has_keys(tmp_path))


def test_a_key_must_be_told_what_it_allows(run: Any) -> None:
    assert run("add", "ann").exit_code == 2


async def test_changes_are_counted_so_that_none_is_missed(tmp_path: Path) -> None:
    state = State(tmp_path)
    await state.open()
    records = KeyRecords(state)
    seen = [await records.change()]
    for number in range(3):
        await records.add(f"n{number}", ["read"])
        seen.append(await records.change())
        await records.revoke(f"n{number}")
        seen.append(await records.change())
    assert seen == list(range(7))
    assert await records.keys() == (6, [])
    await state.close()
    assert not await has_keys(tmp_path)
    assert not await has_keys(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


async def test_a_stored_key_tells_who_it_is(tmp_path: Path) -> None:
    state = State(tmp_path)
    await state.open()
    records = KeyRecords(state)
    record, text = await records.add("ann", ["write", "read"], "small")
    ring = KeyRing()
    ring.replace((await records.keys())[1])
    assert ring.find(text) == Principal("ann", role="small", actions=frozenset({"read", "write"}))
    assert [(one.id, one.state) for one in await records.list()] == [(record.id, "valid")]
    await state.close()


@pytest.mark.parametrize(
    "weak", ["short", "a" * 64, "0123456789abcdefghijklmnopqrstu", "key with spaces " * 4, "schlüssel" * 8, "abc" * 20]
)
def test_a_weak_first_key_stops_the_start_and_is_not_shown(tmp_path: Path, weak: str) -> None:
    file = tmp_path / "key"
    file.write_text(weak + "\n")
    for variables in ({"HOSTMONITOR_API_KEY": weak}, {"HOSTMONITOR_API_KEY_FILE": str(file)}):
        with pytest.raises(ConfigError) as raised:
            load_settings(variables).first_key()
        assert weak not in raised.value.message
        assert "API_KEY" in raised.value.message.upper()


def test_a_first_key_comes_from_the_environment_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{STRONG}\n")
    assert load_settings({"HOSTMONITOR_API_KEY": STRONG}).first_key() == STRONG
    assert load_settings({"HOSTMONITOR_API_KEY_FILE": str(file)}).first_key() == STRONG
    assert load_settings({"HOSTMONITOR_API_KEY": "", "HOSTMONITOR_API_KEY_FILE": ""}).first_key() is None
    both = {"HOSTMONITOR_API_KEY": STRONG, "HOSTMONITOR_API_KEY_FILE": str(file)}
    with pytest.raises(ConfigError, match="both set"):
        load_settings(both)
    with pytest.raises(ConfigError, match="holds no key"):
        load_settings({"HOSTMONITOR_API_KEY_FILE": str(tmp_path / "nowhere")}).first_key()
    assert STRONG not in repr(load_settings({"HOSTMONITOR_API_KEY": STRONG}))


def test_a_service_for_other_machines_starts_with_a_key_alone(tmp_path: Path) -> None:
    """The command line as it is: a stored key is enough."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HOSTMONITOR_")}
    env |= {"HOSTMONITOR_DATA_DIR": str(tmp_path / "data"), "HOSTMONITOR_LOG_DIR": str(tmp_path / "logs")}
    env |= {"HOSTMONITOR_HOST": "0.0.0.0", "HOSTMONITOR_PORT": "0"}
    command = [sys.executable, str(ROOT / "main.py")]
    added = subprocess.run(
        [*command, "keys", "add", "ann", "--allow", "read"], env=env, capture_output=True, text=True, timeout=60
    )
    assert FORM.fullmatch(added.stdout.strip()), added
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        for line in service.stdout:
            if json.loads(line)["event"] == "serving":
                break
        else:
            pytest.fail("it did not start")
        service.terminate()
        rest = service.stdout.read()
        assert service.wait(timeout=30) == 0
    assert "no key" not in line + rest
