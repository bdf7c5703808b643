"""`roam wait`: for scripts and units that need a tunnel before they go on.

It outlives a restart of the daemon, and may be started before anybody wants the tunnel.
"""

from __future__ import annotations

import argparse
from ipaddress import ip_network
from time import monotonic, sleep

from client.control.client import Client
from client.control.kinds import DONE
from client.control.messages import ControlError, Subscribe, TunnelStatus

from .. import output, render
from ..render import CONNECTED

STIR_EVERY = 1.0
RETRY_EVERY = 0.5
_QUESTION = bytes.fromhex("524d01000001000000000000 00 0002 0001".replace(" ", ""))
"""DNS (RFC 1035): the name servers of the root, a question that every name server answers or refuses."""
_UNUSED_PORT = 33434
"""Where nobody listens: whoever has the address says so, and that is traffic too."""
_FIRST_ROUTER = {4: "203.0.113.1", 6: "2001:db8:ffff::1"}
"""Nobody's addresses (RFC 5737, RFC 3849).

A packet to them that may travel one hop comes as far as whoever forwards what a tunnel for everything carries,
mostly the gateway itself: that throws it away, says so, and nobody else sees it.
"""
_RETRIED = frozenset({"daemon.absent", "daemon.lost"})


def wait(options: argparse.Namespace) -> int:
    """Until a tunnel is as asked for; exit code 3 where it is not so in time."""
    patience = Patience(options.timeout, options.name)
    status = _wait(options, patience)
    if options.json:
        output.say(output.envelope("wait", status))
    else:
        output.say(render.connected(status) if status.state in CONNECTED else render.progress(status))
    return DONE


class Patience:
    """A deadline, and what was seen last: the reason to give when it has come."""

    def __init__(self, seconds: float, name: str | None) -> None:
        self.seconds = seconds
        self._name = name
        self.ends_at = monotonic() + seconds
        self.is_wanted = False
        self.seen = "no tunnel is wanted" if name is None else f'no tunnel called "{name}" is wanted'

    @property
    def is_over(self) -> bool:
        """Whether the deadline has come."""
        return monotonic() >= self.ends_at

    def failure(self, wish: str) -> ControlError:
        """Too late for the wish."""
        hint = (
            f"'roam up {self._name}' brings it up." if self._name is not None and not self.is_wanted else ""
        )
        return ControlError("tunnel.not_connected", f"no {wish} within {self.seconds:g} s: {self.seen}", hint)


def _wait(options: argparse.Namespace, patience: Patience) -> TunnelStatus:
    while True:
        try:
            with Client(options.socket) as client:
                return _watch(client, options, patience)
        except ControlError as error:
            if error.kind not in _RETRIED or monotonic() + RETRY_EVERY > patience.ends_at:
                raise
        sleep(RETRY_EVERY)


def _watch(client: Client, options: argparse.Namespace, patience: Patience) -> TunnelStatus:
    snapshot = client.subscribe(Subscribe(("tunnel",)))
    known = {(entry.name, entry.owner): entry for entry in snapshot.report.tunnels}
    stirred = 0.0
    while True:
        chosen = _choose(known, options.name)
        if chosen is not None:
            patience.is_wanted = True
            patience.seen = render.progress(chosen)
            if _fits(chosen, options):
                return chosen
            if options.wish == "traffic" and chosen.state == "up" and monotonic() >= stirred + STIR_EVERY:
                stirred = monotonic()
                stir(chosen)
        event = client.next_event(min(patience.ends_at, monotonic() + STIR_EVERY))
        if event is None and patience.is_over:
            raise patience.failure(options.state if options.wish == "state" else options.wish)
        if event is not None and isinstance(event.data, TunnelStatus):
            known[event.data.name, event.data.owner] = event.data


def _choose(known: dict[tuple[str, int], TunnelStatus], name: str | None) -> TunnelStatus | None:
    """The tunnel that is meant; without a name the only one that is wanted."""
    fitting = [entry for entry in known.values() if name in (None, entry.name)]
    wanted = [entry for entry in fitting if entry.state != "off"] or fitting
    if name is None and len(wanted) > 1:
        names = ", ".join(entry.name for entry in wanted)
        raise ControlError("usage", f"there are several tunnels: {names}", "Name one of them.")
    return wanted[0] if wanted else None


def _fits(entry: TunnelStatus, options: argparse.Namespace) -> bool:
    if options.wish == "state":
        return entry.state == options.state or (options.state == "up" and entry.state in CONNECTED)
    if entry.state not in CONNECTED:
        return False
    if options.wish == "dns":
        if entry.state == "up" and not entry.dns:
            raise ControlError(
                "tunnel.not_connected",
                f"{entry.name}: there are no name servers to be asked through it",
                "Name them in [dns] servers; a split tunnel needs search or route_only there, too.",
            )
        return bool(entry.resolver)
    return entry.traffic is not None and entry.traffic.packets_in > 0


def stir(entry: TunnelStatus) -> None:
    """Send something that is answered: nothing comes in through a tunnel that nobody uses."""
    import socket

    for address in _inside(entry):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        port = 53 if address in entry.dns else _UNUSED_PORT
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as sender:
                if address in _FIRST_ROUTER.values():
                    sender.setsockopt(*_hop_limit(family), 1)
                sender.sendto(_QUESTION, socket.MSG_DONTWAIT, (address, port))
        except OSError:
            continue  # not routed yet, or the guard is in between: the next time is soon


def _inside(entry: TunnelStatus) -> list[str]:
    """Addresses behind the gateway: its name servers, else the first one of what is routed there."""
    networks = [ip_network(route, strict=False) for route in entry.routes]
    if entry.dns:  # they answer, or do not let us to them: a tunnel for everything need not hang on that
        networks = [network for network in networks if not network.prefixlen]
    own = {address.partition("/")[0] for address in entry.addresses}
    hosts = [
        str(network.network_address + (network.num_addresses > 1))
        if network.prefixlen
        else _FIRST_ROUTER[network.version]
        for network in networks
    ]
    return [*entry.dns, *(host for host in hosts if host not in own)]


def _hop_limit(family: int) -> tuple[int, int]:
    import socket

    if family == socket.AF_INET6:
        return socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS
    return socket.IPPROTO_IP, socket.IP_TTL
