"""The network's side of EAP-AKA and EAP-AKA', for the embedded gateway: an authentication centre of one file."""

from __future__ import annotations

import hashlib
import hmac
from typing import ClassVar

from ..ike.eap.aka import KDF_SHA256
from ..ike.eap.aka_wire import (
    AkaPacket,
    At,
    Attribute,
    Keys,
    Subtype,
    aka_keys,
    aka_prime_keys,
    bound_to_network,
    counted,
    is_authentic,
    plain,
    with_mac,
)
from ..ike.eap.packet import EapPacket
from ..ike.eap.usim import SQN_SIZE, Answer, Milenage
from ..ike.events import Rng
from ..ike.keys import Secret
from ..ike.registry import EapCode, EapType
from .accounts import Accounts, Outcome, Subscription

AMF = b"\x80\x00"  # the separation bit is set, as EAP-AKA' wants it


class AkaServer:
    """One run; asks for the identity once more, so that the identity messages are covered by a checkcode."""

    TYPE: ClassVar[EapType] = EapType.AKA

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        self._accounts = accounts
        self._identity = identity.encode()
        self._rand = rng(16)
        self._expected: Answer | None = None
        self._keys: Keys | None = None
        self._request = b""
        self._transcript = b""
        self.msk: Secret | None = None

    def begin(self, identifier: int) -> bytes:
        """Ask for the identity."""
        data = AkaPacket(Subtype.IDENTITY, (plain(At.PERMANENT_ID_REQ, b""),)).push()
        self._request = EapPacket(EapCode.REQUEST, identifier, self.TYPE, data).push()
        return data

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        """The identity, the answer to the challenge, or the wish to count anew."""
        packet = AkaPacket.pull(response.data)
        match packet.subtype:
            case Subtype.IDENTITY if self._keys is None:
                given = packet.first(At.IDENTITY)
                self._identity = given.counted if given is not None else b""
                self._transcript = self._request + response.push()
                return self._challenge(identifier)
            case Subtype.SYNCHRONIZATION_FAILURE if self._keys is not None:
                return self._count_anew(packet, identifier)
            case Subtype.CHALLENGE if self._keys is not None and self._expected is not None:
                res = packet.first(At.RES)
                right = res is not None and Secret(res.body[:8]) == self._expected.res
                if right and is_authentic(response, self.TYPE, self._keys.k_aut):
                    self.msk = self._keys.msk
                    return Outcome.SUCCESS
                return Outcome.FAILURE
            case _:
                return Outcome.FAILURE

    def _subscription(self) -> Subscription | None:
        return self._accounts.subscriptions.get(self._identity.decode(errors="replace"))

    def _challenge(self, identifier: int) -> bytes | Outcome:
        subscription = self._subscription()
        if subscription is None:
            return Outcome.FAILURE
        subscription.sqn += 1
        functions, sqn = Milenage(subscription.key, subscription.opc), subscription.sqn.to_bytes(SQN_SIZE)
        self._expected, anonymity = functions.f2345(self._rand)
        hidden = bytes(a ^ b for a, b in zip(sqn, anonymity, strict=True))
        autn = hidden + AMF + functions.f1(self._rand, sqn, AMF)
        self._keys = self._derive(self._expected, autn)
        attributes = (plain(At.RAND, self._rand), plain(At.AUTN, autn), *self._extra(), self._checkcode())
        header = EapPacket(EapCode.REQUEST, identifier)
        return with_mac(AkaPacket(Subtype.CHALLENGE, attributes), header, self.TYPE, self._keys.k_aut)

    def _count_anew(self, packet: AkaPacket, identifier: int) -> bytes | Outcome:
        subscription, auts = self._subscription(), packet.first(At.AUTS)
        if subscription is None or auts is None or len(auts.value) != SQN_SIZE + 8:
            return Outcome.FAILURE
        functions = Milenage(subscription.key, subscription.opc)
        anonymity = functions.f5_star(self._rand)
        sqn = bytes(a ^ b for a, b in zip(auts.value[:SQN_SIZE], anonymity, strict=True))
        if not hmac.compare_digest(auts.value[SQN_SIZE:], functions.f1_star(self._rand, sqn, bytes(2))):
            return Outcome.FAILURE
        subscription.sqn = int.from_bytes(sqn)
        return self._challenge(identifier)

    def _derive(self, answer: Answer, autn: bytes) -> Keys:
        return aka_keys(self._identity, answer.ck, answer.ik)

    def _extra(self) -> tuple[Attribute, ...]:
        return ()

    def _checkcode(self) -> Attribute:
        name = "sha256" if self.TYPE is EapType.AKA_PRIME else "sha1"
        return plain(At.CHECKCODE, hashlib.new(name, self._transcript).digest())


class AkaPrimeServer(AkaServer):
    """EAP-AKA' in a network called WLAN, as untrusted access has it (TS 24.302)."""

    TYPE: ClassVar[EapType] = EapType.AKA_PRIME
    NETWORK: ClassVar[bytes] = b"WLAN"

    def _derive(self, answer: Answer, autn: bytes) -> Keys:
        bound = bound_to_network(answer.ck, answer.ik, self.NETWORK, autn[:SQN_SIZE])
        return aka_prime_keys(self._identity, *bound)

    def _extra(self) -> tuple[Attribute, ...]:
        return counted(At.KDF_INPUT, self.NETWORK), Attribute(At.KDF, KDF_SHA256.to_bytes(2))
