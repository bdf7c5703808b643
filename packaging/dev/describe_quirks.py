"""Write docs/quirks.md: what Roam does differently for some gateways, from the tables that it tells it by.

    python packaging/dev/describe_quirks.py [--check]

With `--check` nothing is written: a page out of date is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "quirks.md"
sys.path.insert(0, str(ROOT))

from client.explain.quirks import ADAPTATIONS, PECULIARITIES, VENDORS, Adaptation  # noqa: E402 - outside the packages
from profiles.model import Quirks  # noqa: E402

_HEAD = """\
# Peculiar gateways

<!-- made by packaging/dev/describe_quirks.py -->

Not every gateway does what the standards say, or does it in ways that are easy to get on with. Where one *shows*
such a peculiarity, by a vendor ID, a notify or its behaviour, Roam adapts to it. It never guesses from a name or an
address, and what it has learnt is forgotten at `roam down` and at the next `roam up`.

`roam status NAME`, `roam explain NAME` and, in the terminal UI, the details and the *why* view show each adaptation
in use: what Roam does, the evidence, and the key that switches it off:

```toml
[quirks]
small_login = "off"      # never; "on": always; "auto" (the default): where the gateway shows the need
no_pfs = "off"
```

An adaptation that is switched off is shown too, once the gateway has given the reason for it.

## What Roam does differently
"""
_BESIDE = """
## What is told beside

These follow from the standards. They are shown because they explain what one sees; the profile decides:

| seen | means | setting |
|---|---|---|"""
_RETIRED = """
## What is too old

Gateways that have nothing better than DES, 3DES, MD5 or group 1 (768 bits) cannot be reached, also not with
`allow_legacy`. RFC 8247 forbids all of these but 3DES; that has blocks of 64 bits, which repeat themselves after
some gigabytes of traffic, and RFC 8221 says not to use it for ESP. On such a gateway its administrator should turn
on AES (`aes256` or `aes128`) with SHA-256 and group 14, for IKE and for ESP: gateways with IKEv2 have had these
for ten years and more. `roam probe` shows what a gateway has."""
_VENDORS = """
## Vendor IDs

Gateways may say who made them, by octets that their makers have chosen (RFC 7296 section 3.12). These are known by
how they begin:

| begins with | is | known from |
|---|---|---|"""


def page() -> str:
    """The whole page."""
    parts = [
        _HEAD,
        *(line for row in ADAPTATIONS for line in _adaptation(row)),
        _BESIDE.lstrip("\n"),
        *(_row(entry.name, entry.means, entry.switch) for entry in PECULIARITIES),
        _RETIRED,
        _VENDORS,
        *(_row(f"`{vendor.prefix}`", vendor.name, vendor.source) for vendor in VENDORS),
    ]
    return "\n".join(parts) + "\n"


def _adaptation(row: Adaptation) -> Iterator[str]:
    words = ", ".join(f'`"{word}"`' for word in get_args(get_type_hints(Quirks)[row.name]))
    yield f"### `{row.name}`\n"
    yield f"Roam {row.does}.\n"
    yield f"- Shown by: {row.shows}."
    yield f"- Known from: {row.who} ({row.reference})."
    yield f"- Switched off: {row.without}."
    yield f"- Values: {words}.\n"


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> int:
    """Write the page, or compare it."""
    text = page()
    if "--check" in sys.argv:
        return 0 if PAGE.read_text() == text else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
