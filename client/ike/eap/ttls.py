"""EAP-TTLS version 0 (RFC 5281): the server shows a certificate, we a password, inside TLS.

    inner method       we say                          the server says                we say
    PAP                name, password
    MSCHAPv2           name, challenge, response       MS-CHAP2-Success               nothing
                                                    or MS-CHAP-Error, E=648           the change of the password
    EAP-…              EAP: identity                   EAP: request …                 EAP: response …

afterwards EAP-Success.  Nothing binds the inner method to TLS (section 14.1.1), so all rests on the server's
certificate, which `tls.py` has verified before this module says a word.
"""

from __future__ import annotations

import hmac
from datetime import datetime
from typing import ClassVar, Protocol

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax
from ..events import AnswerKind, Kind, Rng
from ..keys import Secret
from ..options import EapLogin, Inner
from ..registry import EapType
from .avp import MICROSOFT, Avp, AvpCode, MicrosoftCode, pull_avps
from .inner import InnerEap
from .method import Ask, EapFailed, then
from .methods import password_of
from .mschap_errors import MschapError
from .mschapv2 import (
    CHALLENGE_SIZE,
    WORDS_FOR_NEW,
    Response,
    authenticator_response,
    challenge_hash,
    change_of,
    nt_hash,
    nt_response,
    pull_success,
)
from .tls_method import Tls, TlsMethod

_CHALLENGE_LABEL = (
    b"ttls challenge"  # RFC 5281 section 11.1; without context in TLS 1.3 too (RFC 9427 section 2.5)
)
_PASSWORD_BLOCK = 16  # RFC 5281 section 11.2.5


class Phase2(Protocol):
    """What authenticates us inside."""

    @property
    def is_done(self) -> bool:
        """Whether an EAP-Success may come now."""
        ...

    def begin(self, tls: Tls) -> bytes | Ask:
        """The first AVPs."""
        ...

    def reply(self, avps: tuple[Avp, ...]) -> bytes | Ask:
        """The AVPs in answer, possibly none."""
        ...


class Ttls(TlsMethod):
    """One run."""

    TYPE: ClassVar[EapType] = EapType.TTLS

    def __init__(self, login: EapLogin, rng: Rng, wall: datetime) -> None:
        super().__init__(login, rng, wall)
        self._phase2 = _phase2(login, self._options.inner, rng, wall)

    @property
    def is_open(self) -> bool:
        """From the establishment of TLS on."""
        return self._begun

    @property
    def is_done(self) -> bool:
        """When the inner method is, by its own rules."""
        return self._begun and self._phase2.is_done

    def _begin(self) -> bytes | Ask:
        return self._phase2.begin(self._tls)

    def _reply(self, plaintext: bytes) -> bytes | Ask:
        avps = pull_avps(plaintext)
        for avp in avps:
            if avp.mandatory and (avp.vendor, avp.code) not in _KNOWN:
                raise EapFailed(
                    Kind.PEER_PROTOCOL, f"the server insists on an unknown AVP {avp.code} in EAP-TTLS"
                )
        return self._phase2.reply(avps)


_KNOWN = {
    (0, AvpCode.REPLY_MESSAGE),
    (0, AvpCode.EAP_MESSAGE),
    (MICROSOFT, MicrosoftCode.CHAP_ERROR),
    (MICROSOFT, MicrosoftCode.CHAP2_SUCCESS),
}


def _phase2(login: EapLogin, inner: tuple[Inner, ...], rng: Rng, wall: datetime) -> Phase2:
    """The client chooses: the first in the profile, and of EAP methods all, which the server then asks for."""
    match inner[0]:
        case Inner.PAP:
            return _Pap(login)
        case Inner.MSCHAPV2:
            return _Mschapv2(login, rng)
        case _:
            return _Eap(login, tuple(word for word in inner if word is not Inner.MSCHAPV2), rng, wall)


class _Pap:
    """The password itself (section 11.2.5)."""

    def __init__(self, login: EapLogin) -> None:
        self._login = login
        self.is_done = False  # once said: the server answers with EAP-Success or EAP-Failure

    def begin(self, tls: Tls) -> bytes:
        password = password_of(self._login).reveal()
        self.is_done = True
        padded = password + bytes(-len(password) % _PASSWORD_BLOCK)
        return _user_name(self._login) + Avp(AvpCode.USER_PASSWORD, padded).push()

    def reply(self, avps: tuple[Avp, ...]) -> bytes:
        if any(avp.code != AvpCode.REPLY_MESSAGE for avp in avps):
            raise EapFailed(Kind.PEER_PROTOCOL, "AVPs after the password in EAP-TTLS")
        return b""


