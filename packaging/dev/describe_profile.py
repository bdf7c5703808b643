"""Write docs/profile.md, the reference of profile keys, from the model's own table.

    python packaging/dev/describe_profile.py [--check]

With `--check` nothing is written: a page out of date is an error.
"""

# ruff: noqa: ANN401 - types of fields are what `Any` is for

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "profile.md"
sys.path.insert(0, str(ROOT))

from profiles import model  # noqa: E402 - the script stands outside the packages
from profiles.check import UNAVAILABLE  # noqa: E402

HEAD = """\
# Profile keys (schema 1)

<!-- made by packaging/dev/describe_profile.py from profiles/model.py -->

A profile is a TOML file: `~/.config/roam/profiles/NAME.toml` of a user, or `/etc/roam/profiles/NAME.toml` of the
system. Its `id` is `NAME`. An unknown key is an error.

Secrets never stand in a profile, only references to them:

| reference | means |
|---|---|
| `keyring:NAME` | the password of user `NAME` of the service `roam` in the caller's keyring |
| `file:PATH` | a file that belongs to the caller alone (0600); a relative path starts at the profile |
| `credential:NAME` | a systemd credential |
| `ask:` or `ask:PROMPT` | asked when it is needed: at `roam up`, or by the daemon (`roam answer`) |

Certificates and keys are `file:` or `credential:` references to PEM (a CA also DER) that need not be private. A key
may stay where it is, and its holder is asked for signatures or, of a SIM, for answers:

| reference | key |
|---|---|
| `pkcs11:URI` | on a card or token (RFC 7512), for `cert` with the certificate; needs `roam-vpn[pkcs11]` |
| `agent:KEY` | in the SSH agent: fingerprint as `ssh-add -l` prints it, or comment; `agent:` is the certificate's |
| `sim:` or `sim:WHICH` | on the SIM (`aka`) in a card reader; WHICH: `reader=NAME;imsi=DIGITS`, either or both |
"""
TAIL = """\
## Not in this version

Revocation is read and without effect. These are refused:

| key | that asks for |
|---|---|"""
WORDS = {str: "text", int: "number", bool: "true or false", model.Name: "text or table"}
ADDRESSES = {
    model.Address: "address",
    model.Network: "network",
    model.Interface: "address with prefix length",
}


def page() -> str:
    """The whole page."""
    refused = [f"| `{path}` | {what} |" for path, what, _asked in UNAVAILABLE]
    return "\n".join([HEAD, *section("", model.Profile), TAIL, *refused, ""])


def section(path: str, shape: Any) -> Iterator[str]:
    """The keys of one table, then its sub-tables."""
    own = [entry for entry in fields(shape) if not is_table(hint(shape, entry))]
    if path and own:
        yield f"## {'[[' if shape is model.LocalRound else '['}{path}{']]' if shape is model.LocalRound else ']'}\n"
    if own:
        yield "| key | meaning | type | default |\n|---|---|---|---|"
        yield from (row(shape, entry) for entry in own)
        yield ""
    for entry in fields(shape):
        if is_table(wanted := hint(shape, entry)):
            yield from section(f"{path}.{entry.name}".lstrip("."), bare(wanted))


def hint(shape: Any, entry: Field[Any]) -> Any:
    """The type of a field."""
    return get_type_hints(shape)[entry.name]


def bare(wanted: Any) -> Any:
    """A type without its list and without `| None`."""
    while wanted not in ADDRESSES and get_origin(wanted) not in (None, Literal):
        wanted = get_args(wanted)[0]
    return wanted


def is_table(wanted: Any) -> bool:
    """Whether a key is a table of its own; an identity is shown as one value."""
    return is_dataclass(bare(wanted)) and bare(wanted) is not model.Name


def row(shape: Any, entry: Field[Any]) -> str:
    """One key."""
    wanted = hint(shape, entry)
    word = word_of(bare(wanted))
    if get_origin(wanted) is tuple:
        word = f"list: {word}"
    least, most, unit = (entry.metadata[name] for name in ("least", "most", "unit"))
    if least is not None:
        word = f"{word} {least}–{most} {unit}".rstrip()
    return f"| `{entry.name}` | {entry.metadata['text']} | {word} | {default_of(entry)} |"


def word_of(kind: Any) -> str:
    """A type in words."""
    if get_origin(kind) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(kind))
    return ADDRESSES.get(kind) or WORDS[kind]


def default_of(entry: Field[Any]) -> str:
    """The default as TOML writes it."""
    value = entry.default
    if value is MISSING:
        return "required"
    if value in (None, (), ""):
        return "–"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`".replace("'", '"')
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def main(arguments: list[str]) -> int:
    """Write, or check."""
    text = page()
    if "--check" not in arguments:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(text)
        return 0
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    print("docs/profile.md: run python packaging/dev/describe_profile.py", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
