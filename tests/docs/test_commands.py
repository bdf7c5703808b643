"""What the documents say can be typed: each command and option exists, and the blocks marked `lab` are run.

In a block that begins with ```sh lab each line is run; "→ 3" in its comment is the exit code it ends with.
"""

from __future__ import annotations

import argparse
import re
import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.control.kinds import EXIT_CODES
from client.daemon.main import _parser as daemon_parser
from client.lab.demo_scene import PROFILE, Scene
from client.lab.topology import topology
from profiles.store import load_text
from ui.cli import COMMANDS, _parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("client/**/README.md")])
COMMANDS_PAGE = (ROOT / "docs" / "commands.md").read_text()
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:sudo )?(?:roam|make)(?: [^`]*)?)`")


def lines_of(page: Path) -> Iterator[str]:
    """Whatever a reader may type: lines of sh blocks, and code in a sentence."""
    text = page.read_text()
    for language, block in _BLOCK.findall(text):
        if language.startswith("sh"):
            yield from block.splitlines()
    yield from _INLINE.findall(_BLOCK.sub("", text))


def words_of(line: str, program: str) -> list[str] | None:
    """The arguments of `program` in a line; None where the line does not call it."""
    words = shlex.split(re.split(r"[|;]|&&", line)[0].replace("'", ""), comments=True)
    if words[:1] == ["sudo"]:
        words = words[1:]
    return words[1:] if words[:1] == [program] else None


CALLS = [(page.name, line) for page in PAGES for line in lines_of(page) if words_of(line, "roam") is not None]
GOALS = [(page.name, line) for page in PAGES for line in lines_of(page) if words_of(line, "make") is not None]


def options_of(parser: argparse.ArgumentParser) -> set[str]:
    return {option for action in parser._actions for option in action.option_strings}


def subparsers() -> dict[str, argparse.ArgumentParser]:
    (choices,) = (
        action.choices for action in _parser()._actions if isinstance(action, argparse._SubParsersAction)
    )
    return dict(choices)


@pytest.mark.parametrize(("page", "line"), CALLS)
def test_every_roam_command_in_the_documents_exists(page: str, line: str) -> None:
    words = words_of(line, "roam") or []
    if words[:1] == ["help"]:
        words = words[1:]
    command = next((word for word in words if word in COMMANDS), None)
    known = options_of(_parser()) | (options_of(subparsers()[command]) if command else set())
    for word in words:
        option = word.strip("[]").split("=")[0]
        assert not option.startswith("--") or option in known, f"{page}: {line}"
    if words and not words[0].startswith(("-", "[")):
        assert command == words[0], f"{page}: {line}"


@pytest.mark.parametrize(("page", "line"), GOALS)
def test_every_make_goal_in_the_documents_exists(page: str, line: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    for word in words_of(line, "make") or []:
        name, is_variable, _value = word.strip("[]").partition("=")
        wanted = rf"\$\({name}\)|^{name} \?=|\({name}\)" if is_variable else rf"^{name}:"
        assert re.search(wanted, makefile, re.MULTILINE), f"{page}: {line}"


def test_the_profile_in_the_readme_can_be_used() -> None:
    (text,) = (
        block for language, block in _BLOCK.findall((ROOT / "README.md").read_text()) if language == "toml"
    )
    assert load_text(text).id == "work"


def test_the_documents_name_commands_at_all() -> None:
    assert len(CALLS) > 40
    assert len(GOALS) > 8


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_described(name: str) -> None:
    assert f"`roam {name}" in COMMANDS_PAGE
    for option in options_of(subparsers()[name]):
        assert f"`{option}" in COMMANDS_PAGE


def test_every_option_of_the_daemon_is_described() -> None:
    _before, _, section = COMMANDS_PAGE.partition("## The daemon")
    for option in options_of(daemon_parser()) - {"-h", "--help"}:
        assert f"`{option}" in section


def test_every_exit_code_is_described() -> None:
    described = {int(code) for code in re.findall(r"^\| (\d) \|", COMMANDS_PAGE, re.MULTILINE)}
    assert described == {0, *EXIT_CODES.values()}


def lab_lines() -> list[str]:
    blocks = [block for language, block in _BLOCK.findall(COMMANDS_PAGE) if language == "sh lab"]
    return [line for block in blocks for line in block.splitlines() if line.strip()]


@pytest.mark.netns
@pytest.mark.slow
def test_what_is_written_can_be_typed() -> None:
    """In the order of the page: a reader types it from top to bottom."""
    assert len(lab_lines()) > 15
    with tempfile.TemporaryDirectory(prefix="roam-test-") as directory, topology() as lab:
        scene = Scene(lab, Path(directory))
        scene.prepare()
        (scene.laptop.profiles / "demo.toml").unlink()
        (scene.laptop.profiles / "work.toml").write_text(PROFILE.replace('id = "demo"', 'id = "work"'))
        scene.start_gateway()
        scene.laptop.start()
        for line in lab_lines():
            expected = re.search(r"→ (\d)", line)
            done = scene.laptop.run(*(words_of(line, "roam") or []))
            assert done.returncode == (int(expected[1]) if expected else 0), f"{line}\n{done.stderr}"
            assert "Traceback" not in done.stderr
        scene.laptop.stop()
