"""What an exchange is: built when the window is free, processed when its response comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Protocol

from ..registry import ExchangeType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..core import Core
    from ..events import Reply
    from ..keys import Secret
    from ..message import Message
    from ..payloads import Payload
    from ..sa import IkeSa


class Exchange(Protocol):
    """A request of ours with what to do about its response.

    `build` returns the payloads, or None where the reason for the exchange has gone meanwhile.  `process` reads an
    authentic response and changes the session through `core`; it raises `ProtocolError` where the response cannot
    be right.  An exchange that goes on (EAP, another group) puts its next part in front of the queue.
    """

    TYPE: ClassVar[ExchangeType]

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...] | None:
        """Payloads of the request, or None to drop the exchange."""

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """Act on the response."""


class Inquiring(Protocol):
    """An exchange that cannot go on until the shell has looked after certificates."""

    def resume_inquiry(self, core: Core, sa: IkeSa, replies: Sequence[Reply], now: float) -> None:
        """Go on with what it has found; `ProtocolError` where that leads nowhere."""


class Asking(Protocol):
    """An exchange that cannot go on until the user has answered."""

    def resume(self, core: Core, sa: IkeSa, answer: Secret, now: float) -> None:
        """Go on with the answer; `ProtocolError` where that leads nowhere."""
