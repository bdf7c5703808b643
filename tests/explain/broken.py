"""Broken gateways and networks in virtual time, and the evidence that they leave: the very recorder of the daemon.

What explains a failure is handed nothing but the `Evidence` that comes out here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from client.control.evidence import CheckRecord, Evidence, LocalRecord, LookupRecord
from client.daemon.recorder import Recorder
from client.daemon.records import local_record
from client.ike.events import Transmit
from client.ike.options import SessionConfig
from client.ike.probing import Probe
from client.ike.session import Session
from client.lab.responder import GatewayConfig
from tests.daemon.world import WIFI, network
from tests.pair import WALL, Flight, Pair, path_from
from tests.rng import SeededRng

UNIX = WALL.timestamp()
LAPTOP = local_record(network(WIFI), UNIX)
FOUND = LookupRecord(("vpn.example.com",), ("192.0.2.1",), servers=("192.168.1.1",))


class Watched(Pair):
    """A pair whose client is recorded, as the daemon records its tunnels."""

    def __init__(
        self, client: SessionConfig | None = None, gateway: GatewayConfig | None = None, *, unix: float = UNIX
    ) -> None:
        self.recorders: list[Recorder] = []
        self._told = 0
        self._unix = unix
        super().__init__(client, gateway)

    def new_client(self) -> Session:
        """A fresh session with a recorder beside it."""
        self._attempts += 1
        recorder = Recorder(self.config, path_from(WIFI), unix=self._unix + self.now, now=self.now)
        self.recorders.append(recorder)
        self.client = Session(self.config, SeededRng(self.seed, f"client {self._attempts}"), recorder.hear)
        return self.client

    @property
    def recorder(self) -> Recorder:
        """Of the last attempt."""
        return self.recorders[-1]

    def drain(self) -> None:
        """Perform what both ends let out, and note it."""
        super().drain()
        for event in self.client_events[self._told :]:
            self.recorder.note(event, self.now)
        self._told = len(self.client_events)

    def look_at_ports(self) -> None:
        """What the daemon does after a silence: ask again on both ports."""
        path = path_from(WIFI)
        probe = Probe(path, SeededRng(self.seed, "probe"), self.now, ports_only=True)
        play(probe, self)
        for what, reply in probe.findings.ports.items():
            self.recorder.note_check(
                CheckRecord(what, "answered" if reply.is_answer else "silent", reply.value)
            )

    def evidence(
        self,
        *,
        state: str = "waiting",
        lookup: LookupRecord | None = FOUND,
        local: LocalRecord | None = LAPTOP,
    ) -> Evidence:
        """The record of all attempts."""
        attempts = tuple(recorder.record(self.now) for recorder in self.recorders)
        return Evidence(
            name="office",
            gateway="vpn.example.com",
            time=self._unix,
            state=state,
            failure=attempts[-1].ended,
            failure_text=attempts[-1].ended_by,
            attempts=attempts,
            lookup=lookup,
            local=local,
        )


def play(probe: Probe, pair: Pair) -> None:
    """Let a probe ask the pair's gateway over the pair's network until it has asked everything."""
    flights: list[Flight] = []
    number = 0
    for _ in range(2000):
        probe.handle_timeout(pair.now)
        outgoing: list[Transmit] = probe.outputs()
        for sent in outgoing:
            number += 1
            source, target = sent.path.ends(sent.channel)
            flight = Flight(pair.now, number, sent.data, True, sent.channel, source, target)
            for copy in pair.fate(flight):
                pair.responder.handle_datagram(
                    copy.data, copy.channel, copy.target, copy.source, pair.now, WALL
                )
        for _, output in pair.responder.outputs():
            if isinstance(output, Transmit):
                number += 1
                source, target = output.path.ends(output.channel)
                flights += pair.fate(
                    Flight(pair.now, number, output.data, False, output.channel, source, target)
                )
        while flights:
            probe.handle_datagram(flights.pop(0).data, pair.now)
        deadline = probe.next_deadline()
        if deadline is None:
            return
        pair.now = max(pair.now, deadline)
    raise AssertionError("the probe does not come to an end")


Fate = Callable[[Flight], Iterable[Flight]]


def blocked(*ports: int) -> Fate:
    """A network that lets nothing through from or to these ports of the gateway."""
    return lambda flight: () if {flight.source.port, flight.target.port} & set(ports) else (flight,)


def without_fragments(largest: int = 1280) -> Fate:
    """A network that drops what IP has to fragment."""
    return lambda flight: (flight,) if len(flight.data) <= largest else ()


def losing_answers_of(size: int) -> Fate:
    """A network that loses the gateway's larger datagrams, and lets the last, shorter part of a message pass."""
    return lambda flight: (flight,) if flight.to_gateway or len(flight.data) < size else ()


def in_vain(
    client: SessionConfig | None = None,
    gateway: GatewayConfig | None = None,
    fate: Fate | None = None,
    *,
    unix: float = UNIX,
) -> Evidence:
    """Connect; afterwards look at the ports if nothing was answered."""
    pair = Watched(client, gateway, unix=unix)
    if fate is not None:
        pair.fate = fate
    assert not pair.connect(seconds=200), "it works"
    pair.run(20)
    if pair.recorder.record(pair.now).ended == "net.no_response":
        pair.look_at_ports()
    clock = LAPTOP.replace(clock=unix)
    return pair.evidence(local=clock)


def standing(client: SessionConfig | None = None, gateway: GatewayConfig | None = None) -> Watched:
    """A connection that stands."""
    pair = Watched(client, gateway)
    assert pair.connect()
    return pair
