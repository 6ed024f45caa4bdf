"""Routes, refusals and validation of libs/rest, on a running sample service."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from sanic import Sanic
from yarl import URL

from libs.errors import RequestError
from libs.rest import PUBLIC, Api, Namespace, Resource, Router, encode
from libs.rest.negotiate import content_type, preferred
from unittest_.sample_service import Store, Thing, make_app, running, things


@dataclass(frozen=True)
class Answer:
    """An answer, read whole."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        return orjson.loads(self.content)


Ask = Callable[..., Awaitable[Answer]]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def ask() -> AsyncIterator[Ask]:
    """Sends a request to the sample, its path as it stands, and reads the whole answer."""
    async with running(make_app("rest")) as url, aiohttp.ClientSession() as session:

        async def send(method: str, path: str, **options: Any) -> Answer:
            async with session.request(method, URL(url + path, encoded=True), **options) as response:
                return Answer(response.status, response.headers, await response.read())

        yield send


def problem(response: Answer, status: int, code: str) -> dict[str, Any]:
    """The body of an error, once its shape is checked."""
    body: dict[str, Any] = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert (response.status, body["code"]) == (status, code), body
    assert set(body) >= {
        "result", "resultcode", "code", "message", "errors", "data", "request_id", "type", "title", "status"
    }  # fmt: skip
    assert body["result"] is False
    assert body["data"] is None
    assert body["status"] == status
    assert all(set(issue) == {"pointer", "code", "message", "hint"} for issue in body["errors"])
    return body


def pointers(body: dict[str, Any]) -> set[str]:
    return {issue["pointer"] for issue in body["errors"]}


@pytest.mark.parametrize(
    ("segment", "name"),
    [
        ("plain", "plain"),
        ("a%2Fb", "a/b"),
        ("a%2fb%2F", "a/b/"),
        ("100%25", "100%"),
        ("%252F", "%2F"),
        ("%25252F", "%252F"),
        ("%2e%2e", ".."),
        ("a+b", "a+b"),
        ("caf%C3%A9", "café"),
        ("%F0%9F%98%80", "😀"),
        ("a%00b", "a\x00b"),
        ("a;b=c", "a;b=c"),
        ("%20", " "),
    ],
)
async def test_parameters_are_decoded_exactly_once(ask: Ask, segment: str, name: str) -> None:
    for path in (f"/es/{segment}", f"/es/thing/{segment}"):
        assert (await ask("GET", path)).json() == {"name": name, "store": "es"}


@pytest.mark.parametrize("segment", ["%", "a%2", "%zz", "%u0041", "%ff", "%C3", "%ED%A0%80"])
async def test_broken_escapes_are_refused(ask: Ask, segment: str) -> None:
    problem(await ask("GET", f"/es/{segment}"), 400, "REQUEST_INVALID")


@pytest.mark.parametrize(
    "path",
    [
        "/es", "/es/", "/es/node/", "/es//node", "//es/node", "/es/one/", "/es/one//query", "/es/one/query/",
        "/es/thing/", "/es/thing//query", "/nowhere", "/ES/node", "/es/one/two/three", "/es/one/Query",
        "/openapi.json/", "/_swagger/", "/_swagger/..%2Fpage.py", "/_swagger/page.html", "//",
    ],
)  # fmt: skip
async def test_paths_without_a_route(ask: Ask, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS"):
        problem(await ask(method, path), 404, "ROUTE_UNKNOWN")


async def test_a_trailing_slash_is_told(ask: Ask) -> None:
    body = problem(await ask("GET", "/es/node/"), 404, "ROUTE_UNKNOWN")
    assert body["errors"][0]["hint"] == "leave the trailing slash away"


async def test_fixed_words_win_and_the_full_form_reaches_past_them(ask: Ask) -> None:
    assert (await ask("GET", "/es/node")).json() == {"nodes": ["es"]}
    assert (await ask("GET", "/es/%6Eode")).json() == {"nodes": ["es"]}
    for word in ("node", "thing", "ping", "query"):
        assert ((await ask("GET", f"/es/thing/{word}")).json())["name"] == word
        answer = await ask("POST", f"/es/thing/{word}/query", json={"limit": 1})
        assert answer.json() == {"bytes": 12}
    body = problem(await ask("POST", "/es/node/query", json={}), 404, "ROUTE_UNKNOWN")
    assert "full form" in body["errors"][0]["hint"]
    # `query` after the word `thing` is a name, by the full form.
    assert ((await ask("GET", "/es/thing/query")).json())["name"] == "query"


async def test_reserved_words_are_no_names(ask: Ask) -> None:
    problem(await ask("GET", "/es/ping"), 404, "ROUTE_UNKNOWN")
    problem(await ask("POST", "/es/ping/query", json={}), 404, "ROUTE_UNKNOWN")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/es/node", "GET, HEAD, OPTIONS"),
        ("PUT", "/es/node", "GET, HEAD, OPTIONS"),
        ("PATCH", "/es/thing", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/es/one", "DELETE, GET, HEAD, OPTIONS, PUT"),
        ("GET", "/es/one/query", "OPTIONS, POST"),
        ("HEAD", "/es/one/query", "OPTIONS, POST"),
        ("BREW", "/es/node", "GET, HEAD, OPTIONS"),
    ],
)
async def test_405_names_what_is_allowed(ask: Ask, method: str, path: str, allow: str) -> None:
    response = await ask(method, path)
    assert response.status == 405
    assert response.headers["Allow"] == allow
    if method != "HEAD":
        problem(response, 405, "METHOD_NOT_ALLOWED")


