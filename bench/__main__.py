"""Measures, prints the table, and with --write puts it into docs/benchmarks.md.

make bench                          everything
make bench BENCH_ARGS="pages"       some: pages planning ingest embedded streams
make bench BENCH_ARGS="streams --rows 300000"   fewer rows than the five million
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
from datetime import UTC, datetime
from pathlib import Path

from bench import embedded, ingest, pages, planning, streams
from bench.rounds import Figure

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->\n"


async def measure(chosen: list[str], stream_rows: int) -> list[Figure]:
    es_url, influx_url = os.environ["HOSTMONITOR_TEST_ES_URL"], os.environ["HOSTMONITOR_TEST_INFLUX_URL"]
    figures: list[Figure] = []
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
    return figures


def table(figures: list[Figure]) -> str:
    lines = ["| work | median | least – most | goal | met |", "| --- | --- | --- | --- | --- |"]
    for figure in figures:
        if len(figure.ratios) == 1:
            measured, spread = f"{figure.ours:,.0f} {figure.unit}", ""
        else:
            measured, spread = f"× {figure.median:.2f}", f"{min(figure.ratios):.2f} – {max(figure.ratios):.2f}"
        lines.append(f"| {figure.name} | {measured} | {spread} | {figure.goal} | {'yes' if figure.met else 'no'} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("chosen", nargs="*", default=["pages", "planning", "ingest", "embedded", "streams"])
    arguments.add_argument("--rows", type=int, default=streams.ROWS, help="rows of each stream")
    arguments.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = arguments.parse_args()
    text = table(asyncio.run(measure(options.chosen, options.rows)))
    print(text)
    if options.write:
        page = PAGE.read_text()
        head, _, rest = page.partition(BEGIN)
        told = f"Measured {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}, {os.cpu_count()} cores.\n\n"
        PAGE.write_text(head + BEGIN + told + text + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
