"""A daemon's world in virtual time: real sessions against the lab's responder, with invented sockets and machine.

Nothing here is a copy of our code: what a driver does to its ports is recorded, and the network carries datagrams
from one engine to the other, unless a test takes a cable out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_interface, ip_network

from client.control.messages import TunnelStatus
from client.daemon.applier import Applier
from client.daemon.driver import Driver, Wish
from client.daemon.names import Names
from client.daemon.ports import Receive, World
from client.daemon.status import Wished
from client.ike.events import (
    Address,
    AnswerNeeded,
    Channel,
    ChildSa,
    Endpoint,
    Failure,
    Inquiry,
    Path,
    Reply,
    Transmit,
)
from client.ike.keys import Secret
from client.ike.options import Lifetimes, SessionConfig
from client.ike.session import Session
from client.ike.trace import Sink
from client.lab.responder import GatewayConfig, Responder
from client.net.icmp import IcmpReport
from client.system import choice as data_path_choice
from client.system.datapath import Activity, Counters, DataPathEvent, DataPathFailed
from client.system.drift import Deviation
from client.system.plan import Step
from client.system.reconcile import Outcome, Problem
from client.system.resolver.choice import Choice, Kind, Way
from client.system.resolver.model import DnsConfig
from client.system.resolver.outcome import Outcome as ResolverOutcome
from client.system.userspace import IkeDatagram
from client.tunnel.model import (
    Link,
    LinkAddress,
    NetworkChange,
    NetworkState,
    Route,
    SystemConfig,
    TunnelConfig,
    Underlay,
)
from tests.daemon.virtual_loop import now
from tests.pair import GATEWAY, WALL, client_config, gateway_config
from tests.rng import SeededRng

LATENCY = 0.02
WIFI = "192.168.1.10"
LTE = "10.64.0.10"
CONFIG = TunnelConfig("office", ("vpn.example.com",))
USERSPACE = data_path_choice.Choice(data_path_choice.DataPathKind.USERSPACE, "a test has no kernel")
KERNEL = data_path_choice.Choice(data_path_choice.DataPathKind.XFRM, "a test has one")


UPLINKS = {WIFI: (2, "wifi0", 100), LTE: (3, "lte0", 200)}
"""Our address there -> index and name of the link, metric of its default route."""


def network(*addresses: str) -> NetworkState:
    """A laptop with these addresses."""
    uplinks = [
        (index, name, ip_address(address), metric)
        for address in addresses
        for index, name, metric in [UPLINKS[address]]
    ]
    return NetworkState(
        links=tuple(Link(index, name, up=True) for index, name, _, _ in uplinks),
        addresses=tuple(LinkAddress(index, ip_interface(f"{local}/24")) for index, _, local, _ in uplinks),
        routes=tuple(Route(ip_network("0.0.0.0/0"), index, metric=metric) for index, _, _, metric in uplinks),
    )


class Internet:
    """Carries datagrams between the sockets of the laptop and one gateway."""

    def __init__(self, gateway: GatewayConfig | None = None) -> None:
        self.config = gateway or gateway_config()
        self.gateway = Responder(self.config, SeededRng(1, "gateway"))
        self.is_gateway_up = True
        self.sockets: dict[Endpoint, FakeSockets] = {}
        self.addresses = {WIFI, LTE}
        self.public: dict[Address, Address] = {}  # as seen behind a NAT, by the address before it
        self.dead: set[str] = set()  # addresses on networks that carry nothing
        self.largest: dict[str, int] = {}  # octets of an IKE message that a network carries, by address on it
        self.sent: list[tuple[float, str]] = []
        self.questions = 0  # requests that find out by their size what the path carries
        self.ignores_questions = False  # the gateway answers none of them
        self.ignores_repetitions = False  # nor what is sent without the filling afterwards
        self._restarts = 0
        self._ignored: set[bytes] = set()  # SPI and message ID

    def restart_gateway(self) -> None:
        """It comes back without any memory."""
        self._restarts += 1
        self.gateway = Responder(self.config, SeededRng(self._restarts, "gateway restarted"))

    def open_path(self, underlay: Underlay, port: int, receive: Receive) -> FakeSockets:
        """As `client.net.udp.open_path`."""
        if str(underlay.local) not in self.addresses:
            raise OSError(99, "Cannot assign requested address")
        return FakeSockets(self, underlay, 40000 + 2 * len(self.sockets), receive)

    def to_gateway(self, data: bytes, channel: Channel, path: Path, *, whole: bool) -> None:
        """A datagram leaves the laptop."""
        self.sent.append((now(), str(path.local)))
        self.questions += whole
        request = data[:8] + data[20:24]
        if whole and self.ignores_questions:
            self._ignored.add(request)
        if request in self._ignored and (whole or self.ignores_repetitions):
            return
        carried = len(data) <= self.largest.get(str(path.local), 1 << 16)
        if carried and str(path.local) in self.addresses - self.dead and self.is_gateway_up:
            asyncio.get_running_loop().call_later(LATENCY, self._arrive, data, channel, path)

    def _arrive(self, data: bytes, channel: Channel, path: Path) -> None:
        local, remote = path.ends(channel)
        local = replace(local, address=self.public.get(local.address, local.address))
        self.gateway.handle_datagram(data, channel, remote, local, now(), WALL)
        self.turn()

    def turn(self) -> None:
        """Perform what the gateway lets out, and wake it again when it is due."""
        loop = asyncio.get_running_loop()
        for _, output in self.gateway.outputs():
            if isinstance(output, Transmit):
                loop.call_later(LATENCY, self._to_laptop, output)
        deadline = self.gateway.next_deadline()
        if deadline is not None:
            loop.call_at(deadline, self._expire, self.gateway)

    def _expire(self, gateway: Responder) -> None:
        if gateway is self.gateway and self.is_gateway_up:
            gateway.handle_timeout(now())
            self.turn()

    def _to_laptop(self, output: Transmit) -> None:
        source, target = output.path.ends(output.channel)
        private = {public: local for local, public in self.public.items()}
        target = replace(target, address=private.get(target.address, target.address))
        sockets = self.sockets.get(target)
        if sockets is not None and str(target.address) in self.addresses:
            sockets.arrive(output.data, output.channel, source)


class FakeSockets:
    """The two sockets of a path."""

    def __init__(self, internet: Internet, underlay: Underlay, port: int, receive: Receive) -> None:
        local, remote = underlay.local, underlay.remote
        self.path = Path(
            underlay.interface,
            Endpoint(local, port + 1),
            Endpoint(remote, 4500),
            Endpoint(local, port),
            Endpoint(remote, 500),
        )
        self.natt_fd = port
        self.icmp: tuple[IcmpReport, ...] = ()
        self.is_natt_read = True
        self._internet = internet
        self._receive = receive
        for end in (self.path.local_natt, self.path.ends(Channel.INIT)[0]):
            internet.sockets[end] = self

    def send(self, data: bytes, channel: Channel, *, whole: bool = False) -> None:
        self._internet.to_gateway(data, channel, self.path, whole=whole)

    def keep_alive(self) -> None:
        pass

    def leave_natt(self) -> None:
        self.is_natt_read = False

    def arrive(self, data: bytes, channel: Channel, source: Endpoint) -> None:
        """Whoever reads natt: the message ends at the driver."""
        self._receive(data, channel, source)

    def close(self) -> None:
        for end in [end for end, sockets in self._internet.sockets.items() if sockets is self]:
            del self._internet.sockets[end]


@dataclass
class FakeDataPath:
    """Remembers what a data path is told."""

    link: str
    kind: data_path_choice.DataPathKind
    lifetimes: Lifetimes
    guarded: bool = True
    children: dict[int, ChildSa] = field(default_factory=dict)
    outbound: int | None = None
    path: Path | None = None
    encapsulated: list[bool] = field(default_factory=list)
    is_closed: bool = False
    broken: str = ""
    changed: tuple[Deviation, ...] = ()
    packets: tuple[int, int] = (1, 2)  # that each Child SA has received and sent
    queue: asyncio.Queue[DataPathEvent | IkeDatagram] = field(default_factory=asyncio.Queue)

    def events(self) -> asyncio.Queue[DataPathEvent | IkeDatagram]:
        return self.queue

    async def install(self, child: ChildSa, path: Path, *, outbound: bool = True) -> None:
        self._check()
        self.children[child.spi_in] = child
        if outbound:
            self.outbound = child.spi_in

    async def use_outbound(self, spi_in: int) -> None:
        self._check()
        self.outbound = spi_in

    async def remove(self, spi_in: int) -> None:
        self._check()
        self.children.pop(spi_in, None)

    async def rebind(self, path: Path, natt_fd: int, *, encapsulate: bool) -> None:
        self._check()
        self.path = path
        self.encapsulated.append(encapsulate)

    async def counters(self) -> tuple[Counters, ...]:
        self._check()
        received, sent = self.packets
        return tuple(
            Counters(spi_in, received, 100 * received, sent, 100 * sent, 0) for spi_in in self.children
        )

    async def deviations(self) -> tuple[Deviation, ...]:
        self._check()
        return self.changed

    async def close(self) -> None:
        self.is_closed = True

    def die(self) -> None:
        """The pump is killed."""
        self.broken = "the pump is gone"
        self.queue.put_nowait(DataPathFailed("the pump is gone (killed by SIGKILL)"))

    def sends(self) -> None:
        """Traffic goes out, and nothing comes back."""
        self.queue.put_nowait(Activity(0.0, now()))

    def _check(self) -> None:
        if self.broken:
            raise ConnectionError(self.broken)


@dataclass
class FakeSystem:
    """Remembers the configurations that the machine was given."""

    configs: list[SystemConfig] = field(default_factory=list)
    problem: Problem | None = None
    refuses: Callable[[SystemConfig], bool] = lambda _desired: False
    """Which configurations cannot be made, so that the one before stays."""
    delay: float = 0.001
    repairs: int = 0
    drift: tuple[Step, ...] = ()
    """What somebody else has taken away whenever it is looked after."""

    async def apply(self, desired: SystemConfig, generation: int) -> Outcome:
        await asyncio.sleep(self.delay)
        if self.refuses(desired):
            refusal = Problem("rule add", "No space left on device", "Free memory.")
            return Outcome(generation, problems=(refusal,), undone=True)
        self.configs.append(desired)
        return Outcome(generation, problems=(self.problem,) if self.problem else ())

    async def repair(self) -> Outcome:
        self.repairs += 1
        return Outcome(0, self.drift, changed=self.drift)

    async def deviations(self) -> tuple[Deviation, ...]:
        return tuple(Deviation(str(step), "present", "missing") for step in self.drift)

    async def sweep(self, keep: SystemConfig) -> Outcome:
        self.configs.append(keep)
        return Outcome(0)

    @property
    def config(self) -> SystemConfig:
        """As the machine is now."""
        return self.configs[-1] if self.configs else SystemConfig()


@dataclass
class FakeResolver:
    """Remembers what name resolution should be; `events` has it in one list with what else was done."""

    events: list[object] = field(default_factory=list)
    choice: Choice | None = None
    problems: tuple[str, ...] = ()
    refusal: str = ""
    is_held: bool = True
    delay: float = 0.001
    repairs: int = 0

    async def apply(self, configs: Sequence[DnsConfig]) -> ResolverOutcome:
        await asyncio.sleep(self.delay)
        self.events.append(tuple(map(str, configs)))
        self.problems = (self.refusal,) if self.refusal else ()
        self.choice = Choice(Kind.FILE, Way.NOBODY if self.refusal else Way.DIRECT, "as a test has it")
        return ResolverOutcome(self.choice, self.problems)

    async def repair(self) -> ResolverOutcome:
        self.repairs += 1
        return ResolverOutcome(self.choice, self.problems)

    async def holds(self) -> bool:
        return self.is_held

    async def restore(self) -> ResolverOutcome:
        return await self.apply(())


@dataclass
class Machine:
    """One laptop: its network, its daemon's parts, and what they did."""

    internet: Internet
    network: NetworkState = field(default_factory=lambda: network(WIFI, LTE))
    system: FakeSystem = field(default_factory=FakeSystem)
    resolver: FakeResolver = field(default_factory=FakeResolver)
    data_paths: list[FakeDataPath] = field(default_factory=list)
    statuses: list[TunnelStatus] = field(default_factory=list)
    asked: list[Failure] = field(default_factory=list)
    asked_in_login: list[tuple[int, AnswerNeeded]] = field(default_factory=list)
    in_use: frozenset[Address] = frozenset()
    names: dict[str, tuple[Address, ...]] = field(default_factory=lambda: {"vpn.example.com": (GATEWAY,)})
    sessions: int = 0
    choice: data_path_choice.Choice = USERSPACE
    stalls: int = 0
    published: dict[str, Reply] = field(default_factory=dict)
    """What authorities say, by address; others are silent."""
    fetched: list[Inquiry] = field(default_factory=list)
    lacks: str = ""
    """Why no data path can be opened."""

    def __post_init__(self) -> None:
        self.applier = Applier(self.system, self._use, Names(self.resolver))
        self.world = World(
            clock=now,
            wall=lambda: WALL,
            epoch=lambda: 1_700_000_000.0,
            chance=lambda: 0.0,
            open_session=self._open_session,
            open_path=self.internet.open_path,
            choose_data_path=self._choose_data_path,
            open_data_path=self._open_data_path,
            resolve=self._resolve,
            count_stalls=lambda: self.stalls,
            fetch=self._fetch,
        )

    async def _fetch(self, inquiry: Inquiry, _underlay: Underlay, seconds: float) -> Reply:
        self.fetched.append(inquiry)
        if (reply := self.published.get(inquiry.url)) is not None:
            return reply
        await asyncio.sleep(seconds)
        return Reply(trouble="no answer in time")

    def ask_about(self, failure: Failure) -> None:
        """Nobody answers here."""
        self.asked.append(failure)

    def secret_replaced(self, was: Secret, now: Secret) -> None:
        raise AssertionError("nothing here replaces a secret")

    def ask_in_login(self, leg: int, needed: AnswerNeeded) -> None:
        """Nobody answers here."""
        self.asked_in_login.append((leg, needed))

    def withdraw(self, leg: int) -> None:
        """A login is over."""

    def _use(self, addresses: object) -> None:
        self.in_use = frozenset(addresses)  # type: ignore[call-overload]

    def _open_session(self, config: SessionConfig, sink: Sink) -> Session:
        self.sessions += 1
        return Session(config, SeededRng(self.sessions, "client"), sink)

    def _choose_data_path(self, wanted: str) -> data_path_choice.Choice:
        return self.choice if wanted == "auto" else data_path_choice.choose_data_path(wanted)

    async def _open_data_path(
        self, kind: data_path_choice.DataPathKind, link: str, mtu: int, lifetimes: Lifetimes, guarded: bool
    ) -> FakeDataPath:
        if self.lacks:
            raise OSError(self.lacks)
        self.data_paths.append(FakeDataPath(link, kind, lifetimes, guarded))
        return self.data_path

    async def _resolve(self, names: Sequence[str]) -> tuple[Address, ...]:
        await asyncio.sleep(LATENCY)
        found = tuple(address for name in names for address in self.names.get(name, ()))
        if not found:
            raise OSError(f"{', '.join(names)}: no such name")
        return found

    @property
    def data_path(self) -> FakeDataPath:
        """The latest."""
        return self.data_paths[-1]

    @property
    def states(self) -> list[str]:
        """The states that were told, each once in a row."""
        told = [status.state for status in self.statuses]
        return [state for n, state in enumerate(told) if n == 0 or told[n - 1] != state]

    @property
    def status(self) -> TunnelStatus:
        """The last one told."""
        return self.statuses[-1]

    def plug(self, driver: Driver, *addresses: str) -> None:
        """From now the laptop has these uplinks."""
        old, self.network = self.network, network(*addresses)
        self.internet.addresses = set(addresses)
        self.applier.adapt(self.network)
        driver.tell(NetworkChange(old, self.network))

    async def until(self, condition: Callable[[], bool], seconds: float = 200.0) -> float:
        """Let time pass until a condition holds; returns how long that was."""
        began = now()
        while not condition():
            assert now() - began < seconds, f"not within {seconds} s: {self.states}, {self.status}"
            await asyncio.sleep(0.01)
        return now() - began

    async def until_state(self, state: str, seconds: float = 200.0) -> float:
        """Let time pass until the tunnel is told to be so."""
        return await self.until(lambda: bool(self.statuses) and self.status.state == state, seconds)


def wish(
    session: SessionConfig | None = None,
    *,
    config: TunnelConfig = CONFIG,
    serial: int = 1,
    data_path: data_path_choice.Choice = USERSPACE,
) -> Wish:
    """The tunnel of these tests."""
    return Wish(
        config, session or client_config(), Wished(1000, False, "Office", serial), data_path=data_path
    )


@asynccontextmanager
async def driven(machine: Machine) -> AsyncIterator[Driver]:
    """A driver that runs, and an applier."""
    driver = Driver(
        CONFIG,
        Wished(1000, False, "Office", 0),
        "office",
        "roam0",
        machine.network,
        machine.world,
        machine.applier,
        machine.statuses.append,
        machine,
    )
    tasks = [asyncio.create_task(driver.run()), asyncio.create_task(machine.applier.run())]
    try:
        yield driver
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
