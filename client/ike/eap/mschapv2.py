"""EAP-MSCHAPv2 (type 26): draft-kamath-pppext-eap-mschapv2-02, RFC 2759, key export of RFC 3079.

    server                              peer
    Challenge(16 octets, name)     -->
                                   <--  Response(peer challenge, NT-Response, name)
    Success("S=…")                 -->
                                   <--  Success             afterwards EAP-Success
or  Failure("E=… R=… C=…")         -->
                                   <--  Failure             we are gone
                              or   <--  Response to C        R=1: another password, which only the user can give
                              or   <--  Change-Password      E=648: the old one has expired (RFC 2759 section 7)

The pure functions serve both ends.  A password is a `Secret` in UTF-8, as keyrings and prompts deliver it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import ClassVar, Self

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax
from ..events import AnswerKind, Kind, Rng
from ..keys import Secret
from ..registry import EapType
from .md4 import md4
from .method import Ask, EapFailed
from .mschap_errors import MschapError
from .nt_hash import des
from .nt_hash import nt_hash as nt_hash
from .packet import EapPacket
from .password_change import Change, encrypt_hash, encrypt_password

CHALLENGE_SIZE = 16
NT_RESPONSE_SIZE = 24
MSK_SIZE = 64  # RFC 7296 section 2.16 takes the first 64 octets of an MSK
_RESPONSE_VALUE_SIZE = CHALLENGE_SIZE + 8 + NT_RESPONSE_SIZE + 1


class OpCode(IntEnum):
    """Kinds of EAP-MSCHAPv2 packets."""

    CHALLENGE = 1
    RESPONSE = 2
    SUCCESS = 3
    FAILURE = 4
    CHANGE_PASSWORD = 7


class _State(Enum):
    """Where the peer stands; each state expects the packets in `_EXPECTED` and nothing else.

    While the user is asked, the peer waits for the result still: whatever comes before his answer is out of order.
    """

    START = "waits for the challenge"
    ANSWERED = "waits for the result"
    SUCCEEDED = "has succeeded"


_EXPECTED: dict[_State, tuple[OpCode, ...]] = {
    _State.START: (OpCode.CHALLENGE,),
    _State.ANSWERED: (OpCode.SUCCESS, OpCode.FAILURE),
    _State.SUCCEEDED: (),
}


class Mschapv2:
    """The peer's side of one run."""

    TYPE: ClassVar[EapType] = EapType.MSCHAPV2

    def __init__(self, user: str, password: Secret, rng: Rng) -> None:
        self._user = user
        self._hash = nt_hash(password)
        self._rng = rng
        self._state = _State.START
        self._asked: set[AnswerKind] = set()
        self._authenticator = b""
        self._session_key: Secret | None = None
        self._msk: Secret | None = None

    @property
    def is_done(self) -> bool:
        """From the moment that the server has proven to know the password."""
        return self._msk is not None

    @property
    def msk(self) -> Secret | None:
        """64 octets, once done."""
        return self._msk

    def answer(self, request: EapPacket) -> bytes | Ask:
        """The answer to one request; `EapFailed` where there is none."""
        packet = Packet.pull(request.data)
        if packet.opcode not in _EXPECTED[self._state]:
            raise EapFailed(
                Kind.PEER_PROTOCOL,
                f"EAP-MSCHAPv2 packet {packet.opcode} while the client {self._state.value}",
            )
        if packet.opcode == OpCode.CHALLENGE:
            return self._respond(packet)
        if packet.opcode == OpCode.SUCCESS:
            return self._acknowledge(packet.body)
        return self._fail(packet)

    def _respond(self, packet: Packet) -> bytes:
        proof = self._prove(pull_challenge(packet.body))
        self._state = _State.ANSWERED
        return Packet(OpCode.RESPONSE, packet.identifier, proof.push()).push()

    def _prove(self, challenge: bytes) -> Response:
        """Our proof for a challenge; the server's is expected to fit it."""
        mine = self._rng(CHALLENGE_SIZE)
        digest = challenge_hash(mine, challenge, self._user)
        proof = nt_response(self._hash, digest)
        self._authenticator = authenticator_response(self._hash, proof, digest)
        self._session_key = session_key(self._hash, proof)
        return Response(mine, proof, self._user)

    def _fail(self, packet: Packet) -> Ask:
        """Ask the user, once, where another password helps; `EapFailed` where none does, or that was refused too.

        The right one may turn out to have expired; a new one is the last that is asked for.  The Failure response
        ends the dialogue at the server and the half-open SA at the gateway; nobody waits for an answer to it, which
        from RRAS of Windows Server 2008 R2 is said to be an odd one.
        """
        error = MschapError.pull(packet.body)
        refusal, kind, challenge = error.refusal().leaving_with(_LEAVING), error.remedy, error.challenge
        if kind is None or challenge is None or {kind, AnswerKind.NEW_PASSWORD} & self._asked:
            raise refusal
        self._asked.add(kind)
        words = WORDS_FOR_NEW if kind is AnswerKind.NEW_PASSWORD else f"{refusal}: the right password"
        number = (packet.identifier + 1) % 256
        return Ask(kind, words, lambda said: self._try_again(kind, number, challenge, said, refusal), refusal)

    def _try_again(
        self, kind: AnswerKind, number: int, challenge: bytes, said: Secret, refusal: EapFailed
    ) -> bytes:
        old, self._hash = self._hash, nt_hash(said)
        if not len(said) or old == self._hash:
            raise refusal  # a refused password is never tried again
        proof = self._prove(challenge)
        if kind is AnswerKind.PASSWORD:
            return Packet(OpCode.RESPONSE, number, proof.push()).push()
        change = change_of(said, old, proof, self._rng)
        return Packet(OpCode.CHANGE_PASSWORD, number, change.push()).push()

    def _acknowledge(self, body: bytes) -> bytes:
        if not hmac.compare_digest(pull_success(body), self._authenticator):
            raise EapFailed(Kind.TRUST_NO_PROOF, "the server could not prove that it knows the password")
        self._state = _State.SUCCEEDED
        self._msk = self._session_key
        return bytes([OpCode.SUCCESS])


