"""A profile, schema 1: what a person writes about one gateway, as frozen values.

This is also the table of keys: each field carries its default and its description, `profiles.schema` reads
TOML by it and the manual page is made from it.  A profile holds no secret, only references to them.
"""

# ruff: noqa: RUF009 - option() makes a field, as dataclasses.field does; the sections' defaults are frozen

from __future__ import annotations

from dataclasses import MISSING, dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Any, Literal

Address = IPv4Address | IPv6Address
Interface = IPv4Interface | IPv6Interface
Network = IPv4Network | IPv6Network
EapWord = Literal["auto", "tls", "ttls", "peap", "mschapv2", "gtc", "otp", "md5", "aka", "aka-prime"]
InnerWord = Literal["mschapv2", "pap", "eap-mschapv2", "eap-gtc", "eap-md5", "eap-tls"]
IdentityType = Literal["fqdn", "email", "ipv4", "ipv6", "dn", "keyid"]

SCHEMA = 1


def option(
    text: str,
    default: Any = MISSING,  # noqa: ANN401 - as in dataclasses.field
    *,
    least: float | None = None,
    most: float | None = None,
    unit: str = "",
    example: str = "…",
) -> Any:  # noqa: ANN401
    """One key of the profile: its description, default (none: required, as in `example`), range with its unit."""
    metadata = {"text": text, "least": least, "most": most, "unit": unit, "example": example}
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Name:
    """An IKE identity: in TOML a string, or a table with `type` where the text alone would mislead."""

    value: str = option("the identity as text")
    type: IdentityType | None = option("its kind; without it the text decides", None)


@dataclass(frozen=True, slots=True)
class Gateway:
    """[gateway]"""

    addresses: tuple[str, ...] = option(
        "names or addresses of the gateway, in order of preference", example='["vpn.example.com"]'
    )
    port: int = option(
        "UDP port; another than 500 uses that port alone, always encapsulated", 500, least=1, most=65535
    )
    transport: tuple[Literal["udp", "tcp"], ...] = option("transports in order of preference", ("udp",))


@dataclass(frozen=True, slots=True)
class Identity:
    """[identity]"""

    local: Name | None = option(
        "who we are; without it our certificate's subject, or the identity of the round", None
    )
    remote: Name | None = option("who the gateway must be; without it the first of [gateway] addresses", None)
    send_idr: Literal["auto", "always", "never"] = option(
        'whether the first message names the wanted gateway identity; "auto": when remote is set', "auto"
    )
    match: Literal["loose", "strict"] = option(
        '"strict": the gateway must call itself remote; "loose": its certificate must confirm remote', "loose"
    )


