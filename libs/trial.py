"""What is noticed on a way to an answer that may yet be given up for another: it is told only once the way is taken."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Notice = Callable[[], None]
_trying: ContextVar[Trial | None] = ContextVar("trying", default=None)


class Trial:
    """One way being tried. Tasks that begin within `underway` notice for it too, also later."""

    def __init__(self) -> None:
        self._outer = _trying.get()
        self._noticed: list[Notice] = []
        self._taken = False

    @contextmanager
    def underway(self) -> Iterator[None]:
        """Within, and in the tasks that are begun within, `hold` keeps notices back."""
        token = _trying.set(self)
        try:
            yield
        finally:
            _trying.reset(token)

    def take(self) -> None:
        """The way is taken: what was noticed is told, to an outer trial where there is one. Without this call it never is."""
        self._taken = True
        noticed, self._noticed = self._noticed, []
        for tell in noticed:
            tell()

    @classmethod
    def hold(cls, tell: Notice) -> bool:
        """Whether a trial is under way, which has taken `tell` for later."""
        trial = _trying.get()
        while trial is not None and trial._taken:
            trial = trial._outer
        if trial is None:
            return False
        trial._noticed.append(tell)
        return True
