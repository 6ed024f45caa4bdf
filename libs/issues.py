"""Gathers everything that is wrong with a request before it is refused, and guesses what a name was meant to be."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice

from libs.errors import Issue, RequestError

MOST_ISSUES = 100
_MOST_GUESSES = 20
_MOST_CANDIDATES = 2_000
_SHOWN = 12


class Issues:
    """A request's faults in the order they were found; past the hundredth they are only counted."""

    __slots__ = ("dropped", "found", "guesses")

    def __init__(self) -> None:
        self.found: list[Issue] = []
        self.dropped = 0
        self.guesses = 0

    def add(self, code: str, message: str, pointer: str, hint: str | None = None) -> None:
        if len(self.found) >= MOST_ISSUES:
            self.dropped += 1
            return
        self.found.append(Issue(code, message, pointer, hint))

    def nearest(self, name: str, known: Iterable[str]) -> str | None:
        """As `nearest`, for the first faults only: a guess over many names takes a while."""
        self.guesses += 1
        return nearest(name, known) if self.guesses <= _MOST_GUESSES else "see the first faults for what there is"

    @property
    def full(self) -> bool:
        return self.dropped > 0

    def raise_any(self) -> None:
        """Raises RequestError with all of them, if there are any."""
        if self.found:
            raise RequestError.of(self.found)


def nearest(name: str, known: Iterable[str]) -> str | None:
    """A hint: the name that was probably meant, else what there is (the first dozen), else nothing."""
    names = list(islice(known, _MOST_CANDIDATES))
    lowered = name[:200].lower()
    for candidate in names:
        if candidate.lower() == lowered:
            return f"did you mean {candidate}?"
    if close := get_close_matches(name[:200], names, n=1, cutoff=0.6):
        return f"did you mean {close[0]}?"
    if not names:
        return None
    more = ", …" if len(names) > _SHOWN else ""
    return "one of: " + ", ".join(names[:_SHOWN]) + more


def escape(step: str) -> str:
    """A member's name within a JSON pointer (RFC 6901)."""
    return step.replace("~", "~0").replace("/", "~1") if "~" in step or "/" in step else step


def kind_of(value: object) -> str:
    """What a decoded JSON value is, in JSON's own words."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"
