"""Fields set in a document's text: each stands once afterwards, and nothing else of it changes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from query.by_filter import Setting
from query.source_edit import NoPlace, edited, read_verbatim, written


def setting(path: str, value: object) -> Setting:
    return Setting(tuple(path.split(".")), written(read_verbatim(json.dumps(value))))


@pytest.mark.parametrize(
    ("source", "path", "value", "text"),
    [
        ('{"b": 1, "a": 2.50}', "b", 7, '{"b":7,"a":2.50}'),
        ('{"a.b": 1, "c": 1e2}', "a.b", 7, '{"a.b":7,"c":1e2}'),
        ('{"a": {"b": 1, "x": -0}}', "a.b", 7, '{"a":{"b":7,"x":-0}}'),
        ('{"a.b": 1, "a": {"b": 2, "c": 3}}', "a.b", 7, '{"a":{"b":7,"c":3}}'),
        ('{"a": {"b.c": 1}, "a.b": {"c": 2}}', "a.b.c", 7, '{"a":{"b.c":7},"a.b":{}}'),
        ('{"a": {"x": 12345678901234567890123}}', "a.b.c", 7, '{"a":{"x":12345678901234567890123,"b":{"c":7}}}'),
        ('{"a": null}', "a.b", 7, '{"a":{"b":7}}'),
        ('{"a": [null]}', "a.b", 7, '{"a":{"b":7}}'),
        ("{}", "a", {"x": [1, "é"]}, '{"a":{"x":[1,"é"]}}'),
        ('{"a": {"old": 1}}', "a", {"new": 2}, '{"a":{"new":2}}'),
        ('{"a": 1}', "a", None, '{"a":null}'),
        ('{"é": "\\u00e9", "a": 1}', "a", 2, '{"é":"é","a":2}'),
    ],
)
def test_a_field_is_set_where_it_stands(source: str, path: str, value: object, text: str) -> None:
    found = edited(source, [setting(path, value)])
    assert found is not None
    assert found.decode() == text


@pytest.mark.parametrize(
    ("source", "path", "value"),
    [('{"a": {"b": 7}}', "a.b", 7), ('{"a.b": "x"}', "a.b", "x"), ("{}", "a.b", None), ('{"a": [1, 2]}', "a", [1, 2])],
)
def test_a_document_that_holds_the_value_is_left_alone(source: str, path: str, value: object) -> None:
    assert edited(source, [setting(path, value)]) is None


@pytest.mark.parametrize(
    "source", ['{"a": [{"b": 1}]}', '{"a": 5}', '{"a": "x"}', '{"a": [[]]}', "[1]", '{"x": "\\ud800", "a": {}}', "{"]
)
def test_a_document_without_a_place_for_it_is_refused(source: str) -> None:
    with pytest.raises(NoPlace):
        edited(source, [setting("a.b", 1)])


def test_what_is_nested_as_deep_as_no_document_is_refused() -> None:
    for depth in (300, 100_000):
        with pytest.raises(NoPlace):
            edited('{"x":' + "[" * depth + "]" * depth + "}", [setting("a", 1)])


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(alphabet='xyz."\\é', max_size=4), _values, max_size=5), _values)
def test_all_else_is_as_it_was(document: dict[str, object], value: object) -> None:
    found = edited(json.dumps(document), [setting("a", value)])
    if found is None:
        assert value is None
        return
    assert json.loads(found) == {**document, "a": value}
    assert edited(found, [setting("a", value)]) is None
