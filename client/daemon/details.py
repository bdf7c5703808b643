"""The details of one tunnel: facts of its session and of its moves in, one message out.  Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from ..control.details import CertificateDetails, ChildDetails, TunnelDetails
from ..control.messages import TunnelStatus
from ..ike.events import ChildSa, Selector
from ..ike.observation import certificate
from .leg import Leg
from .passages import Passage
from .status import handover

_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}
_ANY_PORT, _OPAQUE = (0, 65535), (65535, 0)


def details(
    status: TunnelStatus, leg: Leg | None, passages: Iterable[Passage], epoch: float
) -> TunnelDetails:
    """Everything that is known of a tunnel apart from its status."""
    moves = tuple(handover(passage, epoch) for passage in passages)
    if leg is None:
        return TunnelDetails(status.name, handovers=moves)
    session = leg.session
    return TunnelDetails(
        status.name,
        ike_spis=tuple(spi.hex() for spi in session.spis or ()),
        ike_suite=status.ike_suite,
        esp_suite=status.esp_suite,
        children=tuple(map(_child, session.children)),
        certificates=tuple(_certificates(session.peer_chain)),
        handovers=moves,
    )


def _child(child: ChildSa) -> ChildDetails:
    return ChildDetails(
        f"{child.spi_in:08x}",
        f"{child.spi_out:08x}",
        tuple(map(shown, child.local_selectors)),
        tuple(map(shown, child.remote_selectors)),
        child.encapsulate,
    )


def shown(selector: Selector) -> str:
    """A traffic selector in words."""
    is_host = selector.first == selector.last
    words = [str(selector.first) if is_host else f"{selector.first}-{selector.last}"]
    if selector.protocol:
        words.append(_PROTOCOLS.get(selector.protocol, f"protocol {selector.protocol}"))
    ports = selector.first_port, selector.last_port
    if ports == _OPAQUE:
        words.append("opaque")
    elif ports != _ANY_PORT:
        words.append(str(ports[0]) if ports[0] == ports[1] else f"{ports[0]}-{ports[1]}")
    return " ".join(words)


def _certificates(chain: Iterable[bytes]) -> Iterator[CertificateDetails]:
    for data in chain:
        if (known := certificate(data)) is not None:
            yield CertificateDetails(
                known.subject,
                known.issuer,
                known.names,
                known.not_before,
                known.not_after,
                known.key,
                hashlib.sha256(data).hexdigest(),
            )
