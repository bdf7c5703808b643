"""Completions and manual pages: as the parsers are, and as real shells and man understand them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.netns.peers.releases import PeerUnavailable, Release
from tests.tools import INSIDE, run, shared_directory, tools
from ui.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
COMPLETIONS = ROOT / "packaging" / "completions"
MANUALS = sorted((ROOT / "packaging" / "man").iterdir())

LINES: dict[str, tuple[set[str], set[str]]] = {
    # typed: (must be offered, must not)
    "roam ": ({"up", "down", "status", "wait", "lockdown"}, {"work"}),
    "roam st": ({"status"}, {"up"}),
    "roam up ": ({"work", "home"}, {"status"}),
    "roam up w": ({"work"}, {"home"}),
    "roam lockdown ": ({"on", "off", "status"}, {"work"}),
    "roam up --t": ({"--timeout"}, {"--ask"}),
    "roam wait --for ": ({"state", "traffic", "dns"}, {"work"}),
    "roam --json status ": ({"work"}, {"up"}),
}


def test_the_files_are_up_to_date() -> None:
    """If not: python packaging/dev/describe_commands.py"""
    script = ROOT / "packaging" / "dev" / "describe_commands.py"
    done = subprocess.run(
        [sys.executable, script, "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory for all shells, with profiles."""
    with shared_directory() as directory:
        profiles = directory / "config" / "roam" / "profiles"
        profiles.mkdir(parents=True)
        for name in ("work", "home"):
            (profiles / f"{name}.toml").touch()
        for file in COMPLETIONS.iterdir():
            shutil.copy(file, directory)
        yield directory


@cache
def programs() -> Release:
    try:
        return tools()
    except PeerUnavailable as error:
        pytest.skip(f"shells: {error}")


_BASH = """\
source "$1/roam.bash"
read -ra COMP_WORDS <<< "$2"
[[ $2 == *' ' ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_roam
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize("line", LINES)
def test_bash_completes(home: Path, line: str) -> None:
    done = subprocess.run(
        ["bash", "--norc", "-c", _BASH, "bash", home, line],
        env={"PATH": os.environ["PATH"], "XDG_CONFIG_HOME": str(home / "config")},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    judge(line, done.stdout.split())


@pytest.mark.netns
def test_fish_completes(home: Path) -> None:
    environment = {"XDG_CONFIG_HOME": f"{INSIDE}/config", "HOME": f"{INSIDE}"}
    for line in LINES:
        command = ["fish", "--no-config", "-c", f"source {INSIDE}/roam.fish; complete -C '{line}'"]
        done = run(programs(), home, command, environment=environment)
        assert not done.stderr, done.stderr
        judge(line, [entry.partition("\t")[0] for entry in done.stdout.splitlines()])


_ZSH = """\
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PROMPT=''; source $1/setup.zsh"
until [[ -e $1/ready ]]; do zpty -r -t shell line || zselect -t 2; done
for typed in "${(@f)$(<$1/lines)}"; do
    print -rn -- '' > $1/out
    zpty -wn shell "$typed"$'\\t'$'\\x15'
    until [[ -e $1/done ]]; do zpty -r -t shell line || zselect -t 2; done
    print -r -- "= $typed"
    print -r -- "$(<$1/out)"
    rm -f $1/done
done
zpty -d shell
"""
_ZSH_SETUP = """\
zmodload zsh/files
fpath=(INSIDE $fpath)
autoload -Uz compinit && compinit -D -u
compadd() {
    if (( ${@[(I)-[OAD]*]} )); then builtin compadd "$@"; return; fi
    local -a found
    builtin compadd -O found "$@"
    print -rl -- $found >> INSIDE/out
    builtin compadd "$@"
}
capture() { _main_complete; compstate[list]=''; compstate[insert]=''; : > INSIDE/done }
zle -C capture list-choices capture
bindkey '^I' capture
bindkey '^U' kill-whole-line
zle-line-init() { : > INSIDE/ready }
zle -N zle-line-init
"""


@pytest.mark.netns
def test_zsh_completes(home: Path) -> None:
    (home / "setup.zsh").write_text(_ZSH_SETUP.replace("INSIDE", INSIDE))
    (home / "lines").write_text("\n".join(LINES))
    script = f"zmodload zsh/zselect zsh/files\n{_ZSH}"
    environment = {"XDG_CONFIG_HOME": f"{INSIDE}/config", "HOME": INSIDE, "TERM": "xterm"}
    done = run(programs(), home, ["zsh", "-f", "-c", script, "zsh", INSIDE], environment=environment)
    parts = {part.partition("\n")[0]: part.partition("\n")[2] for part in done.stdout.split("= ")[1:]}
    assert parts.keys() == LINES.keys(), done.stdout + done.stderr
    for line in LINES:
        judge(line, parts[line].split())


def judge(line: str, offered: list[str]) -> None:
    wanted, unwanted = LINES[line]
    assert wanted <= set(offered), f"{line!r}: {offered}"
    assert not unwanted & set(offered), f"{line!r}: {offered}"


@pytest.mark.parametrize("page", MANUALS, ids=lambda page: page.name)
@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed")
def test_man_shows_the_page(page: Path) -> None:
    done = subprocess.run(
        ["man", "--warnings", "-l", page],
        env={"PATH": os.environ["PATH"], "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "groff" in done.stderr and "not found" in done.stderr:
        pytest.skip("groff is not installed")
    assert done.returncode == 0
    assert done.stderr == ""
    name, section = page.stem, page.suffix[1:]
    assert f"{name.upper()}({section})" in done.stdout


def test_the_manual_has_every_command() -> None:
    text = (ROOT / "packaging" / "man" / "roam.1").read_text()
    for name in COMMANDS:
        assert f".SS {name}" in text
