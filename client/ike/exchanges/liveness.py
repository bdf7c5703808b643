"""Liveness check: an empty INFORMATIONAL request (RFC 7296 section 2.4)."""

from __future__ import annotations

from typing import ClassVar

from ..core import Core
from ..message import Message
from ..payloads import Payload
from ..registry import ExchangeType
from ..sa import IkeSa


class Liveness:
    """Is the gateway there?  Any authentic answer says yes; the session notes that by itself."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.INFORMATIONAL

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> INFORMATIONAL {}."""
        return ()

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- INFORMATIONAL {}."""
