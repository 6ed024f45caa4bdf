"""Every error of every route has the one shape. It walks the OpenAPI document: a new route is covered as it is added."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pytest
from yarl import URL

from config.limits import LimitsSettings
from libs.error_codes import CODES
from unittest_.live import Client, service
from unittest_.running_app import exchange

MEMBERS = {"result", "resultcode", "code", "message", "errors", "data", "request_id", "type", "title", "status"}
ISSUE_MEMBERS = {"pointer", "code", "message", "hint"}
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "BREW")
BODY_BYTES, INGEST_BYTES = 4_096, 16_384
JSON = "application/json"
SENT_ID = "walk-1"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Operation:
    """One method of one route, as the document describes it. `path` has the example parameters put in, of things that
    are not there; `query` has the required parameters, `others` says that the thing itself knows its parameters."""

    method: str
    path: str
    query: str
    contents: Mapping[str, Any]
    required: bool
    methods: frozenset[str]
    others: bool
    # Whether it speaks InfluxDB's protocol: its errors have one member more, and another media type; any Accept is taken.
    dialect: bool

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for template, item in document["paths"].items():
        methods = frozenset(method.upper() for method in item)
        for method, described in item.items():
            parameters = described.get("parameters", [])
            values = {one["name"]: one["example"] for one in parameters if one["in"] == "path"}
            query = "&".join(f"{one['name']}=x" for one in parameters if one["in"] == "query" and one.get("required"))
            body = described.get("requestBody", {})
            contents = body.get("content", {})
            path = template.format(**values)
            others = any(one["name"] == "others" for one in parameters)
            dialect = JSON in described["responses"]["400"].get("content", {})
            required = body.get("required", False)
            yield Operation(method.upper(), path, query, contents, required, methods, others, dialect)


class Walk:
    """Sends one odd request for each operation, and gathers what is wrong with the answers."""

    def __init__(self, client: Client, document: Mapping[str, Any]) -> None:
        self.client = client
        self.operations = list(operations(document))
        self.wrong: list[str] = []
        self.dialect = {(one.method, one.path) for one in self.operations if one.dialect}

    async def send(self, method: str, path: str, **arguments: Any) -> Answer:
        url = URL(self.client.url + path, encoded=True)
        headers = {"x-request-id": SENT_ID, **arguments.pop("headers", {})}
        async with self.client.session.request(method, url, headers=headers, **arguments) as response:
            return Answer(response.status, response.headers, await response.read())

    async def expect(self, statuses: set[int], code: str | None, method: str, path: str, **arguments: Any) -> Answer:
        """Sends, and notes what is wrong with the answer."""
        answer = await self.send(method, path, **arguments)
        said = f"{method} {path[:100]} {str(arguments)[:100]}: {answer.status} {answer.body[:200]!r}"
        if answer.status not in statuses:
            self.wrong.append(f"{said}: not {statuses}")
        elif method == "HEAD":
            self.wrong += [f"{said}: {fault}" for fault in faults_of_head(answer)]
        else:
            dialect = (method, path.partition("?")[0]) in self.dialect
            self.wrong += [f"{said}: {fault}" for fault in faults(answer, code, dialect)]
        return answer

    def done(self, at_least: int) -> None:
        """Fails with all that was wrong."""
        assert not self.wrong, "\n".join(self.wrong[:20])
        assert len(self.operations) >= at_least


def faults_of_head(answer: Answer, media_type: str = "application/problem+json") -> Iterator[str]:
    if answer.headers.get("Content-Type") != media_type:
        yield f"not {media_type}"
    if answer.headers.get("X-Request-ID") != SENT_ID:
        yield "another request id"
    if answer.headers.get("X-Content-Type-Options") != "nosniff":
        yield "no nosniff"


def faults(answer: Answer, code: str | None, dialect: bool = False) -> Iterator[str]:
    """What is wrong with an error's shape; `code` is the one it should have, None for any; `dialect`: in InfluxDB's form."""
    yield from faults_of_head(answer, JSON) if dialect else faults_of_head(answer)
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        yield "no JSON"
        return
    if dialect and isinstance(body, dict) and body.pop("error", None) != body.get("message"):
        yield "no error"
    if dialect and not answer.headers.get("X-Influxdb-Version"):
        yield "no version"
    if not isinstance(body, dict) or set(body) - {"source"} != MEMBERS:
        yield "other members"
        return
    known = CODES.get(body["code"])
    if known is None or (known.status, known.resultcode, known.title) != (
        answer.status, body["resultcode"], body["title"]
    ):  # fmt: skip
        yield "status, resultcode or title are not the code's"
    if code is not None and body["code"] != code:
        yield f"the code is not {code}"
    if body["result"] is not False or body["data"] is not None or body["request_id"] != SENT_ID:
        yield "result, data or request_id"
    if body["status"] != answer.status or body["type"] != f"urn:hostmonitor:error:{body['code']}":
        yield "status or type"
    if not body["message"] or not isinstance(body["message"], str):
        yield "no message"
    if not body["errors"] or any(set(issue) != ISSUE_MEMBERS for issue in body["errors"]):
        yield "errors"
    elif not any(issue["hint"] for issue in body["errors"]):
        yield "no hint"
    if b"Traceback" in answer.body or b'File \\"' in answer.body or b".py" in answer.body:
        yield "it shows its code"
    if answer.status == 405 and not answer.headers.get("Allow"):
        yield "405 without Allow"


@pytest.fixture(scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    limits = LimitsSettings(body_bytes=BODY_BYTES, ingest_bytes=INGEST_BYTES)
    async with service(tmp_path_factory.mktemp("shape"), limits=limits) as client:
        yield client


@pytest.fixture
async def walk(client: Client) -> Walk:
    return Walk(client, await client.ok("GET", "/openapi.json"))


def with_query(operation: Operation, *more: str) -> str:
    query = "&".join(part for part in (operation.query, *more) if part)
    return operation.path + (f"?{query}" if query else "")


def sample(operation: Operation, media_type: str = JSON) -> bytes:
    """The body of the document's example."""
    content = operation.contents[media_type]
    example = content["example"] if "example" in content else next(iter(content["examples"].values()))["value"]
    return example.encode() if media_type != JSON else orjson.dumps(example)


