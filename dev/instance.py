"""A store that runs for the tests: its record in dev/.state, its life and its end."""

import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

STATE = Path(__file__).parent / ".state"
START_SECONDS = 120
STOP_SECONDS = 15


class StoreError(Exception):
    """A store did not start, or the one that was named does not fit."""


@dataclasses.dataclass(frozen=True)
class Instance:
    """A running store: `kind` is es or influx, `owner` the process that stops it, None when `stop` does."""

    kind: str
    version: str
    url: str
    folder: Path
    owner: int | None
    pid: int | None = None
    container: str | None = None
    ticks: str = ""

    def alive(self) -> bool:
        if self.container:
            return _docker("inspect", "-f", "{{.State.Running}}", self.container).stdout.strip() == "true"
        return self.pid is not None and _ticks(self.pid) == self.ticks

    def orphaned(self) -> bool:
        """Whether the run that started it ended without stopping it."""
        return self.owner is not None and not _exists(self.owner)

    def stop(self) -> None:
        """End it, by force after STOP_SECONDS, and remove its folder."""
        if self.container:
            _docker("rm", "-f", self.container)
        elif self.pid is not None and self.alive():
            os.kill(self.pid, signal.SIGTERM)
            deadline = time.monotonic() + STOP_SECONDS
            while self.alive() and time.monotonic() < deadline:
                _reap(self.pid)
                time.sleep(0.1)
            if self.alive():
                os.kill(self.pid, signal.SIGKILL)
                _reap(self.pid)
        shutil.rmtree(self.folder, ignore_errors=True)

    def save(self) -> None:
        record = {**dataclasses.asdict(self), "folder": str(self.folder)}
        (self.folder / "instance.json").write_text(json.dumps(record))


def launch(command: list[str], folder: Path, kind: str, version: str, url: str) -> Instance:
    """Start a server process, detached, its output in the folder's log."""
    with (folder / "log").open("wb") as log:
        # A session of its own: Ctrl-C reaches the tests, and the store outlives them until it is stopped.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True
        )
    ticks = _ticks(process.pid)
    return Instance(kind, version, url, folder, owner=None, pid=process.pid, ticks=ticks)


def launch_container(image: str, arguments: list[str], folder: Path, kind: str, version: str, url: str) -> Instance:
    """Start a container of `image`; raises StoreError where the engine refuses."""
    done = _docker("run", "-d", "--rm", *arguments, image)
    if done.returncode:
        raise StoreError(f"docker run {image}: {done.stderr.strip()}")
    return Instance(kind, version, url, folder, owner=None, container=done.stdout.strip())


def await_answer(instance: Instance, probe: str) -> None:
    """Wait until the store answers `probe`; stops it and raises StoreError with its log's end otherwise."""
    try:
        if _answers_in_time(instance, probe):
            return
    except BaseException:
        # Ctrl-C while it starts: nobody else knows of it yet.
        instance.stop()
        raise
    log = instance.folder / "log"
    end = log.read_text(errors="replace")[-3000:] if log.exists() else ""
    instance.stop()
    raise StoreError(f"{instance.kind} {instance.version} gave no answer at {instance.url}; its log ends:\n{end}")


def _answers_in_time(instance: Instance, probe: str) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and instance.alive():
        if answers(instance.url + probe):
            return True
        if instance.pid is not None:
            _reap(instance.pid)
        time.sleep(0.25)
    return False


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=3):
            return True
    except (urllib.error.URLError, OSError):
        return False


def instances() -> Iterator[Instance]:
    """The stores that run, started from this checkout; records of dead ones are removed."""
    for record in sorted(STATE.glob("*/instance.json")):
        fields = json.loads(record.read_text())
        instance = Instance(**{**fields, "folder": record.parent})
        if instance.alive():
            yield instance
        else:
            shutil.rmtree(record.parent, ignore_errors=True)


def fresh_folder(name: str) -> Path:
    """An empty folder under dev/.state."""
    folder = STATE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def free_port(variable: str, first: int) -> int:
    """The port that the variable names, or the first free one from `first` on.

    Raises StoreError where the named one is taken.
    """
    named = os.environ.get(variable)
    if named and not _free(int(named)):
        raise StoreError(f"{variable}={named}: the port is taken")
    if named:
        return int(named)
    return next(port for port in range(first, 65536) if _free(port))


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _ticks(pid: int) -> str:
    """When the process started, to tell it from a later one of the same id; "gone" when it ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        # No /proc (macOS): the id has to do.
        return "unknown" if not Path("/proc/self").exists() and _exists(pid) else "gone"
    return "gone" if fields[0] == "Z" else fields[19]


def _reap(pid: int) -> None:
    """Take a child's exit status, so that it does not stay a zombie; others' children are left alone."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
