from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from client.daemon.intent import Intent, Intents

OFFICE = Intent(1000, False, "office", "schema = 1\n", {"file:ca.pem": b"\x00\xff"})
SHARED = Intent(1000, True, "office", "schema = 1\n", pins=frozenset({"ab" * 32}))


def test_wishes_are_found_again_in_their_order(tmp_path: Path) -> None:
    Intents(tmp_path).keep(OFFICE)
    Intents(tmp_path).keep(SHARED)
    assert Intents(tmp_path).load() == [OFFICE, SHARED]


def test_a_wish_that_ended_is_not_found(tmp_path: Path) -> None:
    intents = Intents(tmp_path)
    intents.keep(OFFICE)
    intents.keep(SHARED)
    intents.forget(OFFICE.key)
    intents.forget(OFFICE.key)
    assert intents.load() == [SHARED]
    intents.forget_all()
    assert intents.load() == []


def test_a_wish_of_before_there_were_pins_has_none(tmp_path: Path) -> None:
    Intents(tmp_path).keep(SHARED)
    (path,) = (tmp_path / "wanted").iterdir()
    kept = json.loads(path.read_text())
    del kept["pins"]
    path.write_text(json.dumps(kept))
    (found,) = Intents(tmp_path).load()
    assert found.pins == frozenset()


def test_nobody_else_reads_them(tmp_path: Path) -> None:
    Intents(tmp_path).keep(OFFICE)
    (path,) = (tmp_path / "wanted").iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "text", ["", "null", "[]", "{}", '{"version": 2}', '{"version": 1, "owner": "x", "files": {}}']
)
def test_a_file_that_does_not_read_stands_for_nothing(tmp_path: Path, text: str) -> None:
    intents = Intents(tmp_path)
    intents.keep(OFFICE)
    (tmp_path / "wanted" / "0.json").write_text(text)
    assert intents.load() == [OFFICE]


def test_a_disk_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "wanted").write_text("in the way")
    Intents(tmp_path).keep(OFFICE)
    assert Intents(tmp_path).load() == []
