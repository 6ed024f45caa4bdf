"""What a route asks of its caller: on every route of an app, so that there is none that anybody may call by mistake."""

from __future__ import annotations

from dataclasses import dataclass

NOTHING: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Policy:
    """All of `actions` are needed, or nobody is asked where it is `public`.

    `basic` routes take a key as the password of `Basic`, and behind `Token`, too: so clients of InfluxDB send it.
    """

    actions: frozenset[str] = NOTHING
    public: bool = False
    basic: bool = False


OPEN_TO_ALL = Policy(public=True)
