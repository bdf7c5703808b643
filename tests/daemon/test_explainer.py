"""`explain` and `probe` over real tunnels: who may ask about what, and what the daemon answers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from client.control.evidence import Explanation
from client.control.handlers import Access, Caller
from client.control.messages import ControlError, Down, Named
from client.control.probing import Probe as ProbeRequest
from client.control.probing import Probed
from client.daemon.explainer import address_found
from client.daemon.suggestion import suggested
from client.ike.payloads import VendorId
from client.ike.probing import Probe
from client.ike.proposals import parse_offer
from client.ike.registry import ProtocolId
from client.lab.responder import GatewayConfig
from client.tunnel.model import Underlay
from profiles.store import load_text
from tests.daemon.test_handlers import ALICE, BOB, UP, Office, play
from tests.explain.breaking import BY_GTC, personality
from tests.explain.broken import Fate, Watched, blocked
from tests.explain.broken import play as play_probe
from tests.ike.failing_logins import BY_EAP
from tests.pair import gateway_config, path_from
from tests.rng import SeededRng

ROOT = Caller(0, Access.ADMIN)
HERE = Underlay("wifi0", ip_address("192.168.1.10"), ip_address("192.0.2.1"))


async def explanation(office: Office, caller: Caller, name: str | None) -> Explanation:
    result = await office.handlers.actions["explain"](caller, Named(name))
    assert isinstance(result, Explanation)
    return result


def test_a_tunnel_is_explained_while_it_stands_and_after_it_has_gone(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        await asyncio.sleep(1)  # until it is known what the path carries
        assert (await explanation(office, ALICE, None)).verdict.cause == "working"
        await office.handlers.down(ALICE, Down("office"))
        after = await explanation(office, ALICE, None)
        assert (after.evidence.name, after.evidence.version) == ("office", "0.1")
        assert after == await explanation(office, ALICE, "office")
        assert after.verdict.cause == "user.down"

    play(tmp_path, scene)


async def only_root_hears(office: Office) -> None:
    for name in ("office", None):
        with pytest.raises(ControlError):
            await explanation(office, BOB, name)
    assert (await explanation(office, ROOT, "office")).evidence.attempts


def test_nobody_hears_why_another_persons_tunnel_failed_but_root(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        await only_root_hears(office)
        await office.handlers.down(ALICE, Down("office"))
        await only_root_hears(office)

    play(tmp_path, scene)


def test_without_any_tunnel_there_is_nothing_to_explain(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        with pytest.raises(ControlError) as refused:
            await explanation(office, ALICE, None)
        assert refused.value.kind == "tunnel.unknown"

    play(tmp_path, scene)


def test_what_was_noted_is_written_down(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        for task in tuple(office.tunnels._noting.values()):
            await asyncio.wait_for(task, 5)
        assert not office.tunnels._noting

    play(tmp_path, scene)


def seen(gateway: GatewayConfig, fate: Fate | None = None, host: str = "vpn.example.com") -> Probed:
    """A gateway as a probe shows it, with what is suggested."""
    pair = Watched(gateway=gateway)
    pair.fate = fate or pair.fate
    probe = Probe(path_from("192.168.1.10"), SeededRng(1, "probe"), pair.now, host=host)
    play_probe(probe, pair)
    return suggested(Probed(host, addresses=(address_found(HERE, probe.findings),)))


def test_a_suggested_profile_reads_and_asks_as_the_gateway_does() -> None:
    found = seen(BY_GTC)
    profile = load_text(found.profile)
    assert profile.gateway.addresses == ("vpn.example.com",)
    assert (profile.auth.local[0].method, profile.auth.local[0].eap_methods) == ("eap", ("gtc",))
    assert profile.trust.system_store
    assert "CN=Test Root" in found.profile
    assert profile.crypto.ike == (), "it takes what is offered without a word"


def test_what_is_not_offered_unasked_is_suggested() -> None:
    found = seen(replace(BY_EAP, ike_offer=parse_offer(ProtocolId.IKE, ("aes256-sha256-modp4096-ecp521",))))
    (proposal,) = load_text(found.profile).crypto.ike
    assert set(proposal.split("-")) == {"aes256", "sha256", "modp4096", "ecp521"}


def test_a_gateway_that_shows_nothing_is_taken_for_one_by_pre_shared_key() -> None:
    found = seen(gateway_config())
    profile = load_text(found.profile)
    assert profile.auth.local[0].method == "psk"
    assert any("pre-shared key" in note for note in found.notes)


def test_a_closed_port_500_becomes_port_4500_in_the_profile() -> None:
    found = seen(BY_EAP, blocked(500))
    assert load_text(found.profile).gateway.port == 4500
    assert any("udp 500 does not answer" in note for note in found.notes)


def test_a_gateway_called_by_another_name_is_expected_by_its_own() -> None:
    profile = load_text(seen(BY_EAP, host="work.example.com").profile)
    assert profile.identity.remote is not None
    assert profile.identity.remote.value == "vpn.example.com"


def test_a_maker_that_is_recognised_gives_its_preset() -> None:
    windows = VendorId(bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009"))
    found = seen(personality(BY_EAP, opening=(windows,)))
    assert found.addresses[0].vendor == "Microsoft Windows"
    assert found.preset == "windows-rras"
    assert load_text(found.profile).preset == "windows-rras"


def test_weak_algorithms_alone_are_suggested_with_a_warning() -> None:
    offer = parse_offer(ProtocolId.IKE, ("aes128-sha1-modp2048",), allow_legacy=True)
    found = seen(replace(BY_EAP, ike_offer=offer))
    assert load_text(found.profile).crypto.allow_legacy
    assert any("SHA-1" in note for note in found.notes)


def test_weak_groups_alone_are_suggested_with_a_warning() -> None:
    offer = parse_offer(ProtocolId.IKE, ("aes256-sha256-modp1024",), allow_legacy=True)
    found = seen(replace(BY_EAP, ike_offer=offer))
    crypto = load_text(found.profile).crypto
    assert crypto.allow_legacy
    assert crypto.ike == ("aes256-sha256-modp1024",)
    assert any("groups below 14" in note for note in found.notes)


def test_a_maker_with_weak_groups_alone_gives_its_preset_with_permission() -> None:
    windows = VendorId(bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009"))
    offer = parse_offer(ProtocolId.IKE, ("aes256-sha1-modp1024",), allow_legacy=True)
    found = seen(replace(personality(BY_EAP, opening=(windows,)), ike_offer=offer))
    assert found.preset == "windows-rras"
    assert "modp1024" in "-".join(load_text(found.profile).crypto.ike)


def test_where_nothing_answers_there_is_no_profile() -> None:
    found = seen(BY_EAP, blocked(500, 4500))
    assert found.profile == ""
    assert any("nothing answers" in note for note in found.notes)


def test_a_name_without_an_address_says_so(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        result = await office.handlers.actions["probe"](ALICE, ProbeRequest("nowhere.example.com"))
        assert isinstance(result, Probed)
        assert "nowhere.example.com" in result.problem
        assert result.profile == ""

    play(tmp_path, scene)
