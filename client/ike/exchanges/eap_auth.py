"""What follows the first answer in IKE_AUTH: EAP, the AUTH that binds it (RFC 7296 section 2.16), further rounds.

By the time that this module runs, the gateway has been authenticated, unless it is to prove itself by EAP alone.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from ..authentication import check_shared_key, shared_key_auth
from ..core import UNANSWERED_QUESTION, Core
from ..eap.method import Ask, EapFailed
from ..eap.methods import METHODS
from ..eap.peer import EapPeer
from ..errors import AuthenticationFailed
from ..events import AnswerKind, AnswerNeeded, Kind, Remark, SecretReplaced
from ..keys import Secret
from ..message import Message
from ..options import CertProof, EapLogin, EapProof, Proof, PskProof
from ..payloads import Authentication, Eap, IdInitiator, Payload
from ..refusal import Refusal
from ..registry import AuthMethod, ExchangeType
from ..sa import IkeSa
from .login import (
    Login,
    another_follows,
    complete,
    own_auth,
    own_certificates,
    prove,
    refuse_errors,
    settle,
    take_signature,
)
from .sa_init import Handshake

MAX_ROUNDS = 50  # a dialogue that goes on longer leads nowhere


class EapRound:
    """One EAP response, on the way to the next EAP request."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.IKE_AUTH

    def __init__(self, core: Core, login: Login) -> None:
        if not isinstance(login.by, EapLogin):
            raise AssertionError("EAP without an EAP login")
        self.login = login
        self.peer = EapPeer(_fitting(login.by, core.config.proof), core.rng, core.wall)
        self.response = b""
        self.rounds = 0
        self.password = login.by.password  # what was tried last
        self.new_password: Secret | None = None
        self.asked: Ask | None = None

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> IKE_AUTH { EAP }."""
        return (Eap(self.response),)

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- IKE_AUTH { EAP }."""
        if core.verdict is not None:
            raise core.verdict  # whatever the gateway says to our last words
        refuse_errors(response)
        packet = response.first(Eap)
        if packet is None or self.rounds >= MAX_ROUNDS:
            raise Refusal(Kind.PEER_PROTOCOL, "the gateway broke off the EAP dialogue")
        self.take(core, sa, packet, now)

    def take(self, core: Core, sa: IkeSa, packet: Eap, now: float) -> None:
        """The gateway's next EAP packet."""
        self.rounds += 1
        self._go_on(core, sa, lambda: self.peer.handle(packet.packet), now)

    def resume(self, core: Core, sa: IkeSa, answer: Secret, now: float) -> None:
        """The user has answered what the gateway asked for.

        Another password counts from now, whatever becomes of it: the one before was refused.
        """
        if self.asked is not None and self.asked.kind is AnswerKind.NEW_PASSWORD:
            self.new_password = answer
        elif self.asked is not None and self.asked.refusal is not None:
            self._replace_password(core, answer)
            self.password = answer
        self._go_on(core, sa, lambda: self.peer.resume(answer), now)

    def last_words(self) -> bytes:
        """What to leave with where the user gives no other password in place of a refused one; may be empty."""
        if self.asked is None or self.asked.refusal is None:
            return b""
        try:
            self.peer.resume(Secret(b""))  # which no method takes for a password
        except EapFailed as failure:
            return failure.last_words or b""
        raise AssertionError("an empty password was taken")

    def _go_on(self, core: Core, sa: IkeSa, turn: Callable[[], bytes | Ask | None], now: float) -> None:
        match self._outcome(core, turn):
            case Ask() as ask:
                self._ask(core, sa, ask, now)
            case bytes(response):
                self._keep_new_password(core)
                core.password_left = self.peer.has_shown
                self.response = response
                core.begin(self, sa, first=True)
            case None:
                self._keep_new_password(core)
                core.password_left = False  # it was right
                for text in self.peer.remarks:
                    core.emit(Remark(text))
                core.begin(FinalAuth(self.login, self.peer.msk), sa, first=True)

    def _ask(self, core: Core, sa: IkeSa, ask: Ask, now: float) -> None:
        self.asked = ask
        refused = None if ask.refusal is None else ask.refusal.failure
        needed = AnswerNeeded(ask.kind, ask.prompt, ask.signature, ask.challenge)
        core.ask(self, sa, needed, now, refused or UNANSWERED_QUESTION)

    def _keep_new_password(self, core: Core) -> None:
        """The server has proven that it has the new one: that counts, even if the login goes no further."""
        if self.new_password is not None and self.peer.is_ready:
            self._replace_password(core, self.new_password)
            self.new_password = None

    def _replace_password(self, core: Core, now: Secret) -> None:
        was = self.password
        if isinstance(was, Secret) and was != now:
            core.emit(SecretReplaced(was, now))

    def _outcome(self, core: Core, turn: Callable[[], bytes | Ask | None]) -> bytes | Ask | None:
        try:
            return turn()
        except EapFailed as failure:
            if failure.last_words is None or failure.in_passing:
                raise
            core.verdict = failure
            return failure.last_words


