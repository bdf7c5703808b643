"""EAP methods that just hand a password or a code over: MD5-Challenge, One-Time Password, Generic Token Card.

RFC 3748 sections 5.4 to 5.6.  None of them derives a key or proves anything about the server, so they are for
gateways that have shown a certificate before; both last AUTH payloads are then made with SK_pi and SK_pr (RFC 7296
section 2.16).
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

from ..buffer import Reader
from ..errors import InvalidSyntax
from ..events import AnswerKind, Kind
from ..keys import Secret
from ..refusal import printable
from ..registry import EapType
from .method import Ask, EapFailed
from .packet import EapPacket


class Md5:
    """One MD5-Challenge: a digest over identifier, password and challenge (RFC 1994 section 4.1)."""

    TYPE: ClassVar[EapType] = EapType.MD5

    def __init__(self, password: Secret) -> None:
        self._password = password
        self.is_done = False
        self.msk: Secret | None = None

    def answer(self, request: EapPacket) -> bytes:
        """The digest, its size in front; a second challenge would be a second try of the password."""
        if self.is_done:
            raise EapFailed(Kind.PEER_PROTOCOL, "another EAP-MD5 challenge after the response")
        digest = md5_digest(request.identifier, self._password, pull_md5(request.data))
        self.is_done = True
        return bytes([len(digest)]) + digest


def pull_md5(data: bytes) -> bytes:
    """The value of a challenge or a response; the name after it serves nothing."""
    reader = Reader(data)
    value = reader.take(reader.uint(1))
    if not value:
        raise InvalidSyntax("EAP-MD5 without a value")
    return value


def md5_digest(identifier: int, password: Secret, challenge: bytes) -> bytes:
    """What the peer answers a challenge with, 16 octets."""
    return hashlib.md5(bytes([identifier]) + password.reveal() + challenge).digest()


class _Card:
    """Text from the server, text back.

    A password that is there answers the first request.  Whatever is asked after it (a further code, or the same
    once more because it was wrong) only the user can answer, and so is everything where there is none.
    """

    def __init__(self, password: Secret | None) -> None:
        self._password = password
        self.is_done = False  # from the first response on: whether it was right, the server alone knows
        self.msk: Secret | None = None

    def answer(self, request: EapPacket) -> bytes | Ask:
        """The password, or the question that the server has put."""
        password, self._password = self._password, None
        if password is not None:
            return self._reply(password)
        prompt = printable(request.data.decode(errors="replace").strip())
        return Ask(AnswerKind.OTP, prompt, self._reply)

    def _reply(self, answer: Secret) -> bytes:
        self.is_done = True
        return answer.reveal()


class Gtc(_Card):
    """Generic Token Card: the password itself, or the code that a device shows."""

    TYPE: ClassVar[EapType] = EapType.GTC


class Otp(_Card):
    """One-Time Password: the request is a challenge (RFC 2289), which only the user's calculator can answer."""

    TYPE: ClassVar[EapType] = EapType.OTP
