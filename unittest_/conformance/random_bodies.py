"""How many random bodies are made, and how: the same ones each time, new ones where a variable of the environment asks."""

from __future__ import annotations

import os
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, settings


@dataclass(frozen=True, slots=True)
class Amount:
    """`count` bodies in all; `anew`: other ones each time."""

    count: int
    anew: bool

    @classmethod
    def of(cls, variable: str, usual: int) -> Amount:
        """As many as the variable says, and then new ones; the usual number without it."""
        asked = os.environ.get(variable, "")
        return cls(int(asked or usual), bool(asked))

    def settings(self, examples: int) -> settings:
        """For a property that takes so many of them, at least one."""
        return settings(
            max_examples=max(1, examples),
            derandomize=not self.anew,
            database=None,
            deadline=None,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        )
