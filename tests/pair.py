"""Two engines with a network between them that tests control: latency, loss, duplication, NAT, virtual time.

`Pair` owns the time.  `step` delivers the next datagram or lets the next timer fire, whichever comes first, and
jumps there; nothing ever waits.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import TypedDict

from client.ike.authentication import KeySigner
from client.ike.events import (
    Channel,
    ChildSa,
    ChildUp,
    Closed,
    Endpoint,
    Established,
    Output,
    Path,
    Transmit,
)
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import (
    CertLogin,
    CertProof,
    EapLogin,
    Login,
    Proof,
    PskLogin,
    PskProof,
    SessionConfig,
)
from client.ike.proposals import PRESETS, parse_offer
from client.ike.registry import ProtocolId
from client.ike.selectors import ANY_IPV4, ANY_IPV6, selector_of
from client.ike.session import Session
from client.ike.states import SessionState
from client.ike.trust import Trust
from client.lab.eap_methods import Accounts
from client.lab.pki import Authority, make_authority
from client.lab.responder import GatewayConfig, Responder
from tests.rng import SeededRng


class Validity(TypedDict):
    """From when to when certificates of these tests are valid."""

    not_before: datetime
    not_after: datetime


WALL = datetime(2026, 6, 1, tzinfo=UTC)
GATEWAY = ip_address("192.0.2.1")
WIFI = ip_address("192.168.1.10")
LTE = ip_address("10.64.0.10")
PSK = Secret(b"correct horse battery staple")
AUTHORITY: Authority = make_authority(
    "CN=Test Root", not_before=datetime(2026, 1, 1, tzinfo=UTC), not_after=datetime(2036, 1, 1, tzinfo=UTC)
)
VALID: Validity = {
    "not_before": datetime(2026, 1, 1, tzinfo=UTC),
    "not_after": datetime(2030, 1, 1, tzinfo=UTC),
}
GATEWAY_CERT = AUTHORITY.issue("CN=vpn.example.com", dns=["vpn.example.com"], server=True, **VALID)
CLIENT_CERT = AUTHORITY.issue("CN=alice", emails=["alice@example.com"], server=False, **VALID)
GATEWAY_ID = Identity.parse("vpn.example.com")


def path_from(address: str, *, gateway: str = "192.0.2.1") -> Path:
    """A path of the client with the ports that its sockets would have."""
    local, remote = ip_address(address), ip_address(gateway)
    return Path(
        interface=f"if-{address}",
        local_natt=Endpoint(local, 40500),
        remote_natt=Endpoint(remote, 4500),
        local_init=Endpoint(local, 40000),
        remote_init=Endpoint(remote, 500),
    )


def client_config(login: Login | None = None, proof: Proof | None = None) -> SessionConfig:
    """A client of the gateway below: pre-shared key unless told otherwise."""
    ike, esp = PRESETS["modern"]
    return SessionConfig(
        local_id=Identity.parse("alice@example.com"),
        remote_id=GATEWAY_ID,
        send_idr=True,
        strict_idr=True,
        login=login or PskLogin(PSK),
        proof=proof or PskProof(PSK),
        ike_offer=parse_offer(ProtocolId.IKE, ike),
        esp_offer=parse_offer(ProtocolId.ESP, esp),
        local_selectors=(ANY_IPV4, ANY_IPV6),
        remote_selectors=(ANY_IPV4, ANY_IPV6),
    )


def gateway_config() -> GatewayConfig:
    """A gateway for all three logins; `clients` and `proof` choose."""
    ike, esp = PRESETS["modern"]
    return GatewayConfig(
        identity=GATEWAY_ID,
        ike_offer=parse_offer(ProtocolId.IKE, ike),
        esp_offer=parse_offer(ProtocolId.ESP, esp),
        selectors=(selector_of(ip_network("10.77.0.0/24")), selector_of(ip_network("fd77::/64"))),
        pools=(ip_network("10.99.0.0/24"), ip_network("fd99::/64")),
        psk=PSK,
        chain=GATEWAY_CERT.chain,
        signer=KeySigner(GATEWAY_CERT.key),
        client_anchors=(AUTHORITY.certificate,),
        accounts=Accounts({"alice": Secret(b"wonderland")}),
        dns=(ip_address("10.77.0.53"),),
        domains=("corp.example.com",),
        force_encapsulation=False,
    )


def eap_client(password: bytes = b"wonderland", *, name: str = "vpn.example.com") -> SessionConfig:
    """A client that logs in with a password and expects the gateway's certificate."""
    trust = Trust((AUTHORITY.certificate,), Identity.parse(name))
    return client_config(EapLogin("alice", Secret(password)), CertProof(trust))


def cert_client() -> SessionConfig:
    """A client with a certificate of its own."""
    trust = Trust((AUTHORITY.certificate,), GATEWAY_ID)
    return client_config(CertLogin(CLIENT_CERT.chain, KeySigner(CLIENT_CERT.key)), CertProof(trust))


@dataclass(order=True)
class Flight:
    """A datagram under way."""

    arrives: float
    number: int
    data: bytes = field(compare=False)
    to_gateway: bool = field(compare=False)
    channel: Channel = field(compare=False)
    source: Endpoint = field(compare=False)
    target: Endpoint = field(compare=False)


Fate = Callable[[Flight], Iterable[Flight]]
"""What the network makes of a datagram: nothing (lost), itself, several, changed or later ones."""


def deliver(flight: Flight) -> Iterable[Flight]:
    """The fate in a good network."""
    return (flight,)


