"""Profiles written and edited: what a person wrote beside the values stays."""

from __future__ import annotations

import pytest

from profiles.errors import ProfileError
from profiles.store import load_text
from profiles.writing import compose, edited, table_of

TEXT = """\
# the office, since the move
schema = 1
id = "office"   # as in the file's name

[gateway]
addresses = ["vpn.example.com"]

# two rounds: certificate, then password
[[auth.local]]
method = "cert"
cert = "file:me.pem"
[[auth.local]]
method = "eap"
identity = "alice"
secret = "keyring:office"  # kept by the desktop

[trust]
system_store = true

[routing]
mode = "split"
include = [
    "10.0.0.0/8",      # head office
    "192.0.2.0/24",
]
"""


def test_a_change_touches_its_own_line_alone() -> None:
    after = edited(
        TEXT, {"auth.local[1].secret": "ask:", "routing.mtu": 1400, "dns.search": ["corp.example.com"]}
    )
    lines = after.splitlines()
    gone = [line for line in TEXT.splitlines() if line not in lines]
    assert gone == ['secret = "keyring:office"  # kept by the desktop']
    assert 'secret = "ask:"  # kept by the desktop' in lines
    assert "mtu = 1400" in lines
    assert load_text(after).dns.search == ("corp.example.com",)


def test_a_key_is_removed_with_none() -> None:
    after = edited(TEXT, {"routing.include": None, "routing.mode": "full"})
    assert "include" not in after
    assert "# the office, since the move" in after


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("routing.mtv", 1400),
        ("routing.mtu", "large"),
        ("auth.local[2].secret", "ask:"),
        ("auth.local.secret", "ask:"),
        ("id.x", "y"),
        ("gateway.addresses", None),
        ("Routing", 1),
    ],
)
def test_a_change_that_makes_no_profile_is_refused(path: str, value: object) -> None:
    with pytest.raises(ProfileError):
        edited(TEXT, {path: value})


def test_what_is_composed_reads_the_same() -> None:
    profile = load_text(TEXT)
    table = table_of(profile)
    assert table["routing"] == {"mode": "split", "include": ["10.0.0.0/8", "192.0.2.0/24"]}
    text = compose({"schema": 1, **table}, {"routing.mode": "the office alone"}, ["made by a test"])
    assert load_text(text) == profile
    assert 'mode = "split" # the office alone' in text
    assert text.startswith("# made by a test\nschema = 1\n")


def test_values_that_need_care_in_toml_come_back() -> None:
    table = table_of(load_text(TEXT))
    table["name"] = 'quotes " and \\ and\u2028 ünïcödé #'
    table["auth"]["local"][1]["identity"] = "DOMAIN\\alice"
    profile = load_text(compose({"schema": 1, **table}, {}, []))
    assert profile.name == table["name"]
    assert profile.auth.local[1].identity == "DOMAIN\\alice"
