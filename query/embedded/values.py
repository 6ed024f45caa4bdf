"""A JSON value to what an index holds of it, by mapped type, as Elasticsearch coerces and refuses."""

from __future__ import annotations

import ipaddress
import math
import re
import struct
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from query.embedded.dates import DEFAULT_FORMAT, DEFAULT_NANOS, date_format

Stored = bool | int | float | str


class Malformed(Exception):
    """The value does not fit its field's type; the text says why."""


class NumberText(float):
    """A JSON number with a fraction or an exponent that remembers how it was written."""

    text: str

    def __new__(cls, text: str) -> NumberText:
        number = super().__new__(cls, text)
        number.text = text
        return number


class NeedsText(Exception):
    """A number's own spelling is asked for: parse the document again, with NumberText."""


class Ignored(Exception):
    """The value is left out of the index (ignore_above), without an error."""


INT_RANGES = {
    "long": (-(2**63), 2**63 - 1),
    "integer": (-(2**31), 2**31 - 1),
    "short": (-(2**15), 2**15 - 1),
    "byte": (-128, 127),
}
_LONG_TEXT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?", re.ASCII)
_DOUBLE_TEXT = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?|NaN|Infinity)", re.ASCII)
_BLANKS = "".join(map(chr, range(33)))
MAX_TERM_BYTES = 32_766
MAX_NANOS = 2**63 - 1
EXACT = 2.0**53
MAX_SINGLE = 3.4028234663852886e38
_SINGLE = struct.Struct("f")

Converter = Callable[[Any], "Stored | None"]


def java_double(text: str) -> float | None:
    """What Java's Double.parseDouble reads; None where it reads nothing."""
    trimmed = text.strip(_BLANKS)
    if not _DOUBLE_TEXT.fullmatch(trimmed):
        return None
    return float(trimmed if trimmed[-1:] in "Ny" else trimmed.rstrip("fFdD"))


def _double_text(text: str) -> float:
    number = java_double(text)
    if number is None:
        raise Malformed(f'For input string: "{text}"')
    return number


def _long_text(text: str) -> Decimal:
    """A number in a text, exactly; blanks around it are not taken."""
    if not _LONG_TEXT.fullmatch(text):
        raise Malformed(f'For input string: "{text}"')
    return Decimal(text)


def _whole(kind: str, coerce: bool) -> Converter:
    low, high = INT_RANGES[kind]

    def convert(value: Any) -> int | None:
        if type(value) is int:
            if low <= value <= high:
                return value
            raise Malformed(f"Value [{value}] is out of range for a {kind}")
        if isinstance(value, str):
            if not coerce:
                raise Malformed(f"{kind.capitalize()} value passed as String")
            if not value:
                return None
            value = _long_text(value) if kind == "long" else _double_text(value)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise Malformed("Cannot parse object as number" if isinstance(value, dict) else f"[{value}] is not numeric")
        elif abs(value) >= EXACT and not isinstance(value, int | NumberText):
            raise NeedsText  # perhaps an integer that no float64 is
        if not math.isfinite(value):
            raise Malformed(f"Value [{value}] is out of range for a {kind}")
        whole = int(value)
        if whole != value and not coerce:
            raise Malformed(f"{value} cannot be converted to {kind.capitalize()} without data loss")
        if not low <= whole <= high:
            raise Malformed(f"Value [{value}] is out of range for a {kind}")
        return whole

    return convert


@lru_cache(maxsize=65_536)
def shortest(value: float) -> float:
    """The shortest decimal of the 32-bit float nearest to a value. Raises OverflowError."""
    held = float(_SINGLE.unpack(_SINGLE.pack(value))[0])
    for digits in (6, 7, 8):
        short = float(f"{held:.{digits}g}")
        if abs(short) <= MAX_SINGLE and _SINGLE.unpack(_SINGLE.pack(short))[0] == held:
            return short
    return float(f"{held:.9g}")


def _half(value: float) -> float:
    """What Elasticsearch shows of a 16-bit float: it as a 32-bit one. Raises OverflowError."""
    return shortest(struct.unpack("e", struct.pack("e", value))[0])


_NARROW: dict[str, Callable[[float], float]] = {"float": shortest, "half_float": _half, "double": float}


