"""The service as its users run it, in a process of its own, and what that process costs."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parent.parent
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Running:
    url: str
    pid: int

    def cpu_seconds(self) -> float:
        """User and system time of the process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def resident_bytes(self) -> int:
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self) -> int:
        """The most resident memory since the start, or since `forget_peak`."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))

    def forget_peak(self) -> None:
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # proc(5): resets VmHWM


@asynccontextmanager
async def service(**settings: str) -> AsyncIterator[Running]:
    """`settings` without the prefix, as `es_url="http://…"`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOSTMONITOR_")}
        environment |= {"HOSTMONITOR_PORT": str(port), "HOSTMONITOR_DATA_DIR": folder, "HOSTMONITOR_LOG_DIR": folder}
        environment |= {f"HOSTMONITOR_{name.upper()}": value for name, value in settings.items()}
        process = subprocess.Popen(  # noqa: ASYNC220
            [sys.executable, "main.py", "serve"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        )
        running = Running(f"http://127.0.0.1:{port}", process.pid)
        try:
            await _await_ready(running.url)
            yield running
        finally:
            process.terminate()
            process.wait(30)


async def _await_ready(url: str) -> None:
    until = time.monotonic() + 30
    async with aiohttp.ClientSession() as session:
        while time.monotonic() < until:
            try:
                async with session.get(f"{url}/health/live") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.1)
    raise TimeoutError(f"the service does not answer at {url}")