@dataclass(frozen=True, slots=True)
class LocalRound:
    """[[auth.local]]: one round in which we prove who we are."""

    method: Literal["psk", "cert", "eap"] = option("how we prove who we are", example='"eap"')
    identity: str | None = option(
        "EAP identity (user name); without it the local identity, or the one that a SIM makes of its IMSI",
        None,
    )
    cert: str | None = option(
        "reference to our certificate with its intermediates (PEM), to a bundle with its key (PKCS #12, PEM), or "
        "(pkcs11:) to both on a card",
        None,
    )
    key: str | None = option(
        "reference to its private key: a file (PEM or DER), a card (pkcs11:URI) or the SSH agent (agent:KEY); "
        "without it, cert holds the key.  For aka: the SIM in a card reader (sim:)",
        None,
    )
    eap_methods: tuple[EapWord, ...] = option(
        'EAP methods in order of preference, of which the gateway chooses; "auto": all that suit the credentials, '
        "md5 and aka excepted",
        ("mschapv2",),
    )
    inner: tuple[InnerWord, ...] = option(
        "what is said inside ttls and peap, in order of preference; in ttls the first decides, in peap mschapv2 is "
        "eap-mschapv2",
        ("mschapv2",),
    )
    outer_identity: str | None = option(
        "name for tls, ttls and peap to say before the login server is known; without it the identity", None
    )
    peap_binding: Literal["optional", "required"] = option(
        '"required": peap does not succeed without its cryptobinding, which ties the login to its TLS',
        "optional",
    )
    one_time: bool | None = option(
        "the password is a code that serves one login: asked for each time, never tried again; without it: for "
        "gtc and otp, if the secret is asked for",
        None,
    )
    secret: str = option(
        "reference to the password, the pre-shared key, the passphrase of an encrypted key, the PIN of a card or "
        "SIM, or (aka without one) K:OPc of a subscription in hexadecimal",
        "ask:",
    )

    @property
    def uses_tls(self) -> bool:
        """Whether a login server may have to show a certificate inside EAP."""
        return self.method == "eap" and not {"auto", "tls", "ttls", "peap"}.isdisjoint(self.eap_methods)

    @property
    def shows_certificate(self) -> bool:
        """Whether our certificate may be asked for."""
        words = set(self.eap_methods)
        if self.method != "eap":
            return self.method == "cert"
        is_inside = not words.isdisjoint({"ttls", "peap"}) and "eap-tls" in self.inner
        return "tls" in words or is_inside or ("auto" in words and self.cert is not None)

    @property
    def shows_bare_key(self) -> bool:
        """Whether the gateway knows our public key, without a certificate (RFC 7670)."""
        return self.method == "cert" and self.cert is None

    @property
    def uses_card(self) -> bool:
        """Whether a subscription proves who we are."""
        return self.method == "eap" and not {"aka", "aka-prime"}.isdisjoint(self.eap_methods)

    @property
    def sim(self) -> str | None:
        """Reference to the card reader's SIM that has the subscription's key."""
        return self.key if (self.key or "").startswith("sim:") else None

    @property
    def needs_password(self) -> bool:
        """Whether the secret is more than the passphrase of a key."""
        if self.method != "eap":
            return self.method == "psk"
        if self.sim is not None:
            return False
        words = set(self.eap_methods)
        is_inside = not words.isdisjoint({"ttls", "peap"}) and set(self.inner) != {"eap-tls"}
        is_auto = "auto" in words and self.cert is None
        return is_inside or is_auto or not words <= {"auto", "tls", "ttls", "peap"}

    @property
    def key_file(self) -> str | None:
        """Reference to the file that holds our private key."""
        return self.key or self.cert

    @property
    def key_is_elsewhere(self) -> bool:
        """Whether our private key stays on a card, on a SIM or in an agent."""
        return (self.key_file or "").startswith(("pkcs11:", "agent:", "sim:"))

    @property
    def serves_once(self) -> bool:
        """Whether the secret is a one-time code, the default worked out."""
        if self.method != "eap" or self.one_time is not None:
            return bool(self.one_time)
        return self.secret.startswith("ask:") and set(self.eap_methods) <= {"gtc", "otp"}

    @property
    def asks_in_course(self) -> bool:
        """Whether there is no secret before the gateway has asked: what it asks is a challenge."""
        return self.method == "eap" and self.serves_once and self.eap_methods == ("otp",)


@dataclass(frozen=True, slots=True)
class RemoteAuth:
    """[auth.remote]"""

    method: Literal["cert", "psk", "eap"] | None = option(
        'how the gateway proves itself; without it "psk" for psk, else "cert"; "eap": inside EAP alone, by methods '
        "that prove the server too (tls, ttls, peap, aka, aka-prime)",
        None,
    )
    secret: str | None = option(
        "reference to the pre-shared key that the gateway proves itself with, where no round of ours is by psk",
        None,
    )
    aaa_name: str | None = option(
        "name that the login server's certificate must bear inside tls, ttls and peap; without it the gateway's",
        None,
    )
    aaa_ca: tuple[str, ...] = option(
        "references to the CA certificates of the login server alone; empty: those of [trust]", ()
    )


@dataclass(frozen=True, slots=True)
class Auth:
    """[auth]"""

    local: tuple[LocalRound, ...] = option("rounds of authentication, in order")
    remote: RemoteAuth = option("how the gateway proves itself", RemoteAuth())

    @property
    def proof(self) -> Literal["cert", "psk", "eap"]:
        """How the gateway proves itself, the default worked out."""
        return self.remote.method or ("psk" if self.local[0].method == "psk" else "cert")

    @property
    def shared_key(self) -> str | None:
        """Reference to the pre-shared key that the gateway proves itself with; None where it does so otherwise."""
        if self.proof != "psk":
            return None
        return self.remote.secret or next((e.secret for e in self.local if e.method == "psk"), None)

    @property
    def secrets(self) -> tuple[tuple[str, str], ...]:
        """All references to secrets, each with its key in the profile."""
        rounds = tuple((entry.secret, f"auth.local[{n}].secret") for n, entry in enumerate(self.local))
        return rounds if self.remote.secret is None else (*rounds, (self.remote.secret, "auth.remote.secret"))