class Pair:
    """A client session and the lab's responder."""

    def __init__(
        self,
        client: SessionConfig | None = None,
        gateway: GatewayConfig | None = None,
        *,
        seed: int | str = 1,
        latency: float = 0.02,
    ) -> None:
        self.now = 1000.0
        self.latency = latency
        self.seed = seed
        self.fate: Fate = deliver
        self.nat: dict[Endpoint, Endpoint] = {}
        self.config = client or client_config()
        self.responder = Responder(gateway or gateway_config(), SeededRng(seed, "gateway"))
        self.flights: list[Flight] = []
        self.sent: list[Flight] = []
        self.client_events: list[Output] = []
        self.gateway_events: list[Output] = []
        self._number = 0
        self._attempts = 0
        self.client = self.new_client()

    def new_client(self) -> Session:
        """A fresh session, as the controller makes one for every attempt."""
        self._attempts += 1
        self.client = Session(self.config, SeededRng(self.seed, f"client {self._attempts}"))
        return self.client

    # Network

    def hide_behind(self, inside: str, outside: str) -> None:
        """A NAT that translates an address, and ports by adding 10000."""
        for port in (40000, 40500):
            self.nat[Endpoint(ip_address(inside), port)] = Endpoint(ip_address(outside), port + 10000)

    def _transmit(self, output: Transmit, *, to_gateway: bool) -> None:
        source, target = output.path.ends(output.channel)
        if to_gateway:
            source = self.nat.get(source, source)
        self._number += 1
        flight = Flight(
            self.now + self.latency, self._number, output.data, to_gateway, output.channel, source, target
        )
        self.sent.append(flight)
        for copy in self.fate(flight):
            heapq.heappush(self.flights, copy)

    def _arrive(self, flight: Flight) -> None:
        if flight.to_gateway:
            self.responder.handle_datagram(
                flight.data, flight.channel, flight.target, flight.source, self.now, WALL
            )
            return
        inside = {outside: local for local, outside in self.nat.items()}.get(flight.target, flight.target)
        if self.client.path is not None and inside.address == self.client.path.local:
            self.client.handle_datagram(flight.data, flight.channel, flight.source, self.now)

    # Time

    def drain(self) -> None:
        """Perform what both ends let out."""
        for output in self.client.outputs():
            if isinstance(output, Transmit):
                self._transmit(output, to_gateway=True)
            else:
                self.client_events.append(output)
        for _, output in self.responder.outputs():
            if isinstance(output, Transmit):
                self._transmit(output, to_gateway=False)
            else:
                self.gateway_events.append(output)

    def step(self) -> bool:
        """Jump to the next thing that happens; False where nothing ever will."""
        self.drain()
        deadlines = [self.client.next_deadline(), self.responder.next_deadline()]
        arrival = self.flights[0].arrives if self.flights else None
        times = [at for at in (*deadlines, arrival) if at is not None]
        if not times:
            return False
        self.now = max(self.now, min(times))
        # What is in hand goes first, so that a reply beats its own time-out.
        if arrival is not None and arrival <= self.now:
            self._arrive(heapq.heappop(self.flights))
        else:
            self.client.handle_timeout(self.now)
            self.responder.handle_timeout(self.now)
        self.drain()
        return True

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Step until a condition holds; False where the time was over first."""
        end = self.now + seconds
        for _ in range(100_000):
            if until():
                return True
            self.drain()
            upcoming = [self.client.next_deadline(), self.responder.next_deadline()]
            upcoming += [flight.arrives for flight in self.flights[:1]]
            if min((at for at in upcoming if at is not None), default=end + 1) > end:
                self.now = end
                return until()
            self.step()
        raise AssertionError("the pair does not come to rest")

    # What tests do and ask

    def connect(self, address: str = "192.168.1.10", *, seconds: float = 100.0) -> bool:
        """Initiate and run until both ends stand, or the client gives up."""
        self.client.initiate(path_from(address), self.now, WALL)
        self.run(seconds, lambda: self.client.state is not SessionState.CONNECTING)
        self.settle()
        return self.client.state is SessionState.ESTABLISHED

    def settle(self) -> None:
        """Let everything under way arrive."""
        self.run(10 * self.latency)

    @property
    def gateway(self) -> Session:
        """The one session of the gateway."""
        (session,) = self.responder.sessions.values()
        return session

    def events(self, kind: type[Output]) -> list[Output]:
        """What the client let out of a kind."""
        return [event for event in self.client_events if isinstance(event, kind)]

    @property
    def closed(self) -> Closed | None:
        """How the client's session ended."""
        return next((event for event in self.client_events if isinstance(event, Closed)), None)

    @property
    def established(self) -> Established:
        """What the client knows of the gateway."""
        return next(event for event in self.client_events if isinstance(event, Established))

    def children_up(self) -> list[ChildUp]:
        """All Child SAs that the client installed, in order."""
        return [event for event in self.client_events if isinstance(event, ChildUp)]


def fit(ours: ChildSa, theirs: ChildSa) -> bool:
    """Whether two ends of a Child SA can speak to each other."""
    return (
        ours.spi_in == theirs.spi_out
        and ours.spi_out == theirs.spi_in
        and ours.keys.encr_in == theirs.keys.encr_out
        and ours.keys.encr_out == theirs.keys.encr_in
        and ours.local_selectors == theirs.remote_selectors
        and ours.remote_selectors == theirs.local_selectors
    )


def with_personality(**changes: object) -> GatewayConfig:
    """The gateway of these tests with another personality."""
    config = gateway_config()
    return replace(config, personality=replace(config.personality, **changes))  # type: ignore[arg-type]
