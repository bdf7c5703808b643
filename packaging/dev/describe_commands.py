"""Write completions for bash, zsh and fish, and roam(1), roamd(8), roam-profile(5), from the programs' own parsers.

    python packaging/dev/describe_commands.py [--check]

With `--check` nothing is written: a file out of date is an error.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COMPLETIONS = ROOT / "packaging" / "completions"
MANUALS = ROOT / "packaging" / "man"
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from client.daemon.main import _parser as daemon_parser  # noqa: E402 - the script stands outside the packages
from ui.cli import COMMANDS, _parser  # noqa: E402

PROFILE_COMMANDS = frozenset(
    {"up", "down", "status", "rekey", "reauth", "wait", "verify", "explain", "export", "log", "signer"}
)
"""Commands whose NAME is a profile's."""
_FILES = frozenset({"FILE", "PATH", "DIR"})
NOTICE = "made by packaging/dev/describe_commands.py"


@dataclass(frozen=True)
class Option:
    """One option, or one argument (without flags)."""

    flags: tuple[str, ...]
    value: str  # what it takes; empty: nothing
    help: str
    choices: tuple[str, ...] = ()
    optional: bool = False

    @property
    def completes_files(self) -> bool:
        """Whether its value is a path."""
        return self.value in _FILES


@dataclass(frozen=True)
class Command:
    """A parser as its users see it."""

    name: str
    help: str
    options: tuple[Option, ...]
    arguments: tuple[Option, ...]

    @property
    def takes_profile(self) -> bool:
        """Whether its first argument is a profile's name."""
        return self.name in PROFILE_COMMANDS


def described(name: str, text: str, parser: argparse.ArgumentParser) -> Command:
    """What a parser takes."""
    options, arguments = [], []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) or action.help == argparse.SUPPRESS:
            continue
        (options if action.option_strings else arguments).append(_option(action))
    return Command(name, text, tuple(options), tuple(arguments))


def _option(action: argparse.Action) -> Option:
    takes_value = action.nargs != 0
    words = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    text = (action.help or "") % {**vars(action), "prog": "roam"}
    choices = tuple(map(str, action.choices)) if action.choices else ()
    value = words if takes_value else ""
    return Option(tuple(action.option_strings), value, text, choices, action.nargs == "?")


def commands() -> list[Command]:
    """Every command of `roam`."""
    parser = _parser()
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [described(name, COMMANDS[name][0], subparsers.choices[name]) for name in COMMANDS]


def top() -> Command:
    """`roam` itself."""
    return described("roam", "roaming IKEv2 VPN client", _parser())


# bash


def bash() -> str:
    """For bash, without the package bash-completion."""
    return "\n".join(_bash()) + "\n"


def _bash() -> Iterator[str]:
    yield f"# bash completion for roam; {NOTICE}"
    yield """
_roam_profiles() {
    local file
    for file in "${XDG_CONFIG_HOME:-$HOME/.config}"/roam/profiles/*.toml /etc/roam/profiles/*.toml; do
        [[ -e $file ]] && file=${file##*/} && printf '%s\\n' "${file%.toml}"
    done
}

_roam() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} command="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
            --socket) ((i++)) ;;
            -*) ;;
            *) command=${COMP_WORDS[i]}; break ;;
        esac
    done
    COMPREPLY=()"""
    yield "    case $command,$before in"
    for command in [top(), *commands()]:
        for option in command.options:
            if option.value:
                name = "" if command.name == "roam" else command.name
                patterns = "|".join(f"{name},{flag}" for flag in option.flags)
                yield f"        {patterns}) {_bash_values(option)}; return ;;"
    yield "    esac"
    yield "    case $command in"
    yield f'        "") mapfile -t COMPREPLY < <(compgen -W "{_words(top())}" -- "$word") ;;'
    for command in commands():
        yield f"        {command.name}) mapfile -t COMPREPLY < <({_bash_words(command)}) ;;"
    yield "    esac"
    yield "}"
    yield ""
    yield "complete -F _roam roam"


def _words(command: Command) -> str:
    names = [entry.name for entry in commands()] if command.name == "roam" else []
    choices = [choice for argument in command.arguments for choice in argument.choices]
    return " ".join([*names, *choices, *(flag for option in command.options for flag in option.flags)])


def _bash_words(command: Command) -> str:
    words = f'compgen -W "{_words(command)}" -- "$word"'
    if command.takes_profile:
        words = f'compgen -W "$(_roam_profiles) {_words(command)}" -- "$word"'
    if any(argument.completes_files for argument in command.arguments):
        words += '; compgen -f -- "$word"'
    return words


def _bash_values(option: Option) -> str:
    if option.choices:
        return f'mapfile -t COMPREPLY < <(compgen -W "{" ".join(option.choices)}" -- "$word")'
    if option.completes_files:
        return 'mapfile -t COMPREPLY < <(compgen -f -- "$word")'
    return ":"


