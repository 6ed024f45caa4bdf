"""The key that a service may be given with its settings: it can do everything, so that a weak one stops the start."""

import re
from pathlib import Path

from pydantic import SecretStr

from libs.errors import ConfigError

LEAST_LENGTH = 32
LEAST_DIFFERENT = 12
_KEY = re.compile(r"[A-Za-z0-9._~+/=-]+", re.ASCII)


def strong(key: SecretStr | None) -> SecretStr | None:
    """The key. Raises ValueError for one that could be guessed, or that no header holds; the message does not show it."""
    if key is not None:
        _check(key.get_secret_value())
    return key


def key_in_file(path: Path) -> str:
    """The key that a file holds, without the white space around it. Raises ConfigError."""
    try:
        key = path.read_text(encoding="ascii").strip()
        _check(key)
    except (OSError, ValueError) as error:
        # A UnicodeDecodeError would show what the file holds.
        why = "it is no ASCII text" if isinstance(error, UnicodeDecodeError) else str(error)
        raise ConfigError(f"HOSTMONITOR_API_KEY_FILE={path} holds no key: {why}") from None
    return key


def _check(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise ValueError("a key is letters, digits and . _ ~ + / = -")
    if len(key) < LEAST_LENGTH or len(set(key)) < LEAST_DIFFERENT:
        raise ValueError(
            f"a key has {LEAST_LENGTH} characters or more, {LEAST_DIFFERENT} different ones at least: `openssl rand -hex 32`"
        )
