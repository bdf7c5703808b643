"""MOBIKE, RFC 4555: telling the gateway our new addresses, and hearing of its own.

A move changes the session's path at once (`Session.move`); the exchange here only informs the gateway and learns
from its answer where NATs stand now.  An answer that speaks of an earlier path is ignored: a newer update follows.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import ClassVar

from ..core import Core
from ..errors import InvalidSyntax
from ..events import Address, Channel, MoveRefused, Path, PathMoved, PeerAddresses
from ..message import Message
from ..natd import detection_notifies, judge_nat
from ..payloads import Notify, Payload
from ..registry import ExchangeType, NotifyType
from ..sa import IkeSa

COOKIE2_SIZE = 16
MAX_PEER_ADDRESSES = 16
REFUSALS = (NotifyType.UNACCEPTABLE_ADDRESSES, NotifyType.UNEXPECTED_NAT_DETECTED)


class UpdateAddresses:
    """UPDATE_SA_ADDRESSES over the path in use when it is sent."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.INFORMATIONAL

    def __init__(self) -> None:
        self.path_number = -1
        self.cookie = b""
        self.is_lent = False  # waits for its IKE SA, and has been told on the predecessor meanwhile

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> INFORMATIONAL { N(UPDATE_SA_ADDRESSES), N(NAT_DETECTION_*)+, N(COOKIE2) }."""
        self.path_number = core.path_number
        self.cookie = core.rng(COOKIE2_SIZE)
        return (
            Notify(NotifyType.UPDATE_SA_ADDRESSES),
            *nat_notifies(core, sa, core.required_path),
            Notify(NotifyType.COOKIE2, self.cookie),
        )

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- INFORMATIONAL { N(NAT_DETECTION_*)+, N(COOKIE2) }."""
        cookie = response.notify(NotifyType.COOKIE2)
        if cookie is None or not hmac.compare_digest(cookie.data, self.cookie):
            raise InvalidSyntax("COOKIE2 did not come back unchanged (RFC 4555 section 3.7)")
        if self.path_number != core.path_number:
            return
        path = core.required_path
        if any(response.notify(refusal) for refusal in REFUSALS):
            core.emit(MoveRefused(path))
            return
        verdict = judge_nat(response.all(Notify), sa.spi_i, sa.spi_r, *path.ends(Channel.NATT))
        if verdict.supported:
            core.nat = verdict
        core.emit(PathMoved(path, core.encapsulate, core.nat.local))


def nat_notifies(core: Core, sa: IkeSa, path: Path) -> tuple[Notify, Notify]:
    """NAT detection for a message over the natt channel of a path."""
    local, remote = path.ends(Channel.NATT)
    disguise = core.rng if core.config.force_encapsulation else None
    return detection_notifies(sa.spi_i, sa.spi_r, local, remote, disguise=disguise)


def answer_update(core: Core, sa: IkeSa, request: Message, path: Path) -> None:
    """The peer has moved (RFC 4555 section 3.5): only the initiator of the first IKE SA may (MB6).

    A replaced IKE SA has no say: what comes late on it could undo a later move.
    """
    if core.initiator or not core.mobike or request.notify(NotifyType.UPDATE_SA_ADDRESSES) is None:
        return
    if sa is not core.current:
        return
    verdict = judge_nat(request.all(Notify), sa.spi_i, sa.spi_r, *path.ends(Channel.NATT))
    core.path = replace(path, local_init=None, remote_init=None)
    core.path_number += 1
    if verdict.supported:
        core.nat = verdict
    core.emit(PathMoved(core.path, core.encapsulate, core.nat.local))


def peer_addresses(message: Message) -> PeerAddresses | None:
    """The further addresses that a message lists, or None where it says nothing about them (MB5, MB12)."""
    if message.notify(NotifyType.NO_ADDITIONAL_ADDRESSES) is not None:
        return PeerAddresses(())
    addresses = [
        address for notify in message.all(Notify) if (address := _additional_address(notify)) is not None
    ]
    return PeerAddresses(tuple(addresses[:MAX_PEER_ADDRESSES])) if addresses else None


def _additional_address(notify: Notify) -> Address | None:
    if notify.type == NotifyType.ADDITIONAL_IP4_ADDRESS and len(notify.data) == 4:
        return IPv4Address(notify.data)
    if notify.type == NotifyType.ADDITIONAL_IP6_ADDRESS and len(notify.data) == 16:
        return IPv6Address(notify.data)
    return None
