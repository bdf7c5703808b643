"""TLS between two byte strings: whom we believe, what leaves before that, and the keys that come out."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha384
from random import Random

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL

from client.ike.eap.tls import TlsClient, TlsEnd, TlsFailed, prepare, show
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.options import TlsIdentity
from client.ike.trust import Trust
from client.lab.pki import Issued, make_authority
from tests.ike.eap.tls_dialogue import (
    AUTHORITY,
    BETWEEN,
    CLIENT,
    IDENTITY,
    NAME,
    OPTIONS,
    SERVER,
    STRANGERS,
    VALID,
    VERSIONS,
    WALL,
    identity_of,
)


def server_context(issued: Issued = SERVER, version: int = SSL.TLS1_3_VERSION) -> SSL.Context:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    prepare(context, (AUTHORITY.certificate,), WALL)
    context.set_max_proto_version(version)
    show(context, identity_of(issued))
    context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, None)
    return context


def accepting(context: SSL.Context) -> SSL.Connection:
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    return connection


def client(
    trust: Trust = OPTIONS.trust, wall: datetime = WALL, identity: TlsIdentity | None = IDENTITY
) -> TlsClient:
    return TlsClient(trust, wall, identity)


def shake_hands(here: TlsEnd, there: TlsEnd) -> None:
    here.receive(b"")
    for _ in range(3):
        there.receive(here.take())
        here.receive(there.take())
    assert here.established
    assert there.established


@pytest.mark.parametrize("version", VERSIONS)
def test_both_ends_speak_after_the_handshake(version: str) -> None:
    here, there = client(), TlsEnd(accepting(server_context(version=VERSIONS[version])))
    shake_hands(here, there)
    assert here.version == f"TLSv{version}"
    assert here.proven
    there.send(b"welcome")
    assert here.receive(there.take()) == b"welcome"


def test_older_versions_are_not_spoken() -> None:
    context = server_context()
    context.set_min_proto_version(SSL.TLS1_1_VERSION)
    context.set_max_proto_version(SSL.TLS1_1_VERSION)
    context.set_cipher_list(b"ALL:@SECLEVEL=0")
    here, there = client(), TlsEnd(accepting(context))
    here.receive(b"")
    with pytest.raises(TlsFailed):
        there.receive(here.take())
    with pytest.raises(TlsFailed, match="alert protocol version") as raised:
        here.receive(there.take())
    assert raised.value.alert == "protocol version"


def test_keys_without_forward_secrecy_are_not_agreed_on() -> None:
    rsa = AUTHORITY.issue(f"CN={NAME}", dns=[NAME], key="rsa", **VALID)
    context = server_context(rsa, SSL.TLS1_2_VERSION)
    context.set_cipher_list(b"kRSA+AESGCM")
    here, there = client(), TlsEnd(accepting(context))
    here.receive(b"")
    with pytest.raises(TlsFailed):
        there.receive(here.take())


# Keys, recomputed without OpenSSL


def test_tls_1_2_exports_the_prf_over_both_randoms() -> None:
    """RFC 5216 section 2.3, with the PRF of RFC 5246 section 5."""
    context = server_context(version=SSL.TLS1_2_VERSION)
    connection = accepting(context)
    here, there = client(), TlsEnd(connection)
    shake_hands(here, there)
    assert connection.get_cipher_name() == "ECDHE-ECDSA-AES256-GCM-SHA384"
    randoms = (connection.client_random() or b"") + (connection.server_random() or b"")
    expected = prf(connection.master_key() or b"", b"client EAP encryption" + randoms, 128)
    assert here.export(b"client EAP encryption", 128).reveal() == expected


def prf(secret: bytes, seed: bytes, size: int) -> bytes:
    octets, block = b"", seed
    while len(octets) < size:
        block = hmac.digest(secret, block, "sha384")
        octets += hmac.digest(secret, block + seed, "sha384")
    return octets[:size]


def test_tls_1_3_exports_by_label_and_context() -> None:
    """RFC 9190 section 2.3, with the exporter of RFC 8446 section 7.5."""
    lines: list[bytes] = []
    context = server_context()
    context.set_keylog_callback(lambda _connection, line: lines.append(line))
    connection = accepting(context)
    here = client()
    shake_hands(here, TlsEnd(connection))
    assert connection.get_cipher_name() == "TLS_AES_256_GCM_SHA384"
    (secret,) = [
        bytes.fromhex(line.split()[2].decode()) for line in lines if line.startswith(b"EXPORTER_SECRET")
    ]
    derived = expand_label(secret, b"EXPORTER_EAP_TLS_Key_Material", sha384(b"").digest(), 48)
    expected = expand_label(derived, b"exporter", sha384(b"\x0d").digest(), 128)
    assert here.export(b"EXPORTER_EAP_TLS_Key_Material", 128, b"\x0d").reveal() == expected


def expand_label(secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1)."""
    name = b"tls13 " + label
    info = size.to_bytes(2) + bytes([len(name)]) + name + bytes([len(context)]) + context
    octets, block = b"", b""
    for count in range(1, -(-size // 48) + 1):
        block = hmac.digest(secret, block + info + bytes([count]), "sha384")
        octets += block
    return octets[:size]


# Whom we believe

_LATE = WALL + timedelta(days=400)
OTHER_BETWEEN = STRANGERS.subordinate("CN=Login Between", **VALID)


@pytest.mark.parametrize(
    "trust",
    [
        OPTIONS.trust,
        Trust((STRANGERS.certificate, AUTHORITY.certificate), Identity.parse(NAME)),
        Trust((BETWEEN.certificate,), Identity.parse(NAME)),
        Trust((SERVER.certificate,), Identity.parse(NAME)),
        Trust((AUTHORITY.certificate,), Identity.parse(f"CN={NAME}")),
    ],
    ids=["root", "one of two roots", "intermediate", "the certificate itself", "by distinguished name"],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_is_believed(trust: Trust, version: str) -> None:
    here = client(trust)
    shake_hands(here, TlsEnd(accepting(server_context(version=VERSIONS[version]))))
    assert here.proven


def leaf(**changes: object) -> Issued:
    arguments: dict[str, object] = {"dns": [NAME], **VALID, **changes}
    return AUTHORITY.issue(f"CN={NAME}", **arguments)  # type: ignore[arg-type]


ROGUES: dict[str, tuple[Callable[[], Issued], Trust, datetime, Kind]] = {
    "unknown authority": (
        lambda: STRANGERS.issue(f"CN={NAME}", dns=[NAME], **VALID),
        OPTIONS.trust,
        WALL,
        Kind.TRUST_UNKNOWN_CA,
    ),
    "an intermediate of the same name": (
        lambda: OTHER_BETWEEN.issue(f"CN={NAME}", dns=[NAME], **VALID),
        OPTIONS.trust,
        WALL,
        Kind.TRUST_UNKNOWN_CA,
    ),
    "an authority of its own": (
        lambda: make_authority(f"CN={NAME}", **VALID).issue(f"CN={NAME}", dns=[NAME], **VALID),
        OPTIONS.trust,
        WALL,
        Kind.TRUST_UNKNOWN_CA,
    ),
    "intermediate left out": (
        lambda: Issued(SERVER.certificate, SERVER.key),
        OPTIONS.trust,
        WALL,
        Kind.TRUST_UNKNOWN_CA,
    ),
    "another name": (lambda: leaf(dns=["gateway.example.org"]), OPTIONS.trust, WALL, Kind.TRUST_NAME),
    "a common name alone": (lambda: leaf(dns=[]), OPTIONS.trust, WALL, Kind.TRUST_NAME),
    "a wildcard too high": (lambda: leaf(dns=["*.org"]), OPTIONS.trust, WALL, Kind.TRUST_NAME),
    "expired": (leaf, OPTIONS.trust, _LATE, Kind.TRUST_EXPIRED),
    "not valid yet": (leaf, OPTIONS.trust, WALL - timedelta(days=400), Kind.TRUST_EXPIRED),
    "made for clients": (lambda: leaf(server=False), OPTIONS.trust, WALL, Kind.TRUST_NO_PROOF),
    "made for IKE alone": (
        lambda: leaf(usages=[ExtendedKeyUsageOID.IPSEC_IKE]),
        OPTIONS.trust,
        WALL,
        Kind.TRUST_NO_PROOF,
    ),
    "a user's certificate": (lambda: CLIENT, OPTIONS.trust, WALL, Kind.TRUST_NO_PROOF),
    "nobody is trusted": (leaf, Trust((), Identity.parse(NAME)), WALL, Kind.TRUST_UNKNOWN_CA),
    "nobody is expected": (leaf, replace(OPTIONS.trust, expected=None), WALL, Kind.TRUST_NAME),
}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("rogue", ROGUES)
def test_a_server_is_not_believed_and_gets_an_alert_alone(rogue: str, version: str) -> None:
    issue, trust, wall, kind = ROGUES[rogue]
    here, there = client(trust, wall), TlsEnd(accepting(server_context(issue(), VERSIONS[version])))
    here.receive(b"")
    there.receive(here.take())
    with pytest.raises(TlsFailed):
        here.receive(there.take())
    assert here.refusal is not None
    assert here.refusal.failure is not None
    assert here.refusal.failure.kind is kind
    assert not here.proven
    alert = here.take()
    assert (alert[0], len(alert)) == (
        21,
        7,
    )  # one record: two octets in clear, nothing of ours is encrypted yet
    with pytest.raises(TlsFailed):
        here.receive(there.take())


def test_a_server_without_a_certificate_is_not_spoken_to() -> None:
    """Suites without authentication are not offered, and would not count as proof."""
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(b"aNULL:@SECLEVEL=0")
    here, there = client(), TlsEnd(accepting(context))
    here.receive(b"")
    with pytest.raises(TlsFailed):
        there.receive(here.take())
    assert not here.proven


@pytest.mark.parametrize(
    "issued", [SERVER, leaf(key="rsa"), leaf(key="ed25519")], ids=["ECDSA", "RSA", "Ed25519"]
)
def test_a_certificate_with_changed_octets_is_refused_and_nothing_else_raised(issued: Issued) -> None:
    """In TLS 1.2 it comes in clear and before the signature: what follows it is the same for every ClientHello."""
    here, there = client(), TlsEnd(accepting(server_context(issued, SSL.TLS1_2_VERSION)))
    here.receive(b"")
    there.receive(here.take())
    flight, der = there.take(), issued.chain[0]
    start, chance = flight.index(der), Random(1)
    for _ in range(400):
        changed = bytearray(flight)
        for _ in range(chance.randrange(1, 4)):
            changed[start + chance.randrange(len(der))] = chance.randrange(256)
        here = client()
        here.receive(b"")
        with pytest.raises(TlsFailed):
            here.receive(bytes(changed))
        assert not here.proven


def test_octets_of_no_meaning_end_tls() -> None:
    for octets in (b"\0" * 100, b"\xff" * 100, b"\x16\x03\x03\x40\x01" + bytes(16385)):
        here = client()
        here.receive(b"")
        with pytest.raises(TlsFailed):
            here.receive(octets)
        assert not here.proven


def test_a_fatal_end_without_words_of_openssl_has_a_name() -> None:
    assert TlsFailed("").alert == "close notify"
    assert TlsFailed("no shared cipher").alert is None
    assert TlsFailed("tlsv1 alert unknown ca").alert == "unknown ca"


def test_the_end_of_tls_is_noticed() -> None:
    connection = accepting(server_context())
    here, there = client(), TlsEnd(connection)
    shake_hands(here, there)
    connection.shutdown()
    assert here.receive(there.take()) == b""
    assert here.closed
