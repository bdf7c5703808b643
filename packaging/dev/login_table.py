"""Write the table of docs/authentication.md from what a run of the tests has shown, or compare the two.

    pytest tests/netns --record-logins FILE
    python packaging/dev/login_table.py [--check] FILE

A row stands there because a test has passed against that peer: wrong credentials were refused and not tried again,
the right ones let traffic through.  Ways to log in that no test has shown against a peer say so.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "authentication.md"
BEGIN, END = "<!-- what the tests have shown: make docs-tables -->", "<!-- end of the table -->"
HEAD = ("way to log in", "peer", "result", "test")
RESULT = "right in, wrong refused"
NOT_SHOWN = "*not shown*"

UNSHOWN = (
    "EAP-OTP",
    "certificate, ML-DSA",
)
"""What the engine does and no peer at hand can answer."""

Row = tuple[str, str, str, str]


def rows_of(results: list[dict[str, str]]) -> list[Row]:
    """The table's rows, those that were shown first."""
    shown = sorted((row["method"], row["peer"], RESULT, f"`{row['test']}`") for row in results)
    methods = {method for method, *_ in shown}
    return [*shown, *((method, "–", NOT_SHOWN, "–") for method in UNSHOWN if method not in methods)]


def table(rows: list[Row]) -> str:
    """As Markdown."""
    lines = [HEAD, tuple("---" for _ in HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def written() -> list[Row]:
    """The rows as they stand in the page."""
    inside = PAGE.read_text().partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in inside.splitlines() if line.startswith("| ")]
    cells = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
    return [(method, peer, result, test) for method, peer, result, test in cells[2:]]


def differences(results: list[dict[str, str]]) -> list[str]:
    """What this run has shown and the page does not say."""
    known = set(written())
    return [
        f"{method}, {peer}"
        for method, peer, result, test in rows_of(results)
        if result == RESULT and ((method, peer, result, test) not in known)
    ]


def main(arguments: list[str]) -> int:
    """Write, or compare with `--check`."""
    results = json.loads(Path(arguments[-1]).read_text())
    if arguments[0] == "--check":
        for line in differences(results):
            print(f"docs/authentication.md does not say that this was shown: {line}", file=sys.stderr)
        return 1 if differences(results) else 0
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(rows_of(results))}\n\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