async def test_404_for_what_is_beside_every_route(walk: Walk) -> None:
    for operation in walk.operations:
        for path in (f"{operation.path}/", f"/{operation.path}", operation.path.replace("/", "//"), f"{operation.path}//",
                     f"{operation.path}/no/such/route/at/all", f"/no-such-instance{operation.path}"):  # fmt: skip
            await walk.expect({404}, "ROUTE_UNKNOWN", operation.method, path)
        at = operation.path.rfind("/")
        await walk.expect({404}, "ROUTE_UNKNOWN", "GET", operation.path[:at] + "/" + operation.path[at:])
        await walk.expect({404}, "ROUTE_UNKNOWN", "HEAD", f"{operation.path}/")
    walk.done(30)


async def test_405_names_what_is_allowed(walk: Walk) -> None:
    for operation in walk.operations:
        for method in set(METHODS) - operation.methods:
            answer = await walk.expect({405}, "METHOD_NOT_ALLOWED", method, operation.path)
            allowed = {name.strip() for name in answer.headers.get("Allow", "").split(",")}
            assert operation.methods <= allowed <= operation.methods | {"OPTIONS", "HEAD"}, (method, operation.path)
    for path in ("/", "/openapi.json"):
        await walk.expect({405}, "METHOD_NOT_ALLOWED", "POST", path, data=b"{}")
    walk.done(30)


async def test_options_tell_the_methods(walk: Walk) -> None:
    for operation in walk.operations:
        answer = await walk.send("OPTIONS", operation.path)
        assert answer.status == 204, operation
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert operation.methods <= {name.strip() for name in answer.headers["Allow"].split(",")}, operation


