"""The servers' side of EAP methods, for the embedded gateway: small, strict, and for throw-away passwords only."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from enum import Enum
from functools import partial
from typing import ClassVar

from ..ike.eap import mschapv2
from ..ike.eap.mschap_errors import EXPIRED, NOT_CHANGED, push_error
from ..ike.eap.packet import EapPacket
from ..ike.eap.password import md5_digest, pull_md5
from ..ike.eap.password_change import Change, decrypt_hash, decrypt_password
from ..ike.events import Rng
from ..ike.keys import Secret
from ..ike.registry import EapType
from .accounts import Accounts as Accounts
from .accounts import Outcome as Outcome
from .accounts import ServerMethod as ServerMethod
from .eap_aka import AkaPrimeServer, AkaServer

MOST_TRIES = 3
LEAST = 8
"""Octets of a new password."""


class _State(Enum):
    """What EAP-MSCHAPv2 waits for."""

    RESPONSE = "the answer to its challenge"
    CHANGE = "a new password"
    ACKNOWLEDGED = "the word that its proof was accepted"
    REFUSED = "the word that its refusal was read"


class Mschapv2Server:
    """EAP-MSCHAPv2 (RFC 2759)."""

    TYPE: ClassVar[EapType] = EapType.MSCHAPV2

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        self._accounts = accounts
        self._identity = identity
        self._rng = rng
        self._tries = 0
        self._state = _State.RESPONSE
        self._challenge = rng(mschapv2.CHALLENGE_SIZE)
        self._key: Secret | None = None
        self.msk: Secret | None = None

    def begin(self, identifier: int) -> bytes:
        """The challenge."""
        body = mschapv2.push_challenge(self._challenge, self._accounts.name)
        return mschapv2.Packet(mschapv2.OpCode.CHALLENGE, identifier, body).push()

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        """A proof of our own for the right answer, a Failure request for a wrong one."""
        if self._state is _State.RESPONSE:
            return self._check(mschapv2.Packet.pull(response.data), identifier)
        if self._state is _State.CHANGE:
            return self._change(mschapv2.Packet.pull(response.data), identifier)
        if self._state is _State.ACKNOWLEDGED and response.data[:1] == bytes([mschapv2.OpCode.SUCCESS]):
            self.msk = self._key
            return Outcome.SUCCESS
        return Outcome.FAILURE

    def _check(self, packet: mschapv2.Packet, identifier: int) -> bytes | Outcome:
        if packet.opcode != mschapv2.OpCode.RESPONSE:
            return Outcome.FAILURE
        response = mschapv2.Response.pull(packet.body)
        password = self._accounts.passwords.get(response.name)
        # An unknown name costs the same work as a wrong password.
        password_hash = mschapv2.nt_hash(password or Secret(self._rng(16)))
        digest = mschapv2.challenge_hash(response.challenge, self._challenge, response.name)
        right = hmac.compare_digest(mschapv2.nt_response(password_hash, digest), response.proof)
        if password is None or not right:
            return self._refuse(self._accounts.error, identifier)
        if response.name in self._accounts.expired:
            return self._refuse(EXPIRED, identifier)
        return self._accept(password_hash, response, digest, identifier)

    def _change(self, packet: mschapv2.Packet, identifier: int) -> bytes | Outcome:
        """A new password, encrypted under the old one; the old one's hash proves that its owner sends it."""
        if packet.opcode != mschapv2.OpCode.CHANGE_PASSWORD:
            return Outcome.FAILURE
        change = Change.pull(packet.body)
        new_hash = change_password(self._accounts, self._identity, change, self._challenge)
        if new_hash is None:
            return self._refuse(NOT_CHANGED, identifier)
        digest = mschapv2.challenge_hash(change.challenge, self._challenge, self._identity)
        response = mschapv2.Response(change.challenge, change.proof, self._identity)
        return self._accept(new_hash, response, digest, identifier)

    def _refuse(self, code: int, identifier: int) -> bytes:
        self._challenge = self._rng(mschapv2.CHALLENGE_SIZE)
        retry = self._accounts.retries and self._tries < MOST_TRIES and code != NOT_CHANGED
        self._tries += 1
        self._state = _State.RESPONSE if retry else _State.REFUSED
        if code == EXPIRED:
            self._state = _State.CHANGE
        body = push_error(self._challenge, code, retry=retry)
        return mschapv2.Packet(mschapv2.OpCode.FAILURE, identifier, body).push()

    def _accept(
        self, password_hash: Secret, response: mschapv2.Response, digest: bytes, identifier: int
    ) -> bytes:
        self._state = _State.ACKNOWLEDGED
        self._key = mschapv2.session_key(password_hash, response.proof)
        proof = mschapv2.authenticator_response(password_hash, response.proof, digest)
        return mschapv2.Packet(mschapv2.OpCode.SUCCESS, identifier, b"S=" + proof + b" M=Welcome").push()


