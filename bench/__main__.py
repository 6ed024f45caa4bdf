"""Measures, prints the table, and with --write puts it into docs/benchmarks.md.

make bench                          everything
make bench BENCH_ARGS="pages"       some: auth pages planning ingest embedded streams mix growth
make bench BENCH_ARGS="streams --rows 300000"   fewer rows than the five million
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from bench import auth, embedded, growth, growth_report, ingest, mix, pages, planning, streams
from bench.rounds import Figure

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"
GROWTH_BEGIN, GROWTH_END = "<!-- growth -->\n", "<!-- end of growth -->\n"
PICTURE = PAGE.parent / "images" / "growth.svg"
ALL = ("auth", "pages", "planning", "ingest", "embedded", "streams", "mix", "growth")


async def measure(chosen: list[str], stream_rows: int) -> list[Figure]:
    es_url, influx_url = os.environ["HOSTMONITOR_TEST_ES_URL"], os.environ["HOSTMONITOR_TEST_INFLUX_URL"]
    figures: list[Figure] = []
    if "auth" in chosen:
        figures += auth.measure()
    if "pages" in chosen:
        figures += await pages.measure(es_url)
    if "planning" in chosen:
        await pages.fill(es_url)
        figures += await planning.measure(es_url)
    if "ingest" in chosen:
        figures += await ingest.measure(es_url, influx_url)
    if "embedded" in chosen:
        figures += await embedded.measure()
    if "streams" in chosen:
        figures += await streams.measure(es_url, influx_url, stream_rows)
    if "mix" in chosen:
        figures += await mix.measure(es_url, influx_url)
    return figures


def rows_of(figures: list[Figure]) -> dict[str, str]:
    """The table's rows by what they measure."""
    rows = {}
    for figure in figures:
        if len(figure.ratios) == 1:
            measured, spread = f"{figure.ours:,.0f} {figure.unit}", ""
        else:
            measured, spread = f"× {figure.median:.2f}", f"{min(figure.ratios):.2f} – {max(figure.ratios):.2f}"
        met = {None: "", True: "yes", False: "no"}[figure.met]
        rows[figure.name] = f"| {figure.name} | {measured} | {spread} | {figure.goal} | {met} |"
    return rows


def table(rows: dict[str, str]) -> str:
    head = ["| work | median | least – most | goal | met |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows.values()]) + "\n"


def kept_rows(block: str) -> dict[str, str]:
    """The rows of a table that was written before: those that are not measured now stay."""
    lines = [line for line in block.splitlines() if line.startswith("| ")][2:]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines}


def put(begin: str, end: str, text: str) -> None:
    """The text between its marks in the page."""
    head, _, rest = PAGE.read_text().partition(begin)
    after = rest.partition(end)[2]
    told = f"Measured {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores.\n\n"
    PAGE.write_text(head + begin + told + text + end + after)


def write(figures: list[Figure], grown: list[growth.Grown], everything: bool) -> None:
    if figures:
        before = "" if everything else PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
        put(BEGIN, END, table(kept_rows(before) | rows_of(figures)))
    if grown:
        put(GROWTH_BEGIN, GROWTH_END, growth_report.table(grown))
        PICTURE.write_text(growth_report.picture(grown))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("chosen", nargs="*", default=list(ALL))
    arguments.add_argument("--rows", type=int, default=streams.ROWS, help="rows of each stream")
    arguments.add_argument("--write", action="store_true", help="put what is measured into docs/benchmarks.md")
    options = arguments.parse_args()
    figures = asyncio.run(measure(options.chosen, options.rows)) if set(options.chosen) - {"growth"} else []
    grown = asyncio.run(growth.measure()) if "growth" in options.chosen else []
    if figures:
        print(table(rows_of(figures)))
    if grown:
        print(growth_report.table(grown))
    if options.write:
        write(figures, grown, set(ALL).issubset(options.chosen))


if __name__ == "__main__":
    main()
