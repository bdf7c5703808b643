"""`roam`: the command line.  A client of the control socket, like the terminal UI; it holds no logic of tunnels.

Everything that a command does not need is imported by that command: `roam status` stands in shell prompts.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from client.control.messages import LONGEST_PORTAL, STATES, ControlError, exit_code

from . import arguments, output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    Command = Callable[[argparse.Namespace], int]

UP_TIME = 90.0
"""Seconds that `up` waits; the time in which a person answers a prompt does not count."""

PORTAL_TIME = 120.0
"""Seconds for which a network's login is open."""

REKEY_TIME = 20.0
"""Seconds within which a gateway answers a rekey request, or is not there."""
LOGIN_TIME = 60.0
"""Seconds for a new login beside the one that stands."""
MOST_LINES = 2000
PROOF_TIME = 3.0
LONGEST_PROOF = 30.0
"""Seconds that `verify` waits for an answer from inside, as the daemon allows."""

SECRETIVE = frozenset({"up", "answer", "signer", "tui", "new", "import", None})
"""Commands that may come to hold a password, a key or a PIN; without a command it is the terminal UI."""

LONGEST_TIME = 7 * 86400.0
_WIDTH = 80
"""Columns of a help text."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (the table is `client.control.kinds`)."""
    words = sys.argv[1:] if arguments is None else arguments
    as_json = "--json" in words  # also where the rest makes no sense
    try:
        options = _parse(words)
        command = _command(options)
        if arguments is None and options.command in SECRETIVE:
            _harden()
        return command(options)
    except ControlError as error:
        output.report(error, as_json=as_json)
        return exit_code(error.kind)
    except KeyboardInterrupt:
        output.report(ControlError("interrupted", ""), as_json=as_json)
        return exit_code("interrupted")
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _harden() -> None:
    from .hardening import harden

    harden()


def _parse(words: Sequence[str]) -> argparse.Namespace:
    """With the parser of the command that is meant, if that is plain: those of all others take time to make."""
    if words[:1] == ["help"]:
        words = [*words[1:2], "--help"]
    meant = next((word for word in words if word in COMMANDS), None)
    if meant is not None:
        try:
            return _understood(_parser(meant), words)
        except ControlError:
            pass  # the whole parser knows better what is wrong
    return _understood(_parser(), words)


def _understood(parser: argparse.ArgumentParser, words: Sequence[str]) -> argparse.Namespace:
    options, rest = parser.parse_known_args(words)
    if rest:
        from .mistakes import not_taken

        raise not_taken(rest, parser if options.command is None else _parser_of(options.command))
    return options


def _command(options: argparse.Namespace) -> Command:
    name = options.command or ("tui" if sys.stdin.isatty() and sys.stdout.isatty() else None)
    if name is None:
        raise ControlError("usage", "without a command, roam opens its terminal UI, and this is no terminal")
    module = import_module(COMMANDS[name][1], __package__)
    command: Command = getattr(module, "import_" if name == "import" else name)  # a word of Python's own
    return command


class _Parser(argparse.ArgumentParser):
    """One that tells mistakes as every other failure is told."""

    def error(self, message: str) -> NoReturn:
        raise ControlError("usage", message, f"'{self.prog} --help' shows what there is.")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        if action.choices is None or value in action.choices:
            return
        from .mistakes import no_choice, no_command

        if action.dest == "command":
            raise no_command(str(value), COMMANDS)
        raise no_choice(action, value, action.choices, self.prog)


