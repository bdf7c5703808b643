"""What a `Session` is told: typed values that `client.config` makes of a profile, never profile text."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from .eap.tls_framing import FRAGMENT
from .events import Interface, Selector
from .inquest import Memory
from .keys import OneTimeCode, Secret
from .quirks import Habits, QuirkSwitches
from .registry import EapType

if TYPE_CHECKING:
    from .authentication import Signer
    from .eap.usim import Usim
    from .identity import Identity
    from .proposals import Offer
    from .signatures import PublicKey, TlsPrivateKey
    from .trust import Trust


@dataclass(frozen=True, slots=True)
class PskLogin:
    """We prove ourselves with a pre-shared key."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class CertLogin:
    """We prove ourselves with a certificate: DER certificates, ours first, and the signer of its key.

    Without certificates `raw_key` is the SubjectPublicKeyInfo that the gateway knows us by.
    """

    chain: tuple[bytes, ...]
    signer: Signer
    raw_key: bytes | None = None


class Inner(StrEnum):
    """What may authenticate us inside TTLS and PEAP; PEAP carries EAP alone, so there "mschapv2" is that too."""

    PAP = "pap"
    MSCHAPV2 = "mschapv2"
    EAP_MSCHAPV2 = "eap-mschapv2"
    EAP_GTC = "eap-gtc"
    EAP_MD5 = "eap-md5"
    EAP_TLS = "eap-tls"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What EAP-TLS shows: DER certificates, ours first, and its private key."""

    chain: tuple[bytes, ...] = field(repr=False)
    key: TlsPrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class DistantIdentity:
    """The same with a private key that its holder keeps: the profile's reference to it, and its public half.

    `signs_pss`: whether an RSA key can be asked for RSA-PSS, the only way that TLS 1.3 has for it (RFC 8446 section
    4.2.3); where it cannot, TLS 1.2 is spoken.
    """

    chain: tuple[bytes, ...] = field(repr=False)
    key: str
    public: PublicKey = field(repr=False)
    signs_pss: bool = True


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What the EAP methods built on TLS need beside a name and a password.

    `trust` is about the login server, which need not be the gateway.  `inner` in order of preference; in TTLS the
    first one decides, for there the client does.  `outer_identity` is what is said outside TLS.
    """

    trust: Trust
    identity: TlsIdentity | DistantIdentity | None = None
    inner: tuple[Inner, ...] = (Inner.MSCHAPV2,)
    outer_identity: str = ""
    fragment: int = FRAGMENT  # octets of TLS in one EAP packet
    insists_on_binding: bool = False  # PEAP without its cryptobinding does not succeed


@dataclass(frozen=True, slots=True)
class EapLogin:
    """The gateway asks us by EAP: `methods` in order of preference.

    A `OneTimeCode` serves one login; where it is spent, the login cannot begin, unless the method asks the user in
    its course (`asks_in_course`).
    """

    identity: str
    password: Secret | OneTimeCode
    methods: tuple[EapType, ...] = (EapType.MSCHAPV2,)
    tls: TlsOptions | None = None
    usim: Usim | None = None  # what EAP-AKA asks instead of a password

    @property
    def name_outside(self) -> str:
        """Who we say that we are before the login server is known."""
        return (self.tls.outer_identity if self.tls is not None else "") or self.identity

    @property
    def asks_in_course(self) -> bool:
        """Whether the user is to see the server's challenge before there is anything to answer."""
        return self.methods == (EapType.OTP,)

    @property
    def lacks_code(self) -> bool:
        """Whether the user must be asked before a login makes sense."""
        code = self.password
        return isinstance(code, OneTimeCode) and code.is_spent and not self.asks_in_course

    def take_password(self) -> Secret | None:
        """The password, or the code unless it is spent."""
        return self.password.take() if isinstance(self.password, OneTimeCode) else self.password


Login = PskLogin | CertLogin | EapLogin


@dataclass(frozen=True, slots=True)
class Round:
    """A further round in which we prove who we are (RFC 4739)."""

    identity: Identity
    login: Login


