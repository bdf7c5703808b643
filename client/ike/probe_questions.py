"""The questions of a probe, and what is found: values, and the messages that ask.

Nothing here depends on a secret; the name that is given is nobody's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from .authentication import OUR_HASHES
from .configuration import build_request
from .events import Channel, Endpoint, Rng
from .facts import MessageFacts
from .identity import Identity
from .kex import KeyPair
from .message import Message, encode_clear
from .natd import NatVerdict, detection_notifies
from .payloads import (
    CertificateRequest,
    IdInitiator,
    IdResponder,
    KeyExchange,
    Nonce,
    Notify,
    Payload,
    SecurityAssociation,
    TsInitiator,
    TsResponder,
)
from .proposals import Offer, parse_offer
from .registry import CertEncoding, ExchangeType, Kex, NotifyType, ProtocolId
from .sa import SPI_SIZE
from .selectors import ANY_IPV4, ANY_IPV6
from .transforms import KEY_EXCHANGES

NONCE_SIZE = 32
ANONYMOUS = "anonymous@roam.invalid"
REDIRECT_SUPPORTED, REDIRECT = 16406, 16407  # RFC 5685

SUITES = (
    "aes256gcm16-prfsha384",
    "aes128gcm16-prfsha256",
    "chacha20poly1305-prfsha256",
    "aes256-sha384",
    "aes256-sha256",
    "aes128-sha256",
    "aes256-sha1",
    "aes128-sha1",
)
"""What is asked for one by one: what gateways have, the weak ones so that the user is told."""

GROUPS = (
    Kex.ECP_521,
    Kex.MODP_4096,
    Kex.MODP_3072,
    Kex.ECP_384,
    Kex.X25519,
    Kex.ECP_256,
    Kex.MODP_2048,
)
"""By how rarely they are taken, the rarest first."""

WEAK_GROUPS = (Kex.MODP_1536, Kex.MODP_1024)
"""Asked for where nothing better is taken, so that the user is told."""


class Reply(StrEnum):
    """What became of a question."""

    OPENED = "an IKE SA was offered"
    GROUP = "another group is wanted"
    REFUSED = "no proposal was chosen"
    REDIRECTED = "another gateway was named"
    OTHER = "another answer"
    OLD = "an answer of IKE version 1"
    SILENT = "no answer"

    @property
    def is_answer(self) -> bool:
        """Whether anything came back."""
        return self is not Reply.SILENT


@dataclass(frozen=True, slots=True)
class Question:
    """An IKE_SA_INIT: these words offered, with a public value of `group`, over this channel."""

    words: tuple[str, ...]
    group: Kex
    channel: Channel


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; `wanted` of INVALID_KE_PAYLOAD, `facts` of the message."""

    reply: Reply
    wanted: int = 0
    facts: MessageFacts | None = None


@dataclass(slots=True)
class Findings:
    """What has been found so far; None: not looked at, or not answered."""

    ports: dict[str, Reply] = field(default_factory=dict)  # "udp 500", "udp 4500"
    cookie: bool | None = None
    redirect: str = ""
    fragmentation: bool | None = None
    hashes: bool | None = None
    nat: NatVerdict | None = None
    vendors: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)  # accepted, the gateway's favourite first
    groups_refused: list[str] = field(default_factory=list)
    suites: list[str] = field(default_factory=list)
    suites_refused: list[str] = field(default_factory=list)
    login: list[MessageFacts] = field(default_factory=list)  # the gateway's answers in IKE_AUTH
    is_old: bool = False  # something answered by IKE version 1
    questions: int = 0
    half_open: int = 0


def init_request(
    question: Question,
    pair: KeyPair,
    spi: bytes,
    nonce: bytes,
    cookie: bytes,
    ends: tuple[Endpoint, Endpoint],
) -> bytes:
    """# --> IKE_SA_INIT { [N(COOKIE),] SA, KE, Ni, N(NAT…)×2, N(FRAGMENTATION), N(REDIRECT), N(HASHES) }."""
    payloads = (
        *((Notify(NotifyType.COOKIE, cookie),) if cookie else ()),
        SecurityAssociation(parsed(question.words).proposals_with_spi(b"")),
        KeyExchange(pair.method, pair.public),
        Nonce(nonce),
        *detection_notifies(spi, bytes(SPI_SIZE), *ends),
        Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
        Notify(REDIRECT_SUPPORTED),
        Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, b"".join(number.to_bytes(2) for number in OUR_HASHES)),
    )
    return encode_clear(Message(spi, bytes(SPI_SIZE), ExchangeType.IKE_SA_INIT, 0, payloads, True, False))


def first_auth(host: str, rng: Rng) -> tuple[Payload, ...]:
    """# --> IKE_AUTH { IDi, CERTREQ, [IDr,] CP, SA, TSi, TSr }: without AUTH, which asks for EAP."""
    esp = parse_offer(ProtocolId.ESP, ("aes256gcm16-aes128gcm16", "aes256-aes128-sha256"))
    spi = (256 + int.from_bytes(rng(3))).to_bytes(4)
    wanted = (IdResponder(*Identity.parse(host).payload_fields()),) if host else ()
    return (
        IdInitiator(*Identity.parse(ANONYMOUS).payload_fields()),
        CertificateRequest(CertEncoding.X509_SIGNATURE, ()),
        *wanted,
        build_request(ipv4=True, ipv6=True),
        SecurityAssociation(esp.proposals_with_spi(spi, kex=False)),
        TsInitiator((ANY_IPV4, ANY_IPV6)),
        TsResponder((ANY_IPV4, ANY_IPV6)),
    )


_CIPHERS = (
    "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha256",
    "aes256-aes128-sha384-sha256-sha1-prfsha384-prfsha256-prfsha1",
)


def everything(groups: tuple[Kex, ...]) -> tuple[str, ...]:
    """Everything that gateways are likely to have, with these groups."""
    words = "-".join(word(group) for group in groups)
    return tuple(f"{ciphers}-{words}" for ciphers in _CIPHERS)


def parsed(words: tuple[str, ...]) -> Offer:
    """An offer from words; nothing that is agreed on under it ever carries anything."""
    return parse_offer(ProtocolId.IKE, words, allow_legacy=True)


def word(group: Kex) -> str:
    """A group as a profile spells it."""
    return next(row.word for row in KEY_EXCHANGES if row.id == group)
