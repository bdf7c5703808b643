"""Inside addresses that the embedded gateway gives out: one of each family to a client, stable by identity."""

from __future__ import annotations

from ipaddress import ip_interface

from ..ike.events import Interface, Network


class Pool:
    """Addresses from networks of the gateway; an identity gets its earlier address again."""

    def __init__(self, networks: tuple[Network, ...]) -> None:
        self._networks = networks
        self._leases: dict[tuple[str, int], Interface] = {}

    def lease(self, identity: str, version: int) -> Interface | None:
        """The address of a client in a family, None where the gateway has none to give."""
        key = (identity, version)
        if key not in self._leases:
            network = next((n for n in self._networks if n.version == version), None)
            if network is None:
                return None
            offset = 10 + sum(1 for _, family in self._leases if family == version)
            self._leases[key] = ip_interface(f"{network[offset]}/{network.max_prefixlen}")
        return self._leases[key]
