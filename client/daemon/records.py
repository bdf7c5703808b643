"""Values of the engine and of the network as records of evidence: one function for each.  Pure."""

from __future__ import annotations

from ..control.evidence import (
    CertificateRecord,
    IcmpRecord,
    LinkRecord,
    LocalRecord,
    MessageRecord,
    NotifyRecord,
    OfferRecord,
    StandingRecord,
)
from ..ike import chains, distinguished
from ..ike.eap.packet import name_of
from ..ike.events import Established
from ..ike.facts import CertificateFacts, MessageFacts
from ..ike.observation import certificate, group_name, words
from ..ike.options import CertLogin, CertProof, EapLogin, EapProof, PskLogin, SessionConfig
from ..ike.refusal import printable
from ..ike.registry import IdType, TransformType
from ..ike.trust import Trust
from ..net.icmp import IcmpReport
from ..tunnel.model import OWN_LINKS, NetworkState

_MOST = 16
_VPN_KINDS = frozenset({"ipip", "ppp", "tun", "vti", "vti6", "wireguard", "xfrm"})


def message_record(facts: MessageFacts, at: float) -> MessageRecord:
    """A message, `at` seconds after the attempt began."""
    plain = {
        name: getattr(facts, name)
        for name in MessageFacts.__dataclass_fields__
        if name not in ("notifies", "certificates")
    }
    return MessageRecord(
        at=round(at, 3),
        notifies=tuple(NotifyRecord(entry.name, entry.detail) for entry in facts.notifies),
        certificates=tuple(certificate_record(entry) for entry in facts.certificates),
        **plain,
    )


def certificate_record(facts: CertificateFacts) -> CertificateRecord:
    """A certificate in words."""
    return CertificateRecord(
        facts.subject,
        facts.issuer,
        facts.names,
        facts.not_before,
        facts.not_after,
        facts.key,
        facts.pin,
    )


def standing_record(output: Established) -> StandingRecord:
    """A session that has just come to stand."""
    return StandingRecord(
        suite=output.suite,
        mobike=output.mobike,
        nat_local=output.nat_local,
        nat_remote=output.nat_remote,
        addresses=tuple(str(entry) for entry in output.assigned.addresses[:_MOST]),
        dns=tuple(str(entry) for entry in output.assigned.dns[:_MOST]),
    )


def offered(config: SessionConfig) -> OfferRecord:
    """What a session asks for and how it would log in, without any secret."""
    trust = config.proof.trust if isinstance(config.proof, (CertProof, EapProof)) else None
    login = config.login
    expected = trust.expected if trust is not None else config.remote_id
    families = {"ipv4": config.request_ipv4, "ipv6": config.request_ipv6}
    asked = () if config.static_addresses else tuple(name for name, wanted in families.items() if wanted)
    return OfferRecord(
        ike=tuple(words(entry) for entry in config.ike_offer.proposals),
        esp=tuple(words(entry) for entry in config.esp_offer.proposals),
        groups=tuple(group_name(method) for method in config.ike_offer.kex_methods),
        login="psk" if isinstance(login, PskLogin) else "cert" if isinstance(login, CertLogin) else "eap",
        eap_methods=tuple(map(name_of, login.methods)) if isinstance(login, EapLogin) else (),
        id_type=_id_type(config.local_id.type),
        identity=str(config.local_id),
        proof="cert" if isinstance(config.proof, CertProof) else "eap" if trust or _by_eap(config) else "psk",
        expects="" if expected is None else str(expected),
        strict=config.strict_idr or (trust is not None and trust.strict),
        authorities=() if trust is None else tuple(_subjects(trust)),
        static=bool(config.static_addresses),
        families=asked,
        pfs=any(entry.ids(TransformType.KE) for entry in config.esp_offer.proposals),
        mobike=config.mobike,
        force_encapsulation=config.force_encapsulation,
        own_certificate=_own_certificate(login),
        own_authorities=_own_authorities(login, trust),
    )


def _by_eap(config: SessionConfig) -> bool:
    return isinstance(config.proof, EapProof)


def _own_certificate(login: object) -> CertificateRecord | None:
    facts = certificate(login.chain[0]) if isinstance(login, CertLogin) and login.chain else None
    return None if facts is None else certificate_record(facts)


def _own_authorities(login: object, trust: Trust | None) -> tuple[str, ...]:
    """By which keys the gateway may name the authorities of our own certificate."""
    if not isinstance(login, CertLogin):
        return ()
    read = [entry for entry in map(chains.load, login.chain) if entry is not None]
    issuers = {entry.issuer for entry in read}
    trusted = trust.anchors if trust is not None else ()
    above = [*read[1:], *(entry for entry in trusted if entry.subject in issuers)]
    return tuple(entry.hex() for entry in Trust(tuple(above[:_MOST]), None).authority_hashes())


def _subjects(trust: Trust) -> list[str]:
    return [
        printable(distinguished.shown(entry.subject.public_bytes())) for entry in trust.anchors[: 4 * _MOST]
    ]


def _id_type(number: int) -> str:
    try:
        return IdType(number).name
    except ValueError:
        return str(number)


def report_record(report: IcmpReport) -> IcmpRecord:
    """A router's report."""
    return IcmpRecord(report.meaning, report.sender, report.channel, report.mtu, report.count)


def local_record(network: NetworkState, clock: float) -> LocalRecord:
    """This computer's interfaces, without its addresses, and its date in Unix seconds."""
    links = []
    for link in network.links:
        if link.kind == "loopback" or link.name.startswith(OWN_LINKS):
            continue
        families = {
            f"ipv{entry.interface.version}"
            for entry in network.addresses
            if entry.link == link.index and not entry.interface.ip.is_link_local
        }
        defaults = {
            f"ipv{route.destination.version}"
            for route in network.routes
            if route.link == link.index and not route.destination.prefixlen
        }
        links.append(
            LinkRecord(
                link.name, link.up, link.kind, tuple(sorted(families)), tuple(sorted(defaults)), link.mtu
            )
        )
    others = tuple(link.name for link in links if link.up and link.kind in _VPN_KINDS)
    return LocalRecord(round(clock, 3), tuple(links[: 2 * _MOST]), others[:_MOST])