class _Formatter(argparse.HelpFormatter):
    """argparse makes one for every argument, and without a width each looks for the terminal through shutil."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_WIDTH)


def _parser(only: str | None = None) -> argparse.ArgumentParser:
    """The program's parser, for all commands or for one."""
    parser = _Parser(
        prog="roam",
        formatter_class=_Formatter,
        allow_abbrev=False,
        description="Roaming IKEv2 VPN client.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage or profile, 3 not connected, 4 not permitted, "
        "5 login refused, 6 no answer, 7 no daemon, 8 gateway not trusted, 9 needs a terminal.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    _common(parser, top=True)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (text, _module, add_arguments) in COMMANDS.items():
        if only not in (None, name):
            continue
        command = commands.add_parser(
            name,
            help=text,
            description=text.capitalize() + ".",
            formatter_class=_Formatter,
            allow_abbrev=False,
        )
        _common(command, top=False)
        add_arguments(command)
    return parser


def _parser_of(name: str) -> argparse.ArgumentParser:
    """A command's own parser, as the program's parser has it."""
    parser = _Parser(prog=f"roam {name}", formatter_class=_Formatter, allow_abbrev=False)
    _common(parser, top=False)
    COMMANDS[name][2](parser)
    return parser


def _common(parser: argparse.ArgumentParser, *, top: bool) -> None:
    """Options that may stand before and after the command; the one behind it wins."""
    absent = None if top else argparse.SUPPRESS
    parser.add_argument("--socket", metavar="PATH", default=absent, help="the daemon's socket ($ROAM_SOCKET)")
    parser.add_argument(
        "--json", action="store_true", default=False if top else argparse.SUPPRESS, help="JSON for programs"
    )


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_rest: object) -> None:
        from importlib.metadata import version

        output.say(f"roam {version('roam-vpn')}")
        parser.exit()


def _plain(parser: argparse.ArgumentParser) -> None:
    """No arguments of its own."""


def _named(parser: argparse.ArgumentParser, text: str = "without it, the only one there is") -> None:
    parser.add_argument("name", metavar="NAME", nargs="?", help=text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST_TIME:  # neither nan nor inf is
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) > MOST_LINES:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to {MOST_LINES}")
    return int(text)


def _portal_seconds(text: str) -> float:
    value = _seconds(text)
    if value > LONGEST_PORTAL:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {LONGEST_PORTAL:g} seconds")
    return value


