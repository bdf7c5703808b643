"""The golden set: gateways and networks that are broken in one way each, and the cause that must be found.

Every case gives evidence alone; what it was broken by stands in its name, which nobody reads but people.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from client.control.evidence import LookupRecord
from client.explain.sources import Source
from client.ike.keys import Secret
from client.ike.payloads import Notify
from client.ike.registry import Kex
from client.tunnel.model import NetworkState
from tests.daemon.world import WIFI, network
from tests.explain.breaking import (
    BY_GTC,
    GTC_CLIENT,
    IPV4_ALONE,
    OURS,
    STATIC,
    THEIRS,
    Build,
    N,
    answer_in_parts,
    by_cert,
    certreq,
    deleted_after,
    expired_own_certificate,
    forgotten,
    fragments_dropped,
    one_way,
    only_ipv6,
    only_port,
    other_own_name,
    personality,
    refused_move,
    refused_with,
    rekey_answered,
    rotated_authority,
    row,
    silence,
    silent_network,
    too_early,
    too_large,
    trusting,
    unable,
    wants_group,
    wrong_password,
)
from tests.explain.broken import (
    FOUND,
    in_vain,
)
from tests.ike.failing_logins import BY_CERT, BY_EAP
from tests.pair import (
    cert_client,
    client_config,
    eap_client,
)


@dataclass(frozen=True)
class Case:
    """How the evidence comes about, the cause, and the evidence without which nothing may be concluded."""

    build: Build
    cause: str
    decides: Source


NETWORK: dict[str, Case] = {
    "no network": Case(
        unable(
            "net.no_path",
            "no network",
            None,
            NetworkState(links=(replace(network(WIFI).links[0], up=False),)),
        ),
        "net.no_network",
        Source.LINKS,
    ),
    "a network with IPv6 alone, a gateway with IPv4 alone": Case(
        unable("net.no_path", "no way to 192.0.2.1", FOUND, only_ipv6()), "net.other_family", Source.LOOKUP
    ),
    "a network that wants a login": Case(lambda: silent_network(portal="login"), "net.portal", Source.PORTAL),
    "a misspelt name": Case(
        unable(
            "net.name_not_resolved",
            "vpn.exmaple.com does not exist",
            LookupRecord(("vpn.exmaple.com",), error="vpn.exmaple.com does not exist, says 192.168.1.1"),
        ),
        "net.name_unknown",
        Source.LOOKUP,
    ),
    "no name server answers": Case(
        unable(
            "net.name_not_resolved",
            "no answer",
            LookupRecord(
                ("vpn.example.com",),
                error="192.168.1.1 did not answer",
            ),
        ),
        "net.no_name_server",
        Source.LOOKUP,
    ),
    "another VPN with the default route": Case(
        lambda: silent_network(others=("tun0",)), "local.other_vpn", Source.OTHERS
    ),
    "nothing listens on the gateway": Case(
        lambda: silent_network("port unreachable", "192.0.2.1"), "net.port_closed", Source.ICMP
    ),
    "a firewall that says no": Case(
        lambda: silent_network("administratively prohibited", "192.168.1.1"), "net.filtered", Source.ICMP
    ),
    "an address that leads nowhere": Case(
        lambda: silent_network("host unreachable", "203.0.113.1"), "net.unreachable", Source.ICMP
    ),
    "UDP 500 blocked": Case(only_port(500), "net.udp500_blocked", Source.CHECKS),
    "UDP 4500 blocked": Case(only_port(4500), "net.udp4500_blocked", Source.CHECKS),
    "both ports blocked": Case(only_port(500, 4500), "net.gateway_silent", Source.CHECKS),
    "IP fragments dropped": Case(fragments_dropped, "net.fragments_dropped", Source.SIZES),
    "large answers lost": Case(answer_in_parts, "net.answer_fragments_lost", Source.FRAGMENTS),
    "ESP blocked": Case(lambda: one_way(encapsulated=False), "net.esp_blocked", Source.STANDING),
    "no way back through the tunnel": Case(
        lambda: one_way(encapsulated=True), "peer.no_return_traffic", Source.STANDING
    ),
    "an MTU black hole, and a profile that knows better": Case(
        lambda: too_large("looked at"), "net.mtu", Source.CHECKS
    ),
    "an MTU black hole": Case(lambda: too_large("made to fit"), "net.mtu_reduced", Source.CHECKS),
    "a router that reports its MTU": Case(lambda: too_large("reported"), "net.mtu_reported", Source.ICMP),
}

OPENING: dict[str, Case] = {
    "wrong proposal for IKE": Case(
        row("no common algorithm for IKE"), "crypto.ike_proposal", Source.NOTIFIES
    ),
    "wrong group": Case(wants_group(Kex.MODP_4096), "crypto.group", Source.NOTIFIES),
    "a weak group alone": Case(wants_group(Kex.MODP_1024), "crypto.group_legacy", Source.NOTIFIES),
    "wrong proposal for ESP": Case(
        row("no common algorithm for ESP"), "crypto.esp_proposal", Source.NOTIFIES
    ),
    "IKEv1 alone": Case(
        lambda: in_vain(gateway=personality(only_version_1=True)),
        "peer.ikev1",
        Source.DROPPED,
    ),
    "a major version refused": Case(
        lambda: in_vain(gateway=personality(opening_refusal=Notify(N.INVALID_MAJOR_VERSION))),
        "peer.version",
        Source.NOTIFIES,
    ),
    "cookies without end": Case(
        lambda: in_vain(gateway=personality(cookie=True, fresh_cookies=True)),
        "peer.cookie_loop",
        Source.NOTIFIES,
    ),
    "a redirect": Case(
        lambda: in_vain(gateway=personality(opening_refusal=Notify(16407, b"\x03\x0bvpn2.example"))),
        "peer.redirect",
        Source.NOTIFIES,
    ),
    "drops the login": Case(
        lambda: in_vain(gateway=personality(deaf_to_logins=True)), "peer.silent", Source.CHECKS
    ),
}

LOGIN: dict[str, Case] = {
    "another pre-shared key": Case(row("another pre-shared key"), "login.key_or_name", Source.NOTIFIES),
    "a key that the gateway cannot read": Case(
        lambda: in_vain(gateway=personality(login_refusal=Notify(N.INVALID_SYNTAX))),
        "login.key_form",
        Source.NOTIFIES,
    ),
    "wrong password": Case(row("wrong password"), "login.password", Source.EAP),
    "outside the hours": Case(wrong_password(646), "login.hours", Source.EAP),
    "account disabled": Case(wrong_password(647), "login.account_disabled", Source.EAP),
    "password expired": Case(wrong_password(648), "login.password_expired", Source.EAP),
    "new password refused": Case(wrong_password(709), "login.password_not_changed", Source.EAP),
    "no permission to dial in": Case(wrong_password(649), "login.no_dial_in", Source.EAP),
    "another EAP method": Case(lambda: in_vain(eap_client(), BY_GTC), "login.eap_method", Source.EAP),
    "EAP refused": Case(lambda: in_vain(GTC_CLIENT, BY_GTC), "login.eap_refused", Source.EAP),
    "refused after the login": Case(
        refused_with(N.AUTHENTICATION_FAILED, b"", eap_client(), BY_EAP),
        "login.after_eap",
        Source.EAP,
    ),
    "no licence left": Case(
        refused_with(N.NO_ADDITIONAL_SAS, b"", eap_client(), BY_EAP), "login.session_limit", Source.NOTIFIES
    ),
    "our certificate expired": Case(expired_own_certificate, "login.own_certificate_expired", Source.CLOCK),
    "our authority is not accepted": Case(
        lambda: in_vain(cert_client(), by_cert(opening=certreq(*THEIRS))),
        "login.issuer_unwanted",
        Source.AUTHORITIES,
    ),
    "a name that our certificate does not bear": Case(other_own_name, "login.identity", Source.OFFER),
    "our certificate revoked": Case(
        lambda: in_vain(cert_client(), by_cert(opening=certreq(*OURS))),
        "login.certificate",
        Source.AUTHORITIES,
    ),
    "no certificates wanted": Case(
        lambda: in_vain(cert_client(), by_cert()), "login.wants_no_certificate", Source.AUTHORITIES
    ),
    "EAP not known": Case(
        lambda: in_vain(eap_client(), replace(BY_CERT, clients="psk")), "login.not_by_eap", Source.NOTIFIES
    ),
    "a Windows error": Case(refused_with(N.MS_STATUS, (13801).to_bytes(4)), "login.windows", Source.NOTIFIES),
    "a postquantum key is wanted": Case(
        lambda: in_vain(
            replace(client_config()),
            replace(personality(opening=(Notify(16435),)), psk=Secret(b"mixed with another one")),
        ),
        "login.postquantum_key",
        Source.NOTIFIES,
    ),
}

TRUST: dict[str, Case] = {
    "unknown CA": Case(row("a gateway of unknown authority"), "trust.unknown_ca", Source.CERTIFICATES),
    "the CA was renewed": Case(rotated_authority, "trust.rotated_ca", Source.CERTIFICATES),
    "expired": Case(row("an expired certificate"), "trust.expired", Source.CERTIFICATES),
    "not yet valid (the clock)": Case(too_early, "trust.not_yet_valid", Source.CLOCK),
    "another name": Case(row("a gateway of another name"), "trust.name_mismatch", Source.CERTIFICATES),
    "dialled by address": Case(
        lambda: in_vain(trusting("192.0.2.1"), BY_EAP), "trust.by_address", Source.CERTIFICATES
    ),
    "calls itself otherwise": Case(
        row("another name with a pre-shared key"), "trust.identity", Source.IDENTITIES
    ),
    "a weak certificate": Case(row("a weak certificate"), "trust.weak", Source.CERTIFICATES),
    "a certificate for another purpose": Case(
        row("a certificate for another purpose"), "trust.purpose", Source.CERTIFICATES
    ),
    "an impostor": Case(
        row("a signature that does not fit"),
        "trust.bad_signature",
        Source.CERTIFICATES,
    ),
    "a key where a certificate is due": Case(
        row("a pre-shared key where a certificate is due"), "trust.no_certificate", Source.ANSWERS
    ),
    "a certificate where a key is due": Case(
        row("a certificate where a pre-shared key is due"), "trust.unasked_certificate", Source.CERTIFICATES
    ),
}

CHILD: dict[str, Case] = {
    "the pool is empty": Case(
        refused_with(N.INTERNAL_ADDRESS_FAILURE, b"", IPV4_ALONE), "address.pool_empty", Source.NOTIFIES
    ),
    "no address of either family": Case(
        refused_with(N.INTERNAL_ADDRESS_FAILURE), "address.family", Source.NOTIFIES
    ),
    "an address must be asked for": Case(
        refused_with(N.FAILED_CP_REQUIRED, b"", STATIC), "address.cp_required", Source.NOTIFIES
    ),
    "no address given": Case(row("no inside address"), "address.none_given", Source.ATTRIBUTES),
    "other networks behind it": Case(row("nothing in common to reach"), "ts.unacceptable", Source.NOTIFIES),
    "one pair of networks": Case(refused_with(N.SINGLE_PAIR_REQUIRED), "ts.single_pair", Source.NOTIFIES),
}

LIFE: dict[str, Case] = {
    "no group in rekeys": Case(rekey_answered(N.NO_PROPOSAL_CHOSEN), "crypto.pfs_group", Source.NOTIFIES),
    "a group wanted in rekeys": Case(
        rekey_answered(N.NO_PROPOSAL_CHOSEN, esp="aes256gcm16"), "crypto.pfs_wanted", Source.NOTIFIES
    ),
    "no rekeys at all": Case(rekey_answered(N.NO_ADDITIONAL_SAS, ike=True), "life.no_rekey", Source.NOTIFIES),
    "ended after exactly an hour, twice": Case(deleted_after(3600, 3600), "life.regular", Source.STANDING),
    "ended once": Case(deleted_after(1234), "life.deleted", Source.STANDING),
    "a login that holds an hour": Case(
        deleted_after(3600, notifies=(Notify(N.AUTH_LIFETIME, (3600).to_bytes(4)),)),
        "life.lifetime",
        Source.NOTIFIES,
    ),
    "restarted": Case(forgotten, "life.forgotten", Source.DROPPED),
    "silence": Case(lambda: silence(inbound=False), "life.silent", Source.STANDING),
    "one-way": Case(lambda: silence(inbound=True), "life.one_way", Source.STANDING),
    "a move refused": Case(refused_move, "life.move_refused", Source.MOVES),
}

GOLDEN: dict[str, Case] = {**NETWORK, **OPENING, **LOGIN, **TRUST, **CHILD, **LIFE}
