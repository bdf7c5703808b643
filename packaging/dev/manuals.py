"""Manual pages as roff, for describe_commands.py: roam(1), roamd(8) and roam-profile(5).

What they say comes from the parsers, the table of error kinds and the profile's model.
"""

# ruff: noqa: ANN401 - types of fields are what `Any` is for

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import describe_profile as profile_tables

from client.control.kinds import KINDS
from profiles import model

if TYPE_CHECKING:
    from describe_commands import Command, Option

CODES = {
    0: "done",
    1: "failed: no common algorithms, the gateway ended it, a fault of this computer, interrupted",
    2: "usage, or a profile that cannot be used",
    3: "not connected, or no such tunnel",
    4: "not permitted",
    5: "the gateway refused the login",
    6: "no answer, or not in time",
    7: "no daemon",
    8: "the gateway is not trusted: its CA, name or certificate",
    9: "a question that nobody could answer: needs a terminal",
}
COMMON = {
    "--socket PATH": "the daemon's socket, instead of the system's",
    "--json": "results as one line of JSON, {version, kind, data}; a failure has kind error",
    "--version": "show the version",
    "-h, --help": "show what there is, also behind a command",
}
FILES = {
    "/run/roam/control.sock": "the daemon's socket",
    "/run/roam/varlink.sock": "the same as a varlink service, org.roamvpn.Roam",
    "~/.config/roam/profiles/*.toml": "profiles of a user; $XDG_CONFIG_HOME is heeded",
    "/etc/roam/profiles/*.toml": "profiles of the system, for every member of the group roam",
    "/var/lib/roam": "what is wanted, and what of the machine is Roam's",
}
ENVIRONMENT = {
    "ROAM_SOCKET": "the daemon's socket, as --socket",
    "NO_COLOR": "if set and not empty, no colours",
    "XDG_CONFIG_HOME": "where user profiles are, instead of ~/.config",
}


def roam_manual(top: Command, commands: list[Command]) -> str:
    """roam(1)."""
    lines = [
        *_head("roam", 1, "roaming IKEv2 VPN client"),
        ".SH SYNOPSIS",
        *_synopsis("roam", [*top.options], "COMMAND"),
        ".SH DESCRIPTION",
        _text(
            "roam speaks to the daemon roamd(8): it brings tunnels to IKEv2 gateways up and down, tells how they "
            "stand, and says why one does not work. Without a command it opens its terminal UI."
        ),
        ".SH OPTIONS",
        *_pairs(COMMON.items()),
        ".SH COMMANDS",
    ]
    for command in commands:
        lines += [
            f".SS {_text(_call(command))}",
            _text(f"{command.help[0].upper()}{command.help[1:]}."),
            *_options([*command.arguments, *command.options]),
        ]
    lines += [".SH EXIT STATUS", *_pairs((str(code), text) for code, text in CODES.items())]
    lines += [
        ".SH FAILURES",
        _text(
            "A failure has a stable name, and tells what was seen and what to do. The names, with their exit codes:"
        ),
        *_pairs((kind, f"{what} ({code})") for kind, (code, what, _hint) in KINDS.items()),
        ".SH ENVIRONMENT",
        *_pairs(ENVIRONMENT.items()),
        *_tail(("roamd", 8), ("roam-profile", 5)),
    ]
    return "\n".join(lines) + "\n"


def roamd_manual(daemon: Command) -> str:
    """roamd(8)."""
    lines = [
        *_head("roamd", 8, "the daemon of Roam: tunnels that follow the laptop"),
        ".SH SYNOPSIS",
        *_synopsis("roamd", [*daemon.options], ""),
        ".SH DESCRIPTION",
        _text(
            "roamd carries the tunnels that roam(1) asks for. It is started by systemd as its own user with "
            "CAP_NET_ADMIN, and runs as well by hand, also in a network namespace. When it ends, what is wanted "
            "stays wanted and guarded; its next start goes on."
        ),
        ".SH OPTIONS",
        *_options(daemon.options),
        ".SH SIGNALS",
        *_pairs([("SIGTERM, SIGINT", "tell the gateways, and end")]),
        *_tail(("roam", 1), ("roam-profile", 5)),
    ]
    return "\n".join(lines) + "\n"


