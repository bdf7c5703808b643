"""Does a packet of this size get through?  An INFORMATIONAL request as large as that.

Every implementation answers it: status notifies that it does not know are ignored (RFC 7296 section 3.10.1), and an
INFORMATIONAL request gets a response whatever is in it (section 1.4).  So it takes the same way as ESP in UDP does,
needs nothing of the gateway, and is authentic, unlike the ICMP messages which a black hole does not send.

The request goes out whole and in one IP packet, some times, because packets are lost for other reasons too.  Where
no answer comes it was too large; then it is sent without its filling, under the same message ID, so that it is
answered after all and the window is free again.  RFC 7296 section 2.1 wants repetitions bit for bit the same: here
both requests mean the same, nothing, and a peer that has seen the first one sends its response again.  Fragments
(RFC 7383) would not do: strongSwan takes none of INFORMATIONAL requests.
"""

from __future__ import annotations

from itertools import count
from typing import ClassVar

from ..core import Core
from ..events import SizeProbed
from ..message import Message, encode_protected, message_size
from ..payloads import Notify, Payload
from ..registry import ExchangeType, NotifyType
from ..sa import IkeSa
from ..window import Request

TRIES = 3
"""Packets of one size that must vanish before that is taken for its fault (RFC 8899 section 5.1.2)."""
_SMALLEST = 400  # octets: below, there is nothing to be found out
_NOTIFY_SIZE = 8  # octets of its two headers (RFC 7296 sections 3.2 and 3.10)


class SizeProbe:
    """One size: `size` octets of an IKE message, without the non-ESP marker, UDP and IP around it."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.INFORMATIONAL

    def __init__(self, size: int) -> None:
        self.size = max(size, _SMALLEST)
        self._path_number = -1
        self._is_whole = True

    @property
    def is_whole(self) -> bool:
        """Whether it goes out in one packet, which nobody may cut."""
        return self._is_whole

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> INFORMATIONAL { N(private use, filled up) }."""
        self._path_number, self._is_whole = core.path_number, True
        room = self.size - message_size(sa.sealer, _NOTIFY_SIZE)
        fits = next(n for n in count(room) if message_size(sa.sealer, _NOTIFY_SIZE + n) >= self.size)
        return (Notify(NotifyType.SIZE_PROBE, bytes(fits)),)

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- INFORMATIONAL {}."""
        if self._is_whole and self._path_number == core.path_number:
            core.emit(SizeProbed(self.size, carried=True))

    def give_in(self, core: Core, sa: IkeSa, request: Request) -> None:
        """It is too large for this path, or the path has changed: what remains is to get the answer."""
        if self._is_whole and self._path_number == core.path_number:
            core.emit(SizeProbed(self.size, carried=False))
        self._is_whole = False
        message = Message(
            sa.spi_i, sa.spi_r, self.TYPE, request.message_id, (), sa.initiated, is_response=False
        )
        request.packets = encode_protected(message, sa.sealer)
