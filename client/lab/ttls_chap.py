"""The server's side of MS-CHAPv2 inside TTLS without EAP around it (RFC 5281 section 11.2.4)."""

from __future__ import annotations

import hmac

from ..ike.buffer import Reader
from ..ike.eap import mschapv2
from ..ike.eap.avp import MICROSOFT, Avp, MicrosoftCode
from ..ike.eap.mschap_errors import EXPIRED, NOT_CHANGED, push_error
from ..ike.eap.password_change import Change
from ..ike.events import Rng
from ..ike.keys import Secret
from .accounts import Accounts
from .eap_methods import change_password


class Chap:
    """One run; `accepted` and `waits` say how it stands after each `judge`."""

    def __init__(self, accounts: Accounts, user: str, challenge: bytes, identifier: int, rng: Rng) -> None:
        self._accounts = accounts
        self._user = user
        self._challenge = challenge
        self._identifier = identifier
        self._rng = rng
        self.accepted = False
        self.waits = False  # for a new password

    def judge(self, avps: tuple[Avp, ...]) -> bytes:
        """MS-CHAP2-Success, or MS-CHAP-Error."""
        found = {avp.code: avp.data for avp in avps if avp.vendor == MICROSOFT}
        if found.get(MicrosoftCode.CHAP_CHALLENGE) != self._challenge:
            return self._refuse(self._accounts.error)
        if self.waits:
            parts = [avp.data for avp in avps if avp.code == MicrosoftCode.CHAP_NT_ENC_PW]
            return self._change(parts, found.get(MicrosoftCode.CHAP2_CPW, b""))
        return self._check(found.get(MicrosoftCode.CHAP2_RESPONSE, b""))

    def _check(self, response: bytes) -> bytes:
        reader = Reader(response)
        is_ours = reader.uint(1) == self._identifier
        reader.take(1)
        mine = reader.take(mschapv2.CHALLENGE_SIZE)
        reader.take(8)
        password = self._accounts.passwords.get(self._user)
        password_hash = mschapv2.nt_hash(password or Secret(self._rng(16)))
        proof = mschapv2.nt_response(password_hash, self._digest(mine))
        if password is None or not is_ours or not hmac.compare_digest(proof, reader.rest()):
            return self._refuse(self._accounts.error)
        if self._user in self._accounts.expired:
            return self._refuse(EXPIRED)
        return self._accept(password_hash, proof, mine)

    def _change(self, parts: list[bytes], change: bytes) -> bytes:
        sent = Change.pull_attributes(parts, change)
        password_hash = change_password(self._accounts, self._user, sent, self._challenge)
        if password_hash is None or change[1] != self._identifier:
            return self._refuse(NOT_CHANGED)
        return self._accept(password_hash, sent.proof, sent.challenge)

    def _digest(self, mine: bytes) -> bytes:
        return mschapv2.challenge_hash(mine, self._challenge, self._user)

    def _refuse(self, code: int) -> bytes:
        """With a new challenge and identifier."""
        self.waits = code == EXPIRED
        self._challenge, (self._identifier,) = self._rng(mschapv2.CHALLENGE_SIZE), self._rng(1)
        error = push_error(self._challenge, code, retry=self._accounts.retries)
        return Avp(MicrosoftCode.CHAP_ERROR, bytes([self._identifier]) + error, MICROSOFT).push()

    def _accept(self, password_hash: Secret, proof: bytes, mine: bytes) -> bytes:
        self.accepted, self.waits = True, False
        success = mschapv2.authenticator_response(password_hash, proof, self._digest(mine))
        data = bytes([self._identifier]) + b"S=" + success
        return Avp(MicrosoftCode.CHAP2_SUCCESS, data, MICROSOFT).push()
