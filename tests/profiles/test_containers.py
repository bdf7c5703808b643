"""Keys and certificates out of the files that administrators hand out, as OpenSSL 3.0 makes them.

Made with `openssl pkcs12 -export [-legacy] [-keypbe … -certpbe …]`, `openssl pkcs8 -topk8`, `openssl ec -aes256`.
All hold the same throw-away key, and the passphrase is "sesame".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)

from client.ike.signatures import PrivateKey
from client.lab.pki import Authority, Issued, make_authority, pem
from profiles import containers
from profiles.der import INTEGER, OCTETS, Element, children, first

FILES = Path(__file__).parent / "containers"
PASSPHRASE = b"sesame"
BUNDLES = ("legacy.p12", "modern.p12", "rc2.p12", "empty.p12", "plain.p12")
LOCKED = ("legacy.p12", "modern.p12", "rc2.p12", "pkcs8.pem", "traditional.pem")
OPEN = ("empty.p12", "plain.p12", "key.pem", "key.der", "me.pem", "above.pem")


def octets(name: str) -> bytes:
    return (FILES / name).read_bytes()


def passphrase_of(name: str) -> bytes | None:
    return PASSPHRASE if name in LOCKED else None


def public(key: object) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined, no-any-return]


KEY = public(containers.read(octets("key.pem")).key)


@pytest.mark.parametrize("name", BUNDLES)
def test_a_bundle_gives_key_chain_and_authority(name: str) -> None:
    bundle = containers.read(octets(name), passphrase_of(name))
    assert public(bundle.key) == KEY
    assert [item.subject.rfc4514_string() for item in bundle.chain] == [
        "O=Example,CN=anna",
        "CN=Container Issuing",
    ]
    assert [item.subject.rfc4514_string() for item in bundle.authorities] == ["CN=Container Root"]


@pytest.mark.parametrize("name", LOCKED)
def test_what_is_locked_says_so_and_opens_with_its_passphrase_alone(name: str) -> None:
    assert containers.is_locked(octets(name))
    assert public(containers.read(octets(name), PASSPHRASE).key) == KEY
    for passphrase, wrong in ((None, False), (b"", True), (b"wrong", True), (b"sesame ", True)):
        with pytest.raises(containers.Locked) as raised:
            containers.read(octets(name), passphrase)
        assert raised.value.wrong is wrong


@pytest.mark.parametrize("name", OPEN)
def test_what_is_open_needs_no_passphrase(name: str) -> None:
    assert not containers.is_locked(octets(name))
    containers.read(octets(name))


@pytest.mark.parametrize("name", ["me.pem", "above.pem"])
def test_certificates_alone_hold_no_key(name: str) -> None:
    assert not containers.holds_key(octets(name))
    assert containers.read(octets(name)).key is None


@pytest.mark.parametrize("name", [*LOCKED, "key.pem", "key.der", "plain.p12"])
def test_a_key_is_noticed_in_every_form(name: str) -> None:
    assert containers.holds_key(octets(name))


@pytest.mark.parametrize("name", [*BUNDLES, "pkcs8.pem", "traditional.pem", "key.der"])
def test_what_was_opened_is_plain_and_the_same(name: str) -> None:
    plain = containers.opened(octets(name), passphrase_of(name))
    assert not containers.is_locked(plain)
    before, after = containers.read(octets(name), passphrase_of(name)), containers.read(plain)
    assert public(after.key) == KEY
    assert (after.chain, after.authorities) == (before.chain, before.authorities)


def test_one_pem_file_may_hold_everything_in_any_order() -> None:
    for parts in (("me.pem", "above.pem", "key.pem"), ("above.pem", "key.pem", "me.pem")):
        bundle = containers.read(b"".join(octets(part) for part in parts))
        assert public(bundle.key) == KEY
        assert [len(bundle.chain), len(bundle.authorities)] == [2, 1]
        assert bundle.chain[0].subject.rfc4514_string() == "O=Example,CN=anna"


def pem_of(*parts: x509.Certificate | PrivateKey) -> bytes:
    return "".join(map(pem, parts)).encode()


def test_where_several_of_ours_are_in_one_file_there_is_a_choice() -> None:
    root = make_authority("CN=Root")
    between = root.subordinate("CN=Between")
    anna, berta = between.issue("CN=anna", server=False), root.issue("CN=berta", server=False)
    octets = pem_of(berta.key, anna.certificate, *between._below(), anna.key, berta.certificate)
    first, second = containers.choices(octets)
    assert [item.subject.rfc4514_string() for item in first.chain] == ["CN=anna", "CN=Between"]
    assert public(first.key) == public(anna.key)
    assert second.chain[0] == berta.certificate
    assert public(second.key) == public(berta.key)
    plain = containers.opened(octets, None)
    assert {bundle.chain[0] for bundle in containers.choices(plain)} == {anna.certificate, berta.certificate}


def test_encrypted_keys_are_all_opened_by_their_passphrase() -> None:
    root = make_authority("CN=Root")
    people = [root.issue(f"CN={name}", server=False) for name in ("anna", "berta")]
    locked = b"".join(
        person.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSPHRASE))
        + pem_of(person.certificate)
        for person in people
    )
    assert [bundle.chain[0] for bundle in containers.choices(locked, PASSPHRASE)] == [
        person.certificate for person in people
    ]
    assert len(containers.choices(containers.opened(locked, PASSPHRASE))) == 2
    with pytest.raises(containers.Locked):
        containers.choices(locked, b"wrong")


def test_of_a_renewed_certificate_the_latest_is_ours() -> None:
    root = make_authority("CN=Root")
    mine = root.issue("CN=anna", server=False)
    renewed = reissued(root, mine, timedelta(days=400))
    for certificates in ([mine.certificate, renewed], [renewed, mine.certificate]):
        (bundle,) = containers.choices(pem_of(mine.key, *certificates))
        assert bundle.chain == (renewed,)
    assert isinstance(mine.key, ec.EllipticCurvePrivateKey)
    bundle_file = pkcs12.serialize_key_and_certificates(
        b"me", mine.key, mine.certificate, [renewed], NoEncryption()
    )
    assert [bundle.chain for bundle in containers.choices(bundle_file)] == [(renewed,)]


def reissued(root: Authority, mine: Issued, later: timedelta) -> x509.Certificate:
    """The same person and key, valid for longer."""
    was = mine.certificate
    builder = x509.CertificateBuilder(was.issuer, was.subject, was.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(was.not_valid_before_utc).not_valid_after(
        was.not_valid_after_utc + later
    )
    return builder.sign(root.key, hashes.SHA256())


@pytest.mark.parametrize("name", [*BUNDLES, *LOCKED])
def test_with_one_certificate_there_is_nothing_to_choose(name: str) -> None:
    assert len(containers.choices(octets(name), passphrase_of(name))) == (name in BUNDLES)


def test_a_certificate_that_its_owner_signed_is_ours_and_no_authority() -> None:
    own = make_authority("CN=self")
    bundle = containers.read((pem(own.key) + pem(own.certificate)).encode())
    assert (bundle.chain, bundle.authorities) == ((own.certificate,), ())


@pytest.mark.parametrize(
    "junk",
    [b"", b"0", b"nothing", bytes(100), b"\x30\x80\x02\x01\x03", b"-----BEGIN CERTIFICATE-----\nAAAA\n"],
)
def test_what_is_no_container_raises_one_family_only(junk: bytes) -> None:
    with pytest.raises(ValueError):
        containers.read(junk)
    containers.is_locked(junk)
    containers.holds_key(junk)


@pytest.mark.parametrize("name", [*BUNDLES, *LOCKED[3:], "key.der", "me.pem"])
def test_a_damaged_container_raises_one_family_only(name: str) -> None:
    good = octets(name)
    for position in range(0, len(good), 7):
        bad = good[:position] + bytes([good[position] ^ 0x55]) + good[position + 1 :]
        for changed in (bad, good[:position]):
            try:
                containers.read(changed, passphrase_of(name))
            except ValueError:
                continue


def test_a_file_of_beginnings_alone_is_read_once() -> None:
    """It was once for each of them: a file of this size stopped the daemon for more than a minute."""
    whole = octets("me.pem") + octets("key.pem")
    file = whole + b"-----BEGIN PRIVATE KEY-----\n" * 23_000
    (found,) = containers.choices(file)
    assert public(found.key) == KEY


def test_more_keys_or_certificates_than_anybody_has_are_refused() -> None:
    key, mine = octets("key.pem"), octets("me.pem")
    assert len(containers.choices(mine + key * containers.MOST_KEYS)) == 1
    with pytest.raises(ValueError, match="9 private keys, more than 8"):
        containers.choices(mine + key * (containers.MOST_KEYS + 1))
    with pytest.raises(ValueError, match="257 certificates, more than 256"):
        containers.read(key + mine * (containers.MOST_CERTIFICATES + 1))


def endless(name: str) -> bytes:
    """A container that takes minutes: the lengths around the longer number are written anew."""
    return rewritten(first(pem_or_der(octets(name))), 0x7FFFFFFF)


def pem_or_der(container: bytes) -> bytes:
    if not container.startswith(b"-----"):
        return container
    return b64decode(b"".join(container.splitlines()[1:-1]))


def rewritten(element: Element, count: int) -> bytes:
    """An element in DER, in which each number behind a salt is another one."""
    content = element.content
    if element.is_constructed:
        parts, content = children(element), b""
        for before, part in zip([None, *parts], parts, strict=False):
            is_count = part.tag == INTEGER and before is not None and before.tag == OCTETS
            content += rewritten(Element(INTEGER, count.to_bytes(4)) if is_count else part, count)
    size = len(content)
    length = bytes([size]) if size < 0x80 else bytes([0x82]) + size.to_bytes(2)
    return bytes([element.tag]) + length + content


@pytest.mark.parametrize("name", ["modern.p12", "legacy.p12", "pkcs8.pem"])
def test_what_would_take_for_ever_to_open_is_refused_at_once(name: str) -> None:
    container = endless(name)
    if name.endswith(".pem"):
        body = b64encode(container)
        container = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\n%s\n-----END ENCRYPTED PRIVATE KEY-----\n" % body
    assert containers.is_locked(container)
    with pytest.raises(ValueError, match="asks for 2147483647 rounds of hashing"):
        containers.read(container, PASSPHRASE)
    with pytest.raises(ValueError, match="asks for 2147483647 rounds of hashing"):
        containers.choices(container, PASSPHRASE)
