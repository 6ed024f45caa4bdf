"""API keys: their form, and who shows one.

A key is `hm_<id>_<secret>`. The id finds it, its SHA-256 is all that is kept of it: with 256 random bits in the secret
there is nothing that a slow hash would make slower to guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import string
import time
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from libs.context import Principal

PREFIX = "hm"
# Letters and digits alone, so that a double click takes a key as a whole; 43 of them hold 256 bits.
_LETTERS = string.ascii_letters + string.digits
_ID_LETTERS = string.ascii_lowercase + string.digits
_ID_LENGTH = 10
_SECRET_LENGTH = 43


@dataclass(frozen=True, slots=True)
class Key:
    """A key as the service knows it: `digest` is its SHA-256, `expires` in seconds since 1970."""

    id: str
    digest: bytes
    principal: Principal
    expires: float = inf


# In the place of a key whose id is not known, so that finding none takes the same steps; nothing has its digest.
_NO_KEY = Key("", os.urandom(32), Principal(), -inf)


def new_key() -> tuple[str, str]:
    """A new key's id, and the whole of it."""
    key_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(_ID_LENGTH))
    return key_id, f"{PREFIX}_{key_id}_" + "".join(secrets.choice(_LETTERS) for _ in range(_SECRET_LENGTH))


def digest_of(presented: str) -> bytes:
    """The SHA-256 of a whole key."""
    return hashlib.sha256(presented.encode("utf-8", "surrogateescape")).digest()


def id_of(presented: str) -> str:
    """The id that a key names; "" where it is of another form."""
    parts = presented.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == PREFIX else ""


class KeyRing:
    """The keys that are taken now: `first` of the settings, which stays, and those that are stored.

    It never opens again: a service that has had a key answers nobody without one until it is started anew.
    """

    def __init__(self, first: Key | None = None) -> None:
        self._first = (first,) if first is not None else ()
        self._keys: dict[str, Key] = {}
        self.closed = False
        self.replace(())

    def replace(self, stored: Iterable[Key]) -> None:
        """Takes these in the place of all that were stored before, expired ones too."""
        self._keys = {key.id: key for key in (*stored, *self._first)}
        self.closed = self.closed or bool(self._keys)

    def find(self, presented: str) -> Principal | None:
        """Whose key it is, in a time that does not depend on how much of it is right; None for no key that is valid now."""
        key = self._keys.get(id_of(presented), _NO_KEY)
        same = hmac.compare_digest(digest_of(presented), key.digest)
        return key.principal if same and time.time() < key.expires else None
