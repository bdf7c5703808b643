"""Offers from words, the check of what is chosen of them (S8), and choosing as the responder (P6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from client.ike.buffer import Reader, Writer
from client.ike.errors import InvalidSyntax, NoProposalChosen, ProtocolError
from client.ike.payloads import Proposal, SecurityAssociation, Transform
from client.ike.proposals import (
    PRESETS,
    Offer,
    accept_esp,
    accept_ike,
    choose_esp,
    choose_ike,
    parse_offer,
)
from client.ike.registry import Encr, Integ, Kex, Prf, ProtocolId, Sn, TransformType
from client.ike.transforms import ALIASES, WORDS

ENCR, PRF, INTEG, KE, SN = TransformType
AES_CBC_128, AES_CBC_256 = Transform(ENCR, Encr.AES_CBC, 128), Transform(ENCR, Encr.AES_CBC, 256)
AES_GCM_256 = Transform(ENCR, Encr.AES_GCM_16, 256)
CHACHA = Transform(ENCR, Encr.CHACHA20_POLY1305)
SHA256, SHA384 = Transform(INTEG, Integ.HMAC_SHA2_256_128), Transform(INTEG, Integ.HMAC_SHA2_384_192)
PRF256, PRF384 = Transform(PRF, Prf.HMAC_SHA2_256), Transform(PRF, Prf.HMAC_SHA2_384)
X25519, MODP2048, ECP256 = (Transform(KE, kex) for kex in (Kex.X25519, Kex.MODP_2048, Kex.ECP_256))
NO_INTEG, NO_KE = Transform(INTEG, Integ.NONE), Transform(KE, Kex.NONE)
NO_ESN, ESN = Transform(SN, Sn.SEQUENTIAL_32), Transform(SN, Sn.ESN)
UNKNOWN_TYPE = Transform(6, 35)  # an additional key exchange of RFC 9370

SPI_IKE, SPI_ESP, PEER_IKE, PEER_ESP = b"\x01" * 8, b"\x02" * 4, b"\x03" * 8, b"\x04" * 4


def ike(*words: str) -> Offer:
    return parse_offer(ProtocolId.IKE, words)


def esp(*words: str) -> Offer:
    return parse_offer(ProtocolId.ESP, words)


def offered(*transforms: Transform, number: int = 1, spi: bytes = b"") -> Proposal:
    protocol = ProtocolId.ESP if len(spi) == 4 else ProtocolId.IKE
    return Proposal(number, protocol, spi, transforms)


def payload(*proposals: Proposal) -> SecurityAssociation:
    return SecurityAssociation(proposals)


def transforms_of(offer: Offer) -> list[tuple[Transform, ...]]:
    return [proposal.transforms for proposal in offer.proposals]


# --- words ---


@pytest.mark.parametrize(
    ("words", "transforms"),
    [
        ("aes256gcm16-prfsha384-x25519-modp2048", (AES_GCM_256, PRF384, X25519, MODP2048)),
        ("aes256-sha256-modp2048", (AES_CBC_256, SHA256, PRF256, MODP2048)),
        (
            "aes256-aes128-sha384-sha256-ecp256",
            (AES_CBC_256, AES_CBC_128, SHA384, SHA256, PRF384, PRF256, ECP256),
        ),
        ("aes256-sha256-prfsha384-modp2048", (AES_CBC_256, SHA256, PRF384, MODP2048)),
        ("chacha20poly1305-prfsha256-ecp256", (CHACHA, PRF256, ECP256)),
        ("AES256GCM16-SHA384-Curve25519", (AES_GCM_256, PRF384, X25519)),
        ("aes128-aes-sha256-sha2_256-modp2048", (AES_CBC_128, SHA256, PRF256, MODP2048)),
    ],
)
def test_ike_words_become_transforms(words: str, transforms: tuple[Transform, ...]) -> None:
    assert transforms_of(ike(words)) == [transforms]


@pytest.mark.parametrize(
    ("words", "transforms"),
    [
        ("aes256gcm16", (AES_GCM_256, NO_ESN)),
        ("aes256gcm16-sha256", (AES_GCM_256, NO_ESN)),
        ("aes256-sha256-x25519", (AES_CBC_256, SHA256, X25519, NO_ESN)),
        ("aes256-sha256-esn", (AES_CBC_256, SHA256, ESN)),
        ("aes256-sha256-noesn", (AES_CBC_256, SHA256, NO_ESN)),
        ("chacha20poly1305-esn-noesn", (CHACHA, ESN, NO_ESN)),
    ],
)
def test_esp_words_become_transforms(words: str, transforms: tuple[Transform, ...]) -> None:
    assert transforms_of(esp(words)) == [transforms]


def test_an_aead_never_shares_a_proposal_with_another_cipher() -> None:
    offer = ike("aes256-aes256gcm16-chacha20poly1305-sha256-x25519")
    assert transforms_of(offer) == [
        (AES_CBC_256, SHA256, PRF256, X25519),
        (AES_GCM_256, CHACHA, PRF256, X25519),
    ]


def test_proposals_are_numbered_from_one_and_never_repeated() -> None:
    offer = esp("aes256gcm16", "aes256-sha256", "aes256gcm", "aes128gcm16")
    assert [proposal.number for proposal in offer.proposals] == [1, 2, 3]
    assert all(proposal.protocol == ProtocolId.ESP and not proposal.spi for proposal in offer.proposals)


@pytest.mark.parametrize(
    ("protocol", "words", "sentence"),
    [
        (ProtocolId.IKE, "aes256gcm16-prfsha256-x2551", "'x2551', did you mean 'x25519'"),
        (ProtocolId.IKE, "aes256-sha265-modp2048", "'sha265', did you mean 'sha256'"),
        (ProtocolId.IKE, "aes256-sha256-modp768", "there is no group 1, which RFC 8247 forbids"),
        (ProtocolId.IKE, "3des-sha1-modp1024", "let the gateway offer AES with SHA-2"),
        (ProtocolId.ESP, "3des-md5", "there is no Triple DES"),
        (ProtocolId.ESP, "aes256-md5", "there is no MD5"),
        (ProtocolId.IKE, "", "unknown word ''"),
        (ProtocolId.IKE, "aes256--sha256-x25519", "unknown word ''"),
        (ProtocolId.IKE, "aes256-sha256", "needs a key exchange method"),
        (ProtocolId.IKE, "aes256gcm16-x25519", "needs a pseudorandom function"),
        (ProtocolId.IKE, "aes256-prfsha256-x25519", "'aes256' needs an integrity algorithm"),
        (ProtocolId.IKE, "sha256-x25519", "no encryption algorithm"),
        (ProtocolId.IKE, "aes256gcm16-prfsha256-x25519-esn", "belong to ESP"),
        (ProtocolId.ESP, "aes256gcm16-prfsha256", "no pseudorandom function"),
        (ProtocolId.ESP, "aes256", "needs an integrity algorithm"),
        (ProtocolId.ESP, "aes256gcm16-aes128", "'aes128' needs an integrity algorithm"),
        (ProtocolId.ESP, "sha256", "no encryption algorithm"),
    ],
)
def test_words_out_of_place_are_explained(protocol: ProtocolId, words: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        parse_offer(protocol, [words])
    assert repr(words) in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "aes128-sha1-modp2048",
        "aes128gcm16-prfsha1-modp2048",
        "aes256-sha-modp2048",
        "aes256-sha256-modp1024",
        "aes256-sha256-modp2048-modp1536",
    ],
)
def test_what_is_weak_is_offered_only_where_the_profile_allows_it(words: str) -> None:
    with pytest.raises(ValueError, match=r"too weak.*allow_legacy"):
        ike(words)
    assert parse_offer(ProtocolId.IKE, [words], allow_legacy=True).proposals


def test_all_words_together_stay_below_the_fifteen_transforms_that_microsoft_reads() -> None:
    # Its responder ignores what stands further back in a type.
    words = "-".join(word for word in WORDS if word not in ALIASES)
    offer = parse_offer(ProtocolId.IKE, [words], allow_legacy=True)
    assert len(offer.proposals) == 2
    assert all(len(proposal.ids(kind)) < 15 for proposal in offer.proposals for kind in TransformType)


def test_an_offer_has_between_one_and_sixteen_proposals() -> None:
    with pytest.raises(ValueError, match="0 proposals"):
        ike()
    with pytest.raises(ValueError, match="17 proposals"):
        esp(*["aes256gcm16"] * 17)


# --- offers ---


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_parses_and_stays_short_on_the_wire(name: str) -> None:
    ike_words, esp_words = PRESETS[name]
    for offer, spi in ((ike(*ike_words), b""), (esp(*esp_words), SPI_ESP)):
        body = Writer()
        SecurityAssociation(offer.proposals_with_spi(spi)).push(body)
        # Small enough to leave IKE_SA_INIT in one datagram of 1280 octets beside a MODP public value.
        assert len(body) < 512
        assert SecurityAssociation.pull(Reader(body.bytes())).proposals == offer.proposals_with_spi(spi)


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_can_rekey_without_a_group(name: str) -> None:
    offer = esp(*PRESETS[name][1])
    assert any(not proposal.ids(KE) for proposal in offer.proposals)
    assert any(proposal.ids(KE) for proposal in offer.proposals)


def test_presets_begin_as_their_names_say() -> None:
    assert ike(*PRESETS["modern"][0]).kex_methods[0] == Kex.X25519
    compatible = ike(*PRESETS["compatible"][0])
    assert compatible.kex_methods[0] == Kex.MODP_2048
    assert compatible.proposals[0].ids(ENCR)[0] == AES_CBC_256


def test_key_exchange_methods_are_listed_once_in_order() -> None:
    offer = ike("aes256gcm16-prfsha256-x25519-modp2048", "aes256-sha256-modp2048-ecp256")
    assert offer.kex_methods == (Kex.X25519, Kex.MODP_2048, Kex.ECP_256)
    assert esp("aes256gcm16").kex_methods == ()


def test_ike_auth_gets_no_key_exchange_and_no_proposal_twice() -> None:
    offer = esp("aes256gcm16-x25519", "aes256-sha256-modp2048", "aes256gcm16")
    proposals = offer.proposals_with_spi(SPI_ESP, kex=False)
    assert [proposal.number for proposal in proposals] == [1, 2]
    assert [proposal.transforms for proposal in proposals] == [
        (AES_GCM_256, NO_ESN),
        (AES_CBC_256, SHA256, NO_ESN),
    ]
    assert all(proposal.spi == SPI_ESP for proposal in proposals)
    assert len(offer.proposals_with_spi(SPI_ESP)) == 3


# --- what a responder chose ---

IKE_OFFER = ike("aes256gcm16-chacha20poly1305-prfsha384-x25519-ecp256", "aes256-aes128-sha256-x25519-ecp256")
ESP_OFFER = esp("aes256gcm16-x25519", "aes256-sha256-x25519", "aes256gcm16-esn-noesn")
REKEY_IKE = IKE_OFFER.proposals_with_spi(SPI_IKE)
REKEY_ESP = ESP_OFFER.proposals_with_spi(SPI_ESP)

GOOD_IKE = offered(AES_CBC_128, SHA256, PRF256, ECP256, number=2, spi=PEER_IKE)
GOOD_ESP = offered(AES_CBC_256, SHA256, X25519, NO_ESN, number=2, spi=PEER_ESP)

Mutation = Callable[[Proposal], Proposal | tuple[Proposal, ...]]


def swap(old: Transform, new: Transform) -> Mutation:
    def mutate(proposal: Proposal) -> Proposal:
        assert old in proposal.transforms
        return replace(proposal, transforms=tuple(new if t == old else t for t in proposal.transforms))

    return mutate


def without(kind: int) -> Mutation:
    return lambda p: replace(p, transforms=tuple(t for t in p.transforms if t.type != kind))


def plus(*transforms: Transform) -> Mutation:
    return lambda p: replace(p, transforms=p.transforms + transforms)


def test_a_choice_within_the_offer_is_accepted() -> None:
    suite, spi = accept_ike(REKEY_IKE, payload(GOOD_IKE))
    assert str(suite) == "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256"
    assert spi == PEER_IKE
    child, spi = accept_esp(REKEY_ESP, payload(GOOD_ESP))
    assert str(child) == "AES_CBC-256/HMAC_SHA2_256_128/X25519"
    assert spi == PEER_ESP


def test_the_first_message_has_no_spi() -> None:
    suite, spi = accept_ike(IKE_OFFER.proposals_with_spi(b""), payload(offered(CHACHA, PRF384, X25519)))
    assert (str(suite), spi) == ("CHACHA20_POLY1305/PRF_HMAC_SHA2_384/X25519", b"")


def test_a_choice_without_key_exchange_is_one_of_the_offered() -> None:
    child, _ = accept_esp(REKEY_ESP, payload(offered(AES_GCM_256, ESN, number=3, spi=PEER_ESP)))
    assert child.kex is None
    assert child.esn


def test_the_order_of_chosen_transforms_is_free() -> None:
    shuffled = replace(GOOD_IKE, transforms=GOOD_IKE.transforms[::-1])
    assert accept_ike(REKEY_IKE, payload(shuffled)) == accept_ike(REKEY_IKE, payload(GOOD_IKE))


MUTATIONS: dict[str, Mutation] = {
    "two proposals": lambda p: (p, p),
    "two different proposals": lambda p: (p, replace(p, number=1)),
    "no proposal": lambda p: (),
    "number 0": lambda p: replace(p, number=0),
    "number not offered": lambda p: replace(p, number=9),
    "number of another proposal": lambda p: replace(p, number=1),
    "protocol AH": lambda p: replace(p, protocol=ProtocolId.AH),
    "protocol unknown": lambda p: replace(p, protocol=200),
    "no transforms": lambda p: replace(p, transforms=()),
    "no encryption": without(ENCR),
    "no integrity": without(INTEG),
    "no key exchange": without(KE),
    "integrity NONE": swap(SHA256, NO_INTEG),
    "other integrity": swap(SHA256, SHA384),
    "SHA-1 instead": swap(SHA256, Transform(INTEG, Integ.HMAC_SHA1_96)),
    "second encryption": plus(AES_CBC_256),
    "second integrity": plus(SHA256),
    "second key exchange": plus(X25519),
    "extra transform of an unknown type": plus(UNKNOWN_TYPE),
    "extra key exchange NONE": plus(NO_KE),
}


def mutated(proposal: Proposal, mutation: Mutation) -> SecurityAssociation:
    changed = mutation(proposal)
    return payload(*((changed,) if isinstance(changed, Proposal) else changed))


@pytest.mark.parametrize("name", MUTATIONS)
def test_any_other_choice_is_refused(name: str) -> None:
    with pytest.raises(NoProposalChosen):
        accept_ike(REKEY_IKE, mutated(GOOD_IKE, MUTATIONS[name]))
    with pytest.raises(NoProposalChosen):
        accept_esp(REKEY_ESP, mutated(GOOD_ESP, MUTATIONS[name]))


ENCRYPTION_MUTATIONS: dict[str, Transform] = {
    "key length not offered": Transform(ENCR, Encr.AES_CBC, 192),
    "key length missing": Transform(ENCR, Encr.AES_CBC),
    "key length zero": Transform(ENCR, Encr.AES_CBC, 0),
    "unknown attribute": Transform(ENCR, Encr.AES_CBC, 256, unknown_attributes=True),
    "AEAD of another proposal": AES_GCM_256,
    "NULL": Transform(ENCR, Encr.NULL),
    "3DES": Transform(ENCR, 3),
    "attribute on a cipher of fixed key size": Transform(ENCR, Encr.CHACHA20_POLY1305, 256),
}


@pytest.mark.parametrize("name", ENCRYPTION_MUTATIONS)
def test_encryption_must_be_the_offered_one_with_its_attributes(name: str) -> None:
    new = ENCRYPTION_MUTATIONS[name]
    with pytest.raises(NoProposalChosen):
        accept_ike(REKEY_IKE, mutated(GOOD_IKE, swap(AES_CBC_128, new)))
    with pytest.raises(NoProposalChosen):
        accept_esp(REKEY_ESP, mutated(GOOD_ESP, swap(AES_CBC_256, new)))


@pytest.mark.parametrize(
    ("good", "mutation"),
    [
        (offered(CHACHA, PRF384, X25519, spi=PEER_IKE), swap(CHACHA, replace(CHACHA, key_length=256))),
        (offered(CHACHA, PRF384, X25519, spi=PEER_IKE), plus(SHA256)),
        (offered(CHACHA, PRF384, X25519, spi=PEER_IKE), plus(NO_INTEG)),
        (GOOD_IKE, swap(PRF256, PRF384)),
        (GOOD_IKE, swap(PRF256, Transform(PRF, Prf.HMAC_SHA1))),
        (GOOD_IKE, without(PRF)),
        (GOOD_IKE, swap(ECP256, MODP2048)),
        (GOOD_IKE, swap(ECP256, NO_KE)),
        (GOOD_IKE, plus(NO_ESN)),
    ],
    ids=[
        "ChaCha20 with a key length",
        "AEAD with an HMAC",
        "AEAD with integrity NONE that was not offered",
        "prf of another proposal",
        "prf not offered",
        "no prf",
        "group not offered",
        "group NONE",
        "sequence numbers in IKE",
    ],
)
def test_other_choices_for_an_ike_sa_are_refused(good: Proposal, mutation: Mutation) -> None:
    assert accept_ike(REKEY_IKE, payload(good))
    with pytest.raises(NoProposalChosen):
        accept_ike(REKEY_IKE, mutated(good, mutation))


@pytest.mark.parametrize(
    "mutation",
    [without(SN), swap(NO_ESN, ESN), plus(ESN), plus(PRF256), swap(X25519, MODP2048), swap(X25519, NO_KE)],
    ids=["no sequence numbers", "ESN not offered", "both", "a prf", "group not offered", "group NONE"],
)
def test_other_choices_for_a_child_sa_are_refused(mutation: Mutation) -> None:
    with pytest.raises(NoProposalChosen):
        accept_esp(REKEY_ESP, mutated(GOOD_ESP, mutation))


@pytest.mark.parametrize("spi", [b"", PEER_ESP, bytes(8), b"\x03" * 7, b"\x03" * 9])
def test_an_impossible_spi_of_a_rekeyed_ike_sa_is_a_syntax_error(spi: bytes) -> None:
    with pytest.raises(InvalidSyntax, match="SPI"):
        accept_ike(REKEY_IKE, payload(replace(GOOD_IKE, spi=spi)))


@pytest.mark.parametrize("spi", [b"", PEER_IKE, bytes(4)])
def test_an_impossible_spi_of_a_child_sa_is_a_syntax_error(spi: bytes) -> None:
    with pytest.raises(InvalidSyntax, match="SPI"):
        accept_esp(REKEY_ESP, payload(replace(GOOD_ESP, spi=spi)))


def test_an_spi_in_the_first_message_is_a_syntax_error() -> None:
    with pytest.raises(InvalidSyntax, match="SPI"):
        accept_ike(IKE_OFFER.proposals_with_spi(b""), payload(GOOD_IKE))


# --- choosing as responder ---


def test_the_initiators_first_acceptable_proposal_wins() -> None:
    theirs = payload(
        offered(Transform(ENCR, 3), SHA256, PRF256, MODP2048, number=1),
        offered(AES_CBC_128, AES_CBC_256, SHA256, PRF256, MODP2048, ECP256, X25519, number=2),
        offered(AES_GCM_256, PRF384, X25519, number=3),
    )
    proposal, suite = choose_ike(IKE_OFFER, theirs)
    assert proposal == offered(AES_CBC_128, SHA256, PRF256, ECP256, number=2)
    assert str(suite) == "AES_CBC-128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256"


def test_the_group_of_the_public_value_is_taken_where_it_is_acceptable() -> None:
    theirs = payload(offered(AES_GCM_256, PRF384, ECP256, X25519, MODP2048))
    assert choose_ike(IKE_OFFER, theirs)[1].kex.id == Kex.ECP_256
    assert choose_ike(IKE_OFFER, theirs, prefer=Kex.X25519)[1].kex.id == Kex.X25519
    assert choose_ike(IKE_OFFER, theirs, prefer=Kex.MODP_2048)[1].kex.id == Kex.ECP_256


def test_an_unknown_transform_type_spoils_its_proposal_only() -> None:
    bad = offered(AES_GCM_256, PRF384, X25519, UNKNOWN_TYPE, number=1)
    good = offered(AES_GCM_256, PRF384, X25519, number=2)
    assert choose_ike(IKE_OFFER, payload(bad, good))[0] == good
    with pytest.raises(NoProposalChosen):
        choose_ike(IKE_OFFER, payload(bad))


def test_an_unknown_id_or_attribute_spoils_its_transform_only() -> None:
    strange = Transform(ENCR, 4711, 256), replace(AES_GCM_256, unknown_attributes=True)
    proposal, _ = choose_ike(IKE_OFFER, payload(offered(*strange, CHACHA, PRF384, Transform(KE, 99), X25519)))
    assert proposal.transforms == (CHACHA, PRF384, X25519)
    with pytest.raises(NoProposalChosen):
        choose_ike(IKE_OFFER, payload(offered(*strange, PRF384, X25519)))


@pytest.mark.parametrize(
    "transforms",
    [
        (AES_GCM_256, PRF384),
        (AES_GCM_256, X25519),
        (PRF384, X25519),
        (AES_CBC_256, PRF256, X25519),
        (AES_CBC_256, NO_INTEG, PRF256, X25519),
        (AES_GCM_256, SHA256, PRF384, X25519),
        (AES_GCM_256, PRF384, NO_KE),
        (AES_GCM_256, PRF384, X25519, NO_ESN),
        (replace(CHACHA, key_length=256), PRF384, X25519),
        (Transform(ENCR, Encr.AES_GCM_16), PRF384, X25519),
        (),
    ],
    ids=[
        "no group",
        "no prf",
        "no encryption",
        "CBC without integrity",
        "CBC with integrity NONE",
        "AEAD with an HMAC",
        "group NONE",
        "sequence numbers",
        "key length on ChaCha20",
        "AES without key length",
        "nothing",
    ],
)
def test_incomplete_or_contradictory_ike_proposals_are_not_chosen(transforms: tuple[Transform, ...]) -> None:
    with pytest.raises(NoProposalChosen):
        choose_ike(IKE_OFFER, payload(offered(*transforms)))


def test_integrity_none_beside_an_aead_is_echoed() -> None:
    proposal, suite = choose_ike(IKE_OFFER, payload(offered(AES_GCM_256, NO_INTEG, PRF384, X25519)))
    assert NO_INTEG in proposal.transforms
    assert suite.integrity is None


def test_a_proposal_of_both_kinds_of_encryption_is_read_as_the_cipher_that_fits() -> None:
    mixed = offered(AES_GCM_256, AES_CBC_256, SHA256, PRF256, X25519)
    assert choose_ike(IKE_OFFER, payload(mixed))[0].transforms == (AES_CBC_256, SHA256, PRF256, X25519)


def test_a_child_sa_in_ike_auth_has_no_key_exchange() -> None:
    plain = offered(AES_GCM_256, NO_ESN, spi=PEER_ESP)
    proposal, suite = choose_esp(ESP_OFFER, payload(plain), kex=False)
    assert (proposal, suite.kex) == (plain, None)
    with pytest.raises(NoProposalChosen):
        choose_esp(ESP_OFFER, payload(offered(AES_GCM_256, X25519, NO_ESN, spi=PEER_ESP)), kex=False)


def test_key_exchange_none_in_ike_auth_is_echoed() -> None:
    theirs = payload(offered(AES_GCM_256, X25519, NO_KE, NO_ESN, spi=PEER_ESP))
    proposal, suite = choose_esp(ESP_OFFER, theirs, kex=False)
    assert proposal.transforms == (AES_GCM_256, NO_KE, NO_ESN)
    assert suite.kex is None


def test_a_rekeyed_child_sa_keeps_forward_secrecy_where_both_want_it() -> None:
    theirs = payload(offered(AES_GCM_256, X25519, NO_KE, NO_ESN, spi=PEER_ESP))
    _, suite = choose_esp(ESP_OFFER, theirs, kex=True)
    assert suite.kex is not None
    assert suite.kex.id == Kex.X25519


def test_forward_secrecy_is_not_given_up_unless_our_offer_allows_it() -> None:
    bare = payload(offered(AES_GCM_256, NO_ESN, spi=PEER_ESP))
    assert choose_esp(ESP_OFFER, bare, kex=True)[1].kex is None
    with pytest.raises(NoProposalChosen):
        choose_esp(esp("aes256gcm16-x25519"), bare, kex=True)


@pytest.mark.parametrize(
    "proposal",
    [
        offered(AES_GCM_256, spi=PEER_ESP),
        offered(AES_GCM_256, SHA256, NO_ESN, spi=PEER_ESP),
        offered(AES_CBC_256, NO_ESN, spi=PEER_ESP),
        offered(AES_GCM_256, NO_ESN, spi=bytes(4)),
        replace(offered(AES_GCM_256, NO_ESN, spi=PEER_ESP), protocol=ProtocolId.AH),
        offered(AES_GCM_256, PRF384, X25519),
    ],
    ids=["no SN", "AEAD with an HMAC", "CBC alone", "SPI zero", "AH", "IKE"],
)
def test_impossible_child_proposals_are_not_chosen(proposal: Proposal) -> None:
    with pytest.raises(NoProposalChosen):
        choose_esp(ESP_OFFER, payload(proposal), kex=True)


@pytest.mark.parametrize("name", PRESETS)
def test_two_ends_with_one_preset_agree_on_its_first_words(name: str) -> None:
    offer, child = ike(*PRESETS[name][0]), esp(*PRESETS[name][1])
    proposals = offer.proposals_with_spi(b"")
    answer, suite = choose_ike(offer, payload(*proposals))
    assert accept_ike(proposals, payload(answer)) == (suite, b"")
    for kex in (False, True):
        proposals = child.proposals_with_spi(SPI_ESP, kex=kex)
        chosen, child_suite = choose_esp(child, payload(*proposals), kex=kex)
        answer = replace(chosen, spi=PEER_ESP)
        assert accept_esp(proposals, payload(answer)) == (child_suite, PEER_ESP)


def test_refusals_are_errors_of_the_protocol() -> None:
    assert issubclass(NoProposalChosen, ProtocolError)
    assert issubclass(InvalidSyntax, ProtocolError)