# zsh


def zsh() -> str:
    """For zsh: a function to be found in $fpath."""
    return "\n".join(_zsh()) + "\n"


def _zsh() -> Iterator[str]:
    yield "#compdef roam"
    yield f"# {NOTICE}"
    yield """
_roam_profiles() {
    local -a names
    names=(${XDG_CONFIG_HOME:-$HOME/.config}/roam/profiles/*.toml(N:t:r) /etc/roam/profiles/*.toml(N:t:r))
    compadd -a names
}

_roam() {
    local curcontext=$curcontext state line
    typeset -A opt_args"""
    yield "    _arguments -C \\"
    yield from (f"        {line} \\" for option in top().options for line in _zsh_option(option))
    yield "        '1:command:->command' '*::argument:->argument'"
    yield "    case $state in"
    yield "        command)"
    yield "            local -a commands"
    yield "            commands=("
    yield from (f"                {_quote(f'{entry.name}:{entry.help}')}" for entry in commands())
    yield "            )"
    yield "            _describe command commands ;;"
    yield "        argument)"
    yield "            case $words[1] in"
    for command in commands():
        parts = [line for option in command.options for line in _zsh_option(option)]
        parts += [_zsh_argument(command, argument) for argument in command.arguments]
        yield f"                {command.name}) _arguments {' '.join(parts)} ;;"
    yield "            esac ;;"
    yield "    esac"
    yield "}"
    yield ""
    yield '_roam "$@"'


def _zsh_option(option: Option) -> Iterator[str]:
    text = option.help.replace("[", "(").replace("]", ")").replace(":", ";")
    value = f":{option.value}:{_zsh_values(option)}" if option.value else ""
    yield from (_quote(f"{flag}[{text}]{value}") for flag in option.flags)


def _zsh_argument(command: Command, argument: Option) -> str:
    action = "_roam_profiles" if command.takes_profile and argument.value == "NAME" else _zsh_values(argument)
    return _quote(f"*:{argument.value}:{action}")


def _zsh_values(option: Option) -> str:
    if option.choices:
        return f"({' '.join(option.choices)})"
    return "_files" if option.completes_files else " "


def _quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# fish


def fish() -> str:
    """For fish."""
    return "\n".join(_fish()) + "\n"


def _fish() -> Iterator[str]:
    yield f"# fish completion for roam; {NOTICE}"
    yield """
function __roam_profiles
    set -l config $XDG_CONFIG_HOME
    test -n "$config"; or set config $HOME/.config
    for file in $config/roam/profiles/*.toml /etc/roam/profiles/*.toml
        string replace -r '.*/(.*)\\.toml$' '$1' -- $file
    end
end

complete -c roam -f"""
    yield from (_fish_option("", option) for option in top().options)
    for command in commands():
        yield f"complete -c roam -n __fish_use_subcommand -a {command.name} -d {_quote(command.help)}"
    for command in commands():
        seen = f"-n '__fish_seen_subcommand_from {command.name}'"
        yield from (_fish_option(f" {seen}", option) for option in command.options)
        for argument in command.arguments:
            if command.takes_profile and argument.value == "NAME":
                yield f"complete -c roam {seen} -a '(__roam_profiles)'"
            elif argument.choices:
                yield f"complete -c roam {seen} -a {_quote(' '.join(argument.choices))}"
            elif argument.completes_files:
                yield f"complete -c roam {seen} -F"


def _fish_option(seen: str, option: Option) -> str:
    flags = " ".join(f"-l {flag[2:]}" if flag.startswith("--") else f"-s {flag[1:]}" for flag in option.flags)
    value = ""
    if option.choices:
        value = f" -x -a {_quote(' '.join(option.choices))}"
    elif option.value:
        value = " -r -F" if option.completes_files else " -x"
    return f"complete -c roam{seen} {flags}{value} -d {_quote(option.help)}"


FILES: dict[Path, Callable[[], str]] = {
    COMPLETIONS / "roam.bash": bash,
    COMPLETIONS / "_roam": zsh,
    COMPLETIONS / "roam.fish": fish,
}


def main(arguments: list[str]) -> int:
    """Write them, or compare."""
    from manuals import profile_manual, roam_manual, roamd_manual

    made = {
        **FILES,
        MANUALS / "roam.1": lambda: roam_manual(top(), commands()),
        MANUALS / "roamd.8": lambda: roamd_manual(described("roamd", "", daemon_parser())),
        MANUALS / "roam-profile.5": profile_manual,
    }
    stale = [path for path, make in made.items() if not path.exists() or path.read_text() != make()]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run packaging/dev/describe_commands.py")
        return 1 if stale else 0
    for path, make in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(make())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
