"""Namespaces and class-based resources, in the shape of sanic-restplus.

documents = Namespace("documents", "/es", "Documents of an index")

@documents.route("/<index>/query")
@documents.param("index", "An index, or a pattern", example="access-*")
class Query(Resource):
    def __init__(self, instance: Instance) -> None:
        self.instance = instance

    @documents.doc("Ask for rows or groups", operation_id="queryDocuments")
    @documents.allow("read")
    @documents.expect(QUERY, example={"limit": 1}, validate=False)
    @documents.returns(200, Rows, "The rows", example={...})
    async def post(self, request: Request, index: str) -> HTTPResponse: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from libs.actions import ACTIONS, ALL_ACTIONS, ANY_KEY, PUBLIC
from libs.error_codes import CODES
from libs.rest import paths
from libs.rest.dialects import DIALECTS
from libs.rest.negotiate import JSON
from libs.rest.operation import Answer, Body, Model, Operation, Parameter, RawSchema, contents

METHODS = ("get", "put", "post", "delete", "patch")
_ATTRIBUTE = "__operation__"

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound="type[Resource]")


class Resource:
    """What stands at one path. Its async methods get, put, post, delete and patch answer the HTTP methods.

    A method takes the request, the path's parameters by name, then by keyword `body` (where a validated body is
    expected) and `query` (where query parameters are declared). It returns an HTTPResponse, or a payload that is
    answered as JSON, or a `Reply` with a status and headers of its own, or None after it has streamed.
    """


@dataclass(frozen=True, slots=True)
class Place:
    """One path of a resource. `suffix` goes behind the operation ids, which are unique in a document."""

    path: str
    resource: type[Resource]
    suffix: str = ""
    hidden: bool = False


class Namespace:
    """Resources that belong together: a tag of the document, and a first path segment.

    `path` is the default prefix; `Api.add` gives another one to each instance of a kind. `reserved` are fixed words
    behind the prefix that are never taken for a parameter, also while no route uses them.
    """

    def __init__(self, name: str, path: str, description: str = "", *, reserved: Sequence[str] = ()) -> None:
        paths.parse(path)
        self.name = name
        self.path = path
        self.description = description
        self.reserved = tuple(reserved)
        self.places: list[Place] = []
        self.parameters: dict[str, Parameter] = {}

    def route(self, *templates: str, suffix: str = "", hidden: bool = False) -> Callable[[C], C]:
        """Puts a resource at paths below the prefix. Decorators stack; `suffix` tells operation ids apart, `hidden`
        keeps the path out of the document. Raises ValueError for a path of another form."""

        def decorate(resource: C) -> C:
            found = [Place(template, resource, suffix, hidden) for template in templates]
            for place in found:
                paths.parse(place.path)
            # Stacked decorators run from the bottom up; the paths stay in the order they are read.
            known = [index for index, place in enumerate(self.places) if place.resource is resource]
            first = known[0] if known else len(self.places)
            self.places[first:first] = found
            return resource

        return decorate

    def param(self, name: str, description: str, *, example: str) -> Callable[[C], C]:
        """Describes a path parameter, for the whole namespace."""

        def decorate(resource: C) -> C:
            self.parameters[name] = Parameter(name, description, example)
            return resource

        return decorate

    def model(self, name: str, schema: Mapping[str, Any]) -> RawSchema:
        """A component of the document from a raw JSON Schema; pydantic models are used as they are."""
        return RawSchema(name, schema)

    def doc(
        self,
        summary: str = "",
        *,
        operation_id: str = "",
        description: str = "",
        tags: Sequence[str] = (),
        deprecated: bool = False,
        hidden: bool = False,
    ) -> Callable[[F], F]:
        """Names an operation. Without it: the method's docstring, and an id of the method's and resource's names."""

        def decorate(function: F) -> F:
            operation = operation_of(function)
            operation.summary = summary or operation.summary
            operation.operation_id = operation_id or operation.operation_id
            operation.description = description or operation.description
            operation.tags = tuple(tags) or operation.tags
            operation.deprecated, operation.hidden = deprecated, hidden
            return function

        return decorate

    def expect(
        self,
        model: Model,
        description: str = "",
        *,
        example: Any = None,
        examples: Mapping[str, Any] | None = None,
        content_types: Sequence[str] = (JSON,),
        required: bool = True,
        validate: bool = True,
        stream: bool = False,
        encodings: Sequence[str] = (),
    ) -> Callable[[F], F]:
        """Declares the body; stacked, further forms of it. A pydantic type is read and checked, and handed over as
        `body` (None where an optional body is absent), unless `validate` is off or the type is a RawSchema."""
        validated = validate and not stream and not isinstance(model, RawSchema)
        forms = contents(model, content_types, example, examples)

        def decorate(function: F) -> F:
            operation_of(function).add_body(Body(forms, description, required, validated, stream, tuple(encodings)))
            return function

        return decorate

    def query(self, model: type[BaseModel]) -> Callable[[F], F]:
        """Declares the query parameters, handed over as `query`. Without it, any parameter is an error."""

        def decorate(function: F) -> F:
            operation_of(function).query = model
            return function

        return decorate

    def header(self, name: str, description: str) -> Callable[[F], F]:
        """Describes a header that the operation reads; it is optional."""

        def decorate(function: F) -> F:
            operation_of(function).headers += (Parameter(name, description, ""),)
            return function

        return decorate

    def returns(
        self,
        status: int,
        model: Model = None,
        description: str = "",
        *,
        example: Any = None,
        examples: Mapping[str, Any] | None = None,
        content_types: Sequence[str] = (JSON,),
        envelope: bool = False,
    ) -> Callable[[F], F]:
        """Declares an answer of success; stacked with the same status, further forms of it."""
        forms = () if model is None else contents(model, content_types, example, examples)

        def decorate(function: F) -> F:
            operation_of(function).add_answer(Answer(status, description, forms, envelope))
            return function

        return decorate

    def allow(self, *actions: str, basic: bool = False) -> Callable[[F], F]:
        """Declares what a caller has to be allowed: all of `actions` of libs/actions. Every operation needs it.

        `allow(PUBLIC)` answers without a key; `allow(ANY_KEY)` leaves the rest to the operation, which calls
        `libs.context.require` when it knows what the body does. `basic` takes the key as the password of `Basic`, and behind
        `Token`, too, as clients of InfluxDB send it. Raises ValueError for anything else.
        """
        if actions not in ((PUBLIC,), (ANY_KEY,)) and not (actions and ALL_ACTIONS.issuperset(actions)):
            raise ValueError(f"{actions!r} are no actions: PUBLIC, ANY_KEY, or of {', '.join(ACTIONS)}")

        def decorate(function: F) -> F:
            operation = operation_of(function)
            operation.actions, operation.public = ALL_ACTIONS.intersection(actions), actions == (PUBLIC,)
            operation.basic = basic
            return function

        return decorate

    def speaks(self, dialect: str) -> Callable[[F], F]:
        """Declares that an operation speaks another's protocol, of libs/rest/dialects.py: it reads Accept and its body's type
        by itself, and its errors have that protocol's form."""
        if dialect not in DIALECTS:
            raise ValueError(f"{dialect!r} is no dialect")

        def decorate(function: F) -> F:
            operation_of(function).dialect = dialect
            return function

        return decorate

    def fails(self, *codes: str) -> Callable[[F], F]:
        """Declares errors of libs/error_codes beyond those that every route can answer."""
        for code in codes:
            if code not in CODES:
                raise ValueError(f"{code!r} is no error code")

        def decorate(function: F) -> F:
            operation = operation_of(function)
            operation.failures = tuple(dict.fromkeys((*codes, *operation.failures)))
            return function

        return decorate


def operation_of(function: Callable[..., Any]) -> Operation:
    """What is declared of a resource's method so far; made when it is new."""
    operation = function.__dict__.get(_ATTRIBUTE)
    if operation is None:
        operation = Operation()
        setattr(function, _ATTRIBUTE, operation)
    return operation
