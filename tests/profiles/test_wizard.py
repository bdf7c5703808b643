"""A new profile from a few answers: it can be used as it stands, and says in comments what else could be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from profiles.errors import ProfileError
from profiles.presets import PRESETS
from profiles.wizard import Answers, likely_login, make, name_for

BUNDLE = (Path(__file__).parent / "containers" / "modern.p12").read_bytes()
AUTHORITY = (Path(__file__).parent / "containers" / "above.pem").read_bytes()
FOUND = """
schema = 1
id = "vpn"
preset = "fortigate" # Fortinet FortiGate
[gateway]
addresses = ["vpn.example.com"]
port = 4500
[identity]
remote = "gateway.example.com"
[[auth.local]]
method = "eap"
identity = "YOUR-USER-NAME"
eap_methods = ["ttls"]
[trust]
system_store = true
"""


def test_server_and_user_are_enough() -> None:
    made = make(Answers("vpn.example.com", user="alice"))
    assert made.profile.id == "example"
    assert made.profile.auth.local[0].identity == "alice"
    assert made.profile.auth.local[0].secret == "keyring:example"
    assert made.profile.trust.system_store
    assert made.profile.routing.mode == "full"
    assert "# asked for once" in made.text
    assert made.files == {}


def test_what_was_found_counts_and_what_was_said_wins() -> None:
    made = make(Answers("vpn.example.com", "work", "alice", found=FOUND, networks=["10.0.0.0/8"]))
    profile = made.profile
    assert (profile.id, profile.preset, profile.gateway.port) == ("work", "fortigate", 4500)
    assert profile.auth.local[0].eap_methods == ("ttls",)
    assert profile.auth.local[0].identity == "alice"
    assert profile.identity.remote is not None
    assert profile.identity.remote.value == "gateway.example.com"
    assert [str(network) for network in profile.routing.include] == ["10.0.0.0/8"]
    assert make(Answers("a.example", user="a", found=FOUND, preset="mikrotik")).profile.preset == "mikrotik"
    assert make(Answers("a.example", user="a", found=FOUND, preset="none")).profile.preset is None


def test_azure_is_known_by_its_name() -> None:
    made = make(Answers("azuregateway-1-2.vpn.azure.com", login="cert", certificate=BUNDLE))
    assert made.profile.preset == "azure-p2s"
    assert PRESETS["azure-p2s"].title in made.text


def test_a_bundle_becomes_a_file_beside_the_profile_with_its_passphrase_in_the_keyring() -> None:
    made = make(Answers("vpn.example.com", "work", login="cert", certificate=BUNDLE, trust=AUTHORITY))
    assert made.files == {"work-client.p12": BUNDLE, "work-ca.pem": AUTHORITY}
    assert made.profile.auth.local[0].secret == "keyring:work/passphrase"
    assert made.profile.trust.ca == ("file:work-ca.pem",)
    assert not made.profile.trust.system_store


def test_a_key_that_the_person_compares_is_asked_for_at_the_first_connection() -> None:
    assert make(Answers("vpn.example.com", user="a", trust="ask")).profile.trust.pin == ("ask",)


def test_a_shared_key_needs_nobody_who_vouches() -> None:
    made = make(Answers("192.0.2.1", "site", "198.51.100.1", "psk", "aws", addresses=["169.254.9.2/30"]))
    assert made.profile.auth.proof == "psk"
    assert not made.profile.trust.system_store
    assert made.profile.crypto.pfs == "require"


def test_a_password_behind_a_shared_key_is_what_gateways_of_fortinet_want() -> None:
    made = make(Answers("vpn.example.com", "work", "alice", preset="fortigate", shared_key=True))
    assert made.profile.auth.proof == "psk"
    assert made.profile.auth.local[0].method == "eap"
    assert made.profile.auth.remote.secret == "keyring:work/psk"
    assert not made.profile.trust.system_store
    found = FOUND.replace("[trust]\nsystem_store = true", '[auth.remote]\nmethod = "psk"')
    assert make(Answers("vpn.example.com", user="alice", found=found)).profile.auth.proof == "psk"


@pytest.mark.parametrize(("method", "login"), [("eap", "password"), ("cert", "cert"), ("psk", "psk")])
def test_the_likely_login_is_what_the_gateway_asked_for(method: str, login: str) -> None:
    assert likely_login(FOUND.replace('method = "eap"', f'method = "{method}"')) == login
    assert likely_login("") == "password"


@pytest.mark.parametrize(
    ("answers", "path"),
    [
        ({"server": "two words"}, "server"),
        ({"server": ""}, "server"),
        ({"server": "a.example"}, "user"),
        ({"server": "a.example", "login": "psk"}, "user"),
        ({"server": "a.example", "login": "cert"}, "certificate"),
        ({"server": "a.example", "login": "cert", "certificate": AUTHORITY}, "certificate"),
        ({"server": "a.example", "user": "a", "trust": b"no"}, "ca"),
        ({"server": "a.example", "user": "a", "name": "two words"}, "id"),
        ({"server": "a.example", "user": "a", "preset": "azur"}, "preset"),
        ({"server": "a.example", "user": "a", "preset": "aws"}, "address.static"),
        ({"server": "a.example", "user": "a", "networks": ["10.0.0.1/8"]}, "routing.include[0]"),
    ],
)
def test_an_answer_that_cannot_be_is_named(answers: dict[str, Any], path: str) -> None:
    with pytest.raises(ProfileError) as caught:
        make(Answers(**answers))
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ("vpn.example.com", "example"),
        ("work.example.com", "work"),
        ("192.0.2.7", "192.0.2.7"),
        ("vpn", "vpn"),
        ("2001:db8::1", "2001-db8-1"),
    ],
)
def test_the_name_comes_from_the_server(server: str, name: str) -> None:
    assert name_for(server) == name
