"""What we offer, and whether what the peer answers is part of it (RFC 7296 sections 2.7 and 3.3).

A profile spells a proposal as words joined by dashes, as strongSwan does:
`aes256gcm16-prfsha384-x25519`.  All words of one kind are alternatives, in order of preference.  Encryption
that brings its own integrity never shares a proposal with encryption that does not (RFC 5282 section 8): such
words become two proposals.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches

from .errors import InvalidSyntax, NoProposalChosen
from .payloads import Proposal, SecurityAssociation, Transform
from .registry import Integ, Kex, ProtocolId, Sn, TransformType
from .transforms import (
    PSEUDORANDOMS,
    WORDS,
    Encryption,
    EspSuite,
    IkeSuite,
    Integrity,
    KeyExchangeMethod,
    Pseudorandom,
    by_word,
    encryption,
    integrity,
    kex_method,
    pseudorandom,
)

MAX_PROPOSALS = 16

_SN_WORDS = {"esn": Sn.ESN, "noesn": Sn.SEQUENTIAL_32}

_GROUPS = "x25519-ecp256-ecp384-modp3072-modp2048"
_AEADS = "aes256gcm16-aes128gcm16-chacha20poly1305"
_CBC = "aes256-aes128-sha384-sha256"
_COMPATIBLE_GROUPS = "modp2048-ecp256-ecp384-modp3072-modp4096-x25519"
_COMPATIBLE_AEADS = "aes256gcm16-aes128gcm16"
_COMPATIBLE_CBC = "aes256-aes128-sha256-sha384-sha512"

PRESETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    # ESP ends without a group: a gateway without PFS would otherwise refuse the first rekey, hours after
    # connecting.
    "modern": (
        (f"{_AEADS}-prfsha384-prfsha256-{_GROUPS}", f"{_CBC}-{_GROUPS}"),
        (f"{_AEADS}-{_GROUPS}", f"{_CBC}-{_GROUPS}", _AEADS, _CBC),
    ),
    # For gateways that look at the first proposal only, or answer no group but the one they have: AES-CBC and
    # group 14 are what RFC 8247 obliges everybody to have.
    "compatible": (
        (
            f"{_COMPATIBLE_CBC}-{_COMPATIBLE_GROUPS}",
            f"{_COMPATIBLE_AEADS}-prfsha384-prfsha256-{_COMPATIBLE_GROUPS}",
        ),
        (
            _COMPATIBLE_CBC,
            _COMPATIBLE_AEADS,
            f"{_COMPATIBLE_CBC}-{_COMPATIBLE_GROUPS}",
            f"{_COMPATIBLE_AEADS}-{_COMPATIBLE_GROUPS}",
        ),
    ),
}
"""Name of a preset -> words of its IKE proposals, words of its ESP proposals."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Proposals in order of preference, numbered from 1, without an SPI."""

    protocol: ProtocolId
    proposals: tuple[Proposal, ...]

    @property
    def kex_methods(self) -> tuple[Kex, ...]:
        """Every key exchange method in it, in order; the first is the one to send a public value of."""
        transforms = (t for proposal in self.proposals for t in proposal.ids(TransformType.KE))
        return tuple(dict.fromkeys(Kex(transform.id) for transform in transforms))

    def without_kex(self) -> Offer:
        """The same without key exchange: in IKE_AUTH, where no proposal may have one, and for `pfs = off`."""
        bare = (
            replace(p, transforms=tuple(t for t in p.transforms if t.type != TransformType.KE))
            for p in self.proposals
        )
        return Offer(self.protocol, _numbered(bare))

    def proposals_with_spi(self, spi: bytes, *, kex: bool = True) -> tuple[Proposal, ...]:
        """The proposals of an SA payload; `spi` is empty in IKE_SA_INIT, `kex` False in IKE_AUTH."""
        offer = self if kex else self.without_kex()
        return tuple(replace(proposal, spi=spi) for proposal in offer.proposals)


