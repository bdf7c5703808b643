"""What goes over the control socket: one class per message (DESIGN 4).

The protocol only grows: a reader ignores fields that it does not know, and new ones have defaults.  Times are
Unix seconds of the daemon's clock; `StatusReport.time` is "now", so that a renderer needs no clock.  Secrets
are `SecretText` and travel towards the daemon only.
"""

from __future__ import annotations

from .kinds import EXIT_CODES as EXIT_CODES
from .kinds import HINTS as HINTS
from .kinds import exit_code as exit_code
from .kinds import passes as passes
from .kinds import summary as summary
from .wire import CLIENT_LIMIT as CLIENT_LIMIT
from .wire import LINE_LIMIT as LINE_LIMIT
from .wire import PROTOCOL as PROTOCOL
from .wire import RING_SIZE as RING_SIZE
from .wire import ControlError as ControlError
from .wire import Message as Message
from .wire import SecretText as SecretText

STATES = ("off", "connecting", "up", "moving", "waiting", "blocked", "closing")
"""States of a tunnel.  `waiting`: no network, or before the next attempt; `blocked`: it needs the user."""

TOPICS = ("tunnel", "secret", "daemon")
"""`tunnel`: a TunnelStatus after each change.  `secret`: a SecretNeeded.  `daemon`: a Notice."""

SECRET_KINDS = (
    "password",
    "new-password",
    "otp",
    "pin",
    "passphrase",
    "confirm-fingerprint",
    "choose-certificate",
    "signature",
    "sim-challenge",
)
"""What is asked for."""

HELD_KINDS = frozenset({"signature", "sim-challenge"})
"""Questions for a program that holds the key or the SIM: nothing that a person could type."""

VISIBLE_KINDS = frozenset({"confirm-fingerprint", "choose-certificate"})
"""Questions whose answer is no secret: it may be shown while it is typed."""

DEFAULT_SOCKET = "/run/roam/control.sock"
SYSTEM_PREFIX = "system/"
"""Before a name: the system's profile, also where the caller has one of the same name."""
LONGEST_PORTAL = 300.0
"""Seconds for which a network's login may be open."""


class Hello(Message):
    """`hello`: who calls; not required before other methods."""

    protocol: int = PROTOCOL
    program: str = ""


class Welcome(Message):
    """Answer to `hello`: who answers, and as whom we are seen."""

    protocol: int
    version: str
    boot: str  # of this daemon process: another value means that sequence numbers start anew
    uid: int
    access: str  # "read", "control" or "admin"
    methods: tuple[str, ...] = ()  # those that we may call: a program can look before it asks
    features: tuple[str, ...] = ()  # what this daemon can do, in stable words


class Up(Message):
    """`tunnel.up`: a profile's text with the files and secrets it refers to, or the name of a system profile
    (without "system/").

    `files` and `secrets` are keyed by the reference as the profile writes it ("file:office-ca.pem",
    "keyring:office/eap", "ask:").
    """

    name: str | None = None
    profile: str | None = None
    files: dict[str, bytes] = {}  # noqa: RUF012 - a message's default, never changed
    secrets: dict[str, SecretText] = {}  # noqa: RUF012

    def objection(self) -> str:
        wrong = (self.name is None) == (self.profile is None)
        return "either a name or a profile is wanted" if wrong else ""


class Named(Message):
    """Parameters of a method about one tunnel; None: the only one, or all (`tunnel.status`)."""

    name: str | None = None


class Down(Message):
    """`tunnel.down`: end the wish for a tunnel; `force` does not wait for the gateway's answer."""

    name: str | None = None
    force: bool = False


class Rekey(Message):
    """`tunnel.rekey`: replace the keys of the Child SA, or (`ike`) of the IKE SA."""

    name: str | None = None
    ike: bool = False


class Fault(Message):
    """Why a tunnel does not work: a stable name, what was seen, and the next step."""

    kind: str
    evidence: str
    hint: str = ""


class OuterPath(Message):
    """The way to the gateway: interface and both UDP ends ("192.0.2.7:51312")."""

    interface: str
    local: str
    remote: str
    nat_local: bool = False
    nat_remote: bool = False
    encapsulated: bool = True


