"""The EAP peer inside IKE_AUTH: order of the dialogue, Identity, Notification, Nak, and one method.

The IKE layer is reliable and ordered, so there is no EAP timer (RFC 7296 section 2.16).  The caller must have
verified the gateway's certificate before it hands over the first packet: a response is a gift to an impostor.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from ..buffer import Reader
from ..events import Kind, Rng
from ..keys import Secret
from ..options import EapLogin, Inner
from ..registry import EapCode, EapType
from .identity import identity_response, notification_text
from .method import Ask, EapFailed, Method, Remarking, Tunnel
from .methods import METHODS
from .packet import EapPacket, name_of

T = TypeVar("T")

UNKNOWN_DATE = datetime(1970, 1, 1, tzinfo=UTC)  # no certificate is valid yet
_WITHOUT_PASSWORD = (EapType.TLS, EapType.AKA, EapType.AKA_PRIME)
_ALIKE = (
    "A wrong password, an expired one and a locked account look alike here: check the password elsewhere before "
    "you try often. 'roam up NAME --ask' asks for it again, stored or not."
)
_TELLING = (
    'With inner = ["eap-mschapv2"] many servers say which it is, and let an expired password be changed.'
)
ROUNDS = 100  # requests that we answer in one dialogue; a TLS method with a long chain needs about 20


class EapPeer:
    """One EAP dialogue.  Getters are nouns; `handle` takes packets, `resume` the user's answer to an `Ask`.

    `wall` is the time by which certificates inside EAP are judged.
    """

    def __init__(self, login: EapLogin, rng: Rng, wall: datetime = UNKNOWN_DATE) -> None:
        self._login = login
        self._rng = rng
        self._wall = wall
        self._method: Method | None = None
        self._refused: set[bytes] = set()  # type data by which a refused method is known
        self._last: tuple[bytes, bytes] | None = None  # request and our response to it
        self._asked: tuple[bytes, EapPacket, Ask] | None = None  # the request that waits for the user
        self._rounds = 0
        self._finished = False
        self._notices: list[str] = []

    @property
    def finished(self) -> bool:
        """True after an EAP-Success that the method agrees with."""
        return self._finished

    @property
    def is_ready(self) -> bool:
        """Whether the method agrees to an EAP-Success, now or already."""
        return self._method is not None and self._method.is_done

    @property
    def has_shown(self) -> bool:
        """Whether a password, or what derives from one, may have left: inside TLS, as soon as that stands."""
        if self._method is None or self._method.TYPE in _WITHOUT_PASSWORD:
            return False
        return self._method.is_open if isinstance(self._method, Tunnel) else True

    @property
    def msk(self) -> Secret | None:
        """The shared secret of both last AUTH payloads, 64 octets; None unless finished, or without a key."""
        if not self._finished or self._method is None or self._method.msk is None:
            return None
        return Secret(self._method.msk.reveal()[:64])

    @property
    def notices(self) -> tuple[str, ...]:
        """What the server wants the user to read (RFC 3748 section 5.2), without control characters."""
        return tuple(self._notices)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know of a login that has gone well."""
        said = tuple(f"the login server says: {text}" for text in self._notices)
        own = self._method.remark if isinstance(self._method, Remarking) else ""
        return (*said, own) if own else said

    def handle(self, packet: bytes) -> bytes | Ask | None:
        """The response to a request, a question to the user, or None after Success.

        Raises `EapFailed` when the dialogue is over without success, its last words being a response packet, and
        `ProtocolError` for what is no EAP.
        """
        parsed = EapPacket.pull(packet)
        if self._finished:
            raise EapFailed(Kind.PEER_PROTOCOL, "an EAP packet after EAP-Success")
        match parsed.code:
            case EapCode.REQUEST:
                return self._respond(packet, parsed)
            case EapCode.SUCCESS:
                self._conclude()
                return None
            case EapCode.FAILURE:
                raise self._refusal()
            case EapCode.RESPONSE:
                raise EapFailed(Kind.PEER_PROTOCOL, "an EAP response where a request is due")

    def resume(self, answer: Secret) -> bytes | Ask:
        """The response to the request that `handle` asked the user about."""
        if self._asked is None:
            raise AssertionError("nobody was asked")
        (packet, request, ask), self._asked = self._asked, None
        outcome = _attempt(request, lambda: ask.resume(answer))
        return self._finish_response(packet, request, request.type or 0, outcome)

    def _respond(self, packet: bytes, request: EapPacket) -> bytes | Ask:
        self._rounds += 1
        if self._rounds > ROUNDS:
            raise EapFailed(Kind.PEER_PROTOCOL, f"more than {ROUNDS} EAP requests")
        # A repetition gets the same octets and is not processed again (RFC 3748 section 4.1).
        if self._last is not None and self._last[0] == packet:
            return self._last[1]
        if self._asked is not None:
            raise EapFailed(Kind.PEER_PROTOCOL, "an EAP request before the last one was answered")
        return self._finish_response(packet, request, *_attempt(request, lambda: self._answer(request)))

    def _finish_response(
        self, packet: bytes, request: EapPacket, kind: int, answer: bytes | Ask
    ) -> bytes | Ask:
        if isinstance(answer, Ask):
            self._asked = (packet, request, answer)
            return answer
        response = EapPacket(EapCode.RESPONSE, request.identifier, kind, answer).push()
        self._last = (packet, response)
        return response

    def _answer(self, request: EapPacket) -> tuple[int, bytes | Ask]:
        """Type and type data of the response."""
        match request.type:
            case EapType.NOTIFICATION:
                self._notices = [*self._notices, notification_text(request.data)][-8:]
                return EapType.NOTIFICATION, b""
            case EapType.IDENTITY if self._method is None:
                return EapType.IDENTITY, identity_response(self._login.name_outside)
            case _:
                return self._answer_method(request)

    def _answer_method(self, request: EapPacket) -> tuple[int, bytes | Ask]:
        """Once a method has begun there is no other (RFC 3748 section 2.1), so no Nak after it either."""
        if self._method is not None and request.type != self._method.TYPE:
            raise EapFailed(
                Kind.PEER_PROTOCOL,
                f"{name_of(request.type or 0)} requested in the middle of {name_of(self._method.TYPE)}",
            )
        if self._method is not None:
            return self._method.TYPE, self._method.answer(request)
        method = self._wanted(request.type)
        if method is None:
            return self._nak(request)
        answer = method.answer(request)
        self._method = method
        return method.TYPE, answer

    def _wanted(self, method: int | None) -> Method | None:
        """A run of the method, None where the login does not allow it."""
        allowed = [wanted for wanted in self._login.methods if wanted == method]
        return METHODS[allowed[0]].make(self._login, self._rng, self._wall) if allowed else None

    def _nak(self, request: EapPacket) -> tuple[int, bytes]:
        """Name the methods that we want instead (RFC 3748 section 5.3), once for each that we do not."""
        expanded = request.type == EapType.EXPANDED
        mark = bytes([request.type or 0]) + (Reader(request.data).take(7) if expanded else b"")
        if mark in self._refused:
            raise self._no_common_method(request)
        self._refused.add(mark)
        if not expanded:
            return EapType.NAK, bytes(self._login.methods)
        return EapType.EXPANDED, _expanded(EapType.NAK) + b"".join(
            bytes([EapType.EXPANDED]) + _expanded(method) for method in self._login.methods
        )

    def _no_common_method(self, request: EapPacket) -> EapFailed:
        wanted = ", ".join(name_of(method) for method in self._login.methods)
        return EapFailed(
            Kind.AUTH_METHOD,
            f"the gateway insists on {name_of(request.type or 0)}, the profile allows {wanted}",
        )

    def _conclude(self) -> None:
        """EAP-Success counts only after the method has succeeded by its own rules (RFC 3748 section 4.2)."""
        if not self.is_ready:
            raise EapFailed(Kind.PEER_PROTOCOL, "EAP-Success before the method was done")
        self._finished = True

    def _refusal(self) -> EapFailed:
        """What an EAP-Failure means where it came."""
        if self._method is None and self._refused:
            wanted = ", ".join(name_of(method) for method in self._login.methods)
            return EapFailed(Kind.AUTH_METHOD, f"the gateway offers none of the EAP methods {wanted}")
        said = f"; the server says: {self._notices[-1]}" if self._notices else ""
        if self._method is None:
            return EapFailed(Kind.AUTH_REJECTED, f"the gateway refuses the identity (EAP-Failure){said}")
        ended = f"EAP-Failure during {name_of(self._method.TYPE)}{said}"
        evidence = ended if said else f"the server refuses the login without a reason ({ended})"
        return EapFailed(Kind.AUTH_REJECTED, evidence, hint=self._advice(self._method.TYPE))

    def _advice(self, method: EapType) -> str:
        """What to do after a refusal without a reason; empty where the kind says all."""
        options = self._login.tls
        is_by_certificate = options is not None and options.inner == (Inner.EAP_TLS,)
        if method in _WITHOUT_PASSWORD or is_by_certificate:
            return ""
        if method is EapType.TTLS and options is not None and options.inner[0] is Inner.MSCHAPV2:
            return f"{_ALIKE} {_TELLING}"
        return _ALIKE


def _attempt(request: EapPacket, step: Callable[[], T]) -> T:
    """The outcome of a step; where it fails with last words, they become a response."""
    try:
        return step()
    except EapFailed as failure:
        kind = request.type or 0
        raise failure.saying(
            lambda words: EapPacket(EapCode.RESPONSE, request.identifier, kind, words).push()
        ) from None


def _expanded(method: int) -> bytes:
    """Vendor (0 is the IETF) and vendor type of an expanded type (RFC 3748 section 5.7)."""
    return bytes(3) + method.to_bytes(4)
