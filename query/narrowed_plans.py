"""The plans that ask a side of a join for what the other side's keys can match. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from libs.result import NS_PER, Cell, Type, TypeName
from query.backend import Capabilities
from query.catalog import Field
from query.expr import FALSE, And, Or, Predicate
from query.key_parts import MOST_PARTS, Part, Rows, Values, buckets_spared, conditions, parts_of, whole_part
from query.narrowing import AtScan, Narrower, Target, Targets, takes
from query.plan import Plan, Scan
from query.plan_joins import KeyLink, Narrowed

_BATCHES = (1000, 100)  # values that one request of several lists
_WORTH_A_REQUEST = 100  # groups that take as long as one more request


def narrowed_plans(
    node: Narrowed, types: Sequence[Type], rows: Rows, capabilities: Mapping[str, Capabilities]
) -> tuple[Plan, ...] | None:
    """One plan, or several whose rows are to be put together; None where no store takes these keys. `rows` are the links'
    values, each combination once, of the given side's `types`."""
    targets = tuple([Target(link.asked) for link in node.links])
    if not rows:
        nothing = Narrower(_nothing, capabilities, strict=False).narrowed(node.input, targets)
        return None if nothing is None else (nothing,)
    for way in _ways(node.links, types, rows):
        plans = _plans(node.input, targets, way, capabilities)
        if plans is not None:
            return plans
    return None


def can_narrow(plan: Plan, link: KeyLink, kind: Type, capabilities: Mapping[str, Capabilities]) -> Target | None:
    """Where the link leads to, when stores take keys of that type there: tried with one that stands for any."""
    found: list[Target] = []

    def note(scan: Scan, fields: tuple[Field, ...], targets: Targets) -> Predicate | None:
        found.extend(targets)
        sample = replace(link, bucket=targets[0].bucket)
        part = whole_part((sample,), (kind,), [(_sample(kind),)])
        return _all_of(part, fields, scan, capabilities, ranges=True)

    narrowed = Narrower(note, capabilities, strict=False).narrowed(plan, (Target(link.asked),))
    return found[0] if narrowed is not None else None


def _sample(kind: Type) -> Cell:
    match kind.name:
        case TypeName.BOOLEAN:
            return True
        case TypeName.STRING:
            return "a"
        case TypeName.TIMESTAMP:
            return 10**18 // NS_PER[kind.unit]
        case _:
            return 1


def _nothing(scan: Scan, fields: tuple[Field, ...], targets: Targets) -> Predicate:
    return FALSE


@dataclass(frozen=True, slots=True)
class _Way:
    """What to ask for: any of the parts at once, or each of them `alone`; a range in the place of values only if `ranges`."""

    parts: tuple[Part, ...]
    alone: bool = False
    ranges: bool = False


def _ways(links: tuple[KeyLink, ...], types: Sequence[Type], rows: Rows) -> Iterator[_Way]:
    """The closest first."""
    parts, whole = parts_of(links, types, rows), whole_part(links, types, rows)
    if len(parts) > 1:
        yield _Way(parts)
        if buckets_spared(links, parts, whole) >= _WORTH_A_REQUEST * len(parts):
            yield _Way(parts, alone=True)
    yield _Way((whole,))
    for size in _BATCHES:
        batches = _batches(whole, size)
        if 1 < len(batches) <= MOST_PARTS:
            yield _Way(batches, alone=True)
    yield _Way((whole,), ranges=True)


def _batches(whole: Part, size: int) -> tuple[Part, ...]:
    """The longest list of values in pieces."""
    lengths = [len(one.items) if isinstance(one, Values) else 0 for one in whole]
    at = lengths.index(max(lengths))
    longest = whole[at]
    if not isinstance(longest, Values):
        return (whole,)
    pieces = [longest.items[start : start + size] for start in range(0, len(longest.items), size)]
    return tuple((*whole[:at], replace(longest, items=piece), *whole[at + 1 :]) for piece in pieces)


def _plans(
    plan: Plan, targets: Targets, way: _Way, capabilities: Mapping[str, Capabilities]
) -> tuple[Plan, ...] | None:
    found: list[Plan] = []
    for parts in [(part,) for part in way.parts] if way.alone else [way.parts]:
        narrower = Narrower(_asking(replace(way, parts=parts), capabilities), capabilities, strict=way.alone)
        narrowed = narrower.narrowed(plan, targets)
        if narrowed is None:
            return None
        found.append(narrowed)
    return tuple(found)


def _asking(way: _Way, capabilities: Mapping[str, Capabilities]) -> AtScan:
    """Any of the parts. A request beside others asks for no field of several values: a row that two of them answered would
    count twice."""

    def asked(scan: Scan, fields: tuple[Field, ...], targets: Targets) -> Predicate | None:
        if way.alone and any(field.type.multi for field in fields):
            return None
        found = [_all_of(part, fields, scan, capabilities, way.ranges) for part in way.parts]
        kept = tuple([one for one in found if one is not None])
        if len(kept) < len(found):
            return None
        return kept[0] if len(kept) == 1 else Or(kept)

    return asked


def _all_of(
    part: Part, fields: tuple[Field, ...], scan: Scan, capabilities: Mapping[str, Capabilities], ranges: bool
) -> Predicate | None:
    able = capabilities[scan.source.instance]
    found: list[Predicate] = []
    for asked, field in zip(part, fields, strict=True):
        # Whether the store takes the closest is looked at with the whole, by Narrower.
        possible = conditions(asked, field)
        if ranges:
            possible = tuple(one for one in possible if takes(one, scan, able))
        taken = possible[0] if possible else None
        if taken is None:
            return None
        found.append(taken)
    if FALSE in found:
        return FALSE
    return found[0] if len(found) == 1 else And(tuple(found))