WORDS_FOR_NEW = "the password has expired, and must be changed: a new one"
_LEAVING = bytes([OpCode.FAILURE])
_USABLE = "'roam up' asks for a new password again: text, of 256 characters at most."
_SUCCESS = re.compile(rb"S=([0-9A-Fa-f]{40})(?: |\0|$)")


@dataclass(frozen=True, slots=True)
class Packet:
    """Op-code, MS-CHAPv2 identifier and body; what acknowledges a result is a bare op-code instead."""

    opcode: int
    identifier: int
    body: bytes = field(repr=False)

    @classmethod
    def pull(cls, data: bytes) -> Self:
        """Parse type data; MS-Length counts all of it, op-code included."""
        reader = Reader(data)
        opcode, identifier, length = reader.uint(1), reader.uint(1), reader.uint(2)
        if length != len(data):
            raise InvalidSyntax(f"MS-Length {length} in {len(data)} octets of EAP-MSCHAPv2")
        return cls(opcode, identifier, reader.rest())

    def push(self) -> bytes:
        """Type data."""
        writer = Writer().uint(self.opcode, 1).uint(self.identifier, 1)
        return writer.uint(4 + len(self.body), 2).write(self.body).bytes()


@dataclass(frozen=True, slots=True)
class Response:
    """Body of a Response packet."""

    challenge: bytes = field(repr=False)
    proof: bytes = field(repr=False)  # the NT-Response
    name: str

    @classmethod
    def pull(cls, body: bytes) -> Self:
        """Parse; the reserved octets and the flags are ignored (RFC 2759 section 4)."""
        reader = Reader(body)
        size = reader.uint(1)
        if size != _RESPONSE_VALUE_SIZE:
            raise InvalidSyntax(f"EAP-MSCHAPv2 response value of {size} octets")
        challenge = reader.take(CHALLENGE_SIZE)
        reader.take(8)
        proof = reader.take(NT_RESPONSE_SIZE)
        reader.take(1)
        return cls(challenge, proof, reader.rest().decode(errors="replace"))

    def push(self) -> bytes:
        """The body's octets."""
        writer = Writer().uint(_RESPONSE_VALUE_SIZE, 1).write(self.challenge).write(bytes(8))
        return writer.write(self.proof).write(bytes(1)).write(self.name.encode()).bytes()


