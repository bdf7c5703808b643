"""What every holder of a private key does, and what it answers to the daemon's request for a signature."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Protocol

from client.control.messages import ControlError, SecretAnswer, SecretCancel, SecretNeeded, SecretText

NEEDS_SIGNER = "auth.needs_signer"

_HEADER = 28
_SPI_R = slice(8, 16)
_VERSION = b"\x20"
_IKE_SA_INIT = b"\x22"
_INITIATOR = b"\x08"


class KeyHolder(Protocol):
    """A key that signs and is never seen; `ControlError` of kind `auth.needs_signer` where it cannot."""

    def shown(self) -> bytes:
        """PEM of its certificate, or of its public key: what the daemon may have."""

    def sign(self, algorithms: tuple[str, ...], octets: bytes) -> tuple[str, bytes]:
        """A signature by the first of the algorithms that it can, and that one; ECDSA as DER."""


def reply(needed: SecretNeeded, holders: Mapping[str, KeyHolder]) -> SecretAnswer | SecretCancel | None:
    """What to answer to the daemon; None where the question is about no key of ours."""
    wanted = needed.signature
    if wanted is None or (holder := holders.get(wanted.key)) is None:
        return None
    if not is_login(wanted.octets):
        return SecretCancel(needed.id, "what was to be signed is no login by IKEv2")
    try:
        name, signature = holder.sign(wanted.algorithms, wanted.octets)
    except ControlError as error:
        return SecretCancel(needed.id, error.evidence)
    return SecretAnswer(needed.id, SecretText(f"{name} {base64.b64encode(signature).decode()}"))


def is_login(octets: bytes) -> bool:
    """Whether octets can be what an initiator's AUTH covers (RFC 7296 section 2.15).

    They begin with our IKE_SA_INIT request.  Whoever holds the key signs nothing else, whatever asks: no login
    by SSH or TLS, no document.
    """
    if len(octets) < _HEADER:
        return False
    length = int.from_bytes(octets[24:28])
    return (
        any(octets[:8])
        and not any(octets[_SPI_R])
        and octets[17:18] == _VERSION
        and octets[18:19] == _IKE_SA_INIT
        and octets[19:20] == _INITIATOR
        and not any(octets[20:24])
        and _HEADER < length < len(octets)
    )


def cannot(why: str, hint: str = "") -> ControlError:
    """Why a holder does not sign."""
    return ControlError(NEEDS_SIGNER, why, hint)
