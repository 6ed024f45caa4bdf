"""`main.py load`: a file into a running service."""

from __future__ import annotations

import asyncio
import io
import secrets
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, cast

import aiohttp
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from apps.load import combined
from apps.load.csv_rows import TYPES
from apps.load.formats import Format, Options, format_of
from apps.load.loading import Load
from apps.load.place import Place
from apps.load.reading import opened
from apps.load.refused import Rejects
from apps.load.sending import Documents, Points, Service
from libs.errors import ConfigError, HostMonitorError

# The service's address and the key to show it.
Where = Callable[[], tuple[str, str | None]]
_FORMATS = ("ndjson", "csv", "combined", "lines")
_PRECISIONS = ("ns", "u", "ms", "s", "m", "h")


def add_load(cli: typer.Typer, where: Where) -> None:
    """Puts the command on a command line; `where` tells the default address and key."""

    @cli.command()
    def load(
        file: Annotated[Path, typer.Argument(help="The file, gzip too; - is standard input.")],
        to: Annotated[str, typer.Option(help="Like es/web (documents) or influx/db/cpu (points).")],
        format: Annotated[
            str, typer.Option(help="ndjson, csv, combined or lines; by the file's name without it.")
        ] = "",
        url: Annotated[str, typer.Option(help="The service's address; by default the one of the settings.")] = "",
        key_file: Annotated[Path | None, typer.Option(help="A file with the API key.")] = None,
        create: Annotated[bool, typer.Option(help="Make the index or database where it is missing.")] = False,
        replace: Annotated[bool, typer.Option(help="Replace documents whose _id is there already.")] = False,
        host: Annotated[str, typer.Option(help="Put into each document of a log or of CSV, as `host`.")] = "",
        time: Annotated[str, typer.Option(help="The column of CSV that holds the time.")] = "",
        tags: Annotated[str, typer.Option(help="The columns of CSV that are tags: a,b.")] = "",
        types: Annotated[str, typer.Option(help="Types of CSV's columns: zip=string,load=float.")] = "",
        precision: Annotated[str, typer.Option(help="What whole numbers of time count: ns, u, ms, s, m, h.")] = "ns",
        batch: Annotated[int, typer.Option(min=1, max=50_000, help="Records sent at a time.")] = 5_000,
        state: Annotated[Path | None, typer.Option(help="Where to keep how far it has come.")] = None,
        rejects: Annotated[Path | None, typer.Option(help="Where to write what is refused.")] = None,
        restart: Annotated[bool, typer.Option(help="From the start, whatever was loaded before.")] = False,
    ) -> None:
        """Load a file of documents or points; interrupted, the same command goes on where it stopped."""
        address, key = where()
        if key_file is not None:
            key = _read_key(key_file)
        options = Options(
            format=_format(format, file, to),
            host=host,
            time=time,
            tags=_words(tags),
            types=_types(types),
            precision=_one_of("--precision", precision, _PRECISIONS),
        )
        wanted = Wanted(file, to, options, create, replace, batch, state, rejects, restart)
        refused = asyncio.run(wanted.load(url.rstrip("/") or address, key))
        raise typer.Exit(1 if refused else 0)


class Wanted:
    """What the command line asks for."""

    def __init__(
        self,
        file: Path,
        to: str,
        options: Options,
        create: bool,
        replace: bool,
        batch: int,
        state: Path | None,
        rejects: Path | None,
        restart: bool,
    ) -> None:
        self._to, self._options, self._create, self._replace, self._batch = to, options, create, replace, batch
        self._file = None if str(file) == "-" else file
        self._names = _target(to, options)
        beside = file.with_name(f"{file.name}.{'-'.join(self._names)}")
        self._state = state or beside.with_name(beside.name + ".load")
        self._rejects = rejects or (beside.with_name(beside.name + ".rejects") if self._file else None)
        self._restart = restart

    async def load(self, url: str, key: str | None) -> int:
        """How many records were refused. Raises HostMonitorError."""
        console = Console(stderr=True)
        place = self._place()
        headers = {"x-api-key": key} if key else {}
        timeout = aiohttp.ClientTimeout(total=120)
        with opened(self._file, cast(io.BufferedReader, sys.stdin.buffer)) as source:
            async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
                target = self._target(Service(session, url))
                if self._create:
                    await target.create(combined.PROPERTIES if self._options.format == "combined" else {})
                rejects = Rejects(self._rejects, console, place.rejects_bytes)
                measurement = self._names[2] if len(self._names) == 3 else ""
                work = Load(source, place, self._options, measurement, target, rejects, self._batch)
                with Progress(*_columns(), console=console) as progress:
                    task = progress.add_task(self._to, total=source.size, stored=place.stored)
                    await work.run(progress, task)
                rejects.close()
        _tell(console, self._to, place, rejects)
        return place.refused

    def _place(self) -> Place:
        task: dict[str, Any] = {"to": self._to, "batch": self._batch, "replace": self._replace}
        task |= asdict(self._options) | {"tags": list(self._options.tags)}
        if self._file is None:
            return Place(None, secrets.token_hex(16), task)
        try:
            return Place.of(self._file, self._state, task, self._restart)
        except OSError as error:
            raise HostMonitorError(f"{self._file} cannot be read: {error.strerror}") from None

    def _target(self, service: Service) -> Documents | Points:
        instance, name, *measurement = self._names
        if not measurement:
            return Documents(service, instance, name, self._replace)
        return Points(service, instance, name, measurement[0], self._options.format == "lines", self._options.precision)


def _columns() -> tuple[Any, ...]:
    told = TextColumn("{task.fields[stored]} stored")
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        DownloadColumn(),
        told,
        TimeElapsedColumn(),
    )


def _tell(console: Console, to: str, place: Place, rejects: Rejects) -> None:
    known = f", {place.known} were there already" if place.known else ""
    where = f" (in {rejects.path})" if place.refused and rejects.path else ""
    lines = f"{place.line - 1} lines"
    console.print(
        f"{to}: {place.stored} stored{known}, {place.refused} refused{where}, of {lines}", markup=False, soft_wrap=True
    )


def _target(to: str, options: Options) -> tuple[str, ...]:
    names = tuple(to.split("/"))
    if len(names) not in (2, 3) or not all(names):
        raise ConfigError(f"--to {to}: like es/web for documents, influx/db/cpu for points")
    wanted = ("ndjson", "csv", "combined") if len(names) == 2 else ("csv", "lines")
    if options.format not in wanted:
        kind = "documents" if len(names) == 2 else "points"
        raise ConfigError(f"--to {to}: {kind} are loaded from {', '.join(wanted)}, not from {options.format}")
    return names


def _format(given: str, file: Path, to: str) -> Format:
    if given:
        return _one_of("--format", given, _FORMATS)  # type: ignore[return-value]
    if str(file) == "-":
        raise ConfigError("standard input needs --format")
    return format_of(file.name)


def _one_of(option: str, given: str, words: tuple[str, ...]) -> str:
    if given not in words:
        raise ConfigError(f"{option} {given}: one of {', '.join(words)}")
    return given


def _words(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (word.strip() for word in text.split(","))))


def _types(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in _words(text):
        name, _, kind = word.rpartition("=")
        found[name] = _one_of(f"--types {name}:", kind, TYPES)
    return found


def _read_key(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"--key-file {path} cannot be read: {error.strerror}") from None
