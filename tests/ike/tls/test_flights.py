"""Flights after the hello that a client must refuse (RFC 5246 section 7.4, RFC 8446 sections 4.3 to 5), and how."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import timedelta

import pytest

from client.ike.eap.tls import TlsEnd, TlsFailed
from client.ike.tls.client import DistantTls
from client.ike.tls.faults import Alert
from client.ike.tls.flight13 import MOST_UPDATES, Agreed13
from client.ike.tls.messages import HandshakeType, Message, push_certificate
from client.ike.tls.records import ContentType, Wire, record
from client.ike.tls.schedule import Keys12
from client.ike.tls.suites import SCHEMES, TLS_1_2
from client.lab.pki import Issued
from tests.ike.eap.dialogue import seeded
from tests.ike.eap.test_tls import accepting, server_context
from tests.ike.eap.tls_dialogue import OPTIONS, SERVER, VERSIONS, WALL
from tests.ike.tls.hellos import ECDSA_1_2, POINT, RANDOM, RSA_1_2, begun, check_refused, hello, records
from tests.ike.tls.holding import client, ends, identity, server, user
from tests.ike.tls.test_hostile_servers import deliver, genuine

# TLS 1.2: certificate and half of the key agreement


def key_exchange(
    randoms: bytes,
    there: Issued = SERVER,
    *,
    parameters: bytes = b"\x03\0\x1d\x20" + RANDOM,
    code: int = 0x0403,
) -> bytes:
    """A ServerKeyExchange with a signature over the randoms and its parameters."""
    signature = SCHEMES[code].sign(there.key, randoms + parameters)
    signed = code.to_bytes(2) + len(signature).to_bytes(2) + signature
    return Message(HandshakeType.SERVER_KEY_EXCHANGE, parameters + signed).octets


def shown(there: Issued = SERVER) -> bytes:
    return push_certificate(there.chain, TLS_1_2).octets


def greeted(
    suite: int = ECDSA_1_2, extensions: Mapping[int, bytes] | None = None
) -> tuple[DistantTls, bytes]:
    """A client that has taken a hello of TLS 1.2, and both randoms."""
    here = begun()
    ours = here.take()[5 + 4 + 2 :][:32]
    here.receive(records(hello(extensions or {}, suite=suite)))
    return here, ours + RANDOM


def test_the_server_of_these_tests_is_believed() -> None:
    here, randoms = greeted()
    here.receive(records(shown() + key_exchange(randoms)))
    here.receive(records(Message(HandshakeType.SERVER_HELLO_DONE, b"").octets))
    assert here.take()
    assert not here.established


POINTS = {
    "no point of the curve": b"\x03\0\x17\x41\x04" + 2 * POINT,
    "a compressed point": b"\x03\0\x17\x21\x02" + POINT,
    "a point that is too short": b"\x03\0\x17\x40\x04" + (2 * POINT)[1:],
    "a value of low order": b"\x03\0\x1d\x20" + bytes(32),
    "a group that is not on offer": b"\x03\0\x16\x20" + RANDOM,
}


@pytest.mark.parametrize("what", POINTS)
def test_half_a_key_agreement_that_may_not_be_ends_it(what: str) -> None:
    here, randoms = greeted()
    here.receive(records(shown()))
    octets = key_exchange(randoms, parameters=POINTS[what])
    if "group" not in what:  # what is wrong shows when we agree, after the server's flight
        here.receive(records(octets))
        octets = Message(HandshakeType.SERVER_HELLO_DONE, b"").octets
    check_refused(here, records(octets), Alert.ILLEGAL_PARAMETER)


def test_a_curve_of_the_servers_own_making_is_refused() -> None:
    here, randoms = greeted()
    here.receive(records(shown()))
    octets = key_exchange(randoms, parameters=b"\x01\0\x1d\x20" + RANDOM)
    check_refused(here, records(octets), Alert.HANDSHAKE_FAILURE)


def test_a_signature_over_other_randoms_is_refused() -> None:
    here, randoms = greeted()
    here.receive(records(shown()))
    check_refused(here, records(key_exchange(randoms[::-1])), Alert.DECRYPT_ERROR)


def test_a_signature_in_a_way_that_is_not_on_offer_is_refused() -> None:
    here, randoms = greeted()
    here.receive(records(shown()))
    octets = key_exchange(randoms).replace(b"\x04\x03", b"\x02\x03", 1)  # SHA-1
    check_refused(here, records(octets), Alert.ILLEGAL_PARAMETER)


@pytest.mark.parametrize(("suite", "kind"), [(RSA_1_2, "ecdsa"), (ECDSA_1_2, "rsa")])
def test_a_servers_key_is_of_the_kind_that_its_suite_means(suite: int, kind: str) -> None:
    """RFC 5246 section 7.4.2."""
    there = SERVER if kind == "ecdsa" else server("rsa")
    here, randoms = greeted(suite)
    here.receive(records(shown(there)))
    octets = key_exchange(randoms, there, code=0x0403 if kind == "ecdsa" else 0x0401)
    check_refused(here, records(octets), Alert.ILLEGAL_PARAMETER)


NOTHING = b""
DISORDER = {
    "a server that shows no certificate": ([], HandshakeType.SERVER_KEY_EXCHANGE),
    "a server that is done before it has begun": ([], HandshakeType.SERVER_HELLO_DONE),
    "a request before the proof": ([shown()], HandshakeType.CERTIFICATE_REQUEST),
    "a certificate and no key agreement": ([shown()], HandshakeType.SERVER_HELLO_DONE),
    "a staple that was not announced": ([shown()], HandshakeType.CERTIFICATE_STATUS),
    "a second certificate": ([shown()], HandshakeType.CERTIFICATE),
    "Finished at once": ([shown()], HandshakeType.FINISHED),
}


@pytest.mark.parametrize("what", DISORDER)
def test_the_order_of_tls_1_2_is_kept(what: str) -> None:
    before, kind = DISORDER[what]
    here, _ = greeted()
    for octets in before:
        here.receive(records(octets))
    check_refused(here, records(Message(kind, NOTHING).octets), Alert.UNEXPECTED_MESSAGE)


def test_new_keys_out_of_turn_are_refused_in_tls_1_2() -> None:
    """The injection of an early ChangeCipherSpec, of which OpenSSL once suffered."""
    here, randoms = greeted()
    here.receive(records(shown() + key_exchange(randoms)))
    check_refused(here, record(ContentType.CHANGE_CIPHER_SPEC, b"\x01"), Alert.UNEXPECTED_MESSAGE)


def test_no_certificate_at_all_is_no_proof() -> None:
    here, _ = greeted()
    here.receive(records(Message(HandshakeType.CERTIFICATE, bytes(3)).octets))
    octets = Message(HandshakeType.SERVER_KEY_EXCHANGE, b"").octets
    check_refused(here, records(octets), Alert.BAD_CERTIFICATE)


# TLS 1.3: inside the sealed flight


def sealed(here: DistantTls, octets: bytes) -> bytes:
    wire = Wire()
    wire.writing = copy.copy(here._wire.reading)
    wire.write(ContentType.HANDSHAKE, octets)
    return wire.take()


REQUESTS = {
    "without signature algorithms": (b"\0\0\0", Alert.MISSING_EXTENSION),
    "for after the handshake": (b"\x01x\0\x08\0\x0d\0\x04\0\x02\x04\x03", Alert.ILLEGAL_PARAMETER),
    "with something behind": (b"\0\0\x09\0\x0d\0\x05\0\x02\x04\x03\0", Alert.DECODE_ERROR),
}


@pytest.mark.parametrize("what", REQUESTS)
def test_a_request_that_may_not_be_ends_by_its_alert(what: str) -> None:
    body, alert = REQUESTS[what]
    messages = genuine("1.3")
    here = client(user())
    here.receive(b"")
    deliver(here, messages[:2])
    assert messages[2][0] == HandshakeType.CERTIFICATE_REQUEST
    check_refused(here, sealed(here, Message(HandshakeType.CERTIFICATE_REQUEST, body).octets), alert)


@pytest.mark.parametrize("code", [0x0503, 0x0401, 0x0201, 0x0804], ids=["hash", "pkcs1", "sha1", "kind"])
def test_the_servers_signature_in_tls_1_3_fits_its_key(code: int) -> None:
    """ECDSA is bound to its curve's hash; RSA with PKCS #1 has no place (RFC 8446 section 4.4.3)."""
    messages = genuine("1.3")
    here = client(user())
    here.receive(b"")
    deliver(here, messages[:4])
    verify = messages[4]
    assert verify[0] == HandshakeType.CERTIFICATE_VERIFY
    spoilt = verify[:4] + code.to_bytes(2) + verify[6:]
    alert = Alert.DECRYPT_ERROR if code == 0x0804 else Alert.ILLEGAL_PARAMETER
    check_refused(here, sealed(here, spoilt), alert)


