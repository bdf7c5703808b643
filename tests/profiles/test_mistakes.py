"""What people get wrong in their first profile: each message names the key, and the hint what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from profiles.errors import ProfileError
from profiles.references import files_of, parse, read_file, read_secret
from profiles.store import load_text

GOOD = """\
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[identity]
local = { type = "email", value = "alice@example.com" }
[[auth.local]]
method = "eap"
identity = "alice"
secret = "keyring:office"
[trust]
ca = ["file:ca.pem"]
[routing]
mode = "split"
include = ["10.77.0.0/24"]
"""

MISTAKES = [
    ("schema = 1\n", "", "schema: is missing", "Write schema = 1: version of this format."),
    ("schema = 1", "schema = 2", "schema: version 2 is newer", "Update Roam."),
    ('id = "office"\n', "", "id: is missing", 'Write id = "office": '),
    ("[gateway]", "[gatway]", "gatway: unknown key", '"gateway"'),
    ('addresses = ["vpn', 'adresses = ["vpn', "gateway.adresses: unknown key", '"addresses"'),
    ('["vpn.example.com"]', '"vpn.example.com"', "gateway.addresses: is no list", "in brackets"),
    ('"email"', '"mail"', 'identity.local.type: "mail" is none of', '"email"'),
    ("[[auth.local]]", "[auth.local]", "auth.local: is no list", "Write [[auth.local]], in two brackets."),
    ('method = "eap"\n', "", "auth.local[0].method: is missing", 'Write method = "eap": '),
    ('"eap"', '"epa"', 'auth.local[0].method: "epa" is none of psk, cert, eap', '"eap"'),
    ('"keyring:office"', '"hunter2"', "auth.local[0].secret: is no reference", ""),
    ('"keyring:office"', '"keyrign:office"', "auth.local[0].secret: ", '"keyring"'),
    ('ca = ["file:ca.pem"]\n', "", "trust: nobody may vouch", "system_store = true"),
    ('"split"', '"splt"', 'routing.mode: "splt" is none of', '"split"'),
    ("include", "inclde", "routing.inclde: unknown key", '"include"'),
    ("10.77.0.0/24", "10.77.0.9/24", "routing.include[0]: ", ""),
    ('mode = "split"', 'mode = "full"', "routing.include: means nothing", 'mode = "split"'),
    ('mode = "split"', 'mode = "split"\nmtu = 100', "routing.mtu: 100 is not between 576 and 65535", ""),
]


@pytest.mark.parametrize(("right", "wrong", "words", "hint"), MISTAKES, ids=[row[2] for row in MISTAKES])
def test_a_mistake_names_its_key_and_what_to_write(right: str, wrong: str, words: str, hint: str) -> None:
    load_text(GOOD)
    assert right in GOOD
    with pytest.raises(ProfileError) as caught:
        load_text(GOOD.replace(right, wrong, 1), "office.toml")
    assert str(caught.value).startswith(f"office.toml: {words}")
    assert hint in caught.value.hint
    assert "hunter2" not in str(caught.value) + caught.value.hint


def test_a_file_that_is_not_there_is_named_with_its_path(tmp_path: Path) -> None:
    (certificate,) = files_of(load_text(GOOD))
    with pytest.raises(ProfileError, match=r"trust\.ca\[0\]: there is no .*/ca\.pem") as caught:
        read_file(certificate, tmp_path)
    assert caught.value.hint == "Put the file there, or correct the reference."
    with pytest.raises(ProfileError, match=r"auth\.local\[0\]\.secret: there is no .*/password"):
        read_secret(parse("file:password", "auth.local[0].secret"), tmp_path, {0})


def test_a_directory_in_the_place_of_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").mkdir()
    with pytest.raises(ProfileError, match=r"cannot read .* Is a directory"):
        read_file(files_of(load_text(GOOD))[0], tmp_path)
