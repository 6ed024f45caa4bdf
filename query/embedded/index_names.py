"""What a name stands for on the embedded store: an index, or an alias of some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from libs.context import RequestContext
from libs.errors import ConflictError, NotFoundError, RequestError
from query.embedded.backend import EmbeddedBackend
from query.embedded.documents_state import IndexView
from query.names import exact_index, pattern_matches

Json = Any


class IndexNames(EmbeddedBackend):
    """Looks names up in what the last commit published; and the aliases' own routes (see query.index_metadata)."""

    async def aliases(self, context: RequestContext, alias: str | None = None) -> Mapping[str, Sequence[str]]:
        self.store.check()
        if alias is not None:
            exact_index(alias, "path/name")
        found = self.store.documents.aliases.views
        return {
            name: indices
            for (instance, name), indices in sorted(found.items())
            if instance == self.name and alias in (None, name)
        }

    async def add_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        exact_index(index)
        exact_index(alias, "path/name")

        def add(cursor: Any) -> None:
            held = self.store.documents.indices.get((self.name, index))
            if held is None:
                raise self._no_index(index)
            if (self.name, alias) in self.store.documents.indices:
                raise ConflictError(
                    f"An index is called {alias!r}, so no alias can be.", code="ALREADY_EXISTS", source=self.name,
                    pointer="path/name", hint="use another name",
                )  # fmt: skip
            self.store.documents.aliases.add(cursor, (self.name, alias), index, held.id)

        await self.store.writer.change(add, context, self.name)
        return {"acknowledged": True}

    async def remove_alias(self, index: str, alias: str, context: RequestContext) -> Json:
        exact_index(index)
        exact_index(alias, "path/name")

        def remove(cursor: Any) -> None:
            if (self.name, index) not in self.store.documents.indices:
                raise self._no_index(index)
            if not self.store.documents.aliases.remove(cursor, (self.name, alias), index):
                raise NotFoundError(
                    f"{index!r} has no alias {alias!r}.", code="ALIAS_UNKNOWN", source=self.name, pointer="path/name"
                )

        await self.store.writer.change(remove, context, self.name)
        return {"acknowledged": True}

    def _views(self, name: str) -> tuple[IndexView, ...]:
        """The index of that name, or those of the alias. Raises NotFoundError (INDEX_UNKNOWN)."""
        self.store.check()
        documents = self.store.documents
        one = documents.views.get((self.name, name))
        if one is not None:
            return (one,)
        named = documents.aliases.views.get((self.name, name), ())
        views = tuple(documents.views[self.name, index] for index in named if (self.name, index) in documents.views)
        if not views:
            raise self._unknown(name)
        return views

    def _matching(self, pattern: str) -> tuple[IndexView, ...]:
        """Those that a pattern names by themselves or by an alias. Raises NotFoundError (INDEX_UNKNOWN)."""
        self.store.check()
        documents = self.store.documents
        named = {index for instance, index in documents.views if instance == self.name}
        found = {name for name in named if pattern_matches(pattern, name)}
        for (instance, alias), indices in documents.aliases.views.items():
            if instance == self.name and pattern_matches(pattern, alias):
                found |= named.intersection(indices)
        if not found:
            raise self._unknown(pattern)
        return tuple(documents.views[self.name, name] for name in sorted(found))

    def _view(self, name: str) -> IndexView:
        """The index of that name, or the only one of the alias. Raises NotFoundError (INDEX_UNKNOWN), RequestError
        (UNSUPPORTED: the alias has several)."""
        views = self._views(name)
        if len(views) > 1:
            raise RequestError(
                f"The alias {name!r} has {len(views)} indices, and this is done to one index alone.",
                code="UNSUPPORTED", source=self.name, hint="name one of " + ", ".join(view.name for view in views[:12]),
            )  # fmt: skip
        return views[0]

    def _exactly(self, index: str) -> IndexView:
        """The index of that name. Raises NotFoundError (INDEX_UNKNOWN), for an alias too."""
        self.store.check()
        view = self.store.documents.views.get((self.name, index))
        if view is None:
            raise self._no_index(index)
        return view

    def _no_index(self, name: str) -> NotFoundError:
        """There is no such index, though there may be such an alias (told apart as both stores do)."""
        if (self.name, name) not in self.store.documents.aliases.views:
            return self._unknown(name)
        return NotFoundError(f"{name!r} is an alias, no index.", code="INDEX_UNKNOWN", source=self.name)

    def _alias(self, alias: str, named: Iterable[str]) -> RequestError:
        """The refusal to delete what a name stands for that is no index's own."""
        return RequestError(
            f"{alias!r} is an alias: an index is deleted by its own name alone.",
            code="UNSUPPORTED", source=self.name, hint="its indices are " + ", ".join(sorted(named)[:12]),
        )  # fmt: skip

    def _unknown(self, index: str) -> NotFoundError:
        return NotFoundError(f"There is no index {index!r}.", code="INDEX_UNKNOWN", source=self.name)