def parse_offer(protocol: ProtocolId, words: Sequence[str], *, allow_legacy: bool = False) -> Offer:
    """The offer that a profile spells, one string a proposal.

    ValueError, with a sentence for the user, for a word that is unknown, weak (unless `allow_legacy`), or out
    of place, and for a proposal that would encrypt without integrity.
    """
    proposals = [proposal for text in words for proposal in _parse_proposals(protocol, text, allow_legacy)]
    if not 1 <= len(proposals) <= MAX_PROPOSALS:
        raise ValueError(f"{len(proposals)} proposals: between 1 and {MAX_PROPOSALS} are possible")
    return Offer(protocol, _numbered(proposals))


def accept_ike(offered: tuple[Proposal, ...], chosen: SecurityAssociation) -> tuple[IkeSuite, bytes]:
    """The suite that the responder chose, and its SPI (empty in IKE_SA_INIT).

    `NoProposalChosen` unless it is exactly one of the offered combinations, `InvalidSyntax` for an impossible
    SPI.
    """
    proposal = _accepted(offered, chosen)
    return _ike_suite(proposal.transforms), proposal.spi


def accept_esp(offered: tuple[Proposal, ...], chosen: SecurityAssociation) -> tuple[EspSuite, bytes]:
    """The same for a Child SA: the SPI is the one to send with."""
    proposal = _accepted(offered, chosen)
    return _esp_suite(proposal.transforms), proposal.spi


def choose_ike(
    offer: Offer, theirs: SecurityAssociation, *, prefer: int | None = None
) -> tuple[Proposal, IkeSuite]:
    """As responder: the initiator's first proposal that our offer allows, reduced to one transform of each
    type.

    The proposal has the initiator's number and SPI; our own SPI is the caller's to put in.  `prefer` is the
    method of the initiator's public value: taken where it is acceptable, it saves a round
    trip.  `NoProposalChosen` if nothing fits.
    """
    proposal = _chosen(offer, theirs, prefer)
    return proposal, _ike_suite(proposal.transforms)


def choose_esp(
    offer: Offer, theirs: SecurityAssociation, *, kex: bool, prefer: int | None = None
) -> tuple[Proposal, EspSuite]:
    """The same for a Child SA; `kex` False in IKE_AUTH."""
    proposal = _chosen(offer if kex else offer.without_kex(), theirs, prefer)
    return proposal, _esp_suite(proposal.transforms)


@dataclass(slots=True)
class _Parts:
    """The words of one proposal by kind."""

    encryptions: list[Encryption] = field(default_factory=list)
    integrities: list[Integrity] = field(default_factory=list)
    prfs: list[Pseudorandom] = field(default_factory=list)
    kexes: list[KeyExchangeMethod] = field(default_factory=list)
    sns: list[Sn] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str, allow_legacy: bool) -> _Parts:
        parts = cls()
        for word in dict.fromkeys(text.strip().lower().split("-")):
            parts._add(word, allow_legacy)
        return parts

    def _add(self, word: str, allow_legacy: bool) -> None:
        if word in _SN_WORDS:
            self.sns.append(_SN_WORDS[word])
            return
        match by_word(word):
            case None:
                raise ValueError(_unknown(word))
            case Integrity(legacy=True) | Pseudorandom(legacy=True) | KeyExchangeMethod(legacy=True) if (
                not allow_legacy
            ):
                raise ValueError(f"{word!r} is too weak: it is used only with allow_legacy = true")
            case Encryption() as row:
                self.encryptions.append(row)
            case Integrity() as row:
                self.integrities.append(row)
            case Pseudorandom() as row:
                self.prfs.append(row)
            case KeyExchangeMethod() as row:
                self.kexes.append(row)

    def aeads(self) -> list[Encryption]:
        return [row for row in self.encryptions if row.aead]

    def ciphers(self) -> list[Encryption]:
        return [row for row in self.encryptions if not row.aead]


