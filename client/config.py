"""From a profile to what the engine is told: the only place where profile strings become typed values.  Pure.

The caller has read the files and fetched the secrets that the profile refers to; both come keyed by the
reference as the profile writes it.
"""

from __future__ import annotations

from dataclasses import replace

from profiles.errors import ProfileError
from profiles.model import LocalRound, Name, Profile

from .ike.authentication import DistantSigner, KeySigner, Signer
from .ike.eap.methods import BY_WORD, warm
from .ike.eap.usim import DistantUsim, SoftwareUsim, Usim
from .ike.events import Selector
from .ike.identity import Identity
from .ike.keys import OneTimeCode, Secret
from .ike.options import (
    CertLogin,
    CertProof,
    DistantIdentity,
    EapLogin,
    EapProof,
    Inner,
    Lifetimes,
    Login,
    Patience,
    Proof,
    PskLogin,
    PskProof,
    Round,
    SessionConfig,
    TlsIdentity,
    TlsOptions,
)
from .ike.pinning import parse_pin
from .ike.proposals import PRESETS, Offer, parse_offer
from .ike.quirks import Quirk, QuirkSwitches
from .ike.registry import EapType, ProtocolId, TransformType
from .ike.revocation import Policy
from .ike.selectors import ANY_IPV4, ANY_IPV6, selector_of, selectors_of_addresses
from .ike.signatures import TlsPrivateKey, TlsPublicKey
from .ike.trust import Trust
from .material import (
    Anchors,
    KeyElsewhere,
    OwnKey,
    anchors,
    at,
    gateway_key,
    named_anchors,
    own_key,
    revocation_lists,
    subscriber_name,
)
from .material import Material as Material
from .material import SecretMissing as SecretMissing
from .tunnel.model import TunnelConfig

AUTO = (EapType.MSCHAPV2, EapType.PEAP, EapType.TTLS, EapType.GTC, EapType.OTP)
"""What `eap_methods = ["auto"]` stands for with a password; with a certificate it is EAP-TLS."""

NEVER = 1e9  # seconds


def tunnel_config(profile: Profile) -> TunnelConfig:
    """What the user wants of the tunnel, apart from IKE."""
    routing = profile.routing
    return TunnelConfig(
        name=profile.id,
        gateways=profile.gateway.addresses,
        port=profile.gateway.port,
        full=routing.mode == "full",
        include=routing.include,
        exclude=routing.exclude,
        use_ts_from_gateway=routing.use_ts_from_gateway,
        allow_lan=routing.allow_lan,
        block_other_families=routing.block_other_families,
        guard=routing.guard,
        forward=routing.forward,
        mtu=routing.mtu,
        dns_servers=profile.dns.servers,
        dns_search=profile.dns.search,
        dns_route_only=profile.dns.route_only,
        dns_over_tls=profile.dns.over_tls,
    )


def session_config(profile: Profile, material: Material) -> SessionConfig:
    """What the engine needs; `ProfileError` names the key at fault, `SecretMissing` what to ask for."""
    if profile.address.none:
        reason = "a tunnel without an inside address is not available in this version"
        raise ProfileError("address.none", reason, "Remove the key, or set static addresses.")
    first, *further = (_round(profile, n, material) for n in range(len(profile.auth.local)))
    expected = _expected(profile)
    families = profile.address.families
    return SessionConfig(
        local_id=first.identity,
        remote_id=expected,
        send_idr=profile.identity.send_idr == "always"
        or (profile.identity.send_idr == "auto" and profile.identity.remote is not None),
        strict_idr=profile.identity.match == "strict",
        login=first.login,
        further=tuple(further),
        proof=_proof(profile, expected, material),
        ike_offer=_ike_offer(profile),
        esp_offer=_esp_offer(profile),
        request_ipv4="ipv4" in families,
        request_ipv6="ipv6" in families,
        static_addresses=profile.address.static,
        local_selectors=_local_selectors(profile),
        remote_selectors=_remote_selectors(profile),
        requires_pfs=profile.crypto.pfs == "require",
        quirks=_quirks(profile),
        mobike=profile.mobility.mobike,
        force_encapsulation=profile.mobility.force_encap,
        lifetimes=Lifetimes(float(profile.lifetimes.ike), float(profile.lifetimes.child)),
        patience=Patience(
            idle_liveness=float(profile.mobility.dpd), keepalive=profile.mobility.nat_keepalive or NEVER
        ),
    )


def _quirks(profile: Profile) -> QuirkSwitches:
    """What the user has decided about peculiarities of gateways."""
    words = {quirk: getattr(profile.quirks, quirk) for quirk in Quirk}
    return QuirkSwitches(
        frozenset(quirk for quirk, word in words.items() if word == "off"),
        frozenset(quirk for quirk, word in words.items() if word == "on"),
    )


