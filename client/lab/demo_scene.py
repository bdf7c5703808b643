"""What the demo is played with: the lab's network, a gateway process in it, and a laptop with one profile."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from . import pki
from .laptop import Laptop, daemon_account, program_environment, wait_for
from .namespaces import Surroundings
from .plan import GatewayPlan
from .topology import GATEWAY, SERVER, Topology

USER = "alice"
NAME = "vpn.example.com"
PROFILE = f"""\
schema = 1
id = "demo"
name = "Roam demo"

[gateway]
addresses = ["{GATEWAY}"]

[identity]
local = {{ type = "email", value = "{USER}@example.com" }}
remote = {{ type = "fqdn", value = "{NAME}" }}

[[auth.local]]
method = "eap"
identity = "{USER}"
secret = "file:password"

[trust]
ca = ["file:ca.pem"]
system_store = false

[routing]
mode = "split"
include = ["10.77.0.0/24", "fd77::/64"]
"""


class Scene:
    """Commands: `prepare` (once), `start_gateway`, `kill_gateway`; the laptop has its own.

    Everything is below `directory`; credentials are made anew for each scene.
    """

    def __init__(self, lab: Topology, directory: Path) -> None:
        self.lab = lab
        self.laptop = Laptop(lab.laptop, directory, daemon_account())
        self.log = directory / "gateway.log"
        self._plan = directory / "gateway.json"
        self._gateway: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Make the credentials of both ends and the profile."""
        authority = pki.make_authority("CN=Roam demo")
        issued = authority.issue(f"CN={NAME}", dns=[NAME], server=True)
        password = os.urandom(12).hex()
        GatewayPlan(
            users={USER: password},
            certificates=(pki.pem(issued.certificate),),
            key=pki.pem(issued.key),
            dns=(str(SERVER),),
        ).write(self._plan)
        files = {"ca.pem": pki.pem(authority.certificate), "password": password}
        self.laptop.write_profile("demo", PROFILE, files)

    def start_gateway(self) -> None:
        """Start the gateway and wait until it listens."""
        arguments = [sys.executable, "-m", "client.lab.gateway", str(self._plan)]
        with self.log.open("ab") as log:
            around = Surroundings(environment=program_environment(), output=log)
            self._gateway = self.lab.gateway.start(arguments, around)
        wait_for(
            lambda: b"ready" in self.log.read_bytes().splitlines()[-1:],
            "the embedded gateway did not start",
            self.log,
        )

    def kill_gateway(self) -> None:
        """End it as a power cut does: it forgets everything and tells nobody."""
        if self._gateway is not None:
            self._gateway.kill()
            self._gateway.wait()
            self._gateway = None
