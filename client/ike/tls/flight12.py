"""TLS 1.2 after the ServerHello (RFC 5246 section 7.3).

server                                       we
Certificate, [CertificateStatus],
ServerKeyExchange, [CertificateRequest],
ServerHelloDone                         -->
                                        <--  [Certificate,] ClientKeyExchange, [CertificateVerify,]
                                             ChangeCipherSpec, Finished
ChangeCipherSpec, Finished              -->
"""

from __future__ import annotations

import hmac

from .dialogue import Agreed, Dialogue, Steps, check_signature
from .faults import Alert, Fault
from .messages import (
    CertificateRequest,
    Extension,
    HandshakeType,
    Message,
    ServerCertificate,
    ServerHello,
    ServerKeyExchange,
    pull_status,
    push_certificate,
    push_key_exchange,
)
from .records import ContentType
from .schedule import Keys12
from .suites import GROUPS, TLS_1_2, Share

_UNCOMPRESSED = 0
_FORMATS = bytes([1, _UNCOMPRESSED])


def finish(dialogue: Dialogue, client_random: bytes, hello: ServerHello) -> Steps[Agreed]:
    """The rest of the handshake."""
    _check_hello(hello)
    exchange = yield from _server_proof(dialogue, hello, client_random + hello.random)
    request = yield from _request(dialogue)
    share = Share(GROUPS[exchange.group], dialogue.rng)
    agreed = share.agree(exchange.public).reveal()
    if request is not None:
        dialogue.say(push_certificate(dialogue.identity.chain, TLS_1_2))
    dialogue.say(push_key_exchange(share.public))
    binds = Extension.EXTENDED_MASTER_SECRET in hello.extensions
    session = dialogue.transcript if binds else None
    keys = Keys12.derive(hello.suite, agreed, client_random, hello.random, session)
    if request is not None:
        dialogue.say((yield from dialogue.sign(TLS_1_2, request.schemes, dialogue.transcript)))
    dialogue.flush()
    ours, theirs = keys.protections()
    dialogue.wire.write(ContentType.CHANGE_CIPHER_SPEC, b"\x01")
    dialogue.wire.writing = ours
    dialogue.say(Message(HandshakeType.FINISHED, keys.finished(b"client finished", dialogue.transcript)))
    dialogue.flush()
    yield from dialogue.expect(HandshakeType.CHANGE_CIPHER_SPEC)
    dialogue.wire.reading = theirs
    expected = keys.finished(b"server finished", dialogue.transcript)
    finished = yield from dialogue.expect(HandshakeType.FINISHED)
    if not hmac.compare_digest(finished.body, expected):
        raise Fault(Alert.DECRYPT_ERROR, "the server's Finished is wrong")
    return Agreed(hello.suite, keys)


def _check_hello(hello: ServerHello) -> None:
    """RFC 5746 section 3.4 and RFC 8422 section 5.2."""
    if hello.extensions.get(Extension.RENEGOTIATION_INFO, b"\0") != b"\0":
        raise Fault(Alert.HANDSHAKE_FAILURE, "the server takes this for a renegotiation")
    if _UNCOMPRESSED not in hello.extensions.get(Extension.EC_POINT_FORMATS, _FORMATS)[1:]:
        raise Fault(Alert.ILLEGAL_PARAMETER, "the server takes no points as everybody writes them")


def _server_proof(dialogue: Dialogue, hello: ServerHello, randoms: bytes) -> Steps[ServerKeyExchange]:
    """The server's certificate, which is judged here, and its half of the key agreement, signed with that key."""
    shown = ServerCertificate.pull12((yield from dialogue.expect(HandshakeType.CERTIFICATE)).body)
    staples = (HandshakeType.CERTIFICATE_STATUS,) if Extension.STATUS_REQUEST in hello.extensions else ()
    message = yield from dialogue.expect(*staples, HandshakeType.SERVER_KEY_EXCHANGE)
    if message.type == HandshakeType.CERTIFICATE_STATUS:
        shown = ServerCertificate(shown.chain, pull_status(message.body))
        message = yield from dialogue.expect(HandshakeType.SERVER_KEY_EXCHANGE)
    key = dialogue.judge(shown)
    if not isinstance(key, hello.suite.signers):
        raise Fault(
            Alert.ILLEGAL_PARAMETER, "the server's key is not of the kind that its cipher suite means"
        )
    exchange = ServerKeyExchange.pull(message.body)
    check_signature(key, TLS_1_2, exchange.signed, randoms + exchange.parameters)
    if exchange.group not in GROUPS:
        raise Fault(Alert.ILLEGAL_PARAMETER, "the server chose a group that is not on offer")
    return exchange


def _request(dialogue: Dialogue) -> Steps[CertificateRequest | None]:
    """Whether the server wants to see our certificate."""
    message = yield from dialogue.expect(HandshakeType.CERTIFICATE_REQUEST, HandshakeType.SERVER_HELLO_DONE)
    if message.type == HandshakeType.SERVER_HELLO_DONE:
        return None
    yield from dialogue.expect(HandshakeType.SERVER_HELLO_DONE)
    return CertificateRequest.pull12(message.body)
