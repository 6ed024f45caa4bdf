"""Heads that are read and written at once: the same as Sanic's own, and nothing that is doubtful among them."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from sanic import HTTPResponse
from sanic.exceptions import BadRequest
from sanic.headers import format_http1_response

from libs.tallies import CountedBy, TimedBy
from middlewares.heads import answer_head, usual_head

HOST = b"\r\nHost: a"


def test_a_usual_head_is_read() -> None:
    head = usual_head(b"POST /es/x/query?shape=arrays HTTP/1.1\r\nHost: a\r\nX-Request-ID:  r-1\r\nContent-Length: 12")
    assert head is not None
    assert (head.method, head.target, head.length) == ("POST", b"/es/x/query?shape=arrays", 12)
    assert list(head.headers.items()) == [("host", "a"), ("x-request-id", "r-1"), ("content-length", "12")]
    bare = usual_head(b"GET / HTTP/1.1" + HOST)
    assert bare is not None
    assert bare.length is None


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0" + HOST,
        b"HEAD / HTTP/1.1" + HOST,
        b"GET / HTTP/1.1" + HOST + b"\r\nConnection: close",
        b"POST / HTTP/1.1" + HOST + b"\r\nExpect: 100-continue\r\nContent-Length: 1",
        b"POST / HTTP/1.1" + HOST + b"\r\nTransfer-Encoding: chunked",
        b"GET / HTTP/1.1" + HOST + b"\r\nUpgrade: websocket",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: +1",
    ],
)
def test_t15_what_is_unusual_is_left_to_sanic(head: bytes) -> None:
    assert usual_head(head) is None


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1",
        b"GET / HTTP/1.1" + HOST + HOST,
        b"GET / HTTP/1.1" + HOST + b"\r\nX : 1",
        b"POST / HTTP/1.1" + HOST + b"\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
    ],
)
def test_t15_what_is_doubtful_is_refused_each_time(head: bytes) -> None:
    for _ in range(2):
        with pytest.raises(BadRequest):
            usual_head(head)


def test_an_answer_has_the_head_that_sanic_gives_it() -> None:
    answer = HTTPResponse(b"{}", 201, {"location": "/a", "x-request-id": "r-1"}, "application/json")
    made = answer_head(answer, 2)
    answer.headers["content-length"], answer.headers["connection"] = 2, "keep-alive"
    assert made == format_http1_response(201, answer.processed_headers)


@pytest.mark.parametrize("value", ["a\r\nset-cookie: b", "a\nb", "a\rb", "a\0b", "ü"])
def test_t15_a_header_that_holds_more_than_a_line_is_left_to_sanic(value: str) -> None:
    assert answer_head(HTTPResponse(b"{}", 200, {"x": value}, "text/plain"), 2) is None


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_left_to_sanic(status: int) -> None:
    assert answer_head(HTTPResponse(None, status), 0) is None


def test_tallies_read_as_the_clients_own_counters() -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    seconds = (0.001, 0.0011, 0.5, 1.0, 7.0)
    count, times = (
        CountedBy("calls", "Calls.", ("to",), ours).child("a"),
        TimedBy("took", "Time.", ("to",), (0.001, 0.5, 1.0), ours).child("a"),
    )
    its_count = Counter("calls", "Calls.", ("to",), registry=theirs).labels("a")
    its_times = Histogram("took", "Time.", ("to",), buckets=(0.001, 0.5, 1.0), registry=theirs).labels("a")
    for one in seconds:
        count.value += 2
        times.observe(one)
        its_count.inc(2)
        its_times.observe(one)
    made = [line for line in generate_latest(theirs).splitlines() if b"_created" not in line]
    assert generate_latest(ours).splitlines() == made
