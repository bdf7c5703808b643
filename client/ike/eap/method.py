"""What the EAP peer asks of a method, and how a method says no."""

from __future__ import annotations

from typing import ClassVar, Protocol

from ..events import Kind
from ..keys import Secret
from ..refusal import Refusal
from ..registry import EapType


class EapFailed(Refusal):
    """The EAP dialogue is over without success: nothing more is sent."""

    def __init__(self, kind: Kind, evidence: str) -> None:
        # A refusal is the server's judgement of the password itself; anything else may pass.
        super().__init__(kind, evidence, final=kind is Kind.AUTH_REJECTED)


class Method(Protocol):
    """One run of one EAP method on the peer's side.

    A method enforces its own order: what comes in a state that does not expect it raises `EapFailed`.
    """

    TYPE: ClassVar[EapType]

    @property
    def msk(self) -> Secret | None:
        """The master session key, at least 64 octets; None until the method is done by its own rules."""
        ...

    def answer(self, data: bytes) -> bytes:
        """Type data of the response to a request's type data; `EapFailed` or `ProtocolError` otherwise."""
        ...
