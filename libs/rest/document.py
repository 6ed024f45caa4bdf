"""The OpenAPI 3.1 document of an Api: the same bytes for the same routes and settings."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterator
from typing import Any

import orjson
from openapi_pydantic import OpenAPI
from pydantic.json_schema import JsonSchemaMode

from libs.actions import ACTIONS
from libs.error_codes import CODES, Code
from libs.rest import envelope, paths, problem
from libs.rest.api import Api, Endpoint
from libs.rest.dialects import DIALECTS
from libs.rest.operation import Body, Content, InlineSchema, Model, Operation
from libs.rest.schemas import PREFIX, Schemas

Json = dict[str, Any]
_META = "EnvelopeMeta"


def build(api: Api) -> Json:
    """The document as JSON values. Raises pydantic.ValidationError where it would be no OpenAPI."""
    endpoints = [endpoint for endpoint in api.endpoints() if not endpoint.hidden]
    queries = [endpoint.operation.query for endpoint in endpoints if endpoint.operation.query]
    schemas = Schemas(_uses(endpoints), queries, {_META: envelope.META_SCHEMA})
    items: dict[str, Json] = {}
    for endpoint in endpoints:
        item = items.setdefault(paths.to_openapi(endpoint.path), {})
        item[endpoint.http_method.lower()] = _operation(endpoint, schemas)
    document = {
        "openapi": "3.1.1",
        "info": {"title": api.title, "version": api.version, "description": api.description},
        "servers": [{"url": api.public_url or api.base_path or "/"}],
        "tags": [
            {"name": mounted.name, "description": mounted.description}
            for mounted in api.mounted
            if any(not endpoint.hidden for endpoint in mounted.endpoints)
        ],
        "paths": items,
        "components": {
            "schemas": {},
            "responses": _shared_failures(),
            "examples": _failure_examples(endpoints),
            "securitySchemes": _SECURITY_SCHEMES,
        },
        "security": _SECURITY,
    }
    checked = OpenAPI.model_validate(document)
    dumped: Json = checked.model_dump(mode="json", by_alias=True, exclude_unset=True)
    # Put in as they are: openapi-pydantic does not know that `true` and `false` are schemas.
    dumped["components"]["schemas"] = schemas.components
    return dumped


def to_bytes(document: Json) -> bytes:
    """The document as JSON text."""
    return orjson.dumps(document)


def etag(content: bytes) -> str:
    """A strong entity tag of some bytes."""
    return f'"{hashlib.sha256(content).hexdigest()[:32]}"'


# A service that has no keys yet asks for none, of its own machine (docs/keys.md).
_SECURITY_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key in `Authorization`."},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key in `X-API-Key`."},
    "basic": {"type": "http", "scheme": "basic", "description": "A key as the password, of any user."},
}
_SECURITY: list[Json] = [{"bearer": []}, {"apiKey": []}]


def _uses(endpoints: list[Endpoint]) -> Iterator[tuple[Model, JsonSchemaMode]]:
    """Every model of the document, with whether it is sent to the service or by it."""
    yield problem.Problem, "serialization"
    for endpoint in endpoints:
        operation = endpoint.operation
        for content in operation.body.contents if operation.body else ():
            yield content.model, "validation"
        for answer in operation.answers.values():
            for content in answer.contents:
                yield content.model, "serialization"


def _operation(endpoint: Endpoint, schemas: Schemas) -> Json:
    operation = endpoint.operation
    summary, description = _texts(endpoint)
    description = "\n\n".join(filter(None, (description, _needed(operation))))
    values: Json = {
        "operationId": endpoint.id,
        "tags": [endpoint.tag, *operation.tags],
        "summary": summary,
        "description": description,
        "parameters": [
            *_path_parameters(endpoint),
            *_query_parameters(operation, schemas),
            *_header_parameters(endpoint),
        ],
    }
    if operation.deprecated:
        values["deprecated"] = True
    if operation.body is not None and endpoint.http_method == "GET":
        # Browsers refuse to send one, so that as `requestBody` it would break the page's "Try it out".
        values["description"] = "\n\n".join(filter(None, (description, _body_in_words(operation.body))))
    elif operation.body is not None:
        values["requestBody"] = _body(operation.body, schemas)
    values["responses"] = _responses(endpoint, schemas)
    described = {key: value for key, value in values.items() if value not in ("", [])}
    return described | _security(operation)


def _security(operation: Operation) -> Json:
    """What of it differs from all others."""
    if operation.public:
        return {"security": []}
    return {"security": [*_SECURITY, {"basic": []}]} if operation.basic else {}


def _body(body: Body, schemas: Schemas) -> Json:
    described: Json = {"description": body.description} if body.description else {}
    return described | {
        "content": _contents(body.contents, schemas, "validation"),
        "required": body.required,
    }


def _body_in_words(body: Body) -> str:
    media_types = " or ".join(content.media_type for content in body.contents)
    parts = [f"Takes a body ({media_types}) where client and gateway send one with GET. {body.description}".strip()]
    for content in body.contents:
        for value in content.examples.values():
            parts.append(f"```json\n{orjson.dumps(value).decode()}\n```")
    return "\n\n".join(parts)


def _texts(endpoint: Endpoint) -> tuple[str, str]:
    """Summary and description: what was declared, else the method's docstring."""
    operation = endpoint.operation
    first, _, rest = (inspect.getdoc(endpoint.call) or "").partition("\n\n")
    return operation.summary or first.replace("\n", " "), operation.description or rest


