"""`roam down`, `roam rekey` and `roam cleanup`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic

from client.control.client import Client, socket_path
from client.control.kinds import DONE
from client.control.messages import ControlError, Ended, Subscribe, TunnelStatus

from .. import output
from ..render import CONNECTED
from . import is_profile, not_up

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

NOTHING = "nothing was left"
_CAP_NET_ADMIN = 12


def down(options: argparse.Namespace) -> int:
    """End the wish for a tunnel; where nobody wants it, that is done already."""
    try:
        with Client(options.socket) as client:
            ended = client.down(options.name, force=options.force)
    except ControlError as error:
        if error.kind != "tunnel.unknown" or not is_profile(options.name):
            raise
        ended = Ended()
    if options.json:
        output.say(output.envelope("down", ended))
    else:
        none = f"{options.name}: was not up" if options.name else "no tunnel was up"
        output.say("\n".join(f"{name}: down" for name in ended.names) or none)
    return DONE


def rekey(options: argparse.Namespace) -> int:
    """Ask for new keys, and wait until they are there."""
    with Client(options.socket) as client:
        client.subscribe(Subscribe(("tunnel",)))
        try:
            before = client.rekey(options.name, ike=options.ike).tunnel
        except ControlError as error:
            raise not_up(error, options.name) from None
        status = _renewed(client, before, options) if options.wait else before
    which = "IKE" if options.ike else "Child"
    _tell("rekey", status, f"the {which} SA has new keys", options)
    return DONE


def _tell(kind: str, status: TunnelStatus, done: str, options: argparse.Namespace) -> None:
    if options.json:
        output.say(output.envelope(kind, status))
    else:
        output.say(f"{status.name}: {done if options.wait else 'asked for'}")


def _renewed(client: Client, before: TunnelStatus, options: argparse.Namespace) -> TunnelStatus:
    """The status once the time of the next rekeying has moved, as it does with new keys."""
    deadline, ike = monotonic() + options.timeout, options.ike
    while (event := client.next_event(deadline)) is not None:
        status = event.data
        if not isinstance(status, TunnelStatus) or (status.name, status.owner) != (before.name, before.owner):
            continue
        if status.state not in CONNECTED:
            raise ControlError("tunnel.not_connected", f"{status.name} is {status.state} now")
        if _rekey_at(status, ike=ike) != _rekey_at(before, ike=ike):
            return status
    evidence = f"{before.name}: no new keys within {options.timeout:g} s; the old ones are in use"
    raise ControlError("net.no_response", evidence)


def _rekey_at(status: TunnelStatus, *, ike: bool) -> float | None:
    return status.ike_rekey_at if ike else status.child_rekey_at


def reauth(options: argparse.Namespace) -> int:
    """Log in anew, and wait until the new session has taken over."""
    with Client(options.socket) as client:
        client.subscribe(Subscribe(("tunnel",)))
        try:
            before = client.reauth(options.name).tunnel
        except ControlError as error:
            raise not_up(error, options.name) from None
        status = _logged_in(client, before, options.timeout) if options.wait else before
    _tell("reauth", status, "logged in anew", options)
    return DONE


def _logged_in(client: Client, before: TunnelStatus, patience: float) -> TunnelStatus:
    deadline = monotonic() + patience
    while (event := client.next_event(deadline)) is not None:
        status = event.data
        if not isinstance(status, TunnelStatus) or (status.name, status.owner) != (before.name, before.owner):
            continue
        if status.state not in CONNECTED:
            raise ControlError("tunnel.not_connected", f"{status.name} is {status.state} now")
        if status.session != before.session:
            return status
        if (failed := status.renewal) is not None:
            evidence = f"{status.name}: {failed.evidence}; the session from before is in use"
            raise ControlError(failed.kind, evidence, failed.hint)
        if status.asking:
            output.note(f"{status.name}: the gateway asks; answer with 'roam answer'")
    evidence = f"{before.name}: no new session within {patience:g} s; the one from before is in use"
    raise ControlError("net.no_response", evidence)


def cleanup(options: argparse.Namespace) -> int:
    """Ask the daemon to remove everything; without one, sweep ourselves."""
    try:
        with Client(options.socket) as client:
            removed = client.cleanup().removed
    except ControlError as error:
        if error.kind != "daemon.absent":
            raise
        return without_daemon(options, "--sweep")
    if options.json:
        output.say(output.envelope("cleanup", {"removed": removed}))
    else:
        output.say("\n".join(removed) or NOTHING)
    return DONE


def without_daemon(options: argparse.Namespace, wish: str) -> int:
    """Run `roamd` for this alone; what it says is for the user (or a program), its exit code ours."""
    if not _may_change_the_network():
        evidence = "no daemon is running, and without one only root can change the network"
        raise ControlError("permission.denied", evidence, "Run it again with sudo.")
    command = [daemon_program(), wish, "--socket", socket_path(options.socket)]
    if options.state_dir:
        command += ["--state-dir", options.state_dir]
    if not options.json:
        return subprocess.run(command, check=False).returncode
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line != NOTHING]
    if done.returncode == DONE:
        output.say(output.envelope(options.command, {"removed": lines}))
    else:
        output.say(
            output.envelope("error", {"kind": "local.fault", "evidence": "; ".join(lines), "hint": ""})
        )
    return done.returncode


def _may_change_the_network() -> bool:
    if os.geteuid() == 0:
        return True
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return bool(effective >> _CAP_NET_ADMIN & 1)


def daemon_program() -> str:
    """`roamd` of this installation, which lies beside our own interpreter."""
    beside = Path(sys.executable).with_name("roamd")
    found = str(beside) if beside.exists() else shutil.which("roamd")
    if found is None:
        raise ControlError("local.fault", "the program roamd is not installed", "Install Roam again.")
    return found
