"""A look at gateways of many personalities: what is found, how little is asked, and that no secret is near."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.ike.payloads import Notify, VendorId
from client.ike.probe_questions import Findings, Reply
from client.ike.probing import MOST_HALF_OPEN, MOST_QUESTIONS, Probe
from client.ike.proposals import parse_offer
from client.ike.registry import EapType, Kex, ProtocolId
from client.lab.responder import GatewayConfig
from tests.explain.breaking import BY_GTC, personality
from tests.explain.broken import Fate, Watched, blocked, play
from tests.ike.failing_logins import BY_EAP
from tests.pair import Flight, gateway_config, path_from
from tests.rng import SeededRng


def look(gateway: GatewayConfig | None = None, fate: Fate | None = None, host: str = "") -> Findings:
    """Probe a gateway until nothing is left to ask."""
    pair = Watched(gateway=gateway)
    pair.fate = fate or pair.fate
    probe = Probe(path_from("192.168.1.10"), SeededRng(1, "probe"), pair.now, host=host)
    play(probe, pair)
    assert probe.is_over
    return probe.findings


def offering(*words: str) -> GatewayConfig:
    return replace(BY_EAP, ike_offer=parse_offer(ProtocolId.IKE, words, allow_legacy=True))


def test_a_gateway_with_a_certificate_shows_itself() -> None:
    found = look(BY_EAP, host="vpn.example.com")
    assert found.ports == {"udp 500": Reply.GROUP, "udp 4500": Reply.GROUP}
    assert (found.cookie, found.fragmentation, found.hashes, found.redirect) == (False, True, True, "")
    shown = [entry for facts in found.login for entry in facts.certificates]
    assert [entry.subject for entry in shown] == ["CN=vpn.example.com"]
    assert [facts.eap for facts in found.login] == ["request Identity", "request EAP-MSCHAPv2"]
    assert found.nat is not None
    assert not found.nat.any


def test_groups_are_found_in_the_gateways_order_and_the_rest_is_refused() -> None:
    found = look(offering("aes256-sha256-ecp256-modp2048"))
    assert sorted(found.groups) == ["ecp256", "modp2048"]
    assert sorted(found.groups_refused) == ["ecp384", "ecp521", "modp3072", "modp4096", "x25519"]


@pytest.mark.parametrize("groups", [["modp1024"], ["modp1536"], ["modp1024", "modp1536"]])
def test_a_gateway_with_nothing_but_weak_groups_is_found_out(groups: list[str]) -> None:
    found = look(offering(f"aes256-sha1-{'-'.join(groups)}"))
    assert sorted(found.groups) == groups
    assert "modp2048" in found.groups_refused
    assert found.suites == ["aes256-sha1"]
    assert found.half_open < MOST_HALF_OPEN


def test_weak_groups_are_not_asked_for_where_there_are_better_ones() -> None:
    assert look(offering("aes256-sha256-modp2048-modp1024")).groups == ["modp2048"]


def test_suites_are_found_one_by_one() -> None:
    found = look(offering("aes256gcm16-prfsha384-ecp256", "aes128-sha1-ecp256"))
    assert found.suites == ["aes256gcm16-prfsha384", "aes128-sha1"]
    assert "aes256-sha256" in found.suites_refused


def test_the_first_method_of_eap_is_seen_and_not_answered() -> None:
    assert look(BY_GTC).login[-1].eap == "request EAP-GTC"


def test_a_gateway_by_pre_shared_key_says_no_more_than_that() -> None:
    found = look(gateway_config())
    assert [entry.name for facts in found.login for entry in facts.notifies] == ["AUTHENTICATION_FAILED"]


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"cookie": True}, "cookie", True),
        ({"fragmentation": False}, "fragmentation", False),
        (
            {"opening": (VendorId(bytes.fromhex("882fe56d6fd20dbc2251613b2ebe5beb")),)},
            "vendors",
            ["882fe56d6fd20dbc2251613b2ebe5beb"],
        ),
        ({"opening_refusal": Notify(16407, b"\x03\x0cvpn2.example")}, "redirect", "vpn2.example"),
        ({"only_version_1": True}, "is_old", True),
        ({"group": Kex.MODP_2048}, "groups", ["modp2048"]),
    ],
    ids=["cookie", "no fragmentation", "vendor", "redirect", "version 1", "one group"],
)
def test_peculiarities_are_found(changes: dict[str, object], field: str, value: object) -> None:
    assert getattr(look(personality(BY_EAP, **changes)), field) == value


def test_a_gateway_behind_a_closed_port_is_looked_at_over_the_other() -> None:
    found = look(BY_EAP, blocked(500))
    assert found.ports == {"udp 500": Reply.SILENT, "udp 4500": Reply.GROUP}
    assert found.groups
    assert found.login


def test_a_closed_port_for_the_login_keeps_the_rest_from_nothing() -> None:
    found = look(BY_EAP, blocked(4500))
    assert found.ports["udp 4500"] is Reply.SILENT
    assert len(found.groups) > 1


def test_silence_costs_no_more_than_the_ports() -> None:
    found = look(BY_EAP, blocked(500, 4500))
    assert found.questions == 2
    assert (found.groups, found.suites, found.login) == ([], [], [])


@pytest.mark.parametrize("name", ["everything", "nothing", "one"])
def test_no_gateway_is_asked_much(name: str) -> None:
    """Politeness: so many questions, so few half-open connections, and a pace between them."""
    words = {
        "everything": "aes256gcm16-aes128gcm16-chacha20poly1305-prfsha384-prfsha256-"
        "ecp521-modp4096-modp3072-ecp384-x25519-ecp256-modp2048",
        "nothing": "aes192-sha512-ecp521",
        "one": "aes256-sha256-modp2048",
    }[name]
    times: list[float] = []

    def watch(flight: Flight) -> tuple[Flight, ...]:
        if flight.to_gateway:
            times.append(flight.arrives)
        return (flight,)

    found = look(offering(words), watch)
    assert found.questions <= MOST_QUESTIONS
    assert found.half_open <= MOST_HALF_OPEN
    assert len(times) <= MOST_QUESTIONS + 2
    assert max(sum(start <= at < start + 1 for at in times) for start in times) <= 5


def test_nothing_that_a_network_sends_breaks_it() -> None:
    pair = Watched(gateway=BY_EAP)
    rng = SeededRng(3, "noise")
    probe = Probe(path_from("192.168.1.10"), SeededRng(1, "probe"), pair.now)

    def spoil(flight: Flight) -> tuple[Flight, ...]:
        if flight.to_gateway:
            return (flight,)
        position = int.from_bytes(rng(2)) % len(flight.data)
        data = flight.data[:position] + rng(1) + flight.data[position + 1 :]
        return (replace(flight, data=data), replace(flight, data=data[:position]), flight)

    pair.fate = spoil
    play(probe, pair)
    assert probe.is_over
    assert probe.findings.ports["udp 500"].is_answer


def test_ports_alone_can_be_asked() -> None:
    pair = Watched(gateway=BY_EAP)
    probe = Probe(path_from("192.168.1.10"), SeededRng(1, "probe"), pair.now, ports_only=True)
    play(probe, pair)
    assert probe.findings.questions == 2
    assert not probe.findings.groups


def test_what_is_sent_is_nobodys_name() -> None:
    methods = (EapType.MD5,)
    found = look(replace(BY_EAP, eap_methods=methods))
    assert found.login[-1].eap == "request EAP-MD5"
    assert "AUTHENTICATION_FAILED" not in [n.name for facts in found.login for n in facts.notifies]
