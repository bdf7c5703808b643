"""Servers' hellos made by hand, and how a client refuses them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from client.ike.eap.tls import TlsFailed
from client.ike.tls.client import DistantTls
from client.ike.tls.faults import Alert
from client.ike.tls.messages import RETRY, Extension, HandshakeType, Message
from client.ike.tls.records import ContentType, Wire
from tests.ike.tls.holding import client, user

AES_1_3, CHACHA_1_3 = 0x1301, 0x1303
ECDSA_1_2, RSA_1_2 = 0xC02B, 0xC02F
X25519, P256, P384, P521 = 29, 23, 24, 25
RANDOM = bytes(range(32))
VERSION_1_3: dict[int, bytes] = {Extension.SUPPORTED_VERSIONS: b"\x03\x04"}
POINT = bytes(ec.SECP256R1().key_size // 8)  # as an x or a y that no point of the curve has

Pairs = Sequence[tuple[int, bytes]]


def hello(
    extensions: Mapping[int, bytes] | Pairs = (),
    *,
    suite: int = AES_1_3,
    random: bytes = RANDOM,
    session: bytes = b"",
    compression: int = 0,
) -> bytes:
    """A ServerHello."""
    pairs = extensions.items() if isinstance(extensions, Mapping) else extensions
    block = b"".join(int(kind).to_bytes(2) + len(body).to_bytes(2) + body for kind, body in pairs)
    body = b"\x03\x03" + random + bytes([len(session)]) + session + suite.to_bytes(2) + bytes([compression])
    return Message(HandshakeType.SERVER_HELLO, body + len(block).to_bytes(2) + block).octets


def share(group: int, public: bytes) -> dict[int, bytes]:
    """The extensions of a ServerHello of TLS 1.3."""
    return {
        **VERSION_1_3,
        Extension.KEY_SHARE: group.to_bytes(2) + len(public).to_bytes(2) + public,
    }


def retry(extensions: Mapping[int, bytes]) -> bytes:
    """A HelloRetryRequest."""
    return hello({**VERSION_1_3, **extensions}, random=RETRY)


def cookie(size: int) -> dict[int, bytes]:
    return {Extension.COOKIE: size.to_bytes(2) + bytes(size)}


def begun(*, signs_pss: bool = True) -> DistantTls:
    """A client whose ClientHello has left."""
    here = client(user("rsa"), signs_pss=signs_pss)
    here.receive(b"")
    return here


def records(octets: bytes) -> bytes:
    """A message in clear, in as many records as it needs."""
    wire = Wire()
    wire.write(ContentType.HANDSHAKE, octets)
    return wire.take()


def check_refused(here: DistantTls, received: bytes, alert: Alert) -> None:
    """The records end the connection by this alert, and nothing else leaves."""
    here.take()
    reading = copy.copy(here._wire.writing)
    with pytest.raises(TlsFailed) as raised:
        here.receive(received)
    assert raised.value.alert is None  # the fault was found here
    wire = Wire()
    wire.reading = reading
    wire.feed(here.take())
    assert wire.next_record() == (ContentType.ALERT, bytes([2, alert]))
    assert wire.next_record() is None
    assert here.wanted is None
