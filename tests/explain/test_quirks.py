"""Peculiarities of gateways, recognised by what they send; each with its evidence and the setting for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from client.control.evidence import Evidence
from client.explain.quirks import QUIRKS, VENDORS, quirks, vendor_of
from client.ike.identity import Identity
from client.ike.payloads import VendorId
from client.ike.registry import Kex
from client.lab.responder import GatewayConfig
from profiles.presets import PRESETS, for_gateway
from tests.explain.breaking import personality
from tests.explain.broken import standing
from tests.ike.failing_logins import BY_EAP
from tests.pair import eap_client

FORTIGATE = VendorId(bytes.fromhex("8299031757a36082c6a621de00000000"))
WINDOWS = VendorId(bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009"))
CISCO = VendorId(b"CISCO-DELETE-REASON")


def seen(gateway: GatewayConfig) -> dict[str, str]:
    """The peculiarities of a gateway that we have connected to, with their evidence."""
    evidence = standing(eap_client(), gateway).evidence(state="up")
    return {entry.quirk.name: entry.evidence for entry in quirks(evidence)}


def test_a_plain_gateway_has_none() -> None:
    assert seen(BY_EAP) == {}
    assert quirks(Evidence()) == ()


@pytest.mark.parametrize(
    ("changes", "name", "words"),
    [
        ({"opening": (WINDOWS,)}, "Windows or Azure", "vendor ID 1e2b5169"),
        ({"opening": (FORTIGATE,)}, "FortiGate", "vendor ID 82990317"),
        ({"opening": (CISCO,)}, "Cisco", "vendor ID 434953434f"),
        ({"group": Kex.MODP_2048}, "group first", "INVALID_KE_PAYLOAD asking for modp2048"),
        ({"fragmentation": False}, "no IKE fragmentation", "no IKEV2_FRAGMENTATION_SUPPORTED"),
        ({"mobike": False}, "no MOBIKE", "no MOBIKE_SUPPORTED"),
    ],
    ids=["Windows", "FortiGate", "Cisco", "group", "fragmentation", "MOBIKE"],
)
def test_each_shows_by_what_the_gateway_sends(changes: dict[str, object], name: str, words: str) -> None:
    found = seen(personality(BY_EAP, **changes))
    assert words in found[name]
    assert len(found) == 1


def test_a_gateway_that_calls_itself_by_its_certificate_is_noticed() -> None:
    found = seen(replace(BY_EAP, identity=Identity.parse("CN=vpn.example.com")))
    assert "CN=vpn.example.com" in found["distinguished name"]


def test_every_row_says_what_follows_and_which_setting_decides() -> None:
    for row in QUIRKS:
        assert row.name
        assert row.means
        assert row.switch


def test_a_vendor_is_known_by_the_beginning_of_its_id() -> None:
    assert vendor_of(["00", WINDOWS.data.hex()]) == ("Microsoft Windows", WINDOWS.data.hex())
    assert vendor_of(["00"]) == vendor_of([]) == ("", "")


def test_presets_name_vendors_that_are_recognised() -> None:
    known = {name for _, name in VENDORS}
    assert {vendor for preset in PRESETS.values() for vendor in preset.vendors} <= known
    preset = for_gateway("Fortinet FortiGate")
    assert preset is not None
    assert preset.name == "fortigate"
