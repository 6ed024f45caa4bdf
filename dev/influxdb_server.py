"""A real InfluxDB 1.x for the tests: from a container, else Debian's package."""

import os
import subprocess
import sys
from pathlib import Path

from dev.instance import Instance, StoreError, await_answer, free_port, fresh_folder, launch, launch_container
from dev.machine import ensure, find, has_container_engine

CONTAINER_VERSION = "1.11"
FIRST_PORT = 18086
PROBE = "/ping"
CONFIGURATION = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc_port}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
  query-log-enabled = false
[http]
  bind-address = "127.0.0.1:{port}"
  log-enabled = false
"""


def start() -> Instance:
    """Start a server with an empty data folder; raises StoreError, MissingProgramError."""
    port = free_port("HOSTMONITOR_TEST_INFLUX_PORT", FIRST_PORT)
    folder = fresh_folder(f"influx-{port}")
    url = f"http://127.0.0.1:{port}"
    instance = _from_container(port, folder, url) if has_container_engine() else None
    if instance is None:
        instance = _from_package(port, folder, url)
    await_answer(instance, PROBE)
    return instance


def _from_container(port: int, folder: Path, url: str) -> Instance | None:
    """The server in a container, or None (and a word) where the image cannot be had."""
    version = os.environ.get("INFLUX_VERSION") or CONTAINER_VERSION
    arguments = ["-p", f"127.0.0.1:{port}:8086", "-e", "INFLUXDB_REPORTING_DISABLED=true"]
    try:
        return launch_container(f"influxdb:{version}", arguments, folder, kind="influx", version=version, url=url)
    except StoreError as error:
        print(f"stores: {error}; trying Debian's package", file=sys.stderr)
        return None


def _from_package(port: int, folder: Path, url: str) -> Instance:
    ensure("influxd")
    program = find("influxd") or "influxd"
    said = subprocess.run([program, "version"], capture_output=True, text=True, check=False).stdout.strip()
    if "v1." not in said:
        raise StoreError(f"{program} is {said or 'of no known version'}; InfluxDB 1.x is needed (Debian's influxdb)")
    rpc_port = free_port("HOSTMONITOR_TEST_INFLUX_RPC_PORT", port + 2)
    configuration = folder / "influxdb.conf"
    configuration.write_text(CONFIGURATION.format(port=port, rpc_port=rpc_port, folder=folder))
    version = said.split("v1.", 1)[1].split()[0]
    command = [program, "-config", str(configuration)]
    return launch(command, folder, kind="influx", version=f"1.{version}", url=url)
