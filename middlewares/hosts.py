"""Whom a service without keys answers: callers on its own machine, and no page of another site in a browser there.

A page anywhere can send requests to the loopback (CSRF), and can read the answers once its own host name leads there
(DNS rebinding). The browser tells of both: `Host` is the name that the page's address has, `Origin` and `Sec-Fetch-Site`
(https://www.w3.org/TR/fetch-metadata/) say whose page it is.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from urllib.parse import urlsplit

from libs.errors import RequestError

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?", re.ASCII)
_OWN_SITES = frozenset({"same-origin", "none"})


class Hosts:
    """The names that requests may be sent to: the loopback's, `allowed`, and that of the public address."""

    def __init__(self, allowed: Iterable[str] = (), public_url: str | None = None) -> None:
        public = urlsplit(public_url or "")
        self._public = f"{public.scheme}://{public.netloc}".lower() if public.netloc else None
        self._allowed = {name.lower() for name in allowed} | ({public.hostname} if public.hostname else set())
        # Clients send the same few again and again.
        self._knows = lru_cache(maxsize=256)(self._is_known)

    def check(self, headers: Mapping[str, str], navigable: bool = False) -> None:
        """Raises RequestError (PERMISSION_DENIED) for another Host, or a page of another site.

        `navigable`: a link on another site may lead there.
        """
        host = headers.get("host")
        # Without one (HTTP/1.0) it comes from no browser.
        if host is not None and not self._knows(host):
            raise _refused("host", "its Host is no name of this machine", "call it as 127.0.0.1 or localhost, or add")
        self.check_site(headers, navigable)

    def check_site(self, headers: Mapping[str, str], navigable: bool = False) -> None:
        """Raises RequestError (PERMISSION_DENIED) for a request that a page of another site has sent."""
        origin = headers.get("origin")
        if origin is not None and not self._is_own(origin.lower(), headers.get("host", "").lower()):
            raise _refused("origin", "it comes from a page of another site", "for pages of a gateway's host, add")
        site = headers.get("sec-fetch-site")
        is_own = site is None or site in _OWN_SITES or (navigable and headers.get("sec-fetch-mode") == "navigate")
        if not is_own:
            raise _refused("sec-fetch-site", "it comes from a page of another site", "open the page itself; add")

    def _is_own(self, origin: str, host: str) -> bool:
        scheme, _, rest = origin.partition("://")
        if scheme not in ("http", "https"):
            return False
        name = _name(rest)
        return origin == self._public or rest == host or (name is not None and name in self._allowed)

    def _is_known(self, host: str) -> bool:
        name = _name(host)
        return name is not None and (name in self._allowed or _is_loopback(name))


def _name(host: str) -> str | None:
    """The name in a Host header or an address, in lower case and without brackets; None for what is no such thing."""
    match = _HOST.fullmatch(host)
    return match["name"].strip("[]").lower() if match else None


def _is_loopback(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _refused(header: str, why: str, remedy: str) -> RequestError:
    return RequestError(
        f"Without keys the service answers its own machine alone, and of this request {why}.",
        code="PERMISSION_DENIED",
        pointer=f"header/{header}",
        hint=f"{remedy} the name to HOSTMONITOR_SERVER__ALLOWED_HOSTS; or add a key, and send it",
    )
