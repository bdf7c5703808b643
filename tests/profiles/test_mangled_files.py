"""Samples with octets changed, cut, doubled and exchanged: an importer gives a usable profile or a `ProfileError`.

Seeded: the same files at each run.
"""

from __future__ import annotations

import json
import plistlib
import random
import zipfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest

from profiles.errors import ProfileError
from profiles.importers.detect import load
from profiles.importers.intake import Intake
from profiles.store import load_text

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(
    path.name
    for path in SAMPLES.iterdir()
    if path.name not in ("11-ipsec.secrets", "14-profile-schema1.toml")
)
TEXTS = [name for name in NAMES if name.endswith((".pbk", ".conf", ".nmconnection", ".txt", ".ps1"))]
ROUNDS = 120
VALUES = [
    "",
    "x",
    "-1",
    "0",
    "1e9",
    "%any",
    "::/0",
    "0.0.0.0",
    "a" * 5000,
    "\0",
    "ü",
    "{",
    "}",
    "..",
    "=",
    '"',
    "'",
]
THINGS: list[object] = [
    None,
    True,
    -1,
    2**63,
    1.5,
    "",
    "a" * 5000,
    "\0",
    [],
    [[]],
    {},
    {"a": {}},
    b"",
    b"\x30\x80",
]


def mangled(octets: bytes, rng: random.Random) -> bytes:
    """Some damage that copying, editing or malice does."""
    data = bytearray(octets)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at, size = rng.randrange(len(data) + 1), rng.randrange(1, 40)
        match rng.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at : at + size]
            case 2:
                data[at:at] = data[at : at + size]
            case 3:
                data[at:at] = rng.choice(VALUES).encode()
            case 4:
                del data[rng.randrange(len(data) // 2 + 1) + len(data) // 2 :]
            case 5:
                other = rng.randrange(len(data) + 1)
                data[at : at + size] = data[other : other + size]
            case _:
                data[at : at + size] = rng.randbytes(size)
        data = data or bytearray(b"\0")
    return bytes(data)


def outcomes(octets: bytes) -> int:
    """How many profiles come of it; whatever comes is one that could be used."""
    try:
        found = load(Intake(octets, server="vpn.example.com", user="alice"))
    except ProfileError:
        return 0
    for entry in found:
        assert load_text(entry.text) == entry.profile
    return len(found)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", NAMES)
def test_damage_to_a_file_ends_in_a_profile_or_a_refusal(name: str) -> None:
    rng = random.Random(name)
    octets = (SAMPLES / name).read_bytes()
    counts = [outcomes(mangled(octets, rng)) for _ in range(ROUNDS)]
    assert 0 in counts


def trees() -> Iterator[tuple[str, dict[str, object], Callable[[dict[str, object]], bytes]]]:
    """Samples as tables, with the way back to a file."""
    octets = (SAMPLES / "02-mobileconfig-cert.mobileconfig").read_bytes()
    yield "plist", plistlib.loads(octets), lambda tree: plistlib.dumps(tree, skipkeys=True)
    yield "json", json.loads((SAMPLES / "04-eap.sswan").read_text()), lambda tree: json.dumps(tree).encode()


def replaced(tree: object, rng: random.Random, things: list[object]) -> object:
    """The same tree with one value somewhere exchanged for another kind of thing."""
    if isinstance(tree, dict) and tree and rng.random() < 0.8:
        key = rng.choice(list(tree))
        return {**tree, key: replaced(tree[key], rng, things)}
    if isinstance(tree, list) and tree and rng.random() < 0.8:
        at = rng.randrange(len(tree))
        return [*tree[:at], replaced(tree[at], rng, things), *tree[at + 1 :]]
    return rng.choice(things)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kind", "tree", "write"), [*trees()], ids=("plist", "json"))
def test_values_of_the_wrong_kind_end_in_a_profile_or_a_refusal(
    kind: str, tree: dict[str, object], write: Callable[[dict[str, object]], bytes]
) -> None:
    rng = random.Random(kind)
    no_plist = (type(None),)
    things = [
        thing
        for thing in THINGS
        if not isinstance(thing, bytes if kind == "json" else no_plist) and thing != "\0"
    ]
    made = 0
    for _ in range(400):
        changed = replaced(tree, rng, things)
        if isinstance(changed, dict):
            try:
                octets = write(changed)
            except OverflowError:  # of the writer
                continue
            made += outcomes(octets)
    assert made > 20


@pytest.mark.timeout(120)
def test_values_of_text_formats_are_exchanged_too() -> None:
    rng = random.Random(7)
    for name in (
        "08-rasphone.pbk",
        "10-swanctl.conf",
        "11-ipsec.conf",
        "12-office.nmconnection",
        "13-provider-plain.txt",
    ):
        lines = (SAMPLES / name).read_text().split("\n")
        for _ in range(200):
            changed = list(lines)
            at = rng.randrange(len(changed))
            before, equals, _value = changed[at].partition("=" if "=" in changed[at] else ":")
            changed[at] = f"{before}{equals}{rng.choice(VALUES)}"
            outcomes("\n".join(changed).encode())


def test_members_of_an_archive_are_damaged_behind_right_checksums() -> None:
    rng = random.Random(3)
    with zipfile.ZipFile(SAMPLES / "07-azure-vpnclient.zip") as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for _ in range(ROUNDS):
        out = BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for name, octets in members.items():
                archive.writestr(name, mangled(octets, rng) if rng.random() < 0.5 else octets)
        outcomes(out.getvalue())
