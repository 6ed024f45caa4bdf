"""A saved query: a body of the language with `{"param": name}` in the place of values, and what is declared of each name.

{"parameters": {"host": {"type": "string", "default": "web-1"}}, "max_age": "30s",
 "from": {…}, "where": {"field": "host", "op": "eq", "value": {"param": "host"}}}
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from libs.errors import Issue, RequestError
from libs.issues import Issues, escape
from libs.times import NS_PER_SECOND, TIME_HINT, parse_duration, parse_time
from parser.decode import check_depth, decode, decode_exact, find_duplicates
from parser.json_body import parse_body
from parser.reading import Reading
from parser.words import MOST_CHARACTERS, MOST_VALUES
from query.question import Question

ParameterType = Literal["string", "int64", "float64", "boolean", "timestamp"]
TYPES: tuple[ParameterType, ...] = get_args(ParameterType)
# Parameters of every run: none of a query's own is called so.
RESERVED = ("shape", "csv_guard", "cursor", "format", "version")
MOST_PARAMETERS = 32
MOST_AGE_SECONDS = 86_400
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_NAME_FORM = "a to z, 0 to 9 and '_', the first a letter, 64 at the most; not " + ", ".join(RESERVED)
# The members whose values may be parameters: names and structure never are.
_PLACES = frozenset({"value", "from", "to", "limit", "timeout", "p", "n"})
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,399})(?:\.[0-9]{1,400})?(?:[eE][+-]?[0-9]{1,4})?")
_SAMPLES: dict[ParameterType, Any] = {
    "string": "x", "int64": 1, "float64": 1.0, "boolean": True, "timestamp": "1970-01-01T00:00:00Z"
}  # fmt: skip
_DECLARED = frozenset({"type", "many", "default", "description"})
_OWN = ("parameters", "max_age")


@dataclass(frozen=True, slots=True)
class SavedParameter:
    """`many`: one or more values, a list in the body. `default` None means that it must be given."""

    name: str
    type: ParameterType
    many: bool = False
    default: Any = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class SavedBody:
    """`body` is the query as it was sent, without what declares; `max_age` is in seconds, 0 for always asking again."""

    body: Mapping[str, Any]
    parameters: tuple[SavedParameter, ...]
    max_age: int = 0


def parse_saved(body: bytes) -> SavedBody:
    """The saved query, its shape and words checked with each parameter's default, or a sample. Names of fields are not:
    a source may not be there yet. Raises RequestError with JSON pointers."""
    value = decode(body)
    reading = Reading()
    if type(value) is not dict:
        reading.wrong(value, "a query, an object", "")
        reading.issues.raise_any()
    value = decode_exact(body)
    check_depth(value)
    find_duplicates(body, reading.issues)
    parameters = _parameters(reading, value.get("parameters", {}), "/parameters")
    max_age = _max_age(reading, value["max_age"]) if "max_age" in value else 0
    reading.issues.raise_any()
    query = {name: member for name, member in value.items() if name not in _OWN}
    saved = SavedBody(query, parameters, max_age)
    _check_places(saved)
    samples = {one.name: _sample(one) for one in parameters}
    parse_body(_filled(saved, samples))
    return saved


def fill(saved: SavedBody, given: Mapping[str, list[str]]) -> Question:
    """The question with the values of a URL put in. Raises RequestError, at `query/<name>` for what a parameter brought."""
    issues = Issues()
    known = {one.name for one in saved.parameters}
    for name in given:
        if name not in known:
            hint = issues.nearest(name, sorted(known)) or "it takes no parameters"
            issues.add("REQUEST_INVALID", "This query parameter is not known here.", _pointer(name), hint)
    values = {one.name: _given(one, given.get(one.name), issues) for one in saved.parameters}
    issues.raise_any()
    try:
        return parse_body(_filled(saved, values))
    except RequestError as error:
        raise at_parameters(error, saved) from None


def at_parameters(error: RequestError, saved: SavedBody) -> RequestError:
    """The error with the pointers into a parameter's place at the parameter."""
    places = dict(_places(saved.body, ""))
    issues: list[Issue] = []
    for issue in error.issues:
        names = [name for at, name in places.items() if issue.pointer == at or issue.pointer.startswith(at + "/")]
        issues.append(replace(issue, pointer=_pointer(names[0])) if names else issue)
    error.issues = tuple(issues)
    return error


def _pointer(name: str) -> str:
    return "query/" + escape(name)


def _parameters(reading: Reading, value: Any, at: str) -> tuple[SavedParameter, ...]:
    if type(value) is not dict:
        reading.wrong(value, "an object", at)
        return ()
    if len(value) > MOST_PARAMETERS:
        why = f"This declares {len(value)} parameters; at most {MOST_PARAMETERS} are taken."
        reading.issues.add("TOO_MANY_VALUES", why, at, "declare less")
        return ()
    found = (_parameter(reading, name, declared, f"{at}/{escape(name)}") for name, declared in value.items())
    return tuple(one for one in found if one is not None)