def _needed(operation: Operation) -> str:
    """Which actions a key has to allow, in words."""
    names = " and ".join(f"`{action}`" for action in ACTIONS if action in (operation.actions or ()))
    return f"Needs a key that allows {names}." if names else ""


def _path_parameters(endpoint: Endpoint) -> Iterator[Json]:
    for name in paths.parameters(endpoint.path):
        parameter: Json = {"name": name, "in": "path", "required": True}
        known = endpoint.namespace.parameters.get(name)
        if known is not None:
            parameter |= {"description": known.description, "example": known.example}
        yield parameter | {"schema": {"type": "string", "minLength": 1}}


def _query_parameters(operation: Operation, schemas: Schemas) -> Iterator[Json]:
    if operation.query is None:
        return
    model = schemas.parameters(operation.query)
    for name, found in model.get("properties", {}).items():
        parameter: Json = {"name": name, "in": "query", "required": name in model.get("required", ())}
        if "description" in found:
            parameter["description"] = found["description"]
        if found.get("examples"):
            parameter["example"] = found["examples"][0]
        schema = {key: value for key, value in found.items() if key not in ("description", "examples")}
        yield parameter | {"schema": schema}
    if model.get("additionalProperties"):
        yield _other_parameters(model)


def _other_parameters(model: Json) -> Json:
    """Parameters of names that are not known before: a model that allows others tells of them by its docstring and examples."""
    parameter: Json = {"name": "others", "in": "query", "description": model.get("description", "Others, by name.")}
    if model.get("examples"):
        parameter["example"] = model["examples"][0]
    schema: Json = {"type": "object", "additionalProperties": {"type": "string"}}
    return parameter | {"required": False, "style": "form", "explode": True, "schema": schema}


_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A text of the client's own, such as a UUID. The same request again within 24 hours gets the first answer, "
    "with `Idempotency-Replayed: true`, and has no second effect. A query heeds it where it begins a job.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}


def _header_parameters(endpoint: Endpoint) -> Iterator[Json]:
    for header in endpoint.operation.headers:
        parameter: Json = {"name": header.name, "in": "header", "required": False}
        # No example: Swagger UI would send it.
        yield parameter | {"description": header.description, "schema": {"type": "string"}}
    if endpoint.takes_idempotency_key:
        yield _IDEMPOTENCY_KEY


