"""What EAP-TLS, EAP-TTLS and PEAP have in common: the handshake, and what follows when it goes wrong.

    server                                  peer
    Start                              -->
                                       <--  ClientHello
    ServerHello, Certificate, …        -->                    here the server is judged (`tls.py`)
                                       <--  Finished          and whatever the method says inside
    Finished, or more inside           -->
                                       <--  …                 afterwards EAP-Success

A server that is not trusted gets an alert and nothing else; it may say what it likes after that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import ClassVar, NoReturn, Protocol

from ..events import AnswerKind, Kind, Rng, SignatureWanted
from ..keys import Secret
from ..options import DistantIdentity, EapLogin, TlsOptions
from ..refusal import Refusal
from ..registry import EapType
from ..tls.client import DistantTls
from ..tls.faults import CLOSED, TlsFailed
from .method import Ask, EapFailed, then
from .packet import EapPacket, name_of
from .tls import TlsClient, TlsEnd
from .tls_framing import ACKNOWLEDGEMENT, Framing, TlsPacket

MSK_SIZE = 64
MATERIAL_SIZE = 2 * MSK_SIZE  # MSK and EMSK
_EXPORTER = b"EXPORTER_EAP_TLS_Key_Material"  # TLS 1.3: RFC 9190 section 2.3, RFC 9427 section 2
_LABEL = b"client EAP encryption"  # TLS 1.2: RFC 5216 section 2.3
_LABELS = {EapType.TTLS: b"ttls keying material"}  # RFC 5281 section 8

_REFUSALS = (
    "bad certificate",
    "unsupported certificate",
    "certificate revoked",
    "certificate expired",
    "certificate unknown",
    "certificate required",
    "unknown ca",
    "access denied",
    "decrypt error",
)
"""Alerts by which a server judges the certificate that we showed (RFC 8446 section 6.2)."""
_ENDS = (CLOSED, "access denied")
"""How a server ends TLS when it does not like what we said inside."""


class Tls(Protocol):
    """Our end of TLS, with a key in memory (`tls.TlsClient`) or with somebody else's (`DistantTls`)."""

    @property
    def established(self) -> bool: ...

    @property
    def closed(self) -> bool: ...

    @property
    def proven(self) -> bool: ...

    @property
    def refusal(self) -> Refusal | None: ...

    @property
    def remark(self) -> str: ...

    @property
    def is_1_3(self) -> bool: ...

    def receive(self, records: bytes) -> bytes: ...

    def send(self, plaintext: bytes) -> None: ...

    def take(self) -> bytes: ...

    def export(self, label: bytes, size: int, context: bytes | None = None) -> Secret: ...