@pytest.mark.parametrize("accept", ["image/png", "text/html;q=0.9, image/*", "application/json;q=0", "*/*;q=0"])
async def test_406_for_formats_that_are_not_there(walk: Walk, accept: str) -> None:
    for operation in walk.operations:
        described = {"data": sample(operation)} if JSON in operation.contents else {}
        headers = {"accept": accept, "content-type": JSON}
        if operation.dialect or ("json" in accept and operation.path == "/metrics"):
            continue
        await walk.expect(
            {406}, "NOT_ACCEPTABLE", operation.method, with_query(operation), headers=headers, **described
        )
    walk.done(30)


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/xml"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": ""},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": JSON, "content-encoding": "br"},
        {"content-type": JSON, "content-encoding": "zstd"},
        {"content-type": JSON, "content-encoding": "gzip, gzip"},
    ],
    ids=str,
)
async def test_415_for_bodies_of_other_kinds(walk: Walk, headers: dict[str, str]) -> None:
    for operation in walk.operations:
        if JSON in operation.contents:
            path, body = with_query(operation), sample(operation)
            await walk.expect({415}, "MEDIA_TYPE_UNSUPPORTED", operation.method, path, headers=headers, data=body)
    walk.done(30)


@pytest.mark.parametrize("chunked", [False, True])
async def test_413_for_bodies_over_the_limit(walk: Walk, chunked: bool) -> None:
    async def in_pieces(body: bytes) -> AsyncIterator[bytes]:
        for at in range(0, len(body), 1000):
            yield body[at : at + 1000]

    for operation in walk.operations:
        size = INGEST_BYTES if operation.path.endswith(("/docs", "/points", "/write")) else BODY_BYTES
        body = b" " * size + b"[]"
        data = in_pieces(body) if chunked else body
        headers = {"content-type": JSON}
        await walk.expect({413}, "BODY_TOO_LARGE", operation.method, with_query(operation), headers=headers, data=data)
    walk.done(30)


@pytest.mark.parametrize("broken", ["%", "%zz", "%f", "%ff", "%c3%28", "%ed%a0%80", "a%"])
async def test_400_for_broken_escapes(walk: Walk, broken: str) -> None:
    for operation in walk.operations:
        await walk.expect({400}, "REQUEST_INVALID", operation.method, f"{operation.path}/{broken}")
        await walk.expect({400}, "REQUEST_INVALID", operation.method, operation.path + broken)
    walk.done(30)


@pytest.mark.parametrize(
    "query", ["no_such_parameter=1", "%ff=1", "no_such_parameter=%ff", "&".join(f"a{n}=1" for n in range(200))]
)
async def test_400_for_unknown_query_parameters(walk: Walk, query: str) -> None:
    for operation in walk.operations:
        described = {"data": sample(operation)} if JSON in operation.contents else {}
        path = with_query(operation, query)
        if operation.dialect and query == "no_such_parameter=1":
            continue  # InfluxDB ignores what it does not know
        statuses, code = ({400, 404}, None) if operation.others else ({400}, "REQUEST_INVALID")
        await walk.expect(statuses, code, operation.method, path, headers={"content-type": JSON}, **described)
    walk.done(30)


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b'{"a":', {"JSON_INVALID"}),
        (b"{'a': 1}", {"JSON_INVALID"}),
        (b"nul", {"JSON_INVALID"}),
        (b"[1, 2", {"JSON_INVALID"}),
        (b'{"a": 1}}', {"JSON_INVALID"}),
        (b"\xff\xfe{\x00}\x00", {"JSON_INVALID"}),
        (b"\xef\xbb\xbf{}", {"JSON_INVALID"}),
        (b"NaN", {"JSON_INVALID"}),
        (b'{"a": 1, "a": 2}', None),
        (b'{"no_such_member": {"deep": 1}}', None),
    ],
)
async def test_4xx_for_broken_json(walk: Walk, body: bytes, codes: set[str] | None) -> None:
    for operation in walk.operations:
        if JSON in operation.contents:
            path, headers = with_query(operation), {"content-type": JSON}
            answer = await walk.expect({400, 404, 422}, None, operation.method, path, headers=headers, data=body)
            said = orjson.loads(answer.body)["code"]
            if codes is not None and said not in codes:
                walk.wrong.append(f"{operation} {body!r}: {said}, not {codes}")
    walk.done(30)


