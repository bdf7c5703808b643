"""TLS 1.3 after the ServerHello (RFC 8446 section 2), and its keys after the handshake.

server                                       we
EncryptedExtensions, [CertificateRequest],
Certificate, CertificateVerify, Finished -->
                                        <--  [Certificate, CertificateVerify,] Finished
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from ..buffer import Reader
from ..keys import Secret
from .dialogue import Agreed, Dialogue, Steps, check_signature
from .faults import Alert, Fault
from .messages import (
    CertificateRequest,
    Extension,
    HandshakeType,
    Message,
    ServerCertificate,
    ServerHello,
    Signed,
    pull_extensions,
    push_certificate,
)
from .records import ContentType, Wire
from .schedule import Exporter13, Stage, Traffic, digest
from .suites import TLS_1_3

SERVER_CONTEXT = b"TLS 1.3, server CertificateVerify"
CLIENT_CONTEXT = b"TLS 1.3, client CertificateVerify"
_REQUESTED = 1
MOST_UPDATES = 32  # of keys, in a dialogue that is too short for any


@dataclass(slots=True)
class Epoch:
    """The application keys of both directions, and their replacement (section 4.6.3)."""

    ours: Traffic
    theirs: Traffic
    updates: int = 0

    def update(self, wire: Wire, message: Message) -> None:
        """The server has gone on to new keys, and may want us to."""
        if message.body not in (b"\0", b"\x01"):
            raise Fault(Alert.ILLEGAL_PARAMETER, "the server's update of keys does not read")
        self.updates += 1
        if self.updates > MOST_UPDATES:
            raise Fault(Alert.UNEXPECTED_MESSAGE, "the server does nothing but change its keys")
        self.theirs = self.theirs.next()
        wire.reading = self.theirs.protection()
        if message.body[0] == _REQUESTED:
            wire.write(ContentType.HANDSHAKE, Message(HandshakeType.KEY_UPDATE, b"\0").octets)
            self.ours = self.ours.next()
            wire.writing = self.ours.protection()


@dataclass(frozen=True, slots=True)
class Agreed13(Agreed):
    """With the keys that may be replaced."""

    epoch: Epoch


def finish(dialogue: Dialogue, hello: ServerHello, agreed: Secret) -> Steps[Agreed13]:
    """The rest of the handshake; `agreed` is the shared secret."""
    stage, wire = Stage.early(hello.suite).next(agreed.reveal()), dialogue.wire
    ours = stage.traffic(b"c hs traffic", dialogue.transcript)
    theirs = stage.traffic(b"s hs traffic", dialogue.transcript)
    wire.reading, wire.writing = theirs.protection(), ours.protection()
    request = yield from _server_proof(dialogue, hello, theirs)
    last = stage.next()
    epoch = Epoch(
        last.traffic(b"c ap traffic", dialogue.transcript), last.traffic(b"s ap traffic", dialogue.transcript)
    )
    exporter = Exporter13(hello.suite, last.derive(b"exp master", dialogue.transcript))
    wire.reading = epoch.theirs.protection()
    if request is not None:
        dialogue.say(push_certificate(dialogue.identity.chain, TLS_1_3))
        octets = covered(CLIENT_CONTEXT, hello, dialogue.transcript)
        dialogue.say((yield from dialogue.sign(TLS_1_3, request.schemes, octets)))
    dialogue.say(Message(HandshakeType.FINISHED, ours.finished(dialogue.transcript)))
    dialogue.flush()
    wire.writing = epoch.ours.protection()
    return Agreed13(hello.suite, exporter, epoch)


def _server_proof(dialogue: Dialogue, hello: ServerHello, keys: Traffic) -> Steps[CertificateRequest | None]:
    """The server's certificate, which is judged here, its signature, and its request for ours."""
    message = yield from dialogue.expect(HandshakeType.ENCRYPTED_EXTENSIONS)
    pull_extensions(Reader(message.body), {Extension.SUPPORTED_GROUPS})
    request = None
    message = yield from dialogue.expect(HandshakeType.CERTIFICATE_REQUEST, HandshakeType.CERTIFICATE)
    if message.type == HandshakeType.CERTIFICATE_REQUEST:
        request = CertificateRequest.pull13(message.body)
        message = yield from dialogue.expect(HandshakeType.CERTIFICATE)
    key = dialogue.judge(ServerCertificate.pull13(message.body))
    octets = covered(SERVER_CONTEXT, hello, dialogue.transcript)
    message = yield from dialogue.expect(HandshakeType.CERTIFICATE_VERIFY)
    check_signature(key, TLS_1_3, Signed.pull(Reader(message.body)), octets)
    expected = keys.finished(dialogue.transcript)
    finished = yield from dialogue.expect(HandshakeType.FINISHED)
    if not hmac.compare_digest(finished.body, expected):
        raise Fault(Alert.DECRYPT_ERROR, "the server's Finished is wrong")
    return request


def covered(context: bytes, hello: ServerHello, transcript: bytes) -> bytes:
    """What a CertificateVerify signs (section 4.4.3)."""
    return b" " * 64 + context + b"\0" + digest(hello.suite.hash_name, transcript)
