"""OpenSSL is loaded where a profile needs it, and before the login does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LOADED = "import sys; print('OpenSSL' in sys.modules)"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_engine_and_the_daemon_do_not_load_it() -> None:
    assert run(f"import client.daemon.service, client.ike.session, client.config; {LOADED}") == "False"


@pytest.mark.parametrize(("word", "loaded"), [("MSCHAPV2", "False"), ("TLS", "True"), ("PEAP", "True")])
def test_warming_loads_what_the_methods_need(word: str, loaded: str) -> None:
    code = "from client.ike.eap.methods import warm; from client.ike.registry import EapType; "
    assert run(f"{code}warm([EapType.{word}]); {LOADED}") == loaded