def change_of(new: Secret, old_hash: Secret, proof: Response, rng: Rng) -> Change:
    """What changes a password, `proof` being of the new one; `EapFailed` where that cannot be used."""
    try:
        password = encrypt_password(new, old_hash, rng)
    except ValueError as error:
        raise EapFailed(
            Kind.AUTH_REJECTED, f"the new password cannot be used: {error}", hint=_USABLE, barred=True
        ) from None
    return Change(password, encrypt_hash(old_hash, nt_hash(new)), proof.challenge, proof.proof)


def pull_challenge(body: bytes) -> bytes:
    """The authenticator's challenge out of a Challenge body; the server's name after it serves nothing."""
    reader = Reader(body)
    size = reader.uint(1)
    if size != CHALLENGE_SIZE:
        raise InvalidSyntax(f"EAP-MSCHAPv2 challenge of {size} octets")
    return reader.take(CHALLENGE_SIZE)


def pull_success(body: bytes) -> bytes:
    """The authenticator response out of a Success body, empty where there is none; a message may follow."""
    found = _SUCCESS.match(body)
    return found[1].upper() if found is not None else b""


def push_challenge(challenge: bytes, server: str) -> bytes:
    """A Challenge body."""
    return Writer().uint(CHALLENGE_SIZE, 1).write(challenge).write(server.encode()).bytes()


# RFC 2759 section 8


def challenge_hash(peer: bytes, authenticator: bytes, user: str) -> bytes:
    """ChallengeHash (section 8.2): 8 octets; the user name counts without its `DOMAIN\\` prefix."""
    name = user.rpartition("\\")[2].encode()
    return hashlib.sha1(peer + authenticator + name).digest()[:8]


def nt_response(password_hash: Secret, challenge: bytes) -> bytes:
    """ChallengeResponse (section 8.5): three DES encryptions of the challenge hash, 24 octets."""
    keys = password_hash.reveal().ljust(21, b"\0")
    return b"".join(des(keys[start : start + 7], challenge) for start in (0, 7, 14))


def authenticator_response(password_hash: Secret, proof: bytes, challenge: bytes) -> bytes:
    """GenerateAuthenticatorResponse (section 8.7): 40 upper-case hexadecimal digits, without `S=`."""
    inner = hashlib.sha1(md4(password_hash.reveal()) + proof + _SIGNING).digest()
    return hashlib.sha1(inner + challenge + _PADDING).hexdigest().upper().encode()


def session_key(password_hash: Secret, proof: bytes) -> Secret:
    """The MSK: what the client sends with, what it receives with, 32 zero octets (RFC 3079 section 3.3)."""
    master = hashlib.sha1(md4(password_hash.reveal()) + proof + _MASTER).digest()[:16]
    halves = b"".join(
        hashlib.sha1(master + bytes(40) + magic + b"\xf2" * 40).digest()[:16]
        for magic in (_CLIENT_SEND, _CLIENT_RECEIVE)
    )
    return Secret(halves.ljust(MSK_SIZE, b"\0"))


# The constants of RFC 2759 section 8.7 and RFC 3079 section 3.4.
_SIGNING = b"Magic server to client signing constant"
_PADDING = b"Pad to make it do more than one iteration"
_MASTER = b"This is the MPPE Master Key"
_CLIENT_SEND = b"On the client side, this is the send key; on the server side, it is the receive key."
_CLIENT_RECEIVE = b"On the client side, this is the receive key; on the server side, it is the send key."
