"""What reading a body needs everywhere: checks of JSON's shapes, with every fault gathered at its pointer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from libs.issues import Issues, escape, kind_of
from parser.words import MOST_NAME, NOT_YET

JsonObject = dict[str, Any]
_WIDE = 2.0**63


class Reading:
    """One body being read. `members` counts those of all objects seen, `nodes` those of its filters, `joins` its joins;
    `depth` those queries that the one being read stands in.

    `wide` says that an integer past 64 bits may have been rounded: the body is then decoded and read once more.
    """

    __slots__ = ("deep", "depth", "issues", "joins", "members", "nodes", "wide")

    def __init__(self) -> None:
        self.issues = Issues()
        self.members = 0
        self.nodes = 0
        self.joins = 0
        self.depth = 0
        self.deep = False
        self.wide = False

    def object(
        self,
        value: Any,
        at: str,
        known: frozenset[str],
        required: Iterable[str] = (),
        later: frozenset[str] = frozenset(),
    ) -> JsonObject | None:
        """The value when it is an object; its unknown and missing members are faults."""
        if type(value) is not dict:
            self.wrong(value, "an object", at)
            return None
        self.members += len(value)
        if not value.keys() <= known:
            for name in value:
                if name not in known:
                    if self.issues.full:
                        break
                    hint = f"{name}: {NOT_YET}" if name in later else self.issues.nearest(name, sorted(known))
                    self.issues.add(
                        "BODY_INVALID", f"The member {name[:100]!r} is not known here.", f"{at}/{escape(name)}", hint
                    )
        for name in required:
            if name not in value:
                self.missing(name, at)
        return value

    def missing(self, name: str, at: str) -> None:
        self.issues.add("BODY_INVALID", f"The member {name!r} is missing.", f"{at}/{name}", f"add {name!r}")

    def wrong(self, value: Any, wanted: str, at: str, hint: str | None = None) -> None:
        self.issues.add("BODY_INVALID", f"This must be {wanted}, not {kind_of(value)}.", at, hint or f"use {wanted}")

    def name(self, value: Any, at: str, what: str = "a name") -> str:
        """A name of a field or output; "" when it cannot be one, which is a fault then."""
        if type(value) is not str:
            self.wrong(value, f"{what}, a string", at)
            return ""
        if not 0 < len(value) <= MOST_NAME:
            self.issues.add(
                "BODY_INVALID", f"This must be {what} of 1 to {MOST_NAME} characters.", at, "name a field or output"
            )
            return ""
        return value

    def output(self, value: JsonObject, at: str) -> str:
        """The name that `as` gives an output; "" when there is none."""
        return self.name(value["as"], at + "/as", "an output's name") if "as" in value else ""

    def word(self, value: Any, words: Iterable[str], at: str, what: str, code: str = "BODY_INVALID") -> str | None:
        """One of the words; None when it is none, which is a fault then."""
        if type(value) is not str:
            self.wrong(value, f"{what}, a string", at)
            return None
        if value in (known := tuple(words)):
            return value
        self.issues.add(
            code,
            f"{value[:100]!r} is no {what.removeprefix('an ').removeprefix('a ')}.",
            at,
            self.issues.nearest(value, known),
        )
        return None

    def items(self, value: Any, at: str, most: int) -> list[Any]:
        """The members of an array of bounded length."""
        if type(value) is not list:
            self.wrong(value, "an array", at)
            return []
        if len(value) > most:
            self.issues.add(
                "TOO_MANY_VALUES",
                f"This holds {len(value)} items; at most {most} are taken.",
                at,
                "ask for less at once",
            )
            return []
        return value

    def flag(self, value: Any, at: str) -> bool:
        if type(value) is not bool:
            self.wrong(value, "true or false", at)
        return value is True

    def number(self, value: Any) -> bool:
        """Whether it is a number; notes what may be a rounded integer."""
        if type(value) is float:
            if not -_WIDE < value < _WIDE:
                self.wide = True
            return True
        return type(value) is int