@dataclass(frozen=True, slots=True)
class Trust:
    """[trust]"""

    ca: tuple[str, ...] = option("references to CA certificates (PEM or DER)", ())
    system_store: bool = option("also trust the CAs of the system", False)
    keys: tuple[str, ...] = option(
        "references to public keys of the gateway (PEM), for one that shows no certificate (RFC 7670)", ()
    )
    pin: tuple[str, ...] = option(
        'sha256 of accepted public keys of the gateway; "ask": the user confirms what is not pinned; with ca, both '
        "must agree",
        (),
    )
    revocation: Literal["off", "relaxed", "strict"] = option(
        'certificates of gateway and login server: "relaxed" refuses what is known to be revoked, "strict" also '
        "what nobody says to be good",
        "relaxed",
    )
    crl: tuple[str, ...] = option("references to certificate revocation lists (PEM or DER)", ())


@dataclass(frozen=True, slots=True)
class Crypto:
    """[crypto]"""

    preset: Literal["modern", "compatible"] = option("proposals where ike and esp name none", "modern")
    ike: tuple[str, ...] = option('IKE proposals, e.g. "aes256gcm16-prfsha384-x25519"', ())
    esp: tuple[str, ...] = option('ESP proposals, e.g. "aes256gcm16"', ())
    pfs: Literal["off", "offer", "require"] = option(
        "a fresh key exchange when a Child SA is rekeyed", "offer"
    )
    allow_legacy: bool = option(
        "allow what is weak and named in ike or esp, or in the gateway's preset: modp1024, modp1536, sha1; and "
        "signatures with SHA-1",
        False,
    )
    ppk: str | None = option("reference to a post-quantum pre-shared key (RFC 8784)", None)


@dataclass(frozen=True, slots=True)
class AddressSection:
    """[address]: at most one of its keys."""

    request: tuple[Literal["ipv4", "ipv6"], ...] | None = option(
        "families to ask an inside address of; both by default", None
    )
    static: tuple[Interface, ...] = option("our inside addresses, not asked of the gateway", ())
    none: bool = option("no inside address of our own", False)

    @property
    def families(self) -> tuple[Literal["ipv4", "ipv6"], ...]:
        """Families of which an address is requested, the default worked out."""
        if self.request is None:
            return () if self.static or self.none else ("ipv4", "ipv6")
        return self.request


@dataclass(frozen=True, slots=True)
class Routing:
    """[routing]"""

    mode: Literal["full", "split"] = option(
        '"full": everything through the tunnel; "split": include alone', "full"
    )
    include: tuple[Network, ...] = option("split: networks behind the tunnel", ())
    exclude: tuple[Network, ...] = option("networks that stay outside the tunnel", ())
    allow_lan: bool = option("full: reach the local network beside the tunnel", True)
    guard: bool = option("from up to down, selected traffic leaves through the tunnel or not at all", True)
    forward: Literal["tunnelled", "blocked", "allowed"] = option(
        "what this machine forwards for containers, virtual machines and guests, of the selected traffic",
        "tunnelled",
    )
    block_other_families: bool = option(
        "full: block a family (IPv4, IPv6) that the tunnel does not carry", True
    )
    use_ts_from_gateway: bool = option("split: also the networks that the gateway names", True)
    mtu: int | None = option(
        "inside MTU; without it computed, and lowered where the way to the gateway carries less",
        None,
        least=576,
        most=65535,
        unit="octets",
    )


