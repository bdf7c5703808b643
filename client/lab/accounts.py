"""Who may log in at the embedded gateway, and what a server's side of an EAP method is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Protocol

from ..ike.eap.packet import EapPacket
from ..ike.keys import Secret
from ..ike.registry import EapType

if TYPE_CHECKING:
    from .eap_tls import TlsService


class Outcome(Enum):
    """How a method ends."""

    SUCCESS = "success"
    FAILURE = "failure"


class ServerMethod(Protocol):
    """One run of a method; `identifier` is that of the EAP request which the returned type data go into."""

    TYPE: ClassVar[EapType]

    @property
    def msk(self) -> Secret | None:
        """64 octets once the method has succeeded, None without a key."""
        ...

    def begin(self, identifier: int) -> bytes:
        """Type data of the first request."""
        ...

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        """What follows a response: type data of the next request, or the end."""
        ...


@dataclass(slots=True)
class Subscription:
    """What the authentication centre knows of a subscriber; `sqn` counts its challenges."""

    key: Secret
    opc: Secret
    sqn: int = 0


@dataclass(frozen=True, slots=True)
class Accounts:
    """Who may log in: passwords in UTF-8, and one-time codes that are asked for besides or instead."""

    passwords: dict[str, Secret]
    codes: Mapping[str, Secret] = field(default_factory=dict)
    name: str = "lab"
    error: int = 691  # of MSCHAPv2, for whoever is refused (RFC 2759 section 6)
    retries: bool = False  # MSCHAPv2 allows another try in the same dialogue
    expired: set[str] = field(default_factory=set)  # whose password MSCHAPv2 must have changed first
    tls: TlsService | None = None
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)  # by identity, for EAP-AKA
