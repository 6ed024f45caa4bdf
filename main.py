"""The command line, and the one place that wires the service together."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import orjson
import structlog
import typer
from sanic import Sanic

from apps.cursors import Cursors
from apps.demo import load_demo
from apps.health import Source, add_health
from apps.jobs.records import JobRecords
from apps.jobs.runner import JobLimits, Jobs
from apps.keys.commands import commands as key_commands
from apps.keys.records import KeyRecords, first_key, has_keys
from apps.keys.watch import KeyWatch
from apps.load import add_load
from apps.mix.lookups import Lookups
from apps.mix.saved import describe
from apps.mix.saved_queries import SavedQueries
from apps.pipeline import Services
from apps.routes import add_routes
from apps.serving import listen, run
from config.instances import InstanceSettings
from config.load import load_settings
from config.logging import configure_logging, log_access, lost_lines
from config.settings import Settings, check_exposure
from libs.errors import HostMonitorError
from libs.idempotency_records import IdempotencyRecords, KeyLimits
from libs.keys import KeyRing
from libs.observe import METRICS
from libs.rest import Api, Router, build, to_bytes
from libs.rest import serve as serve_page
from libs.signing import Signer
from libs.spool import Spools
from libs.state import State
from middlewares import access, errors
from middlewares.auth import Gate
from middlewares.forwarding import forward
from middlewares.hosts import Hosts
from middlewares.idempotency import Idempotency
from middlewares.peers import Peers
from middlewares.request_id import IdentifiedRequest
from operator_.engine import Engine
from query.backend import Backend, InstanceConfig
from query.factory import QueryFactory, open_backend
from query.lookup import LookupBackend, LookupTables

VERSION = "0.1.0"
ABOUT = "One query language over plain HTTP: the same body answers the same rows from every store."
# Sanic's own wait for the first byte of an answer: the query's deadline comes first.
RESPONSE_GRACE_SECONDS = 30

cli = typer.Typer(add_completion=False, help="One query language over monitoring stores, over plain HTTP.")
_log = structlog.get_logger("main")


def create_app(settings: Settings, name: str = "hostmonitor") -> Sanic[Any, Any]:
    """The service, wired and not yet started; `name` tells apps in one process apart. The settings' Api is `ctx.api`."""
    app: Sanic[Any, Any] = Sanic(
        name,
        router=Router(),
        request_class=IdentifiedRequest,
        configure_logging=False,
        env_prefix=None,
        loads=orjson.loads,
        dumps=orjson.dumps,
    )
    configure_server(app, settings)
    app.ctx.peers = Peers(settings.server.connections_per_address)
    errors.install(app)
    access.install(app, METRICS, log_access)
    METRICS.log_lines_lost.set_function(lost_lines)
    state = State(settings.state_folder)
    lookups = LookupTables(state, settings.limits.lookups)
    services = open_services(settings, [LookupBackend(lookups)])
    jobs = open_jobs(settings, state)
    services = replace(services, jobs=jobs, address=settings.public_url or settings.base_path)
    METRICS.queries.labels("running").set_function(services.places.running)
    METRICS.queries.labels("waiting").set_function(services.places.waiting)
    METRICS.jobs.labels("running").set_function(partial(jobs.count, "running"))
    METRICS.jobs.labels("queued").set_function(partial(jobs.count, "queued"))
    METRICS.job_bytes.set_function(lambda: jobs.spools.used)
    sources: dict[str, Source] = dict(services.factory.instances)
    api = Api("HostMonitor", VERSION, ABOUT, base_path=settings.base_path, public_url=settings.public_url or "")
    keys = KeyLimits(**settings.idempotency.model_dump())
    api.around = Idempotency(IdempotencyRecords(state, keys, settings.replicas.named())).around
    saved = SavedQueries(state, settings.limits.saved_queries)
    add_routes(api, services, Lookups(lookups, settings.limits.lookup_rows), saved, settings.limits.ingest_bytes)
    add_health(api, sources, METRICS)
    forward(app, api, settings.replicas.named())
    api.mount(app)
    serve_page(app, api, partial(describe, saved))
    app.ctx.api = api
    app.ctx.services = services
    app.ctx.state = state
    ring = KeyRing(first_key(settings.first_key()))
    app.ctx.gate = Gate(ring, Hosts(settings.server.host_names(), settings.public_url))
    _watch_loop(app)
    _open_and_close(app, services, state, KeyWatch(KeyRecords(state), ring))
    return app


def open_services(settings: Settings, own: Sequence[Backend] = ()) -> Services:
    """Opens every configured instance and the local engine; `own` are further sources. Raises ConfigError."""
    backends = [
        open_backend(described.backend_name, _instance(name, described, settings))
        for name, described in settings.stores().items()
    ]
    limits = settings.limits
    engine = Engine(settings.data_dir / "spill", memory_mb=limits.memory_mb, threads=limits.threads)
    signer = Signer(settings.state_folder / "cursor.key")
    cursors = Cursors(signer, limits.cursor_seconds, replicas=settings.replicas.named())
    factory, slow = QueryFactory(backends, own), settings.slow_query_seconds
    return Services(factory, engine, limits.costs(), slow, cursors, roles=settings.role_limits())


def open_jobs(settings: Settings, state: State) -> Jobs:
    """The jobs of the data folder, with an engine of their own."""
    own, folder = settings.jobs, settings.data_dir
    limits = JobLimits(own.seconds, own.at_once, own.per_caller, own.expiry_seconds)
    spools = Spools(folder / "jobs", own.result_bytes, own.spool_bytes)
    engine = partial(Engine, folder / "spill-jobs", memory_mb=settings.limits.memory_mb, threads=own.at_once)
    signer = Signer(settings.state_folder / "cursor.key")
    return Jobs(JobRecords(state), spools, limits, engine, signer, settings.replicas.named())


