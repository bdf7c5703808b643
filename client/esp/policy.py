"""Traffic selectors as a filter on inner packets (RFC 4301 section 5, RFC 7296 section 2.9)."""

from __future__ import annotations

from ..ike.events import Selector
from .inner import Flow, flow_of
from .protection import Octets

_MOST_VERDICTS = (
    4096  # address pairs remembered; then the table starts anew, so that a scan cannot fill the memory
)


class Policy:
    """Which inner packets one pair of SAs carries: those that match a selector at each end.

    Where no selector names a protocol or port the verdict hangs on the addresses alone and is remembered.
    """

    __slots__ = ("_local", "_remote", "_verdicts", "by_address")

    def __init__(self, local: tuple[Selector, ...], remote: tuple[Selector, ...]) -> None:
        self._local = tuple(_Matcher(selector) for selector in local)
        self._remote = tuple(_Matcher(selector) for selector in remote)
        self.by_address = all(matcher.any_flow for matcher in self._local + self._remote)  # and nothing else
        self._verdicts: dict[bytes, bool] = {}

    def permits_outbound(self, packet: Octets) -> bool:
        """Whether a whole IP packet of ours may go out on these SAs."""
        if not self.by_address:
            return self._matches(flow_of(packet))
        addresses = bytes(packet[12:20] if packet[0] >> 4 == 4 else packet[8:40])
        verdict = self._verdicts.get(addresses)
        return verdict if verdict is not None else self._decide(addresses, packet)

    def permits_inbound(self, packet: Octets) -> bool:
        """Whether a whole IP packet that came in on these SAs may be passed on."""
        if not self.by_address:
            return self._matches(_reversed(flow_of(packet)))
        if packet[0] >> 4 == 4:
            addresses = bytes(packet[16:20]) + packet[12:16]
        else:
            addresses = bytes(packet[24:40]) + packet[8:24]
        verdict = self._verdicts.get(addresses)
        return verdict if verdict is not None else self._decide(addresses, packet)

    def _decide(self, addresses: bytes, packet: Octets) -> bool:
        half = len(addresses) // 2
        ends = int.from_bytes(addresses[:half]), int.from_bytes(addresses[half:])
        verdict = self._matches(Flow(packet[0] >> 4, *ends, 0, None, None))
        if len(self._verdicts) >= _MOST_VERDICTS:
            self._verdicts.clear()
        self._verdicts[addresses] = verdict
        return verdict

    def _matches(self, flow: Flow) -> bool:
        """`flow` as seen from us: its source is the local end."""
        return any(
            m.matches(flow.version, flow.source, flow.protocol, flow.source_port) for m in self._local
        ) and any(
            m.matches(flow.version, flow.destination, flow.protocol, flow.destination_port)
            for m in self._remote
        )


def _reversed(flow: Flow) -> Flow:
    return flow._replace(
        source=flow.destination,
        destination=flow.source,
        source_port=flow.destination_port,
        destination_port=flow.source_port,
    )


class _Matcher:
    """One selector, its addresses as numbers."""

    __slots__ = ("_first", "_last", "_ports", "_protocol", "_version")

    def __init__(self, selector: Selector) -> None:
        self._version = selector.first.version
        self._first, self._last = int(selector.first), int(selector.last)
        self._protocol = selector.protocol
        self._ports = (selector.first_port, selector.last_port)

    @property
    def any_flow(self) -> bool:
        """Whether the selector names addresses only."""
        return self._protocol == 0 and self._ports == (0, 65535)

    def matches(self, version: int, address: int, protocol: int, port: int | None) -> bool:
        return (
            version == self._version
            and self._first <= address <= self._last
            and self._protocol in (0, protocol)
            and self._covers(port)
        )

    def _covers(self, port: int | None) -> bool:
        """A packet that does not show its port fits ANY and OPAQUE only (RFC 4301 section 4.4.1.1)."""
        first, last = self._ports
        if port is None:
            return (first, last) in ((0, 65535), (65535, 0))
        return first <= port <= last