@pytest.mark.parametrize("body", [b"42", b'"text"', b"null", b"true", b"[1]", b"[[]]", b'["a"]', b"1e400"])
async def test_4xx_for_other_json_types(walk: Walk, body: bytes) -> None:
    for operation in walk.operations:
        if JSON in operation.contents:
            if body == b"null" and not operation.required:
                continue
            path, headers = with_query(operation), {"content-type": JSON}
            await walk.expect({400, 422}, None, operation.method, path, headers=headers, data=body)
    walk.done(30)


@pytest.mark.parametrize("body", [b"", b" ", b"\n\n"])
async def test_4xx_for_no_body(walk: Walk, body: bytes) -> None:
    for operation in walk.operations:
        for media_type in operation.contents:
            if operation.required:
                # What may be a blank line is only known once it is read, behind the look for the database.
                statuses = {400, 422} if media_type == JSON else {400, 404, 422}
                path, headers = with_query(operation), {"content-type": media_type}
                await walk.expect(statuses, None, operation.method, path, headers=headers, data=body)
    walk.done(30)


async def test_other_media_types_of_nonsense(walk: Walk) -> None:
    for operation in walk.operations:
        for media_type in operation.contents.keys() - {JSON}:
            for body in (b"\x00\x01\x02", b"{", b"\xff\xff", b"[]\n[]\n", b"a=b\n"):
                path, headers = with_query(operation), {"content-type": media_type}
                await walk.expect({400, 404, 422}, None, operation.method, path, headers=headers, data=body)
    walk.done(30)


async def test_what_is_not_there_is_said_in_the_shape(walk: Walk) -> None:
    """As the document's examples ask it of an empty store: whatever is answered as an error has the shape."""
    for operation in walk.operations:
        if operation.method in ("DELETE", "GET") or JSON not in operation.contents:
            continue
        path, headers = with_query(operation), {"content-type": JSON}
        answer = await walk.send(operation.method, path, headers=headers, data=sample(operation))
        assert answer.status < 500, (str(operation), answer.body)
        if answer.status >= 400:
            walk.wrong += [f"{operation}: {fault}" for fault in faults(answer, None)]
    walk.done(30)


async def test_good_answers_bear_the_headers_too(walk: Walk) -> None:
    for path in ("/", "/openapi.json", "/es/index", "/influx/db", "/health/live", "/health/ready", "/metrics"):
        answer = await walk.send("GET", path)
        assert answer.status == 200, path
        assert answer.headers["X-Content-Type-Options"] == "nosniff", path
        assert answer.headers["X-Request-ID"] == SENT_ID, path


RAW = {
    "no HTTP": b"hello\r\n\r\n",
    "HTTP/9": b"GET /es/node HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "lower case method": b"get /es/node HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "long header": b"GET /es/node HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 20_000 + b"\r\n\r\n",
    "long path": b"GET /" + b"x" * 7_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "no colon": b"GET /es/node HTTP/1.1\r\nHost h\r\n\r\n",
    "two lengths": b"POST /mix/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "negative length": b"POST /mix/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n{}",
    "wordy length": b"POST /mix/query HTTP/1.1\r\nHost: localhost\r\nContent-Length: many\r\n\r\n{}",
    "broken chunk": b"POST /mix/query HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "expectation": b"POST /mix/query HTTP/1.1\r\nHost: localhost\r\nExpect: miracles\r\nContent-Length: 2\r\n\r\n{}",
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "absolute form": b"GET http://evil.example/no/such HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("name", RAW)
async def test_what_is_hardly_http(client: Client, name: str) -> None:
    received = await exchange(client.url, RAW[name])
    head, _, body = received.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    lines: Callable[[str], str] = lambda wanted: next(  # noqa: E731
        (line.split(b": ", 1)[1].decode() for line in head.split(b"\r\n") if line.lower().startswith(wanted.encode())),
        "",
    )
    assert 400 <= status < 500, received
    problem = orjson.loads(body)
    answer = Answer(
        status,
        {
            "Content-Type": lines("content-type"),
            "X-Request-ID": SENT_ID,
            "X-Content-Type-Options": lines("x-content-type-options"),
            "Allow": lines("allow"),
        },
        orjson.dumps(problem | {"request_id": SENT_ID}),
    )
    assert list(faults(answer, None)) == []
    assert lines("x-request-id") == problem["request_id"]
