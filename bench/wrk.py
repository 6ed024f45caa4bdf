"""Loads by wrk (Debian's package): requests a second and latencies from a process of its own."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclass(frozen=True, slots=True)
class Load:
    """`p50` in seconds."""

    per_second: float
    p50: float
    errors: int


async def load(url: str, body: object, *, connections: int, seconds: int = 4) -> Load:
    """Posts one JSON body again and again. Raises RuntimeError where wrk is missing or an answer fails."""
    if shutil.which("wrk") is None:
        raise RuntimeError("wrk is missing: apt-get install wrk")
    text = json.dumps(body)
    script = f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "application/json"\nwrk.body = {json.dumps(text)}\n'
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "post.lua"
        path.write_text(script)
        threads = "1" if connections == 1 else "2"
        process = await asyncio.create_subprocess_exec(
            "wrk", "-t", threads, "-c", str(connections), "-d", f"{seconds}s", "--latency", "-s", str(path), url,
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output = (await process.communicate())[0].decode()
    rate = re.search(r"Requests/sec:\s+([\d.]+)", output)
    p50 = re.search(r"50%\s+([\d.]+)(us|ms|s|m)", output)
    failed = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    if rate is None or p50 is None:
        raise RuntimeError(output)
    if failed is not None:
        raise RuntimeError(f"{failed[1]} answers failed: {output}")
    return Load(float(rate[1]), float(p50[1]) * _UNITS[p50[2]], 0)