@dataclass(frozen=True, slots=True)
class PskProof:
    """The gateway proves itself with the pre-shared key."""

    secret: Secret


@dataclass(frozen=True, slots=True)
class CertProof:
    """The gateway proves itself with a certificate that `trust` accepts."""

    trust: Trust


@dataclass(frozen=True, slots=True)
class EapProof:
    """The gateway proves itself inside EAP alone (RFC 5998); a certificate that it shows all the same must suit
    `trust`, where there is any."""

    trust: Trust | None = None


Proof = PskProof | CertProof | EapProof


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """Seconds after which we start to replace an SA, less up to `jitter` of it (RFC 7296 section 2.8)."""

    ike: float = 4 * 3600.0
    child: float = 3600.0
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """Timing of requests and liveness, in seconds (DESIGN 8)."""

    first: float = 1.0  # until the first retransmission
    factor: float = 1.5
    cap: float = 5.0
    give_up: float = 60.0
    idle_liveness: float = 120.0
    unanswered: float = 2.0  # outbound traffic without an inbound packet
    probe_give_up: float = 60.0
    keepalive: float = 20.0
    old_inbound: float = 5.0  # an old inbound SA is kept so long after its successor stands


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Everything a session needs to know about one gateway."""

    local_id: Identity
    remote_id: Identity | None  # expected identity; None with a certificate: the trust's name alone decides
    send_idr: bool
    strict_idr: bool  # IDr must equal remote_id; else the certificate must confirm the expected name
    login: Login
    proof: Proof
    ike_offer: Offer
    esp_offer: Offer
    request_ipv4: bool = True
    request_ipv6: bool = True
    static_addresses: tuple[Interface, ...] = ()
    local_selectors: tuple[Selector, ...] = ()
    remote_selectors: tuple[Selector, ...] = ()
    requires_pfs: bool = False  # a Child SA is replaced with a key exchange or not at all
    mobike: bool = True
    force_encapsulation: bool = False
    further: tuple[Round, ...] = ()  # rounds after the one by `login`
    initial_contact: bool = True
    fragment_size: int = 1232  # of an IKE message in octets: fits an IPv6 packet of 1280
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    patience: Patience = field(default_factory=Patience)
    quirks: QuirkSwitches = field(default_factory=QuirkSwitches)
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)  # of what was not revoked
    habits: Habits = field(default_factory=Habits, compare=False, repr=False)  # of this gateway

    @property
    def for_one_family(self) -> SessionConfig:
        """The same for IPv4 alone inside."""
        return replace(
            self,
            request_ipv6=False,
            local_selectors=_of_ipv4(self.local_selectors),
            remote_selectors=_of_ipv4(self.remote_selectors),
        )

    @property
    def may_do_with_one_family(self) -> bool:
        """Whether IPv4 alone is less than what is asked for, and something."""
        both = self.request_ipv4 and self.request_ipv6 and not self.static_addresses
        return both and bool(_of_ipv4(self.local_selectors) and _of_ipv4(self.remote_selectors))

    def with_password(self, was: Secret, now: Secret) -> SessionConfig:
        """The same with another password wherever `was` is one."""
        further = tuple(replace(entry, login=_with_password(entry.login, was, now)) for entry in self.further)
        return replace(self, login=_with_password(self.login, was, now), further=further)

    @property
    def lacks_code(self) -> bool:
        """Whether the user must be asked for a code before a login makes sense."""
        logins = (self.login, *(entry.login for entry in self.further))
        return any(isinstance(login, EapLogin) and login.lacks_code for login in logins)


def _of_ipv4(selectors: tuple[Selector, ...]) -> tuple[Selector, ...]:
    return tuple(selector for selector in selectors if selector.first.version == 4)


def _with_password(login: Login, was: Secret, now: Secret) -> Login:
    if isinstance(login, EapLogin) and isinstance(login.password, Secret) and login.password == was:
        return replace(login, password=now)
    return login