def _instance(name: str, described: InstanceSettings, settings: Settings) -> InstanceConfig:
    return InstanceConfig(
        name=name,
        kind=described.kind,
        url=None if described.embedded else described.url,
        data_dir=str(settings.data_dir),
        region=described.region,
        username=described.username,
        password=described.password.get_secret_value() if described.password else None,
        token=described.token.get_secret_value() if described.token else None,
        ca_file=str(described.ca_file) if described.ca_file else None,
        connections=settings.pool.connections,
        catalog_seconds=settings.limits.catalog_seconds,
        memory_mb=settings.limits.memory_mb,
        threads=settings.limits.threads,
        options=described.options,
    )


def _open_and_close(app: Sanic[Any, Any], services: Services, state: State, keys: KeyWatch) -> None:
    """The state opens with the server; what is open closes behind the drain of running requests, which before_server_stop precedes."""

    @app.before_server_start
    async def open_state(app: Sanic[Any, Any]) -> None:
        await state.open()
        await keys.open()
        if services.jobs is not None:
            await services.jobs.open()

    @app.after_server_stop
    async def close(app: Sanic[Any, Any]) -> None:
        await keys.close()
        if services.jobs is not None:
            await services.jobs.close()
        if services.cursors is not None:
            await services.cursors.close()
        await services.factory.close()
        await state.close()
        services.engine.close()


def configure_server(app: Sanic[Any, Any], settings: Settings) -> None:
    """Sanic's own settings: sizes, times, and nothing that it would do behind our back."""
    app.config.update(
        ACCESS_LOG=False,
        AUTO_EXTEND=False,
        FALLBACK_ERROR_FORMAT="json",
        GRACEFUL_SHUTDOWN_TIMEOUT=settings.server.shutdown_seconds,
        GRACEFUL_TCP_CLOSE_TIMEOUT=1,
        INSPECTOR=False,
        KEEP_ALIVE_TIMEOUT=settings.server.keep_alive_seconds,
        MOTD=False,
        OAS=False,
        REQUEST_MAX_SIZE=settings.limits.body_bytes,
        REQUEST_TIMEOUT=settings.server.request_seconds,
        RESPONSE_TIMEOUT=settings.longest_seconds + RESPONSE_GRACE_SECONDS,
    )


def _watch_loop(app: Sanic[Any, Any]) -> None:
    """Measure the event loop's lag while the app runs; not by app.add_task, whose end Sanic reports as a failure."""

    @app.before_server_start
    async def begin(app: Sanic[Any, Any]) -> None:
        app.ctx.loop_watch = asyncio.create_task(METRICS.watch_loop())

    @app.after_server_stop
    async def end(app: Sanic[Any, Any]) -> None:
        app.ctx.loop_watch.cancel()


@cli.callback(invoke_without_command=True)
def without_a_word(context: typer.Context) -> None:
    """Without a word: serve."""
    if context.invoked_subcommand is None:
        serve()


@cli.command()
def serve() -> None:
    """Serve until SIGTERM or Ctrl-C."""
    settings = _settings()
    warning = check_exposure(settings, settings.first_key() is not None or asyncio.run(has_keys(settings.state_folder)))
    configure_logging(settings)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def make() -> Sanic[Any, Any]:
        app = create_app(settings)

        @app.after_server_start
        async def tell(app: Sanic[Any, Any]) -> None:
            if warning:
                _log.warning(warning)
            _log.info("serving", url=f"{address}{settings.base_path}/", version=VERSION, pid=os.getpid())

        return app

    run(make, listening)


@cli.command()
def demo(
    url: Annotated[str, typer.Option(help="The service's address; by default the one of the settings.")] = "",
    hours: Annotated[int, typer.Option(min=1, max=24 * 31, help="How many hours until now the data covers.")] = 24,
    seed: Annotated[int, typer.Option(help="The same seed makes the same data.")] = 1,
) -> None:
    """Load the samples of a small data centre into a running service."""
    address, key = _service()
    asyncio.run(load_demo(url.rstrip("/") or address, hours=hours, seed=seed, key=key))


@cli.command()
def openapi(
    output: Annotated[Path | None, typer.Argument(help="The file to write; standard output without it.")] = None,
) -> None:
    """Write the OpenAPI document."""
    with TemporaryDirectory() as folder:
        # Away from the data folder: a service may be running on it.
        app = create_app(_settings().model_copy(update={"data_dir": Path(folder), "state_dir": None}))
        document = to_bytes(build(app.ctx.api))
    if output is None:
        sys.stdout.buffer.write(document + b"\n")
    else:
        output.write_bytes(document + b"\n")


def _settings() -> Settings:
    return load_settings(os.environ)


def _service() -> tuple[str, str | None]:
    """The address and the key of the service that these settings tell of."""
    settings = _settings()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}{settings.base_path}", settings.first_key()


def _open_keys() -> tuple[State, Collection[str]]:
    settings = _settings()
    return State(settings.state_folder), settings.roles


cli.add_typer(key_commands(_open_keys), name="keys")
add_load(cli, _service)


def main() -> None:
    """Run the command line; what stops it is one line on standard error."""
    try:
        cli()
    except HostMonitorError as error:
        print(f"hostmonitor: {error.message}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
