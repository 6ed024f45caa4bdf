"""Keys of one side of a join as conditions on the fields of the other: their values, and the times around them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from itertools import pairwise
from math import inf, prod

from libs.buckets import bucket_start, bucket_starts
from libs.result import NS_PER, Cell, Type, TypeName
from query.catalog import Field
from query.exact_operands import float_leaf, floor_of, integer_leaf
from query.expr import FALSE, Compare, Op, Or, Predicate, Scalar
from query.plan import BucketKey
from query.plan_joins import KeyLink, Normalization

MOST_PARTS = 16
_MOST_PATTERNS = 50  # a pattern costs a store far more than a value
_LONGEST_BUCKET = 400 * 86_400 * 10**9


@dataclass(frozen=True, slots=True)
class Span:
    """Instants in nanoseconds since 1970, both included."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Values:
    """Of the type that the given side holds them in."""

    items: tuple[Cell, ...]
    type: Type
    normalize: tuple[Normalization, ...] = ()


# For each link what it asks for.
Part = tuple[Span | Values, ...]
Rows = Sequence[tuple[Cell, ...]]


def whole_part(links: tuple[KeyLink, ...], types: Sequence[Type], rows: Rows) -> Part:
    """All keys as one condition; `rows` are not empty."""
    found: list[Span | Values] = []
    for at, (link, kind) in enumerate(zip(links, types, strict=True)):
        if timed(link):
            times = [row[at] for row in rows]  # the later a time, the later its span
            ends = (_span(link, kind, min(times)), _span(link, kind, max(times)))  # type: ignore[type-var]
            found.append(Span(ends[0].first, ends[1].last))
        else:
            items = tuple(sorted({row[at] for row in rows}))  # type: ignore[type-var]
            found.append(Values(items, kind, link.normalize))
    return tuple(found)


def parts_of(links: tuple[KeyLink, ...], types: Sequence[Type], rows: Rows) -> tuple[Part, ...]:
    """The keys in runs of the first link that is a time, MOST_PARTS of them at the most, each with the other links' own values;
    one part where the runs leave little out."""
    at = next((at for at, link in enumerate(links) if timed(link)), None)
    if at is None:
        return (whole_part(links, types, rows),)
    known = {time: _span(links[at], types[at], time) for time in {row[at] for row in rows}}
    spans = sorted(((known[row[at]], row) for row in rows), key=lambda one: one[0].first)
    runs: list[list[tuple[Span, tuple[Cell, ...]]]] = []
    last = 0
    for span, row in spans:
        if runs and span.first <= last + 1:
            runs[-1].append((span, row))
            last = max(last, span.last)
        else:
            runs.append([(span, row)])
            last = span.last
    ends = [Span(run[0][0].first, max(span.last for span, _ in run)) for run in runs]
    covered = sum(one.last - one.first + 1 for one in ends)
    if covered * 2 > ends[-1].last - ends[0].first + 1:
        return (whole_part(links, types, rows),)
    gaps = sorted(range(1, len(ends)), key=lambda nth: ends[nth].first - ends[nth - 1].last, reverse=True)
    cuts = [0, *sorted(gaps[: MOST_PARTS - 1]), len(runs)]
    return tuple(
        whole_part(links, types, [row for run in runs[start:end] for _, row in run]) for start, end in pairwise(cuts)
    )


def buckets_spared(links: tuple[KeyLink, ...], parts: tuple[Part, ...], whole: Part) -> float:
    """Of each of the values, the groups between the parts' times; without end where no bucket tells how many there can be."""
    at = next(at for at, link in enumerate(links) if timed(link))
    bucket = links[at].bucket
    if bucket is None or not isinstance(bucket.width, int):
        return inf
    between = _length(whole[at]) - sum(_length(part[at]) for part in parts)
    values = prod(len(one.items) for one in whole if isinstance(one, Values))
    return between // bucket.width * values


def _length(span: Span | Values) -> int:
    assert isinstance(span, Span)
    return span.last - span.first + 1


def timed(link: KeyLink) -> bool:
    return link.around is not None or link.bucket is not None


