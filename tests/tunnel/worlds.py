"""A laptop with Wi-Fi and LTE, and one gateway: the world of the controller's tests."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

from client.ike.events import Address, Assigned
from client.tunnel.model import (
    Link,
    LinkAddress,
    NetworkState,
    Route,
    TunnelConfig,
    TunnelUp,
    Underlay,
)

GATEWAY = ip_address("203.0.113.1")
OTHER = ip_address("203.0.113.2")
CONFIG = TunnelConfig("office", ("vpn.example.com",))
UP = TunnelUp("roam0", Assigned((ip_interface("10.77.0.2/32"),)))
OTHER_UP = TunnelUp("roam0", Assigned((ip_interface("10.77.0.3/32"),)))

_WIFI, _LTE = 2, 3


def network(*, wifi: str | None = "192.0.2.10", lte: str | None = "198.51.100.20") -> NetworkState:
    """What is connected: our address on each uplink, None for one that is not there."""
    uplinks = [(_WIFI, "wifi0", wifi, 100), (_LTE, "lte0", lte, 200)]
    there = [(index, name, address, metric) for index, name, address, metric in uplinks if address]
    return NetworkState(
        links=tuple(Link(index, name, up=True) for index, name, _, _ in there),
        addresses=tuple(LinkAddress(index, ip_interface(f"{address}/24")) for index, _, address, _ in there),
        routes=tuple(Route(ip_network("0.0.0.0/0"), index, metric=metric) for index, _, _, metric in there),
    )


def only_to(address: Address) -> NetworkState:
    """Wi-Fi alone, and a route to one address alone."""
    wifi = network(lte=None)
    return NetworkState(wifi.links, wifi.addresses, (Route(ip_network(address), _WIFI),))


def over_wifi(local: str = "192.0.2.10", remote: Address = GATEWAY) -> Underlay:
    """A path over Wi-Fi."""
    return Underlay("wifi0", ip_address(local), remote)


def over_lte(local: str = "198.51.100.20", remote: Address = GATEWAY) -> Underlay:
    """A path over LTE."""
    return Underlay("lte0", ip_address(local), remote)


BOTH = network()
WIFI_ONLY = network(lte=None)
LTE_ONLY = network(wifi=None)
NOTHING = network(wifi=None, lte=None)
WIFI = over_wifi()
LTE = over_lte()
