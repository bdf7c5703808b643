"""What `allow_legacy` admits: named, refused without it, and told with a sentence."""

from __future__ import annotations

import pytest

from client.ike.errors import NoProposalChosen
from client.ike.payloads import SecurityAssociation
from client.ike.proposals import accept_ike, parse_offer
from client.ike.registry import ProtocolId
from client.ike.transforms import INTEGRITIES, KEY_EXCHANGES, PSEUDORANDOMS
from profiles.errors import ProfileError
from profiles.importers.algorithms import translate
from profiles.presets import PRESETS
from profiles.provenance import origins
from profiles.store import load_text
from profiles.weakness import REMARKS, of_crypto, remarks, weak_words
from tests.profiles.test_presets import STATIC, profile

# What gateways of each kind take that nobody has configured: phase 1, phase 2 in IKE_AUTH.
DEFAULTS = {
    "windows-rras": ("aes256-sha1-modp1024", "aes256-sha1"),
    "azure-s2s": ("aes256-sha256-modp1024", "aes256-sha1"),
    "aws": ("aes128-sha1-modp1024", "aes128-sha1"),
    "mikrotik": ("aes128-sha1-modp1024", "aes256-sha1"),
}
LEGACY = "[crypto]\nallow_legacy = true\n"


def more(preset: str, crypto: str) -> str:
    return crypto + (STATIC if PRESETS[preset].needs else "")


def test_the_words_are_those_that_the_engine_calls_weak() -> None:
    weak = {row.word for row in INTEGRITIES if row.legacy} | {row.word for row in KEY_EXCHANGES if row.legacy}
    assert weak | {row.word for row in PSEUDORANDOMS if row.legacy} == set(REMARKS)


def test_each_sentence_is_said_once_and_the_worst_first() -> None:
    said = remarks(["sha1", "prfsha1", "modp1024"])
    assert len(said) == 2
    assert said[0] == (
        "MODP-1024 is breakable by a well-funded attacker; ask the administrator for group 14 or better"
    )
    assert weak_words(["AES256-SHA-modp1536", "aes256-sha256-modp2048"]) == ("sha1", "modp1536")


@pytest.mark.parametrize(
    ("key", "words", "weak", "better"),
    [
        ("ike", "aes256-sha256-modp1024", "modp1024", "group 14"),
        ("ike", "aes256-sha256-modp2048-modp1536", "modp1536", "group 14"),
        ("ike", "aes256-sha-modp2048", "sha1", "SHA-256"),
        ("esp", "aes256-sha1", "sha1", "SHA-256"),
    ],
)
def test_a_profile_that_names_one_without_saying_so_is_refused(
    key: str, words: str, weak: str, better: str
) -> None:
    crypto = f'[crypto]\n{key} = ["{words}"]\n'
    with pytest.raises(ProfileError) as caught:
        load_text(profile("azure-p2s", crypto))
    assert caught.value.path == f"crypto.{key}"
    assert f'"{weak}" is too weak' in caught.value.reason
    assert better in caught.value.hint
    assert "allow_legacy = true" in caught.value.hint
    assert of_crypto(load_text(profile("azure-p2s", crypto + "allow_legacy = true\n")).crypto)


@pytest.mark.parametrize("preset", PRESETS)
def test_no_preset_has_anything_weak_unless_the_profile_allows_it(preset: str) -> None:
    assert of_crypto(load_text(profile(preset, more(preset, ""))).crypto) == ()
    allowing = of_crypto(load_text(profile(preset, more(preset, LEGACY))).crypto)
    assert bool(allowing) is (preset in DEFAULTS)


@pytest.mark.parametrize("preset", DEFAULTS)
def test_with_permission_a_preset_offers_what_its_gateway_has_by_default(preset: str) -> None:
    crypto = load_text(profile(preset, more(preset, LEGACY))).crypto
    for protocol, words, theirs in zip(
        (ProtocolId.IKE, ProtocolId.ESP), (crypto.ike, crypto.esp), DEFAULTS[preset], strict=True
    ):
        ours = parse_offer(protocol, words, allow_legacy=True).without_kex()
        default = parse_offer(protocol, (theirs,), allow_legacy=True).without_kex()
        wanted = set(default.proposals[0].transforms)
        assert any(wanted <= set(proposal.transforms) for proposal in ours.proposals)
    assert "modp1024" in weak_words(crypto.ike)
    rows = {row.path: row for row in origins(profile(preset, more(preset, LEGACY)))}
    assert rows["crypto.ike"].source == f"preset {preset}"


@pytest.mark.parametrize("preset", DEFAULTS)
def test_a_weak_choice_is_refused_where_it_was_not_offered(preset: str) -> None:
    crypto = load_text(profile(preset, more(preset, ""))).crypto
    offered = parse_offer(ProtocolId.IKE, crypto.ike).proposals
    chosen = parse_offer(ProtocolId.IKE, (DEFAULTS[preset][0],), allow_legacy=True).proposals
    with pytest.raises(NoProposalChosen):
        accept_ike(offered, SecurityAssociation(chosen))


def test_an_import_that_names_one_keeps_it_and_says_so() -> None:
    found = translate(["aes256-sha1-dh2", "aes256-sha256-modp2048"], esp=False)
    assert found.proposals == ("aes256-sha1-modp1024", "aes256-sha256-modp2048")
    assert found.weak == ("sha1", "modp1024")