def profile_manual() -> str:
    """roam-profile(5)."""
    lines = [
        *_head("roam-profile", 5, "what Roam knows of a gateway"),
        ".SH DESCRIPTION",
        _text(
            "A profile is a TOML file. Its id is the file's name without .toml. An unknown key is an error. "
            "Secrets never stand in a profile, only references to them: keyring:NAME, file:PATH, credential:NAME, "
            "ask:PROMPT; keys may also be pkcs11:URI, agent:KEY or (of a SIM in a card reader) sim:."
        ),
        ".SH KEYS",
        *_keys("", model.Profile),
        ".SH EXAMPLE",
        ".nf",
        *(_text(line) for line in _EXAMPLE.splitlines()),
        ".fi",
        *_tail(("roam", 1), ("roamd", 8)),
    ]
    return "\n".join(lines) + "\n"


_EXAMPLE = """\
schema = 1
id = "work"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "eap"
identity = "alice"
secret = "keyring:work/eap"
"""


def _keys(path: str, shape: Any) -> Iterator[str]:
    own = [entry for entry in fields(shape) if not profile_tables.is_table(profile_tables.hint(shape, entry))]
    if path and own:
        brackets = ("[[", "]]") if shape is model.LocalRound else ("[", "]")
        yield f".SS {_text(path.join(brackets))}"
    for entry in own:
        _empty, name, meaning, kind, default, _end = profile_tables.row(shape, entry).split("|")
        words = f"{meaning.strip()}. {kind.strip()}; default: {default.strip()}".replace("`", "")
        yield from _pair(name.strip().strip("`"), words.replace("default: –", "no default"))
    for entry in fields(shape):
        if profile_tables.is_table(wanted := profile_tables.hint(shape, entry)):
            yield from _keys(f"{path}.{entry.name}".lstrip("."), profile_tables.bare(wanted))


def _head(name: str, section: int, what: str) -> Iterator[str]:
    yield r".\" made by packaging/dev/describe_commands.py"
    yield f'.TH {name.upper()} {section} "" "Roam" "Roam"'
    yield ".nh"
    yield ".SH NAME"
    yield f"{_text(name)} \\- {_text(what)}"


def _tail(*others: tuple[str, int]) -> Iterator[str]:
    yield ".SH FILES"
    yield from _pairs(FILES.items())
    yield ".SH SEE ALSO"
    yield ", ".join(f".BR {_text(name)} ({section})" for name, section in others).replace(", .BR", ",\n.BR")


def _synopsis(name: str, options: list[Option], rest: str) -> Iterator[str]:
    yield f".B {_text(name)}"
    for option in options:
        value = f" \\fI{_text(option.value)}\\fR" if option.value else ""
        yield f"[\\fB{_text(option.flags[-1])}\\fR{value}]"
    if rest:
        yield f"[\\fI{_text(rest)}\\fR ...]"


def _call(command: Command) -> str:
    return " ".join([command.name, *map(_argument, command.arguments)])


def _argument(argument: Option) -> str:
    word = "|".join(argument.choices) or argument.value
    return f"[{word}]" if argument.optional else word


def _options(options: Iterable[Option]) -> Iterator[str]:
    for option in options:
        if option.flags in (("-h", "--help"), ("--socket",), ("--json",)) or not option.help:
            continue
        flags = ", ".join(f"\\fB{_text(flag)}\\fR" for flag in option.flags)
        choices = "|".join(option.choices)
        value = f"\\fI{_text(option.value if not choices or option.value.isupper() else choices)}\\fR"
        head = " ".join(part for part in (flags, value if option.value else "") if part)
        more = f" ({', '.join(option.choices)})" if option.choices else ""
        yield from (".TP", head, _text(option.help + more))


def _pairs(pairs: Iterable[tuple[str, str]]) -> Iterator[str]:
    for name, text in pairs:
        yield from _pair(name, text)


def _pair(name: str, text: str) -> Iterator[str]:
    yield from (".TP", f".B {_text(name)}", _text(text))


def _text(text: str) -> str:
    """`text` with everything escaped that roff would take as its own."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("–", "\\(en")
    escaped = re.sub(r'"', "\\\\(dq", escaped)
    return f"\\&{escaped}" if escaped.startswith(".") else escaped
