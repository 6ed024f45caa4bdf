"""Logs as JSON lines: `access` to access.log, everything else to app.log, both to standard output as well.

`structlog.get_logger(<name>)` writes to the latter, log_access and a logger called "access" to the former; the standard
library's loggers (Sanic, aiohttp, warnings, uncaught exceptions) come out the same way. The lines bear
the id of the request that is being answered.
"""

import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from config.log_cleaning import render
from config.log_files import LogStream, RotatedFile
from config.settings import Settings
from libs.context import request_id_var

ACCESS = "access"
APP = "app"
# Chatty at info.
_QUIET = ("aiosqlite", "asyncio", "aiohttp", "sanic.access", "sanic.websockets")
_STREAMS: dict[str, LogStream] = {}


def configure_logging(settings: Settings, stdout: bool = True) -> None:
    """Open the files in `log_dir` (made when missing) and route every logger to them; may be called again."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    close_logging()
    for name in (ACCESS, APP):
        file = RotatedFile(settings.log_dir / f"{name}.log", settings.log.max_bytes, settings.log.files)
        _STREAMS[name] = LogStream(file, stdout)
    level = logging.getLevelNamesMapping()[settings.log.level.upper()]
    structlog.configure(
        processors=[_complete, _render],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Bridge()]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    logging.captureWarnings(True)
    sys.excepthook = _log_uncaught


def close_logging() -> None:
    """Close the files; lines that come later go nowhere."""
    for stream in _STREAMS.values():
        stream.close()
    _STREAMS.clear()


def lost_lines() -> int:
    """How many lines a file or standard output refused since the start."""
    return sum(stream.lost for stream in _STREAMS.values())


def log_access(fields: EventDict) -> None:
    """Write the line of an answered request, without structlog's way round: this is done for every request."""
    stream = _STREAMS.get(ACCESS)
    if stream is not None:
        stream.write(render(_stamped(time.time(), "info", ACCESS, fields)))


class _Lines:
    """What a structlog logger ends in: the stream of its name, looked up at each line."""

    def __init__(self, name: str = APP, *_: object) -> None:
        self.name = name

    def msg(self, line: bytes) -> None:
        stream = _STREAMS.get(self.name) or _STREAMS.get(APP)
        if stream is not None:
            stream.write(line)

    debug = info = warning = warn = error = critical = fatal = exception = log = msg


class _Bridge(logging.Handler):
    """The standard library's records as the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # The arguments do not fit the format: the line is worth having all the same.
            message = str(record.msg)
        fields: EventDict = {"event": message}
        if record.exc_info:
            fields["exception"] = _traceback(record.exc_info)
        line = render(_stamped(record.created, record.levelname.lower(), record.name, fields))
        _Lines(APP).msg(line)


def _complete(logger: WrappedLogger, method: str, fields: EventDict) -> EventDict:
    exc_info = fields.pop("exc_info", None)
    if exc_info is True or (exc_info is None and method == "exception"):
        exc_info = sys.exc_info()
    if exc_info:
        fields["exception"] = _traceback(exc_info)
    name = logger.name if isinstance(logger, _Lines) else APP
    return _stamped(time.time(), "error" if method == "exception" else method, name, fields)


def _stamped(seconds: float, level: str, logger: str, fields: EventDict) -> EventDict:
    """The fields behind when, how grave, where and in which request."""
    whole = int(seconds)
    stamp = f"{_second(whole)}.{int((seconds - whole) * 1_000_000):06d}Z"
    return {"ts": stamp, "level": level, "logger": logger, "request_id": request_id_var.get(), **fields}


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _render(logger: WrappedLogger, method: str, fields: EventDict) -> bytes:
    return render(fields)


def _traceback(exc_info: Any) -> str:
    """The traceback of an exception or of sys.exc_info()."""
    error = exc_info if isinstance(exc_info, BaseException) else exc_info[1]
    return "".join(traceback.format_exception(error)) if error is not None else ""


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    exc_info: ExcInfo = (kind, error, trace)
    logging.getLogger("main").critical("uncaught exception", exc_info=exc_info)
