"""What a `Session` lets out, and the plain values that it speaks in.

The shell performs outputs in order: a `ChildUp` stands before the message that makes the peer send on it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from .keys import ChildKeys as ChildKeys
from .keys import Secret
from .quirks import Quirk

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network

Rng = Callable[[int], bytes]
"""`rng(n)` returns n unpredictable octets; the only source of randomness of the pure core."""


class Channel(Enum):
    """Which of the two sockets of a path a datagram uses (DESIGN 2)."""

    INIT = "init"  # towards port 500, never a non-ESP marker
    NATT = "natt"  # towards port 4500 (or the profile's own port), always a non-ESP marker


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A UDP address and port."""

    address: Address
    port: int

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Path:
    """One pair of outer addresses with the ports of both channels.

    `init` is None where the gateway has a port of its own: then everything goes over `natt` from the start.
    """

    interface: str
    local_natt: Endpoint
    remote_natt: Endpoint
    local_init: Endpoint | None = None
    remote_init: Endpoint | None = None

    @property
    def local(self) -> Address:
        """Our outer address."""
        return self.local_natt.address

    @property
    def remote(self) -> Address:
        """The gateway's outer address."""
        return self.remote_natt.address

    def ends(self, channel: Channel) -> tuple[Endpoint, Endpoint]:
        """Local and remote end of a channel."""
        if channel is Channel.INIT:
            if self.local_init is None or self.remote_init is None:
                raise AssertionError("this path has no init channel")
            return self.local_init, self.remote_init
        return self.local_natt, self.remote_natt


@dataclass(frozen=True, slots=True)
class Selector:
    """One traffic selector: an address range, a protocol and a port range (RFC 7296 section 3.13.1).

    `protocol` 0 is any.  Ports 0-65535 are any; 65535-0 is OPAQUE.
    """

    first: Address
    last: Address
    protocol: int = 0
    first_port: int = 0
    last_port: int = 65535


@dataclass(frozen=True, slots=True)
class EspAlgorithms:
    """What a data path needs to know to build the transform: rows of `client.ike.transforms` by their IDs."""

    encr: int
    encr_key_bits: int  # without salt
    integ: int  # Integ.NONE for an AEAD
    esn: bool


@dataclass(frozen=True, slots=True)
class ChildSa:
    """Everything that a data path installs for one pair of ESP SAs."""

    spi_in: int
    spi_out: int
    algorithms: EspAlgorithms
    keys: ChildKeys
    local_selectors: tuple[Selector, ...]
    remote_selectors: tuple[Selector, ...]
    encapsulate: bool  # ESP in UDP towards the peer


class Kind(StrEnum):
    """Closed list of causes that a user can meet; the control protocol's `data.kind` (DESIGN 4)."""

    AUTH_REJECTED = "auth.rejected"
    AUTH_NEEDS_SECRET = "auth.needs_secret"  # noqa: S105 - the name of a condition
    AUTH_NEEDS_SIGNER = "auth.needs_signer"
    AUTH_METHOD = "auth.method"
    CRYPTO_NO_PROPOSAL = "crypto.no_proposal"
    NET_NO_RESPONSE = "net.no_response"
    NET_NO_PATH = "net.no_path"
    NET_NAME = "net.name_not_resolved"
    PEER_DELETED = "peer.deleted"
    PEER_PROTOCOL = "peer.protocol"
    TRUST_EXPIRED = "trust.expired"
    TRUST_NAME = "trust.name_mismatch"
    TRUST_NO_PROOF = "trust.no_proof"
    TRUST_PIN = "trust.pin_mismatch"
    TRUST_UNCONFIRMED = "trust.unconfirmed"
    TRUST_REVOKED = "trust.revoked"
    TRUST_REVOCATION_UNKNOWN = "trust.revocation_unknown"
    TRUST_UNKNOWN_CA = "trust.unknown_ca"
    TRUST_WEAK = "trust.weak"
    TS_UNACCEPTABLE = "ts.unacceptable"
    ADDRESS_NONE = "address.none"
    CONFLICT_FULL_TUNNEL = "conflict.full_tunnel"
    LOCAL_FAULT = "local.fault"
    PROFILE_INVALID = "profile.invalid"
    USER_DOWN = "user.down"


class AnswerKind(StrEnum):
    """What a login may ask the user for in its course; by the control protocol's names of kinds of secret."""

    PASSWORD = "password"  # noqa: S105 - the name of a kind
    NEW_PASSWORD = "new-password"  # noqa: S105 - in place of one that has expired
    OTP = "otp"  # serves once: it is not kept, and not used again
    SIGNATURE = "signature"  # by a key that the user holds: nothing for a person to type
    SIM_CHALLENGE = "sim-challenge"  # what a SIM in the user's hands makes of it: likewise


@dataclass(frozen=True, slots=True)
class Failure:
    """Why something did not work: the cause and the evidence, in words without secrets.

    `final`: the peer has judged a credential itself (an EAP failure): the same one again would be refused
    again and may count towards a lock-out, so nothing retries it by itself.
    `barred`: no password would do (a locked account), so that the user is not asked for one.
    `unjudged`: a password had left, and nobody said what became of it.
    """

    kind: Kind
    evidence: str
    final: bool = False
    subject: str = ""  # what a user may confirm: the fingerprint of a key
    hint: str = ""  # what to do, where more is known than the kind says
    barred: bool = False
    unjudged: bool = False


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send `data` (an IKE message without marker) from and to the ends of `channel` on `path`.

    `whole`: in one packet, which nobody on the way may cut.
    """

    data: bytes = field(repr=False)
    channel: Channel
    path: Path
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Send the one octet 0xFF on the natt channel (RFC 3948 section 2.3)."""

    path: Path


