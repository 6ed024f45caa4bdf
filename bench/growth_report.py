"""The growth of a join as a table, its fitted powers, and a picture."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from bench.growth import MEGABYTE, MOST_MEMORY, Grown, slope

_WIDTH, _HEIGHT, _LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 760, 330, 70, 46, 270, 220
_GAP = 380
_STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-weight:bold}.grid{stroke:#ddd}.frame{fill:none;stroke:#999}"
    ".fit{stroke:#c60;stroke-dasharray:5 4}.line{fill:none;stroke:#06c;stroke-width:2}.dot{fill:#06c}"
    "rect.paper{fill:#fff}"
)
Value = Callable[[Grown], float]


def table(grown: Sequence[Grown]) -> str:
    """Markdown."""
    lines = [
        "| rows a side | seconds | rows a second | memory at the peak | over what it was | spilled at once |",
        "| --- | --- | --- | --- | --- | --- |",
        *(
            f"| {one.rows:,} | {one.seconds:.3f} | {2 * one.rows / one.seconds:,.0f} | {_megabytes(one.peak)} | "
            f"{_megabytes(one.over)} | {_megabytes(one.spilled)} |"
            for one in grown
        ),
    ]
    last = grown[-1]
    kept = "within" if last.peak <= MOST_MEMORY else "NOT within"
    lines += [
        "",
        f"Fitted over all sizes: time grows with rows^{slope([(one.rows, one.seconds) for one in grown]):.2f}, memory over "
        f"what it was with rows^{slope([(one.rows, one.over) for one in grown]):.2f}. At {last.rows:,} rows a side the whole "
        f"service stays {kept} {_megabytes(MOST_MEMORY)}.",
    ]
    return "\n".join(lines) + "\n"


def _megabytes(size: float) -> str:
    return f"{size / MEGABYTE:,.0f} MB"


def picture(grown: Sequence[Grown]) -> str:
    """SVG: time and memory at the peak against rows a side, both axes logarithmic, the fit of time dashed."""
    panels = [
        _panel(_LEFT, "seconds", grown, lambda one: one.seconds, fitted=True),
        _panel(_LEFT + _GAP, "memory at the peak, MB", grown, lambda one: one.peak / MEGABYTE, fitted=False),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="Time and memory of a join by its rows">\n<style>{_STYLE}</style>\n'
        f'<rect class="paper" width="{_WIDTH}" height="{_HEIGHT}"/>\n' + "\n".join(panels) + "\n</svg>\n"
    )


def _panel(left: int, title: str, grown: Sequence[Grown], value: Value, *, fitted: bool) -> str:
    xs = [math.log10(one.rows) for one in grown]
    ys = [math.log10(value(one)) for one in grown]
    x_axis, y_axis = _decades(xs), _decades(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_axis[0]) / (x_axis[-1] - x_axis[0])
        up = (y - y_axis[0]) / (y_axis[-1] - y_axis[0])
        return left + across * _PLOT_WIDTH, _TOP + (1 - up) * _PLOT_HEIGHT

    parts = [f'<text class="title" x="{left}" y="{_TOP - 16}">{title}</text>']
    for x in x_axis:
        across, _ = place(x, y_axis[0])
        parts.append(_line("grid", (across, _TOP), (across, _TOP + _PLOT_HEIGHT)))
        parts.append(f'<text x="{across:.1f}" y="{_TOP + _PLOT_HEIGHT + 18}" text-anchor="middle">{_told(x)}</text>')
    for y in y_axis:
        _, height = place(x_axis[0], y)
        parts.append(_line("grid", (left, height), (left + _PLOT_WIDTH, height)))
        parts.append(f'<text x="{left - 8}" y="{height + 4:.1f}" text-anchor="end">{_told(y)}</text>')
    middle = left + _PLOT_WIDTH / 2
    parts.append(
        f'<text x="{middle:.0f}" y="{_TOP + _PLOT_HEIGHT + 40}" text-anchor="middle">rows a side</text>'
        f'<rect class="frame" x="{left}" y="{_TOP}" width="{_PLOT_WIDTH}" height="{_PLOT_HEIGHT}"/>'
    )
    places = [place(x, y) for x, y in zip(xs, ys, strict=True)]
    if fitted:
        power = slope([(one.rows, value(one)) for one in grown])
        start = sum(ys) / len(ys) - power * sum(xs) / len(xs)
        parts.append(_line("fit", *(place(x, max(start + power * x, y_axis[0])) for x in (xs[0], xs[-1]))))
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts.append(f'<polyline class="line" points="{joined}"/>')
    parts += [f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>' for x, y in places]
    return "\n".join(parts)


def _line(kind: str, begin: tuple[float, float], end: tuple[float, float]) -> str:
    return f'<line class="{kind}" x1="{begin[0]:.1f}" y1="{begin[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}"/>'


def _decades(values: Sequence[float]) -> list[int]:
    """The powers of ten around the values, two at least."""
    first = math.floor(min(values) + 1e-9)
    return list(range(first, max(math.ceil(max(values) - 1e-9), first + 1) + 1))


def _told(power: int) -> str:
    names = {4: "10 k", 5: "100 k", 6: "1 M", 7: "10 M"}
    return names.get(power, f"{10.0**power:g}")
