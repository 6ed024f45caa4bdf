"""What a request of InfluxDB's v1 protocol asks for, whatever of the query string and the form it stands in."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qsl

from sanic import Request

from libs.context import Principal, require
from libs.errors import NotSupportedError, RequestError
from parser.influxql import statements
from query.influxql import NativeQuery

FORM = "application/x-www-form-urlencoded"
_KNOWN = frozenset({"q", "db", "rp", "epoch", "pretty", "chunked", "chunk_size", "params", "async"})
_OPTIONS = ("rp", "epoch", "pretty", "chunked", "chunk_size", "params")
_MAX_PARAMETERS = 100
# Below this it takes less time to read a query than to hand it to a thread.
_THREAD_CHARS = 10_000


async def read_query(request: Request) -> NativeQuery:
    """Raises RequestError (STATEMENT_INVALID, STATEMENT_REFUSED, REQUEST_INVALID, MEDIA_TYPE_UNSUPPORTED), NotSupportedError:
    nothing has been sent then."""
    told = _parameters(request)
    if told.get("async") == "true":
        raise NotSupportedError("A query without an answer (async=true) cannot be asked here.", hint="leave async away")
    text = told.get("q", "")
    read = statements(text) if len(text) < _THREAD_CHARS else await asyncio.to_thread(statements, text)
    return NativeQuery(
        read[1],
        read[0],
        told.get("db") or None,
        {name: told[name] for name in _OPTIONS if told.get(name)},
        _accept(request),
        "gzip" in request.headers.get("accept-encoding", "").lower(),
    )


def check_allowed(query: NativeQuery, principal: Principal, source: str, method: str) -> None:
    """Raises RequestError: PERMISSION_DENIED where the caller may not run all of the statements, METHOD_NOT_ALLOWED where a GET
    would change something."""
    require(principal, *{action for statement in query.statements for action in statement.needs})
    filtered = any(one.source == source for one in principal.row_filter)
    if filtered and any(statement.rows for statement in query.statements):
        raise RequestError(
            f"{principal.name!r} may see some rows of {source!r} only, and a statement of InfluxQL cannot be held to them.",
            code="PERMISSION_DENIED",
            pointer="query/q",
            hint=f"POST /{source}/<db>/<measurement>/query holds the filter",
        )
    if query.mutates and method != "POST":
        kinds = ", ".join(statement.kind for statement in query.statements if statement.mutates)
        raise RequestError(
            f"{kinds} changes something, which a GET may not; none of the statements was run.",
            code="METHOD_NOT_ALLOWED",
            hint="send it by POST",
            allow=("POST",),
        )


def _parameters(request: Request) -> dict[str, str]:
    """Those of the address and of the form. Of one that is there twice nobody knows which a store takes."""
    found: dict[str, str] = {}
    for name, value in (*_pairs(request.query_string, "query"), *_pairs(_form(request), "")):
        if name not in _KNOWN:
            continue
        if name in found:
            raise RequestError(
                f"The parameter {name!r} is given twice.",
                pointer=f"query/{name}",
                hint="give it once, in the address or a form",
            )
        found[name] = value
    return found


def _pairs(text: str, pointer: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_MAX_PARAMETERS)
    except ValueError:
        message = f"The parameters are not UTF-8, or more than {_MAX_PARAMETERS}."
        raise RequestError(message, pointer=pointer, hint="percent-encode them") from None


def _form(request: Request) -> str:
    """The body, where it is a form; one of another type is ignored, as InfluxDB does, but for a form in parts."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        raise RequestError(
            "A form in parts is not taken here.",
            code="MEDIA_TYPE_UNSUPPORTED",
            pointer="header/Content-Type",
            hint=f"send {FORM}",
        )
    if media_type != FORM or request.method != "POST":
        return ""
    try:
        return request.body.decode()
    except UnicodeDecodeError:
        raise RequestError("The form is not UTF-8.", pointer="", hint="percent-encode it") from None


def _accept(request: Request) -> str | None:
    """The header as it came, where it can be passed on."""
    accept = request.headers.get("accept")
    return accept if accept is not None and accept.isascii() and accept.isprintable() and len(accept) < 500 else None