def _span(link: KeyLink, kind: Type, value: Cell) -> Span:
    """The times that a given one is met by: whole buckets where the asked column is one."""
    assert isinstance(value, int)
    instant = value * NS_PER[kind.unit]
    before, after = link.around or (0, 0)
    first, last = instant - before, instant + after
    if link.bucket is not None:
        first, last = _start(first, link.bucket), _end(last, link.bucket) - 1
    return Span(first, last)


def _start(instant: int, bucket: BucketKey) -> int:
    return bucket_start(instant, bucket.width, bucket.tz)


def _end(instant: int, bucket: BucketKey) -> int:
    start = _start(instant, bucket)
    if isinstance(bucket.width, int):
        return start + bucket.width
    return bucket_starts(start, start + _LONGEST_BUCKET, bucket.width, bucket.tz)[1]


def conditions(asked: Span | Values, field: Field) -> tuple[Predicate, ...]:
    """What a row's field must fulfil, the closest first: a store may take a wider one alone. None where nothing can be said."""
    if isinstance(asked, Span):
        return (_between(field, [asked.first, asked.last], TypeName.TIMESTAMP),) if _is_time(field) else ()
    if field.type.name is TypeName.STRING:
        return _texts(asked, field)
    if field.type.name is TypeName.BOOLEAN:
        return (Compare(field.name, "in", asked.items, field.type),)  # type: ignore[arg-type]
    numbers = [one * NS_PER[asked.type.unit] if _is_time(field) else one for one in asked.items]  # type: ignore[operator]
    among = _numeric(field, "in", numbers)  # type: ignore[arg-type]
    return (among, _numeric(field, "between", [min(numbers), max(numbers)]))  # type: ignore[list-item, type-var]


def _is_time(field: Field) -> bool:
    return field.type.name is TypeName.TIMESTAMP


def _between(field: Field, ends: list[int], wanted: TypeName) -> Predicate:
    return _numeric(field, "between", list(ends))


def _numeric(field: Field, op: Op, numbers: list[int | float]) -> Predicate:
    """The leaf in the field's own type, exact; times are nanoseconds."""
    leaf = Compare(field.name, op, tuple(numbers))
    if field.type.name is TypeName.FLOAT64:
        return float_leaf(leaf, field.type, numbers)
    floors = [floor_of(number) for number in numbers]
    if _is_time(field):
        per = NS_PER[field.type.unit]
        floors = [(whole // per, not whole % per) for whole, _ in floors]
    return integer_leaf(leaf, field.type, floors)


def _texts(asked: Values, field: Field) -> tuple[Predicate, ...]:
    texts: list[Scalar] = [one for one in asked.items if isinstance(one, str)]
    if asked.normalize:
        return _patterns(texts, asked.normalize, field)
    if field.address:
        texts = [text for text in texts if _canonical(str(text))]
    return (Compare(field.name, "in", tuple(texts), field.type) if texts else FALSE,)


def _canonical(text: str) -> bool:
    """Whether it is an address as such fields spell them."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    return str(address) == text and not (isinstance(address, IPv6Address) and address.ipv4_mapped)


def _patterns(texts: list[Scalar], steps: tuple[Normalization, ...], field: Field) -> tuple[Predicate, ...]:
    """What may become one of the normalized texts: itself in any case, with any domain behind it."""
    if len(texts) > _MOST_PATTERNS or field.address or field.ops is not None:
        return ()
    lower, strip = "lower" in steps, "strip_domain" in steps
    found: list[Predicate] = []
    for text in map(str, texts):
        if lower:
            found.append(Compare(field.name, "ilike", _literal(text), field.type))
            if strip:
                found.append(Compare(field.name, "ilike", _literal(text) + ".%", field.type))
        else:
            found.append(Compare(field.name, "eq", text, field.type))
            found.append(Compare(field.name, "starts_with", text + ".", field.type))
    return (found[0] if len(found) == 1 else Or(tuple(found)),)


def _literal(text: str) -> str:
    return "".join("\\" + char if char in "\\%_" else char for char in text)
