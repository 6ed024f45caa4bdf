"""What is declared of an operation: plain data that the handlers and the document are made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from libs.actions import ALL_ACTIONS
from libs.rest.policy import Policy

# A pydantic model, any type that pydantic can describe, or a RawSchema.
Model = Any


@dataclass(frozen=True, eq=False)
class RawSchema:
    """A JSON Schema (2020-12) that stands in the document as the component `name`.

    References within it are `#` and `#/$defs/<name>`; its `$defs` become components as well, so that a recursive
    grammar stays recursive. Client generators need each branch of a union to be a reference to an object among the
    `$defs`, called otherwise than its members. It describes a body, and checks nothing: the operation reads the body's bytes itself.
    """

    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class InlineSchema:
    """A schema as it stands in the document; its references are the document's own."""

    schema: Mapping[str, Any]


class BodyModel(BaseModel):
    """A base for JSON bodies: unknown members are errors and nothing is coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class QueryModel(BaseModel):
    """A base for query parameters: unknown ones are errors; texts are read as the field's type."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, eq=False)
class Content:
    """One form of a body or answer: its media type, its model and named examples."""

    media_type: str
    model: Model
    examples: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Body:
    """A request's body. `validated` bodies are read as JSON and checked; others are left to the operation.

    `stream`: the operation reads the body in pieces from `request.stream`, without the limit of size.
    `encodings` are the Content-Encodings that the operation takes besides none.
    """

    contents: tuple[Content, ...]
    description: str = ""
    required: bool = True
    validated: bool = True
    stream: bool = False
    encodings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Answer:
    """One answer of success. `envelope`: what the operation returns goes into `data` of the common envelope."""

    status: int
    description: str
    contents: tuple[Content, ...]
    envelope: bool = False


@dataclass(frozen=True, slots=True)
class Parameter:
    """What the document says of a parameter in the path or a header."""

    name: str
    description: str
    example: str


@dataclass(eq=False)
class Operation:
    """Everything declared of one method of a resource, gathered by the decorators."""

    summary: str = ""
    description: str = ""
    operation_id: str = ""
    tags: tuple[str, ...] = ()
    deprecated: bool = False
    hidden: bool = False
    body: Body | None = None
    query: type[BaseModel] | None = None
    headers: tuple[Parameter, ...] = ()
    answers: dict[int, Answer] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    # All of them are needed; None: nothing is declared yet, and empty: any key is enough, or none where it is public.
    actions: frozenset[str] | None = None
    public: bool = False
    basic: bool = False
    # Whose protocol it speaks, where it is another's: see Namespace.speaks.
    dialect: str = ""

    @property
    def policy(self) -> Policy:
        """What its caller has to show; where that is not declared, all that there is."""
        return Policy(ALL_ACTIONS if self.actions is None else self.actions, self.public, self.basic)

    def add_answer(self, answer: Answer) -> None:
        """Adds an answer, or further forms of one of the same status, in the order they are read."""
        known = self.answers.get(answer.status)
        if known is not None:
            answer = Answer(
                answer.status,
                answer.description or known.description,
                answer.contents + known.contents,
                answer.envelope or known.envelope,
            )
        self.answers = dict(sorted({**self.answers, answer.status: answer}.items()))

    def add_body(self, body: Body) -> None:
        """Adds a body, or further forms of it, in the order they are read."""
        known = self.body
        if known is not None:
            body = Body(
                body.contents + known.contents,
                body.description or known.description,
                body.required and known.required,
                body.validated and known.validated,
                body.stream or known.stream,
                body.encodings + known.encodings,
            )
        self.body = body

    def offered(self) -> tuple[str, ...]:
        """The media types of the answers of success, each once."""
        return tuple(
            dict.fromkeys(content.media_type for answer in self.answers.values() for content in answer.contents)
        )


def contents(
    model: Model, media_types: Sequence[str], example: Any, examples: Mapping[str, Any] | None
) -> tuple[Content, ...]:
    """The forms that one decorator declares: the same model and examples in each media type."""
    named = dict(examples or {})
    if example is not None:
        named = {"example": example, **named}
    return tuple(Content(media_type, model, named) for media_type in media_types)
