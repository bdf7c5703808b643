"""What a profile is made from beside a person's answers: a look at the gateway, in words, and files."""

from __future__ import annotations

from pathlib import Path

from client.control.messages import ControlError

from .render import printable

PROBE_TIME = 90.0
"""Seconds that a look at a gateway may take: it asks slowly."""
LARGEST_FILE = 256 * 1024


def seen(found: dict[str, object]) -> list[str]:
    """The gateway's certificate and what it asks for, for a person to compare."""
    lines = []
    for address in _tables(found.get("addresses")):
        what = [str(address.get("address", ""))]
        what += [f"made by {address['vendor']}"] if address.get("vendor") else []
        asked = [str(word).removeprefix("request ") for word in _list(address.get("eap"))]
        methods = [word for word in asked if word != "Identity"] or asked
        what += [f"asks for {methods[0]}"] if methods else []
        lines.append(f"  {printable(', '.join(what))}")
        for shown in _tables(address.get("certificates")):
            names = ", ".join(str(name) for name in _list(shown.get("names")))
            lines.append(f"  certificate of {printable(str(shown.get('subject', '')))}")
            lines.append(f"    for {printable(names)}" if names else "    without a name to check")
            until = str(shown.get("not_after", ""))[:10]
            lines.append(f"    issued by {printable(str(shown.get('issuer', '')))}, valid until {until}")
            lines += _key(str(shown.get("pin") or ""))
    lines += [f"  {printable(str(note))}" for note in _list(found.get("notes"))]
    if found.get("preset"):
        lines.append(f"  preset that suits: {printable(str(found['preset']))}")
    return lines or ["  nothing answers there: the profile is made from what you say alone"]


def _key(pin: str) -> list[str]:
    """A fingerprint to be compared by eye: in groups of four, on two lines that fit on any screen."""
    digits = printable(pin.removeprefix("sha256:"))
    groups = [digits[n : n + 4] for n in range(0, len(digits), 4)]
    halves = [":".join(half) for half in (groups[:8], groups[8:]) if half]
    return [f"{start}{half}" for start, half in zip(("    its key: sha256:", " " * 20), halves, strict=False)]


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _tables(value: object) -> list[dict[str, object]]:
    return [entry for entry in _list(value) if isinstance(entry, dict)]


def read_material(name: str) -> bytes:
    """Octets of a certificate's or key's file; none without a name.  `ControlError` says what is wrong."""
    if not name:
        return b""
    try:
        with Path(name).expanduser().open("rb") as file:
            octets = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ControlError("file.unreadable", f"{name}: {error.strerror}") from None
    if len(octets) > LARGEST_FILE:
        raise ControlError("usage", f"{name} is larger than {LARGEST_FILE} octets")
    return octets
