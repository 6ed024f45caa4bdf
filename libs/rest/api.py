"""One service's namespaces: mounted on a Sanic app, and described by one document."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanic import HTTPResponse, Request, Sanic

from libs.rest import handlers, paths
from libs.rest.namespace import METHODS, Namespace, Place, Resource, operation_of
from libs.rest.operation import Operation
from libs.rest.policy import Policy
from libs.rest.router import Router

# The actions (libs/actions.py) of what changes data or metadata.
WRITING = frozenset({"write", "metadata"})
IDEMPOTENCY_FAILURES = (
    "HEADERS_INVALID",
    "IDEMPOTENCY_MISMATCH",
    "IDEMPOTENCY_RUNNING",
    "TOO_MANY_IDEMPOTENCY_KEYS",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One method at one path: what the router and the document are made from. `path` lacks the base path."""

    id: str
    http_method: str
    path: str
    tag: str
    namespace: Namespace
    operation: Operation
    call: Callable[..., Any] = field(repr=False)
    hidden: bool = False

    @property
    def writes(self) -> bool:
        """Whether it changes data or metadata, by what it asks of its caller."""
        return self.http_method != "GET" and not WRITING.isdisjoint(self.operation.actions or ())

    @property
    def takes_idempotency_key(self) -> bool:
        """Whether it has its effect once, however often it is sent with one Idempotency-Key."""
        return self.writes or 202 in self.operation.answers

    @property
    def failures(self) -> tuple[str, ...]:
        """The error codes beyond those that every route can answer."""
        return self.operation.failures + (IDEMPOTENCY_FAILURES if self.takes_idempotency_key else ())


Around = Callable[[Endpoint, handlers.Handler], handlers.Handler]


@dataclass(frozen=True, slots=True)
class Mounted:
    """A namespace at its prefix; `name` is the instance's name, or the namespace's own."""

    namespace: Namespace
    name: str
    prefix: str
    description: str
    endpoints: tuple[Endpoint, ...]


