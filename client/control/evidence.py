"""What a tunnel's last attempts left behind, and what is made of it: messages like those of the control protocol.

Nothing here is a secret, but names of people and machines are: it is shown to whoever controls the tunnel.  Every
list is bounded by whoever fills it.  The same JSON is what a file of evidence holds.
"""

from __future__ import annotations

from .wire import Message

EVIDENCE_FORMAT = 1
MOST_ATTEMPTS = 4
MOST_MESSAGES = 64
MOST_DROPS = 16


class NotifyRecord(Message):
    """A notify by its registry's name, and what its data says."""

    name: str
    detail: str = ""


class CertificateRecord(Message):
    """A certificate that the gateway showed; dates as ISO 8601."""

    subject: str
    issuer: str
    names: tuple[str, ...] = ()
    not_before: str = ""
    not_after: str = ""
    key: str = ""
    pin: str = ""  # of its key, as [trust] pin has it


class MessageRecord(Message):
    """One IKE message; `at` in seconds since the attempt began.  Fields as in `client.ike.facts.MessageFacts`.

    `attempt` counts the transmissions of a request of ours; a response is unanswered in no other way than by not
    being there.
    """

    at: float
    sent: bool
    exchange: str
    message_id: int = 0
    is_response: bool = False
    channel: str = ""
    octets: int = 0
    packets: int = 1
    attempt: int = 1
    protected: bool = False
    payloads: tuple[str, ...] = ()
    notifies: tuple[NotifyRecord, ...] = ()
    vendors: tuple[str, ...] = ()
    proposals: tuple[str, ...] = ()
    group: str = ""
    id_type: str = ""
    identity: str = ""
    wants: str = ""
    auth: str = ""
    certificates: tuple[CertificateRecord, ...] = ()
    authorities: tuple[str, ...] = ()
    eap: str = ""
    eap_detail: str = ""
    attributes: tuple[str, ...] = ()
    selectors: tuple[str, ...] = ()


class DropRecord(Message):
    """Datagrams that changed nothing, by the reason."""

    reason: str
    count: int = 1


class IcmpRecord(Message):
    """An ICMP error that came back for a datagram of ours; `mtu` where it names one."""

    meaning: str  # "port unreachable", "host unreachable", "administratively prohibited", "packet too big", …
    sender: str = ""
    channel: str = ""
    mtu: int = 0
    count: int = 1


class CheckRecord(Message):
    """Something that was looked at after the failure: "udp 500", "udp 4500", "tcp 4500", "inside 1400 octets".

    `outcome` is "answered", "silent", "refused" or "unreachable".
    """

    what: str
    outcome: str
    detail: str = ""


class OfferRecord(Message):
    """What the profile made us ask for: never a secret, but how one would be used."""

    ike: tuple[str, ...] = ()
    esp: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    login: str = ""  # "psk", "cert" or "eap"
    eap_methods: tuple[str, ...] = ()
    id_type: str = ""
    identity: str = ""
    proof: str = ""  # how the gateway must prove itself: "psk", "cert" or "eap"
    expects: str = ""  # name of the gateway
    strict: bool = False
    authorities: tuple[str, ...] = ()  # subjects of the authorities trusted
    own_certificate: CertificateRecord | None = None
    own_authorities: tuple[str, ...] = ()  # key hashes of the authorities in our own chain, hexadecimal
    families: tuple[str, ...] = ()  # inside addresses asked for: "ipv4", "ipv6"
    static: bool = False
    pfs: bool = False
    mobike: bool = True
    force_encapsulation: bool = False


class StandingRecord(Message):
    """A session that stood: for how long, and what its traffic did."""

    seconds: float = 0.0
    suite: str = ""
    esp_suite: str = ""
    mobike: bool = False
    nat_local: bool = False
    nat_remote: bool = False
    encapsulated: bool = True
    mtu: int = 0  # of the tunnel's link; 0: not noted
    addresses: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    packets_in: int | None = None  # ESP; None: nobody has counted
    packets_out: int | None = None
    inbound_age: float | None = None  # seconds since the last authentic ESP packet, when it ended
    outbound_age: float | None = None
    rekeys: int = 0


class QuirkRecord(Message):
    """A peculiarity that the gateway showed, by its key in a profile's [quirks]; `used`: Roam adapted to it."""

    name: str
    evidence: str
    used: bool = True


class AttemptRecord(Message):
    """One attempt to connect, or one connection with its end."""

    started: float  # Unix seconds
    interface: str = ""
    local: str = ""
    remote: str = ""
    trigger: str = ""
    offer: OfferRecord | None = None
    messages: tuple[MessageRecord, ...] = ()
    left_out: int = 0  # messages in the middle that found no room
    dropped: tuple[DropRecord, ...] = ()
    fragments: tuple[str, ...] | None = (
        None  # of the last answer that came in parts: "1 of 3"; None: not noted
    )
    icmp: tuple[IcmpRecord, ...] = ()
    checks: tuple[CheckRecord, ...] = ()
    standing: StandingRecord | None = None
    doubted: bool = False  # its liveness was in question when it ended
    forgotten: bool = False  # an unauthenticated message said that the gateway does not know us
    quirks: tuple[QuirkRecord, ...] = ()
    moves: tuple[str, ...] = ()  # "confirmed" or "refused", for each move to another address
    ended: str = ""  # kind of the failure; empty: it is under way
    ended_by: str = ""  # its evidence, in words


class LookupRecord(Message):
    """The last look-up of the gateway's names."""

    names: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    error: str = ""
    servers: tuple[str, ...] = ()


class LinkRecord(Message):
    """A network interface at the time of the failure, without its addresses."""

    name: str
    up: bool
    kind: str = ""
    families: tuple[str, ...] = ()  # in which it has an address that leads anywhere
    default_route: tuple[str, ...] = ()  # families whose default route leads over it
    mtu: int = 0


class LocalRecord(Message):
    """This machine at the time of the failure."""

    clock: float = 0.0  # Unix seconds
    links: tuple[LinkRecord, ...] = ()
    others: tuple[str, ...] | None = None  # links of other VPNs that are active; None: not noted
    portal: str = ""  # "open", "login" (a network wants one), or empty: nobody has looked


class Evidence(Message):
    """Everything that is known of a tunnel's failure, or of its state; the input of `client.explain`."""

    format: int = EVIDENCE_FORMAT
    name: str = ""
    gateway: str = ""
    time: float = 0.0  # Unix seconds, when it was written
    version: str = ""
    state: str = ""
    failure: str = ""  # kind
    failure_text: str = ""
    attempts: tuple[AttemptRecord, ...] = ()  # oldest first
    lookup: LookupRecord | None = None
    local: LocalRecord | None = None

    def objection(self) -> str:
        return "" if self.format == EVIDENCE_FORMAT else f"format {self.format} is not known to this version"


class NeighbourRecord(Message):
    """Another cause that looks alike, and what told it from this one (or would)."""

    cause: str
    title: str
    told_by: str


class Verdict(Message):
    """What went wrong, as far as the evidence goes.

    `cause` is a stable name, "unknown" where the evidence does not suffice: then `gather` says what would.
    `confidence` is "certain", "likely" or "none".
    """

    cause: str
    title: str
    evidence: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    confidence: str = "none"
    neighbours: tuple[NeighbourRecord, ...] = ()
    gather: tuple[str, ...] = ()
    quirks: tuple[str, ...] = ()


class Explanation(Message):
    """Answer to `explain`."""

    verdict: Verdict
    evidence: Evidence
