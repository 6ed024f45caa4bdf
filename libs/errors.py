"""The one tree of errors; middlewares/errors turns any of them into the answer's shape (RFC 9457).

HostMonitorError
├── ConfigError             the settings are wrong: the service does not start
├── RequestError            the caller can mend it (4xx); holds every issue of the request at once
│   ├── NotFoundError       the thing named is not there (404)
│   ├── ConflictError       it is there already, or changed meanwhile (409)
│   └── CostError           a limit of cost was, or would be, exceeded (422)
├── NotSupportedError       the request is valid, but this store or route cannot do it (501)
├── StoreError              a store failed (502, 503, 504, 507); names the source
│   └── DeadlineError       no answer within the deadline (504)
└── UnavailableError        the service itself cannot take the request now (503)

Each error carries a code of libs/error_codes.py. "This store cannot" (4xx, 501) is never "this store failed" (502-504).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.error_codes import CODES, Code


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing wrong with a request: `pointer` is a JSON pointer into the body (RFC 6901, "" for the whole),
    or `path/<name>`, `query/<name>`, `header/<name>` for the other parts of a request."""

    code: str
    message: str
    pointer: str = ""
    hint: str | None = None


class HostMonitorError(Exception):
    """Base of all errors that the service answers with or stops on."""

    default_code = "INTERNAL"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        pointer: str | None = None,
        source: str | None = None,
        issues: Sequence[Issue] = (),
        retry_after: int | None = None,
        allow: Sequence[str] = (),
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code: Code = CODES[code or self.default_code]
        self.hint = hint
        self.source = source
        self.retry_after = retry_after
        self.allow = tuple(allow)
        self.issues: tuple[Issue, ...] = tuple(issues)
        if not self.issues and (pointer is not None or hint is not None):
            self.issues = (Issue(self.code.name, message, pointer or "", hint),)

    @property
    def status(self) -> int:
        return self.code.status


class ConfigError(HostMonitorError):
    """The settings are wrong; the message names the setting and the remedy."""


class RequestError(HostMonitorError):
    """The caller can mend it."""

    default_code = "REQUEST_INVALID"

    @classmethod
    def of(cls, issues: Sequence[Issue]) -> RequestError:
        """One error out of all issues of a request; it takes the code and the message of the first."""
        first = issues[0]
        more = f" (and {len(issues) - 1} more)" if len(issues) > 1 else ""
        return cls(first.message + more, code=first.code, hint=first.hint, issues=issues)


class NotFoundError(RequestError):
    default_code = "ROUTE_UNKNOWN"


class ConflictError(RequestError):
    default_code = "ALREADY_EXISTS"


class CostError(RequestError):
    """A limit of cost: the message tells the figure and the limit, the hint what to change."""

    default_code = "COST_EXCEEDED"


class NotSupportedError(HostMonitorError):
    default_code = "NOT_SUPPORTED"


class StoreError(HostMonitorError):
    """A store failed; `source` is the instance's name."""

    default_code = "STORE_FAILED"


class DeadlineError(StoreError):
    default_code = "DEADLINE_EXCEEDED"


class UnavailableError(HostMonitorError):
    default_code = "OVERLOADED"
