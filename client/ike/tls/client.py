"""Our end of TLS with a private key that somebody else holds: octets in and out, and one family of errors."""

from __future__ import annotations

from datetime import datetime

from ..errors import ProtocolError
from ..events import Kind, Rng, SignatureWanted
from ..inquest import Memory
from ..keys import Secret
from ..options import DistantIdentity
from ..refusal import Refusal
from ..trust import Trust
from . import flight12, flight13
from .dialogue import Agreed, Awaited, Dialogue, Steps
from .faults import CLOSED, Alert, Fault, TlsFailed, name_of
from .messages import (
    HEADER_SIZE,
    LARGEST,
    RANDOM_SIZE,
    ClientHello,
    Extension,
    HandshakeType,
    Message,
    ServerHello,
    pull_cookie,
    pull_share,
)
from .records import ContentType
from .schedule import digest
from .suites import GROUPS, SHARED_AT_ONCE, TLS_1_2, TLS_1_3, Share

_FATAL = 2
_ALERTS = {
    Kind.TRUST_UNKNOWN_CA: Alert.UNKNOWN_CA,
    Kind.TRUST_EXPIRED: Alert.CERTIFICATE_EXPIRED,
    Kind.TRUST_REVOKED: Alert.CERTIFICATE_REVOKED,
    Kind.AUTH_METHOD: Alert.HANDSHAKE_FAILURE,
}
_NAMES = {TLS_1_2: "TLSv1.2", TLS_1_3: "TLSv1.3"}


