"""The EAP rounds of IKE_AUTH and the AUTH that binds them (RFC 7296 section 2.16).

By the time that this module runs, the gateway has been authenticated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

from ..authentication import check_shared_key, shared_key_auth
from ..core import Core
from ..eap.method import Ask, EapFailed
from ..eap.methods import METHODS
from ..eap.peer import EapPeer
from ..errors import AuthenticationFailed
from ..events import Kind
from ..keys import Secret
from ..message import Message
from ..options import CertProof, EapLogin, Proof
from ..payloads import Authentication, Eap, Payload
from ..refusal import Refusal
from ..registry import AuthMethod, ExchangeType
from ..sa import IkeSa
from .login import Login, complete, refuse_errors

MAX_ROUNDS = 50  # a dialogue that goes on longer leads nowhere


class EapRound:
    """One EAP response, on the way to the next EAP request."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.IKE_AUTH

    def __init__(self, core: Core, login: Login) -> None:
        if not isinstance(core.config.login, EapLogin):
            raise AssertionError("EAP without an EAP login")
        self.login = login
        self.peer = EapPeer(_fitting(core.config.login, core.config.proof), core.rng, core.wall)
        self.response = b""
        self.rounds = 0

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
        """The user has answered what the gateway asked for."""
        self._go_on(core, sa, lambda: self.peer.resume(answer), now)

    def _go_on(self, core: Core, sa: IkeSa, turn: Callable[[], bytes | Ask | None], now: float) -> None:
        match self._outcome(core, turn):
            case Ask(kind, prompt):
                core.ask(self, sa, kind, prompt, now)
            case bytes(response):
                self.response = response
                core.begin(self, sa, first=True)
            case None:
                core.begin(FinalAuth(self.login, self.peer.msk), sa, first=True)

    def _outcome(self, core: Core, turn: Callable[[], bytes | Ask | None]) -> bytes | Ask | None:
        try:
            return turn()
        except EapFailed as failure:
            if failure.last_words is None:
                raise
            core.verdict = failure
            return failure.last_words


def _fitting(login: EapLogin, proof: Proof) -> EapLogin:
    """The login without methods that hand the password to whom only a shared key has proven."""
    if isinstance(proof, CertProof):
        return login
    methods = tuple(method for method in login.methods if METHODS[method].keyed)
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
        """# --> IKE_AUTH { AUTH }."""
        mac = shared_key_auth(sa.suite.prf, self.shared_key or sa.keys.pi, self.login.octets(sa))
        return (Authentication(AuthMethod.SHARED_KEY_MIC, mac),)

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- IKE_AUTH { AUTH, [CP,] SA, TSi, TSr }."""
        refuse_errors(response)
        auth = response.first(Authentication)
        if auth is None:
            raise Refusal(Kind.TRUST_NO_PROOF, "the gateway's last answer lacks AUTH")
        try:
            check_shared_key(
                auth, sa.suite.prf, self.shared_key or sa.keys.pr, self.login.responder_octets(sa)
            )
        except AuthenticationFailed:
            raise Refusal(
                Kind.TRUST_NO_PROOF, "the gateway's AUTH is not bound to the EAP dialogue"
            ) from None
        complete(core, sa, self.login, response, now)