def _parameter(reading: Reading, name: str, value: Any, at: str) -> SavedParameter | None:
    if not _NAME.fullmatch(name) or name in RESERVED:
        reading.issues.add("BODY_INVALID", f"{name[:60]!r} cannot be a parameter's name.", at, _NAME_FORM)
    item = reading.object(value, at, _DECLARED, ("type",))
    if item is None or "type" not in item:
        return None
    kind = reading.word(item["type"], TYPES, at + "/type", "a parameter's type")
    if kind is None:
        return None
    description = item.get("description", "")
    if type(description) is not str or len(description) > MOST_CHARACTERS:
        reading.wrong(description, f"a string of {MOST_CHARACTERS} characters at the most", at + "/description")
        description = ""
    many = "many" in item and reading.flag(item["many"], at + "/many")
    found = SavedParameter(name, cast(ParameterType, kind), many, item.get("default"), description)
    if "default" in item and not _is_of(found, item["default"]):
        what = f"a list of {kind} values, one at least" if many else f"of the type {kind}"
        reading.issues.add("TYPE_MISMATCH", f"The default is not {what}.", at + "/default", f"give one {what}")
    return found


def _is_of(parameter: SavedParameter, value: Any) -> bool:
    if parameter.many:
        if type(value) is not list or not 0 < len(value) <= MOST_VALUES:
            return False
        return all(_is_one(parameter.type, item) for item in value)
    return _is_one(parameter.type, value)


def _is_one(kind: ParameterType, value: Any) -> bool:
    match kind:
        case "boolean":
            return type(value) is bool
        case "int64":
            return type(value) is int and -(2**63) <= value < 2**63
        case "float64":
            return type(value) in (int, float)
        case _:
            return type(value) is str and _read(kind, value) is not None


def _read(kind: ParameterType, text: str) -> Any:
    """A URL's text as a value of the type; None where it is none."""
    match kind:
        case "string":
            return text if len(text) <= MOST_CHARACTERS else None
        case "int64":
            return int(text) if _INTEGER.fullmatch(text) and -(2**63) <= int(text) < 2**63 else None
        case "float64":
            number = float(text) if _NUMBER.fullmatch(text) else float("inf")
            return number if abs(number) != float("inf") else None
        case "boolean":
            return {"true": True, "false": False}.get(text)
        case _:
            try:
                parse_time(text, 0)
            except ValueError:
                return None
            return text


def _given(parameter: SavedParameter, texts: list[str] | None, issues: Issues) -> Any:
    at = _pointer(parameter.name)
    if texts is None:
        if parameter.default is None:
            issues.add("REQUEST_INVALID", "This query parameter is required.", at, f"give one of type {parameter.type}")
        return parameter.default
    if len(texts) > (MOST_VALUES if parameter.many else 1):
        issues.add("REQUEST_INVALID", "This query parameter is given too often.", at, "give it once")
    values = [_read(parameter.type, text) for text in texts]
    for text, value in zip(texts, values, strict=True):
        if value is None:
            shown = text if len(text) <= 60 else text[:59] + "…"
            hint = TIME_HINT if parameter.type == "timestamp" else f"use {parameter.type}"
            issues.add("TYPE_MISMATCH", f"{shown!r} is not of the type {parameter.type}.", at, hint)
    return values if parameter.many else values[0]


def _max_age(reading: Reading, value: Any) -> int:
    hint = "use a duration such as 30s, 1d at the most"
    if type(value) is not str:
        reading.wrong(value, "a duration, a string", "/max_age", hint)
        return 0
    try:
        seconds = parse_duration(value) // NS_PER_SECOND
    except ValueError as error:
        reading.issues.add("TIME_INVALID", f"{error}.", "/max_age", hint)
        return 0
    if seconds > MOST_AGE_SECONDS:
        reading.issues.add("RANGE_INVALID", "An answer may be kept for a day at the most.", "/max_age", hint)
    return seconds


def _sample(parameter: SavedParameter) -> Any:
    if parameter.default is not None:
        return parameter.default
    sample = _SAMPLES[parameter.type]
    return [sample] if parameter.many else sample


def _places(value: Any, at: str) -> Iterator[tuple[str, str]]:
    """The pointer of each `{"param": name}`, and the name."""
    waiting = [(value, at)]
    while waiting:
        here, pointer = waiting.pop()
        if type(here) is dict:
            if here.keys() == {"param"} and type(here["param"]) is str:
                yield pointer, here["param"]
            else:
                waiting += [(member, f"{pointer}/{escape(name)}") for name, member in here.items()]
        elif type(here) is list:
            waiting += [(item, f"{pointer}/{index}") for index, item in enumerate(here)]


def _check_places(saved: SavedBody) -> None:
    issues = Issues()
    declared = {one.name for one in saved.parameters}
    used: set[str] = set()
    for at, name in _places(saved.body, ""):
        steps = [step for step in at.split("/") if step and not step.isdigit()]
        if not steps or steps[-1] not in _PLACES or at == "/from":
            places = ", ".join(sorted(_PLACES))
            issues.add("BODY_INVALID", "A parameter cannot stand here.", at, f"it stands for a value: {places}")
        if name not in declared:
            hint = issues.nearest(name, sorted(declared)) or "declare it in `parameters`"
            issues.add("BODY_INVALID", f"The parameter {name[:60]!r} is not declared.", at + "/param", hint)
        used.add(name)
    for name in sorted(declared - used):
        issues.add("BODY_INVALID", "This parameter is used nowhere.", f"/parameters/{name}", "use it, or leave it away")
    issues.raise_any()


def _filled(saved: SavedBody, values: Mapping[str, Any]) -> bytes:
    def put(value: Any) -> Any:
        if type(value) is dict:
            if value.keys() == {"param"} and type(value["param"]) is str:
                return values[value["param"]]
            return {name: put(member) for name, member in value.items()}
        return [put(item) for item in value] if type(value) is list else value

    return json.dumps(put(saved.body), ensure_ascii=False).encode()
