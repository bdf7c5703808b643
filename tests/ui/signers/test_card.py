"""Keys on a card: SoftHSM in a process of the test's, and what must not happen to a PIN."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_public_key

from client.control.messages import ControlError, SecretText
from client.ike.authentication import DistantSigner, PrivateKey
from client.ike.registry import SignatureHash
from client.lab.pki import KeyKind, make_authority, make_key
from profiles.errors import ProfileError
from tests.netns.peers.releases import PeerUnavailable
from tests.secrecy.scanner import kept_secret
from tests.ui.signers.errands import answered
from tests.ui.signers.softhsm import PIN, SoftHsm, soft_hsm
from ui.signers.card import Card, Pin
from ui.signers.uri import TokenUri, parse_uri

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")

pytestmark = pytest.mark.xdist_group("card")

KINDS: tuple[KeyKind, ...] = ("rsa", "ecdsa", "ecdsa384", "ecdsa521", "ed25519")
HASHES = frozenset(
    {SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512, SignatureHash.IDENTITY}
)
WRONG_PIN = kept_secret("739148")
OCTETS = b"what AUTH covers"


@pytest.fixture(scope="module")
def keys() -> dict[KeyKind, PrivateKey]:
    return {kind: make_key(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory, keys: dict[KeyKind, PrivateKey]) -> Iterator[SoftHsm]:
    """A card with a key of each kind, called "lab"; the module is loaded once for the process."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            made = soft_hsm(tmp_path_factory.mktemp("softhsm"))
            patch.setenv("SOFTHSM2_CONF", str(made.configuration))
            made.make_token("lab", *keys.values())
        except PeerUnavailable as error:
            pytest.skip(str(error))
        yield made
        pkcs11.unload(str(made.module))


_labels = (f"card{number}" for number in count(1))


def fresh(hsm: SoftHsm, *keys: PrivateKey) -> str:
    """A token of the test's own."""
    label = next(_labels)
    hsm.make_token(label, *keys)
    return label


class Owner:
    """Somebody who is asked for the PIN, and counts."""

    def __init__(self, *pins: str, typed: bool = True) -> None:
        self.pins = list(pins)
        self.warnings: list[str] = []
        self.typed = typed

    def __call__(self, warning: str) -> Pin:
        self.warnings.append(warning)
        return Pin(SecretText(self.pins.pop(0)), self.typed)


def card(hsm: SoftHsm, more: str = "", label: str = "lab", owner: Owner | None = None) -> Card:
    target = hsm.reference(label, more).removeprefix("pkcs11:")
    return Card(parse_uri(target, "auth.local[0].key"), owner or Owner(PIN))


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_card_signs_makes_auth(hsm: SoftHsm, keys: dict[KeyKind, PrivateKey], kind: KeyKind) -> None:
    number = KINDS.index(kind) + 1
    holder = card(hsm, f";id=%{number:02x}")
    assert load_pem_public_key(holder.shown()) == keys[kind].public_key()
    errand = DistantSigner("pkcs11:", keys[kind].public_key()).sign(OCTETS, HASHES)
    assert errand.finish(answered(holder, errand)).data


@pytest.mark.parametrize("hash_id", [SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512])
def test_every_way_of_rsa_is_one_that_the_engine_verifies(
    hsm: SoftHsm, keys: dict[KeyKind, PrivateKey], hash_id: SignatureHash
) -> None:
    holder = card(hsm, ";object=key1")
    errand = DistantSigner("pkcs11:", keys["rsa"].public_key()).sign(OCTETS, frozenset({hash_id}))
    for name in errand.algorithms:
        chosen, made = holder.sign((name,), OCTETS)
        assert chosen == name
        assert len(made) == 256
    assert errand.finish(answered(holder, errand)).data
    assert len(errand.algorithms) == 2


def test_a_pin_is_asked_for_once_however_often_the_card_signs(
    hsm: SoftHsm, keys: dict[KeyKind, PrivateKey]
) -> None:
    owner = Owner(PIN)
    holder = card(hsm, ";id=%02", owner=owner)
    holder.unlock()
    holder.unlock()
    for _ in range(3):
        holder.sign(("ecdsa-sha256",), OCTETS)
    assert owner.warnings == [""]


def test_a_wrong_pin_is_given_to_the_card_once_and_never_again(hsm: SoftHsm) -> None:
    label = fresh(hsm, make_key("ecdsa"))
    owner = Owner(WRONG_PIN)
    holder = card(hsm, label=label, owner=owner)
    with pytest.raises(ControlError) as error:
        holder.unlock()
    assert error.value.kind == "secret.wrong"
    assert WRONG_PIN not in error.value.evidence + error.value.hint
    assert owner.warnings == [""]
    stored = Owner(WRONG_PIN, PIN, typed=False)
    for _ in range(3):  # as a service does that is restarted for ever
        with pytest.raises(ControlError, match="a wrong PIN was given before; a stored PIN is not tried"):
            card(hsm, label=label, owner=stored).unlock()
        stored.pins = [PIN]
    assert remaining_flags(hsm, label) & pkcs11.TokenFlag.USER_PIN_COUNT_LOW


def remaining_flags(hsm: SoftHsm, label: str) -> int:
    library = pkcs11.lib(str(hsm.module))
    return int(next(library.get_tokens(token_label=label)).flags)