def _responses(endpoint: Endpoint, schemas: Schemas) -> Json:
    """Answers and errors; a status that is both (a 503 of /health/ready) holds the content of both."""
    answers, failures = _answers(endpoint.operation, schemas), _failures(endpoint)
    for status in answers.keys() & failures.keys():
        failure = _failure(_codes(endpoint)[int(status)])
        failures[status] = answers[status] | {"content": answers[status].get("content", {}) | failure["content"]}
    return answers | failures


def _answers(operation: Operation, schemas: Schemas) -> Json:
    answers: Json = {}
    for status, answer in operation.answers.items():
        values: Json = {"description": answer.description or "Success"}
        if answer.contents:
            forms = _enveloped(answer.contents, schemas) if answer.envelope else answer.contents
            values["content"] = _contents(forms, schemas, "serialization")
        answers[str(status)] = values
    return answers


def _enveloped(contents: tuple[Content, ...], schemas: Schemas) -> tuple[Content, ...]:
    meta = {"$ref": PREFIX + _META}
    return tuple(
        Content(
            content.media_type,
            InlineSchema(envelope.schema(schemas.of(content.model, "serialization"), meta)),
            {name: envelope.example(value) for name, value in content.examples.items()},
        )
        for content in contents
    )


def _contents(contents: tuple[Content, ...], schemas: Schemas, mode: JsonSchemaMode) -> Json:
    found: Json = {}
    for content in contents:
        form: Json = {"schema": schemas.of(content.model, mode)}
        if list(content.examples) == ["example"]:
            form["example"] = content.examples["example"]
        elif content.examples:
            form["examples"] = {name: {"value": value} for name, value in content.examples.items()}
        found[content.media_type] = form
    return found


def _failures(endpoint: Endpoint) -> Json:
    """The errors an operation can answer: a reference where they are those of every route, else their own list."""
    shared = problem.by_status(_usual(endpoint.operation))
    failures: Json = {}
    for status, codes in _codes(endpoint).items():
        dialect = DIALECTS.get(endpoint.operation.dialect)
        if dialect is not None:
            failures[str(status)] = _failure(codes, dialect.media_type)
        elif codes == shared.get(status):
            failures[str(status)] = {"$ref": f"#/components/responses/{_name(codes)}"}
        else:
            failures[str(status)] = _failure(codes)
    return failures


def _codes(endpoint: Endpoint) -> dict[int, list[Code]]:
    return problem.by_status((*_usual(endpoint.operation), *endpoint.failures))


def _usual(operation: Operation) -> tuple[str, ...]:
    return problem.usual(operation.body is not None, operation.public)


def _shared_failures() -> Json:
    kinds = [(has_body, is_public) for has_body in (False, True) for is_public in (False, True)]
    shared = [codes for kind in kinds for codes in problem.by_status(problem.usual(*kind)).values()]
    return {name: _failure(codes) for name, codes in sorted((_name(codes), codes) for codes in shared)}


def _failure_examples(endpoints: list[Endpoint]) -> Json:
    """An error of each code that the document speaks of."""
    declared = (code for endpoint in endpoints for code in endpoint.failures)
    names = sorted({*problem.usual(has_body=True), *declared})
    return {name: {"summary": CODES[name].title, "value": problem.example(CODES[name])} for name in names}


def _name(codes: list[Code]) -> str:
    """A component's name out of error codes: `JsonInvalid_RequestInvalid`."""
    return "_".join(code.name.title().replace("_", "") for code in codes)


def _failure(codes: list[Code], media_type: str = problem.MEDIA_TYPE) -> Json:
    examples = {code.name: {"$ref": f"#/components/examples/{code.name}"} for code in codes}
    return {
        "description": "; ".join(code.title for code in codes),
        "content": {media_type: {"schema": {"$ref": PREFIX + "Problem"}, "examples": examples}},
    }