class DistantTls:
    """A connection: getters, `receive` and `resume` for what comes in, `send` and `take` for what goes out.

    `receive` and `resume` raise `TlsFailed` and nothing else, whatever the server sends; what is left to be sent,
    an alert of ours, can still be taken.
    """

    def __init__(
        self,
        trust: Trust,
        wall: datetime,
        identity: DistantIdentity,
        rng: Rng,
        memory: Memory | None = None,
    ) -> None:
        self._dialogue = Dialogue(trust, wall, identity, rng, memory or Memory())
        self._wire = self._dialogue.wire
        self._steps = handshake(self._dialogue)
        self._begun = False
        self._agreed: Agreed | None = None
        self._messages = bytearray()
        self._failed = False
        self.wanted: SignatureWanted | None = None  # what the handshake waits for
        self.closed = False  # by the other end, in good order
        self.refusal: Refusal | None = None  # what the user is told instead of what TLS has ended with

    @property
    def established(self) -> bool:
        """Whether the handshake is over."""
        return self._agreed is not None

    @property
    def proven(self) -> bool:
        """Whether the server has shown a certificate that is trusted, and holds its key: else no handshake ends."""
        return self.established

    @property
    def remark(self) -> str:
        """What the user should know of a server that is trusted all the same; empty for nothing."""
        return self._dialogue.remark

    @property
    def version(self) -> str:
        """Such as "TLSv1.3", once established."""
        return _NAMES[self._agreement.suite.version]

    @property
    def is_1_3(self) -> bool:
        """Whether the rules of TLS 1.3 apply."""
        return self._agreed is not None and self._agreed.suite.version == TLS_1_3

    def receive(self, records: bytes) -> bytes:
        """Take records of the server's (none to begin with) and return the plaintext in them."""
        if self._failed:
            raise TlsFailed("TLS has ended")
        try:
            self._wire.feed(records)
            if not self._begun:
                self._begun = True
                self._go_on(None)
            return self._pump()
        except (Fault, ProtocolError) as error:
            raise self._end(error) from None

    def resume(self, answer: Secret) -> bytes:
        """Go on with the signature that was wanted; plaintext as of `receive`."""
        self.wanted = None
        try:
            self._go_on(answer)
            return self._pump()
        except (Fault, ProtocolError) as error:
            raise self._end(error) from None

    def send(self, plaintext: bytes) -> None:
        """Seal octets into records, once established."""
        if self._agreed is None:
            raise AssertionError("nothing is said before the handshake is over")
        self._wire.write(ContentType.APPLICATION_DATA, plaintext)

    def take(self) -> bytes:
        """The records that are to go to the other end, possibly none."""
        return self._wire.take()

    def export(self, label: bytes, size: int, context: bytes | None = None) -> Secret:
        """Keying material, once established (RFC 5705, RFC 8446 section 7.5)."""
        return Secret(self._agreement.exporter.export(label, size, context))

    @property
    def _agreement(self) -> Agreed:
        if self._agreed is None:
            raise AssertionError("the handshake is not over")
        return self._agreed

    # What comes in

    def _pump(self) -> bytes:
        """All records that are there, as far as the handshake can take them."""
        plaintext = b""
        while self.wanted is None and (found := self._wire.next_record()) is not None:
            plaintext += self._take_record(*found)
        return plaintext

    def _take_record(self, kind: int, content: bytes) -> bytes:
        """The plaintext in one record."""
        if self._messages and kind != ContentType.HANDSHAKE:
            raise Fault(Alert.UNEXPECTED_MESSAGE, "something in the middle of a message of TLS")
        match kind:
            case ContentType.HANDSHAKE if content:
                self._messages += content
                self._take_messages()
            case ContentType.ALERT:
                self._take_alert(content)
            case ContentType.CHANGE_CIPHER_SPEC if content == b"\x01" and not self.established:
                self._take_change()
            case ContentType.APPLICATION_DATA if self.established and not self.closed:
                return content
            case _:
                raise Fault(Alert.UNEXPECTED_MESSAGE, "a record of TLS that has no place here")
        return b""

    def _take_messages(self) -> None:
        """What comes after new keys must begin a record (RFC 8446 section 5.1)."""
        while self.wanted is None and (message := self._next_message()) is not None:
            keys = self._wire.reading
            if self.established:
                self._take_afterwards(message)
            else:
                self._go_on(message)
            if self._messages and self._wire.reading is not keys:
                raise Fault(Alert.UNEXPECTED_MESSAGE, "messages of TLS reach across a change of keys")
        if self.wanted is not None and self._messages:
            raise Fault(Alert.UNEXPECTED_MESSAGE, "the server does not wait for our answer")

    def _next_message(self) -> Message | None:
        """The first whole message."""
        if len(self._messages) < HEADER_SIZE:
            return None
        size = int.from_bytes(self._messages[1:HEADER_SIZE])
        if size > LARGEST:
            raise Fault(Alert.ILLEGAL_PARAMETER, "a message of TLS is too large")
        if len(self._messages) < HEADER_SIZE + size:
            return None
        message = Message(self._messages[0], bytes(self._messages[HEADER_SIZE : HEADER_SIZE + size]))
        del self._messages[: HEADER_SIZE + size]
        return message

    def _take_afterwards(self, message: Message) -> None:
        """Tickets, of which we have no use, and new keys."""
        if isinstance(self._agreed, flight13.Agreed13):
            if message.type == HandshakeType.NEW_SESSION_TICKET:
                return
            if message.type == HandshakeType.KEY_UPDATE:
                self._agreed.epoch.update(self._wire, message)
                return
        raise Fault(Alert.UNEXPECTED_MESSAGE, f"a message {message.type} after the handshake")

    def _take_change(self) -> None:
        """In TLS 1.2 new keys come next; in TLS 1.3 it means nothing (RFC 8446 appendix D.4)."""
        if not self._dialogue.is_1_3:
            self._go_on(Message(HandshakeType.CHANGE_CIPHER_SPEC, b""))

    def _take_alert(self, content: bytes) -> None:
        if len(content) != 2:
            raise Fault(Alert.DECODE_ERROR, "a message about the end of TLS does not read")
        level, description = content
        if description == Alert.CLOSE_NOTIFY and level != _FATAL and self.established:
            self.closed = True
            return
        self._failed = True
        identity = self._dialogue.identity
        if description == Alert.PROTOCOL_VERSION and not identity.signs_pss:
            why = f"the login server wants TLS 1.3, for which {identity.key} cannot sign (it has no RSA-PSS)"
            self.refusal = Refusal(Kind.CRYPTO_NO_PROPOSAL, why)
        raise TlsFailed("" if description == Alert.CLOSE_NOTIFY else f"alert {name_of(description)}")

    # The handshake

    def _go_on(self, gift: Message | Secret | None) -> None:
        try:
            need = next(self._steps) if gift is None else self._steps.send(gift)
        except StopIteration as done:
            self._agreed = done.value
        else:
            self.wanted = None if isinstance(need, Awaited) else need

    def _end(self, error: Fault | ProtocolError) -> TlsFailed:
        """Tell the server, and say what it was."""
        self._failed = True
        alert = Alert.DECODE_ERROR
        if isinstance(error, Fault):
            alert = error.alert
        elif isinstance(error, Refusal) and error.failure is not None:
            self.refusal = error
            alert = _ALERTS.get(error.failure.kind, Alert.BAD_CERTIFICATE)
        self._wire.write(ContentType.ALERT, bytes([_FATAL, alert]))
        return TlsFailed(str(error) or CLOSED)


