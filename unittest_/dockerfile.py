"""A Dockerfile as its instructions, and what the builder would do with them in a folder, without a container engine.

Paths in the image are below a folder: `/opt/venv` is `<folder>/opt/venv`. Each stage has a folder of its own.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

KNOWN = frozenset(
    [
        "FROM",
        "LABEL",
        "ENV",
        "WORKDIR",
        "COPY",
        "RUN",
        "USER",
        "VOLUME",
        "EXPOSE",
        "STOPSIGNAL",
        "HEALTHCHECK",
        "CMD",
        "ENTRYPOINT",
        "ARG",
    ]
)


@dataclass(frozen=True, slots=True)
class Instruction:
    """`value` is the text behind the word, its lines joined."""

    word: str
    value: str

    @property
    def pairs(self) -> dict[str, str]:
        """The names and values of ENV, LABEL and ARG."""
        return dict(part.split("=", 1) for part in shlex.split(self.value) if "=" in part)

    @property
    def exec_form(self) -> list[str]:
        """The words of a JSON array. Raises ValueError for the shell's form."""
        words = json.loads(self.value[self.value.index("[") :])
        assert all(isinstance(word, str) for word in words)
        return list(words)


@dataclass
class Stage:
    """The instructions from one FROM to the next."""

    base: str
    name: str | None
    instructions: list[Instruction] = field(default_factory=list)

    def of(self, *words: str) -> list[Instruction]:
        return [one for one in self.instructions if one.word in words]

    @property
    def environment(self) -> dict[str, str]:
        return {name: value for one in self.of("ENV") for name, value in one.pairs.items()}


def parse(text: str) -> list[Stage]:
    """The stages of a Dockerfile. Raises ValueError for what is none."""
    stages: list[Stage] = []
    for one in _instructions(text):
        if one.word == "FROM":
            base, _, name = re.sub(" +as +", " AS ", one.value, flags=re.IGNORECASE).partition(" AS ")
            stages.append(Stage(base, name or None))
        elif not stages:
            raise ValueError(f"{one.word} stands before any FROM")
        else:
            stages[-1].instructions.append(one)
    return stages


def _instructions(text: str) -> Iterator[Instruction]:
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n", "", "\n".join(lines))
    for line in joined.split("\n"):
        word, _, value = line.strip().partition(" ")
        if word.upper() not in KNOWN:
            raise ValueError(f"{word!r} is no instruction")
        yield Instruction(word.upper(), value.strip())


def in_context(name: str, ignored: str) -> bool:
    """Whether a file of the top level is sent to the builder, by .dockerignore's last rule that fits."""
    sent = True
    for rule in ignored.split():
        if fnmatch.fnmatch(name, rule.removeprefix("!")):
            sent = rule.startswith("!")
    return sent


def copy(value: str, sources: Path, folder: Path, work: str) -> None:
    """Does a COPY of files and folders below `sources` into the image at `folder`; `work` is its WORKDIR."""
    *names, target = value.split()
    into_folder = target.endswith("/") or len(names) > 1
    for name in names:
        source = sources / name.lstrip("/")
        place = folder / (Path(work) / target).as_posix().lstrip("/")
        if source.is_dir():
            shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            place = place / source.name if into_folder else place
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)