def test_a_person_may_type_it_again_and_is_told_what_the_card_remembers(hsm: SoftHsm) -> None:
    label = fresh(hsm, make_key("ecdsa"))
    with pytest.raises(ControlError):
        card(hsm, label=label, owner=Owner(WRONG_PIN)).unlock()
    owner = Owner(PIN)
    holder = card(hsm, label=label, owner=owner)
    holder.unlock()
    assert owner.warnings == ["a wrong PIN was given before"]
    assert holder.sign(("ecdsa-sha256",), OCTETS)[0] == "ecdsa-sha256"


def test_a_card_that_was_away_is_logged_in_to_again_without_asking(hsm: SoftHsm) -> None:
    key = make_key("ecdsa")
    label = fresh(hsm, key)
    owner = Owner(PIN)
    holder = card(hsm, label=label, owner=owner)
    holder.sign(("ecdsa-sha256",), OCTETS)
    pkcs11.unload(str(hsm.module))  # every session with it is void
    holder._session = None
    errand = DistantSigner("pkcs11:", key.public_key()).sign(OCTETS, HASHES)
    assert errand.finish(answered(holder, errand)).data
    assert owner.warnings == [""]


def test_another_card_of_the_same_name_gets_no_pin(hsm: SoftHsm) -> None:
    label = fresh(hsm, make_key("ecdsa"))
    owner = Owner(PIN)
    holder = card(hsm, label=label, owner=owner)
    holder.unlock()
    holder._session = None
    holder._serial = b"another one"
    with pytest.raises(ControlError, match="another card has been inserted"):
        holder.sign(("ecdsa-sha256",), OCTETS)
    assert owner.warnings == [""]


def test_a_certificate_on_the_card_is_shown_rather_than_its_bare_key(hsm: SoftHsm) -> None:
    issued = make_authority("Card Root").issue("CN=alice", emails=["alice@example.com"], server=False)
    label = fresh(hsm, issued.key)
    put_certificate(hsm, label, issued.certificate)
    shown = card(hsm, ";id=%01", label=label, owner=Owner()).shown()  # without a PIN
    assert x509.load_pem_x509_certificate(shown) == issued.certificate


def put_certificate(hsm: SoftHsm, label: str, certificate: x509.Certificate) -> None:
    attributes = pkcs11.util.x509.decode_x509_certificate(certificate.public_bytes(Encoding.DER))
    attributes |= {pkcs11.Attribute.TOKEN: True, pkcs11.Attribute.ID: b"\x01", pkcs11.Attribute.LABEL: "key1"}
    token = next(pkcs11.lib(str(hsm.module)).get_tokens(token_label=label))
    with token.open(rw=True, user_pin=PIN) as session:
        session.create_object(attributes)


WORDS = {
    "no such card": ("absent", "", 'the card is not there; cards that are: .*"lab"'),
    "no such key": ("lab", ";object=nothing", 'has neither a certificate nor a public key called "nothing"'),
    "several keys": ("lab", "", "the card has 5 keys"),
}


@pytest.mark.parametrize("what", WORDS)
def test_what_is_wrong_with_the_reference_is_said(hsm: SoftHsm, what: str) -> None:
    token, more, words = WORDS[what]
    with pytest.raises(ControlError, match=words) as error:
        card(hsm, more, label=token).shown()
    assert error.value.kind == "auth.needs_signer"


def test_a_signature_that_the_card_cannot_make_is_said(hsm: SoftHsm) -> None:
    with pytest.raises(ControlError, match="can sign by none of rsa-pss-sha256"):
        card(hsm, ";id=%02").sign(("rsa-pss-sha256",), OCTETS)


def test_a_module_that_others_may_write_is_not_loaded(tmp_path: Path) -> None:
    module = tmp_path / "module.so"
    module.write_bytes(b"")
    module.chmod(module.stat().st_mode | stat.S_IWOTH)
    with pytest.raises(ControlError, match="others may write") as error:
        Card(TokenUri(module_path=str(module)), Owner()).unlock()
    assert error.value.kind == "secret.unsafe"
    for path in ("relative.so", str(tmp_path / "absent.so")):
        with pytest.raises(ControlError, match="there is no module"):
            Card(TokenUri(module_path=path), Owner()).unlock()
    with pytest.raises(ControlError, match=r"no PKCS #11 module is installed \(of-nobody.so"):
        Card(TokenUri(module_name="of-nobody"), Owner()).unlock()


def test_a_file_that_is_no_module_is_said(tmp_path: Path) -> None:
    module = tmp_path / "module.so"
    module.write_bytes(b"no shared object")
    module.chmod(0o644)
    with pytest.raises(ControlError, match="the card's module says"):
        Card(TokenUri(module_path=str(module)), Owner()).unlock()


def test_a_uri_is_read_as_rfc_7512_writes_it() -> None:
    text = "token=My%20Card;serial=12;manufacturer=a;model=b;object=k%3b;id=%01%ff;type=private?module-name=opensc"
    assert parse_uri(text, "auth.local[0].key") == TokenUri(
        "My Card", "12", "a", "b", "k;", b"\x01\xff", None, "opensc"
    )
    for wrong in ("token", "tokn=x", "token=x;token=y", "token=x?pin-value=1", "slot=1"):
        with pytest.raises(ProfileError, match=r"auth\.local\[0\]\.key"):
            parse_uri(wrong, "auth.local[0].key")