async def test_options_and_head(ask: Ask) -> None:
    options = await ask("OPTIONS", "/es/one")
    assert (options.status, options.headers["Allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PUT")
    head = await ask("HEAD", "/es/node")
    assert (head.status, head.headers["Content-Length"], head.content) == (200, "16", b"")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "text/*", "application/json;q=0", "image/png, a/b"])
async def test_406(ask: Ask, accept: str) -> None:
    body = problem(await ask("GET", "/es/node", headers={"Accept": accept}), 406, "NOT_ACCEPTABLE")
    assert body["errors"][0] == {
        "pointer": "header/Accept",
        "code": "NOT_ACCEPTABLE",
        "message": "None of the accepted formats is available here.",
        "hint": "accept application/json",
    }


@pytest.mark.parametrize(
    "accept", ["*/*", "application/*", "text/html, */*;q=0.1", "", "application/json", "nonsense, */*"]
)
async def test_accepted(ask: Ask, accept: str) -> None:
    assert (await ask("GET", "/es/node", headers={"Accept": accept})).status == 200


async def test_several_accept_headers_are_one_list(ask: Ask) -> None:
    headers = [("Accept", "text/html"), ("Accept", "application/json")]
    assert (await ask("GET", "/es/node", headers=headers)).status == 200


async def test_other_formats_of_an_answer_are_accepted(ask: Ask) -> None:
    answer = await ask("POST", "/es/one/query", json={}, headers={"Accept": "text/csv"})
    assert answer.status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "application/json; charset=utf-16"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {"Content-Type": "nonsense"},
    ],
)
async def test_415(ask: Ask, headers: dict[str, str]) -> None:
    for method, path in (("POST", "/es/thing"), ("PUT", "/es/one"), ("POST", "/es/one/query")):
        problem(await ask(method, path, data=b'{"name": "x"}', headers=headers), 415, "MEDIA_TYPE_UNSUPPORTED")


async def test_a_body_without_a_content_type_is_json_where_that_is_taken(ask: Ask) -> None:
    bare = {"skip_auto_headers": ["Content-Type"]}
    assert (await ask("PUT", "/es/one", data=b'{"n": 1}', **bare)).json() == {"sent": {"n": 1}}
    body = problem(await ask("POST", "/es/one/docs", data=b"{}\n", **bare), 415, "MEDIA_TYPE_UNSUPPORTED")
    assert body["errors"][0]["hint"] == "send application/x-ndjson, in UTF-8"


async def test_413(ask: Ask) -> None:
    for path in ("/es/thing", "/es/one/query"):
        answer = await ask("POST", path, data=b" " * 10_001, headers={"Content-Type": "application/json"})
        problem(answer, 413, "BODY_TOO_LARGE")


async def test_streamed_bodies_pass_the_limit_in_declared_encodings(ask: Ask) -> None:
    data = b'{"a": 1}\n' * 20_000
    answer = await ask("POST", "/es/one/docs", data=data, headers={"Content-Type": "application/x-ndjson"})
    assert answer.json() == {"bytes": len(data)}
    packed = gzip.compress(data)
    headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
    answer = await ask("POST", "/es/one/docs", data=packed, headers=headers)
    assert answer.json() == {"bytes": len(packed)}
    headers["Content-Encoding"] = "br"
    problem(await ask("POST", "/es/one/docs", data=packed, headers=headers), 415, "MEDIA_TYPE_UNSUPPORTED")
    problem(await ask("POST", "/es/one/docs"), 422, "BODY_INVALID")


