"""What the READMEs draw from tables is what the tables say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_state_diagrams_are_drawn_from_the_present_tables() -> None:
    command = [sys.executable, str(ROOT / "packaging" / "dev" / "draw_states.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
