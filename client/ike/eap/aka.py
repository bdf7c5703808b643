"""EAP-AKA (RFC 4187) and EAP-AKA' (RFC 9048) as a peer: a subscription proves itself, and the network does too.

    server                                          peer
    AKA-Identity(which one)                    -->                   may be missing
                                               <--  AKA-Identity(identity)
    AKA-Challenge(RAND, AUTN, MAC)             -->
                                               <--  AKA-Challenge(RES, MAC)      afterwards EAP-Success
                                               <--  Synchronization-Failure(AUTS)      once; then anew
                                               <--  Authentication-Reject              the network is an impostor

A card in the user's hands is asked between a challenge and its answer; the dialogue waits for it.
We know one identity, the permanent one, and no fast re-authentication: pseudonyms would have to be kept.
"""

from __future__ import annotations

import hashlib
from typing import ClassVar

from ..errors import InvalidSyntax
from ..events import AnswerKind, Kind, SimChallenge
from ..keys import Secret
from ..registry import EapCode, EapType
from .aka_wire import (
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
from .method import Ask, EapFailed
from .packet import EapPacket
from .usim import AUTN_SIZE, RAND_SIZE, Answer, Errand, Judgement, Resynchronise, Usim

MOST_IDENTITIES = 3  # requests for an identity: any, for a full authentication, the permanent one
MOST_RESYNCS = 1
KDF_SHA256 = 1  # the only key derivation function of EAP-AKA'
_UNABLE = 0  # client error code: unable to process the packet (RFC 4187 section 10.19)
_SUCCESS, _BEFORE = 0x8000, 0x4000  # bits of a notification code (RFC 4187 section 10.18)
_PRIME_OFFERED = 0x8000  # in AT_BIDDING: the server would have used EAP-AKA' (RFC 9048 section 4)
_SEPARATION = 0x80  # in AMF's first octet: made for EAP-AKA' and its like (TS 33.402)

_MEANINGS = {
    0: "the network ended the login",
    1026: "the subscription is barred for a while",
    1031: "the subscription does not include this service",
    16384: "the network ended the login before the challenge",
}


class Aka:
    """One run of EAP-AKA; `refuses_downgrade`: the profile allows EAP-AKA' too, so the server must not hide it."""

    TYPE: ClassVar[EapType] = EapType.AKA

    def __init__(self, identity: str, usim: Usim, *, refuses_downgrade: bool = False) -> None:
        self._identity = identity.encode()
        self._usim = usim
        self._refuses_downgrade = refuses_downgrade
        self._identities = 0
        self._resyncs = 0
        self._transcript = b""  # of the identity messages, whole packets (RFC 4187 section 10.13)
        self._keys: Keys | None = None
        self.is_done = False

    @property
    def msk(self) -> Secret | None:
        """64 octets, once the network has proven itself and we have answered."""
        return self._keys.msk if self._keys is not None and self.is_done else None

    def answer(self, request: EapPacket) -> bytes | Ask:
        """What the subtype asks for."""
        try:
            packet = AkaPacket.pull(request.data)
        except InvalidSyntax as error:
            raise self._unable(str(error)) from None
        for kind in packet.unknown():
            raise self._unable(f"attribute {kind} that must not be ignored")
        match packet.subtype:
            case Subtype.IDENTITY if not self.is_done:
                return self._identify(request, packet)
            case Subtype.CHALLENGE if not self.is_done:
                return self._challenge(request, packet)
            case Subtype.NOTIFICATION:
                return self._notify(request, packet)
            case _:
                raise self._unable(f"subtype {packet.subtype} out of turn")

    def _unable(self, why: str, kind: Kind = Kind.PEER_PROTOCOL) -> EapFailed:
        code = AkaPacket(Subtype.CLIENT_ERROR, (Attribute(At.CLIENT_ERROR_CODE, _UNABLE.to_bytes(2)),)).push()
        return EapFailed(kind, f"EAP-AKA: {why}", last_words=code)

    # The identity

    def _identify(self, request: EapPacket, packet: AkaPacket) -> bytes:
        self._identities += 1
        kinds = {At.ANY_ID_REQ, At.FULLAUTH_ID_REQ, At.PERMANENT_ID_REQ}
        asked = [attribute for attribute in packet.attributes if attribute.type in kinds]
        if len(asked) != 1 or self._identities > MOST_IDENTITIES:
            raise self._unable("the identity is asked for in no way that makes sense")
        data = AkaPacket(Subtype.IDENTITY, (counted(At.IDENTITY, self._identity),)).push()
        response = EapPacket(EapCode.RESPONSE, request.identifier, self.TYPE, data)
        self._transcript += request.push() + response.push()
        return data

    # The challenge

    def _challenge(self, request: EapPacket, packet: AkaPacket) -> bytes | Ask:
        rand, autn = packet.first(At.RAND), packet.first(At.AUTN)
        if rand is None or autn is None or len(rand.body) != RAND_SIZE or len(autn.body) != AUTN_SIZE:
            raise self._unable("a challenge without RAND or AUTN")
        if (early := self._negotiate(packet, autn.body)) is not None:
            return early
        said = self._usim.authenticate(rand.body, autn.body)
        if not isinstance(said, Errand):
            return self._respond(request, packet, autn.body, said)
        errand, wanted = said, SimChallenge(said.key, rand.body, autn.body)

        def resume(answer: Secret) -> bytes:
            try:
                read = errand.finish(answer)
            except ValueError as error:
                raise self._unable(str(error), Kind.AUTH_NEEDS_SIGNER) from None
            return self._respond(request, packet, autn.body, read)

        return Ask(AnswerKind.SIM_CHALLENGE, "", resume, challenge=wanted)

    def _respond(self, request: EapPacket, packet: AkaPacket, autn: bytes, said: Judgement) -> bytes:
        match said:
            case None:
                raise self._reject("the network does not know the subscription's secret")
            case Resynchronise(auts):
                return self._resynchronise(packet, auts)
            case Answer() as answer:
                keys = self._derive(packet, autn, answer)
                return self._accept(request, packet, answer, keys)

    def _negotiate(self, packet: AkaPacket, autn: bytes) -> bytes | None:
        """What must be agreed before the challenge is looked at; an answer where the server has to choose anew."""
        bidding = packet.first(At.BIDDING)
        if bidding is not None and self._refuses_downgrade and bidding.value[0] << 8 & _PRIME_OFFERED:
            raise self._reject("somebody has kept EAP-AKA' from us, which both ends know")
        return None

    def _derive(self, packet: AkaPacket, autn: bytes, answer: Answer) -> Keys:
        return aka_keys(self._identity, answer.ck, answer.ik)

    def _reject(self, why: str) -> EapFailed:
        words = AkaPacket(Subtype.AUTHENTICATION_REJECT).push()
        return EapFailed(Kind.TRUST_NO_PROOF, f"EAP-AKA: {why}", last_words=words)

    def _resynchronise(self, packet: AkaPacket, auts: bytes) -> bytes:
        self._resyncs += 1
        if self._resyncs > MOST_RESYNCS:
            raise self._reject("the network repeats an old challenge")
        return AkaPacket(
            Subtype.SYNCHRONIZATION_FAILURE, (Attribute(At.AUTS, auts), *packet.all(At.KDF))
        ).push()

    def _accept(self, request: EapPacket, packet: AkaPacket, answer: Answer, keys: Keys) -> bytes:
        if not is_authentic(request, self.TYPE, keys.k_aut):
            raise self._unable("the challenge is not authentic")
        check = packet.first(At.CHECKCODE)
        if check is not None and check.body != self._checkcode():
            raise self._unable("somebody has changed the messages about the identity")
        res = answer.res.reveal()
        attributes = [counted(At.RES, res, 8 * len(res))]
        if check is not None:
            attributes.append(plain(At.CHECKCODE, self._checkcode()))
        self._keys, self.is_done = keys, True
        response = EapPacket(EapCode.RESPONSE, request.identifier)
        return with_mac(AkaPacket(Subtype.CHALLENGE, tuple(attributes)), response, self.TYPE, keys.k_aut)

    def _checkcode(self) -> bytes:
        """A digest of the identity messages; nothing where there were none."""
        if not self._transcript:
            return b""
        return hashlib.new("sha256" if self.TYPE is EapType.AKA_PRIME else "sha1", self._transcript).digest()

    # Notifications

    def _notify(self, request: EapPacket, packet: AkaPacket) -> bytes:
        notification = packet.first(At.NOTIFICATION)
        if notification is None or len(notification.value) < 2:
            raise self._unable("a notification without a code")
        code = int.from_bytes(notification.value[:2])
        response = AkaPacket(Subtype.NOTIFICATION).push()
        if not code & _BEFORE:  # after the challenge it is protected, and so is the answer
            if self._keys is None or not is_authentic(request, self.TYPE, self._keys.k_aut):
                raise self._unable("a notification that is not authentic")
            header = EapPacket(EapCode.RESPONSE, request.identifier)
            response = with_mac(AkaPacket(Subtype.NOTIFICATION), header, self.TYPE, self._keys.k_aut)
        if code & _SUCCESS and self.is_done:
            return response
        meaning = _MEANINGS.get(code, "the network refuses the login")
        raise EapFailed(Kind.AUTH_REJECTED, f"{meaning} (notification {code})", last_words=response)


class AkaPrime(Aka):
    """One run of EAP-AKA', whose keys are of use in the network of that name alone."""

    TYPE: ClassVar[EapType] = EapType.AKA_PRIME

    def __init__(self, identity: str, usim: Usim) -> None:
        super().__init__(identity, usim)
        self._offered: tuple[int, ...] | None = (
            None  # functions of the challenge that we answered with another
        )

    def _negotiate(self, packet: AkaPacket, autn: bytes) -> bytes | None:
        name = packet.first(At.KDF_INPUT)
        if name is None or not name.counted:
            raise self._reject("the network does not say its name")
        if not autn[6] & _SEPARATION:
            raise self._reject("the challenge was not made for EAP-AKA'")
        functions = tuple(int.from_bytes(attribute.value[:2]) for attribute in packet.all(At.KDF))
        if self._offered is not None and functions != (KDF_SHA256, *self._offered):
            raise self._reject("the network has changed what it offered")
        if functions[:1] == (KDF_SHA256,):
            return None
        if KDF_SHA256 not in functions:
            raise self._reject("no common key derivation function")
        self._offered = functions
        return AkaPacket(Subtype.CHALLENGE, (Attribute(At.KDF, KDF_SHA256.to_bytes(2)),)).push()

    def _derive(self, packet: AkaPacket, autn: bytes, answer: Answer) -> Keys:
        name = packet.first(At.KDF_INPUT)
        network = name.counted if name is not None else b""
        return aka_prime_keys(self._identity, *bound_to_network(answer.ck, answer.ik, network, autn[:6]))
