"""Who calls, and whether they may: decided when a request's route is known, before anything of its body is read.

A key stands in `X-API-Key` or `Authorization: Bearer`; on the routes of InfluxDB's own protocol also in `Basic`, as the
password, and behind `Token`. It never stands in an address: those are written down on the way.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl

from sanic.compat import Header

from libs.context import ANYBODY, Principal, require
from libs.errors import RequestError
from libs.keys import KeyRing
from libs.rest.policy import Policy
from middlewares.hosts import Hosts

# Whom a route is told of that nobody had to show a key for, and who is behind a request that was refused.
NOBODY = Principal("-")
BEARER = 'Bearer realm="HostMonitor"'
BASIC = 'Basic realm="HostMonitor", charset="UTF-8"'
WINDOW_SECONDS = 10
MOST_FAILURES = 100
_MOST_ADDRESSES = 10_000
_IN_ADDRESS = frozenset({"u", "p"})


class Gate:
    """Lets requests in: all from this machine while the ring has no keys, else those whose key allows what the route asks."""

    def __init__(self, ring: KeyRing, hosts: Hosts) -> None:
        self._ring = ring
        self._hosts = hosts
        self._failures = Failures()

    def admit(self, request: Any, policy: Policy | None) -> Principal:
        """The caller; a route without a policy admits nobody.

        Raises RequestError (AUTHENTICATION_REQUIRED, PERMISSION_DENIED, RATE_LIMITED, REQUEST_INVALID).
        """
        if policy is None:
            raise RequestError("Nobody may call this route: it has no policy.", code="PERMISSION_DENIED")
        if policy.basic and request.query_string:
            _check_address(request.query_string)
        headers = request.headers
        if not self._ring.closed:
            self._hosts.check(headers, policy.public and request.method in ("GET", "HEAD"))
            return ANYBODY
        shown = _shown(headers, policy.basic)
        if policy.public:
            return (self._ring.find(*shown) if len(shown) == 1 else None) or NOBODY
        if len(shown) != 1:
            raise _not_one(shown, policy)
        principal = self._ring.find(*shown)
        if principal is None:
            raise self._failed(request, policy)
        if policy.basic:
            # A browser sends a password of `Basic` along wherever a page asks it to.
            self._hosts.check_site(headers)
        if not policy.actions <= principal.actions:
            require(principal, *policy.actions)
        return principal

    def _failed(self, request: Any, policy: Policy) -> RequestError:
        if self._failures.past(request.ip):
            return RequestError(
                "Too many wrong keys came from this address.",
                code="RATE_LIMITED",
                hint="see which client sends a key that was revoked; a key that is valid is answered at once",
                retry_after=WINDOW_SECONDS,
            )
        return _required("The key is not known, was revoked, or its time is over.", policy)


class Failures:
    """How many wrong keys came from an address in the present window. A valid key is never held up: behind a gateway, all
    callers have one address."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._until = 0.0

    def past(self, address: str) -> bool:
        """Counts one more; whether they are too many."""
        now = time.monotonic()
        if now >= self._until or len(self._counts) >= _MOST_ADDRESSES:
            self._counts.clear()
            self._until = now + WINDOW_SECONDS
        count = self._counts[address] = self._counts.get(address, 0) + 1
        return count > MOST_FAILURES


def challenge(policy: Policy | None) -> str:
    """WWW-Authenticate of a 401 (RFC 9110, 11.6.1)."""
    return f"{BEARER}, {BASIC}" if policy is not None and policy.basic else BEARER


def _shown(headers: Header, basic: bool) -> Collection[str]:
    """The different credentials of a request."""
    shown = [key for key in headers.getall("x-api-key", ()) if key]
    shown += [_key_in(value, basic) for value in headers.getall("authorization", ())]
    return shown if len(shown) < 2 else set(shown)


def _key_in(authorization: str, basic: bool) -> str:
    """The key of an Authorization header; of one that holds none, what is no key either."""
    scheme, _, credentials = authorization.partition(" ")
    scheme, credentials = scheme.lower(), credentials.strip()
    if scheme == "bearer" and credentials:
        return credentials
    if basic and scheme == "token":
        # InfluxDB 1.8 takes a user's name and password there, its later clients a token.
        return credentials.rpartition(":")[2]
    if basic and scheme == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            pass
    # No key has a space in it.
    return f"{scheme} {credentials}"


def _check_address(query_string: str) -> None:
    """Refuses a user and password in the address, as InfluxDB's clients may send them."""
    if "u=" in query_string or "p=" in query_string or "%" in query_string:
        for name, _ in parse_qsl(query_string):
            if name in _IN_ADDRESS:
                raise RequestError(
                    "Credentials do not belong in an address, which every log on the way writes down.",
                    pointer=f"query/{name}",
                    hint="send the key as the password of Basic, or in Authorization: Token",
                )


def _not_one(shown: Collection[str], policy: Policy) -> RequestError:
    if not shown:
        return _required("No key was sent.", policy)
    return RequestError(
        "The request shows several different credentials.",
        pointer="header/authorization",
        hint="send one key; a gateway in front has to drop the credentials that are its own",
    )


def _required(message: str, policy: Policy) -> RequestError:
    places = "X-API-Key or Authorization: Bearer"
    if policy.basic:
        places += ", or as the password of Basic, or in Authorization: Token"
    return RequestError(
        message, code="AUTHENTICATION_REQUIRED", pointer="header/authorization", hint=f"send a key in {places}"
    )
