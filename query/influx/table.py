"""What this backend knows about a measurement beyond its fields' types."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.result import BOOLEAN, FLOAT64, INT64, STRING, TIMESTAMP, Type
from query.catalog import Field, SourceRef, Table
from query.influx.quote import identifier, quotable

TIME = "time"
MIN_TIME = -(2**63) + 2
MAX_TIME = 2**63 - 2

_TYPES: Mapping[str, Type] = {
    "boolean": BOOLEAN,
    "float": FLOAT64,
    "integer": INT64,
    "string": STRING,
    "unsigned": INT64,
}
_NUMBERS = frozenset({"integer", "float", "unsigned"})


@dataclass(frozen=True, slots=True)
class Measurement:
    """`presence` selects every field under each of its types: with all of it in a SELECT no point is lost.
    `uniform` names the fields of one type everywhere: those that conditions and aggregates may use. `written` has the type
    that a field's numbers are written as, also of a field that a tag hides."""

    db: str
    name: str
    presence: tuple[str, ...]
    uniform: frozenset[str]
    written: Mapping[str, str]


def typed(name: str, native: str) -> str:
    """A field, named with its type: a shard that lacks it would take the bare name for a tag."""
    return f"{identifier(name)}::{native}"


def tag(name: str) -> str:
    return f"{identifier(name)}::tag"


def table_of(source: SourceRef, tags: Iterable[str], fields: Iterable[tuple[str, str]]) -> Table:
    """The table of a measurement: time, its tags and fields by name. `fields` are (name, InfluxDB's type), a field
    several times when shards type it differently: integer and float widen, other pairs conflict.

    What no statement can name (NUL or a carriage return in a name, never written by this service) is left out.
    """
    types: dict[str, set[str]] = defaultdict(set)
    for name, native in fields:
        types[name].add(native)
    tag_names = sorted(name for name in set(tags) if quotable(name))
    members = {TIME: Field(TIME, TIMESTAMP, "time")}
    members.update((name, Field(name, STRING, "tag")) for name in tag_names)
    conflicts: dict[str, tuple[str, ...]] = {}
    presence: list[str] = []
    written: dict[str, str] = {}
    for name in sorted(name for name in types if quotable(name)):
        kind, natives = _common(types[name])
        presence += (typed(name, native) for native in natives)
        if kind is None:
            conflicts[name] = tuple(sorted({_TYPES[native].name.value for native in natives}))
        else:
            native = written[name] = natives[0]
            members.setdefault(name, Field(name, kind, "field", native=native))
    db, measurement = source.target
    uniform = frozenset(name for name, found in types.items() if len(found) == 1)
    return Table(
        source,
        "series",
        members,
        time_field=TIME,
        conflicts=conflicts,
        ambiguous=frozenset(tag_names) & frozenset(types),
        native=Measurement(db, measurement, tuple(presence), uniform, written),
    )


def _common(natives: set[str]) -> tuple[Type | None, tuple[str, ...]]:
    """The type that a field's types have in common, and the types to read it under. A float is read from every number."""
    reads = tuple(sorted(natives - _NUMBERS))
    numbers = natives & _NUMBERS
    if numbers:
        reads = (next(iter(numbers)) if len(numbers) == 1 else "float", *reads)
    return (_TYPES[reads[0]] if len(reads) == 1 else None), reads