def _up(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument("--ask", action="store_true", help="ask for secrets even where they are stored")
    _waiting(parser, UP_TIME)


def _down(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument("--force", action="store_true", help="do not wait for the gateway's answer")


def _answer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", nargs="?", help="of the question, or its tunnel's name")
    parser.add_argument("--cancel", action="store_true", help="decline to answer")


def _signer(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument("--ask", action="store_true", help="ask for the PIN even where it is stored")


def _rekey(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument("--ike", action="store_true", help="the IKE SA, instead of the Child SA")
    _waiting(parser, REKEY_TIME)


def _reauth(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    _waiting(parser, LOGIN_TIME)


def _wait(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument(
        "--for",
        dest="wish",
        choices=("state", "traffic", "dns"),
        default="state",
        help="a state (default), a packet that came in, or names that are asked for inside",
    )
    parser.add_argument(
        "--state", choices=STATES, default="up", metavar="STATE", help="the state to wait for (%(default)s)"
    )
    _timeout(parser, UP_TIME)


def _waiting(parser: argparse.ArgumentParser, patience: float) -> None:
    """Of commands that start something which takes a while."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--wait", action="store_true", default=True, help="until it is done (default)")
    either.add_argument("--no-wait", dest="wait", action="store_false", help="leave the rest to the daemon")
    _timeout(parser, patience)


def _timeout(parser: argparse.ArgumentParser, default: float) -> None:
    parser.add_argument(
        "--timeout", type=_seconds, default=default, metavar="S", help="seconds to wait (%(default)g)"
    )


def _log(parser: argparse.ArgumentParser) -> None:
    _named(parser, "of this tunnel alone")
    levels = ("debug", "info", "warning", "error")
    parser.add_argument("--follow", "-f", action="store_true", help="go on with what comes")
    parser.add_argument("--lines", "-n", type=_count, default=200, metavar="N", help="at most (%(default)d)")
    parser.add_argument("--level", choices=levels, default="debug", help="nothing less important")
    parser.add_argument("--set-level", choices=levels, help="have the daemon log more, or less (root)")


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--output", "-o", metavar="FILE", help="the file to write; - for stdout")
    parser.add_argument("--keep-addresses", action="store_true", help="do not replace public addresses")


def _rpc(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", help="such as tunnel.status")
    parser.add_argument("params", metavar="JSON", nargs="?", help="an object; - reads it from stdin")
    _timeout(parser, UP_TIME)


def _verify(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument("--target", metavar="ADDRESS", default="", help="a host inside that answers")
    parser.add_argument(
        "--timeout", type=_proof_seconds, default=PROOF_TIME, metavar="S", help="at most 30 (%(default)g)"
    )


def _proof_seconds(text: str) -> float:
    value = _seconds(text)
    if value > LONGEST_PROOF:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {LONGEST_PROOF:g} seconds")
    return value


def _state_dir(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state-dir", metavar="DIR", help="without a daemon: where it kept its state")


def _lockdown(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "wish",
        metavar="WISH",
        nargs="?",
        choices=("on", "off", "status"),
        default="status",
        help="on: nothing leaves outside a tunnel; off; status (default)",
    )
    parser.add_argument(
        "--no-lan", dest="allow_lan", action="store_false", help="nor to the local network (with on)"
    )
    _state_dir(parser)


def _portal(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--close", action="store_true", help="end it now")
    parser.add_argument(
        "--seconds", type=_portal_seconds, default=PORTAL_TIME, metavar="S", help="at most 300 (%(default)g)"
    )


def _explain(parser: argparse.ArgumentParser) -> None:
    _named(parser)
    parser.add_argument("--file", metavar="FILE", help="evidence kept earlier with --json; - reads stdin")


def _probe(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help="the gateway's name or address")
    parser.add_argument("--port", type=int, default=500, metavar="N", help="its UDP port (%(default)d)")


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--notify", action="store_true", help="on your desktop, instead of as JSON")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "topic",
        metavar="TOPIC",
        nargs="?",
        choices=("dns",),
        help="dns: ask for names, and see which servers are asked",
    )


def _tui(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plain", action="store_true", help="words instead of plots, pictures and colors")


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--tui", action="store_true", help="show it in the terminal UI")
    parser.add_argument("--keep", metavar="DIR", help="keep the measurements and a capture there")


COMMANDS: dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "up": ("bring a tunnel up", ".commands.up", _up),
    "down": ("take a tunnel down", ".commands.tunnels", _down),
    "status": ("show the tunnels", ".commands.status", _named),
    "watch": ("follow what happens, one JSON object a line", ".commands.status", _watch),
    "answer": ("answer what the daemon asks", ".commands.answers", _answer),
    "signer": ("prove who we are with a key on a card, on a SIM or in an agent", ".commands.signer", _signer),
    "rekey": ("replace the keys of a tunnel", ".commands.tunnels", _rekey),
    "reauth": ("log in anew, without a break", ".commands.tunnels", _reauth),
    "wait": ("wait until a tunnel stands, or carries traffic", ".commands.waiting", _wait),
    "verify": ("compare the machine with what is wanted, and prove traffic", ".commands.verifying", _verify),
    "cleanup": ("end all tunnels and remove what is left of them", ".commands.tunnels", _state_dir),
    "lockdown": ("let nothing leave outside a tunnel, ever", ".commands.lockdown", _lockdown),
    "portal": ("let your browser out for a time, to log in to a network", ".commands.lockdown", _portal),
    "explain": ("say why a tunnel does not work, and what to do", ".commands.explaining", _explain),
    "probe": ("look at a gateway before there is a profile", ".commands.explaining", _probe),
    "doctor": ("look at this machine, and say what to do", ".commands.doctor", _doctor),
    "log": ("show what the daemon has logged", ".commands.logs", _log),
    "report": ("write a bundle for a report of a fault, without secrets", ".commands.reporting", _report),
    "rpc": ("call a method of the control protocol", ".commands.rpc", _rpc),
    "profiles": ("list the profiles, check, show or change them", ".commands.listing", arguments.profiles),
    "new": ("make a profile: a server, a user, done", ".commands.wizard", arguments.new),
    "import": ("make a profile of an administrator's file", ".commands.importing", arguments.import_),
    "export": ("write a profile for another program", ".commands.exporting", arguments.export),
    "version": ("show the versions of roam and of the daemon", ".commands.version", _plain),
    "tui": ("open the terminal UI", ".commands.terminal", _tui),
    "selftest": ("try what is installed here, in namespaces of this machine", ".demo", _plain),
    "demo": ("show a roaming tunnel in namespaces of this machine", ".demo", _demo),
}
"""name -> (help, module with a function of that name, its arguments)"""

if __name__ == "__main__":
    sys.exit(main())
