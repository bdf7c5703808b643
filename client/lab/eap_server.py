"""The EAP server of the embedded gateway: Identity, then EAP-MSCHAPv2 (RFC 3748, RFC 2759).

Pure like the peer that it talks to.  What does not fit its state ends in EAP-Failure, never in Success.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from enum import Enum

from ..ike.eap.mschapv2 import (
    CHALLENGE_SIZE,
    OpCode,
    Packet,
    Response,
    authenticator_response,
    challenge_hash,
    nt_hash,
    nt_response,
    push_challenge,
    push_failure,
    session_key,
)
from ..ike.eap.packet import EapPacket
from ..ike.errors import ProtocolError
from ..ike.events import Rng
from ..ike.keys import Secret
from ..ike.registry import EapCode, EapType


class _State(Enum):
    """What the server waits for."""

    START = "nothing yet"
    IDENTITY = "the identity"
    RESPONSE = "the answer to its challenge"
    ACKNOWLEDGED = "the word that its proof was accepted"
    REFUSED = "the word that its refusal was read"
    SUCCEEDED = "nothing any more"
    FAILED = "nothing any more, in vain"


class EapServer:
    """One dialogue with one peer; `users` maps names to passwords in UTF-8."""

    def __init__(self, users: Mapping[str, Secret], rng: Rng, *, name: str = "lab") -> None:
        self._users = users
        self._rng = rng
        self._name = name
        self._state = _State.START
        self._identifier = rng(1)[0]
        self._challenge = b""
        self._key: Secret | None = None
        self._identity: str | None = None

    @property
    def identity(self) -> str | None:
        """Who the peer says that it is; proven only once `msk` is there."""
        return self._identity

    @property
    def msk(self) -> Secret | None:
        """64 octets, None until both sides have proven to know the password."""
        return self._key if self._state is _State.SUCCEEDED else None

    @property
    def failed(self) -> bool:
        """True after EAP-Failure."""
        return self._state is _State.FAILED

    def start(self) -> bytes:
        """The first request."""
        self._state = _State.IDENTITY
        return self._request(EapType.IDENTITY, b"")

    def handle(self, packet: bytes) -> bytes:
        """The packet after a response: a request, EAP-Success or EAP-Failure."""
        try:
            response = EapPacket.pull(packet)
            if response.code != EapCode.RESPONSE or response.identifier != self._identifier:
                return self._fail()
            return self._next(response)
        except ProtocolError:
            return self._fail()

    def _next(self, response: EapPacket) -> bytes:
        match self._state, response.type:
            case _State.IDENTITY, EapType.IDENTITY:
                self._identity = response.data.decode(errors="replace")
                return self._ask()
            case _State.RESPONSE, EapType.MSCHAPV2:
                return self._judge(Packet.pull(response.data))
            case _State.ACKNOWLEDGED, EapType.MSCHAPV2 if response.data[:1] == bytes([OpCode.SUCCESS]):
                self._state = _State.SUCCEEDED
                return EapPacket(EapCode.SUCCESS, self._identifier).push()
            case _:
                return self._fail()

    def _ask(self) -> bytes:
        self._state = _State.RESPONSE
        self._challenge = self._rng(CHALLENGE_SIZE)
        return self._send(OpCode.CHALLENGE, push_challenge(self._challenge, self._name))

    def _judge(self, packet: Packet) -> bytes:
        if packet.opcode != OpCode.RESPONSE:
            return self._fail()
        response = Response.pull(packet.body)
        password = self._users.get(response.name)
        # An unknown name costs the same work as a wrong password.
        password_hash = nt_hash(password or Secret(self._rng(16)))
        digest = challenge_hash(response.challenge, self._challenge, response.name)
        right = hmac.compare_digest(nt_response(password_hash, digest), response.proof)
        if password is None or not right:
            self._state = _State.REFUSED
            return self._send(OpCode.FAILURE, push_failure(self._rng(CHALLENGE_SIZE)))
        self._state = _State.ACKNOWLEDGED
        self._key = session_key(password_hash, response.proof)
        proof = authenticator_response(password_hash, response.proof, digest)
        return self._send(OpCode.SUCCESS, b"S=" + proof + b" M=Welcome")

    def _send(self, opcode: OpCode, body: bytes) -> bytes:
        self._identifier = (self._identifier + 1) % 256
        return self._request(EapType.MSCHAPV2, Packet(opcode, self._identifier, body).push())

    def _request(self, kind: EapType, data: bytes) -> bytes:
        return EapPacket(EapCode.REQUEST, self._identifier, kind, data).push()

    def _fail(self) -> bytes:
        self._state = _State.FAILED
        return EapPacket(EapCode.FAILURE, self._identifier).push()
