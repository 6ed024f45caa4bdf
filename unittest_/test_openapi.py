"""The document and the page's files, as the sample service answers them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from libs.rest import PUBLIC, Api, Namespace, RawSchema, Resource, build, to_bytes
from libs.rest.schemas import Schemas
from unittest_.sample_service import FILTER, make_api, make_app, running
from unittest_.service_api import service_api

METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The sample's document."""
    return build(make_api())


@pytest.fixture(scope="module", params=["sample", "service"])
def any_document(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The sample's document, then the service's own."""
    return build(make_api() if request.param == "sample" else service_api(tmp_path_factory.mktemp("service")))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert method in METHODS
            yield f"{method} {path}", operation


def resolve(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in value:
        found: Any = document
        for step in value["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        value = found
    return value


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list):
        for member in value:
            yield from references(member)


def test_it_is_valid_openapi(any_document: dict[str, Any]) -> None:
    assert any_document["openapi"] == "3.1.1"
    OpenAPIV31SpecValidator(any_document).validate()


def test_every_reference_leads_somewhere(any_document: dict[str, Any]) -> None:
    for reference in set(references(any_document)):
        assert resolve(any_document, {"$ref": reference}) is not None


def test_operation_ids_are_stable_and_unique(document: dict[str, Any]) -> None:
    local = [
        "listNodes", "listThings", "createThing", "getThing", "putThing", "deleteThing", "getThingByFullForm",
        "putThingByFullForm", "deleteThingByFullForm", "query", "queryByFullForm", "sendDocs",
    ]  # fmt: skip
    expected = [f"{instance}-{name}" for instance in ("es", "es-eu") for name in local]
    assert sorted(operation["operationId"] for _, operation in operations(document)) == sorted(expected)


def test_ids_of_the_service_are_unique_and_make_links(any_document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(any_document)]
    assert len(set(ids)) == len(ids)
    # Swagger UI reads an underscore in an operation's link as a space.
    assert not [name for name in ids if "_" in name]


def test_it_is_the_same_each_time(document: dict[str, Any]) -> None:
    assert to_bytes(build(make_api())) == to_bytes(document)


def test_every_body_and_answer_has_an_example(any_document: dict[str, Any]) -> None:
    for name, operation in operations(any_document):
        forms = [resolve(any_document, answer).get("content", {}) for answer in operation["responses"].values()]
        if "requestBody" in operation:
            forms.append(operation["requestBody"]["content"])
        for form in forms:
            for media_type, content in form.items():
                assert "example" in content or content.get("examples"), (name, media_type)


V1_PATHS = ("/influx/ping", "/influx/query", "/influx/write")


def test_every_operation_tells_its_errors_in_the_common_shape(any_document: dict[str, Any]) -> None:
    for name, operation in operations(any_document):
        statuses = set(operation["responses"])
        assert statuses >= {"400", "404", "405", "406", "500", "503"}, name
        if "requestBody" in operation:
            assert statuses >= {"413", "415", "422"}, name
        for status, answer in operation["responses"].items():
            if status >= "400":
                forms = resolve(any_document, answer)["content"]
                # Operations of InfluxDB's protocol say it in the type that its clients know.
                content = forms["application/json" if name.endswith(V1_PATHS) else "application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
                examples = [resolve(any_document, example)["value"] for example in content["examples"].values()]
                assert all(example["status"] == int(status) for example in examples)


def test_every_operation_is_described(any_document: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in any_document["tags"]}
    for name, operation in operations(any_document):
        assert operation["summary"], name
        assert set(operation["tags"]) <= tags, name


def test_texts_come_from_docstrings_too(document: dict[str, Any]) -> None:
    read = document["paths"]["/es/{name}"]["get"]
    assert read["description"].startswith("A second paragraph, for the document.")
    assert read["parameters"][0]["example"] == "one"


def test_a_body_of_get_is_told_in_words(document: dict[str, Any]) -> None:
    read = document["paths"]["/es/{name}"]["get"]
    assert "requestBody" not in read
    assert read["description"].endswith('```json\n{"as":"it is"}\n```')
    assert "415" in read["responses"]


def test_declared_errors_stand_beside_the_usual_ones(document: dict[str, Any]) -> None:
    answer = document["paths"]["/es/{name}"]["get"]["responses"]["404"]
    assert set(answer["content"]["application/problem+json"]["examples"]) == {"ROUTE_UNKNOWN", "INDEX_UNKNOWN"}


def test_an_answer_and_an_error_of_one_status_stand_together() -> None:
    both = Namespace("both", "/both")

    @both.route("")
    class Both(Resource):
        @both.allow(PUBLIC)
        @both.returns(503, int, "Down", example=1)
        async def get(self, request: object) -> None: ...

    api = Api("Both", "1")
    api.add(both)
    answer = build(api)["paths"]["/both"]["get"]["responses"]["503"]
    assert answer["description"] == "Down"
    assert set(answer["content"]) == {"application/json", "application/problem+json"}


def test_the_document_says_which_key_an_operation_needs() -> None:
    kinds = Namespace("kinds", "/kinds")

    @kinds.route("/public")
    class Public(Resource):
        @kinds.allow(PUBLIC)
        async def get(self, request: object) -> None: ...

    @kinds.route("/usual")
    class Usual(Resource):
        @kinds.allow("native", "read")
        async def get(self, request: object) -> None: ...

    @kinds.route("/basic")
    class Basic(Resource):
        @kinds.allow("write", basic=True)
        async def get(self, request: object) -> None: ...

    api = Api("Kinds", "1")
    api.add(kinds)
    document = build(api)
    public, usual, basic = (document["paths"][f"/kinds/{name}"]["get"] for name in ("public", "usual", "basic"))
    assert document["security"] == [{"bearer": []}, {"apiKey": []}]
    assert {"bearer", "apiKey", "basic"} == set(document["components"]["securitySchemes"])
    assert public["security"] == []
    assert not {"401", "429"} & set(public["responses"])
    assert "security" not in usual
    assert usual["description"] == "Needs a key that allows `read` and `native`."
    assert {"401", "403", "429"} <= set(usual["responses"])
    assert basic["security"] == [*document["security"], {"basic": []}]


def test_query_parameters_come_from_their_model(document: dict[str, Any]) -> None:
    limit, tag = document["paths"]["/es/thing"]["get"]["parameters"]
    assert limit == {
        "name": "limit",
        "in": "query",
        "required": False,
        "description": "How many at most.",
        "example": 5,
        "schema": {"type": "integer", "minimum": 1, "maximum": 100, "default": 10},
    }
    assert (tag["name"], tag["schema"]["type"]) == ("tag", "array")


def test_recursive_schemas_stay_recursive(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    query = document["paths"]["/es/{name}/query"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert query == {"$ref": "#/components/schemas/Query"}
    assert schemas["Query"]["properties"]["with"] == {"$ref": "#/components/schemas/Query"}
    assert schemas["Query"]["properties"]["where"] == {"$ref": "#/components/schemas/Filter"}
    assert schemas["Filter"]["anyOf"][1] == {"$ref": "#/components/schemas/Conjunction"}
    assert schemas["Conjunction"]["properties"]["and"]["items"] == {"$ref": "#/components/schemas/Filter"}
    assert "$defs" not in schemas["Query"]
    assert {"$ref": "#/components/schemas/Node"} in schemas["Node"]["properties"]["all"]["items"]["anyOf"]


def test_schemas_pass_through_unchanged() -> None:
    schema = {
        "type": ["object", "null"],
        "properties": {
            "a": {"const": None},
            "b": {"enum": [1, "x", None]},
            "c": True,
            "d": {"$ref": "#", "title": "D"},
        },
        "patternProperties": {"^x-": False},
        "unevaluatedProperties": False,
        "if": {"required": ["a"]},
        "then": {"minProperties": 2},
        "prefixItems": [{"type": "integer"}],
        "default": None,
        "examples": [{"a": None}],
    }
    odd = Namespace("odd", "/odd")

    @odd.route("")
    class Odd(Resource):
        @odd.allow("write")
        @odd.expect(RawSchema("Odd", schema), example={})
        @odd.returns(200, RawSchema("Out", {"type": "null"}), example=None)
        async def post(self, request: object) -> None: ...

    api = Api("Odd", "1")
    api.add(odd)
    found = build(api)["components"]["schemas"]["Odd"]
    expected = json.loads(json.dumps(schema).replace('"#"', '"#/components/schemas/Odd"'))
    assert found == expected


def test_two_schemas_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two schemas are called"):
        Schemas([(FILTER, "validation"), (RawSchema("Query", {"type": "string"}), "validation")])


@pytest.mark.parametrize(
    ("base_path", "public_url", "server"),
    [
        ("", None, "/"),
        ("/hm", None, "/hm"),
        ("/hm/", None, "/hm"),
        ("", "https://gate.example/hm/", "https://gate.example/hm"),
        ("/hm", "https://gate.example/hm", "https://gate.example/hm"),
    ],
)
def test_servers_come_from_the_settings(base_path: str, public_url: str | None, server: str) -> None:
    assert build(make_api(base_path, public_url))["servers"] == [{"url": server}]


async def test_it_is_served_with_a_tag_and_whatever_the_headers_say() -> None:
    forged = {"Host": "evil.example", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    async with running(make_app("openapi")) as url, aiohttp.ClientSession() as session:
        async with session.get(f"{url}/openapi.json") as response:
            content = await response.read()
            tag = response.headers["ETag"]
            assert response.content_type == "application/json"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert orjson.loads(content) == build(make_api())
        async with session.get(f"{url}/openapi.json", headers=forged) as response:
            assert await response.read() == content
        for known, status in ((tag, 304), (f'"x", W/{tag}', 304), ('"x"', 200)):
            async with session.get(f"{url}/openapi.json", headers={"If-None-Match": known}) as response:
                assert response.status == status
                assert response.headers["ETag"] == tag


async def test_the_page_lies_below_the_base_path() -> None:
    app = make_app("based", "/hm", "https://gate.example/hm")
    async with running(app) as url, aiohttp.ClientSession() as session:
        for path in ("/", "/hm"):
            async with session.get(url + path, allow_redirects=False) as response:
                assert (response.status, response.headers["Location"]) == (307, "/hm/")
        async with session.get(f"{url}/hm/") as response:
            page = await response.text()
            assert (response.status, response.content_type) == (200, "text/html")
            policy = response.headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "connect-src 'self' https://gate.example;" in policy
        assert "unsafe" not in policy
        assert "http:" not in page
        assert "https:" not in page
        for path, status in (("/hm/openapi.json", 200), ("/hm/_swagger/page.js", 200), ("/hm/es/node", 200),
                             ("/openapi.json", 404), ("/es/node", 404), ("/hm/hm/", 404)):  # fmt: skip
            async with session.get(url + path) as response:
                assert response.status == status, path


def test_vendored_files_are_those_of_the_note() -> None:
    folder = Path(__file__).parent.parent / "libs" / "rest" / "swagger"
    note = json.loads((folder / "vendored.json").read_text())
    assert note["package"] == "swagger-ui-dist"
    assert note["version"].startswith("5.")
    for name, digest in note["sha256"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, name


def test_every_delete_can_be_counted_first(tmp_path: Path) -> None:
    deletes = [one for one in service_api(tmp_path).endpoints() if one.http_method == "DELETE"]
    assert len(deletes) > 8
    for endpoint in deletes:
        parameters = endpoint.operation.query
        assert parameters is not None, endpoint.id
        assert "dry_run" in parameters.model_fields, endpoint.id