class Traffic(Message):
    """Counters since the tunnel came up, over all its Child SAs."""

    packets_in: int = 0
    octets_in: int = 0
    packets_out: int = 0
    octets_out: int = 0
    dropped: int = 0


class Handover(Message):
    """A move to another path; `gap_ms` None: no traffic from which a gap could be told.

    `confirmed_ms`: from the move until the gateway had confirmed it; None: it has not, or needs not.
    """

    trigger: str
    old: str
    new: str
    at: float
    gap_ms: int | None = None
    confirmed_ms: int | None = None


class TunnelStatus(Message):
    """One tunnel as the daemon sees it.

    `serial` counts the user's `up`s of this tunnel: a status with a smaller one says nothing about
    the latest wish.
    """

    name: str
    state: str
    since: float = 0.0
    serial: int = 0
    owner: int = 0
    shared: bool = False  # from a system profile: every member of the group controls it
    title: str = ""
    detail: str = ""  # the step under way, in words: "waiting for an answer from 192.0.2.1"
    gateway: str = ""  # as the profile names it
    identity: str = ""  # as the gateway has proven it
    path: OuterPath | None = None
    link: str = ""
    mtu: int | None = None  # of the link
    mtu_reason: str = ""
    addresses: tuple[str, ...] = ()
    routes: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()  # the name servers to be asked through the tunnel
    domains: tuple[str, ...] = ()  # for names in these alone; none: for all
    resolver: str = ""  # who was told of them: "systemd-resolved", "NetworkManager", "resolvconf" or "file"
    resolver_reason: str = ""
    remarks: tuple[str, ...] = ()  # what could not be done, and does not keep the tunnel from being used
    quirks: tuple[str, ...] = ()  # of the gateway, each with what shows it and the setting for it
    ike_suite: str = ""
    esp_suite: str = ""
    ike_rekey_at: float | None = None
    child_rekey_at: float | None = None
    data_path: str = ""  # "xfrm", "xfrm-offload" or "userspace"
    data_path_reason: str = ""
    mobike: bool | None = None  # None: not known yet
    session: int = 0  # number of the IKE session in use: another one after a new login or `tunnel.reauth`
    renewal: Fault | None = None  # why `tunnel.reauth` failed; the session from before is in use
    probing: bool = False  # the gateway's liveness is in question
    asking: bool = False  # it waits for the user's answer to a `SecretNeeded`
    guard: bool = False  # selected traffic leaves through the tunnel or not at all
    retry_at: float | None = None
    traffic: Traffic | None = None
    rtt_ms: float | None = None  # smoothed round trip of the exchanges with the gateway
    handover: Handover | None = None
    failure: Fault | None = None


class LockdownSet(Message):
    """`lockdown.set`: from now nothing leaves outside a tunnel, also while none is wanted; or no longer so."""

    on: bool
    allow_lan: bool = True


class PortalOpen(Message):
    """`portal.open`: let the caller's browser out for some seconds, to log in to this network; 0 ends it."""

    seconds: float = 120.0

    def objection(self) -> str:
        return "" if 0 <= self.seconds <= LONGEST_PORTAL else f"seconds is not from 0 to {LONGEST_PORTAL:g}"


class LockdownStatus(Message):
    """Answer to `lockdown.set`, `lockdown.status` and `portal.open`: how the machine stands apart from tunnels."""

    on: bool
    owner: int = 0  # who turned it on: he or root may end it
    allow_lan: bool = True
    guard: str = ""  # what guards are made by: "nftables" (and routing), or "routing" alone
    guard_reason: str = ""
    fight: str = ""  # who keeps undoing what we put back, and what to do about it
    portal_owner: int | None = None
    portal_until: float | None = None
    time: float = 0.0  # Unix seconds of the daemon's clock: now


class LeakVerdict(Message):
    """Where "IPv4", "IPv6" or "DNS" (`what`) goes: "tunnelled", "partly", "blocked" or "outside"; and why."""

    what: str
    goes: str
    why: str = ""


