"""Another program changes what is Roam's, once or again and again: put back, told, and closed meanwhile."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest
from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from client.control.client import Client
from client.control.verification import Verified, Verify
from client.lab.echo import EchoServer
from client.lab.laptop import wait_for
from client.lab.topology import SERVER
from client.tunnel.model import TABLE
from tests.daemon.test_lockdown import Scene, gateway, remove_filter, scene  # noqa: F401 - a fixture

pytestmark = [pytest.mark.netns, pytest.mark.slow]

RULE = 7301
LINK = "roam0"


def link(netlink: IPRoute) -> int:
    return int(netlink.link_lookup(ifname=LINK)[0])


def routed(act: Callable[[IPRoute], object]) -> Callable[[], None]:
    def inside() -> None:
        with IPRoute() as netlink:
            act(netlink)

    return inside


def take_rule(netlink: IPRoute, family: int = socket.AF_INET) -> None:
    netlink.rule("del", priority=RULE, family=family)


def take_route(netlink: IPRoute, **fields: object) -> None:
    netlink.route("del", dst="0.0.0.0/0", table=TABLE, proto=2, **fields)


def take_address(netlink: IPRoute) -> None:
    (found,) = netlink.get_addr(index=link(netlink), family=socket.AF_INET)
    netlink.addr(
        "del", index=link(netlink), address=found.get_attr("IFA_ADDRESS"), prefixlen=found["prefixlen"]
    )


DRIFTS: dict[str, Callable[[], None]] = {
    "a rule": routed(take_rule),
    "a rule of IPv6": routed(lambda netlink: take_rule(netlink, socket.AF_INET6)),
    "a route": routed(lambda netlink: take_route(netlink, oif=link(netlink), priority=100, scope=253)),
    "a blackhole": routed(lambda netlink: take_route(netlink, type="blackhole", priority=2000)),
    "all routes": routed(lambda netlink: netlink.flush_routes(table=TABLE)),
    "an address": routed(take_address),
    "an address too many": routed(
        lambda netlink: netlink.addr("add", index=link(netlink), address="10.9.9.9", prefixlen=32)
    ),
    "the MTU": routed(lambda netlink: netlink.link("set", index=link(netlink), mtu=1500)),
    "a link that is down": routed(lambda netlink: netlink.link("set", index=link(netlink), state="down")),
    "the packet filter": remove_filter,
}


def verify(played: Scene, seconds: float = 3.0) -> Verified:
    with Client(str(played.laptop.socket)) as client:
        return client.verify(Verify(target=str(SERVER), seconds=seconds))


def deviates(played: Scene) -> bool:
    return bool(verify(played, 0.01).deviations)


@contextmanager
def standing(played: Scene) -> Iterator[None]:
    with gateway(played), EchoServer(played.lab.server, SERVER):
        played.laptop.start()
        played.laptop.roam("up", "office")
        yield


def test_what_others_take_away_is_put_back_and_nothing_leaves_meanwhile(scene: Scene) -> None:  # noqa: F811
    with standing(scene):
        found = verify(scene)
        assert (found.verdict, found.deviations, found.proof.ike) == ("", (), True)
        assert found.proof.sent
        assert found.proof.received
        with scene.nothing_leaves():
            for name, take in DRIFTS.items():
                scene.lab.laptop.run(take)
                wait_for(lambda: not deviates(scene), f"{name}: not put back", scene.laptop.log)
                assert scene.reaches_server(), name


def test_a_link_that_is_deleted_costs_a_moment_and_lets_nothing_out(scene: Scene) -> None:  # noqa: F811
    with standing(scene), scene.nothing_leaves():
        scene.lab.laptop.run(routed(lambda netlink: netlink.link("del", index=link(netlink))))
        wait_for(scene.reaches_server, "no traffic again", scene.laptop.log)
        wait_for(lambda: not verify(scene).verdict, "it is not as it was", scene.laptop.log)


def fighting(played: Scene, over: threading.Event) -> None:
    """Somebody who wants no rule of ours to be there."""
    with played.lab.laptop.entered(), IPRoute() as netlink:
        while not over.wait(0.02):
            with suppress(NetlinkError):
                take_rule(netlink)


def says_so(played: Scene) -> bool:
    """Whether `roam verify` misses the rule: for a moment after each repair it is there."""
    done = played.laptop.run("verify")
    return done.returncode == 1 and "deviates  rule IPv4" in done.stdout


def test_who_keeps_taking_a_rule_away_is_named_and_gets_nothing_out(scene: Scene) -> None:  # noqa: F811
    over = threading.Event()
    other = threading.Thread(target=fighting, args=(scene, over), daemon=True)
    with standing(scene):
        with scene.nothing_leaves():
            other.start()
            with Client(str(scene.laptop.socket)) as client:
                wait_for(lambda: client.lockdown().fight != "", "nobody tells of it", scene.laptop.log)
                told = client.lockdown().fight
            assert f"process {os.getpid()}" in told
            assert f"keeps undoing 'rule add IPv4 {RULE}:" in told
            assert "leave the rules 7300 to 7309" in told
            assert "others: " in scene.laptop.run("status").stdout
            wait_for(lambda: says_so(scene), "it is not seen", scene.laptop.log)
        over.set()
        other.join(10)
        wait_for(lambda: not verify(scene).verdict, "no peace", scene.laptop.log)
        assert scene.reaches_server()
