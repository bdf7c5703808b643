"""Our own TLS against OpenSSL's: what both agree on, what waits for a signature, and what is refused."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from OpenSSL import SSL

from client.ike.eap.tls import TlsEnd, TlsFailed
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.revocation import Policy
from client.ike.tls.client import DistantTls
from client.ike.tls.flight13 import Agreed13, Epoch
from client.ike.tls.messages import HandshakeType, Message
from client.ike.tls.records import ContentType, Wire
from client.ike.trust import Trust
from client.lab.pki import KeyKind
from tests.ike.eap.test_stapling import stapled
from tests.ike.eap.test_tls import accepting, server_context
from tests.ike.eap.tls_dialogue import BETWEEN, NAME, OPTIONS, SERVER, STRANGER, STRANGERS, VALID, VERSIONS
from tests.ike.test_distant_signers import answer
from tests.ike.tls.holding import CARD, Ends, client, ends, server, user

KINDS: tuple[KeyKind, ...] = ("rsa", "ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448")
SERVERS: tuple[KeyKind, ...] = ("rsa", "ecdsa384", "ed25519")


def kind_of(here: DistantTls) -> Kind:
    assert here.refusal is not None
    assert here.refusal.failure is not None
    return here.refusal.failure.kind


def check_agreement(both: Ends) -> None:
    """Data passes both ways, and both export the same."""
    here, there = both.here, both.there
    there.send(b"welcome")
    assert here.receive(there.take()) == b"welcome"
    here.send(b"x" * 20_000)
    assert there.receive(here.take()) == b"x" * 20_000
    for context in (None, b"\x0d"):
        assert here.export(b"EXPORTER_test", 128, context) == there.export(b"EXPORTER_test", 128, context)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_any_kind_proves_who_we_are(kind: KeyKind, version: str) -> None:
    both = ends(version, user(kind))
    both.shake_hands()
    assert both.here.version == f"TLSv{version}"
    assert both.here.proven
    check_agreement(both)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", SERVERS)
def test_a_server_has_a_key_of_any_kind(kind: KeyKind, version: str) -> None:
    both = ends(version, there=server(kind))
    both.shake_hands()
    check_agreement(both)


SUITES = {
    "1.2": [b"ECDHE-ECDSA-AES128-GCM-SHA256", b"ECDHE-ECDSA-CHACHA20-POLY1305"],
    "1.3": [b"TLS_AES_128_GCM_SHA256", b"TLS_CHACHA20_POLY1305_SHA256"],
}


@pytest.mark.parametrize(("version", "suite"), [(v, suite) for v in SUITES for suite in SUITES[v]])
def test_every_suite_is_spoken(version: str, suite: bytes) -> None:
    context = server_context(version=VERSIONS[version])
    if version == "1.3":
        context.set_tls13_ciphersuites(suite)
    else:
        context.set_cipher_list(suite)
    both = ends(version, context=context)
    both.shake_hands()
    check_agreement(both)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_a_server_that_wants_another_group_gets_it(curve: ec.EllipticCurve, version: str) -> None:
    # P-384 and P-521 in TLS 1.3: --> ClientHello, <-- HelloRetryRequest, --> ClientHello, <-- ServerHello …
    context = server_context(version=VERSIONS[version])
    context.set_tmp_ecdh(curve)
    both = ends(version, user("rsa"), context=context)  # the server takes certificates of no other curve then
    both.shake_hands()
    check_agreement(both)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_servers_flight_may_come_octet_by_octet(version: str) -> None:
    both = ends(version)
    both.here.receive(b"")
    both.there.receive(both.here.take())
    for octet in both.there.take():
        both.here.receive(bytes([octet]))
    both.sign()
    both.there.receive(both.here.take())
    both.here.receive(both.there.take())
    check_agreement(both)


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_of_our_flight_leaves_before_the_signature(version: str) -> None:
    both = ends(version)
    both.reach_signature()
    assert both.here.take() == b""
    assert not both.here.established
    both.sign()
    assert both.here.take()


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_does_not_ask_for_a_certificate_gets_none(version: str) -> None:
    context = server_context(version=VERSIONS[version])
    context.set_verify(SSL.VERIFY_NONE, None)
    both = ends(version, context=context)
    both.here.receive(b"")
    both.there.receive(both.here.take())
    both.here.receive(both.there.take())
    assert both.here.wanted is None
    both.there.receive(both.here.take())
    both.here.receive(both.there.take())
    check_agreement(both)


def test_what_a_1_3_server_says_before_our_finished_is_kept_for_after_it() -> None:
    both = ends("1.3")
    both.here.receive(b"")
    both.there.receive(both.here.take())
    flight = both.there.take()
    both.here.receive(flight)
    early = Wire()
    early.writing = copy.copy(both.here._wire.reading)  # the server's application keys
    early.write(ContentType.APPLICATION_DATA, b"\0")
    assert both.here.receive(early.take()) == b""
    assert both.sign() == b"\0"


# Versions


def test_an_rsa_key_that_has_no_pss_speaks_tls_1_2() -> None:
    issued = user("rsa")
    both = Ends(client(issued, signs_pss=False), TlsEnd(accepting(server_context())), issued)
    both.shake_hands()
    assert both.here.version == "TLSv1.2"
    strict = server_context()
    strict.set_min_proto_version(SSL.TLS1_3_VERSION)
    here, there = client(issued, signs_pss=False), TlsEnd(accepting(strict))
    here.receive(b"")
    with pytest.raises(TlsFailed):
        there.receive(here.take())
    with pytest.raises(TlsFailed) as raised:
        here.receive(there.take())
    assert raised.value.alert == "protocol version"
    assert kind_of(here) is Kind.CRYPTO_NO_PROPOSAL
    assert f"{CARD} cannot sign (it has no RSA-PSS)" in str(here.refusal)


def test_the_holder_chooses_the_scheme_and_1_3_has_no_pkcs1() -> None:
    names = {}
    for version in VERSIONS:
        both = ends(version, user("rsa"))
        both.reach_signature()
        assert both.here.wanted is not None
        assert both.here.wanted.key == CARD
        names[version] = both.here.wanted.algorithms
    assert names["1.3"] == ("rsa-pss-sha256", "rsa-pss-sha384", "rsa-pss-sha512")
    assert "rsa-pkcs1-sha256" in names["1.2"]
    both = ends("1.2", user("rsa"))
    both.reach_signature()
    assert both.here.wanted is not None
    both.here.resume(answer(both.issued.key, both.here.wanted, "rsa-pkcs1-sha512"))
    both.there.receive(both.here.take())
    both.here.receive(both.there.take())
    check_agreement(both)


def test_somebody_who_takes_tls_1_3_out_of_our_offer_is_noticed() -> None:
    here, less = client(user()), client(user("rsa"), signs_pss=False)
    here.receive(b"")
    less.receive(b"")
    there = TlsEnd(accepting(server_context()))
    there.receive(less.take())
    with pytest.raises(TlsFailed, match="somebody in between"):
        here.receive(there.take())


def test_older_versions_are_not_spoken() -> None:
    here = client(user())
    here.receive(b"")
    hello = b"\x03\x02" + bytes(32) + b"\0\xc0\x2b\0"
    message = Message(HandshakeType.SERVER_HELLO, hello).octets
    with pytest.raises(TlsFailed, match="no version"):
        here.receive(b"\x16\x03\x02" + len(message).to_bytes(2) + message)


# Trust


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_is_not_trusted_gets_an_alert_and_nobody_is_asked_to_sign(version: str) -> None:
    trust = Trust((STRANGERS.certificate,), OPTIONS.trust.expected)
    here, there = client(user(), trust), TlsEnd(accepting(server_context(version=VERSIONS[version])))
    here.receive(b"")
    there.receive(here.take())
    with pytest.raises(TlsFailed) as raised:
        here.receive(there.take())
    assert raised.value.alert is None
    assert kind_of(here) is Kind.TRUST_UNKNOWN_CA
    assert here.wanted is None
    with pytest.raises(TlsFailed) as heard:
        there.receive(here.take())
    assert heard.value.alert == "unknown ca"
    with pytest.raises(TlsFailed, match="has ended"):
        here.receive(b"")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("staple", "policy", "kind"),
    [
        (stapled(), Policy.STRICT, Kind.TRUST_REVOCATION_UNKNOWN),  # the root's list is missing
        (stapled(), Policy.RELAXED, None),
        (stapled(ocsp.OCSPCertStatus.REVOKED), Policy.RELAXED, Kind.TRUST_REVOKED),
        (b"noise", Policy.RELAXED, None),
    ],
    ids=["strict", "good", "revoked", "noise"],
)
def test_what_the_server_staples_counts(
    staple: bytes, policy: Policy, kind: Kind | None, version: str
) -> None:
    context = server_context(version=VERSIONS[version])
    context.set_ocsp_server_callback(lambda _connection, _data: staple)
    both = ends(version, context=context)
    both = replace(both, here=client(user(), replace(OPTIONS.trust, revocation=policy)))
    if kind is None:
        both.shake_hands()
        return
    both.here.receive(b"")
    both.there.receive(both.here.take())
    with pytest.raises(TlsFailed):
        both.here.receive(both.there.take())
    assert kind_of(both.here) is kind


@pytest.mark.parametrize("version", VERSIONS)
def test_a_server_that_does_not_know_our_certificate_says_so(version: str) -> None:
    both = ends(version, STRANGER)
    both.reach_signature()
    both.sign()
    with pytest.raises(TlsFailed):
        both.there.receive(both.here.take())
    with pytest.raises(TlsFailed) as raised:
        both.here.receive(both.there.take())
    assert raised.value.alert == "unknown ca"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("signs", [True, False])
def test_a_servers_key_that_may_not_sign_proves_nothing(version: str, *, signs: bool) -> None:
    usage = x509.KeyUsage(signs, False, True, False, False, False, False, False, False)
    there = BETWEEN.issue(f"CN={NAME}", dns=[NAME], key="rsa", extensions=[(usage, True)], **VALID)
    both = ends(version, there=there)
    if signs:
        both.shake_hands()
        return
    both.here.receive(b"")
    both.there.receive(both.here.take())
    with pytest.raises(TlsFailed, match="not made for signatures"):
        both.here.receive(both.there.take())
    assert kind_of(both.here) is Kind.TRUST_NO_PROOF


# Signatures that will not do


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "nobody asked for"),
        (b"rsa-pss-sha256 AAAA", "nobody asked for"),
        (b"ecdsa-sha256 !", "does not read"),
        (b"ecdsa-sha256 AAAA", "does not fit"),
    ],
)
def test_a_signature_that_will_not_do_ends_the_login(said: bytes, words: str, version: str) -> None:
    both = ends(version)
    both.reach_signature()
    with pytest.raises(TlsFailed, match=words):
        both.here.resume(Secret(said))
    assert kind_of(both.here) is Kind.AUTH_NEEDS_SIGNER
    with pytest.raises(TlsFailed):
        both.there.receive(both.here.take())  # the alert alone


@pytest.mark.parametrize("version", VERSIONS)
def test_another_keys_signature_is_not_sent(version: str) -> None:
    both = ends(version)
    both.reach_signature()
    assert both.here.wanted is not None
    with pytest.raises(TlsFailed, match="does not fit"):
        both.here.resume(answer(SERVER.key, both.here.wanted))
    assert len(both.here.take()) < 40


def test_a_server_that_takes_no_signature_of_our_key_is_told_so() -> None:
    context = server_context(version=VERSIONS["1.2"])
    both = ends("1.2", user("ed448"), context=context)
    both.here.receive(b"")
    both.there.receive(both.here.take())
    flight = both.there.take()
    at = flight.index(b"\x08\x08", flight.index(b"\x0d", 5))
    assert at
    with pytest.raises(TlsFailed, match="takes no signature"):
        both.here.receive(flight.replace(b"\x08\x08", b"\x08\x09"))
    assert kind_of(both.here) is Kind.AUTH_METHOD


# Afterwards


def test_new_keys_are_taken_and_given() -> None:
    """RFC 8446 section 4.6.3."""
    both = ends("1.3")
    both.shake_hands()
    agreed = both.here._agreed
    assert isinstance(agreed, Agreed13)
    before = Epoch(agreed.epoch.ours, agreed.epoch.theirs)
    wire = Wire()
    wire.writing, wire.reading = copy.copy(both.here._wire.reading), before.ours.protection()
    wire.write(ContentType.HANDSHAKE, Message(HandshakeType.KEY_UPDATE, b"\x01").octets)
    wire.writing = before.theirs.next().protection()
    wire.write(ContentType.APPLICATION_DATA, b"renewed")
    assert both.here.receive(wire.take()) == b"renewed"
    wire.feed(both.here.take())
    assert wire.next_record() == (22, Message(HandshakeType.KEY_UPDATE, b"\0").octets)
    both.here.send(b"likewise")
    wire.feed(both.here.take())
    wire.reading = before.ours.next().protection()
    assert wire.next_record() == (23, b"likewise")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_server_ends_in_good_order(version: str) -> None:
    both = ends(version)
    both.shake_hands()
    both.there._connection.shutdown()
    assert both.here.receive(both.there.take()) == b""
    assert both.here.closed


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", [1, 2, 13, 24, 99])
def test_no_other_message_has_a_place_after_the_handshake(kind: int, version: str) -> None:
    both = ends(version)
    both.shake_hands()
    there = Wire()
    there.writing = copy.copy(both.here._wire.reading)
    there.write(ContentType.HANDSHAKE, Message(kind, b"\x07").octets)
    with pytest.raises(TlsFailed, match=r"after the handshake|update of keys"):
        both.here.receive(there.take())
