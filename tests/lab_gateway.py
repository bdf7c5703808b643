"""The lab's own gateway for a laptop's profile `office`: an authority, a certificate, alice with her password."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from client.lab import pki
from client.lab.laptop import Laptop, program_environment, wait_for
from client.lab.namespaces import Surroundings
from client.lab.plan import GatewayPlan
from client.lab.topology import Topology

ANYBODY = GatewayPlan()


def enrol(laptop: Laptop, profile: str, password: str, plan: GatewayPlan = ANYBODY) -> Path:
    """Write the profile with what it refers to, and what the gateway is to be; the path of the latter."""
    authority = pki.make_authority("Office CA")
    issued = authority.issue("CN=vpn.example.com", dns=["vpn.example.com"], server=True)
    path = laptop.directory / "gateway.json"
    replace(
        plan,
        users={"alice": password},
        certificates=(pki.pem(issued.certificate),),
        key=pki.pem(issued.key),
    ).write(path)
    files = {"ca.pem": pki.pem(authority.certificate), "password": password}
    laptop.write_profile("office", profile, files)
    return path


def start_gateway(lab: Topology, plan: Path) -> subprocess.Popen[bytes]:
    """Returns when it listens; its log stands beside its plan."""
    log = plan.with_suffix(".log")
    with log.open("wb") as output:
        process = lab.gateway.start(
            [sys.executable, "-m", "client.lab.gateway", str(plan)],
            Surroundings(environment=program_environment(), output=output),
        )
    wait_for(lambda: b"ready" in log.read_bytes(), "no gateway", log)
    return process
