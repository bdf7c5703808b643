"""The lab's internet: a laptop with two uplinks, and a gateway with a protected server behind it.

```
                 wlan0          lan  wifi  wan
           ┌──────────────────────── router ─────┐            wan          lan       lan
  laptop ──┤ 192.168.1.23      198.51.100.2      ├─ internet ───── gateway ─────── server
           └──────────────────────── router ─────┘       192.0.2.1        10.77.0.1
             100.64.0.23  wwan0  lte  203.0.113.2        2001:db8::1      fd77::1
``` Six namespaces.  Both routers translate IPv4 addresses (`nat=False`: plain routers); IPv6 is routed, as
outside. Documentation and private addresses only.  The server stands in a namespace of its own: a protected
address on the gateway itself would be answered without any tunnel and prove nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface

from pyroute2.netlink.exceptions import NetlinkError

from ..ike.events import Interface
from . import links, nat
from .isolation import LabUnavailable
from .links import Hop
from .namespaces import Namespace

GATEWAY = IPv4Address("192.0.2.1")
GATEWAY_V6 = IPv6Address("2001:db8::1")
SERVER = IPv4Address("10.77.0.1")
SERVER_V6 = IPv6Address("fd77::1")
Pair = tuple[Interface, Interface]  # IPv4, IPv6
_ANYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, slots=True)
class UplinkPlan:
    """The addresses of one of the laptop's uplinks and of the router behind it."""

    name: str
    link: str
    metric: int
    laptop: Pair
    router: Pair
    public: Pair
    upstream: Pair  # the far end of the router's `wan`


def _pair(v4: str, v6: str) -> Pair:
    return IPv4Interface(v4), IPv6Interface(v6)


WIFI = UplinkPlan(
    name="wifi",
    link="wlan0",
    metric=100,
    laptop=_pair("192.168.1.23/24", "2001:db8:1::23/64"),
    router=_pair("192.168.1.1/24", "2001:db8:1::1/64"),
    public=_pair("198.51.100.2/24", "2001:db8:a1::2/64"),
    upstream=_pair("198.51.100.1/24", "2001:db8:a1::1/64"),
)
LTE = UplinkPlan(
    name="lte",
    link="wwan0",
    metric=200,
    laptop=_pair("100.64.0.23/24", "2001:db8:2::23/64"),
    router=_pair("100.64.0.1/24", "2001:db8:2::1/64"),
    public=_pair("203.0.113.2/24", "2001:db8:a2::2/64"),
    upstream=_pair("203.0.113.1/24", "2001:db8:a2::1/64"),
)
_CORE = _pair("192.0.2.254/24", "2001:db8::fe/64")
_GATEWAY_WAN = _pair(f"{GATEWAY}/24", f"{GATEWAY_V6}/64")
_GATEWAY_LAN = _pair("10.77.0.254/24", "fd77::fe/64")
_SERVER_LAN = _pair(f"{SERVER}/24", f"{SERVER_V6}/64")


class Uplink:
    """One of the laptop's uplinks with its router: the verbs of roaming."""

    def __init__(self, plan: UplinkPlan, laptop: Namespace, router: Namespace) -> None:
        self.plan = plan
        self.router = router
        self._laptop = laptop

    def down(self) -> None:
        """The link goes away, and with it its addresses and routes (Wi-Fi switched off)."""
        self._laptop.run(lambda: links.set_link(self.plan.link, up=False))

    def up(self) -> None:
        """The link comes back, with the addresses and the default routes that DHCP and SLAAC would give."""
        self.address(*self.plan.laptop)
        self._laptop.run(partial(links.settle, self.plan.link))

    def address(self, *interfaces: Interface) -> None:
        """Like `up`, with these addresses in place of all others: a renewed lease."""
        plan = self.plan

        def inside() -> None:
            links.set_link(plan.link, up=True)
            links.replace_addresses(plan.link, interfaces)
            families = {interface.version for interface in interfaces}
            links.add_routes(plan.link, [hop for hop in _defaults(plan) if _version(hop) in families])

        self._laptop.run(inside)

    def unplug(self) -> None:
        """The carrier is lost while the link stays configured (out of range)."""
        self.router.run(lambda: links.set_link("lan", up=False))

    def plug(self) -> None:
        """The carrier is back."""
        plan = self.plan

        def inside() -> None:
            links.set_link("lan", up=True)
            links.replace_addresses("lan", plan.router)

        self.router.run(inside)

    def lose(self, percent: int) -> None:
        """Drop this share of the packets in both directions; 100 is a silent dead end, 0 heals."""
        self.router.run(lambda: nat.lose(percent))

    def forget_translations(self) -> None:
        """The router forgets its NAT mappings: known flows get other ports from their next packet on."""
        self.router.run(nat.forget)


