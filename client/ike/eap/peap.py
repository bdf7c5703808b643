"""PEAP version 0 ([MS-PEAP]): EAP inside TLS, and a result that the two ends confirm to each other inside.

    server                                      peer
    EAP request …                          -->
                                           <--  EAP response …
    Result (success), cryptobinding        -->
                                           <--  Result (success), cryptobinding       afterwards EAP-Success

EAP packets inside lack their header (section 3.1.5.6) except those of the extension methods; FreeRADIUS leaves it
on the first one too, and wants none on the answer.  A cryptobinding that comes must be right; where the server
leaves it out, the profile says whether it is missed, since the server has shown a certificate.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import ClassVar

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax, ProtocolError
from ..events import Kind, Rng
from ..keys import Secret
from ..options import EapLogin
from ..registry import EapCode, EapType
from .compound import NONCE_SIZE, CompoundKeys, CryptoBinding, SubType
from .inner import InnerEap
from .method import Ask, EapFailed, then
from .packet import HEADER_SIZE, EapPacket
from .tls_method import TlsMethod

EXTENSIONS = 33  # type of the EAP TLV Extensions Method (section 2.2.8.1)
_MANDATORY = 0x8000
_TYPE = 0x3FFF
_RESULT = 3


class Outcome(IntEnum):
    """Value of a Result TLV (section 2.2.8.1.2)."""

    SUCCESS = 1
    FAILURE = 2


class Peap(TlsMethod):
    """One run."""

    TYPE: ClassVar[EapType] = EapType.PEAP

    def __init__(self, login: EapLogin, rng: Rng, wall: datetime) -> None:
        super().__init__(login, rng, wall)
        self._inner = InnerEap(login, self._options.inner, rng, wall)
        self._rng = rng
        self._confirmed = False
        self._bound: CompoundKeys | None = None

    @property
    def is_open(self) -> bool:
        """From the establishment of TLS on."""
        return self._begun

    @property
    def is_done(self) -> bool:
        """When both ends have confirmed their success."""
        return self._confirmed

    @property
    def msk(self) -> Secret | None:
        """From both keys where they were bound together, else from TLS alone (section 3.1.5.7)."""
        return self._bound.msk() if self.is_done and self._bound is not None else super().msk

    def _reply(self, plaintext: bytes) -> bytes | Ask:
        if self._confirmed:
            raise self._disorder("a request after success")
        packet = _whole(plaintext)
        if packet is None:
            return self._inner.answer_bare(plaintext, self._identifier)
        if packet.type == EXTENSIONS:
            return then(
                lambda: self._confirm(packet.data),
                lambda tlvs: EapPacket(EapCode.RESPONSE, packet.identifier, EXTENSIONS, tlvs).push(),
            )
        if (
            packet.type == EapType.EXPANDED
        ):  # statements of health, capabilities (sections 3.2.5.4.5 and 3.2.5.4.6)
            return bytes([EapType.NAK, *self._inner.methods])
        return self._inner.answer_bare(plaintext[HEADER_SIZE:], packet.identifier)

    def _confirm(self, data: bytes) -> bytes:
        """TLVs in answer to TLVs, by the order of section 3.2.5.4.7; every failure is told to the server."""
        try:
            answer = self._accept(pull_tlvs(data))
        except EapFailed as failure:
            failure.last_words = push_result(Outcome.FAILURE)
            raise
        self._confirmed = True
        return answer

    def _accept(self, tlvs: Mapping[int, bytes]) -> bytes:
        result, binding = tlvs.get(_RESULT), tlvs.get(CryptoBinding.TYPE)
        if result == _value(Outcome.FAILURE):
            raise EapFailed(Kind.AUTH_REJECTED, "the login server refuses the login inside PEAP")
        if result != _value(Outcome.SUCCESS):
            raise self._disorder("no result")
        try:
            inner_key = self._inner.conclude()
        except ProtocolError:
            raise self._disorder("success before the inner method was done") from None
        if binding is None and self._options.insists_on_binding:
            raise EapFailed(Kind.TRUST_NO_PROOF, "the login server leaves out the cryptobinding of PEAP")
        if binding is None:
            return push_result(Outcome.SUCCESS)
        return push_result(Outcome.SUCCESS) + self._bind(CryptoBinding.pull(binding), inner_key)

    def _bind(self, request: CryptoBinding, inner_key: Secret | None) -> bytes:
        keys = CompoundKeys.derive(self._material(), inner_key)
        if request.subtype != SubType.REQUEST or not request.is_proven(keys):
            raise EapFailed(
                Kind.TRUST_NO_PROOF, "the ends of TLS are not those of the inner method (PEAP cryptobinding)"
            )
        self._bound = keys
        response = CryptoBinding(SubType.RESPONSE, self._rng(NONCE_SIZE)).sealed(keys)
        return push_tlv(CryptoBinding.TYPE, response.push())


def _whole(plaintext: bytes) -> EapPacket | None:
    """The packet, where its header was not left out."""
    is_request = plaintext[0] == EapCode.REQUEST and len(plaintext) > HEADER_SIZE
    if not is_request or int.from_bytes(plaintext[2:4]) != len(plaintext):
        return None
    return EapPacket.pull(plaintext)


def pull_tlvs(data: bytes) -> dict[int, bytes]:
    """Values by type (section 2.2.4); an unknown one that is mandatory, or two of a kind, end the dialogue."""
    reader, found = Reader(data), dict[int, bytes]()
    while reader.remaining:
        head = reader.uint(2)
        kind, value = head & _TYPE, reader.take(reader.uint(2))
        if kind in found:
            raise InvalidSyntax(f"two TLVs of type {kind} inside PEAP")
        if kind not in (_RESULT, CryptoBinding.TYPE) and head & _MANDATORY:
            raise InvalidSyntax(f"an unknown mandatory TLV of type {kind} inside PEAP")
        found[kind] = value
    return found


def push_tlv(kind: int, value: bytes) -> bytes:
    """One TLV."""
    return Writer().uint(kind, 2).uint(len(value), 2).write(value).bytes()


def push_result(outcome: Outcome) -> bytes:
    """A Result TLV."""
    return push_tlv(_MANDATORY | _RESULT, _value(outcome))


def _value(outcome: Outcome) -> bytes:
    return outcome.to_bytes(2)