@dataclass(frozen=True, slots=True)
class Dns:
    """[dns]"""

    servers: tuple[Address, ...] = option("name servers; empty: those that the gateway assigns", ())
    search: tuple[str, ...] = option("search domains", ())
    route_only: tuple[str, ...] = option(
        "domains asked of these servers alone; empty with split: the search domains", ()
    )
    over_tls: Literal["auto", "system", "no", "opportunistic", "yes"] = option(
        "DNS over TLS inside the tunnel, where systemd-resolved asks; auto: none for servers that the gateway "
        "assigns, and as the system has it for those named here",
        "auto",
    )


@dataclass(frozen=True, slots=True)
class Mobility:
    """[mobility]"""

    mobike: bool = option("move the tunnel with us (RFC 4555) where the gateway can", True)
    nat_keepalive: int = option("interval of NAT keepalives; 0: none", 20, least=0, most=3600, unit="seconds")
    dpd: int = option(
        "silence after which the gateway is asked whether it lives", 120, least=5, most=86400, unit="seconds"
    )
    autoconnect: bool = option("come up with the daemon", False)
    trusted_networks: tuple[str, ...] = option("networks on which the tunnel is not wanted", ())
    force_encap: bool = option("encapsulate in UDP also without NAT", False)


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """[lifetimes]"""

    ike: int = option("replace the IKE SA after", 14400, least=60, most=864000, unit="seconds")
    child: int = option("replace the Child SA after", 3600, least=60, most=864000, unit="seconds")


QuirkWord = Literal["auto", "off"]
QuirkWordAlways = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True)
class Quirks:
    """[quirks]: what Roam does differently where the gateway shows a peculiarity; docs/quirks.md."""

    small_login: QuirkWordAlways = option(
        "leave certificate requests and intermediates out of a login that would not fit one packet, where the "
        'gateway takes no fragments of IKE; "on": always',
        "auto",
    )
    first_group: QuirkWord = option("begin with the group that the gateway asked for last time", "auto")
    no_pfs: QuirkWord = option(
        'replace Child SAs without a fresh key exchange where the gateway refuses it; never with pfs = "require"',
        "auto",
    )
    new_login: QuirkWord = option("log in anew, beside, where the gateway does not replace keys", "auto")
    one_family: QuirkWord = option(
        "ask for IPv4 alone after the gateway has refused addresses of both IP versions", "auto"
    )
    unnamed_gateway: QuirkWord = option(
        'after a refusal, log in once without naming the gateway, if send_idr is "auto"', "auto"
    )
    pss_trailer: QuirkWord = option("accept an RSA-PSS signature that names its default trailer", "auto")
    dns_prefix: QuirkWord = option(
        "accept a name server's IPv6 address that has a prefix length behind it", "auto"
    )
    size_questions: QuirkWordAlways = option(
        'ask no more how much the path carries where two sessions ended over it; "on": never ask, "off": '
        "always",
        "auto",
    )


@dataclass(frozen=True, slots=True)
class Profile:
    """One gateway and how to use it."""

    schema: Literal[1] = option("version of this format", example="1")
    id: str = option(
        "name for the command line: letters, digits, dots, dashes, underscores", example='"office"'
    )
    gateway: Gateway = option("where the gateway is")
    auth: Auth = option("who proves what to whom")
    name: str = option("name for people; without it the id", "")
    preset: str | None = option(
        "kind of gateway, whose values count where the profile says nothing: docs/presets.md", None
    )
    identity: Identity = option("IKE identities", Identity())
    trust: Trust = option("who may vouch for the gateway", Trust())
    crypto: Crypto = option("algorithms", Crypto())
    address: AddressSection = option("inside addresses", AddressSection())
    routing: Routing = option("what goes through the tunnel", Routing())
    dns: Dns = option("name resolution through the tunnel", Dns())
    mobility: Mobility = option("roaming", Mobility())
    lifetimes: Lifetimes = option("when keys are replaced", Lifetimes())
    quirks: Quirks = option("what Roam does differently for this gateway", Quirks())
    data_path: Literal["auto", "xfrm", "xfrm-offload", "userspace"] = option(
        "who carries the packets; with `xfrm-offload` network devices do the cryptography where they can, and "
        "without a guard, from Linux 6.16 on, all the work on packets that go out; "
        "each change of network costs a rekey",
        "auto",
    )

    @property
    def title(self) -> str:
        """The name for people."""
        return self.name or self.id