class _Mschapv2:
    """MS-CHAPv2 without EAP around it (section 11.2.4); the challenge comes out of TLS, which binds it."""

    def __init__(self, login: EapLogin, rng: Rng) -> None:
        self._login = login
        self._rng = rng
        self._hash = Secret(b"")
        self._identifier = 0
        self._authenticator = b""
        self._asked = False
        self.is_done = False

    def begin(self, tls: Tls) -> bytes:
        material = tls.export(_CHALLENGE_LABEL, CHALLENGE_SIZE + 1).reveal()
        challenge, self._identifier = material[:CHALLENGE_SIZE], material[CHALLENGE_SIZE]
        self._hash = nt_hash(password_of(self._login))
        proof = self._prove(challenge)
        writer = Writer().uint(self._identifier, 1).uint(0, 1).write(proof.challenge).write(bytes(8))
        return (
            _user_name(self._login)
            + _microsoft(MicrosoftCode.CHAP_CHALLENGE, challenge)
            + _microsoft(MicrosoftCode.CHAP2_RESPONSE, writer.write(proof.proof).bytes())
        )

    def reply(self, avps: tuple[Avp, ...]) -> bytes | Ask:
        if self.is_done:
            raise EapFailed(Kind.PEER_PROTOCOL, "AVPs after MS-CHAP2-Success in EAP-TTLS")
        for avp in avps:
            if avp.vendor == MICROSOFT and avp.code == MicrosoftCode.CHAP_ERROR:
                return self._fail(avp.data)
            if avp.vendor == MICROSOFT and avp.code == MicrosoftCode.CHAP2_SUCCESS:
                self._check(avp.data)
        return b""

    def _prove(self, challenge: bytes) -> Response:
        """Our proof for a challenge; the server's is expected to fit it."""
        mine = self._rng(CHALLENGE_SIZE)
        digest = challenge_hash(mine, challenge, self._login.identity)
        proof = nt_response(self._hash, digest)
        self._authenticator = authenticator_response(self._hash, proof, digest)
        return Response(mine, proof, self._login.identity)

    def _fail(self, data: bytes) -> Ask:
        """Ask for a new password where the old one has expired; any other refusal ends the dialogue, whatever R
        says: for a second try with another password TTLS has no AVPs."""
        identifier, error = data[0] if data else 0, MschapError.pull(data[1:])
        refusal, challenge = error.refusal().leaving_with(b""), error.challenge
        if self._asked or challenge is None or error.remedy is not AnswerKind.NEW_PASSWORD:
            raise refusal
        self._asked = True
        return Ask(
            AnswerKind.NEW_PASSWORD,
            WORDS_FOR_NEW,
            lambda said: self._change(identifier, challenge, said, refusal),
            refusal,
        )

    def _change(self, identifier: int, challenge: bytes, said: Secret, refusal: EapFailed) -> bytes:
        old, self._hash, self._identifier = self._hash, nt_hash(said), identifier
        if not len(said) or old == self._hash:
            raise refusal  # a refused password is never tried again
        change = change_of(said, old, self._prove(challenge), self._rng)
        parts, rest = change.push_attributes(identifier)
        return (
            b"".join(_microsoft(MicrosoftCode.CHAP_NT_ENC_PW, part) for part in parts)
            + _microsoft(MicrosoftCode.CHAP2_CPW, rest)
            + _microsoft(MicrosoftCode.CHAP_CHALLENGE, challenge)
        )

    def _check(self, data: bytes) -> None:
        reader = Reader(data)
        identifier, proof = reader.uint(1), pull_success(reader.rest())
        if identifier != self._identifier or not hmac.compare_digest(proof, self._authenticator):
            raise EapFailed(Kind.TRUST_NO_PROOF, "the server could not prove that it knows the password")
        self.is_done = True


class _Eap:
    """EAP packets, whole, each in one AVP (section 11.2.1)."""

    def __init__(self, login: EapLogin, words: tuple[Inner, ...], rng: Rng, wall: datetime) -> None:
        self._inner = InnerEap(login, words, rng, wall)

    @property
    def is_done(self) -> bool:
        return self._inner.is_done

    def begin(self, tls: Tls) -> bytes | Ask:
        return then(self._inner.identify, _eap_message)

    def reply(self, avps: tuple[Avp, ...]) -> bytes | Ask:
        packet = b"".join(avp.data for avp in avps if not avp.vendor and avp.code == AvpCode.EAP_MESSAGE)
        if not packet:
            raise InvalidSyntax("no EAP packet inside EAP-TTLS")
        return then(lambda: self._inner.answer(packet), _eap_message)


def _eap_message(packet: bytes) -> bytes:
    return Avp(AvpCode.EAP_MESSAGE, packet).push() if packet else b""


def _microsoft(code: MicrosoftCode, data: bytes) -> bytes:
    return Avp(code, data, MICROSOFT).push()


def _user_name(login: EapLogin) -> bytes:
    return Avp(AvpCode.USER_NAME, login.identity.encode()).push()
