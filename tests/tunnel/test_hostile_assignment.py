"""From the octets of a configuration payload to what the machine should look like: whatever a gateway sends.

A row is what the gateway says; the check is what becomes of the machine, and what the user is told.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_address, ip_interface, ip_network

import pytest

from client.ike.configuration import MAX_VALUES, parse_reply
from client.ike.events import Failure, Kind, Selector
from client.ike.payloads import Attribute, Configuration
from client.ike.registry import CfgAttribute, CfgType
from client.system.resolver.model import wanted
from client.tunnel.assignment import usable
from client.tunnel.merge import system_config
from client.tunnel.model import (
    Link,
    LinkAddress,
    NetworkState,
    Route,
    SystemConfig,
    TunnelConfig,
    TunnelUp,
    Underlay,
)
from client.tunnel.selection import claims

ADDRESS, DNS = CfgAttribute.INTERNAL_IP4_ADDRESS, CfgAttribute.INTERNAL_IP4_DNS
ADDRESS6, DNS6 = CfgAttribute.INTERNAL_IP6_ADDRESS, CfgAttribute.INTERNAL_IP6_DNS
SUBNET, DOMAIN = CfgAttribute.INTERNAL_IP4_SUBNET, CfgAttribute.INTERNAL_DNS_DOMAIN

OURS, ROUTER, GATEWAY = "192.168.1.5", "192.168.1.1", "192.0.2.1"
LAN = ip_network("192.168.1.0/24")
NETWORK = NetworkState(
    (Link(2, "wlan0", up=True),),
    (LinkAddress(2, ip_interface(f"{OURS}/24")),),
    (Route(LAN, 2), Route(ip_network("0.0.0.0/0"), 2, ip_address(ROUTER))),
)
PATH = Underlay("wlan0", ip_address(OURS), ip_address(GATEWAY))
FULL = TunnelConfig("work", ("gw.example.com",))
SPLIT = replace(FULL, full=False, include=(ip_network("10.77.0.0/24"),))
EVERYTHING = (Selector(IPv4Address(0), IPv4Address(2**32 - 1)),)


def packed(*addresses: str) -> bytes:
    return b"".join(ip_address(address).packed for address in addresses)


def selector(text: str) -> Selector:
    network = ip_network(text)
    return Selector(network.network_address, network.broadcast_address)


INSIDE = (ADDRESS, packed("10.8.0.2"))


@dataclass
class Made:
    """What came of it."""

    system: SystemConfig
    told: tuple[str, ...]
    failure: Failure | None = None
    dns: tuple[str, ...] = field(default=())

    @property
    def tunnelled(self) -> set[str]:
        return {str(route.destination) for route in self.system.routes if route.link == "roam0"}

    @property
    def local(self) -> set[str]:
        return {str(route.destination) for route in self.system.routes if route.link == "wlan0"}

    @property
    def inside(self) -> set[str]:
        return {str(each.ip) for link in self.system.links for each in link.addresses}


def make(
    attributes: tuple[tuple[int, bytes], ...],
    config: TunnelConfig = FULL,
    selectors: tuple[Selector, ...] = EVERYTHING,
) -> Made:
    """As the daemon does it, from octets on."""
    payload = Configuration(CfgType.REPLY, tuple(Attribute(*each) for each in attributes))
    assigned = parse_reply(payload, ipv4=True, ipv6=True)
    up = usable(TunnelUp("roam0", assigned, selectors), NETWORK, PATH)
    if isinstance(up, Failure):
        return Made(SystemConfig(), (), up)
    names = wanted("roam0", up.assigned, full=config.full)
    servers = () if names.config is None else names.config.servers
    up = replace(up, resolvers=servers)
    told = (*up.assigned.ignored, *up.remarks, *claims(config, up, NETWORK), *names.remarks)
    system = system_config({"work": (config, up)}, NETWORK, [PATH])
    return Made(system, told, None, tuple(map(str, servers)))


def subnet(text: str) -> tuple[int, bytes]:
    network = ip_network(text)
    return SUBNET, packed(str(network.network_address), str(network.netmask))


THOUSANDS = tuple((DNS, packed(str(IPv4Address(0x0A4D0000 + n)))) for n in range(3000))
NETWORKS = tuple(subnet(f"10.{n // 250}.{n % 250}.0/24") for n in range(3000))
DOMAINS = (
    b"evil.example\nnameserver 192.0.2.66",
    b"evil.example;reboot",
    b"$(reboot).example",
    b"`reboot`",
    b"a\0b.example",
    b"\xff\xfe.example",
    b"..",
    b"a" * 64 + b".example",
    b".".join([b"a"] * 200),
    b"evil.example search other.example",
)

Check = Callable[[Made], bool]
ROWS: list[tuple[str, tuple[tuple[int, bytes], ...], TunnelConfig, tuple[Selector, ...], Check, str]] = [
    (
        "thousands of name servers",
        (INSIDE, *THOUSANDS),
        FULL,
        EVERYTHING,
        lambda made: len(made.dns) <= 3 and len(made.system.routes) < 20,
        f"the gateway gives 3000 name servers: {MAX_VALUES} are used",
    ),
    (
        "name servers that nobody is",
        (INSIDE, *((DNS, packed(each)) for each in ("0.0.0.0", "224.0.0.1", "127.0.0.1", "255.255.255.255"))),
        FULL,
        EVERYTHING,
        lambda made: made.dns == (),
        "4 of the gateway's name servers make no sense, and are left out",
    ),
    (
        "a name server that is this computer",
        (INSIDE, (DNS, packed(OURS)), (DNS, packed("10.77.0.53"))),
        FULL,
        EVERYTHING,
        lambda made: made.dns == ("10.77.0.53",),
        f"names {OURS} as name server, which is this computer itself: not used",
    ),
    (
        "a name server on the local network is asked through the tunnel alone",
        (INSIDE, (DNS, packed(ROUTER))),
        FULL,
        EVERYTHING,
        lambda made: f"{ROUTER}/32" in made.tunnelled and made.local == {str(LAN)},
        "",
    ),
    (
        "no address at all, of hosts that there are not",
        ((ADDRESS, packed("0.0.0.0")), (ADDRESS, packed("224.0.0.9")), INSIDE),
        FULL,
        EVERYTHING,
        lambda made: made.inside == {"10.8.0.2"},
        "2 of the gateway's inside addresses make no sense",
    ),
    (
        "domains with a line's end, and words for a shell",
        (INSIDE, (DNS, packed("10.77.0.53")), *((DOMAIN, each) for each in DOMAINS), (DOMAIN, b"ok.example")),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: made.dns == ("10.77.0.53",),
        f"{len(DOMAINS)} of the gateway's domains make no sense, and are left out",
    ),
    (
        "the local network's own prefix",
        (INSIDE, subnet(str(LAN))),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: made.tunnelled == {"10.77.0.0/24"},
        f"the gateway claims {LAN}, which is a local network here: it stays local",
    ),
    (
        "its halves",
        (INSIDE, subnet("192.168.1.0/25"), subnet("192.168.1.128/25")),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: made.tunnelled == {"10.77.0.0/24"},
        "the gateway claims 192.168.1.0/25",
    ),
    (
        "the router, by a selector of a tunnel for everything",
        (INSIDE,),
        FULL,
        (selector("10.77.0.0/24"), selector(f"{ROUTER}/32")),
        lambda made: made.tunnelled == {"10.77.0.0/24"} and made.local == {str(LAN)},
        f"the gateway claims {ROUTER}/32",
    ),
    (
        "what lies around the local network leaves it out",
        (INSIDE, subnet("192.168.0.0/16")),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: "192.168.0.0/16" in made.tunnelled and made.local == {str(LAN)},
        "",
    ),
    (
        "the local network, because the user asks for the one behind the tunnel",
        (INSIDE, subnet(str(LAN))),
        replace(SPLIT, include=(LAN,)),
        (selector(str(LAN)),),
        lambda made: made.tunnelled == {str(LAN)} and made.local == set(),
        "",
    ),
    (
        "everything in halves, to a split tunnel",
        (INSIDE, subnet("0.0.0.0/1"), subnet("128.0.0.0/1"), subnet("10.78.0.0/24")),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: made.tunnelled == {"10.77.0.0/24"},
        "the gateway claims everything of IPv4, and the profile says `split`: not used",
    ),
    (
        "everything by selectors that were not narrowed, which is common",
        (INSIDE,),
        SPLIT,
        EVERYTHING,
        lambda made: made.tunnelled == {"10.77.0.0/24"} and made.told == (),
        "",
    ),
    (
        "thousands of networks",
        (INSIDE, *NETWORKS),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: len(made.system.routes) < 3 * MAX_VALUES,
        f"the gateway gives 3000 networks: {MAX_VALUES} are used",
    ),
    (
        "networks that overlap, and repeat themselves",
        (INSIDE, subnet("10.64.0.0/10"), subnet("10.76.0.0/15"), *[subnet("10.77.0.0/24")] * 50),
        SPLIT,
        (selector("10.77.0.0/24"), selector("10.77.0.0/25")),
        lambda made: made.tunnelled == {"10.64.0.0/10", "10.76.0.0/15", "10.77.0.0/24"},
        "",
    ),
    (
        "loopback and multicast as networks",
        (INSIDE, subnet("127.0.0.0/8"), subnet("224.0.0.0/4"), subnet("169.254.0.0/16")),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: made.tunnelled == {"10.77.0.0/24"},
        "",
    ),
    (
        "the gateway's own outer address as a network",
        (INSIDE, subnet(f"{GATEWAY}/32")),
        SPLIT,
        (selector("10.77.0.0/24"),),
        lambda made: f"{GATEWAY}/32" in made.tunnelled,  # our own packets to it carry the mark
        "",
    ),
    (
        "attributes of odd lengths",
        (INSIDE, (DNS, b""), (DNS, b"\1"), (SUBNET, b"\1" * 7), (DNS6, b"\1" * 15), (ADDRESS6, b"\1" * 3)),
        FULL,
        EVERYTHING,
        lambda made: made.inside == {"10.8.0.2"} and made.dns == (),
        "2 of the gateway's name servers make no sense",
    ),
]


@pytest.mark.parametrize(
    ("attributes", "config", "selectors", "check", "told"),
    [row[1:] for row in ROWS],
    ids=[row[0] for row in ROWS],
)
def test_the_machine_stays_as_the_user_wants_it(
    attributes: tuple[tuple[int, bytes], ...],
    config: TunnelConfig,
    selectors: tuple[Selector, ...],
    check: Check,
    told: str,
) -> None:
    made = make(attributes, config, selectors)
    assert made.failure is None
    assert check(made), (made.tunnelled, made.local, made.inside, made.dns, made.told)
    assert told in "\n".join(made.told)
    assert all("\n" not in line and len(line) < 300 for line in made.told)
    guarded = {str(route.destination) for route in made.system.routes if route.link is None}
    assert guarded >= ({"0.0.0.0/0", "::/0"} if config.full else set(map(str, config.include)))


TAKEN = {
    OURS: "this computer's own on wlan0",
    ROUTER: "the router of wlan0",
    GATEWAY: "the gateway's own outer address",
}


@pytest.mark.parametrize("address", TAKEN)
def test_an_inside_address_that_is_in_use_here_is_refused_in_words(address: str) -> None:
    made = make(((ADDRESS, packed(address)),))
    assert made.failure is not None
    assert made.failure.kind is Kind.ADDRESS_NONE
    assert made.failure.evidence == f"the gateway assigned {address}, which is {TAKEN[address]}"
    assert "another network" in made.failure.hint


@pytest.mark.parametrize("address", TAKEN)
def test_with_another_family_beside_it_the_tunnel_stands_on_that(address: str) -> None:
    inside6 = (ADDRESS6, packed("fd01::2") + b"\x40")
    made = make(((ADDRESS, packed(address)), inside6), selectors=(*EVERYTHING, selector("::/0")))
    assert made.failure is None
    assert made.inside == {"fd01::2"}
    assert f"the gateway assigns {address}, which is {TAKEN[address]}: not used" in made.told
    assert "0.0.0.0/0" not in made.tunnelled
