"""Presets: what is known of gateways, with the fact behind each value, and how a profile takes it up."""

from __future__ import annotations

import re

import pytest

from client.ike.proposals import parse_offer
from client.ike.registry import ProtocolId, TransformType
from client.ike.transforms import WORDS
from profiles.errors import ProfileError
from profiles.importers.algorithms import KNOWN
from profiles.presets import PRESETS, Preset, for_gateway
from profiles.provenance import origins
from profiles.store import load_text

PLAIN = """
schema = 1
id = "a"
{preset}
[gateway]
addresses = ["vpn.example.com"]
[identity]
local = "192.0.2.1"
[[auth.local]]
method = "psk"
{more}
"""
STATIC = '[address]\nstatic = ["169.254.10.2/30"]'
EVERY = pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS.keys())


def profile(preset: str, more: str = "") -> str:
    return PLAIN.format(preset=f'preset = "{preset}"', more=more)


@EVERY
def test_each_makes_a_profile_whose_proposals_the_engine_has(preset: Preset) -> None:
    found = load_text(profile(preset.name, STATIC if preset.needs else ""))
    assert found.preset == preset.name
    for protocol, words in ((ProtocolId.IKE, found.crypto.ike), (ProtocolId.ESP, found.crypto.esp)):
        offer = parse_offer(protocol, words)
        for proposal in offer.proposals:
            for kind in TransformType:
                assert len(proposal.ids(kind)) <= 8, "Microsoft reads some fifteen, and others fewer"


@EVERY
def test_each_value_has_a_fact_a_source_and_a_date(preset: Preset) -> None:
    assert preset.values
    for value in preset.values:
        assert value.fact.endswith(".")
        assert value.known in {"documented", "seen in logs", "general knowledge"}
        assert re.fullmatch(r"20\d\d-\d\d", value.date)


def test_what_the_profile_says_wins() -> None:
    found = load_text(profile("azure-p2s", '[routing]\nmtu = 1280\n[crypto]\npreset = "compatible"'))
    assert found.routing.mtu == 1280
    assert found.crypto.ike == ()
    assert found.crypto.pfs == "off"
    assert load_text(profile("azure-p2s", STATIC)).address.request is None


def test_each_value_is_told_with_its_origin() -> None:
    rows = {entry.path: entry for entry in origins(profile("mikrotik"))}
    assert rows["mobility.mobike"].source == "preset mikrotik"
    assert "general knowledge" in rows["mobility.mobike"].fact
    assert rows["identity.local"].source == "profile"
    assert rows["auth.local[0].method"].value == '"psk"'


def test_a_preset_that_needs_more_says_what_and_why() -> None:
    with pytest.raises(ProfileError) as caught:
        load_text(profile("aws"))
    assert caught.value.path == "address.static"
    assert "inside address" in caught.value.hint


def test_a_preset_that_nobody_knows_is_told_with_the_nearest() -> None:
    with pytest.raises(ProfileError) as caught:
        load_text(profile("azur-p2s"))
    assert str(caught.value) == 'preset: "azur-p2s" is no preset'
    assert "azure-p2s" in caught.value.hint


def test_the_two_kinds_of_preset_are_told_apart() -> None:
    with pytest.raises(ProfileError) as caught:
        load_text(profile("modern"))
    assert caught.value.hint == 'Write preset = "modern" under [crypto].'
    with pytest.raises(ProfileError) as caught:
        load_text(PLAIN.format(preset="", more='[crypto]\npreset = "azure-p2s"'))
    assert "at the top of the file" in caught.value.hint


def test_a_gateway_is_recognised_by_its_maker_or_its_name() -> None:
    for vendor, name in (
        ("Fortinet FortiGate", "fortigate"),
        ("Microsoft Windows", "windows-rras"),
        ("", None),
    ):
        found = for_gateway(vendor)
        assert (found.name if found else None) == name
    azure = for_gateway("Microsoft Windows", "azuregateway-1.vpn.azure.com")
    assert azure is PRESETS["azure-p2s"]
    assert for_gateway("strongSwan", "ch12.nordvpn.com") is PRESETS["nordvpn"]
    assert for_gateway("", "nordvpn.com.example.org") is None


def test_the_words_of_importers_are_those_of_the_engine() -> None:
    assert set(WORDS) >= KNOWN
