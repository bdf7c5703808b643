"""The kernel's IPsec tables as typed values: what we put in, and what it tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from ..ike.events import Address, Network
from ..ike.keys import Secret

NO_LIMIT = (1 << 64) - 1
ALL_ONES = 0xFFFFFFFF


class Direction(IntEnum):
    """Of a policy: XFRM_POLICY_…"""

    IN = 0
    OUT = 1
    FORWARD = 2


class Offload(IntEnum):
    """What a network device does of an SA's work; the value is its flag in XFRMA_OFFLOAD_DEV."""

    CRYPTO = 0
    PACKET = 4


@dataclass(frozen=True, slots=True)
class Aead:
    """Encryption and integrity in one; the salt stands at the end of the key.  Sizes are octets."""

    name: str
    key: Secret
    icv_size: int


@dataclass(frozen=True, slots=True)
class CipherWithHmac:
    """Encryption, and integrity beside it; the ICV is cut to `icv_size` octets."""

    cipher: str
    cipher_key: Secret
    hmac: str
    hmac_key: Secret
    icv_size: int


@dataclass(frozen=True, slots=True)
class Replay:
    """Sequence numbers of one SA, 64 bits wide with ESN: the last one sent, the greatest one received.

    `bitmap` is the kernel's own, to be given back as it is; none at all means that nothing came in.
    """

    window: int = 32
    sent: int = 0
    received: int = 0
    bitmap: bytes = b""


@dataclass(frozen=True, slots=True)
class Limits:
    """When an SA asks for a successor (soft), and when it ends (hard); `age` in seconds, 0: never."""

    soft_octets: int = NO_LIMIT
    hard_octets: int = NO_LIMIT
    soft_packets: int = NO_LIMIT
    hard_packets: int = NO_LIMIT
    soft_age: int = 0
    hard_age: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What an SA has carried, and since when in Unix seconds (0: never)."""

    octets: int = 0
    packets: int = 0
    added_at: int = 0
    used_at: int = 0


@dataclass(frozen=True, slots=True)
class Encapsulation:
    """UDP ports of ESP in UDP (RFC 3948), as they stand in the packets of this SA."""

    source_port: int
    destination_port: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Bits to set in a packet's mark; those outside of `mask` stay."""

    value: int
    mask: int = ALL_ONES


@dataclass(frozen=True, slots=True)
class Device:
    """A network device that takes over work; `inbound` for an SA that receives."""

    index: int
    inbound: bool
    work: Offload = Offload.CRYPTO


@dataclass(frozen=True, slots=True)
class SaId:
    """What the kernel finds an SA by: where its packets go, and the SPI in them."""

    destination: Address
    spi: int
    source: Address | None = None  # to say more; not used to find it


@dataclass(frozen=True, slots=True)
class Sa:
    """An ESP SA in tunnel mode that carries both families."""

    source: Address
    destination: Address
    spi: int
    reqid: int
    if_id: int
    protection: Aead | CipherWithHmac
    replay: Replay = Replay()
    esn: bool = False
    encapsulation: Encapsulation | None = None
    output_mark: Mark | None = None
    limits: Limits = Limits()
    usage: Usage | None = None  # to go on from
    device: Device | None = None
    mapping_interval: int = 0  # seconds between two reports of another peer address; 0: each time

    @property
    def id(self) -> SaId:
        """What it is found by."""
        return SaId(self.destination, self.spi, self.source)


@dataclass(frozen=True, slots=True)
class Ports:
    """Ports that share the bits under `mask` with `value`; also ICMP types (source) and codes (destination)."""

    value: int = 0
    mask: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """The inner packets that a policy is about; protocol 0 is any."""

    source: Network
    destination: Network
    protocol: int = 0
    source_ports: Ports = Ports()
    destination_ports: Ports = Ports()


@dataclass(frozen=True, slots=True)
class Template:
    """The SA that a policy asks for; None, and 0 for SPI and reqid, are any."""

    source: Address | None = None
    destination: Address | None = None
    spi: int = 0
    reqid: int = 0


@dataclass(frozen=True, slots=True)
class Policy:
    """What happens to the packets of a flow: they need the template's SA, or without one are dropped."""

    flow: Flow
    direction: Direction
    if_id: int
    priority: int
    template: Template | None
    device: Device | None = None
    """What does the whole work, where its SA is such a device's too."""

    @property
    def key(self) -> tuple[Direction, Flow]:
        """What tells it from the others of its interface."""
        return self.direction, self.flow


@dataclass(frozen=True, slots=True)
class Move:
    """One SA's change of outer addresses."""

    old_source: Address
    old_destination: Address
    new_source: Address
    new_destination: Address
    reqid: int


# What the kernel tells


@dataclass(frozen=True, slots=True)
class SaReport:
    """An SA as the kernel has it.  `larval`: the SPI is reserved, keys are still to come."""

    source: Address
    destination: Address
    spi: int
    protocol: int
    reqid: int
    if_id: int
    usage: Usage
    replay: Replay | None
    dropped: int  # replayed, or of wrong integrity
    larval: bool
    device: Device | None = None

    @property
    def id(self) -> SaId:
        """What it is found by."""
        return SaId(self.destination, self.spi, self.source)


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """A policy as the kernel has it: its template, where it has one, is the first."""

    flow: Flow
    direction: int
    if_id: int
    priority: int
    template: Template | None = None
    device: Device | None = None
    is_plain: bool = True
    """All else is as in our own messages: the action, the form of the SA, no second template, no mark, no limit."""

    def is_of(self, policy: Policy) -> bool:
        """Whether the kernel has this one as we have put it."""
        ours = (policy.direction, policy.flow, policy.if_id, policy.priority, policy.template, policy.device)
        theirs = (self.direction, self.flow, self.if_id, self.priority, self.template, self.device)
        return self.is_plain and theirs == ours


@dataclass(frozen=True, slots=True)
class PoliciesTouched:
    """Somebody has changed policies; `by` is the port of whoever did.  `if_id` None: of any interface number."""

    if_id: int | None
    by: int


@dataclass(frozen=True, slots=True)
class SaDeleted:
    """An SA is gone; its last state."""

    last: SaReport


@dataclass(frozen=True, slots=True)
class SaExpired:
    """An SA has reached a limit; with `hard` it is gone."""

    sa: SaReport
    hard: bool


@dataclass(frozen=True, slots=True)
class MappingChanged:
    """An authentic packet in UDP came from another address or port than the SA says."""

    spi: int
    source: Address
    port: int


@dataclass(frozen=True, slots=True)
class Acquired:
    """A packet waits for an SA that does not exist."""

    source: Address
    destination: Address
    if_id: int


Report = SaReport | PolicyReport | PoliciesTouched | SaDeleted | SaExpired | MappingChanged | Acquired