def _identity(name: Name, path: str) -> Identity:
    return at(path, lambda: Identity.parse(name.value, name.type))


def _expected(profile: Profile) -> Identity:
    """Who the gateway must be: said explicitly, or the first of its addresses."""
    if profile.identity.remote is not None:
        return _identity(profile.identity.remote, "identity.remote")
    address = profile.gateway.addresses[0]
    return at("gateway.addresses[0]", lambda: Identity.parse(address))


def _round(profile: Profile, number: int, material: Material) -> Round:
    """One round: who we are in it, and how we prove that."""
    entry, path = profile.auth.local[number], f"auth.local[{number}]"
    login, subject = _login(profile, entry, material, path)
    if number == 0 and profile.identity.local is not None:
        return Round(_identity(profile.identity.local, "identity.local"), login)
    return Round(_own_name(profile, entry, subject, path), login)


def _own_name(profile: Profile, entry: LocalRound, subject: Identity | None, path: str) -> Identity:
    """Who we are: our certificate's subject, the round's user, or what the profile says of all rounds."""
    if subject is not None:
        return subject
    name = entry.identity
    if name is not None:
        return at(f"{path}.identity", lambda: Identity.parse(name))
    if profile.identity.local is not None:
        return _identity(profile.identity.local, "identity.local")
    hint = 'Write local = "you@example.com" under [identity], as the gateway knows you.'
    raise ProfileError("identity.local", "is missing, and nothing else says who we are", hint)


def _login(
    profile: Profile, entry: LocalRound, material: Material, path: str
) -> tuple[Login, Identity | None]:
    """How we prove ourselves, and the subject of our certificate where that is how."""
    match entry.method:
        case "psk":
            return PskLogin(material.secret(entry.secret, f"{path}.secret")), None
        case "eap":
            local = profile.identity.local
            name = entry.identity or (local.value if local is not None else None)
            if name is None and entry.sim is not None:
                name = subscriber_name(entry, material, path)
                return _eap_login(profile, entry, name, material, path), Identity.parse(name)
            if name is None:
                raise ProfileError(f"{path}.identity", "is missing: EAP needs a user name")
            return _eap_login(profile, entry, name, material, path), None
        case "cert":
            own = own_key(entry, material, path)
            signer = _signer(own, allow_sha1=profile.crypto.allow_legacy)
            raw = own.public if entry.shows_bare_key else None
            return CertLogin(own.chain, signer, raw), own.subject


def _eap_login(profile: Profile, entry: LocalRound, name: str, material: Material, path: str) -> EapLogin:
    methods = _eap_methods(entry)
    if entry.uses_card:
        return EapLogin(name, Secret(b""), methods, usim=_card(entry, material, path))
    password = _password(entry, material, path) if entry.needs_password else Secret(b"")
    warm(methods)  # here the daemon learns of them, and has time
    return EapLogin(name, password, methods, _tls_options(profile, entry, material, path))


def _signer(own: OwnKey, *, allow_sha1: bool) -> Signer:
    """Whoever holds our key: we, or somebody whom we ask."""
    if isinstance(own.key, KeyElsewhere):
        return DistantSigner(own.key.reference, own.key.public, allow_sha1=allow_sha1)
    return KeySigner(own.key, allow_sha1=allow_sha1)


def _card(entry: LocalRound, material: Material, path: str) -> Usim:
    """The subscription: a SIM whose holder we ask, or its key in our hands."""
    if entry.sim is not None:
        return DistantUsim(entry.sim)
    text = material.secret(entry.secret, f"{path}.secret")
    return at(f"{path}.secret", lambda: SoftwareUsim.parse(text))


def _password(entry: LocalRound, material: Material, path: str) -> Secret | OneTimeCode:
    if entry.asks_in_course:
        return OneTimeCode()
    if entry.serves_once:
        return material.code(entry.secret, f"{path}.secret")
    return material.secret(entry.secret, f"{path}.secret")


def _eap_methods(entry: LocalRound) -> tuple[EapType, ...]:
    """The methods allowed, in order of preference; "auto" adds what it stands for at the end."""
    named = [BY_WORD[word] for word in entry.eap_methods if word != "auto"]
    implied = AUTO if entry.cert is None else (EapType.TLS,)
    return tuple(dict.fromkeys([*named, *(implied if "auto" in entry.eap_methods else ())]))