@dataclass
class Api:
    """Gathers namespaces, then mounts them.

    `base_path` is "" or like `/monitor`, and every route lies below it. `public_url` is the address that clients
    use, its path included; the document names it, or the base path, and never what a request's headers say. `around` puts
    something around the handler of each endpoint.
    """

    title: str
    version: str
    description: str = ""
    base_path: str = ""
    public_url: str | None = None
    mounted: list[Mounted] = field(default_factory=list)
    around: Around | None = None

    def __post_init__(self) -> None:
        self.base_path = self.base_path.rstrip("/")
        self.public_url = self.public_url.rstrip("/") if self.public_url else None
        paths.parse(self.base_path)

    def add(
        self,
        namespace: Namespace,
        *,
        instance: str | None = None,
        description: str = "",
        args: Sequence[object] = (),
        factory: Callable[[type[Resource]], Resource] | None = None,
    ) -> None:
        """Mounts a namespace at its path, or once for an instance of its kind at `/<instance>`.

        Each resource is made by `factory`, or with `args`. The operation ids start with the instance's or the
        namespace's name. Raises ValueError where an id or a method of a path is there already, or where an operation does not
        say what its caller has to be allowed.
        """
        name = instance or namespace.name
        prefix = f"/{instance}" if instance else namespace.path
        make = factory or (lambda resource: resource(*args))
        endpoints = tuple(_endpoints(namespace, name, prefix, make))
        self._refuse_repeated(endpoints)
        self.mounted.append(Mounted(namespace, name, prefix, description or namespace.description, endpoints))

    def endpoints(self) -> Iterator[Endpoint]:
        """All endpoints in the order they were added."""
        for mounted in self.mounted:
            yield from mounted.endpoints

    def mount(self, app: Sanic[Any, Any]) -> None:
        """Puts every route on an app made with `router=Router()`. Raises TypeError for another router."""
        if not isinstance(app.router, Router):
            raise TypeError("the app needs Sanic(…, router=libs.rest.Router())")
        places: dict[str, list[Endpoint]] = {}
        for endpoint in self.endpoints():
            places.setdefault(endpoint.path, []).append(endpoint)
            self._add_route(app, endpoint)
        for path, endpoints in places.items():
            self._add_options(app, path, endpoints)
        for mounted in self.mounted:
            for word in mounted.namespace.reserved:
                app.router.reserve(f"{self.base_path}{mounted.prefix}/{word}")

    def _add_route(self, app: Sanic[Any, Any], endpoint: Endpoint) -> None:
        body = endpoint.operation.body
        handler = handlers.make(endpoint.call, endpoint.operation)
        app.add_route(
            handler if self.around is None else self.around(endpoint, handler),
            self.base_path + endpoint.path,
            methods=[endpoint.http_method],
            name=endpoint.id,
            strict_slashes=True,
            stream=body is not None and body.stream,
            ignore_body=False,
            ctx_policy=endpoint.operation.policy,
            ctx_dialect=endpoint.operation.dialect,
        )

    def _add_options(self, app: Sanic[Any, Any], path: str, endpoints: Sequence[Endpoint]) -> None:
        methods = {endpoint.http_method for endpoint in endpoints}
        policies = [endpoint.operation.policy for endpoint in endpoints]
        allowed = {*methods, "OPTIONS", *(("HEAD",) if "GET" in methods else ())}
        headers = {"allow": ", ".join(sorted(allowed))}

        async def options(request: Request, **arguments: str) -> HTTPResponse:
            return HTTPResponse(status=204, headers=headers)

        app.add_route(
            options,
            self.base_path + path,
            methods=["OPTIONS"],
            name="options_" + "".join(letter if letter.isalnum() else "_" for letter in path),
            strict_slashes=True,
            ignore_body=True,
            ctx_policy=Policy(
                public=all(policy.public for policy in policies), basic=any(policy.basic for policy in policies)
            ),
        )

    def _refuse_repeated(self, endpoints: Sequence[Endpoint]) -> None:
        ids = {endpoint.id for endpoint in self.endpoints()}
        places = {(endpoint.http_method, endpoint.path) for endpoint in self.endpoints()}
        for endpoint in endpoints:
            place = (endpoint.http_method, endpoint.path)
            if endpoint.id in ids:
                raise ValueError(f"the operation id {endpoint.id} of {place} is there already: give a suffix")
            if place in places:
                raise ValueError(f"the route {place} is there already")
            ids.add(endpoint.id)
            places.add(place)


def _endpoints(
    namespace: Namespace, name: str, prefix: str, make: Callable[[type[Resource]], Resource]
) -> Iterator[Endpoint]:
    made: dict[type[Resource], Resource] = {}
    for place in namespace.places:
        if place.resource not in made:
            made[place.resource] = make(place.resource)
        resource = made[place.resource]
        for method in METHODS:
            call = getattr(resource, method, None)
            if call is not None:
                yield _endpoint(namespace, name, prefix, place, method, call)


def _endpoint(
    namespace: Namespace, name: str, prefix: str, place: Place, method: str, call: Callable[..., Any]
) -> Endpoint:
    operation = operation_of(call.__func__ if hasattr(call, "__func__") else call)
    if operation.actions is None:
        raise ValueError(f"{namespace.name}: {method.upper()} {place.path} needs @namespace.allow(…)")
    # No underscore: Swagger UI takes one in an operation's link for a space, and complains.
    local_id = operation.operation_id or f"{method}{place.resource.__name__}"
    return Endpoint(
        id=f"{name}-{local_id}{place.suffix}",
        http_method=method.upper(),
        path=paths.join(prefix, place.path),
        tag=name,
        namespace=namespace,
        operation=operation,
        call=call,
        hidden=place.hidden or operation.hidden,
    )
