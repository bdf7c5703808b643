"""What revocation lists and OCSP responses prove, and what proves nothing (RFC 5280 section 6.3, RFC 6960)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from client.ike.events import Inquiry, Kind, Reply
from client.ike.inquest import MAX_FETCHES, WITHIN, Inquest, Memory
from client.ike.refusal import Refusal
from client.ike.revocation import (
    MAX_SIZE,
    Finding,
    Good,
    Link,
    Policy,
    Revoked,
    Unusable,
    load_list,
    read_list,
    read_ocsp,
)
from client.lab.pki import KeyKind, make_authority
from tests.ike.statements import (
    COMPROMISED,
    GATEWAY,
    HOUR,
    LINK,
    LIST_URL,
    OCSP_URL,
    OTHER,
    REVOKED_AT,
    appointed,
    octets,
    response,
    revocation_list,
    sources,
)
from tests.pair import AUTHORITY, VALID, WALL
from tests.rng import SeededRng

GOOD, REVOKED, UNKNOWN = (
    ocsp.OCSPCertStatus.GOOD,
    ocsp.OCSPCertStatus.REVOKED,
    ocsp.OCSPCertStatus.UNKNOWN,
)
PATH = (GATEWAY.certificate, AUTHORITY.certificate)
NONCE = b"a nonce of ours!"
NAMESAKE = make_authority("CN=Test Root", **VALID)  # another key under the same name
DELEGATE = appointed()
STRANGER = appointed(NAMESAKE)


def unsuccessful(status: ocsp.OCSPResponseStatus) -> bytes:
    return ocsp.OCSPResponseBuilder.build_unsuccessful(status).public_bytes(Encoding.DER)


def damaged(data: bytes) -> bytes:
    """The signature stands at the end."""
    return data[:-1] + bytes([data[-1] ^ 1])


USELESS_RESPONSES: dict[str, tuple[Callable[[], bytes], str]] = {
    "nothing": (lambda: b"", "does not read"),
    "noise": (lambda: b"<html>Log in to this hotel's network</html>", "does not read"),
    "too large": (lambda: bytes(MAX_SIZE + 1), "too large"),
    "try later": (lambda: unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER), "try later"),
    "unauthorized": (lambda: unsuccessful(ocsp.OCSPResponseStatus.UNAUTHORIZED), "unauthorized"),
    "unknown": (lambda: response(UNKNOWN), "does not know the certificate"),
    "stale": (lambda: response(since=WALL - 3 * HOUR, until=WALL - HOUR), "stale"),
    "of the future": (lambda: response(since=WALL + HOUR, until=WALL + 2 * HOUR), "later than the clock"),
    "without an end, and old": (lambda: response(since=WALL - timedelta(days=2), until=None), "stale"),
    "another serial": (lambda: response(about=Link(OTHER.certificate, LINK.issuer)), "another certificate"),
    "another issuer's": (
        lambda: response(about=Link(GATEWAY.certificate, NAMESAKE.certificate)),
        "another certificate",
    ),
    "another nonce": (lambda: response(nonce=b"somebody else's!"), "another request"),
    "damaged": (lambda: damaged(response()), "is wrong"),
    "a namesake's signature": (lambda: response(by=NAMESAKE), "is wrong"),
    "a delegate that is not shown": (lambda: response(by=DELEGATE), "shows no certificate"),
    "a stranger's delegate": (
        lambda: response(by=STRANGER, shows=[STRANGER.certificate]),
        "not appointed by the issuer",
    ),
    "a delegate for other things": (
        lambda: response(by=(it := appointed(made_for_it=False)), shows=[it.certificate]),
        "not made for OCSP",
    ),
    "the gateway itself": (lambda: response(by=GATEWAY, shows=[GATEWAY.certificate]), "not made for OCSP"),
    "an expired delegate": (
        lambda: response(by=(it := appointed(not_after=WALL - HOUR)), shows=[it.certificate]),
        "out of date",
    ),
}


@pytest.mark.parametrize("name", USELESS_RESPONSES)
def test_a_useless_response_proves_nothing(name: str) -> None:
    make, why = USELESS_RESPONSES[name]
    with pytest.raises(Unusable, match=why):
        read_ocsp(make(), LINK, WALL, NONCE)


@pytest.mark.parametrize(
    "data",
    [
        response(),
        response(nonce=NONCE),
        response(algorithm=hashes.SHA256()),
        response(named_by=ocsp.OCSPResponderEncoding.HASH),
        response(by=DELEGATE, shows=[DELEGATE.certificate]),
        response(until=None),
    ],
    ids=["issuer", "nonce", "SHA-256", "by key", "delegate", "no end"],
)
def test_a_response_of_today_by_the_issuer_or_its_delegate_counts(data: bytes) -> None:
    assert isinstance(read_ocsp(data, LINK, WALL, NONCE), Good)


KINDS: tuple[KeyKind, ...] = ("rsa", "ecdsa", "ecdsa384", "ecdsa521", "ed25519", "ed448")
SIGNERS = {kind: appointed(key=kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_a_delegate_may_have_any_key_that_signs(kind: KeyKind) -> None:
    by = SIGNERS[kind]
    data = response(by=by, shows=[by.certificate], nonce=NONCE)
    assert isinstance(read_ocsp(data, LINK, WALL, NONCE), Good)
    other = SIGNERS["ed448" if kind == "ed25519" else "ed25519"]
    with pytest.raises(Unusable, match=r"is wrong|not accepted"):
        read_ocsp(response(by=by, shows=[other.certificate]), LINK, WALL)
    with pytest.raises(Unusable):
        read_ocsp(data.replace(b"OCSP of the root", b"OCSP of the r00t"), LINK, WALL)


@pytest.mark.parametrize("salt", [0, 20, 32, 222])
@pytest.mark.parametrize("status", [GOOD, REVOKED])
def test_an_rsa_delegate_may_sign_by_pss_with_any_salt(status: ocsp.OCSPCertStatus, salt: int) -> None:
    by = SIGNERS["rsa"]
    data = response(status, by=by, shows=[by.certificate], nonce=NONCE, pss_salt=salt)
    assert isinstance(read_ocsp(data, LINK, WALL, NONCE), Good if status is GOOD else Revoked)
    with pytest.raises(Unusable, match="is wrong"):
        read_ocsp(data.replace(NONCE, bytes(16)), LINK, WALL)


def test_an_issuer_itself_may_sign_by_pss() -> None:
    issuer = make_authority("CN=Root of RSA", key="rsa", **VALID)
    leaf = issuer.issue("CN=vpn.example.com", **VALID)
    link = Link(leaf.certificate, issuer.certificate)
    by_sha512 = response(about=link, by=issuer, pss_salt=64, signed_with=hashes.SHA512())
    assert isinstance(read_ocsp(by_sha512, link, WALL), Good)
    listed = revocation_list([leaf.certificate], by=issuer, by_pss=True)
    assert isinstance(read_list(listed, link, WALL), Revoked)


@pytest.mark.parametrize("salt", [None, 20])
def test_a_response_signed_with_sha_1_proves_nothing(salt: int | None) -> None:
    by = SIGNERS["rsa"]
    data = response(by=by, shows=[by.certificate], signed_with=hashes.SHA1(), pss_salt=salt)
    with pytest.raises(Unusable, match=r"not accepted|is wrong"):
        read_ocsp(data, LINK, WALL)


def test_a_response_says_who_revoked_what_when_and_why() -> None:
    found = read_ocsp(response(REVOKED), LINK, WALL)
    assert isinstance(found, Revoked)
    assert found.sentence(LINK) == (
        f"the certificate “CN=vpn.example.com” (serial {GATEWAY.certificate.serial_number:#x}) was revoked on "
        f"{REVOKED_AT:%Y-%m-%d %H:%M} UTC (key compromise), says the OCSP responder “CN=Test Root”"
    )


def part(**options: bool) -> list[tuple[x509.ExtensionType, bool]]:
    """The extension that says which part of the certificates a list is about."""
    url = options.pop("elsewhere", False)
    names = [x509.UniformResourceIdentifier("http://lists.example.com/other.crl")] if url else None
    every = {
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    reasons = frozenset({COMPROMISED}) if options.pop("reasons", False) else None
    return [
        (
            x509.IssuingDistributionPoint(
                full_name=names, relative_name=None, only_some_reasons=reasons, **{**every, **options}
            ),
            True,
        )
    ]


USELESS_LISTS: dict[str, tuple[Callable[[], x509.CertificateRevocationList], str]] = {
    "stale": (lambda: revocation_list(since=WALL - 3 * HOUR, until=WALL - HOUR), "stale"),
    "of the future": (lambda: revocation_list(since=WALL + HOUR, until=WALL + 2 * HOUR), "later than"),
    "another issuer's": (
        lambda: revocation_list(name=x509.Name.from_rfc4514_string("CN=Somebody")),
        "one of “CN=Somebody”",
    ),
    "a namesake's": (lambda: revocation_list(by=NAMESAKE), "signature of the revocation list is wrong"),
    "indirect": (lambda: revocation_list(extensions=part(indirect_crl=True)), "indirect"),
    "indirect, by an entry": (
        lambda: revocation_list(
            [GATEWAY.certificate], marks=[x509.CertificateIssuer([x509.DNSName("other.example.com")])]
        ),
        "indirect",
    ),
    "changes only": (lambda: revocation_list(extensions=[(x509.DeltaCRLIndicator(1), True)]), "changes"),
    "some reasons": (lambda: revocation_list(extensions=part(reasons=True)), "partial"),
    "attributes": (lambda: revocation_list(extensions=part(only_contains_attribute_certs=True)), "partial"),
    "authorities": (lambda: revocation_list(extensions=part(only_contains_ca_certs=True)), "authorities"),
    "another part": (lambda: revocation_list(extensions=part(elsewhere=True)), "not the one that"),
    "critical": (
        lambda: revocation_list(
            extensions=[(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b""), True)]
        ),
        "not understood",
    ),
}


@pytest.mark.parametrize("name", USELESS_LISTS)
def test_a_useless_list_proves_nothing(name: str) -> None:
    make, why = USELESS_LISTS[name]
    with pytest.raises(Unusable, match=why):
        read_list(make(), LINK, WALL)


@pytest.mark.parametrize(
    "found",
    [
        revocation_list(),
        revocation_list([OTHER.certificate]),
        revocation_list(extensions=[(x509.CRLNumber(7), False), *part(only_contains_user_certs=True)]),
    ],
    ids=["empty", "others", "its part"],
)
def test_a_list_without_the_certificate_is_good_news(found: x509.CertificateRevocationList) -> None:
    assert isinstance(read_list(found, LINK, WALL), Good)


def test_a_list_says_who_revoked_what_when_and_why() -> None:
    found = read_list(revocation_list([OTHER.certificate, GATEWAY.certificate]), LINK, WALL)
    assert isinstance(found, Revoked)
    assert (found.at, found.reason, found.by) == (
        REVOKED_AT,
        "key compromise",
        "the revocation list of “CN=Test Root”",
    )


def test_a_list_is_read_from_either_encoding() -> None:
    found = revocation_list([GATEWAY.certificate])
    assert load_list(octets(found)) == load_list(found.public_bytes(Encoding.PEM)) == found


@pytest.mark.parametrize("data", [b"", b"-----BEGIN X509 CRL-----", bytes(100), bytes(MAX_SIZE + 1)])
def test_what_is_no_list_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(Unusable):
        load_list(data)


def by_response(data: bytes) -> Finding:
    return read_ocsp(data, LINK, WALL)


def by_list(data: bytes) -> Finding:
    return read_list(load_list(data), LINK, WALL)


@pytest.mark.parametrize(
    ("original", "read"),
    [
        (response(), by_response),
        (response(by=DELEGATE, shows=[DELEGATE.certificate]), by_response),
        (octets(revocation_list([OTHER.certificate])), by_list),
    ],
    ids=["issuer", "delegate", "list"],
)
def test_mangled_evidence_raises_nothing_else_and_convicts_nobody(
    original: bytes, read: Callable[[bytes], Finding]
) -> None:
    random = Random(4806)
    for _ in range(300):
        data = bytearray(original)
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
        try:
            found = read(bytes(data))
        except Unusable:
            continue
        assert isinstance(found, Good), "a bit outside of what is signed changes nothing"


# The whole question


def inquest(policy: Policy = Policy.STRICT, memory: Memory | None = None) -> Inquest:
    return Inquest(PATH, policy, memory or Memory(), WALL)


def ask(question: Inquest, now: float = 0.0) -> tuple[Inquiry, ...]:
    return question.inquiries(SeededRng(1), now)


def test_the_responder_is_asked_first_and_the_list_only_if_that_says_nothing() -> None:
    question = inquest()
    (first,) = ask(question)
    assert first.url == OCSP_URL
    assert ocsp.load_der_ocsp_request(first.body).serial_number == GATEWAY.certificate.serial_number
    question.take([Reply(trouble="connection refused")])
    assert ask(question) == (Inquiry(LIST_URL),)
    question.take([Reply(octets(revocation_list()))])
    assert question.is_settled
    assert ask(question) == ()
    assert question.conclude() == ""


def test_an_answer_with_our_nonce_settles_it_and_an_older_one_does_not() -> None:
    for echo, settled in ((True, True), (False, False)):
        question = inquest()
        (first,) = ask(question)
        request = ocsp.load_der_ocsp_request(first.body)
        ours = request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        question.take([Reply(response(nonce=ours if echo else b"an older nonce.."))])
        assert question.is_settled == settled


def take_both(question: Inquest, *replies: Reply) -> None:
    for reply in replies:
        assert len(ask(question)) == 1
        question.take([reply])


@pytest.mark.parametrize("reply", [Reply(response(REVOKED)), Reply(trouble="connection refused")])
def test_a_revoked_certificate_is_refused_whatever_the_policy_and_the_source(reply: Reply) -> None:
    for policy in (Policy.RELAXED, Policy.STRICT):
        question = inquest(policy)
        with pytest.raises(Refusal, match="was revoked on") as refused:
            take_both(question, reply, Reply(octets(revocation_list([GATEWAY.certificate]))))
        assert refused.value.failure is not None
        assert refused.value.failure.kind is Kind.TRUST_REVOKED


def test_silence_is_remarked_on_or_refused() -> None:
    for policy in (Policy.RELAXED, Policy.STRICT):
        question = inquest(policy)
        ask(question)
        question.take([])
        assert ask(question, now=WITHIN) == (), "the time is over"
        if policy is Policy.RELAXED:
            assert f"{OCSP_URL}: no answer in time" in question.conclude()
        else:
            with pytest.raises(Refusal, match="no answer in time") as refused:
                question.conclude()
            assert refused.value.failure is not None
            assert refused.value.failure.kind is Kind.TRUST_REVOCATION_UNKNOWN


def test_a_silent_responder_leaves_time_for_the_list() -> None:
    question = inquest()
    ask(question, now=100.0)
    assert question.patience(100.0) < WITHIN
    question.take([])
    assert ask(question, now=103.0) == (Inquiry(LIST_URL),)
    assert question.patience(103.0) == WITHIN - 3.0, "it is the last one"
    question.take([])
    assert ask(question, now=103.0) == ()


def test_without_anybody_to_ask_only_the_strict_policy_minds() -> None:
    path = (OTHER.certificate, AUTHORITY.certificate)
    assert Inquest(path, Policy.RELAXED, Memory(), WALL).conclude() == ""
    with pytest.raises(Refusal, match="does not say where to ask"):
        Inquest(path, Policy.STRICT, Memory(), WALL).conclude()
    assert Inquest(path, Policy.OFF, Memory(), WALL).is_settled


def test_the_authority_that_is_trusted_by_itself_is_not_asked_about() -> None:
    assert Inquest((AUTHORITY.certificate,), Policy.STRICT, Memory(), WALL).is_settled


def test_every_authority_in_between_is_asked_about() -> None:
    middle = AUTHORITY.subordinate("CN=Middle", extensions=sources(), **VALID)
    leaf = middle.issue("CN=vpn.example.com", extensions=sources(responder=None), **VALID)
    path = (leaf.certificate, middle.certificate, AUTHORITY.certificate)
    question = Inquest(path, Policy.STRICT, Memory(), WALL)
    assert [wanted.url for wanted in ask(question)] == [LIST_URL, OCSP_URL]
    good = response(about=Link(middle.certificate, AUTHORITY.certificate))
    question.take([Reply(octets(revocation_list(by=middle))), Reply(good)])
    assert question.conclude() == ""


def test_no_more_is_fetched_than_the_limit_whatever_certificates_name() -> None:
    many = [f"http://lists.example.com/{n}.crl" for n in range(50)]
    leaf = AUTHORITY.issue("CN=vpn.example.com", extensions=sources(lists=many), **VALID)
    question = Inquest((leaf.certificate, AUTHORITY.certificate), Policy.STRICT, Memory(), WALL)
    fetched = 0
    while wanted := ask(question):
        fetched += len(wanted)
        question.take([Reply(trouble="404")] * len(wanted))
    assert fetched == MAX_FETCHES


@pytest.mark.parametrize("url", ["https://example.com/", "ldap://example.com/", "file:///etc/passwd"])
def test_nothing_but_http_is_fetched(url: str) -> None:
    leaf = AUTHORITY.issue("CN=vpn.example.com", extensions=sources(responder=url, lists=[url]), **VALID)
    assert ask(Inquest((leaf.certificate, AUTHORITY.certificate), Policy.STRICT, Memory(), WALL)) == ()


def test_what_was_found_is_remembered_until_it_is_stale() -> None:
    memory = Memory()
    question = inquest(memory=memory)
    ask(question)
    question.take([Reply(response(until=WALL + HOUR))])
    assert inquest(memory=memory).is_settled
    later = Inquest(PATH, Policy.STRICT, memory, WALL + 2 * HOUR)
    assert not later.is_settled


def test_what_is_at_hand_needs_no_fetch() -> None:
    by_list, by_gateway = inquest(), inquest()
    by_list.consult([revocation_list(since=WALL - 3 * HOUR, until=WALL - HOUR), revocation_list()])
    by_gateway.offer([b"noise", response()], "the gateway")
    assert by_list.is_settled
    assert by_gateway.is_settled
    with pytest.raises(Refusal):
        inquest(Policy.RELAXED).offer([response(REVOKED)], "the gateway")


@pytest.mark.parametrize("policy", [Policy.RELAXED, Policy.STRICT])
def test_what_was_at_hand_and_of_no_use_is_told(policy: Policy) -> None:
    question = Inquest((OTHER.certificate, AUTHORITY.certificate), policy, Memory(), WALL)
    question.consult([revocation_list(since=WALL - 3 * HOUR, until=WALL - HOUR)])
    question.consult([revocation_list(by=NAMESAKE, name=x509.Name.from_rfc4514_string("CN=Somebody"))])
    stale = response(about=Link(OTHER.certificate, LINK.issuer), since=WALL - 3 * HOUR, until=WALL - HOUR)
    question.offer([b"noise", response(), stale], "the gateway")
    try:
        told = question.conclude()
    except Refusal as refusal:
        assert policy is Policy.STRICT
        told = str(refusal)
    assert "in the profile: the revocation list is stale" in told
    assert "from the gateway itself: the OCSP response does not read" in told
    assert "from the gateway itself: the OCSP response is stale" in told
    assert "another certificate" not in told, "it is about somebody else, and nothing is wrong with it"
    assert "Somebody" not in told