def _fraction(kind: str, coerce: bool) -> Converter:
    narrow = _NARROW[kind]

    def convert(value: Any) -> float | None:
        if isinstance(value, str):
            if not coerce:
                raise Malformed(f"{kind.capitalize()} value passed as String")
            if not value:
                return None
            value = _double_text(value)
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise Malformed("Cannot parse object as number" if isinstance(value, dict) else f"[{value}] is not numeric")
        try:
            number = narrow(float(value))
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise Malformed(f"[{kind}] supports only finite values, but got [Infinity]")
        return number + 0.0  # minus zero is written 0

    return convert


def _boolean(value: Any) -> bool:
    if value is True or value == "true":
        return True
    if value is False or value in ("false", ""):
        return False
    raise Malformed(f"Failed to parse value [{value}] as only [true] or [false] are allowed.")


def text_of(value: Any) -> str:
    """A scalar as the text that a keyword holds of it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, NumberText):
        return value.text
    if isinstance(value, float):
        raise NeedsText
    raise Malformed("Can't get text on a START_OBJECT")


def _keyword(ignore_above: int | None, lowercase: bool) -> Converter:
    def convert(value: Any) -> str:
        text = text_of(value)
        if ignore_above is not None and len(text) * 2 > ignore_above and utf16_length(text) > ignore_above:
            raise Ignored
        if lowercase:
            text = lowered(text)
        if len(text) * 4 > MAX_TERM_BYTES and len(text.encode()) > MAX_TERM_BYTES:
            raise Malformed(f"Document contains at least one immense term (longer than {MAX_TERM_BYTES} bytes)")
        return text

    return convert


def lowered(text: str) -> str:
    """What the normalizer `lowercase` makes of a text: each character by itself."""
    return "".join(map(_lower, text))


def _lower(character: str) -> str:
    lowered = character.lower()
    return lowered if len(lowered) == 1 else lowered[0]


def utf16_length(text: str) -> int:
    return len(text) + sum(1 for character in text if character > "\uffff")


def _date(form: str, nanos: bool) -> Converter:
    read = date_format(form).read

    def convert(value: Any) -> int:
        if isinstance(value, dict):
            raise Malformed("Expected text but found START_OBJECT")
        text = value if isinstance(value, str) else _plain(value)
        if not text:
            raise Malformed("cannot parse empty datetime")
        moment = read(text)
        if moment is None:
            raise Malformed(f"failed to parse date field [{text}] with format [{form}]")
        if not nanos:
            millis = moment // 1_000_000
            if not -(2**63) <= millis < 2**63:
                raise Malformed(f"failed to parse date field [{text}] with format [{form}]")
            return millis
        if moment < 0:
            raise Malformed(f"date[{text}] is before the epoch in 1970 and cannot be stored in nanosecond resolution")
        if moment > MAX_NANOS:
            raise Malformed(
                f"date[{text}] is after 2262-04-11T23:47:16.854775807 and cannot be stored in nanosecond resolution"
            )
        return moment

    return convert


def _plain(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float) else text_of(value)


def canonical_address(text: str) -> str:
    """An address as Elasticsearch shows it: IPv6 compressed in lower case, mapped IPv4 as IPv4. Raises ValueError."""
    address = ipaddress.ip_address(text.split("%")[0] if ":" in text else text)
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped is not None else address.compressed
    return str(address)


def _address(value: Any) -> str:
    if isinstance(value, dict):
        raise Malformed("Can't get text on a START_OBJECT")
    text = value if isinstance(value, str) else _plain(value)
    try:
        return canonical_address(text)
    except ValueError:
        raise Malformed(f"'{text}' is not an IP string literal.") from None


def converter(kind: str, params: Mapping[str, Any]) -> Converter:
    """The conversion for a mapped leaf type. Raises dates.UnknownFormat."""
    coerce = params.get("coerce", True)
    match kind:
        case "long" | "integer" | "short" | "byte":
            return _whole(kind, coerce)
        case "double" | "float" | "half_float":
            return _fraction(kind, coerce)
        case "boolean":
            return _boolean
        case "text":
            return text_of
        case "keyword":
            return _keyword(params.get("ignore_above"), params.get("normalizer") is not None)
        case "date" | "date_nanos":
            default = DEFAULT_NANOS if kind == "date_nanos" else DEFAULT_FORMAT
            return _date(params.get("format") or default, kind == "date_nanos")
        case "ip":
            return _address
        case _:
            raise AssertionError(kind)