def test_a_wrong_finished_in_tls_1_3_gets_no_signature() -> None:
    messages = genuine("1.3")
    here = client(user())
    here.receive(b"")
    deliver(here, messages[:-1])
    spoilt = messages[-1][:-1] + bytes([messages[-1][-1] ^ 1])
    check_refused(here, sealed(here, spoilt), Alert.DECRYPT_ERROR)


def test_what_is_in_clear_after_the_hello_ends_tls_1_3() -> None:
    messages = genuine("1.3")
    for received in (record(22, messages[1]), record(21, b"\x02\x28"), record(23, b"")):
        here = client(user())
        here.receive(b"")
        deliver(here, messages[:1])
        alert = Alert.BAD_RECORD_MAC if received[0] == 23 else Alert.UNEXPECTED_MESSAGE
        check_refused(here, received, alert)


# After the handshake


def established() -> DistantTls:
    both = ends("1.3")
    both.shake_hands()
    return both.here


def padded(here: DistantTls, content: bytes, padding: int) -> bytes:
    """A record as the server seals it, with zeros behind the type that seal puts at the end."""
    keys = copy.copy(here._wire.reading)
    return keys.seal(0, content + bytes([ContentType.APPLICATION_DATA]) + bytes(padding - 1))


def test_padding_has_its_limits() -> None:
    """RFC 8446 sections 5.2 and 5.4."""
    here = established()
    assert here.receive(padded(here, b"x", 16384 - 1)) == b"x"
    for padding in (16384, 16384 + 200, 16384 + 256):
        here = established()
        check_refused(here, padded(here, b"x", padding), Alert.RECORD_OVERFLOW)
    here = established()
    check_refused(here, copy.copy(here._wire.reading).seal(0, b""), Alert.UNEXPECTED_MESSAGE)


