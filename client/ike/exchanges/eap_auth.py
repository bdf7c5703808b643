"""The EAP rounds of IKE_AUTH and the AUTH that binds them (RFC 7296 section 2.16).

By the time that this module runs, the gateway has been authenticated.
"""

from __future__ import annotations

from typing import ClassVar

from ..authentication import check_shared_key, shared_key_auth
from ..core import Core
from ..eap.peer import EapPeer
from ..errors import AuthenticationFailed
from ..events import Kind
from ..keys import Secret
from ..message import Message
from ..options import EapLogin
from ..payloads import Authentication, Eap, Payload
from ..refusal import Refusal
from ..registry import AuthMethod, ExchangeType
from ..sa import IkeSa
from .login import Login, complete, refuse_errors

MAX_ROUNDS = 50  # a dialogue that goes on longer leads nowhere


class EapRound:
    """One EAP response, on the way to the next EAP request."""

    TYPE: ClassVar[ExchangeType] = ExchangeType.IKE_AUTH

    def __init__(self, core: Core, login: Login, request: bytes) -> None:
        if not isinstance(core.config.login, EapLogin):
            raise AssertionError("EAP without an EAP login")
        self.login = login
        self.peer = EapPeer(core.config.login, core.rng)
        self.answer = self._answer(request)
        self.rounds = 1

    def build(self, core: Core, sa: IkeSa, now: float) -> tuple[Payload, ...]:
        """# --> IKE_AUTH { EAP }."""
        return (Eap(self.answer),)

    def process(self, core: Core, sa: IkeSa, response: Message, now: float) -> None:
        """# <-- IKE_AUTH { EAP }."""
        refuse_errors(response)
        packet = response.first(Eap)
        if packet is None or self.rounds >= MAX_ROUNDS:
            raise Refusal(Kind.PEER_PROTOCOL, "the gateway broke off the EAP dialogue")
        self.rounds += 1
        answer = self.peer.handle(packet.packet)
        if answer is None:
            core.begin(FinalAuth(self.login, self._shared_key(sa)), sa, first=True)
            return
        self.answer = answer
        core.begin(self, sa, first=True)

    def _answer(self, request: bytes) -> bytes:
        answer = self.peer.handle(request)
        if answer is None:
            raise Refusal(Kind.AUTH_METHOD, "the gateway ended EAP before it began")
        return answer

    def _shared_key(self, sa: IkeSa) -> Secret | None:
        if not self.peer.finished:
            raise Refusal(Kind.AUTH_METHOD, "the EAP dialogue did not finish")
        return self.peer.msk


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