def _tls_options(profile: Profile, entry: LocalRound, material: Material, path: str) -> TlsOptions | None:
    """What is said and believed inside EAP with TLS: the login server is one of its own, or the gateway itself."""
    if not entry.uses_tls:
        return None
    remote = profile.auth.remote
    expected = _expected(profile)
    if (name := remote.aaa_name) is not None:
        expected = at("auth.remote.aaa_name", lambda: Identity.parse(name))
    trusted = named_anchors(remote.aaa_ca, "auth.remote.aaa_ca", material) or _anchors(profile, material)
    inner = tuple(Inner(word) for word in entry.inner)
    identity = _tls_identity(entry, material, path) if entry.shows_certificate else None
    lists = revocation_lists(profile.trust.crl, material)
    trust = Trust(trusted, expected, revocation=Policy(profile.trust.revocation), lists=lists)
    binding = entry.peap_binding == "required"
    return TlsOptions(trust, identity, inner, entry.outer_identity or "", insists_on_binding=binding)


def _tls_identity(entry: LocalRound, material: Material, path: str) -> TlsIdentity | DistantIdentity:
    own = own_key(entry, material, path)
    if isinstance(own.key, KeyElsewhere) and isinstance(own.key.public, TlsPublicKey):
        return DistantIdentity(own.chain, own.key.reference, own.key.public, own.key.signs_pss)
    if not isinstance(own.key, TlsPrivateKey):
        raise ProfileError(f"{path}.cert", "has a key of a kind that EAP with TLS cannot use")
    return TlsIdentity(own.chain, own.key)


def _proof(profile: Profile, expected: Identity, material: Material) -> Proof:
    """What the gateway must prove itself with."""
    if (reference := profile.auth.shared_key) is not None:
        return PskProof(material.secret(reference, "auth.remote.secret"))
    strict = profile.identity.match == "strict"
    trusted = _anchors(profile, material)
    keys = tuple(
        gateway_key(material.file(reference, f"trust.keys[{n}]"), f"trust.keys[{n}]")
        for n, reference in enumerate(profile.trust.keys)
    )
    pins = material.pins | {parse_pin(text) for text in profile.trust.pin if text != "ask"}
    asks = "ask" in profile.trust.pin and not material.pins  # a key other than confirmed: no question
    trust = Trust(
        trusted,
        expected,
        strict,
        profile.crypto.allow_legacy,
        keys,
        pins,
        asks,
        Policy(profile.trust.revocation),
        revocation_lists(profile.trust.crl, material),
    )
    if profile.auth.proof == "eap":
        return EapProof(trust if trusted or keys or pins or asks else None)
    return CertProof(trust)


def _anchors(profile: Profile, material: Material) -> Anchors:
    """Who may vouch for the gateway."""
    trusted = named_anchors(profile.trust.ca, "trust.ca", material)
    if profile.trust.system_store:
        trusted += tuple(anchors(material.system_authorities, "trust.system_store"))
    return trusted


def _ike_offer(profile: Profile) -> Offer:
    crypto = profile.crypto
    words = crypto.ike or PRESETS[crypto.preset][0]
    offer = at("crypto.ike", lambda: parse_offer(ProtocolId.IKE, words, allow_legacy=crypto.allow_legacy))
    if not offer.kex_methods:
        raise ProfileError("crypto.ike", "names no key exchange", 'Add a group, for example "-x25519".')
    return offer


def _esp_offer(profile: Profile) -> Offer:
    """ESP proposals, cut to what `pfs` says."""
    crypto = profile.crypto
    words = crypto.esp or PRESETS[crypto.preset][1]
    offer = at("crypto.esp", lambda: parse_offer(ProtocolId.ESP, words, allow_legacy=crypto.allow_legacy))
    if crypto.pfs == "off":
        return offer.without_kex()
    if crypto.pfs == "offer":
        return offer
    with_kex = [proposal for proposal in offer.proposals if proposal.ids(TransformType.KE)]
    if not with_kex:
        raise ProfileError("crypto.esp", 'names no key exchange, but pfs = "require"')
    return Offer(offer.protocol, tuple(replace(p, number=n) for n, p in enumerate(with_kex, 1)))


def _local_selectors(profile: Profile) -> tuple[Selector, ...]:
    """What we ask to send from: our addresses, which the gateway may still have to choose."""
    if profile.address.static:
        return selectors_of_addresses(profile.address.static)
    return _everything(profile)


def _remote_selectors(profile: Profile) -> tuple[Selector, ...]:
    """What we ask to send to; the gateway may narrow it, and does where it is to name the networks."""
    routing = profile.routing
    if routing.mode == "full" or routing.use_ts_from_gateway:
        return _everything(profile)
    return tuple(selector_of(network) for network in routing.include)


def _everything(profile: Profile) -> tuple[Selector, ...]:
    families = {interface.version for interface in profile.address.static} or {
        4 if family == "ipv4" else 6 for family in profile.address.families
    }
    every = {4: ANY_IPV4, 6: ANY_IPV6}
    return tuple(every[family] for family in sorted(families))
