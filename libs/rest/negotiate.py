"""Content negotiation: which of the offered media types an Accept header prefers, and what a Content-Type says."""

from __future__ import annotations

from functools import lru_cache

JSON = "application/json"


@lru_cache(maxsize=1024)
def preferred(accept: str | None, offered: tuple[str, ...]) -> str | None:
    """The offered media type that an Accept header likes best, the earlier one of equals; None when it takes none.

    No header takes the first. A range that cannot be read counts as absent (RFC 9110, 12.5.1).
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [parsed for part in accept.split(",") if (parsed := _range(part)) is not None]
    best, best_quality = None, 0.0
    for media_type in offered:
        quality = _quality(media_type, ranges)
        if quality > best_quality:
            best, best_quality = media_type, quality
    return best


def _range(part: str) -> tuple[str, float] | None:
    name, *options = (piece.strip().lower() for piece in part.split(";"))
    if "/" not in name:
        return None
    quality = 1.0
    for option in options:
        key, _, value = option.partition("=")
        if key.strip() == "q":
            try:
                quality = float(value)
            except ValueError:
                return None
    return (name, quality) if 0.0 <= quality <= 1.0 else None


def _quality(media_type: str, ranges: list[tuple[str, float]]) -> float:
    """The quality of the most specific range that holds the media type; 0 when none does."""
    for wanted in (media_type, media_type.split("/")[0] + "/*", "*/*"):
        matching = [quality for name, quality in ranges if name == wanted]
        if matching:
            return max(matching)
    return 0.0


@lru_cache(maxsize=1024)
def content_type(header: str) -> tuple[str, str]:
    """A Content-Type header's media type and charset, both in lower case; the charset is `utf-8` unless told."""
    media_type, *options = (piece.strip() for piece in header.split(";"))
    charset = "utf-8"
    for option in options:
        key, _, value = option.partition("=")
        if key.strip().lower() == "charset":
            charset = value.strip().strip('"').lower()
    return media_type.lower(), charset
