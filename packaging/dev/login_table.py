"""Write the table of docs/authentication.md from what a run of the tests has shown.

    pytest tests/netns --record-logins FILE
    python packaging/dev/login_table.py FILE

A row stands there because a test has passed against that peer: wrong credentials were refused and not tried again,
the right ones let traffic through.  Ways to log in that no test has shown against a peer say so, and why.  Every
run of the tests compares what it has shown with the page (`tests/evidence.py`).
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

UNSHOWN = {
    "EAP-OTP": "neither strongSwan nor FreeRADIUS nor hostapd speaks it as a server",
    "EAP-TLS, TLS 1.3, strongSwan 5.9.8": "it speaks EAP with TLS 1.3 otherwise than RFC 9190",
    "EAP-TTLS, TLS 1.3, strongSwan 5.9.8": "likewise, than RFC 9427",
    "PEAP, TLS 1.3, hostapd 2.10": "it derives the keys of the cryptobinding otherwise than RFC 9427",
    "EAP-MSCHAPv2, an expired password is changed, FreeRADIUS 3.2.1": "it crashes in every change of its own",
    "EAP-TTLS with MSCHAPv2, an expired password is changed": "FreeRADIUS says there only that the login is "
    "refused; its own module has judged the attributes, behind a TTLS server of ours",
    "EAP-TLS, TLS 1.3, RSA, key in the SSH agent": "agents have no RSA-PSS: TLS 1.2 is spoken then",
    "EAP-AKA, strongSwan as the login server": "as Debian builds it, it has nobody who knows a subscription's key; "
    "hostapd behind it has",
    "certificate, ML-DSA": "strongSwan 5.9.8 and 6.0.1 do not know it, no release of it does yet",
}
"""What is not shown against a real peer, and why."""

Row = tuple[str, str, str, str]


def rows_of(results: list[dict[str, str]]) -> list[Row]:
    """The table's rows, those that were shown first."""
    shown = sorted((row["method"], row["peer"], RESULT, f"`{row['test']}`") for row in results)
    methods = {method for method, *_ in shown}
    missing = ((method, "–", f"{NOT_SHOWN}: {why}", "–") for method, why in UNSHOWN.items())
    return [*shown, *(row for row in missing if row[0] not in methods)]


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


def main(arguments: list[str]) -> int:
    """Write."""
    results = json.loads(Path(arguments[0]).read_text())
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(rows_of(results))}\n\n{END}{after}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
