"""`roam down`, `roam rekey` and `roam cleanup`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from client.control.client import Client, socket_path
from client.control.kinds import DONE
from client.control.messages import ControlError

from .. import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

_CAP_NET_ADMIN = 12


def down(options: argparse.Namespace) -> int:
    """End the wish for a tunnel."""
    with Client(options.socket) as client:
        ended = client.down(options.name, force=options.force)
    if options.json:
        output.say(output.envelope("down", ended))
    else:
        output.say("\n".join(f"{name}: down" for name in ended.names) or "no tunnel was up")
    return DONE


def rekey(options: argparse.Namespace) -> int:
    """Ask for new keys; that they came, `roam watch` and `roam status` show."""
    with Client(options.socket) as client:
        accepted = client.rekey(options.name, ike=options.ike)
    if options.json:
        output.say(output.envelope("rekey", accepted))
    else:
        output.say(
            f"{accepted.tunnel.name}: new keys for the {'IKE' if options.ike else 'Child'} SA are under way"
        )
    return DONE


def cleanup(options: argparse.Namespace) -> int:
    """Ask the daemon to remove everything; without one, sweep ourselves."""
    try:
        with Client(options.socket) as client:
            removed = client.cleanup().removed
    except ControlError as error:
        if error.kind != "daemon.absent":
            raise
        return _sweep(options)
    if options.json:
        output.say(output.envelope("cleanup", {"removed": removed}))
    else:
        output.say("\n".join(removed) or "nothing was left")
    return DONE


def _sweep(options: argparse.Namespace) -> int:
    """Run `roamd --sweep`; its output is the user's, its exit code ours."""
    if not _may_change_the_network():
        evidence = "no daemon is running, and without one only root can remove routes and addresses"
        raise ControlError("permission.denied", evidence, "Run it again with sudo.")
    command = [_daemon_program(), "--sweep", "--socket", socket_path(options.socket)]
    if options.state_dir:
        command += ["--state-dir", options.state_dir]
    return subprocess.run(command, check=False).returncode


def _may_change_the_network() -> bool:
    if os.geteuid() == 0:
        return True
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return bool(effective >> _CAP_NET_ADMIN & 1)


def _daemon_program() -> str:
    """`roamd` of this installation, which lies beside our own interpreter."""
    beside = Path(sys.executable).with_name("roamd")
    found = str(beside) if beside.exists() else shutil.which("roamd")
    if found is None:
        raise ControlError("local.fault", "the program roamd is not installed", "Install Roam again.")
    return found
