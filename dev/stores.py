"""Real stores for the tests and the measurements, an Elasticsearch and an InfluxDB on this machine.

    python -m dev.stores run [--needs PROGRAM]... -- COMMAND...   start, run the command, stop; its exit status
    python -m dev.stores start      start them, and say the lines of `env`
    python -m dev.stores env        the addresses, as lines to eval
    python -m dev.stores status     what runs
    python -m dev.stores stop       stop what `start` began

HOSTMONITOR_TEST_ES_URL and HOSTMONITOR_TEST_INFLUX_URL name stores that are there already; they are used as they are.
Ports: HOSTMONITOR_TEST_ES_PORT (19200 or the next free one), HOSTMONITOR_TEST_INFLUX_PORT (18086 or the next).
ES_VERSION (8.19.21), ES_JAVA_HOME (a JDK of 17 or newer, 21 for Elasticsearch 9), ES_HEAP (512m).
Containers where `docker info` answers (HOSTMONITOR_TEST_CONTAINERS=0: never), else Maven's jars and Debian's packages.
"""

import argparse
import dataclasses
import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable

from dev import elasticsearch_node, influxdb_server
from dev.instance import Instance, StoreError, answers, instances
from dev.machine import MissingProgramError, ensure

VARIABLES = {"es": "HOSTMONITOR_TEST_ES_URL", "influx": "HOSTMONITOR_TEST_INFLUX_URL"}
STARTERS: dict[str, Callable[[], Instance]] = {
    "es": elasticsearch_node.start,
    "influx": influxdb_server.start,
}
PROBES = {"es": elasticsearch_node.PROBE, "influx": influxdb_server.PROBE}


def wanted_version() -> str:
    return os.environ.get("ES_VERSION") or elasticsearch_node.DEFAULT_VERSION


def named(kind: str) -> str | None:
    """The address of a store that the environment names, once it is known to fit; raises StoreError."""
    variable = VARIABLES[kind]
    url = os.environ.get(variable, "").rstrip("/")
    if not url:
        return None
    if not answers(url + PROBES[kind]):
        raise StoreError(f"nothing answers at {variable}={url}; unset it to have one started")
    if kind == "es" and wanted_version() != elasticsearch_node.DEFAULT_VERSION:
        with urllib.request.urlopen(url + "/_nodes/_local?filter_path=nodes.*.version", timeout=10) as answer:
            nodes = json.load(answer)["nodes"].values()
        if any(node["version"] != wanted_version() for node in nodes):
            raise StoreError(f"{variable}={url} is not Elasticsearch {wanted_version()}; unset it")
    return url


def running(kind: str) -> Instance | None:
    """A store of `start`, of the wanted version."""
    for instance in instances():
        fits = kind != "es" or instance.version == wanted_version()
        if instance.kind == kind and instance.owner is None and fits:
            return instance
    return None


def start_missing(owner: int | None) -> tuple[dict[str, str], list[Instance]]:
    """The address of each kind, and the instances that this call started; on failure it stops them again."""
    urls: dict[str, str] = {}
    started: list[Instance] = []
    for instance in instances():
        if instance.orphaned():
            instance.stop()
    try:
        for kind, starter in STARTERS.items():
            url = named(kind)
            there = None if url else running(kind)
            if not url and there is None:
                there = dataclasses.replace(starter(), owner=owner)
                started.append(there)
                there.save()
            urls[kind] = url or (there.url if there else "")
    except BaseException:
        for instance in started:
            instance.stop()
        raise
    return urls, started


def run(command: list[str], needs: list[str]) -> int:
    """Run the command on real stores; the stores started for it are stopped however it ends."""
    signal.signal(signal.SIGTERM, _ended)
    ensure(*needs)
    urls, started = start_missing(owner=os.getpid())
    environment = {**os.environ, **{VARIABLES[kind]: url for kind, url in urls.items()}}
    try:
        child = subprocess.Popen(command, env=environment)
        # Ctrl-C reaches the child by itself; SIGTERM is handed on. Both times we wait for it, then stop the stores.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: child.terminate())
        status = child.wait()
    finally:
        for instance in started:
            instance.stop()
    return status if status >= 0 else 128 - status


def _ended(*_: object) -> None:
    # As on Ctrl-C: what is being started is stopped on the way out.
    sys.exit(128 + signal.SIGTERM)


def print_addresses(urls: dict[str, str]) -> None:
    for kind, url in urls.items():
        print(f"export {VARIABLES[kind]}={url}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dev.stores", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    runner = verbs.add_parser("run")
    runner.add_argument("--needs", action="append", default=[], help="a program that must be there")
    runner.add_argument("command", nargs="+")
    for verb in ("start", "env", "status", "stop"):
        verbs.add_parser(verb)
    return parser.parse_args()


def act(asked: argparse.Namespace) -> int:
    if asked.verb == "run":
        return run(asked.command, asked.needs)
    if asked.verb == "start":
        urls, _ = start_missing(owner=None)
        print_addresses(urls)
    elif asked.verb == "env":
        found = {kind: named(kind) or (there.url if (there := running(kind)) else None) for kind in STARTERS}
        missing = [kind for kind, url in found.items() if url is None]
        if missing:
            raise StoreError(f"not running: {', '.join(missing)}; run: python -m dev.stores start")
        print_addresses({kind: url for kind, url in found.items() if url})
    else:
        for instance in instances():
            if asked.verb == "stop":
                if instance.owner is None or instance.orphaned():
                    instance.stop()
            else:
                where = f"container {instance.container}" if instance.container else f"pid {instance.pid}"
                print(f"{instance.kind} {instance.version} at {instance.url}, {where}")
    return 0


def main() -> int:
    try:
        return act(arguments())
    except (StoreError, MissingProgramError) as error:
        print(f"stores: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
