"""The router: a tree of path segments in the place of Sanic's own matching.

Sanic's tree leaves parameters percent-encoded, takes a trailing slash for none, and reaches a parameter's routes
below some fixed words but not below others. Here one rule holds: a fixed word that matches is never left again for a
parameter, however the path goes on, and no parameter is empty.
"""

from __future__ import annotations

from typing import Any

from sanic.models.handler_types import RouteHandler
from sanic.router import Router as SanicRouter
from sanic_routing.exceptions import FinalizationError
from sanic_routing.route import Route

from libs.errors import NotFoundError, RequestError
from libs.rest import paths

Found = tuple[Route, RouteHandler, dict[str, Any]]


class _Node:
    """A place in the tree: the words and the parameter that may follow, and the routes that end here."""

    __slots__ = ("allow", "methods", "parameter", "words")

    def __init__(self) -> None:
        self.words: dict[str, _Node] = {}
        self.parameter: _Node | None = None
        self.methods: dict[str, tuple[Route, tuple[str, ...]]] = {}
        self.allow: tuple[str, ...] = ()

    def descend(self, segment: paths.Segment) -> _Node:
        """The node behind a segment, made when it is new."""
        if segment.is_parameter:
            if self.parameter is None:
                self.parameter = _Node()
            return self.parameter
        return self.words.setdefault(segment.text, _Node())


class Router(SanicRouter):
    """`Sanic(…, router=Router())`. Routes take parameters of the form `<name>`, a whole non-empty segment each.

    A route for GET answers HEAD as well.
    """

    def __init__(self) -> None:
        super().__init__()
        self._root = _Node()
        self._reserved: set[str] = set()

    def reserve(self, template: str) -> None:
        """Keeps a path that ends in a fixed word from being taken for a parameter, also while no route uses it."""
        self._reserved.add(template)

    def get(self, path: str, method: str, host: str | None) -> Found:  # type: ignore[override]
        """The route for a request. Raises NotFoundError (404) and RequestError (400, 405)."""
        node = self._root
        segments = paths.split(path)
        values: list[str] = []
        for segment in segments:
            following = node.words.get(segment)
            if following is None:
                following = node.parameter
                if following is None or not segment:
                    raise self._unknown(path, segments)
                values.append(segment)
            node = following
        entry = node.methods.get(method)
        if entry is None:
            raise _not_allowed(node, path, method) if node.methods else self._unknown(path, segments)
        route, names = entry
        return route, route.handler, dict(zip(names, values, strict=True))

    def _unknown(self, path: str, segments: list[str]) -> NotFoundError:
        """The error for a path without a route, with the likeliest cause as its hint."""
        if len(path) > 1 and not segments[-1]:
            hint = "leave the trailing slash away"
        elif "" in segments[:-1]:
            hint = "write one slash where there are two in a row"
        elif word := self._winning_word(segments):
            hint = f"{word!r} is a fixed word there; what is called so is reached by the full form of the route"
        else:
            hint = "the page at / lists the routes"
        return NotFoundError(f"There is no route {path[:200]}", hint=hint, pointer="path")

    def _winning_word(self, segments: list[str]) -> str | None:
        """The last fixed word on the way that stood where a parameter could have stood."""
        node, found = self._root, None
        for segment in segments:
            following = node.words.get(segment)
            if following is not None and node.parameter is not None:
                found = segment
            following = following or node.parameter
            if following is None:
                break
            node = following
        return found

    def _generate_tree(self) -> None:
        self._root = _Node()
        for route in self.routes:
            self._insert(route)
        for template in self._reserved:
            self._node(template)

    def _render(self, do_compile: bool = True, do_optimize: bool = False) -> None:
        """Nothing to compile: `get` walks the tree."""

    def _insert(self, route: Route) -> None:
        try:
            # Sanic writes a parameter's type out; str is the only one here.
            template = "/" + route.path.replace(":str>", ">")
            node, names = self._node(template), paths.parameters(template)
        except ValueError as error:
            raise FinalizationError(str(error)) from None
        methods = set(route.methods)
        for method in methods:
            node.methods[method] = (route, names)
        if "GET" in methods:
            node.methods.setdefault("HEAD", (route, names))
        node.allow = tuple(sorted(node.methods))

    def _node(self, template: str) -> _Node:
        node = self._root
        for segment in paths.parse(template):
            node = node.descend(segment)
        return node


def _not_allowed(node: _Node, path: str, method: str) -> RequestError:
    return RequestError(
        f"{path[:200]} does not take {method[:20]}",
        code="METHOD_NOT_ALLOWED",
        hint=f"use {', '.join(node.allow)}",
        allow=node.allow,
    )
