"""The scanner finds a secret in every form and in every way in which one may slip out, and nothing else."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.secrecy.needles import Needles

pytest_plugins = ["pytester"]

ROOT = Path(__file__).resolve().parents[2]
CONFTEST = """
import json
from tests.secrecy.scanner import Scanner

def pytest_configure(config):
    config.pluginmanager.register(Scanner(), "secrecy")

def pytest_runtest_logreport(report):
    with open("results", "a") as file:
        print(json.dumps([report.nodeid, report.longreprtext if report.failed else ""]), file=file)
"""
LEAKS = 19 * 13 + 2 + 3 + 1 + 1 + 2 * 4  # ways × forms, kinds of secret, of a SIM, an error, a picture, keys
SILENT = 5


@pytest.mark.slow
def test_a_secret_planted_anywhere_is_found_and_not_shown(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    shutil.copy(Path(__file__).with_name("planted.py"), pytester.path / "test_planted.py")
    pytester.runpytest_subprocess("-p", "no:cacheprovider", "--show-capture=no")
    said: dict[str, str] = {}
    for line in (pytester.path / "results").read_text().splitlines():
        name, words = json.loads(line)
        said[name] = said.get(name, "") + words
    leaks = {name for name in said if "::test_leak" in name}
    found = {name for name, words in said.items() if "a secret of" in words}
    assert (leaks - found, found - leaks) == (set(), set())
    assert len(leaks) == LEAKS
    assert len(said) == LEAKS + SILENT
    assert not [name for name, words in said.items() if "planted-" in words]


@pytest.mark.parametrize("number", [1, 3000])
@pytest.mark.parametrize("length", [200, 200_000])
def test_many_secrets_and_long_texts_are_searched_alike(number: int, length: int) -> None:
    needles = Needles({bytes([n % 251, n // 251, *b"octets of a key"]): f"origin {n}" for n in range(number)})
    octets = list(needles.origins)[number // 2]
    text = b"." * length + octets + b"." * length
    assert {found.origin for found in needles.search(text)} == {f"origin {number // 2}"}
    assert not needles.search(text.replace(octets, octets[:-1]))