class TlsMethod:
    """One run; subclasses say what happens inside."""

    TYPE: ClassVar[EapType]
    SHOWS_CERTIFICATE: ClassVar[bool] = False

    def __init__(self, login: EapLogin, rng: Rng, wall: datetime) -> None:
        self._options = options_of(login)
        self._tls = self._end(rng, wall)
        self._framing = Framing(self._options.fragment)
        self._started = False
        self._begun = False
        self._identifier = 0  # of the request under way

    def _end(self, rng: Rng, wall: datetime) -> Tls:
        trust, identity = self._options.trust, self._options.identity
        if not self.SHOWS_CERTIFICATE:
            return TlsClient(trust, wall, None)
        if isinstance(identity, DistantIdentity):
            return DistantTls(trust, wall, identity, rng)
        return TlsClient(trust, wall, identity)

    # What a subclass says

    @property
    def is_done(self) -> bool:
        """Whether an EAP-Success may come now."""
        raise NotImplementedError

    def _begin(self) -> bytes | Ask:
        """What to say inside as soon as the server is trusted."""
        return b""

    def _reply(self, plaintext: bytes) -> bytes | Ask:
        """What to answer inside; `EapFailed` and `ProtocolError` end the dialogue."""
        raise NotImplementedError

    # What the EAP peer asks

    @property
    def msk(self) -> Secret | None:
        """64 octets, once done."""
        return Secret(self._material().reveal()[:MSK_SIZE]) if self.is_done else None

    @property
    def remark(self) -> str:
        """What is not known of the login server, which is trusted all the same."""
        return self._tls.remark

    def answer(self, request: EapPacket) -> bytes | Ask:
        """The next part of the dialogue."""
        packet = TlsPacket.pull(request.data)
        self._identifier = request.identifier
        if packet.is_start == self._started:
            raise self._disorder("a second start" if self._started else "no start")
        if not self._started:
            self._started = True
            return self._take(b"")  # data beside the start is optional news that we have no use for
        if packet.version and self.TYPE is not EapType.TLS:
            raise EapFailed(
                Kind.AUTH_METHOD, f"the server insists on version {packet.version} of {name_of(self.TYPE)}"
            )
        if self._framing.is_sending:
            return self._framing.next_fragment() if packet.is_empty else self._interrupted(packet)
        message = self._framing.receive(packet)
        return ACKNOWLEDGEMENT if message is None else self._take(message)

    def _interrupted(self, packet: TlsPacket) -> NoReturn:
        """strongSwan refuses a certificate in the middle of our fragments, as soon as it has read that much."""
        try:
            self._tls.receive(self._framing.receive(packet) or b"")
        except TlsFailed as failure:
            raise EapFailed(*self._judged(failure), last_words=ACKNOWLEDGEMENT) from None
        raise self._disorder("no acknowledgement of a fragment")

    def _take(self, message: bytes) -> bytes | Ask:
        return self._go_on(lambda: self._tls.receive(message))

    def _go_on(self, turn: Callable[[], bytes]) -> bytes | Ask:
        try:
            plaintext = turn()
        except TlsFailed as failure:
            alert = self._framing.send(self._tls.take())
            raise EapFailed(*self._judged(failure), last_words=alert) from None
        if isinstance(self._tls, DistantTls) and self._tls.wanted is not None:
            return self._ask_holder(self._tls, self._tls.wanted)
        return then(lambda: self._say(plaintext), self._sealed)

    def _ask_holder(self, tls: DistantTls, wanted: SignatureWanted) -> Ask:
        """Nothing of our flight leaves before it is whole."""
        return Ask(
            AnswerKind.SIGNATURE,
            "",
            lambda answer: self._go_on(lambda: tls.resume(answer)),
            signature=wanted,
        )

    def _say(self, plaintext: bytes) -> bytes | Ask:
        if not self._tls.established:
            return b""
        if not self._tls.proven:
            raise EapFailed(Kind.TRUST_NO_PROOF, "the login server inside EAP has shown no certificate")
        if not self._begun:
            self._begun = True
            return then(self._begin, lambda first: first + self._reply_now(plaintext))
        return self._reply(plaintext) if plaintext else b""

    def _reply_now(self, plaintext: bytes) -> bytes:
        """TLS 1.3 lets the server speak before we have finished; nobody can be asked in between."""
        reply = self._reply(plaintext) if plaintext else b""
        if isinstance(reply, Ask):
            raise self._disorder("a question before the handshake was over")
        return reply

    def _sealed(self, plaintext: bytes) -> bytes:
        if plaintext:
            self._tls.send(plaintext)
        elif self._tls.closed:
            raise EapFailed(*self._judged(TlsFailed("")), last_words=ACKNOWLEDGEMENT)
        return self._framing.send(self._tls.take())

    def _material(self) -> Secret:
        return key_material(self._tls, self.TYPE)

    def _disorder(self, what: str) -> EapFailed:
        return EapFailed(Kind.PEER_PROTOCOL, f"{what} in {name_of(self.TYPE)}")

    def _judged(self, failure: TlsFailed) -> tuple[Kind, str]:
        """What the end of TLS means to the user."""
        refusal = self._tls.refusal
        if refusal is not None and refusal.failure is not None:
            return refusal.failure.kind, refusal.failure.evidence
        if failure.alert is None:
            return Kind.PEER_PROTOCOL, f"TLS inside {name_of(self.TYPE)}: {failure}"
        if self.SHOWS_CERTIFICATE and failure.alert in _REFUSALS:
            return Kind.AUTH_REJECTED, f"the login server refuses our certificate: {failure.alert}"
        if self._begun and failure.alert in _ENDS:
            return Kind.AUTH_REJECTED, f"the login server refuses the login inside {name_of(self.TYPE)}"
        return Kind.CRYPTO_NO_PROPOSAL, f"the login server ends TLS: {failure.alert}"


def key_material(tls: Tls | TlsEnd, method: EapType) -> Secret:
    """MSK and EMSK of TLS itself, as each version and method has them."""
    if tls.is_1_3:
        return tls.export(_EXPORTER, MATERIAL_SIZE, bytes([method]))
    return tls.export(_LABELS.get(method, _LABEL), MATERIAL_SIZE)


def options_of(login: EapLogin) -> TlsOptions:
    """What the profile says for TLS; whoever allows such a method has it."""
    if login.tls is None:
        raise AssertionError("an EAP method with TLS needs TlsOptions")
    return login.tls


class EapTls(TlsMethod):
    """EAP-TLS: both ends show certificates, and nothing is said inside.

    With TLS 1.3 the server commits itself by an octet of zero (RFC 9190 section 2.1.1); before that an EAP-Success
    counts for nothing.
    """

    TYPE: ClassVar[EapType] = EapType.TLS
    SHOWS_CERTIFICATE: ClassVar[bool] = True

    _committed = False

    @property
    def is_done(self) -> bool:
        """After the server's Finished, and its commitment in TLS 1.3."""
        return self._begun and (self._committed or not self._tls.is_1_3)

    def _reply(self, plaintext: bytes) -> bytes:
        if plaintext != b"\0" or not self._tls.is_1_3 or self._committed:
            raise self._disorder("application data")
        self._committed = True
        return b""
