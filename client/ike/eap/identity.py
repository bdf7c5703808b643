"""The two EAP types that every peer answers: Identity and Notification (RFC 3748 sections 5.1 and 5.2)."""

from __future__ import annotations

from ..refusal import printable


def identity_response(identity: str) -> bytes:
    """Type data of an Identity response: the name in UTF-8, without a terminating zero."""
    return identity.encode()


def notification_text(data: bytes) -> str:
    """What a Notification request says, fit to be shown to the user."""
    return printable(data.decode(errors="replace"))