def _fitting(login: EapLogin, proof: Proof) -> EapLogin:
    """The login without methods that the gateway's own proof is too weak for.

    Behind a shared key, which its other owners know too, no password goes out in a form that needs no breaking;
    without any proof only a method will do that proves the server itself (RFC 5998 section 4).
    """
    match proof:
        case CertProof():
            return login
        case PskProof():
            methods = tuple(method for method in login.methods if METHODS[method].keyed)
        case EapProof():
            methods = tuple(method for method in login.methods if METHODS[method].mutual)
    if not methods:
        raise Refusal(Kind.AUTH_METHOD, "this EAP method needs a gateway that shows a certificate")
    return replace(login, methods=methods)


class FinalAuth:
    """Both AUTH payloads made with the key that EAP derived; without one, with SK_pi and SK_pr (A7)."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.IKE_AUTH

    def __init__(self, login: Login, shared_key: Secret | None) -> None:
        self.login = login
        self.shared_key = shared_key

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> IKE_AUTH { AUTH, [N(ANOTHER_AUTH_FOLLOWS)] }."""
        if self.shared_key is None and core.opening is not None:
            raise Refusal(Kind.TRUST_NO_PROOF, "the gateway has proven itself neither before EAP nor by it")
        mac = shared_key_auth(sa.suite.prf, self.shared_key or sa.keys.pi, self.login.octets(sa))
        return (Authentication(AuthMethod.SHARED_KEY_MIC, mac), *another_follows(self.login))

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- IKE_AUTH { AUTH, [CP,] SA, TSi, TSr }, the last three only after the last round."""
        refuse_errors(response)
        auth = response.first(Authentication)
        if auth is None:
            raise Refusal(Kind.TRUST_NO_PROOF, "the gateway's last answer lacks AUTH")
        if not any(self._fits(sa, auth, handshake) for handshake in tuple(self.login.handshakes)):
            raise Refusal(Kind.TRUST_NO_PROOF, "the gateway's AUTH is not bound to the EAP dialogue")
        if core.opening is not None:  # this is the proof that it owed us (RFC 5998)
            settle(core, self.login)
        go_on(core, sa, self.login, response, now)

    def _fits(self, sa: IkeSa, auth: Authentication, handshake: Handshake) -> bool:
        """Whether the gateway sent the response of this handshake: AUTH covers it."""
        self.login.handshake = handshake
        try:
            check_shared_key(
                auth, sa.suite.prf, self.shared_key or sa.keys.pr, self.login.responder_octets(sa)
            )
        except AuthenticationFailed:
            return False
        return True


class NextRound:
    """A further round (RFC 4739): our identity again, or another one, and what proves it."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.IKE_AUTH

    def __init__(self, login: Login) -> None:
        first, login.further = login.further[0], login.further[1:]
        self.identity = IdInitiator(*first.identity.payload_fields())
        login.by, login.id_body = first.login, self.identity.body
        login.auth = None
        self.login = login

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...] | None:
        """# --> IKE_AUTH { IDi, [CERT+,] [AUTH,] [N(ANOTHER_AUTH_FOLLOWS)] }."""
        if not prove(core, self, sa, self.login, now):
            return None
        return (self.identity, *own_certificates(self.login), *own_auth(self.login))

    def resume(self, core: Core, sa: IkeSa, answer: Secret, now: float) -> None:
        """Our key's holder has signed."""
        take_signature(core, self, sa, self.login, answer)

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- IKE_AUTH { EAP } or { [CP,] SA, TSi, TSr }."""
        refuse_errors(response)
        take_answer(core, sa, self.login, response, now)


def take_answer(core: Core, sa: IkeSa, login: Login, response: Message, now: float) -> None:
    """Begin EAP where this round is by EAP; otherwise the round is over."""
    if not isinstance(login.by, EapLogin):
        go_on(core, sa, login, response, now)
        return
    request = response.first(Eap)
    if request is None:
        raise Refusal(Kind.AUTH_METHOD, "the gateway does not ask for a login by EAP")
    EapRound(core, login).take(core, sa, request, now)


def go_on(core: Core, sa: IkeSa, login: Login, response: Message, now: float) -> None:
    """After one round the next one, after the last one the tunnel."""
    if login.further:
        core.begin(NextRound(login), sa, first=True)
    else:
        complete(core, sa, login, response, now)
