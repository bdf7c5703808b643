"""Who may do what over the control socket."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

import pytest

from client.control.access import PeerCredentials, peer_credentials
from client.control.async_client import AsyncClient
from client.control.handlers import Access, Caller
from client.control.messages import (
    LeakVerdict,
    StatusReport,
    TunnelStatus,
)
from client.control.methods import METHODS
from client.control.views import view_of_report
from tests.control.fake import GROUP, ROOT, FakeDaemon, serving
from tests.control.talk import MEMBER, STRANGER, exchange, request


@pytest.mark.parametrize("method", sorted(METHODS))
@pytest.mark.parametrize(
    ("peer", "access"), [(ROOT, Access.ADMIN), (MEMBER, Access.CONTROL), (STRANGER, Access.READ)]
)
def test_each_method_needs_its_access(path: Path, method: str, peer: PeerCredentials, access: Access) -> None:
    answer = exchange(path, request(method), FakeDaemon(), peer)
    denied = answer.get("error", {}).get("data", {}).get("kind") == "permission.denied"
    assert denied == (access < METHODS[method].access)


def test_reading_is_all_that_everybody_may() -> None:
    free = {name for name, method in METHODS.items() if method.access is Access.READ}
    assert free == {
        "hello",
        "profile.presets",  # what anybody may read in the documents
        "tunnel.status",
        "lockdown.status",
        "events.subscribe",
        "daemon.info",
    }


@pytest.mark.parametrize(
    ("peer", "access"),
    [
        (PeerCredentials(0, 0), "admin"),
        (PeerCredentials(990, 990), "admin"),  # the daemon's own user
        (PeerCredentials(1000, GROUP), "control"),
        (MEMBER, "control"),
        (PeerCredentials(65534, 65534, frozenset({65534})), "read"),
        (STRANGER, "read"),
    ],
)
def test_hello_tells_who_the_caller_is_and_what_he_may(
    path: Path, peer: PeerCredentials, access: str
) -> None:
    result = exchange(path, request("hello"), None, peer)["result"]
    assert (result["uid"], result["access"], result["protocol"]) == (peer.uid, access, 1)


def test_the_kernel_says_who_is_at_the_other_end(path: Path) -> None:
    async def run() -> PeerCredentials:
        seen: asyncio.Future[PeerCredentials] = asyncio.get_running_loop().create_future()
        async with serving(FakeDaemon(), path) as server:

            def look(connection: socket.socket) -> PeerCredentials:
                seen.set_result(peer_credentials(connection))
                return ROOT

            server._credentials = look
            async with AsyncClient(str(path)):
                return await seen

    peer = asyncio.run(run())
    assert (peer.uid, peer.gid) == (os.geteuid(), os.getegid())
    assert peer.groups == frozenset(os.getgroups())


def test_the_daemon_learns_the_callers_uid(path: Path) -> None:
    daemon = FakeDaemon()
    exchange(path, request("tunnel.up", name="x"), daemon, MEMBER)
    assert daemon.callers == [Caller(1000, Access.CONTROL)]


@pytest.mark.parametrize(
    ("peer", "identity"),
    [(ROOT, "gw"), (MEMBER, "gw"), (PeerCredentials(1002, GROUP), ""), (STRANGER, "")],
)
def test_a_status_is_redacted_for_others(path: Path, peer: PeerCredentials, identity: str) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = TunnelStatus("office", "up", owner=1000, identity="gw")
    (tunnel,) = exchange(path, request("tunnel.status"), daemon, peer)["result"]["tunnels"]
    assert (tunnel["state"], tunnel["identity"]) == ("up", identity)


def test_a_shared_tunnel_is_open_to_the_group(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = TunnelStatus("office", "up", owner=1000, shared=True, identity="gw")
    other = PeerCredentials(1002, GROUP)
    (tunnel,) = exchange(path, request("tunnel.status"), daemon, other)["result"]["tunnels"]
    assert tunnel["identity"] == "gw"


def test_a_verdict_names_no_network_of_a_tunnel_that_the_caller_may_not_see() -> None:
    verdict = LeakVerdict("IPv4", "partly", "10.77.0.0/24 to roam0, the rest leaves outside")
    report = StatusReport(1.0, tunnels=(TunnelStatus("office", "up", owner=1000),), leaks=(verdict,))
    assert view_of_report(report, Caller(1000, Access.CONTROL)).leaks == (verdict,)
    assert view_of_report(report, Caller(1001, Access.CONTROL)).leaks == (verdict.replace(why=""),)