async def test_validation_tells_everything_at_once(ask: Ask) -> None:
    sent = {
        "name": "",
        "size": "1",
        "nam": 1,
        "rule": {"all": [{"field": "a", "value": "x"}]},
        "by_name": {"a/b~c": {"field": 1}},
    }
    body = problem(await ask("POST", "/es/thing?limt=5&limit=1000", json=sent), 400, "REQUEST_INVALID")
    assert pointers(body) >= {
        "query/limt", "query/limit", "/name", "/size", "/nam", "/rule/all/0/value", "/by_name/a~1b~0c/field",
        "/by_name/a~1b~0c/value",
    }  # fmt: skip
    hints = {issue["pointer"]: issue["hint"] for issue in body["errors"]}
    assert hints["query/limt"] == "did you mean limit?"
    assert hints["/nam"] == "did you mean name?"
    # No tag of a union is taken for a member.
    assert not any(word in pointer for pointer in pointers(body) for word in ("Leaf", "Node"))
    assert "and" in body["message"]
    assert "more" in body["message"]


async def test_a_wrong_body_alone_is_422(ask: Ask) -> None:
    body = problem(await ask("POST", "/es/thing", json={"size": -1}), 422, "BODY_INVALID")
    assert pointers(body) == {"/name", "/size"}
    body = problem(await ask("POST", "/es/thing", json=[1]), 422, "BODY_INVALID")
    assert pointers(body) == {""}
    problem(await ask("POST", "/es/thing"), 422, "BODY_INVALID")


@pytest.mark.parametrize(
    ("text", "status", "code", "pointer"),
    [
        (b"", 422, "BODY_INVALID", ""),
        (b"{", 400, "JSON_INVALID", ""),
        (b'{"name": "x"} x', 400, "JSON_INVALID", ""),
        (b'{"name": "x", "size": NaN}', 400, "JSON_INVALID", ""),
        (b'{"name": "x", "size": 1e999}', 400, "JSON_INVALID", ""),
        (b'{"name": "\\ud800"}', 400, "JSON_INVALID", ""),
        (b'\xef\xbb\xbf{"name": "x"}', 400, "JSON_INVALID", ""),
        ('{"name": "x"}'.encode("utf-16"), 400, "JSON_INVALID", ""),
        (b"[" * 9_000, 400, "JSON_INVALID", ""),
        (b'{"a":' * 1_500, 400, "JSON_INVALID", ""),
        (b'{"name": "x", "size": ' + b"9" * 5_000 + b"}", 400, "JSON_INVALID", ""),
        (b'{"name": "x", "name": "y"}', 400, "DUPLICATE_KEY", "/name"),
        (b'{"name": "x", "by_name": {"a": {"b/": 1, "b/": 2}}}', 400, "DUPLICATE_KEY", "/by_name/a/b~1"),
        (b'{"name": "x", "rule": {"all": [{}, {"v": 1, "v": 1}]}}', 400, "DUPLICATE_KEY", "/rule/all/1/v"),
    ],
)
async def test_json_is_read_strictly(ask: Ask, text: bytes, status: int, code: str, pointer: str) -> None:
    answer = await ask("POST", "/es/thing", data=text, headers={"Content-Type": "application/json"})
    body = problem(answer, status, code)
    assert pointers(body) == {pointer}


async def test_a_deep_body_is_refused(ask: Ask) -> None:
    for depth, status in ((99, 200), (101, 422), (1_000, 422)):
        text = b'{"a":' * depth + b"1" + b"}" * depth
        answer = await ask("PUT", "/es/one", data=text, headers={"Content-Type": "application/json"})
        assert answer.status == status
        assert answer.json().get("code") == (None if status == 200 else "TOO_DEEP")


async def test_big_integers_stay_exact(ask: Ask) -> None:
    answer = await ask(
        "PUT", "/es/one", data=b'{"n": 9223372036854775807}', headers={"Content-Type": "application/json"}
    )
    assert answer.content == b'{"sent":{"n":9223372036854775807}}'


async def test_an_optional_body(ask: Ask) -> None:
    answer = await ask("PUT", "/es/one")
    assert (answer.json(), answer.headers["X-Thing"]) == ({"sent": None}, "put")


async def test_a_body_of_get(ask: Ask) -> None:
    answer = await ask("GET", "/es/one", json={"as": "it is"})
    assert answer.json() == {"name": "one", "store": "es", "as": "it is"}
    problem(await ask("GET", "/es/one", json=[]), 422, "BODY_INVALID")


async def test_bodies_left_to_the_operation_are_not_read(ask: Ask) -> None:
    answer = await ask("POST", "/es/one/query", data=b"{broken", headers={"Content-Type": "application/json"})
    assert answer.json() == {"bytes": 7}


