"""The ledger on the underlay: {each state, each transition} × {IPv4, IPv6} × {TCP, UDP, ICMP, DNS} × ways to send.

What an ordinary user's programs send is counted where it would leave.  Each column has a control with the guard
off, in which the ledger must see the frame.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from ipaddress import ip_address, ip_interface, ip_network
from time import monotonic, time

import pytest
from pyroute2 import IPRoute

from client.lab.capture import Capture
from client.lab.links import Hop, add_addresses, add_routes, set_link
from client.net.netlink import snapshot as read_network
from client.system.nft import Nftables
from client.tunnel.merge import system_config
from client.tunnel.model import (
    RULE_PRIORITY,
    Lockdown,
    PortalPass,
    Stance,
    SystemConfig,
    TunnelConfig,
    TunnelUp,
    Underlay,
)
from tests.conftest import Record
from tests.evidence import CONTROLS, LEAKS, TRAINS
from tests.system.ledger import (
    GATEWAY_TARGETS,
    INTERNET,
    KINDS,
    RESOLVER,
    UPLINK,
    WAYS,
    Probe,
    Train,
    leaks,
    probes,
    seen,
    send_all,
    settle,
)
from tests.system.scene import FULL, GATEWAY, LAPTOP, LAPTOP_V6, NOBODY, STANDING, Scene

pytestmark = pytest.mark.netns

OURS = {4: LAPTOP, 6: LAPTOP_V6}
MOVED = {4: "192.168.1.77", 6: "2001:db8:1::77"}
SPLIT = TunnelConfig(
    "split",
    ("gw.example.com",),
    full=False,
    include=(ip_network("203.0.113.0/24"), ip_network("2001:db8:9::/64"), ip_network("192.0.2.0/24")),
    use_ts_from_gateway=False,
)
SPLIT_V6 = replace(SPLIT, include=(*SPLIT.include, ip_network("2001:db8:2::/64")))
NO_STANCE = Stance()
LOCKED = Stance(lockdown=Lockdown())
STRANGER = 65533


def config(
    *tunnels: tuple[TunnelConfig, TunnelUp | None],
    stance: Stance = NO_STANCE,
    local: str = LAPTOP,
) -> SystemConfig:
    paths = [Underlay(UPLINK, ip_address(local), ip_address(GATEWAY))] if tunnels else []
    return system_config({tunnel.name: (tunnel, up) for tunnel, up in tunnels}, read_network(), paths, stance)


# --- the states, as they are made on the machine

State = Callable[[Scene], None]


def connecting(scene: Scene) -> None:
    scene.apply(config((FULL, None)))


def standing(scene: Scene) -> None:
    connecting(scene)
    scene.make_link()
    scene.apply(config((FULL, STANDING)))


def without_lan(scene: Scene) -> None:
    scene.make_link()
    scene.apply(config((replace(FULL, allow_lan=False), STANDING)))


def moving(scene: Scene) -> None:
    standing(scene)
    add_addresses(UPLINK, [ip_interface(f"{MOVED[4]}/24")])
    scene.apply(config((FULL, STANDING), local=MOVED[4]))


def waiting(scene: Scene) -> None:
    """No path is left, and the session is kept."""
    standing(scene)
    scene.apply(replace(config((FULL, STANDING)), rules=config((FULL, None)).rules))


def reconnecting(scene: Scene) -> None:
    standing(scene)
    scene.lose_link()
    scene.apply(config((FULL, None)))


def killed(scene: Scene) -> None:
    standing(scene)
    scene.lose_link()


def killed_without_rules(scene: Scene) -> None:
    """What systemd-networkd may do: our rules are gone, the packet filter alone holds."""
    killed(scene)
    delete_rules()


def up_without_rules(scene: Scene) -> None:
    standing(scene)
    delete_rules()


def only_ipv4(scene: Scene) -> None:
    """The gateway gives an IPv4 address alone: the other family is blocked."""
    scene.make_link()
    inside = replace(STANDING.assigned, addresses=STANDING.assigned.addresses[:1])
    scene.apply(config((FULL, replace(STANDING, assigned=inside))))


def locked(scene: Scene) -> None:
    scene.apply(config(stance=LOCKED))


def locked_beside_split(scene: Scene) -> None:
    elsewhere = replace(SPLIT, include=(ip_network("10.77.0.0/24"),))
    scene.apply(config((elsewhere, None), stance=LOCKED))


def split_connecting(scene: Scene) -> None:
    scene.apply(config((SPLIT_V6, None)))


def split_standing(scene: Scene) -> None:
    scene.make_link()
    scene.apply(config((SPLIT_V6, STANDING)))


def split_without_rules(scene: Scene) -> None:
    split_standing(scene)
    delete_rules()


def portal_of_another(scene: Scene) -> None:
    portal = PortalPass(STRANGER, (), int(time()) + 60)
    scene.apply(config((FULL, None), stance=Stance(portal=portal)))


def portal_that_is_over(scene: Scene) -> None:
    portal = PortalPass(NOBODY, (ip_address(RESOLVER[4]),), int(time()) - 1)
    scene.apply(config((FULL, None), stance=Stance(portal=portal)))


def tunnel_vision(scene: Scene) -> None:
    """CVE-2024-3661: a DHCP server hands out more specific routes; here, before and after the tunnel stands."""
    offer_routes()
    standing(scene)
    offer_routes("198.51.100.0/24")


def tunnel_vision_connecting(scene: Scene) -> None:
    connecting(scene)
    offer_routes()


def tunnel_vision_without_rules(scene: Scene) -> None:
    tunnel_vision(scene)
    delete_rules()


def tunnel_vision_locked(scene: Scene) -> None:
    locked(scene)
    offer_routes()


def local_net(scene: Scene) -> None:
    """TunnelCrack LocalNet: the rogue network claims that the public addresses are on its link."""
    rogue = [f"{INTERNET[4].format(66)}/24", f"{INTERNET[6].format(66)}/64"]
    add_addresses(UPLINK, [ip_interface(text) for text in rogue])
    standing(scene)


def local_net_without_rules(scene: Scene) -> None:
    local_net(scene)
    delete_rules()


def offer_routes(*more: str) -> None:
    halves = ("0.0.0.0/1", "128.0.0.0/1", "203.0.113.0/25", f"{INTERNET[4].format(11)}/32", *more)
    halves6 = ("::/1", "8000::/1", f"{INTERNET[6].format(11)}/128")
    add_routes(UPLINK, [Hop(text, "192.168.1.1") for text in halves])
    add_routes(UPLINK, [Hop(text, "2001:db8:1::1") for text in halves6])


def delete_rules() -> None:
    with IPRoute() as netlink:
        for priority in (RULE_PRIORITY, RULE_PRIORITY + 1):
            for family in (socket.AF_INET, socket.AF_INET6):
                for _ in netlink.get_rules(family=family, FRA_PRIORITY=priority):
                    netlink.rule("del", family=family, priority=priority)


def filter_off() -> None:
    nftables = Nftables()
    nftables.remove()
    nftables.close()


STATES: dict[str, State] = {
    "connecting": connecting,
    "up": standing,
    "up, no LAN": without_lan,
    "up, IPv4 alone": only_ipv4,
    "up, rules taken away": up_without_rules,
    "moving": moving,
    "waiting": waiting,
    "reconnecting": reconnecting,
    "kill -9": killed,
    "kill -9, rules taken away": killed_without_rules,
    "lockdown": locked,
    "lockdown beside a split tunnel": locked_beside_split,
    "split, connecting": split_connecting,
    "split, up": split_standing,
    "split, rules taken away": split_without_rules,
    "portal, for another user": portal_of_another,
    "portal, after its time": portal_that_is_over,
    "TunnelVision": tunnel_vision,
    "TunnelVision while connecting": tunnel_vision_connecting,
    "TunnelVision, rules taken away": tunnel_vision_without_rules,
    "TunnelVision under lockdown": tunnel_vision_locked,
    "TunnelCrack LocalNet": local_net,
    "TunnelCrack LocalNet, rules taken away": local_net_without_rules,
}
COLUMNS = probes()
TURNS = 30  # of each transition


def test_there_are_cells_enough() -> None:
    assert len(COLUMNS) == 2 * len(KINDS) * len(WAYS)
    assert len(STATES) * len(COLUMNS) >= 500


@pytest.mark.parametrize("probe", [*COLUMNS, *probes(GATEWAY_TARGETS)], ids=str)
def test_control_with_the_guard_off_the_ledger_sees(
    wire: Scene, probe: Probe, record_property: Record
) -> None:
    with watched(wire) as capture:
        send_all([probe], OURS)
        assert seen(capture, [probe])
    way = f"{probe.way}, to the gateway" if probe not in COLUMNS else probe.way
    record_property(CONTROLS, (way, probe.cell, 1, 1))


@pytest.mark.parametrize("state", STATES)
def test_nothing_leaves_in_state(wire: Scene, state: str, record_property: Record) -> None:
    STATES[state](wire)
    sent = [*COLUMNS, *probes(GATEWAY_TARGETS)]
    with watched(wire) as capture:
        send_all(sent, OURS)
        settle()
    assert_nothing_left(capture)
    for probe in sent:
        record_property(LEAKS, (state, probe.cell, int(probe.is_seen_in(capture.flows)), 1))


def watched(scene: Scene) -> Capture:
    return Capture([(scene.laptop, UPLINK)])


def assert_nothing_left(capture: Capture) -> None:
    found = leaks(capture)
    assert not found, "\n".join(found)


def test_without_the_filter_routing_holds_but_for_sockets_bound_to_the_uplink(wire: Scene) -> None:
    """What docs/leaks.md says of kernels without nftables, and of the moment after somebody flushed it."""
    killed(wire)
    filter_off()
    bound = [probe for probe in COLUMNS if probe.way == "bound to the uplink"]
    with watched(wire) as capture:
        send_all([probe for probe in COLUMNS if probe not in bound], OURS)
        settle()
    assert_nothing_left(capture)
    with watched(wire) as capture:
        send_all(bound, OURS)
        assert seen(capture, bound)


# --- transitions: the probes go on while one state is made into another


def connect(scene: Scene) -> None:
    connecting(scene)
    scene.apply(config((FULL, STANDING)))


def roam(scene: Scene) -> None:
    for local in (MOVED[4], LAPTOP):
        scene.apply(config((FULL, STANDING), local=local))


def rekey(scene: Scene) -> None:
    """A new session with the same addresses."""
    scene.apply(config((FULL, STANDING)))


def reconnect(scene: Scene) -> None:
    scene.lose_link()
    scene.apply(config((FULL, None)))
    scene.make_link()
    scene.apply(config((FULL, STANDING)))


def kill_and_restart(scene: Scene) -> None:
    """The kernel keeps what the dead daemon made; the next one begins with what was wanted."""
    scene.lose_link()
    scene.apply(config((FULL, None)))
    scene.make_link()
    scene.apply(config((FULL, STANDING)))


def stop_under_lockdown(scene: Scene) -> None:
    scene.apply(config((FULL, STANDING), stance=LOCKED))
    scene.lose_link()
    scene.apply(config(stance=LOCKED))
    scene.sweep_but(config(stance=LOCKED))
    scene.make_link()
    scene.apply(config((FULL, STANDING), stance=LOCKED))


def other_network(scene: Scene) -> None:
    """The local network goes and comes: the rules differ, not only the routes."""
    set_link(UPLINK, up=False)
    scene.apply(config((FULL, STANDING)))
    set_link(UPLINK, up=True)
    add_routes(UPLINK, [Hop("0.0.0.0/0", "192.168.1.1")])
    scene.apply(config((FULL, STANDING)))


def portal_opens_for_another(scene: Scene) -> None:
    portal_of_another(scene)
    scene.apply(config((FULL, STANDING)))


TRANSITIONS: dict[str, tuple[State, int]] = {
    "connecting to up": (connect, 2),
    "roam": (roam, 2),
    "rekey": (rekey, 1),
    "reconnect": (reconnect, 2),
    "kill -9 and restart": (kill_and_restart, 2),
    "stop under lockdown": (stop_under_lockdown, 4),
    "another network": (other_network, 2),
    "portal": (portal_opens_for_another, 2),
}
"""Each with how often it makes the machine another one."""


def test_there_are_transitions_enough() -> None:
    assert TURNS * sum(changes for _, changes in TRANSITIONS.values()) >= 500


@pytest.mark.slow
@pytest.mark.parametrize("transition", TRANSITIONS)
def test_nothing_leaves_while(wire: Scene, transition: str, record_property: Record) -> None:
    standing(wire)
    add_addresses(UPLINK, [ip_interface(f"{MOVED[4]}/24")])
    change, changes = TRANSITIONS[transition]
    began, before = monotonic(), wire.changes
    with watched(wire) as capture, Train(COLUMNS, OURS) as train:
        for _ in range(TURNS):
            change(wire)
        elapsed = monotonic() - began
    assert wire.changes - before == TURNS * changes
    assert train.sent / elapsed > 1000  # a packet, or its refusal, each millisecond
    assert_nothing_left(capture)
    record_property(TRAINS, (transition, "transitions", 0, TURNS * changes))
    for probe in COLUMNS:
        left = int(probe.is_seen_in(capture.flows))
        record_property(TRAINS, (transition, probe.cell, left, train.sent // len(COLUMNS)))
