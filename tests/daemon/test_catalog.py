"""What the daemon tells of profiles: the system's by their names, any by its text, and presets."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest

from client.control.catalog import (
    LONGEST_PROFILE,
    PresetList,
    ProfileCheck,
    ProfileChecked,
    ProfileNamed,
    ProfileReference,
    ProfileText,
)
from client.control.handlers import Access, Caller
from client.control.messages import ControlError, Empty, ProfileList
from client.control.wire import read
from client.daemon.catalog import Catalog
from profiles.presets import PRESETS
from profiles.store import Store
from profiles.toml_text import SIZE_LIMIT

ALICE = Caller(1000, Access.CONTROL)
OFFICE = """\
schema = 1  # the password is on the note in the cellar
id = "office"
name = "The office"
preset = "fortigate"

[gateway]
addresses = ["vpn.example.com"]

[identity]
remote = "vpn.example.com"

[[auth.local]]
method = "eap"
identity = "alice"
secret = "ask:Code of the token"

[auth.remote]
method = "psk"
secret = "file:psk"

[routing]
mode = "split"
include = ["10.0.0.0/8"]
"""


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "office.toml").write_text(OFFICE)
    (tmp_path / "system" / "newer.toml").write_text("schema = 9")
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / "home.toml").write_text(OFFICE.replace("office", "home"))
    return Catalog(Store(tmp_path / "nobody", tmp_path / "system"))


def told(catalog: Catalog, name: str) -> ProfileText:
    return asyncio.run(catalog.profile(ALICE, ProfileNamed(name)))


def checked(catalog: Catalog, text: str) -> ProfileChecked:
    return asyncio.run(catalog.check(ALICE, ProfileCheck(text)))


def test_the_system_s_profiles_are_listed_with_what_is_wrong(catalog: Catalog) -> None:
    entries = asyncio.run(catalog.profiles(ALICE, Empty()))
    assert isinstance(entries, ProfileList)
    newer, office = entries.profiles
    assert (office.name, office.title, office.gateway, office.problem) == (
        "office",
        "The office",
        "vpn.example.com",
        "",
    )
    assert newer.name == "newer"
    assert "newer than this program" in newer.problem


@pytest.mark.parametrize("name", ["office", "system/office"])
def test_a_system_profile_is_told_without_comments_and_with_what_it_asks_of_its_user(
    catalog: Catalog, name: str
) -> None:
    answer = told(catalog, name)
    assert (answer.name, answer.title, answer.gateway) == ("office", "The office", "vpn.example.com")
    assert "cellar" not in answer.text
    assert tomllib.loads(answer.text) == tomllib.loads(OFFICE), "nothing else is lost"
    assert answer.secrets == (ProfileReference("auth.local[0].secret", "ask:Code of the token"),), (
        "the pre-shared key is read by the daemon itself"
    )
    sources = {value.path: value.source for value in answer.values}
    assert sources["routing.include"] == "profile"
    assert sources["crypto.ike"] == "preset fortigate"
    assert all(value.fact for value in answer.values if value.source.startswith("preset"))


@pytest.mark.parametrize(
    "name",
    ["offic", "../user/home", "../user/home.toml", "system/../user/home.toml", "/etc/passwd", "system/", ""],
)
def test_what_is_no_system_profile_is_not_looked_for_anywhere_else(
    catalog: Catalog, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # where "system/../user" leads somewhere
    with pytest.raises(ControlError) as refused:
        told(catalog, name)
    assert refused.value.kind == "profile.unknown"


def test_a_system_profile_that_cannot_be_used_is_refused_with_its_key(catalog: Catalog) -> None:
    with pytest.raises(ControlError) as refused:
        told(catalog, "newer")
    assert refused.value.kind == "profile.invalid"
    assert "schema" in refused.value.evidence


def test_a_right_text_is_told_with_what_belongs_to_it(catalog: Catalog) -> None:
    text = OFFICE.replace(
        '[auth.remote]\nmethod = "psk"\nsecret = "file:psk"\n', '[trust]\nca = ["file:ca.pem"]\n'
    )
    found = checked(catalog, text.replace('preset = "fortigate"\n', ""))
    assert found.problems == ()
    assert (found.name, found.title, found.gateway) == ("office", "The office", "vpn.example.com")
    assert found.files == (ProfileReference("trust.ca[0]", "file:ca.pem"),)
    assert [each.reference for each in found.secrets] == ["ask:Code of the token"]


def test_weak_algorithms_are_remarked(catalog: Catalog) -> None:
    weak = '[crypto]\nallow_legacy = true\nike = ["aes256-sha1-modp1024"]\n\n[routing]'
    (first, *_rest) = checked(catalog, OFFICE.replace("[routing]", weak)).remarks
    assert "MODP-1024" in first


def test_everything_that_does_not_fit_is_told_at_once_by_its_keys(catalog: Catalog) -> None:
    text = OFFICE.replace('id = "office"', 'id = "my office"').replace('"split"', '"full"')
    found = checked(catalog, text)
    assert [problem.path for problem in found.problems] == ["id", "routing.include"]
    assert all(problem.reason for problem in found.problems)
    assert found.values == ()


@pytest.mark.parametrize(
    ("text", "path", "reason"),
    [
        (OFFICE.replace("addresses", "adresses"), "gateway.adresses", "unknown key"),
        (OFFICE.replace('"split"', "7"), "routing.mode", ""),
        ("x = [", "", "is no TOML"),
        ("x = " + "[" * 100_000, "", "is nested too deeply"),
        ("", "schema", ""),
    ],
    ids=["unknown key", "wrong type", "no TOML", "a tower", "nothing"],
)
def test_what_keeps_a_text_from_being_understood_stands_alone(
    catalog: Catalog, text: str, path: str, reason: str
) -> None:
    (problem,) = checked(catalog, text).problems
    assert problem.path == path
    assert reason in problem.reason


def test_a_secret_in_the_wrong_place_is_not_repeated(catalog: Catalog) -> None:
    (problem,) = checked(catalog, OFFICE.replace("ask:Code of the token", "hunter2")).problems
    assert problem.path == "auth.local[0].secret"
    assert "hunter2" not in str(problem)


def test_a_text_larger_than_a_profile_s_file_may_be_is_not_looked_at() -> None:
    assert LONGEST_PROFILE == SIZE_LIMIT
    with pytest.raises(ControlError) as refused:
        read(ProfileCheck, {"profile": "#" * (LONGEST_PROFILE + 1)})
    assert refused.value.kind == "rpc.params"


def test_every_preset_is_told_with_its_facts(catalog: Catalog) -> None:
    answer = asyncio.run(catalog.presets(ALICE, Empty()))
    assert isinstance(answer, PresetList)
    assert [entry.name for entry in answer.presets] == list(PRESETS)
    for entry in answer.presets:
        assert [value.path for value in entry.values] == [value.path for value in PRESETS[entry.name].values]
        assert all(value.fact and value.known and value.date for value in (*entry.values, *entry.legacy))
        for value in (*entry.values, *entry.legacy):
            tomllib.loads(f"value = {value.value}")
