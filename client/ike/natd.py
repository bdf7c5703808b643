"""NAT detection, RFC 7296 section 2.23.

We may send a NAT_DETECTION_SOURCE_IP that matches no address, so that the peer encapsulates ESP in UDP although
no NAT is there (a userspace data path needs that).  Therefore a NAT in front of us is judged only from what the
peer says about the *destination* of its packets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from .events import Endpoint, Rng
from .payloads import Notify
from .registry import NotifyType

HASH_SIZE = 20


def address_hash(spi_i: bytes, spi_r: bytes, endpoint: Endpoint) -> bytes:
    """SHA-1 over the SPIs, the address and the port: 20 octets."""
    octets = spi_i + spi_r + endpoint.address.packed + endpoint.port.to_bytes(2)
    return hashlib.sha1(octets, usedforsecurity=False).digest()


def detection_notifies(
    spi_i: bytes, spi_r: bytes, local: Endpoint, remote: Endpoint, *, disguise: Rng | None = None
) -> tuple[Notify, Notify]:
    """The two notifies of a message from `local` to `remote`; with `disguise` the source matches nothing."""
    source = disguise(HASH_SIZE) if disguise else address_hash(spi_i, spi_r, local)
    return (
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, source),
        Notify(NotifyType.NAT_DETECTION_DESTINATION_IP, address_hash(spi_i, spi_r, remote)),
    )


@dataclass(frozen=True, slots=True)
class NatVerdict:
    """Where NATs stand, as far as the peer's notifies tell; `supported` is False where it sent none."""

    supported: bool = False
    local: bool = False
    remote: bool = False

    @property
    def any(self) -> bool:
        """Whether a NAT stands anywhere on the path."""
        return self.local or self.remote


def judge_nat(
    notifies: Iterable[Notify], spi_i: bytes, spi_r: bytes, local: Endpoint, remote: Endpoint
) -> NatVerdict:
    """Compare a peer's notifies with the addresses that we see."""
    sources: set[bytes] = set()
    destinations: set[bytes] = set()
    for notify in notifies:
        if notify.type == NotifyType.NAT_DETECTION_SOURCE_IP:
            sources.add(notify.data)
        elif notify.type == NotifyType.NAT_DETECTION_DESTINATION_IP:
            destinations.add(notify.data)
    if not sources or not destinations:
        return NatVerdict()
    return NatVerdict(
        supported=True,
        local=address_hash(spi_i, spi_r, local) not in destinations,
        remote=address_hash(spi_i, spi_r, remote) not in sources,
    )
