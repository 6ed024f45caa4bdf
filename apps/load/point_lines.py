"""Lines of line protocol, looked at only as far as a load needs: of which measurement they are, and whether they have a time."""

from __future__ import annotations

import re

from apps.load.refused import NotTaken

# The measurement with its tags, the fields, the time: a blank parts them, but not behind a backslash or within a string.
_LINE = re.compile(
    rb"(?P<series>(?:\\.|[^\\ ])++) ++(?P<fields>(?:\"(?:\\.|[^\"\\])*+\"|\\.|[^\" \\])++)(?: ++(?P<time>-?[0-9]++))?+ *+",
    re.DOTALL,
)
_NAME = re.compile(rb"(?:\\.|[^\\,])++", re.DOTALL)
_ESCAPE = re.compile(rb"\\([, ])")


def timed(line: bytes, measurement: str, now: int) -> bytes:
    """The line, with the time `now` where it has none: sent again, it is the same point. Raises NotTaken."""
    match = _LINE.fullmatch(line)
    if match is None:
        raise NotTaken("this is no line protocol")
    name = _NAME.match(match["series"])
    if name is None or _ESCAPE.sub(rb"\1", name[0]) != measurement.encode():
        raise NotTaken(f"this is not of the measurement {measurement!r}")
    return line if match["time"] is not None else line.rstrip(b" ") + b" %d" % now