@dataclass(frozen=True, slots=True)
class Topology:
    """All namespaces of the lab, by their part."""

    laptop: Namespace
    wifi: Uplink
    lte: Uplink
    internet: Namespace
    gateway: Namespace
    server: Namespace


@contextmanager
def topology(*, nat: bool = True) -> Iterator[Topology]:
    """Build the lab; on exit, whatever the reason, its processes are stopped and its namespaces gone.

    Raises `LabUnavailable`.
    """
    with ExitStack() as stack:

        def create(name: str) -> Namespace:
            namespace = Namespace.create(name)
            stack.callback(namespace.close)
            return namespace

        try:
            laptop, internet, gateway, server = map(create, ("laptop", "internet", "gateway", "server"))
            wifi, lte = (Uplink(plan, laptop, create(plan.name)) for plan in (WIFI, LTE))
            lab = Topology(laptop, wifi, lte, internet, gateway, server)
            _build(lab, nat=nat)
        except (OSError, NetlinkError) as error:
            raise LabUnavailable(_missing(error)) from error
        yield lab


def _build(lab: Topology, *, nat: bool) -> None:
    for namespace in (lab.laptop, lab.wifi.router, lab.lte.router, lab.internet, lab.gateway, lab.server):
        namespace.run(_prepare)
    for namespace in (lab.wifi.router, lab.lte.router, lab.internet, lab.gateway):
        namespace.run(_forward)
    for uplink in (lab.wifi, lab.lte):
        _build_uplink(lab, uplink, translate=nat)
    _build_core(lab)
    for uplink in (lab.wifi, lab.lte):
        lab.laptop.run(partial(links.settle, uplink.plan.link))


def _prepare() -> None:
    """What every namespace has: a loopback link, and IPv6 addresses that are usable at once."""
    for scope in ("all", "default"):
        links.sysctl(f"net.ipv6.conf.{scope}.accept_dad", 0)
        links.sysctl(f"net.ipv6.conf.{scope}.accept_ra", 0)
        links.sysctl(f"net.ipv4.conf.{scope}.promote_secondaries", 1)  # as systemd sets it everywhere
    links.set_link("lo", up=True)


def _forward() -> None:
    links.sysctl("net.ipv4.ip_forward", 1)
    links.sysctl("net.ipv6.conf.all.forwarding", 1)


def _build_uplink(lab: Topology, uplink: Uplink, *, translate: bool) -> None:
    plan, router = uplink.plan, uplink.router
    links.connect(lab.laptop, plan.link, router, "lan")
    links.connect(router, "wan", lab.internet, plan.name)

    def inside_router() -> None:
        _configure("lan", plan.router)
        _configure(
            "wan",
            plan.public,
            [Hop(to, str(far.ip)) for to, far in zip(_ANYWHERE, plan.upstream, strict=True)],
        )
        if translate:
            nat.masquerade("wan")

    router.run(inside_router)
    back = [Hop(str(net.network), str(near.ip)) for net, near in zip(plan.laptop, plan.public, strict=True)]
    lab.internet.run(lambda: _configure(plan.name, plan.upstream, back[1:] if translate else back))
    uplink.up()


def _build_core(lab: Topology) -> None:
    links.connect(lab.internet, "core", lab.gateway, "wan")
    links.connect(lab.gateway, "lan", lab.server, "lan")
    outwards = [Hop(to, str(far.ip)) for to, far in zip(_ANYWHERE, _CORE, strict=True)]
    homewards = [Hop(to, str(far.ip)) for to, far in zip(_ANYWHERE, _GATEWAY_LAN, strict=True)]

    def inside_gateway() -> None:
        _configure("wan", _GATEWAY_WAN, outwards)
        _configure("lan", _GATEWAY_LAN)

    lab.internet.run(lambda: _configure("core", _CORE))
    lab.gateway.run(inside_gateway)
    lab.server.run(lambda: _configure("lan", _SERVER_LAN, homewards))


def _configure(name: str, interfaces: tuple[Interface, ...], hops: list[Hop] | None = None) -> None:
    links.set_link(name, up=True)
    links.add_addresses(name, interfaces)
    links.add_routes(name, hops or [])


def _defaults(plan: UplinkPlan) -> list[Hop]:
    return [Hop(to, str(router.ip), plan.metric) for to, router in zip(_ANYWHERE, plan.router, strict=True)]


def _version(hop: Hop) -> int:
    return 6 if ":" in hop.gateway else 4


def _missing(error: OSError | NetlinkError) -> str:
    return (
        f"The lab's network could not be built ({error}); it needs a kernel with veth links, IPv6 and "
        "nftables masquerading, and the right to use them."
    )