def _parse_proposals(protocol: ProtocolId, text: str, allow_legacy: bool) -> list[Proposal]:
    """One proposal, or two where the words mix both kinds of encryption: the kind named first goes first."""
    try:
        parts = _Parts.parse(text, allow_legacy)
        transforms = _ike_transforms if protocol == ProtocolId.IKE else _esp_transforms
        kinds = dict.fromkeys(row.aead for row in parts.encryptions)
        if not kinds:
            raise ValueError("there is no encryption algorithm")
        return [Proposal(0, protocol, b"", tuple(dict.fromkeys(transforms(parts, aead)))) for aead in kinds]
    except ValueError as error:
        raise ValueError(f"proposal {text!r}: {error}") from None


def _ike_transforms(parts: _Parts, aead: bool) -> list[Transform]:
    """ENCR, INTEG unless the cipher brings it, PRF and KE (RFC 7296 section 3.3.3)."""
    if parts.sns:
        raise ValueError("extended sequence numbers belong to ESP")
    if not parts.kexes:
        raise ValueError("an IKE proposal needs a key exchange method, for example 'x25519'")
    # Without a word of its own the prf is the integrity algorithm's hash, also beside an AEAD (as strongSwan
    # reads it).
    hashes = [row.hash_name for row in parts.integrities]
    implied = [row for name in hashes for row in PSEUDORANDOMS if row.hash_name == name]
    if not (prfs := parts.prfs or implied):
        raise ValueError("an IKE proposal needs a pseudorandom function, for example 'prfsha256'")
    return [
        *_protection(parts, aead),
        *(Transform(TransformType.PRF, row.id) for row in prfs),
        *(Transform(TransformType.KE, row.id) for row in parts.kexes),
    ]


def _esp_transforms(parts: _Parts, aead: bool) -> list[Transform]:
    """ENCR, INTEG unless the cipher brings it, KE for PFS, and SN always (RFC 7296 section 3.3.3)."""
    if parts.prfs:
        raise ValueError("an ESP proposal has no pseudorandom function")
    return [
        *_protection(parts, aead),
        *(Transform(TransformType.KE, row.id) for row in parts.kexes),
        *(Transform(TransformType.SN, number) for number in parts.sns or [Sn.SEQUENTIAL_32]),
    ]


def _protection(parts: _Parts, aead: bool) -> list[Transform]:
    rows = parts.aeads() if aead else parts.ciphers()
    encr = [Transform(TransformType.ENCR, row.id, row.key_length) for row in rows]
    if aead:
        return encr
    if not parts.integrities:
        raise ValueError(f"{rows[0].word!r} needs an integrity algorithm, for example 'sha256'")
    return encr + [Transform(TransformType.INTEG, row.id) for row in parts.integrities]


RETIRED = {
    "des": "DES, which RFC 8247 forbids",
    "3des": "Triple DES, whose blocks are too small for a tunnel's traffic (RFC 8221 section 5)",
    "md5": "MD5, which RFC 8247 forbids",
    "modp768": "group 1, which RFC 8247 forbids",
}
"""Words that other programs know for what Roam does not have, also with `allow_legacy`."""


def _unknown(word: str) -> str:
    if word in RETIRED:
        return f"there is no {RETIRED[word]}: let the gateway offer AES with SHA-2 and group 14, 19 or 31"
    nearest = get_close_matches(word, (*WORDS, *_SN_WORDS), n=1)
    return f"unknown word {word!r}" + (f", did you mean {nearest[0]!r}?" if nearest else "")


def _numbered(proposals: Iterable[Proposal]) -> tuple[Proposal, ...]:
    """Numbers from 1, upwards by 1 (RFC 7296 section 3.3.1), each set of transforms once."""
    unique = dict.fromkeys(replace(proposal, number=0) for proposal in proposals)
    return tuple(replace(proposal, number=number) for number, proposal in enumerate(unique, 1))


