"""Peculiarities of gateways: each with its evidence, what Roam does about it, and the setting for it."""

from __future__ import annotations

import importlib.util
from dataclasses import fields, replace
from hashlib import md5
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from client.config import Material, session_config
from client.control.evidence import AttemptRecord, Evidence, QuirkRecord
from client.explain.quirks import (
    ADAPTATIONS,
    BY_NAME,
    PECULIARITIES,
    VENDORS,
    Adaptation,
    quirks,
    vendor_of,
)
from client.ike.identity import Identity
from client.ike.payloads import VendorId
from client.ike.quirks import MICROSOFT, Quirk, QuirkSwitches
from client.ike.registry import Kex
from client.lab.responder import GatewayConfig
from profiles.errors import ProfileError
from profiles.model import Quirks
from profiles.presets import PRESETS, for_gateway
from profiles.store import load_text
from tests.explain.breaking import personality
from tests.explain.broken import standing
from tests.ike.failing_logins import BY_EAP
from tests.pair import eap_client

ROOT = Path(__file__).resolve().parents[2]
FORTIGATE = VendorId(bytes.fromhex("8299031757a36082c6a621de00000000"))
WINDOWS = VendorId(bytes.fromhex("1e2b516905991c7d7c96fcbfb587e46100000009"))
CISCO = VendorId(b"CISCO-DELETE-REASON")


def script() -> Any:  # noqa: ANN401 - a module
    """packaging/dev/describe_quirks.py: `packaging` is no package."""
    spec = importlib.util.spec_from_file_location(
        "describe_quirks", ROOT / "packaging" / "dev" / "describe_quirks.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


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
        ({"opening": (WINDOWS,)}, "maker known", "(Microsoft Windows)"),
        ({"opening": (FORTIGATE,)}, "maker known", "(Fortinet FortiGate)"),
        ({"opening": (CISCO,)}, "maker known", "(Cisco)"),
        ({"fragmentation": False}, "no IKE fragmentation", "no IKEV2_FRAGMENTATION_SUPPORTED"),
        ({"mobike": False}, "no MOBIKE", "no MOBIKE_SUPPORTED"),
    ],
    ids=["Windows", "FortiGate", "Cisco", "fragmentation", "MOBIKE"],
)
def test_each_shows_by_what_the_gateway_sends(changes: dict[str, object], name: str, words: str) -> None:
    found = seen(personality(BY_EAP, **changes))
    assert words in found[name]
    assert len(found) == 1


def test_a_gateway_that_calls_itself_by_its_certificate_is_noticed() -> None:
    found = seen(replace(BY_EAP, identity=Identity.parse("CN=vpn.example.com")))
    assert "CN=vpn.example.com" in found["distinguished name"]


def test_what_the_engine_adapts_to_is_recorded_and_told() -> None:
    pair = standing(eap_client(), personality(BY_EAP, group=Kex.MODP_2048))
    pair.new_client()
    pair._told = len(pair.client_events)
    assert pair.connect()
    (told,) = quirks(pair.evidence(state="up"))
    assert told.quirk.name == "first_group"
    assert 'first_group = "off" in [quirks]' in str(told)
    assert "Roam begins with" in str(told)


def test_what_is_switched_off_is_told_as_that() -> None:
    record = QuirkRecord("no_pfs", "NO_PROPOSAL_CHOSEN when asked", used=False)
    (told,) = quirks(Evidence(attempts=(AttemptRecord(1.0, quirks=(record,)),)))
    assert str(told).startswith("no_pfs: switched off, ")
    assert "NO_PROPOSAL_CHOSEN when asked" in str(told)


def test_a_quirk_of_a_later_version_is_passed_over() -> None:
    record = QuirkRecord("not_yet_known", "something")
    assert quirks(Evidence(attempts=(AttemptRecord(1.0, quirks=(record,)),))) == ()


def test_engine_profile_and_table_have_the_same_names() -> None:
    names = [row.name for row in ADAPTATIONS]
    assert names == list(Quirk)
    assert names == [entry.name for entry in fields(Quirks)]


@pytest.mark.parametrize("row", ADAPTATIONS, ids=lambda row: row.name)
def test_every_adaptation_says_what_shows_it_where_from_and_what_is_without(row: Adaptation) -> None:
    assert row.does
    assert row.shows
    assert row.who
    assert row.without
    assert "RFC" in row.reference
    assert BY_NAME[row.name] is row
    assert {"auto", "off"} <= set(get_args(get_type_hints(Quirks)[row.name]))


def test_every_peculiarity_says_what_follows_and_which_setting_decides() -> None:
    assert all(row.name and row.means and row.switch for row in PECULIARITIES)


def test_a_vendor_is_known_by_the_beginning_of_its_id() -> None:
    assert vendor_of(["00", WINDOWS.data.hex()]) == ("Microsoft Windows", WINDOWS.data.hex())
    assert vendor_of(["00"]) == vendor_of([]) == ("", "")


def test_vendor_ids_that_are_digests_are_those_of_their_words() -> None:
    """Where a maker's ID is the MD5 of a text, or the text itself, anybody can check it."""
    for vendor in VENDORS:
        text = vendor.source.partition('"')[2].partition('"')[0].encode()
        if vendor.source.startswith("MD5 of"):
            assert vendor.prefix == md5(text, usedforsecurity=False).hexdigest()
        elif vendor.source.startswith('"'):
            assert bytes.fromhex(vendor.prefix) == text


def test_the_engine_knows_microsoft_by_the_same_octets() -> None:
    known = {vendor.prefix for vendor in VENDORS if vendor.name.startswith("Microsoft")}
    assert known == {prefix.hex() for prefix in MICROSOFT}


def test_presets_name_vendors_that_are_recognised() -> None:
    known = {vendor.name for vendor in VENDORS}
    assert {vendor for preset in PRESETS.values() for vendor in preset.vendors} <= known
    preset = for_gateway("Fortinet FortiGate")
    assert preset is not None
    assert preset.name == "fortigate"


PROFILE = """\
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "psk"
identity = "alice@example.com"
secret = "file:psk"
"""


@pytest.mark.parametrize("quirk", Quirk)
def test_a_profile_switches_each_off(quirk: Quirk) -> None:
    profile = load_text(f'{PROFILE}[quirks]\n{quirk} = "off"\n')
    config = session_config(profile, Material({}, {"file:psk": b"secret"}))  # type: ignore[dict-item]
    assert config.quirks == QuirkSwitches(off=frozenset({quirk}))


def test_a_profile_that_says_nothing_leaves_them_to_roam() -> None:
    config = session_config(load_text(PROFILE), Material({}, {"file:psk": b"secret"}))  # type: ignore[dict-item]
    assert config.quirks == QuirkSwitches()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('smal_login = "off"', "small_login"),
        ('small_login = "of"', "off"),
        ('no_pfs = "on"', "none of auto, off"),
        ("no_pfs = false", "none of auto, off"),
    ],
)
def test_a_misspelt_switch_is_an_error_with_the_nearest_one(line: str, words: str) -> None:
    with pytest.raises(ProfileError) as raised:
        load_text(f"{PROFILE}[quirks]\n{line}\n")
    assert words in f"{raised.value} {raised.value.hint}"
    assert "quirks." in str(raised.value)


def test_the_page_is_up_to_date() -> None:
    """If not: python packaging/dev/describe_quirks.py"""
    module = script()
    assert module.PAGE.read_text() == module.page()
