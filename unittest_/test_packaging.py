"""What the project is made from and shipped as: dependencies, locks, images."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")


def declared(name: str) -> set[str]:
    """The names that a requirements file asks for."""
    lines = (ROOT / name).read_text().splitlines()
    return {match[0].lower() for line in lines if (match := re.match(r"[A-Za-z][\w.-]*", line))}


def test_every_dependency_has_its_line_in_the_decisions() -> None:
    document = (ROOT / "docs" / "decisions" / "dependencies.md").read_text()
    runtime, development = document.split("## Development")
    for text, name in ((runtime, "requirements.in"), (development, "requirements-dev.in")):
        assert set(re.findall(r"^\| `([\w-]+)` \|", text, re.MULTILINE)) == declared(name)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_hashes_and_no_address(name: str) -> None:
    lock = (ROOT / name).read_text()
    pins = re.split(r"\n(?=\w)", lock.strip())
    assert all(re.match(r"[\w.-]+==\S+", pin) for pin in pins)
    assert all("--hash=sha256:" in pin for pin in pins)
    assert not re.search(r"https?:|--(extra-)?index-url|--find-links|@", lock)


def test_the_locks_agree_and_hold_what_is_asked_for() -> None:
    pinned = [dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / name).read_text(), re.MULTILINE)) for name in LOCKS]
    runtime, development = pinned
    assert runtime.items() <= development.items()
    assert declared("requirements.in") <= runtime.keys()
    assert declared("requirements-dev.in") <= development.keys()


def test_dependencies_are_all_declared_and_all_used() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "deptry", "."], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_no_tracked_file_names_a_machine_s_folder() -> None:
    """Paths of somebody's home or mount belong to nobody else."""
    found = subprocess.run(
        ["git", "grep", "-nIE", r"(^|[\"' =(])/(root|home|work|mnt)/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