def handshake(dialogue: Dialogue) -> Steps[Agreed]:
    """From the ClientHello to both Finished."""
    versions = (TLS_1_3, TLS_1_2) if dialogue.identity.signs_pss else (TLS_1_2,)
    shares = {number: Share(GROUPS[number], dialogue.rng) for number in SHARED_AT_ONCE if TLS_1_3 in versions}
    offer = ClientHello(dialogue.rng(RANDOM_SIZE), versions, _publics(shares))
    hello = yield from _server_hello(dialogue, offer)
    if hello.wants_another:
        offer, shares = _another(dialogue, offer, hello, shares)
        first = hello
        hello = yield from _server_hello(dialogue, offer)
        if hello.wants_another:
            raise Fault(Alert.UNEXPECTED_MESSAGE, "the server wants yet another hello")
        if hello.suite is not first.suite:
            raise Fault(Alert.ILLEGAL_PARAMETER, "the server does not stand by its choice")
    if hello.version == TLS_1_2:
        return (yield from flight12.finish(dialogue, offer.random, hello))
    group, public = _chosen_share(hello)
    if group not in shares:
        raise Fault(Alert.ILLEGAL_PARAMETER, "the server chose a group that is not on offer")
    return (yield from flight13.finish(dialogue, hello, shares[group].agree(public)))


def _publics(shares: dict[int, Share]) -> tuple[tuple[int, bytes], ...]:
    return tuple((number, share.public) for number, share in shares.items())


def _server_hello(dialogue: Dialogue, offer: ClientHello) -> Steps[ServerHello]:
    dialogue.say(offer.message())
    dialogue.flush()
    hello = ServerHello.pull((yield from dialogue.expect(HandshakeType.SERVER_HELLO)), offer)
    dialogue.is_1_3 = hello.version == TLS_1_3
    return hello


def _chosen_share(hello: ServerHello) -> tuple[int, bytes]:
    body = hello.extensions.get(Extension.KEY_SHARE)
    if body is None:
        raise Fault(Alert.MISSING_EXTENSION, "the server's hello lacks its half of the key agreement")
    return pull_share(body)


def _another(
    dialogue: Dialogue, offer: ClientHello, retry: ServerHello, shares: dict[int, Share]
) -> tuple[ClientHello, dict[int, Share]]:
    """The ClientHello that the server wants instead (RFC 8446 sections 4.1.4 and 4.4.1)."""
    wanted = retry.extensions.get(Extension.KEY_SHARE)
    cookie = pull_cookie(retry.extensions[Extension.COOKIE]) if Extension.COOKIE in retry.extensions else None
    if wanted is not None:
        number = int.from_bytes(wanted)
        if len(wanted) != 2 or number not in GROUPS or number in shares:
            raise Fault(Alert.ILLEGAL_PARAMETER, "the server wants a group that is not on offer, or was sent")
        shares = {number: Share(GROUPS[number], dialogue.rng)}
    elif cookie is None:
        raise Fault(Alert.ILLEGAL_PARAMETER, "the server wants the same hello once more")
    first = offer.message().octets
    rest = dialogue.transcript[len(first) :]
    replaced = Message(HandshakeType.MESSAGE_HASH, digest(retry.suite.hash_name, first))
    dialogue.transcript = replaced.octets + rest
    return ClientHello(offer.random, offer.versions, _publics(shares), cookie), shares