def _accepted(offered: tuple[Proposal, ...], chosen: SecurityAssociation) -> Proposal:
    """The responder's choice, checked to be within the offer (RFC 7296 sections 2.7 and 3.3.6)."""
    if len(chosen.proposals) != 1:
        raise NoProposalChosen(f"{len(chosen.proposals)} proposals were chosen instead of one")
    (proposal,) = chosen.proposals
    ours = next((p for p in offered if p.number == proposal.number), None)
    if ours is None or ours.protocol != proposal.protocol:
        raise NoProposalChosen(f"proposal {proposal.number} was chosen, which was not offered")
    if len(proposal.spi) != len(ours.spi) or _is_zero(proposal.spi):
        raise InvalidSyntax(f"the SPI of the chosen proposal is {proposal.spi.hex() or 'missing'}")
    if sorted(t.type for t in proposal.transforms) != sorted({t.type for t in ours.transforms}):
        raise NoProposalChosen("the choice has not exactly one transform of each offered type")
    if strangers := [t for t in proposal.transforms if t not in ours.transforms]:
        raise NoProposalChosen(f"{_name(strangers[0])} was chosen, which was not offered")
    return proposal


def _chosen(offer: Offer, theirs: SecurityAssociation, prefer: int | None) -> Proposal:
    for proposal in theirs.proposals:
        if proposal.protocol != offer.protocol or _is_zero(proposal.spi):
            continue
        for ours in offer.proposals:
            if (transforms := _common(ours, proposal, prefer)) is not None:
                return replace(proposal, transforms=transforms)
    raise NoProposalChosen(f"none of {len(theirs.proposals)} proposals is acceptable")


def _common(ours: Proposal, theirs: Proposal, prefer: int | None) -> tuple[Transform, ...] | None:
    """One transform of each type in their order of preference; None where a type has none that we allow.

    A type that we do not know makes the whole proposal unacceptable, an ID or attribute only its transform
    (RFC 7296 section 3.3.6).
    """
    kinds = dict.fromkeys(t.type for t in theirs.transforms)
    if not {t.type for t in ours.transforms} <= kinds.keys():
        return None
    common = []
    for kind in kinds:
        allowed = ours.ids(kind) or _omissible(kind)
        acceptable = [t for t in theirs.ids(kind) if t in allowed]
        if not acceptable:
            return None
        preferred = (t for t in acceptable if kind == TransformType.KE and t.id == prefer)
        common.append(next(preferred, acceptable[0]))
    return tuple(common)


def _omissible(kind: int) -> tuple[Transform, ...]:
    """A type that our proposal lacks may stand there as NONE (RFC 7296 section 3.3.2, RFC 5282 section 8)."""
    none = {TransformType.INTEG: Integ.NONE, TransformType.KE: Kex.NONE}
    return tuple(Transform(kind, number) for known, number in none.items() if known == kind)


def _ike_suite(transforms: tuple[Transform, ...]) -> IkeSuite:
    encr, integ = _protecting(transforms)
    prf = pseudorandom(_of(transforms, TransformType.PRF).id)
    kex = kex_method(_of(transforms, TransformType.KE).id)
    if prf is None or kex is None:
        raise AssertionError("an algorithm without a row was offered")
    return IkeSuite(encr, integ, prf, kex)


def _esp_suite(transforms: tuple[Transform, ...]) -> EspSuite:
    encr, integ = _protecting(transforms)
    kex = next((t.id for t in transforms if t.type == TransformType.KE), Kex.NONE)
    return EspSuite(encr, integ, _of(transforms, TransformType.SN).id == Sn.ESN, kex_method(kex))


def _protecting(transforms: tuple[Transform, ...]) -> tuple[Encryption, Integrity | None]:
    cipher = _of(transforms, TransformType.ENCR)
    encr = encryption(cipher.id, cipher.key_length)
    integ = integrity(next((t.id for t in transforms if t.type == TransformType.INTEG), Integ.NONE))
    if encr is None or encr.aead != (integ is None):
        raise AssertionError("encryption was offered without integrity, or an AEAD with two")
    return encr, integ


def _of(transforms: tuple[Transform, ...], kind: TransformType) -> Transform:
    return next(t for t in transforms if t.type == kind)


def _is_zero(spi: bytes) -> bool:
    """An SPI of zeros names nothing, and in UDP it would be the non-ESP marker (RFC 3948 section 2.2)."""
    return bool(spi) and not any(spi)


def _name(transform: Transform) -> str:
    size = "" if transform.key_length is None else f" of {transform.key_length} bits"
    return f"transform {transform.id}{size} of type {transform.type}"
