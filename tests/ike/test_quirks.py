"""What is done differently for gateways of some kinds, and that its switch really keeps it from being done.

Each case plays a gateway with that peculiarity and looks at what is sent, or at what comes of it.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.announcements import Announced
from client.ike.authentication import KeySigner
from client.ike.events import Closed, Established, Kind, LoginWanted, QuirkSeen
from client.ike.options import CertLogin, CertProof, SessionConfig
from client.ike.payloads import (
    Attribute,
    Authentication,
    Certificate,
    CertificateRequest,
    KeyExchange,
    Notify,
    Payload,
    VendorId,
)
from client.ike.proposals import parse_offer
from client.ike.quirks import MICROSOFT, Habits, Quirk, QuirkSwitches, microsoft_vendor
from client.ike.registry import CfgAttribute, ExchangeType, Kex, NotifyType, ProtocolId
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.pki import make_authority
from client.lab.responder import GatewayConfig, Personality
from tests.ike.crossings import opened, refuse
from tests.ike.failing_logins import BY_CERT
from tests.ike.phases import scene
from tests.ike.signed import PSS_SHA256_TRAILER
from tests.pair import (
    AUTHORITY,
    CLIENT_CERT,
    GATEWAY_ID,
    VALID,
    Pair,
    cert_client,
    client_config,
    gateway_config,
)

WINDOWS = VendorId(MICROSOFT[0] + bytes.fromhex("00000009"))
GROUPS = parse_offer(ProtocolId.ESP, ("aes256gcm16-x25519",))
BARE = parse_offer(ProtocolId.ESP, ("aes256gcm16",))
USED = pytest.mark.parametrize("used", [True, False], ids=["used", "switched off"])


def switched(config: SessionConfig, quirk: Quirk, *, used: bool) -> SessionConfig:
    """A profile that leaves the adaptation to Roam, or forbids it."""
    return replace(config, quirks=QuirkSwitches(off=frozenset() if used else frozenset({quirk})))


def gateway(config: GatewayConfig | None = None, **changes: object) -> GatewayConfig:
    """A gateway with a peculiarity."""
    return replace(config or gateway_config(), personality=Personality(**changes))  # type: ignore[arg-type]


def told(pair: Pair, quirk: Quirk) -> QuirkSeen:
    """What was said of it, once in a session."""
    (seen,) = [e for e in pair.client_events if isinstance(e, QuirkSeen) and e.quirk is quirk]
    assert seen.evidence
    return seen


def sent(pair: Pair, exchange: ExchangeType) -> list[tuple[Payload, ...]]:
    """The payloads of the client's latest requests of a kind, as the gateway's keys open them."""
    current = pair.client._core.current
    assert current is not None
    at = scene(pair, current)
    mine = [flight.data for flight in pair.sent if flight.to_gateway and flight.data[18] == exchange]
    return [opened(at, data).payloads for data in mine]


def kinds(payloads: tuple[Payload, ...], kind: type[Payload]) -> int:
    return sum(isinstance(entry, kind) for entry in payloads)


# small_login


def with_large_login() -> SessionConfig:
    """A certificate with its authorities, and a dozen authorities that are trusted."""
    anchors = tuple(make_authority(f"CN=Root {n}", **VALID).certificate for n in range(12))
    chain = (*CLIENT_CERT.chain, *CLIENT_CERT.chain, *CLIENT_CERT.chain)
    login = CertLogin(chain, KeySigner(CLIENT_CERT.key))
    trust = Trust((AUTHORITY.certificate, *anchors), GATEWAY_ID)
    return replace(client_config(login, CertProof(trust)))


@USED
def test_a_login_is_kept_in_one_packet_where_the_gateway_takes_no_fragments(used: bool) -> None:
    client = switched(with_large_login(), Quirk.SMALL_LOGIN, used=used)
    pair = Pair(client, gateway(BY_CERT, fragmentation=False))
    assert pair.connect()
    (login,) = sent(pair, ExchangeType.IKE_AUTH)
    largest = max(len(flight.data) for flight in pair.sent if flight.to_gateway)
    assert (largest <= client.fragment_size) is used
    assert kinds(login, CertificateRequest) == (0 if used else 1)
    assert kinds(login, Certificate) == (1 if used else len(with_large_login_chain()))
    assert told(pair, Quirk.SMALL_LOGIN).used is used
    assert "IKEV2_FRAGMENTATION_SUPPORTED" in told(pair, Quirk.SMALL_LOGIN).evidence


def with_large_login_chain() -> tuple[bytes, ...]:
    login = with_large_login().login
    assert isinstance(login, CertLogin)
    return login.chain


def test_intermediate_certificates_are_left_out_only_if_need_be() -> None:
    client = replace(cert_client(), fragment_size=1000)
    assert isinstance(client.login, CertLogin)
    whole = replace(client, login=replace(client.login, chain=(*CLIENT_CERT.chain, *CLIENT_CERT.chain)))
    for size, certificates in ((1400, 2), (1232, 1)):
        pair = Pair(replace(whole, fragment_size=size), gateway(BY_CERT, fragmentation=False))
        assert pair.connect()
        (login,) = sent(pair, ExchangeType.IKE_AUTH)
        assert kinds(login, Certificate) == certificates, [len(f.data) for f in pair.sent if f.to_gateway]


def test_a_login_may_be_small_without_evidence() -> None:
    client = replace(cert_client(), quirks=QuirkSwitches(on=frozenset({Quirk.SMALL_LOGIN})))
    pair = Pair(client, BY_CERT)
    assert pair.connect()
    (login,) = sent(pair, ExchangeType.IKE_AUTH)
    assert kinds(login, CertificateRequest) == 0


# first_group


@USED
def test_the_group_that_a_gateway_insists_on_comes_first_the_next_time(used: bool) -> None:
    client = switched(replace(client_config(), habits=Habits()), Quirk.FIRST_GROUP, used=used)
    pair = Pair(client, gateway(group=Kex.MODP_2048))
    assert pair.connect()
    assert not any(isinstance(event, QuirkSeen) for event in pair.client_events)
    first = len(pair.sent)
    pair.new_client()
    assert pair.connect()
    openings = [f for f in pair.sent[first:] if f.to_gateway and f.data[18] == ExchangeType.IKE_SA_INIT]
    assert len(openings) == (1 if used else 2)
    assert told(pair, Quirk.FIRST_GROUP).used is used
    assert "modp_2048" in told(pair, Quirk.FIRST_GROUP).evidence


def test_a_group_that_is_not_offered_any_more_is_not_begun_with() -> None:
    client = replace(client_config(), habits=Habits(group=Kex.MODP_4096))
    pair = Pair(client)
    assert pair.connect()
    assert not any(isinstance(event, QuirkSeen) for event in pair.client_events)


def test_a_weak_group_is_not_remembered() -> None:
    offer = parse_offer(ProtocolId.IKE, ("aes256-sha256-x25519-modp1024",), allow_legacy=True)
    client = replace(client_config(), ike_offer=offer)
    pair = Pair(client, gateway(replace(gateway_config(), ike_offer=offer), group=Kex.MODP_1024))
    assert pair.connect()
    assert client.habits.group is None


# no_pfs


def rekeyed(pair: Pair) -> list[bool]:
    """Replace the Child SA; whether each request for that came with a key exchange."""
    first = len(pair.sent)
    pair.client.rekey_child(pair.now)
    pair.run(5)
    current = pair.client._core.current
    assert current is not None
    at = scene(pair, current)
    mine = [f.data for f in pair.sent[first:] if f.to_gateway and f.data[18] == ExchangeType.CREATE_CHILD_SA]
    return [kinds(opened(at, data).payloads, KeyExchange) > 0 for data in mine]


@USED
def test_a_child_is_replaced_without_a_key_exchange_where_that_is_refused(used: bool) -> None:
    client = switched(replace(client_config(), esp_offer=GROUPS), Quirk.NO_PFS, used=used)
    pair = Pair(client, replace(gateway_config(), esp_offer=BARE))
    assert pair.connect()
    before = pair.client.children[0].spi_in
    tries = rekeyed(pair)
    assert tries == ([True, False] if used else [True, True])[: len(tries)]
    assert (pair.client.children[0].spi_in != before) is used
    assert told(pair, Quirk.NO_PFS).used is used
    assert "NO_PROPOSAL_CHOSEN" in told(pair, Quirk.NO_PFS).evidence
    if used:
        assert rekeyed(pair) == [False], "what was learnt holds"


@USED
def test_a_gateway_of_microsoft_is_not_asked_for_a_key_exchange(used: bool) -> None:
    offer = parse_offer(ProtocolId.ESP, ("aes256gcm16-x25519", "aes256gcm16"))
    client = switched(replace(client_config(), esp_offer=offer), Quirk.NO_PFS, used=used)
    pair = Pair(client, gateway(replace(gateway_config(), esp_offer=offer), opening=(WINDOWS,)))
    assert pair.connect()
    assert rekeyed(pair) == [not used]
    assert told(pair, Quirk.NO_PFS).evidence.startswith("vendor ID 1e2b5169")


def test_a_gateway_of_microsoft_that_wants_a_key_exchange_gets_it_at_the_second_try() -> None:
    pair = Pair(
        replace(client_config(), esp_offer=GROUPS),
        gateway(replace(gateway_config(), esp_offer=GROUPS), opening=(WINDOWS,)),
    )
    assert pair.connect()
    before = pair.client.children[0].spi_in
    assert rekeyed(pair) == [False, True]
    assert pair.client.children[0].spi_in != before


def test_an_error_of_windows_is_a_refusal_of_the_key_exchange_too() -> None:
    pair = Pair(replace(client_config(), esp_offer=GROUPS))
    assert pair.connect()
    pair.client.rekey_child(pair.now)
    pair.drain()
    assert pair.client._core.current is not None
    (again,) = refuse(scene(pair, pair.client._core.current), NotifyType.MS_STATUS, (13816).to_bytes(4))
    assert again.exchange == ExchangeType.CREATE_CHILD_SA
    assert kinds(again.payloads, KeyExchange) == 0
    pair.drain()
    assert "13816" in told(pair, Quirk.NO_PFS).evidence


@pytest.mark.parametrize("vendors", [(), (WINDOWS,)], ids=["refused", "Microsoft"])
def test_a_profile_that_requires_a_key_exchange_never_goes_without(vendors: tuple[VendorId, ...]) -> None:
    client = replace(client_config(), esp_offer=GROUPS, requires_pfs=True)
    pair = Pair(client, gateway(replace(gateway_config(), esp_offer=BARE), opening=vendors))
    assert pair.connect()
    assert rekeyed(pair)
    assert all(rekeyed(pair))
    assert not any(isinstance(event, QuirkSeen) for event in pair.client_events)


# new_login


@USED
@pytest.mark.parametrize("what", ["child", "ike"])
def test_a_gateway_that_replaces_no_keys_is_logged_in_to_anew(what: str, used: bool) -> None:
    pair = Pair(switched(client_config(), Quirk.NEW_LOGIN, used=used))
    assert pair.connect()
    (pair.client.rekey_child if what == "child" else pair.client.rekey_ike)(pair.now)
    pair.drain()
    assert pair.client._core.current is not None
    refuse(scene(pair, pair.client._core.current), NotifyType.NO_ADDITIONAL_SAS)
    pair.drain()
    assert (LoginWanted() in pair.client_events) is used
    assert pair.client.state is SessionState.ESTABLISHED, "it carries on until the new one stands"
    assert told(pair, Quirk.NEW_LOGIN).used is used


# one_family


@USED
def test_ipv4_alone_is_asked_for_after_a_refusal_of_both(used: bool) -> None:
    client = switched(client_config(), Quirk.ONE_FAMILY, used=used)
    pair = Pair(client, gateway(one_family=True))
    assert not pair.connect()
    assert pair.closed is not None
    closed = pair.closed.failure
    assert closed.kind is Kind.ADDRESS_NONE
    assert ("asks for IPv4 alone" in closed.evidence) is used
    assert told(pair, Quirk.ONE_FAMILY).used is used
    pair.client_events.clear()
    pair.new_client()
    assert pair.connect() is used
    if used:
        (standing,) = [event for event in pair.client_events if isinstance(event, Established)]
        assert {entry.version for entry in standing.assigned.addresses} == {4}
        assert {s.first.version for s in pair.client.children[0].local_selectors} == {4}
        assert told(pair, Quirk.ONE_FAMILY).used


def test_who_asks_for_one_family_already_has_nothing_less_to_ask_for() -> None:
    alone = replace(client_config(), request_ipv6=False)
    refusal = gateway(login_refusal=Notify(NotifyType.INTERNAL_ADDRESS_FAILURE))
    pair = Pair(alone, refusal)
    assert not pair.connect()
    assert not any(isinstance(event, QuirkSeen) for event in pair.client_events)


# pss_trailer


class TrailerSigner(KeySigner):
    """Signs as FortiGate does: RSA-PSS whose AlgorithmIdentifier spells the trailer out."""

    def sign(
        self, octets: bytes, peer_hashes: frozenset[int], announced: Announced | None = None
    ) -> Authentication:
        made = super().sign(octets, peer_hashes, announced)
        signature = made.data[1 + made.data[0] :]
        identifier = bytes.fromhex(PSS_SHA256_TRAILER)
        return replace(made, data=bytes([len(identifier)]) + identifier + signature)


@USED
def test_a_signature_that_names_its_trailer_is_accepted(used: bool) -> None:
    issued = AUTHORITY.issue("CN=vpn.example.com", dns=["vpn.example.com"], server=True, key="rsa", **VALID)
    config = replace(BY_CERT, chain=issued.chain, signer=TrailerSigner(issued.key))
    pair = Pair(switched(cert_client(), Quirk.PSS_TRAILER, used=used), config)
    assert pair.connect() is used
    assert told(pair, Quirk.PSS_TRAILER).used is used
    if not used:
        assert pair.closed is not None
        assert pair.closed.failure.kind is Kind.TRUST_WEAK


# dns_prefix


@USED
def test_a_name_server_with_a_prefix_length_is_accepted(used: bool) -> None:
    server = Attribute(CfgAttribute.INTERNAL_IP6_DNS, bytes.fromhex("fd77" + 13 * "00" + "53") + bytes([64]))
    pair = Pair(switched(client_config(), Quirk.DNS_PREFIX, used=used), gateway(assigned=(server,)))
    assert pair.connect()
    (standing,) = [event for event in pair.client_events if isinstance(event, Established)]
    assert ("fd77::53" in map(str, standing.assigned.dns)) is used
    assert bool(standing.assigned.ignored) is not used
    assert told(pair, Quirk.DNS_PREFIX).used is used


# All of them


def test_a_plain_gateway_is_treated_plainly() -> None:
    pair = Pair(cert_client(), BY_CERT)
    assert pair.connect()
    pair.client.rekey_child(pair.now)
    pair.run(30)
    assert not any(isinstance(event, QuirkSeen | LoginWanted | Closed) for event in pair.client_events)


def test_a_vendor_id_is_known_by_its_beginning() -> None:
    assert microsoft_vendor([b"other", WINDOWS.data]) == WINDOWS.data.hex()
    assert microsoft_vendor([b"other"]) == microsoft_vendor([]) == ""
