"""Reads and checks what a request brings: its Accept, query parameters and body."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any, get_origin
from urllib.parse import parse_qsl

from pydantic import BaseModel, TypeAdapter, ValidationError
from sanic import Request

from libs.errors import Issue, RequestError
from libs.idempotency import attempt_var
from libs.rest import issues, strict_json
from libs.rest.negotiate import JSON, content_type, preferred
from libs.rest.operation import Body

_MAX_PARAMETERS = 100


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The pieces of a body declared with `stream`, as they arrive; behind the last, an Idempotency-Key is heeded (an
    operation has no effect before)."""
    stream: Any = request.stream
    attempt = attempt_var.get()
    digest = hashlib.sha256()
    while (piece := await stream.read()) is not None:
        if attempt is not None:
            digest.update(piece)
        yield piece
    if attempt is not None:
        await attempt.settle(digest.digest())


def check_accept(accept: str, offered: tuple[str, ...]) -> None:
    """Raises RequestError (406) where an Accept header takes none of the offered media types."""
    if preferred(accept, offered) is None:
        raise RequestError(
            "None of the accepted formats is available here.",
            code="NOT_ACCEPTABLE",
            pointer="header/Accept",
            hint="accept " + ", ".join(offered),
        )


class QueryReader:
    """Query parameters by a pydantic model, or none at all."""

    def __init__(self, model: type[BaseModel] | None) -> None:
        self._model = model
        fields = model.model_fields if model else {}
        self._known = tuple(field.alias or name for name, field in fields.items())
        self._lists = {
            field.alias or name for name, field in fields.items() if get_origin(field.annotation) in (list, tuple)
        }
        # Names that the model does not know are the operation's own to read.
        self._takes_others = model is not None and model.model_config.get("extra") == "allow"
        self._absent = self._default()

    def _default(self) -> BaseModel | None:
        """The value of a request without parameters; None where one is required."""
        if self._model is None:
            return None
        try:
            return self._model()
        except ValidationError:
            return None

    def read(self, query_string: str) -> tuple[BaseModel | None, list[Issue]]:
        """The parameters of a query string, and what is wrong with them."""
        if not query_string and self._absent is not None:
            return self._absent, []
        try:
            pairs = parse_qsl(query_string, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
        except ValueError:
            message = f"the query string is not UTF-8 or has more than {_MAX_PARAMETERS} parameters"
            return None, [Issue("REQUEST_INVALID", message, "query")]
        values, found = self._gather(pairs)
        if self._model is None:
            return None, found
        try:
            return self._model.model_validate(values), found
        except ValidationError as error:
            return None, found + issues.of_query(error, self._known)

    def _gather(self, pairs: list[tuple[str, str]]) -> tuple[dict[str, Any], list[Issue]]:
        values: dict[str, Any] = {}
        found: list[Issue] = []
        for name, value in pairs:
            if self._takes_others and name not in self._known:
                continue
            if name in self._lists:
                values.setdefault(name, []).append(value)
            elif self._model is None:
                message = "this route takes no query parameters"
                found.append(Issue("REQUEST_INVALID", message, f"query/{issues.escape(name)}"))
            elif name in values:
                message = "this query parameter is given twice"
                found.append(Issue("REQUEST_INVALID", message, f"query/{issues.escape(name)}"))
            else:
                values[name] = value
        return values, found


class BodyReader:
    """A body by its declaration: its content type and encoding, and its value where it is validated here."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._forms = {content.media_type: content for content in body.contents}
        self._adapters: dict[str, TypeAdapter[Any]] = (
            {content.media_type: TypeAdapter(content.model) for content in body.contents} if body.validated else {}
        )

    def read(self, request: Request) -> tuple[Any, list[Issue]]:
        """The validated body (None where it is absent or left to the operation), and what is wrong with it.

        Raises RequestError: 415 for content types and encodings that are not taken here, 400 for broken JSON.
        """
        if self._is_absent(request):
            if not self._body.required:
                return None, []
            return None, [Issue("BODY_INVALID", "this route needs a body", "", f"send {self._taken()}")]
        media_type = self._media_type(request)
        adapter = self._adapters.get(media_type)
        if adapter is None:
            return None, []
        sent = strict_json.loads(request.body)
        try:
            # Strict models take a time or an enumeration as text from JSON alone.
            return adapter.validate_json(request.body), []
        except ValidationError as error:
            return None, issues.of_body(error, sent, _members(self._forms[media_type].model))

    def _is_absent(self, request: Request) -> bool:
        if not self._body.stream:
            return not request.body
        headers = request.headers
        return "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"

    def _media_type(self, request: Request) -> str:
        headers = request.headers
        # Clients of the earlier HostMonitor send JSON without saying so; a browser's form always says what it is.
        header = headers.get("content-type", JSON)
        media_type, charset = (header, "utf-8") if header in self._forms else content_type(header)
        if media_type not in self._forms or charset not in ("utf-8", "us-ascii"):
            raise _unsupported("Content-Type", header, f"send {self._taken()}, in UTF-8")
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding != "identity" and encoding not in self._body.encodings:
            taken = ", ".join(self._body.encodings)
            raise _unsupported(
                "Content-Encoding", encoding, f"send it plain or as {taken}" if taken else "send it plain"
            )
        return media_type

    def _taken(self) -> str:
        return " or ".join(self._forms)


def _members(model: Any) -> tuple[str, ...]:
    if isinstance(model, type) and issubclass(model, BaseModel):
        return tuple(field.alias or name for name, field in model.model_fields.items())
    return ()


def _unsupported(header: str, value: str, hint: str) -> RequestError:
    shown = value[:100] if value else "none"
    return RequestError(
        f"The body's {header} ({shown}) is not taken here.",
        code="MEDIA_TYPE_UNSUPPORTED",
        pointer=f"header/{header}",
        hint=hint,
    )
