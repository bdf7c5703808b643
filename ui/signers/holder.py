"""What every holder of a private key or a SIM does, and what it answers to the daemon."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from client.control.messages import (
    ControlError,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    SecretText,
    SignatureWanted,
)

from .sim_plugin import Auts, Impostor, Judgement, Vectors

NEEDS_SIGNER = "auth.needs_signer"

_HEADER = 28
_SPI_R = slice(8, 16)
_VERSION = b"\x20"
_IKE_SA_INIT = b"\x22"
_INITIATOR = b"\x08"


_TLS_1_3 = b" " * 64 + b"TLS 1.3, client CertificateVerify\0"
_HASH_SIZES = frozenset({32, 48})
_TLS_1_2 = frozenset(bytes([1, 2, 11, *status, 12, 13, 14, 11, 16]) for status in ((), (22,)))
"""Types of the messages: from ClientHello to ClientKeyExchange, with or without CertificateStatus."""
_MOST_MESSAGES = max(map(len, _TLS_1_2))


class KeyHolder(Protocol):
    """A key that signs and is never seen; `ControlError` of kind `auth.needs_signer` where it cannot."""

    def shown(self) -> bytes:
        """PEM of its certificate, or of its public key: what the daemon may have."""

    def sign(self, algorithms: tuple[str, ...], octets: bytes) -> tuple[str, bytes]:
        """A signature by the first of the algorithms that it can, and that one; ECDSA as DER."""


class Form(NamedTuple):
    """A form of logins, and how to tell whether octets are what proves the user in one."""

    title: str
    fits: Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class Trustee:
    """A key with its holder, and the logins that the profile uses it for: nothing else is signed, whatever asks."""

    holder: KeyHolder
    forms: tuple[Form, ...]

    def why_not(self, octets: bytes) -> str:
        """Why these octets are not signed; empty where they are."""
        if any(form.fits(octets) for form in self.forms):
            return ""
        return f"what was to be signed is no login by {' or '.join(form.title for form in self.forms)}"


class SimHolder(Protocol):
    """A subscription that answers and is never seen; `ControlError` of kind `auth.needs_signer` where it cannot."""

    def shown(self) -> bytes:
        """Whose it is: what the daemon may know."""

    def authenticate(self, rand: bytes, autn: bytes) -> Judgement:
        """The answer to a network's challenge."""


Holder = Trustee | SimHolder


def reply(needed: SecretNeeded, holders: Mapping[str, Holder]) -> SecretAnswer | SecretCancel | None:
    """What to answer to the daemon; None where the question is about no key and no SIM of ours."""
    wanted = needed.signature or needed.challenge
    holder = None if wanted is None else holders.get(wanted.key)
    if wanted is None or holder is None:
        return None
    try:
        match wanted, holder:
            case SignatureWanted(), Trustee():
                words = _signature(wanted, holder)
            case (SignatureWanted(), _) | (_, Trustee()):
                return None
            case _:
                words = _judgement(holder.authenticate(wanted.rand, wanted.autn))
    except ControlError as error:
        return SecretCancel(needed.id, error.evidence)
    return SecretAnswer(needed.id, SecretText(words))


def _signature(wanted: SignatureWanted, trustee: Trustee) -> str:
    if why := trustee.why_not(wanted.octets):
        raise cannot(why)
    name, signature = trustee.holder.sign(wanted.algorithms, wanted.octets)
    return f"{name} {base64.b64encode(signature).decode()}"


def _judgement(judgement: Judgement) -> str:
    """As `SimChallenge` wants it."""
    match judgement:
        case Vectors(res, ck, ik):
            return " ".join(octets.hex() for octets in (res, ck, ik))
        case Auts(auts):
            return auts.hex()
        case Impostor():
            return "impostor"


def is_login(octets: bytes) -> bool:
    """Whether octets can be what an initiator's AUTH covers (RFC 7296 section 2.15).

    They begin with our IKE_SA_INIT request: no login by SSH or TLS does, and no document.
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


def is_tls_login(octets: bytes) -> bool:
    """Whether octets can be what a client's CertificateVerify covers, in TLS 1.3 or 1.2.

    The former is a hash behind words of its own (RFC 8446 section 4.4.3), the latter all messages of the handshake
    so far (RFC 5246 section 7.4.8).  Which server it is for cannot be told from a hash.
    """
    if octets.startswith(_TLS_1_3):
        return len(octets) - len(_TLS_1_3) in _HASH_SIZES
    order, at = b"", 0
    while at < len(octets) and len(order) <= _MOST_MESSAGES:
        order += octets[at : at + 1]
        at += 4 + int.from_bytes(octets[at + 1 : at + 4])
    return at == len(octets) and order in _TLS_1_2


IKE = Form("IKEv2", is_login)
TLS = Form("TLS inside EAP", is_tls_login)


def cannot(why: str, hint: str = "") -> ControlError:
    """Why a holder does not sign."""
    return ControlError(NEEDS_SIGNER, why, hint)
