"""A login server whose certificate may have been revoked: what it staples (RFC 6066), what the profile has.

Nobody is asked in the course of TLS.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography.x509 import ocsp

from client.ike.eap.tls import TlsClient, TlsEnd, TlsFailed
from client.ike.events import Kind
from client.ike.revocation import Link, Policy
from client.lab.pki import Issued
from tests.ike.eap.test_tls import accepting, server_context, shake_hands
from tests.ike.eap.tls_dialogue import (
    AUTHORITY,
    BETWEEN,
    IDENTITY,
    NAME,
    OPTIONS,
    SERVER,
    VALID,
    VERSIONS,
    WALL,
)
from tests.ike.statements import HOUR, OCSP_URL, response, revocation_list, sources

REVOKED = ocsp.OCSPCertStatus.REVOKED
LINK = Link(SERVER.certificate, BETWEEN.certificate)
OF_THE_ROOT = revocation_list(by=AUTHORITY, since=WALL - HOUR, until=WALL + HOUR)
AGAINST_IT = revocation_list([SERVER.certificate], by=BETWEEN, since=WALL - HOUR, until=WALL + HOUR)


def stapled(status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD) -> bytes:
    return response(status, about=LINK, by=BETWEEN, since=WALL - HOUR, until=WALL + HOUR)


STALE = response(
    about=LINK, by=BETWEEN, since=WALL - 3 * HOUR, until=WALL - HOUR
)  # noise OpenSSL would not staple


def ends(
    policy: Policy, staple: bytes, version: str, *, listed: bool = False, server: Issued = SERVER
) -> tuple[TlsClient, TlsEnd]:
    lists = (OF_THE_ROOT, AGAINST_IT) if listed else (OF_THE_ROOT,)
    context = server_context(server, VERSIONS[version])
    context.set_ocsp_server_callback(lambda _connection, _data: staple)
    trust = replace(OPTIONS.trust, revocation=policy, lists=lists)
    return TlsClient(trust, WALL, IDENTITY), TlsEnd(accepting(context))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("policy", "staple"),
    [
        (Policy.STRICT, stapled()),
        (Policy.RELAXED, stapled()),
        (Policy.RELAXED, b""),
        (Policy.RELAXED, STALE),
        (Policy.OFF, b""),
        (Policy.OFF, stapled(REVOKED)),
    ],
    ids=["strict, good", "relaxed, good", "relaxed, nothing", "relaxed, stale", "off", "off, revoked"],
)
def test_the_handshake_goes_through(policy: Policy, staple: bytes, version: str) -> None:
    here, there = ends(policy, staple, version)
    shake_hands(here, there)
    assert here.proven


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("policy", "staple", "listed", "kind"),
    [
        (Policy.STRICT, b"", False, Kind.TRUST_REVOCATION_UNKNOWN),
        (Policy.STRICT, STALE, False, Kind.TRUST_REVOCATION_UNKNOWN),
        (Policy.STRICT, stapled(REVOKED), False, Kind.TRUST_REVOKED),
        (Policy.RELAXED, stapled(REVOKED), False, Kind.TRUST_REVOKED),
        (Policy.RELAXED, stapled(), True, Kind.TRUST_REVOKED),
    ],
    ids=["strict, nothing", "strict, stale", "strict, revoked", "relaxed, revoked", "by the list"],
)
def test_the_handshake_is_broken_off_before_anything_of_ours_has_left(
    policy: Policy, staple: bytes, listed: bool, kind: Kind, version: str
) -> None:
    here, there = ends(policy, staple, version, listed=listed)
    here.receive(b"")
    there.receive(here.take())
    with pytest.raises(TlsFailed):
        here.receive(there.take())
    assert not here.proven
    with pytest.raises(TlsFailed):
        there.receive(here.take())
    assert here.refusal is not None
    assert here.refusal.failure is not None
    assert here.refusal.failure.kind is kind


NAMED = BETWEEN.issue(f"CN={NAME}", dns=[NAME], extensions=sources(), **VALID)


@pytest.mark.parametrize(
    ("server", "staple", "words"),
    [
        (SERVER, b"", ""),
        (SERVER, STALE, "from the login server itself: the OCSP response is stale"),
        (SERVER, stapled(), ""),
        (NAMED, b"", f"{OCSP_URL} was not asked"),
    ],
    ids=["nobody to ask", "stale", "good", "nobody asked"],
)
def test_what_is_not_known_of_a_server_that_is_believed_is_a_remark(
    server: Issued, staple: bytes, words: str
) -> None:
    here, there = ends(Policy.RELAXED, staple, "1.3", server=server)
    shake_hands(here, there)
    assert here.proven
    assert words in here.remark
    assert bool(here.remark) is bool(words)