@dataclass(frozen=True, slots=True)
class Assigned:
    """What the gateway's configuration payload said, or the profile's static values."""

    addresses: tuple[Interface, ...] = ()
    dns: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
    subnets: tuple[Network, ...] = ()
    ignored: tuple[str, ...] = field(default=(), compare=False)
    """What of the payload is not used, and why: a sentence for each kind of value."""


@dataclass(frozen=True, slots=True)
class Established:
    """The IKE SA stands: both ends have proven who they are."""

    spi_i: bytes
    spi_r: bytes
    peer_identity: str
    suite: str
    mobike: bool
    assigned: Assigned
    nat_local: bool  # a NAT stands in front of us
    nat_remote: bool


@dataclass(frozen=True, slots=True)
class SignatureWanted:
    """`octets` to be signed with the key that the profile calls `key`, by the first algorithm that it can.

    The answer is `ALGORITHM BASE64`: RSA as it is, ECDSA as DER.
    """

    key: str
    algorithms: tuple[str, ...]
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SimChallenge:
    """The network's challenge (TS 33.102 section 6.3.1) to the SIM that the profile calls `key`, 16 octets each.

    The answer is `RES CK IK` or `AUTS`, in hexadecimal, or the word `impostor`.
    """

    key: str
    rand: bytes
    autn: bytes


@dataclass(frozen=True, slots=True)
class AnswerNeeded:
    """The login waits for the user: `Session.answer` or `decline` goes on; `prompt` is the server's words."""

    kind: AnswerKind
    prompt: str
    signature: SignatureWanted | None = None  # for AnswerKind.SIGNATURE
    challenge: SimChallenge | None = None  # for AnswerKind.SIM_CHALLENGE

    @property
    def unheld(self) -> str:
        """What it means if nobody answers who holds what is needed; nothing where a person is asked."""
        if self.signature is not None:
            return f"nobody has signed with {self.signature.key}, which proves who we are"
        if self.challenge is not None:
            return f"nobody has asked the SIM {self.challenge.key}, which proves who we are"
        return ""


@dataclass(frozen=True, slots=True)
class SecretReplaced:
    """The user has given another password in the course of a login: `was` is not to be tried any more."""

    was: Secret
    now: Secret


@dataclass(frozen=True, slots=True)
class Inquiry:
    """Something to fetch from `url`: with POST where it has a `body`, which is an OCSP request, else with GET."""

    url: str
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What an `Inquiry` has brought; `trouble` says why it has brought nothing."""

    data: bytes = field(default=b"", repr=False)
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class RevocationNeeded:
    """The login waits for these, `seconds` at most; `Session.hear_revocation` takes replies in the same order."""

    inquiries: tuple[Inquiry, ...]
    seconds: float


@dataclass(frozen=True, slots=True)
class Remark:
    """What the user should know of a login that goes on."""

    text: str


@dataclass(frozen=True, slots=True)
class QuirkSeen:
    """The gateway has shown a peculiarity, as `evidence` says; `used`: we adapt, as nobody has forbidden it."""

    quirk: Quirk
    evidence: str
    used: bool = True


@dataclass(frozen=True, slots=True)
class LoginWanted:
    """The gateway does not replace keys: only a new login, beside this session, can."""


@dataclass(frozen=True, slots=True)
class ChildUp:
    """Install this Child SA, inbound before outbound; `replaces` is the old inbound SPI after a rekey."""

    child: ChildSa
    replaces: int | None = None
    outbound: bool = True  # False: inbound only for now (responder of a rekey), `ChildOutbound` follows


@dataclass(frozen=True, slots=True)
class ChildOutbound:
    """Start to send on the Child SA with this inbound SPI."""

    spi_in: int


@dataclass(frozen=True, slots=True)
class ChildDown:
    """Remove the Child SA with this inbound SPI."""

    spi_in: int


@dataclass(frozen=True, slots=True)
class IkeRekeyed:
    """The IKE SA has a successor with these SPIs."""

    spi_i: bytes
    spi_r: bytes
    suite: str


@dataclass(frozen=True, slots=True)
class PathMoved:
    """The gateway has confirmed the new addresses (RFC 4555 section 3.5)."""

    path: Path
    encapsulate: bool
    nat_local: bool


@dataclass(frozen=True, slots=True)
class MoveRefused:
    """UNACCEPTABLE_ADDRESSES: choose another path."""

    path: Path


@dataclass(frozen=True, slots=True)
class PeerAddresses:
    """Addresses at which the gateway can be reached too (RFC 4555 section 3.4): advice for path choice."""

    addresses: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Probing:
    """Liveness is in question since `since`; False again at the next authentic packet.

    `hinted`: an unauthenticated message says that the gateway does not know us any more.
    """

    active: bool
    since: float
    hinted: bool = False


@dataclass(frozen=True, slots=True)
class SizeProbed:
    """What became of `Session.probe_size`: whether the path in use carries an IKE message of so many octets."""

    size: int
    carried: bool


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over: nothing more will come out of it."""

    failure: Failure


Output = (
    Transmit
    | RevocationNeeded
    | Remark
    | QuirkSeen
    | LoginWanted
    | Keepalive
    | Established
    | AnswerNeeded
    | SecretReplaced
    | ChildUp
    | ChildOutbound
    | ChildDown
    | IkeRekeyed
    | PathMoved
    | MoveRefused
    | PeerAddresses
    | Probing
    | SizeProbed
    | Closed
)
