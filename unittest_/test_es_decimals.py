"""The script that finds a 32-bit float's decimal in Elasticsearch: its text is run here as Java, whose arithmetic it has.

The node that the tests start has no scripts, so that there the conformance suite sees them refused.
"""

from __future__ import annotations

import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from query.backend import NotProven
from query.es import single
from query.es.decimals import GREATEST, LEAST, SOURCE, check

_JAVA = """
import java.util.Scanner;
public class Decimals {
    static class Params { double least = %r, greatest = %r; double[] tens = {%s}; }
    static Params params = new Params();
    static double of(double _value) { %s }
    public static void main(String[] arguments) {
        Scanner lines = new Scanner(System.in);
        StringBuilder found = new StringBuilder();
        while (lines.hasNextLong()) found.append(Double.doubleToLongBits(of(Double.longBitsToDouble(lines.nextLong())))).append('\\n');
        System.out.print(found);
    }
}
"""


def _floats() -> Iterator[float]:
    rng = random.Random(11)
    for _ in range(6000):
        yield rng.uniform(-100, 100)
        yield round(rng.uniform(0, 1000), 2)
        yield rng.choice((1, 1.5, 9.999999, -3)) * 10.0 ** rng.randrange(-12, 26)
        yield 2.0 ** rng.randrange(-43, 89)
        yield float.fromhex(f"0x1.{rng.getrandbits(24):06x}p{rng.randrange(-43, 89)}")
    yield from (0.0, 0.1, 16777216.0, 33554432.0, 1 / 3, 9.5367431640625e-07)


def test_the_script_finds_the_shortest_decimal(tmp_path: Path) -> None:
    values = [single.nearest(value) for value in _floats()]
    tens = ", ".join(repr(10.0**power) for power in range(23))
    source = tmp_path / "Decimals.java"
    source.write_text(_JAVA % (LEAST, GREATEST, tens, SOURCE))
    asked = "\n".join(str(_bits(value)) for value in values)
    ran = subprocess.run(["java", str(source)], input=asked, capture_output=True, text=True, check=True)
    found = [int(line) for line in ran.stdout.split()]
    assert len(found) == len(values)
    wrong = [value for value, bits in zip(values, found, strict=True) if bits != _bits(_expected(value))]
    assert not wrong[:5]


def _expected(value: float) -> float:
    return single.shortest(value) if LEAST <= abs(value) < GREATEST else value


def _bits(value: float) -> int:
    found: int = struct.unpack(">q", struct.pack(">d", value))[0]
    return found


@pytest.mark.parametrize(
    ("least", "greatest", "count", "proven"),
    [
        (0.0, 0.0, 5, True),
        (-1.5, 2.0, 1000, True),
        (0.0, 1e-20, 3, False),
        (1e-14, 1e-5, 1000, True),
        (1.0, 3e27, 1, False),
        (single.nearest(0.1), 2.0, 5, False),
        (0.1, -single.nearest(0.3), 5, False),
    ],
)
def test_sums_that_rest_on_what_the_script_leaves_alone_are_not_proven(
    least: float, greatest: float, count: int, proven: bool
) -> None:
    found = {"count": count, "min": least, "max": greatest}
    if proven:
        check(found)
    else:
        with pytest.raises(NotProven):
            check(found)