def change_password(accounts: Accounts, user: str, change: Change, challenge: bytes) -> Secret | None:
    """Give the user the new password, and return its hash; None where it was not sent by who knows the old one."""
    old_hash = mschapv2.nt_hash(accounts.passwords[user])
    new = decrypt_password(change.password, old_hash)
    new_hash = mschapv2.nt_hash(new)
    digest = mschapv2.challenge_hash(change.challenge, challenge, user)
    proven = hmac.compare_digest(mschapv2.nt_response(new_hash, digest), change.proof)
    if not proven or decrypt_hash(change.old_hash, new_hash) != old_hash or len(new) < LEAST:
        return None
    accounts.passwords[user] = new
    accounts.expired.discard(user)
    return new_hash


class Md5Server:
    """EAP-MD5 (RFC 3748 section 5.4)."""

    TYPE: ClassVar[EapType] = EapType.MD5

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        self._password = accounts.passwords.get(identity)
        self._challenge = rng(16)
        self.msk: Secret | None = None

    def begin(self, identifier: int) -> bytes:
        """The challenge, its size in front."""
        return bytes([len(self._challenge)]) + self._challenge

    def judge(self, response: EapPacket, identifier: int) -> Outcome:
        """The digest is right or not."""
        if self._password is None:
            return Outcome.FAILURE
        wanted = md5_digest(response.identifier, self._password, self._challenge)
        right = hmac.compare_digest(pull_md5(response.data), wanted)
        return Outcome.SUCCESS if right else Outcome.FAILURE


class GtcServer:
    """EAP-GTC (RFC 3748 section 5.6): the password, and the user's code where there is one."""

    TYPE: ClassVar[EapType] = EapType.GTC

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        password, code = accounts.passwords.get(identity), accounts.codes.get(identity)
        self._wanted = [wanted for wanted in (password, code) if wanted is not None]
        self._known = bool(self._wanted)
        self.msk: Secret | None = None

    def begin(self, identifier: int) -> bytes:
        """Ask for the password."""
        return b"Password: "

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        """The next question, or the end."""
        if not self._wanted or Secret(response.data) != self._wanted.pop(0):
            return Outcome.FAILURE
        return b"Code of your token: " if self._wanted else Outcome.SUCCESS


class OtpServer:
    """EAP-OTP (RFC 3748 section 5.5): a challenge, and the code that the user's calculator makes of it."""

    TYPE: ClassVar[EapType] = EapType.OTP

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        self._code = accounts.codes.get(identity)
        self.msk: Secret | None = None

    def begin(self, identifier: int) -> bytes:
        """A challenge in the form of RFC 2289."""
        return b"otp-sha1 487 lab4711"

    def judge(self, response: EapPacket, identifier: int) -> Outcome:
        """The code is right or not."""
        right = self._code is not None and Secret(response.data) == self._code
        return Outcome.SUCCESS if right else Outcome.FAILURE


def _tls_server(kind: EapType, accounts: Accounts, identity: str, rng: Rng) -> ServerMethod:
    from . import eap_tls  # OpenSSL is loaded for those who need it

    servers = {
        server.TYPE: server for server in (eap_tls.EapTlsServer, eap_tls.TtlsServer, eap_tls.PeapServer)
    }
    return servers[kind](accounts, identity, rng)


SERVERS: Mapping[EapType, Callable[[Accounts, str, Rng], ServerMethod]] = {
    EapType.MD5: Md5Server,
    EapType.OTP: OtpServer,
    EapType.GTC: GtcServer,
    EapType.MSCHAPV2: Mschapv2Server,
    EapType.AKA: AkaServer,
    EapType.AKA_PRIME: AkaPrimeServer,
    EapType.TLS: partial(_tls_server, EapType.TLS),
    EapType.TTLS: partial(_tls_server, EapType.TTLS),
    EapType.PEAP: partial(_tls_server, EapType.PEAP),
}
