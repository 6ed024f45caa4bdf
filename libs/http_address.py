"""Where a store is: its configured url and CA file, checked and taken apart."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

from libs.errors import ConfigError


def parse_address(name: str, url: str) -> tuple[bool, str, int, str, str]:
    """(TLS?, host, port, path before every request's own, the Host header). Raises ConfigError."""
    try:
        parts = urlsplit(url)
        secure, host, port = parts.scheme == "https", parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"Instance {name!r}: the url cannot be read: {error}.") from error
    path = parts.path.rstrip("/")
    odd = parts.query or parts.fragment or parts.username is not None or not url.isascii() or not url.isprintable()
    if parts.scheme not in ("http", "https") or not host or odd or " " in url:
        raise ConfigError(
            f"Instance {name!r}: url must be http(s)://host[:port][/path]; user and password stand apart."
        )
    return secure, host, port or (443 if secure else 80), path, parts.netloc


def tls_context(name: str, ca_file: str | None) -> ssl.SSLContext:
    """What a store's certificate is checked against: the CA file, or the system's. Raises ConfigError."""
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:
        raise ConfigError(f"Instance {name!r}: the CA file {ca_file!r} cannot be used: {error}.") from error
