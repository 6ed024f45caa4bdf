"""T18: whatever is sent, every log line parses, there is one for each answer, and no secret is in them (T29)."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.log_cleaning import FIELD_BYTES, render
from config.log_files import LogStream, RotatedFile
from config.logging import close_logging, configure_logging, lost_lines
from config.settings import LogSettings, Settings
from unittest_.running_app import exchange, service


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    root = logging.getLogger()
    before = (root.handlers, root.level)
    settings = Settings(data_dir=tmp_path / "data", log_dir=tmp_path / "logs")
    configure_logging(settings, stdout=False)
    yield settings
    close_logging()
    root.handlers, root.level = before
    structlog.reset_defaults()
    logging.captureWarnings(False)


def lines(settings: Settings, name: str) -> list[dict[str, Any]]:
    """The lines of a log; raises where one is no JSON object of printable ASCII."""
    found = []
    for line in (settings.log_dir / f"{name}.log").read_bytes().splitlines():
        assert all(32 <= byte < 127 for byte in line), line
        found.append(json.loads(line))
        assert isinstance(found[-1], dict)
    return found


HOSTILE = ["\n", "\r", "\x1b[31m", "\x00", "\x7f", "\u2028", "\u0085", "\x0b", '"', "\\", "{}", "\udc80", "é" * 500]


def heads() -> Iterator[bytes]:
    """Requests with each hostile text in the method, the path and the headers; one answer each."""
    for text in HOSTILE:
        raw = text.encode("utf-8", "surrogateescape")
        yield b"GET" + raw + b" /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        yield b"GET /a" + raw + b"b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        yield b"GET /a?q=" + raw + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        yield b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-ID: a" + raw + b"\r\n\r\n"
        yield b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nUser-Agent: a" + raw + b"\r\n\r\n"
    yield b"GET /a%0a%1b%E2%80%A8 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    yield b"nonsense\r\n\r\n"
    yield b"GET http://[ HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield b"GET /" + b"a" * 12_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def test_t18_a_line_for_each_answer_whatever_is_sent(settings: Settings) -> None:
    async with service(settings) as address:
        answered = 0
        for head in heads():
            answer = await exchange(address, head)
            assert answer.startswith(b"HTTP/1.1 4"), (head, answer)
            assert b"\r\nx-request-id: " in answer
            answered += 1
    access = lines(settings, "access")
    assert len(access) == answered
    assert all(400 <= line["status"] < 500 for line in access)
    assert all(len(json.dumps(value)) <= FIELD_BYTES + 2 for line in access for value in line.values())
    lines(settings, "app")


async def test_an_access_line_says_what_was_asked_and_answered(settings: Settings) -> None:
    async with service(settings) as address:
        await exchange(address, b"GET /health/live?a=b HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: me-1\r\n\r\n")
    (line,) = lines(settings, "access")
    assert line["event"] == "request"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/health/live", 400)
    assert (line["request_id"], line["client"]) == ("me-1", "127.0.0.1")
    assert line["ms"] >= 0
    assert line["bytes"] > 100


@given(
    st.dictionaries(
        st.text(max_size=20),
        st.one_of(st.text(max_size=3000), st.integers(), st.floats(), st.binary(), st.lists(st.text()), st.none()),
        max_size=6,
    )
)
def test_any_fields_make_one_line_of_bounded_fields(fields: dict[str, object]) -> None:
    line = render(fields)
    assert line.endswith(b"\n")
    assert all(32 <= byte < 127 for byte in line[:-1])
    read = json.loads(line)
    assert all(len(json.dumps(value)) <= FIELD_BYTES + 2 for value in read.values() if isinstance(value, str))


CANARY = "canary-5f3759df"


@pytest.mark.parametrize(
    "fields",
    [
        {"password": CANARY},
        {"Authorization": f"Bearer {CANARY}"},
        {"headers": {"cookie": CANARY, "X-Api-Key": [CANARY]}},
        {"event": f"GET http://user:{CANARY}@host:9200/ failed"},
        {"event": f"sent Authorization: ApiKey {CANARY}"},
        {"event": f"uri: http://h/query?u=a&token={CANARY}&q=1"},
        {"event": f"{{'password': '{CANARY}', 'a': 1}}"},
        {"items": [f"basic {CANARY}="]},
        {"exception": f"Error: login as https://a:{CANARY}@b"},
        {"nested": {"a": {"b": {"c": {"d": {"secret": CANARY}}}}}},
    ],
)
def test_t29_secrets_are_left_out(fields: dict[str, object]) -> None:
    assert CANARY.encode() not in render(fields)


def test_all_loggers_come_out_as_lines(settings: Settings) -> None:
    logging.getLogger("sanic.error").warning("from %s", "Sanic")
    root = logging.getLogger()
    # pytest's own handlers raise on this one.
    root.handlers = root.handlers[:1]
    logging.getLogger("aiohttp.client").warning("a format %d that does not fit", "x")
    try:
        raise ValueError("in the deep")
    except ValueError:
        structlog.get_logger("somewhere").exception("failed", index="logs")
    structlog.get_logger("somewhere").debug("below the level")
    sanic, other, own = lines(settings, "app")
    assert (sanic["logger"], sanic["level"], sanic["event"]) == ("sanic.error", "warning", "from Sanic")
    assert other["event"] == "a format %d that does not fit"
    assert (own["logger"], own["level"], own["index"]) == ("somewhere", "error", "logs")
    assert own["exception"].endswith("ValueError: in the deep\n")


def test_a_full_log_is_rotated_and_the_oldest_dropped(tmp_path: Path) -> None:
    file = RotatedFile(tmp_path / "app.log", max_bytes=100, files=2)
    for number in range(10):
        file.write(b"%d" % number * 59 + b"\n")
    file.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.log", "app.log.1", "app.log.2"]
    assert [(tmp_path / name).read_bytes()[:1] for name in ("app.log.2", "app.log.1", "app.log")] == [b"7", b"8", b"9"]


def test_f10_a_full_disk_loses_lines_and_counts_them() -> None:
    stream = LogStream(RotatedFile(Path("/dev/full"), max_bytes=10_000, files=1), stdout=False)
    stream.write(b"{}\n")
    stream.write(b"{}\n")
    assert stream.lost == 2
    stream.close()


def test_the_size_of_a_log_is_a_setting(tmp_path: Path, settings: Settings) -> None:
    small = Settings(log_dir=tmp_path / "small", log=LogSettings(max_bytes=65_536, files=1))
    configure_logging(small, stdout=False)
    for _ in range(100):
        structlog.get_logger("x").info("y" * 1000)
    assert lost_lines() == 0
    assert (small.log_dir / "app.log.1").stat().st_size <= 65_536