def test_a_flood_of_new_keys_ends_the_connection() -> None:
    here = established()
    update = Message(HandshakeType.KEY_UPDATE, b"\x01").octets
    for _ in range(MOST_UPDATES):
        deliver(here, [update])
    agreed = here._agreed
    assert isinstance(agreed, Agreed13)
    assert agreed.epoch.updates == MOST_UPDATES
    check_refused(here, sealed(here, update), Alert.UNEXPECTED_MESSAGE)


def test_a_change_of_ciphers_after_the_handshake_is_refused() -> None:
    """RFC 8446 section 5: dropped before the peer's Finished, refused after it."""
    check_refused(established(), record(ContentType.CHANGE_CIPHER_SPEC, b"\x01"), Alert.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize("version", VERSIONS)
def test_an_expired_servers_alert_says_so(version: str) -> None:
    here = DistantTls(OPTIONS.trust, WALL + timedelta(days=36_500), identity(user()), seeded("client"))
    there = TlsEnd(accepting(server_context(version=VERSIONS[version])))
    here.receive(b"")
    there.receive(here.take())
    with pytest.raises(TlsFailed):
        here.receive(there.take())
    with pytest.raises(TlsFailed) as heard:
        there.receive(here.take())
    assert heard.value.alert == "certificate expired"


@pytest.mark.parametrize("version", VERSIONS)
def test_no_secret_shows_in_what_a_connection_is_made_of(version: str) -> None:
    both = ends(version)
    both.shake_hands()
    agreed = both.here._agreed
    assert agreed is not None
    exporter = agreed.exporter
    secrets = [exporter.master] if isinstance(exporter, Keys12) else [exporter.secret]  # type: ignore[attr-defined]
    if isinstance(agreed, Agreed13):
        secrets += [agreed.epoch.ours.secret, agreed.epoch.theirs.secret]
    secrets.append(both.here.export(b"EXPORTER_test", 64).reveal())
    shown = repr(agreed) + repr(both.here._dialogue) + repr(both.here.export(b"EXPORTER_test", 64))
    for secret in secrets:
        assert len(secret) >= 32
        assert repr(secret)[2:-1] not in shown
        assert secret.hex() not in shown
