"""Two replicas of the service behind a real nginx with deploy/nginx.conf, of which only ports and paths are replaced."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from dev import machine
from unittest_.live import Client

ROOT = Path(__file__).parent.parent
BASE = "/hm"
START_SECONDS = 30


@dataclass
class Gateway:
    """`url` is the gateway's, with the base path; `ports` are the replicas'."""

    folder: Path
    port: int
    ports: tuple[int, ...]
    environment: Mapping[str, str]
    processes: dict[int, subprocess.Popen[bytes]] = field(default_factory=dict)
    nginx: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{BASE}"

    def start(self, replica: int) -> None:
        self.processes[replica] = subprocess.Popen(
            [sys.executable, "main.py", "serve"], cwd=ROOT, env=self._environment(replica), stdout=subprocess.DEVNULL
        )

    def command(self, *words: str) -> str:
        """What a command of the service prints, with the settings of the first replica."""
        done = subprocess.run(
            [sys.executable, "main.py", *words], cwd=ROOT, env=self._environment(0), capture_output=True, check=True
        )
        return done.stdout.decode()

    def _environment(self, replica: int) -> dict[str, str]:
        own = {
            "HOSTMONITOR_PORT": str(self.ports[replica]),
            "HOSTMONITOR_DATA_DIR": str(self.folder / f"data-{replica}"),
            "HOSTMONITOR_LOG_DIR": str(self.folder / f"logs-{replica}"),
            "HOSTMONITOR_REPLICAS__OWN": str(replica),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOSTMONITOR_")}
        return {**inherited, **self.environment, **own}

    def kill(self, replica: int) -> None:
        process = self.processes.pop(replica)
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Once every replica that was started answers, and nginx does."""
        addresses = [f"http://127.0.0.1:{self.ports[replica]}{BASE}" for replica in self.processes]
        for address in [*addresses, self.url]:
            until = time.monotonic() + START_SECONDS
            while not await _lives(session, address):
                assert time.monotonic() < until, f"{address} does not answer"
                await asyncio.sleep(0.05)

    def answered_by(self, since: int = 0) -> list[str]:
        """The addresses that nginx had its answers from, in order, behind the first so many."""
        return [line["upstream"] for line in self.log()[since:]]

    def log(self) -> list[dict[str, Any]]:
        """nginx' access log."""
        return [json.loads(line) for line in (self.folder / "access.log").read_text().splitlines()]

    def stop(self) -> None:
        for process in [*self.processes.values(), self.nginx]:
            if process is not None:
                process.terminate()
        for process in [*self.processes.values(), self.nginx]:
            if process is not None:
                process.wait(20)


async def _lives(session: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with session.get(f"{address}/health/live") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


def configuration(text: str, folder: Path, port: int, ports: tuple[int, ...]) -> str:
    """The example with these ports, and every path below the folder."""
    text = text.replace("listen 80;", f"listen 127.0.0.1:{port};")
    for replica, own in enumerate(ports):
        text = text.replace(f"127.0.0.1:{8000 + replica}", f"127.0.0.1:{own}")
    text = re.sub(r"/(?:run|var/log/nginx|var/lib/nginx)/", f"{folder}/", text)
    # Who is not root cannot use the folders that these have by themselves.
    others = "".join(f"{name}_temp_path {folder}/{name};\n" for name in ("fastcgi", "uwsgi", "scgi"))
    return text.replace("http {\n", "http {\n" + others)


@asynccontextmanager
async def gateway(
    folder: Path, ports: tuple[int, ...], port: int, **settings: str
) -> AsyncIterator[tuple[Gateway, Client]]:
    """Runs them; `settings` are the replicas', as the environment has them, without the prefix."""
    program = machine.find("nginx")
    assert program is not None, "no nginx: run `make test`, which installs Debian's as root"
    path = folder / "nginx.conf"
    path.write_text(configuration((ROOT / "deploy" / "nginx.conf").read_text(), folder, port, ports))
    environment = {
        "HOSTMONITOR_BASE_PATH": BASE,
        "HOSTMONITOR_STATE_DIR": str(folder / "state"),
        "HOSTMONITOR_REPLICAS__URLS": ",".join(f"http://127.0.0.1:{own}" for own in ports),
        "HOSTMONITOR_SERVER__CONNECTIONS_PER_ADDRESS": "0",
        **{f"HOSTMONITOR_{name}": value for name, value in settings.items()},
    }
    running = Gateway(folder, port, ports, environment)
    rights = "user root; " if os.geteuid() == 0 else ""
    try:
        for replica in range(len(ports)):
            running.start(replica)
        running.nginx = subprocess.Popen(  # noqa: ASYNC220 - it starts at once
            [program, "-p", str(folder), "-e", str(folder / "start.log"), "-c", str(path), "-g", rights + "daemon off;"]
        )
        async with aiohttp.ClientSession() as session:
            await running.ready(session)
            yield running, Client(running.url, session)
    finally:
        running.stop()
