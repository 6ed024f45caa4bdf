"""Where points of line protocol and documents of NDJSON end, so that a long body can be read in pieces.

A line feed ends a point, but not within a field's string, and not behind a backslash. Before the first space a quote is a
character like any other.
"""

from __future__ import annotations

import re

# InfluxDB takes no longer string; what is open for longer is no string.
LONGEST_STRING = 1 << 20
_HEAD = rb"(?:[^\\ \n]++|\\.)*+"
_STRING = rb'(?<==)"(?:[^"\\]++|\\.)*+"'
_POINT = rb'%b(?: (?:[^"\\\n]++|\\.|%b|")*+)?+\n' % (_HEAD, _STRING)
_SOME = re.compile(rb"(?:%b){1,100}+" % _POINT, re.DOTALL)
_ONE = re.compile(_POINT, re.DOTALL)


def whole_lines(lines: bytes, last: bool) -> int:
    """How many bytes, from the start, are whole points; all of them where they are the `last`. 0: more are needed."""
    if last:
        return len(lines)
    if b'"' not in lines and b"\\\n" not in lines:
        return lines.rfind(b"\n") + 1
    # A string may go on behind these bytes: what begins close to their end is left for the next piece.
    sure = len(lines) - LONGEST_STRING
    end = 0
    for pattern in (_SOME, _ONE):
        while end < sure:
            found = pattern.match(lines, end)
            if found is None or found.end() > sure:
                break
            end = found.end()
    return end


def whole_documents(lines: bytes, last: bool) -> int:
    """As `whole_lines`, of NDJSON: a line feed in valid JSON is between its tokens, never within a line."""
    return len(lines) if last else lines.rfind(b"\n") + 1
