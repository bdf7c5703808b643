"""Hellos that a client must refuse (RFC 8446 sections 4.1 and 4.2, RFC 5746, RFC 8422), and by which alert."""

from __future__ import annotations

import pytest

from client.ike.tls.faults import Alert
from client.ike.tls.messages import LARGEST_COOKIE, Extension
from tests.ike.tls.hellos import (
    AES_1_3,
    CHACHA_1_3,
    ECDSA_1_2,
    P256,
    P384,
    P521,
    POINT,
    RANDOM,
    VERSION_1_3,
    X25519,
    begun,
    check_refused,
    cookie,
    hello,
    records,
    retry,
    share,
)

HELLOS = {
    "a cookie in a hello": (hello({**share(X25519, RANDOM), **cookie(4)}), Alert.ILLEGAL_PARAMETER),
    "what belongs to 1.2 in 1.3": (
        hello({**share(X25519, RANDOM), Extension.EXTENDED_MASTER_SECRET: b""}),
        Alert.ILLEGAL_PARAMETER,
    ),
    "a share in 1.2": (hello({Extension.KEY_SHARE: b"\0\x1d"}, suite=ECDSA_1_2), Alert.ILLEGAL_PARAMETER),
    "a cookie in 1.2": (hello(cookie(4), suite=ECDSA_1_2), Alert.ILLEGAL_PARAMETER),
    "1.2 by the extension for 1.3": (
        hello({Extension.SUPPORTED_VERSIONS: b"\x03\x03"}, suite=ECDSA_1_2),
        Alert.ILLEGAL_PARAMETER,
    ),
    "a version with an octet too many": (
        hello({**share(X25519, RANDOM), Extension.SUPPORTED_VERSIONS: b"\x03\x04\0"}),
        Alert.ILLEGAL_PARAMETER,
    ),
    "less than 1.3, by who has 1.3": (
        hello(suite=ECDSA_1_2, random=RANDOM[:24] + b"DOWNGRD\x01"),
        Alert.ILLEGAL_PARAMETER,
    ),
    "less than 1.2, by who has 1.2": (
        hello(suite=ECDSA_1_2, random=RANDOM[:24] + b"DOWNGRD\0"),
        Alert.ILLEGAL_PARAMETER,
    ),
    "an answer to nothing": (hello({**VERSION_1_3, 16: b""}), Alert.UNSUPPORTED_EXTENSION),
    "two answers to one": (
        hello([(Extension.SUPPORTED_VERSIONS, b"\x03\x04")] * 2),
        Alert.ILLEGAL_PARAMETER,
    ),
    "a session in 1.3": (hello(share(X25519, RANDOM), session=RANDOM), Alert.ILLEGAL_PARAMETER),
    "a session that is too long": (hello(suite=ECDSA_1_2, session=bytes(33)), Alert.ILLEGAL_PARAMETER),
    "compression": (hello(suite=ECDSA_1_2, compression=1), Alert.ILLEGAL_PARAMETER),
    "a suite of 1.2 in 1.3": (hello(share(X25519, RANDOM), suite=ECDSA_1_2), Alert.ILLEGAL_PARAMETER),
    "a suite of 1.3 in 1.2": (hello(suite=AES_1_3), Alert.ILLEGAL_PARAMETER),
    "a suite without forward secrecy": (hello(suite=0x009C), Alert.ILLEGAL_PARAMETER),
    "no share": (hello(VERSION_1_3), Alert.MISSING_EXTENSION),
    "a share of a group that we sent none of": (hello(share(P384, bytes(97))), Alert.ILLEGAL_PARAMETER),
    "a share of low order": (hello(share(X25519, bytes(32))), Alert.ILLEGAL_PARAMETER),
    "a share that is too short": (hello(share(X25519, bytes(31))), Alert.ILLEGAL_PARAMETER),
    "a share that is no point": (hello(share(P256, b"\x04" + 2 * POINT)), Alert.ILLEGAL_PARAMETER),
    "a compressed point": (hello(share(P256, b"\x02" + POINT)), Alert.ILLEGAL_PARAMETER),
    "the point at infinity": (hello(share(P256, b"\0")), Alert.ILLEGAL_PARAMETER),
    "a renegotiation": (
        hello({Extension.RENEGOTIATION_INFO: b"\x01x"}, suite=ECDSA_1_2),
        Alert.HANDSHAKE_FAILURE,
    ),
    "compressed points alone": (
        hello({Extension.EC_POINT_FORMATS: b"\x01\x01"}, suite=ECDSA_1_2),
        Alert.ILLEGAL_PARAMETER,
    ),
    "the same hello again": (retry({}), Alert.ILLEGAL_PARAMETER),
    "another hello with a share that was sent": (
        retry({Extension.KEY_SHARE: P256.to_bytes(2)}),
        Alert.ILLEGAL_PARAMETER,
    ),
    "another hello with an unknown group": (
        retry({Extension.KEY_SHARE: b"\0\x1a"}),
        Alert.ILLEGAL_PARAMETER,
    ),
    "another hello with two groups": (
        retry({Extension.KEY_SHARE: b"\0\x18\0\x19"}),
        Alert.ILLEGAL_PARAMETER,
    ),
    "a cookie of nothing": (retry(cookie(0)), Alert.ILLEGAL_PARAMETER),
    "a cookie with something behind": (
        retry({Extension.COOKIE: b"\0\x01xx"}),
        Alert.DECODE_ERROR,
    ),
    "a cookie that no hello could hold": (retry(cookie(65_000)), Alert.ILLEGAL_PARAMETER),
}


@pytest.mark.parametrize("what", HELLOS)
def test_a_hello_that_may_not_be_ends_by_its_alert(what: str) -> None:
    octets, alert = HELLOS[what]
    check_refused(begun(), records(octets), alert)


def test_who_offers_no_tls_1_3_is_not_answered_in_it() -> None:
    check_refused(begun(signs_pss=False), records(hello(share(X25519, RANDOM))), Alert.PROTOCOL_VERSION)


def test_the_largest_cookie_is_said_again_and_a_second_retry_is_refused() -> None:
    here = begun()
    here.take()
    here.receive(records(retry({Extension.KEY_SHARE: P384.to_bytes(2), **cookie(LARGEST_COOKIE)})))
    assert b"\0\x2c" + (LARGEST_COOKIE + 2).to_bytes(2) in here.take()
    check_refused(here, records(retry({Extension.KEY_SHARE: P521.to_bytes(2)})), Alert.UNEXPECTED_MESSAGE)


@pytest.mark.parametrize(
    "second",
    [
        hello(share(P384, bytes(97)), suite=CHACHA_1_3),
        hello(suite=ECDSA_1_2),
        hello(share(X25519, RANDOM)),
    ],
    ids=["another suite", "another version", "another group"],
)
def test_a_server_stands_by_what_its_retry_has_chosen(second: bytes) -> None:
    here = begun()
    here.receive(records(retry({Extension.KEY_SHARE: P384.to_bytes(2)})))
    check_refused(here, records(second), Alert.ILLEGAL_PARAMETER)
