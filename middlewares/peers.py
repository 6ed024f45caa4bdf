"""How many connections one address may hold (T14): a slow or hostile one does not take them all."""

from __future__ import annotations

from collections import Counter
from ipaddress import IPv6Address, ip_address
from typing import Any

# One customer has a /64 of IPv6, so an attacker has as many addresses as it likes in that.
_NETWORK_BITS = 64


def peer_of(transport: Any) -> str:
    """What a connection is counted under: its address, of IPv6 the /64; empty where there is none (a Unix socket)."""
    name = transport.get_extra_info("peername")
    if not isinstance(name, tuple) or not name:
        return ""
    address = ip_address(str(name[0]).partition("%")[0])
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return f"{int(address) >> _NETWORK_BITS:x}/{_NETWORK_BITS}"


class Peers:
    """Counts of the connections that are open. `most` is an address's share; 0 is any number."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: Counter[str] = Counter()

    def enter(self, peer: str) -> bool:
        """Whether one more is taken; each that is, is to `leave`."""
        if self._most and peer and self._open[peer] >= self._most:
            return False
        self._open[peer] += 1
        return True

    def leave(self, peer: str) -> None:
        self._open[peer] -= 1
        if not self._open[peer]:
            del self._open[peer]
