"""Roam as root against strongSwan, both on the kernel's ESP: names, lockdown, and what is left after kill -9."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from client.control.messages import LockdownSet
from client.lab.capture import Flow
from client.lab.laptop import last_lines, wait_for
from client.lab.topology import GATEWAY, SERVER, SERVER_V6
from client.lab.xfrm_dump import xfrm_lines
from tests.netns.peers.roadwarrior import Road

from .cases import Stage
from .office import PATIENCE, Office, running

_SERVERS = (f"nameserver {SERVER}", f"nameserver {SERVER_V6}")


@contextmanager
def the_machine() -> Iterator[Office]:
    """The daemon is root: /etc/resolv.conf is its own to write."""
    with running(None) as it:
        yield it


_stage = Stage(the_machine)


@_stage.case
def names_are_asked_for_through_the_tunnel(it: Office) -> str:
    before = it.laptop.etc.resolv_conf.read_text()
    with it.connected(Road(), '[dns]\nsearch = ["corp.example.com"]') as status:
        assert status.resolver == "file", status
        said = it.laptop.etc.resolv_conf.read_text()
        assert all(server in said for server in _SERVERS), said
    assert it.laptop.etc.resolv_conf.read_text() == before
    return f"{', '.join(status.dns)} by {status.resolver}, and as before afterwards"


@_stage.case
def lockdown_lets_out_nothing_while_connecting(it: Office) -> str:
    """Traffic for everywhere is tried all the time: before, while the tunnel is made, in it, and afterwards."""
    with it.control() as control:
        control.set_lockdown(LockdownSet(on=True, allow_lan=False))
        with it.nothing_in_clear() as capture:
            with it.connected(Road(), full=True):
                it.carries()
            sent = len(it.train.sent)
            wait_for(lambda: len(it.train.sent) > sent + 20, "nothing is tried")
        control.set_lockdown(LockdownSet(on=False))
    strangers = [flow for flow in capture.flows if flow.outgoing and not _may_leave(flow)]
    assert not strangers, strangers
    esp = sum(
        count for flow, count in capture.flows.items() if flow.outgoing and flow.destination_port == 4500
    )
    return f"{sum(capture.flows.values())} packets on the uplinks, {esp} of them to {GATEWAY}:4500"


def _may_leave(flow: Flow) -> bool:
    """IKE, ESP in UDP, and what a link needs to find its neighbours."""
    to_gateway = flow.destination == str(GATEWAY) and flow.destination_port in (500, 4500)
    return to_gateway or flow.protocol in ("arp", "icmp6")


@_stage.case
def a_killed_daemon_leaves_nothing_that_a_sweep_does_not_find(it: Office) -> str:
    """`roamd --sweep` empties the kernel's tables too."""
    it.prepare(Road())
    it.up()
    it.laptop.kill()
    left = it.lab.laptop.run(lambda: list(xfrm_lines()))
    assert left, "nothing was there to be swept"
    sweeping = it.laptop.launch("--sweep")
    assert sweeping.wait(PATIENCE) == 0, last_lines(it.laptop.log)
    return f"{len(left)} SAs and policies"
