"""What the tests need of the machine: programs, taken from Debian's packages where they are missing."""

import functools
import os
import shutil
import subprocess
import sys


class MissingProgramError(Exception):
    """A program is missing and cannot be installed here; the message names the command that would."""


# What is asked for: the names it may go by, and Debian's packages that bring it.
PROGRAMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "java": (("javac",), ("default-jdk-headless",)),
    "maven": (("mvn",), ("maven",)),
    "influxd": (("influxd",), ("influxdb",)),
    "chromium": (("chromium", "chromium-browser", "google-chrome"), ("chromium",)),
    "wrk": (("wrk",), ("wrk",)),
    # Debian keeps it where only root looks by itself.
    "nginx": (("nginx", "/usr/sbin/nginx"), ("nginx",)),
}


def find(program: str) -> str | None:
    """The path of a program of PROGRAMS, or None."""
    names, _ = PROGRAMS[program]
    return next((path for path in map(shutil.which, names) if path), None)


def ensure(*programs: str) -> None:
    """Install what is missing.

    Raises MissingProgramError where this is not root on Debian, or where the installation fails.
    """
    missing = [program for program in programs if find(program) is None]
    if not missing:
        return
    packages = [package for program in missing for package in PROGRAMS[program][1]]
    command = ["apt-get", "install", "-y", "--no-install-recommends", *packages]
    remedy = f"{', '.join(missing)} missing; run: sudo apt-get update && sudo {' '.join(command)}"
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise MissingProgramError(remedy)
    print(f"stores: installing {' '.join(packages)}", file=sys.stderr, flush=True)
    _update_lists()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A package may start its server: influxdb does under systemd. Here it would only hold the port.
    done = subprocess.run([*command, "-qq"], env=environment, capture_output=True, text=True)
    if done.returncode or any(find(program) is None for program in missing):
        raise MissingProgramError(f"{remedy}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


@functools.cache
def _update_lists() -> None:
    subprocess.run(["apt-get", "update", "-qq"], stdout=subprocess.DEVNULL, check=False)


@functools.cache
def has_container_engine() -> bool:
    """Whether `docker info` answers; a client without an engine is common."""
    if os.environ.get("HOSTMONITOR_TEST_CONTAINERS") == "0" or shutil.which("docker") is None:
        return False
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=10)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
