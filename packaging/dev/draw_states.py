"""Draw the state diagrams of the READMEs from the transition tables.

    python packaging/dev/draw_states.py [--check]

A README names a module between `<!-- states: MODULE -->` and `<!-- end -->`; the diagram of the module's
TRANSITIONS stands there, in Mermaid.  With `--check` nothing is written: a diagram out of date is an error.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from enum import Enum
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
READMES = (ROOT / "client" / "README.md", ROOT / "client" / "ike" / "README.md")
SLOT = re.compile(r"(<!-- states: (\S+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def name_of(state: object) -> str:
    """A state is a member of an enumeration or a class."""
    if isinstance(state, Enum):
        return str(state.value)
    return state.__name__.lower() if isinstance(state, type) else str(state)


def diagram(transitions: Mapping[object, Iterable[object]]) -> str:
    """A Mermaid state diagram; the first state of the table is where it begins."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {name_of(next(iter(transitions)))}"]
    for state, followers in transitions.items():
        lines += [f"    {name_of(state)} --> {follower}" for follower in sorted(map(name_of, followers))]
        if not list(followers):
            lines.append(f"    {name_of(state)} --> [*]")
    return "\n".join([*lines, "```", ""])


def drawn(text: str) -> str:
    """A README's text with its diagrams made anew."""

    def fill(slot: re.Match[str]) -> str:
        return slot[1] + diagram(import_module(slot[2]).TRANSITIONS) + slot[4]

    return SLOT.sub(fill, text)


def main(arguments: list[str]) -> int:
    """Draw, or check."""
    sys.path.insert(0, str(ROOT))
    stale = [file for file in READMES if file.exists() and drawn(file.read_text()) != file.read_text()]
    for file in stale:
        if "--check" in arguments:
            print(f"{file.relative_to(ROOT)}: run python packaging/dev/draw_states.py", file=sys.stderr)
        else:
            file.write_text(drawn(file.read_text()))
    return 1 if stale and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