async def test_query_parameters(ask: Ask) -> None:
    assert ((await ask("GET", "/es-eu/thing?tag=one&tag=two&limit=2")).json())["data"] == [{"name": "one", "size": 1}]
    assert ((await ask("GET", "/es-eu/thing?tag=tw%6F")).json())["data"] == []
    for query, pointer in [
        ("limit=", "query/limit"), ("limit=1&limit=2", "query/limit"), ("x=1", "query/x"), ("a/b=1", "query/a~1b"),
        ("limit=%ff", "query"), ("&".join("x=1" for _ in range(101)), "query"),
    ]:  # fmt: skip
        body = problem(await ask("GET", f"/es/thing?{query}"), 400, "REQUEST_INVALID")
        assert pointer in pointers(body), body
    body = problem(await ask("GET", "/es/node?pretty"), 400, "REQUEST_INVALID")
    assert pointers(body) == {"query/pretty"}


async def test_envelope_status_and_errors_of_operations(ask: Ask) -> None:
    made = await ask("POST", "/es/thing", json={"name": "two", "size": 2})
    body = made.json()
    assert made.status == 201
    assert body["result"] is True
    assert body["data"] == {"name": "two", "size": 2}
    assert body["meta"]["took_ms"] >= 0
    again = problem(await ask("POST", "/es/thing", json={"name": "two"}), 409, "ALREADY_EXISTS")
    assert pointers(again) == {"/name"}
    dropped = await ask("DELETE", "/es/two")
    assert (dropped.status, dropped.content) == (204, b"")
    gone = problem(await ask("DELETE", "/es/two"), 404, "INDEX_UNKNOWN")
    assert pointers(gone) == {"path/name"}


@pytest.fixture(scope="module")
def router() -> Router:
    app = make_app("router")
    app.router.finalize()
    Sanic.unregister_app(app)
    assert isinstance(app.router, Router)
    return app.router


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.sampled_from(["", "/query"]))
def test_any_text_reaches_the_full_form_as_it_is(router: Router, name: str, behind: str) -> None:
    method = "POST" if behind else "GET"
    route, _, found = router.get(f"/es/thing/{quote(name, safe='')}{behind}", method, None)
    assert found == {"name": name}
    assert route.path == f"es/thing/<name:str>{behind}"


@given(
    st.text(st.sampled_from("/%2Fes.nodethigquryab\u00e9"), max_size=40),
    st.sampled_from(["GET", "POST", "DELETE", "X"]),
)
def test_any_path_is_routed_or_refused(router: Router, path: str, method: str) -> None:
    try:
        route, _, found = router.get("/" + path, method, None)
    except RequestError as error:
        refused = error
    else:
        assert method in route.methods
        assert all(found.values())
        return
    assert refused.status in (400, 404, 405)
    assert (refused.status == 405) == bool(refused.allow)


async def test_instances_keep_to_themselves(ask: Ask) -> None:
    assert ((await ask("GET", "/es-eu/one")).json())["store"] == "es-eu"
    assert ((await ask("GET", "/es/one")).json())["store"] == "es"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, "application/json"),
        ("text/csv", "text/csv"),
        ("text/csv, application/json", "application/json"),
        ("text/csv, application/json;q=0.9", "text/csv"),
        ("text/*;q=0.3, text/csv;q=0, */*;q=0.1", "application/json"),
        ("TEXT/CSV", "text/csv"),
        ("application/json;q=2, text/csv;q=0.1", "text/csv"),
        ("image/png", None),
    ],
)
def test_preferred(accept: str | None, chosen: str | None) -> None:
    assert preferred(accept, ("application/json", "text/csv")) == chosen


def test_content_type() -> None:
    assert content_type('Application/JSON; Charset="UTF-8"; x=y') == ("application/json", "utf-8")


def test_an_operation_id_or_path_twice_is_refused() -> None:
    api = Api("Sample", "1")
    api.add(things, instance="es", args=(Store("es"),))
    with pytest.raises(ValueError, match="is there already"):
        api.add(things, instance="es", args=(Store("es"),))
    clashing = Namespace("clashing", "/clashing")

    @clashing.route("/a", "/b")
    class Clashing(Resource):
        @clashing.allow(PUBLIC)
        async def get(self, request: object) -> dict[str, int]:
            return {}

    with pytest.raises(ValueError, match="give a suffix"):
        api.add(clashing)


@pytest.mark.parametrize("path", ["a", "/<A>", "/a<b>", "/<a:int>", "/a b", "/é"])
def test_paths_of_another_form_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="path"):
        Namespace("bad", path)


def test_unknown_error_codes_are_refused() -> None:
    with pytest.raises(ValueError, match="no error code"):
        things.fails("NO_SUCH_CODE")


def test_payloads_hold_models_and_what_is_not_finite_becomes_null() -> None:
    assert encode({"a": [Thing(name="x", size=1)], "b": float("inf")}) == b'{"a":[{"name":"x","size":1}],"b":null}'
    with pytest.raises(TypeError):
        encode({"a": object()})
