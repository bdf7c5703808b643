"""Arguments of the commands about profiles."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def import_(parser: argparse.ArgumentParser) -> None:
    """Of `roam import`."""
    parser.add_argument("file", metavar="FILE", help="of an administrator or provider; - reads stdin")
    parser.add_argument("--name", metavar="NAME", help="the profile's name, instead of the file's own")
    parser.add_argument("--server", metavar="HOST", help="the gateway, for a file that names none (.p12)")
    parser.add_argument("--user", metavar="NAME", help="your name, for a file that does not say it")
    parser.add_argument("--dry-run", action="store_true", help="show what it would be, and write nothing")
    parser.add_argument("--force", action="store_true", help="overwrite a profile of this name")
    parser.add_argument(
        "--keep-secrets", action="store_true", help="put passwords of the file into the keyring unasked"
    )


def profiles(parser: argparse.ArgumentParser) -> None:
    """Of `roam profiles`."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="one profile, instead of all")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true", help="say what is wrong, with the key in each message")
    what.add_argument("--show", action="store_true", help="every value of NAME, and where it comes from")
    what.add_argument(
        "--set", metavar="KEY=VALUE", action="append", default=[], help="change NAME; comments are kept"
    )


def export(parser: argparse.ArgumentParser) -> None:
    """Of `roam export`."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="without it, the only one there is")
    parser.add_argument(
        "--to", choices=("mobileconfig", "sswan", "swanctl"), required=True, help="the program to write for"
    )
    parser.add_argument("--output", "-o", metavar="FILE", help="the file to write; - for stdout")
    parser.add_argument("--force", action="store_true", help="overwrite files")


def new(parser: argparse.ArgumentParser) -> None:
    """Of `roam new`."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="the profile's name")
    parser.add_argument("--server", metavar="HOST", help="the gateway's name or address")
    parser.add_argument("--user", metavar="USER", help="your name at the gateway")
    parser.add_argument("--login", choices=("password", "cert", "psk"), help="how you log in")
    parser.add_argument("--cert", metavar="FILE", help="your certificate with its key (.p12 or PEM)")
    parser.add_argument(
        "--ca",
        metavar="FILE",
        help="its CA's certificate; system: a public one; ask: compare its key yourself",
    )
    parser.add_argument(
        "--shared-key", action="store_true", help="the gateway proves itself by a pre-shared key (FortiGate)"
    )
    parser.add_argument("--preset", metavar="PRESET", help="kind of gateway (docs/presets.md), or none")
    parser.add_argument(
        "--network", metavar="NETWORK", action="append", default=[], help="only this through the tunnel"
    )
    parser.add_argument(
        "--static", metavar="ADDRESS", action="append", default=[], help="our inside address, with its length"
    )
    parser.add_argument("--no-probe", action="store_true", help="do not look at the gateway")
    parser.add_argument("--force", action="store_true", help="overwrite a profile of this name")
    parser.add_argument("--yes", "-y", action="store_true", help="ask nothing")
