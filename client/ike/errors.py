"""The one family of errors that hostile octets can raise.

Each class carries the notify with which a *request* that caused it is answered (RFC 7296 section 3.10.1); an
error found in a *response* is never reported back (section 2.21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from .registry import NotifyType

if TYPE_CHECKING:
    from .events import Failure


class ProtocolError(Exception):
    """The peer broke the protocol, or cannot have what it asks for.

    `failure` is set where the error has a cause that a user can do something about.
    """

    notify: ClassVar[NotifyType] = NotifyType.INVALID_SYNTAX
    failure: Failure | None = None
    spi: bytes = b""  # of the ESP SA that the error is about, for the notify

    @property
    def data(self) -> bytes:
        """Notification data of the answer."""
        return b""


class InvalidSyntax(ProtocolError):
    """Octets that do not parse, or payloads that do not fit together."""

    notify = NotifyType.INVALID_SYNTAX


class UnsupportedCriticalPayload(ProtocolError):
    """A payload type that we do not know, marked critical (RFC 7296 section 2.5)."""

    notify = NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD

    def __init__(self, payload_type: int) -> None:
        super().__init__(f"payload type {payload_type} is unknown and critical")
        self.payload_type = payload_type

    @property
    def data(self) -> bytes:
        return bytes([self.payload_type])


class InvalidMajorVersion(ProtocolError):
    """A header of another major version (RFC 7296 section 2.5)."""

    notify = NotifyType.INVALID_MAJOR_VERSION


class NoProposalChosen(ProtocolError):
    """No proposal of one side is acceptable to the other (RFC 7296 section 2.7)."""

    notify = NotifyType.NO_PROPOSAL_CHOSEN


class InvalidKePayload(ProtocolError):
    """The key exchange payload is of another method than the one selected (RFC 7296 section 1.2)."""

    notify = NotifyType.INVALID_KE_PAYLOAD

    def __init__(self, wanted: int) -> None:
        super().__init__(f"key exchange method {wanted} wanted")
        self.wanted = wanted

    @property
    def data(self) -> bytes:
        return self.wanted.to_bytes(2)


class AuthenticationFailed(ProtocolError):
    """The peer did not prove who it is (RFC 7296 section 2.21.2)."""

    notify = NotifyType.AUTHENTICATION_FAILED


class TsUnacceptable(ProtocolError):
    """No traffic selector fits (RFC 7296 section 2.9)."""

    notify = NotifyType.TS_UNACCEPTABLE


class TemporaryFailure(ProtocolError):
    """An exchange collides with one under way (RFC 7296 section 2.25)."""

    notify = NotifyType.TEMPORARY_FAILURE


class ChildSaNotFound(ProtocolError):
    """The Child SA to rekey does not exist (RFC 7296 section 2.25)."""

    notify = NotifyType.CHILD_SA_NOT_FOUND

    def __init__(self, spi: bytes) -> None:
        super().__init__(f"no Child SA with SPI {spi.hex()}")
        self.spi = spi


class NoAdditionalSas(ProtocolError):
    """No further Child SA on this IKE SA (RFC 7296 section 1.3)."""

    notify = NotifyType.NO_ADDITIONAL_SAS
