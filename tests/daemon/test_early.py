"""What a boot waits for: the guard under lockdown, without the rest of the daemon."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("client.daemon.service", "client.ike.session", "cryptography.x509", "dbus_fast")


def test_a_boot_waits_for_little() -> None:
    code = f"import sys, client.daemon.main; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
