"""The EAP server of the embedded gateway: Identity, then one of its methods (RFC 3748).

Pure like the peer that it talks to.  What does not fit its state ends in EAP-Failure, never in Success.
"""

from __future__ import annotations

from enum import Enum

from ..ike.eap.packet import EapPacket
from ..ike.errors import ProtocolError
from ..ike.events import Rng
from ..ike.keys import Secret
from ..ike.registry import EapCode, EapType
from .eap_methods import SERVERS, Accounts, Outcome, ServerMethod


class _State(Enum):
    """What the server waits for."""

    START = "nothing yet"
    IDENTITY = "the identity"
    FIRST = "the first answer to a method, or the wish for another one"
    METHOD = "answers of the method"
    SUCCEEDED = "nothing any more"
    FAILED = "nothing any more, in vain"


class EapServer:
    """One dialogue with one peer, by the first of `methods` that it agrees to."""

    def __init__(
        self, accounts: Accounts, rng: Rng, methods: tuple[EapType, ...] = (EapType.MSCHAPV2,)
    ) -> None:
        self._accounts = accounts
        self._rng = rng
        self._methods = methods
        self._method: ServerMethod | None = None
        self._state = _State.START
        self._identifier = rng(1)[0]
        self._identity: str | None = None

    @property
    def identity(self) -> str | None:
        """Who the peer says that it is; proven only once `succeeded`."""
        return self._identity

    @property
    def succeeded(self) -> bool:
        """True after EAP-Success."""
        return self._state is _State.SUCCEEDED

    @property
    def msk(self) -> Secret | None:
        """64 octets, None until success, and always for a method without a key."""
        return self._method.msk if self.succeeded and self._method is not None else None

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
                return self._begin(self._methods)
            case _State.FIRST, EapType.NAK if self._method is not None:
                refused = self._method.TYPE
                return self._begin(
                    tuple(kind for kind in self._methods if kind != refused and kind in response.data)
                )
            case ((_State.FIRST | _State.METHOD), kind) if (
                self._method is not None and kind == self._method.TYPE
            ):
                self._state = _State.METHOD
                return self._go_on(self._method, response)
            case _:
                return self._fail()

    def _begin(self, methods: tuple[EapType, ...]) -> bytes:
        if not methods:
            return self._fail()
        self._method = SERVERS[methods[0]](self._accounts, self._identity or "", self._rng)
        self._state = _State.FIRST
        self._count()
        return self._request(methods[0], self._method.begin(self._identifier))

    def _go_on(self, method: ServerMethod, response: EapPacket) -> bytes:
        outcome = method.judge(response, (self._identifier + 1) % 256)
        match outcome:
            case Outcome.SUCCESS:
                self._state = _State.SUCCEEDED
                return EapPacket(EapCode.SUCCESS, self._identifier).push()
            case Outcome.FAILURE:
                return self._fail()
            case bytes():
                self._count()
                return self._request(method.TYPE, outcome)

    def _count(self) -> None:
        self._identifier = (self._identifier + 1) % 256

    def _request(self, kind: EapType, data: bytes) -> bytes:
        return EapPacket(EapCode.REQUEST, self._identifier, kind, data).push()

    def _fail(self) -> bytes:
        self._state = _State.FAILED
        return EapPacket(EapCode.FAILURE, self._identifier).push()
