"""The service as a process of its own, which a test can kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import orjson

ROOT = Path(__file__).parent.parent
_START_SECONDS = 60


class Process:
    """`main.py serve` with its data under a folder and settings as `HOSTMONITOR_…` variables, without that beginning."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self._folder = folder
        self._settings = {"PORT": "0", "DATA_DIR": str(folder / "data"), "LOG_DIR": str(folder / "logs"), **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    async def start(self) -> None:
        """Returns when it serves."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOSTMONITOR_")}
        environment = inherited | {f"HOSTMONITOR_{name}": value for name, value in self._settings.items()}
        out = self._folder / f"out-{time.monotonic_ns()}"
        self._process = _started(environment, out)
        end = time.monotonic() + _START_SECONDS
        while time.monotonic() < end:
            for line in out.read_bytes().splitlines():
                if b'"serving"' in line:
                    self.url = orjson.loads(line)["url"].rstrip("/")
                    return
            assert self._process.poll() is None, out.read_text()
            await asyncio.sleep(0.02)
        raise AssertionError(out.read_text())

    def kill(self) -> None:
        """SIGKILL: nothing is finished, nothing is told."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()


def _started(environment: dict[str, str], out: Path) -> subprocess.Popen[bytes]:
    with out.open("wb") as opened:
        words = [sys.executable, "main.py", "serve"]
        return subprocess.Popen(words, cwd=ROOT, env=environment, stdout=opened, stderr=opened)


@asynccontextmanager
async def service_process(folder: Path, **settings: str) -> AsyncIterator[tuple[Process, aiohttp.ClientSession]]:
    process = Process(folder, **settings)
    try:
        await process.start()
        async with aiohttp.ClientSession() as session:
            yield process, session
    finally:
        process.stop()
