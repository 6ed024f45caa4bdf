"""The search route's query DSL: the same hits, order and sort values from the embedded store as from a real Elasticsearch."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from libs.context import RequestContext
from libs.errors import NotSupportedError, RequestError
from query.backend import InstanceConfig
from query.document_store import Document
from query.embedded import open_backend
from query.embedded.documents import EmbeddedDocuments

MAPPING = {
    "properties": {
        "host": {"type": "keyword"},
        "status": {"type": "integer"},
        "big": {"type": "long"},
        "took": {"type": "double"},
        "single": {"type": "float"},
        "ok": {"type": "boolean"},
        "at": {"type": "date"},
        "exact": {"type": "date_nanos"},
        "addr": {"type": "ip"},
        "tags": {"type": "keyword"},
        "sizes": {"type": "long"},
        "title": {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 12}}},
        "low": {"type": "keyword", "normalizer": "lowercase"},
        "geo": {"properties": {"city": {"type": "keyword"}}},
    }
}
HOSTS = ["web-1", "web-2", "WEB-1", "db*1", "a?b", "back\\slash", "ünï", "😀", "", None]


def _document(n: int) -> dict[str, Any]:
    members: dict[str, Any] = {
        "host": HOSTS[n % len(HOSTS)],
        "status": [200, 200, 404, 500, None][n % 5],
        "big": [2**53 + n, -(2**62), 2**63 - 1, n][n % 4],
        "took": [0.1, 1.5, -2.5, 1e10, None][n % 5] if n % 3 else n / 7,
        "single": n / 10,
        "ok": [True, False, None][n % 3],
        "at": f"2026-11-{1 + n % 28:02}T{n % 24:02}:30:00.{n:03}Z" if n % 6 else None,
        "exact": f"2026-11-22T10:00:00.0000000{n:02}Z",
        "addr": ["10.0.0.1", "::1", "2001:db8::1", None][n % 4],
        "tags": [["red", "green"], "blue", [], None, ["red"], ["a", "b", "c"]][n % 6],
        "sizes": [[3, 1, 2], 5, None, [-7, 7]][n % 4],
        "title": ["The Quick Fox", "quick", "lazy dogs jump far", None][n % 4],
        "low": ["ABC", "abc", "Def"][n % 3],
        "geo": {"city": "Oslo"} if n % 2 else {},
    }
    return {name: value for name, value in members.items() if value is not None}


DOCUMENTS = [(f"d{n:02}", json.dumps(_document(n)).encode()) for n in range(60)]


def _filter(**query: Any) -> dict[str, Any]:
    return {"query": {"bool": {"filter": [query]}}, "sort": ["_doc"], "size": 100}


QUERIES: list[dict[str, Any]] = [
    {},
    {"query": {"match_all": {}}, "size": 3},
    {"query": {"match_all": {}}, "from": 55, "size": 10},
    {"size": 0},
    {"query": {"match_all": {}}, "track_total_hits": False},
    {"query": {"match_all": {}}, "track_total_hits": 10},
    {"query": {"match_all": {}}, "_source": False},
    {"query": {"match_all": {}}, "_source": ["host", "geo.*"], "size": 5},
    {"query": {"match_all": {}}, "_source": {"excludes": ["s*", "geo"]}, "size": 5},
    *(_filter(term={"host": host}) for host in HOSTS if host is not None),
    _filter(term={"host": {"value": "web-1"}}),
    _filter(term={"status": 404}),
    _filter(term={"status": "404"}),
    _filter(term={"status": 404.5}),
    _filter(term={"status": 404.0}),
    _filter(term={"big": 2**53 + 4}),
    _filter(term={"took": 0.1}),
    _filter(term={"single": 0.1}),
    _filter(term={"single": 3.7}),
    _filter(term={"ok": True}),
    _filter(term={"ok": "false"}),
    _filter(term={"addr": "::1"}),
    _filter(term={"addr": "2001:DB8:0::1"}),
    _filter(term={"tags": "red"}),
    _filter(term={"sizes": 7}),
    _filter(term={"title": "quick"}),
    _filter(term={"title": "Quick"}),
    _filter(term={"title.keyword": "The Quick Fox"}),
    _filter(term={"title.keyword": "quick"}),
    _filter(term={"low": "ABC"}),
    _filter(term={"geo.city": "Oslo"}),
    _filter(term={"_id": "d07"}),
    _filter(term={"nowhere": 1}),
    _filter(term={"at": "2026-11-05"}),
    _filter(term={"at": "2026-11"}),
    _filter(terms={"host": ["web-1", "😀", "none"]}),
    _filter(terms={"status": [200, "500"]}),
    _filter(terms={"_id": ["d01", "d02", "x"]}),
    _filter(terms={"sizes": [1, 5]}),
    _filter(terms={"host": []}),
    _filter(range={"status": {"gte": 404}}),
    _filter(range={"status": {"gt": 404, "lte": 500}}),
    _filter(range={"status": {"gt": 403.5, "lt": 404.5}}),
    _filter(range={"status": {"gte": "404"}}),
    _filter(range={"big": {"gt": 2**53 + 4}}),
    _filter(range={"took": {"gt": 0.1, "lt": 2}}),
    _filter(range={"single": {"lte": 0.3}}),
    _filter(range={"host": {"gte": "db", "lt": "web-2"}}),
    _filter(range={"tags": {"gte": "b", "lt": "c"}}),
    _filter(range={"sizes": {"gt": 2, "lt": 5}}),
    _filter(range={"sizes": {"gte": 4, "lte": 6}}),
    _filter(range={"at": {"gte": "2026-11-05", "lte": "2026-11-07"}}),
    _filter(range={"at": {"gt": "2026-11-05", "lt": "2026-11-07"}}),
    _filter(range={"at": {"gte": "2026-11-05T05", "lt": "2026-11-20T20:30"}}),
    _filter(range={"at": {"gte": "2026-11-10||-2d/d", "lt": "2026-11-10||+1M/M"}}),
    _filter(range={"at": {"lte": "2026-11-10||/w"}}),
    _filter(range={"at": {"gt": "2026-11-10||/w"}}),
    _filter(range={"at": {"gte": "now-1000y/y", "lt": "now+1000d"}}),
    _filter(range={"at": {"gte": 1793500000000}}),
    _filter(range={"exact": {"gt": "2026-11-22T10:00:00.000000010Z", "lte": "2026-11-22T10:00:00.000000020Z"}}),
    _filter(range={"at": {}}),
    _filter(range={"nowhere": {"gte": 1}}),
    *(
        _filter(exists={"field": name})
        for name in ("host", "status", "tags", "sizes", "title", "geo", "geo.city", "at", "nowhere")
    ),
    _filter(prefix={"host": "web"}),
    _filter(prefix={"host": {"value": "WEB"}}),
    _filter(prefix={"host": ""}),
    _filter(prefix={"tags": "gr"}),
    _filter(prefix={"title": "ju"}),
    _filter(prefix={"title.keyword": "The"}),
    _filter(wildcard={"host": "w*-?"}),
    _filter(wildcard={"host": {"value": "*b*"}}),
    _filter(wildcard={"host": {"wildcard": "db\\*1"}}),
    _filter(wildcard={"host": "a\\?b"}),
    _filter(wildcard={"host": "?"}),
    _filter(wildcard={"host": "back\\\\*"}),
    _filter(wildcard={"host": "*"}),
    _filter(wildcard={"host": ""}),
    _filter(wildcard={"title": "q*k"}),
    _filter(wildcard={"tags": "*e*"}),
    {
        "query": {"bool": {"must": [{"range": {"status": {"gte": 300}}}], "must_not": [{"exists": {"field": "tags"}}]}},
        "size": 50,
    },
    {"query": {"bool": {"should": [{"terms": {"host": ["web-1"]}}, {"terms": {"host": ["web-2"]}}]}}, "sort": ["_doc"]},
    {"query": {"bool": {"should": [{"exists": {"field": "status"}}, {"exists": {"field": "tags"}}]}}, "size": 60},
    {
        "query": {"bool": {"filter": [{"exists": {"field": "ok"}}], "should": [{"range": {"status": {"gte": 404}}}]}},
        "size": 60,
    },
    {
        "query": {
            "bool": {
                "should": [{"exists": {"field": "status"}}, {"exists": {"field": "tags"}}, {"exists": {"field": "at"}}],
                "minimum_should_match": 2,
            }
        },
        "sort": ["_doc"],
        "size": 60,
    },
    {"query": {"bool": {}}},
    {"query": {"bool": {"must_not": [{"term": {"ok": True}}]}}, "size": 50},
    {"query": {"bool": {"filter": {"bool": {"must_not": {"bool": {"should": [{"term": {"ok": True}}]}}}}}}, "size": 50},
    *(
        {"sort": [{name: order}, "_doc"], "size": 60}
        for name in (
            "host",
            "status",
            "took",
            "single",
            "ok",
            "at",
            "exact",
            "sizes",
            "tags",
            "geo.city",
            "low",
            "title.keyword",
        )
        for order in ("asc", "desc")
    ),
    {"sort": [{"status": {"order": "desc", "missing": "_first"}}, "_doc"], "size": 60},
    {"sort": [{"took": {"missing": "_first"}}, "_doc"], "size": 60},
    {"sort": [{"sizes": {"mode": "max"}}, "_doc"], "size": 60},
    {"sort": [{"nowhere": {"unmapped_type": "long"}}, "_doc"]},
    {"sort": "status", "size": 1},
    {"sort": ["_score", "_doc"], "size": 5},
    {"sort": [{"big": "asc"}], "from": 3, "size": 4},
]


@pytest.fixture(scope="module")
def real(es_url: str) -> Any:
    index = f"{es_url}/embedded-search-{uuid.uuid4().hex[:10]}"
    body = {"settings": {"number_of_shards": 1, "number_of_replicas": 0}, "mappings": MAPPING}
    assert _call(index, "PUT", body)[0] == 200
    lines = b"".join(b'{"create":{"_id":"%b"}}\n%b\n' % (name.encode(), source) for name, source in DOCUMENTS)
    _, answer = _call(f"{index}/_bulk?refresh=true", "POST", lines)
    assert not answer["errors"], [item for item in answer["items"] if item["create"]["status"] != 201][:2]
    yield index
    _call(index, "DELETE")


def _call(url: str, method: str, body: Any = None) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
async def embedded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[EmbeddedDocuments]:
    folder = tmp_path_factory.mktemp("embedded-search")
    backend = cast(EmbeddedDocuments, open_backend(InstanceConfig("es", "documents", None, str(folder))))
    await backend.create_index("searched", {}, MAPPING, RequestContext())
    report = await backend.bulk(
        "searched", [Document(source, name) for name, source in DOCUMENTS], True, RequestContext()
    )
    assert all(item["status"] == 201 for item in report)
    yield backend
    await backend.close()


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: json.dumps(query, ensure_ascii=True)[:120])
async def test_search(query: dict[str, Any], real: str, embedded: EmbeddedDocuments) -> None:
    status, expected = _call(f"{real}/_search", "POST", query)
    assert status == 200, expected
    found = await embedded.search("searched", query, RequestContext())
    assert set(found) == {"took", "timed_out", "_shards", "hits"}
    assert _hits(found) == _hits(expected)


def _hits(answer: Any) -> Any:
    hits = answer["hits"]
    return {
        "total": hits.get("total"),
        "max_score": hits["max_score"],
        "hits": [
            {name: value for name, value in hit.items() if name not in ("_index", "_ignored")} for hit in hits["hits"]
        ],
    }


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"query": {"match": {"title": "x"}}}, "match"),
        ({"query": {"bool": {"must": [{"fuzzy": {"host": "x"}}]}}}, "fuzzy"),
        ({"query": {"script": {"script": "1"}}}, "script"),
        ({"query": {"term": {"host": {"value": "x", "case_insensitive": True}}}}, "case_insensitive"),
        ({"query": {"range": {"at": {"gte": "now", "time_zone": "+01:00"}}}}, "time_zone"),
        ({"query": {"range": {"addr": {"gte": "::1"}}}}, "range on a field of type ip"),
        ({"query": {"term": {"addr": "10.0.0.0/8"}}}, "network"),
        ({"query": {"bool": {"should": [], "minimum_should_match": "50%"}}}, "minimum_should_match"),
        ({"aggs": {}}, "aggs"),
        ({"sort": [{"at": {"order": "asc", "nested": {}}}]}, "nested"),
        ({"sort": ["addr"]}, "ip"),
    ],
)
async def test_clause_unsupported(query: dict[str, Any], named: str, embedded: EmbeddedDocuments) -> None:
    with pytest.raises(NotSupportedError, match=named) as error:
        await embedded.search("searched", query, RequestContext())
    assert error.value.code.name == "CLAUSE_UNSUPPORTED"
    assert error.value.status == 501


@pytest.mark.parametrize(
    "query",
    [
        {"query": {"term": {"status": "x"}}},
        {"query": {"term": {"ok": "maybe"}}},
        {"query": {"term": {"addr": "x"}}},
        {"query": {"term": {"at": "x"}}},
        {"query": {"term": {"host": None}}},
        {"query": {"range": {"status": 5}}},
        {"query": {"range": {"at": {"gte": "2026-11-10||+1q"}}}},
        {"query": {"term": {"a": 1, "b": 2}}},
        {"query": {"bool": []}},
        {"query": {}},
        {"query": []},
        {"sort": ["nowhere"]},
        {"sort": ["title"]},
        {"sort": [5]},
        {"sort": [{"status": "up"}]},
        {"size": -1},
        {"size": True},
        {"size": 9_000, "from": 2_000},
        {"_source": 5},
        {"query": {"wildcard": {"host": "*" * 2_000}}},
    ],
)
async def test_refused(query: dict[str, Any], embedded: EmbeddedDocuments) -> None:
    with pytest.raises(RequestError) as error:
        await embedded.search("searched", query, RequestContext())
    assert 400 <= error.value.status < 500


async def test_operands_are_never_sql(embedded: EmbeddedDocuments) -> None:
    """T22: names and operands of a search are data."""
    for text in ("x'; DROP TABLE d1; --", '"', "' OR 1=1", "$q0", "a\x00b", "*'*", "?\\"):
        for clause in ("term", "prefix", "wildcard"):
            for name in ("host", text):
                answer = await embedded.search("searched", {"query": {clause: {name: text}}}, RequestContext())
                assert answer["hits"]["total"]["value"] == 0
    assert (await embedded.search("searched", {}, RequestContext()))["hits"]["total"]["value"] == len(DOCUMENTS)