class StatusReport(Message):
    """Answer to `tunnel.status`; `leaks` is told from the routes and blackholes that stand."""

    time: float
    boot: str = ""
    version: str = ""
    tunnels: tuple[TunnelStatus, ...] = ()
    lockdown: LockdownStatus | None = None
    leaks: tuple[LeakVerdict, ...] = ()


class Accepted(Message):
    """Answer to `tunnel.up` and `tunnel.rekey`: it is under way; what becomes of it, events tell."""

    tunnel: TunnelStatus


class Ended(Message):
    """Answer to `tunnel.down`: the names of the tunnels that are gone."""

    names: tuple[str, ...] = ()


class Cleaned(Message):
    """Answer to `daemon.cleanup`: one line for each thing that was removed or restored."""

    removed: tuple[str, ...] = ()


class ProfileEntry(Message):
    """A profile that can be brought up by its name."""

    name: str
    title: str = ""
    gateway: str = ""
    problem: str = ""  # why it cannot be read


class ProfileList(Message):
    """Answer to `profile.list`: the system's profiles."""

    profiles: tuple[ProfileEntry, ...] = ()


class SignatureWanted(Message):
    """`octets` to be signed with the key that the profile calls `key`, by the first of `algorithms` that it can.

    Algorithms are `rsa-pss-HASH`, `rsa-pkcs1-HASH`, `ecdsa-HASH`, `ed25519` and `ed448`.  The answer is
    `ALGORITHM BASE64`, for ECDSA of the DER form.
    """

    key: str
    algorithms: tuple[str, ...]
    octets: bytes


class SimChallenge(Message):
    """The network's challenge to the SIM that the profile calls `key`: `rand` and `autn` of 3GPP TS 33.102.

    The answer is `RES CK IK` in hexadecimal, or `AUTS` where the SIM counts otherwise than the network, or
    `impostor` where AUTN does not come from who has the SIM's key.
    """

    key: str
    rand: bytes
    autn: bytes


class SecretNeeded(Message):
    """Topic `secret`, to the tunnel's owner and root only: the daemon asks a person (DESIGN 3)."""

    id: str
    tunnel: str
    kind: str  # one of SECRET_KINDS
    prompt: str
    expires: float  # Unix seconds
    owner: int = 0
    signature: SignatureWanted | None = None  # with kind "signature"
    reference: str = ""  # what of the profile the answer stands for, where it does
    challenge: SimChallenge | None = None  # with kind "sim-challenge"


class SecretAnswer(Message):
    """`secret.answer`."""

    id: str
    value: SecretText


class SecretCancel(Message):
    """`secret.cancel`: the person does not want to answer, or cannot: `why` is in words."""

    id: str
    why: str = ""


class Notice(Message):
    """Topic `daemon`: something about the whole machine, in words."""

    text: str
    level: str = "info"  # "info" or "warning"


class Subscribe(Message):
    """`events.subscribe`: no topics means all; `since` (an event of `boot`) replays what followed it."""

    topics: tuple[str, ...] = ()
    since: int | None = None
    boot: str = ""


class Snapshot(Message):
    """Answer to `events.subscribe`: how things stood after event `seq`; later events follow without a gap.

    `replayed` says that the events after `since` follow from the ring; else the snapshot stands for them.
    """

    seq: int
    report: StatusReport
    secrets: tuple[SecretNeeded, ...] = ()
    replayed: bool = False


EventData = TunnelStatus | SecretNeeded | Notice


class Event(Message):
    """Notification `event`: `data` is a TunnelStatus, SecretNeeded or Notice as the topic says."""

    seq: int
    time: float
    topic: str
    data: EventData


class Empty(Message):
    """Parameters or an answer without any content."""


EVENT_SHAPES: dict[str, type[TunnelStatus | SecretNeeded | Notice]] = {
    "tunnel": TunnelStatus,
    "secret": SecretNeeded,
    "daemon": Notice,
}


def redacted(status: TunnelStatus) -> TunnelStatus:
    """What others than the owner may know of a tunnel: that it is there, and its state."""
    return TunnelStatus(
        status.name,
        status.state,
        since=status.since,
        serial=status.serial,
        owner=status.owner,
        shared=status.shared,
        guard=status.guard,
    )
