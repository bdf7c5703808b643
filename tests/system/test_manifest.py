"""The note of what is owned: bound to its place, durable, and never a reason to stumble."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.system.manifest import Manifest, Owned, Place, write_durably

HERE = Place("boot-1", 4026531840)
OWNED = Owned(29440, frozenset({"roam0", "roam1"}), {"net/ipv4/conf/all/arp_ignore": "0"})


def test_what_was_stored_is_loaded_by_another_process(tmp_path: Path) -> None:
    Manifest(tmp_path).store(OWNED, HERE)
    assert Manifest(tmp_path).load(HERE) == OWNED


@pytest.mark.parametrize(
    "place", [Place("boot-2", HERE.namespace), Place(HERE.boot, 1)], ids=["other boot", "other namespace"]
)
def test_nothing_is_owned_in_another_place(tmp_path: Path, place: Place) -> None:
    Manifest(tmp_path).store(OWNED, HERE)
    assert Manifest(tmp_path).load(place) == Owned()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"version": 1}',
        '{"version": 1, "boot": "boot-1", "namespace": 4026531840}',
    ],
)
def test_a_spoiled_note_says_that_nothing_is_owned(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    assert Manifest(tmp_path).load(HERE) == Owned()


def test_a_lost_note_says_that_nothing_is_owned(tmp_path: Path) -> None:
    assert Manifest(tmp_path / "never made").load(HERE) == Owned()


def test_an_unchanged_note_is_not_written_again(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.store(OWNED, HERE)
    written = (tmp_path / "manifest.json").stat()
    manifest.store(OWNED, HERE)
    assert (tmp_path / "manifest.json").stat().st_ino == written.st_ino


def test_a_note_that_somebody_deleted_is_written_again(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.store(OWNED, HERE)
    (tmp_path / "manifest.json").unlink()
    manifest.store(OWNED, HERE)
    assert manifest.load(HERE) == OWNED


def test_forgetting_twice_is_forgetting_once(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.store(OWNED, HERE)
    manifest.forget()
    manifest.forget()
    assert list(tmp_path.iterdir()) == []
    manifest.store(OWNED, HERE)
    assert manifest.load(HERE) == OWNED


def test_a_written_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "file"
    write_durably(file, "one")
    write_durably(file, "two")
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_this_place_is_the_same_twice() -> None:
    assert Place.here() == Place.here()
