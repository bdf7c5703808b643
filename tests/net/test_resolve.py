"""The resolver against name servers of the test's own, in a namespace where only loopback exists."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from client.ike.events import Address
from client.lab.links import add_addresses, connect, set_link
from client.lab.namespaces import Namespace
from client.net import resolve
from client.net.resolve import ResolveError, Resolver, Sources
from client.tunnel.model import MARK, SOURCE_PORTS, TABLE
from tests.net.dnsserver import Answers, NameServer, Spoil, honest, serving, silent, truncated, with_rcode

pytestmark = pytest.mark.netns

ANSWERS: Answers = {
    "gw.example.com": ("192.0.2.1", "2001:db8::1"),
    "v4.example.com": ("192.0.2.4",),
    "alias.example.com": (">v4.example.com",),
    "empty.example.com": (),
    "blocked.example.com": ("0.0.0.0", "127.0.0.1", "::1", "224.0.0.1"),
}


@dataclass
class Scene:
    directory: Path
    stack: AsyncExitStack
    servers: list[NameServer] = field(default_factory=list)

    @property
    def sources(self) -> Sources:
        return Sources(*(self.directory / name for name in ("hosts", "resolv.conf", "upstream")))

    @property
    def resolver(self) -> Resolver:
        return Resolver(self.sources)

    async def serve(self, *spoils: Spoil, configured: str = "resolv.conf") -> None:
        """A name server for each, at 127.0.0.1, 127.0.0.2 and so on."""
        for number, spoil in enumerate(spoils, len(self.servers) + 1):
            server = NameServer(ANSWERS, spoil)
            await self.stack.enter_async_context(serving(server, ip_address(f"127.0.0.{number}")))
            self.servers.append(server)
        lines = [f"nameserver 127.0.0.{number}\n" for number in range(1, len(self.servers) + 1)]
        (self.directory / configured).write_text("# written by a test\nsearch example.com\n" + "".join(lines))

    async def addresses(self, *names: str, resolver: Resolver | None = None) -> list[str]:
        return [str(address) for address in await (resolver or self.resolver).resolve(names)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolve, "ATTEMPT", 0.2)
    monkeypatch.setattr(resolve, "STAGGER", 0.05)
    monkeypatch.setattr(resolve, "GRACE", 0.05)


@pytest.fixture(autouse=True)
def alone() -> Iterator[Namespace]:
    with ExitStack() as stack:
        namespace = Namespace.create("laptop")
        stack.callback(namespace.close)
        stack.enter_context(namespace.entered())
        set_link("lo", up=True)
        yield namespace


def playing(directory: Path, body: Callable[[Scene], Awaitable[None]]) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            await body(Scene(directory, stack))

    asyncio.run(main())


def test_both_families_are_asked_for_and_ipv6_stands_first(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(honest)
        assert await scene.addresses("gw.example.com") == ["2001:db8::1", "192.0.2.1"]
        assert sorted(kind for _, kind, _ in scene.servers[0].asked) == [1, 28]

    playing(tmp_path, body)


def test_names_keep_their_order_and_one_good_one_is_enough(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(honest)
        names = (
            "v4.example.com",
            "nowhere.example.com",
            "203.0.113.7",
            "alias.example.com",
            "gw.example.com",
        )
        assert await scene.addresses(*names) == ["192.0.2.4", "203.0.113.7", "2001:db8::1", "192.0.2.1"]

    playing(tmp_path, body)


def test_literals_need_no_server(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        assert await scene.addresses("192.0.2.1", "2001:db8::1") == ["192.0.2.1", "2001:db8::1"]

    playing(tmp_path, body)


def test_hosts_file_comes_before_the_servers(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(honest)
        scene.sources.hosts.write_text(
            "# gw.example.com\n198.51.100.7 other GW.example.com # mine\nbad gw.example.com\n"
        )
        assert await scene.addresses("gw.example.com.") == ["198.51.100.7"]
        assert scene.servers[0].asked == []

    playing(tmp_path, body)


def test_questions_carry_our_mark_and_come_from_our_ports(tmp_path: Path, alone: Namespace) -> None:
    with ExitStack() as stack:
        router = Namespace.create("router")
        stack.callback(router.close)
        connect(alone, "wlan0", router, "lan")
        router.run(lambda: furnish("lan", "192.168.1.1/24"))
        furnish("wlan0", "192.168.1.5/24")
        with IPRoute() as netlink:
            netlink.rule("add", priority=7301, table=TABLE, fwmark=MARK, fwmask=0xFF00, flags=2)
            netlink.route("add", family=socket.AF_INET, dst="0.0.0.0/0", type="blackhole", table=TABLE)
        server = stack.enter_context(router.run(lambda: listener("192.168.1.1")))

        async def body(scene: Scene) -> None:
            scene.sources.resolv_conf.write_text("nameserver 192.168.1.1\n")
            answering = asyncio.create_task(asyncio.to_thread(answer_twice, server))
            assert await scene.addresses("v4.example.com") == ["192.0.2.4"]
            assert all(SOURCE_PORTS[0] <= port <= SOURCE_PORTS[1] for port in await answering)

        playing(tmp_path, body)


def furnish(link: str, address: str) -> None:
    set_link(link, up=True)
    add_addresses(link, [ip_interface(address)])


def listener(address: str) -> socket.socket:
    endpoint = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    endpoint.bind((address, 53))
    endpoint.settimeout(5)
    return endpoint


def answer_twice(endpoint: socket.socket) -> list[int]:
    """The ports of both questions."""
    ports = []
    for _ in range(2):
        question, asker = endpoint.recvfrom(512)
        endpoint.sendto(NameServer(ANSWERS).answer(question, asker[1]), asker)
        ports.append(asker[1])
    return ports


def test_a_silent_server_does_not_hold_the_next_one_up(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(silent, honest)
        assert await scene.addresses("v4.example.com") == ["192.0.2.4"]
        assert len(scene.servers[0].asked) == 2

    playing(tmp_path, body)


@pytest.mark.parametrize("rcode", [2, 5], ids=["SERVFAIL", "REFUSED"])
def test_a_failing_server_is_passed_over(tmp_path: Path, rcode: int) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(with_rcode(rcode), honest)
        assert await scene.addresses("v4.example.com") == ["192.0.2.4"]

    playing(tmp_path, body)


def test_a_server_that_lost_the_first_question_is_asked_again(tmp_path: Path) -> None:
    seen: list[bytes] = []

    def deaf_at_first(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
        seen.append(answer)
        return () if len(seen) <= 2 else (answer,)

    async def body(scene: Scene) -> None:
        await scene.serve(deaf_at_first)
        assert await scene.addresses("v4.example.com") == ["192.0.2.4"]

    playing(tmp_path, body)


def test_a_truncated_answer_is_fetched_over_tcp(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(truncated)
        assert await scene.addresses("gw.example.com") == ["2001:db8::1", "192.0.2.1"]

    playing(tmp_path, body)


def test_forged_answers_are_waited_out(tmp_path: Path) -> None:
    def forged_first(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
        other_identifier = bytes([answer[0] ^ 1]) + answer[1:-1] + b"\x66"
        return (b"", b"\xff", other_identifier, answer)

    async def body(scene: Scene) -> None:
        await scene.serve(forged_first)
        assert await scene.addresses("v4.example.com") == ["192.0.2.4"]

    playing(tmp_path, body)


def test_one_family_that_gets_no_answer_does_not_hold_the_other_up(tmp_path: Path) -> None:
    def deaf_for_ipv6(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
        return () if b"\x00\x1c\x00\x01" in answer else (answer,)

    async def body(scene: Scene) -> None:
        await scene.serve(deaf_for_ipv6)
        assert await scene.addresses("v4.example.com") == ["192.0.2.4"]

    playing(tmp_path, body)


def test_where_the_files_list_ours_alone_the_uplinks_managers_are_asked(tmp_path: Path) -> None:
    ours, before, now = map(ip_address, ("10.77.0.1", "192.168.1.1", "172.16.0.1"))
    known = [ours, now]

    async def uplinks() -> list[Address]:
        return known

    async def body(scene: Scene) -> None:
        resolver = Resolver(scene.sources, ours=lambda: {ours}, uplinks=uplinks)
        scene.sources.resolv_conf.write_text(f"nameserver {ours}\nnameserver {before}\n")
        assert await resolver.servers() == (before,)
        scene.sources.resolv_conf.write_text(f"nameserver {ours}\n")
        assert await resolver.servers() == (now,)
        known.clear()
        assert await resolver.servers() == (now,)  # nobody knows: as it was last

    playing(tmp_path, body)


FAILURES = [
    ("nowhere.example.com", honest, "nowhere.example.com does not exist, says 127.0.0.1"),
    ("empty.example.com", honest, "empty.example.com has no address, says 127.0.0.1"),
    ("blocked.example.com", honest, "blocked.example.com has no address, says 127.0.0.1"),
    ("gw.example.com", silent, "gw.example.com could not be resolved: 127.0.0.1 did not answer"),
    (
        "gw.example.com",
        with_rcode(2),
        "gw.example.com could not be resolved: 127.0.0.1 answered with error 2",
    ),
    ("not a..name", honest, "'not a..name' is not a host name"),
]


@pytest.mark.parametrize(("name", "spoil", "reason"), FAILURES, ids=[row[2][:40] for row in FAILURES])
def test_failure_names_who_said_what(tmp_path: Path, name: str, spoil: Spoil, reason: str) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(spoil)
        with pytest.raises(ResolveError) as caught:
            await scene.addresses(name)
        assert reason in str(caught.value)

    playing(tmp_path, body)


def test_no_server_at_all_is_said(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        with pytest.raises(ResolveError, match=r"no name server is configured to ask for gw\.example\.com"):
            await scene.addresses("gw.example.com")

    playing(tmp_path, body)


def test_without_a_network_it_fails_at_once(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        scene.sources.resolv_conf.write_text("nameserver 192.0.2.53\nnameserver fe80::1%nowhere0\n")
        began = time.monotonic()
        with pytest.raises(ResolveError):
            await scene.addresses("gw.example.com")
        assert time.monotonic() - began < 0.2

    playing(tmp_path, body)


def test_last_good_addresses_are_used_when_nothing_answers(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(honest)
        resolver = scene.resolver
        assert await scene.addresses("v4.example.com", resolver=resolver) == ["192.0.2.4"]
        scene.servers[0].spoil = silent
        assert await scene.addresses("v4.example.com", resolver=resolver) == ["192.0.2.4"]
        with pytest.raises(ResolveError):
            await scene.addresses("gw.example.com", resolver=resolver)

    playing(tmp_path, body)


def test_behind_a_resolver_on_this_machine_its_own_servers_are_asked(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(honest, configured="upstream")
        scene.sources.resolv_conf.write_text("nameserver 127.0.0.53\n")
        assert await scene.addresses("v4.example.com") == ["192.0.2.4"]

    playing(tmp_path, body)


def test_while_ours_stands_the_file_from_before_us_is_read(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(silent, configured="resolv.conf")
        before = replace(scene.sources, kept=tmp_path / "before")
        with pytest.raises(ResolveError):
            await scene.addresses("v4.example.com", resolver=Resolver(before))
        async with serving(NameServer(ANSWERS, honest), ip_address("127.0.0.9")):
            (tmp_path / "before").write_text("nameserver 127.0.0.9\n")
            assert await scene.addresses("v4.example.com", resolver=Resolver(before)) == ["192.0.2.4"]

    playing(tmp_path, body)


def test_servers_behind_our_tunnels_are_not_asked(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(silent, honest)
        resolver = Resolver(scene.sources, ours=lambda: [ip_address("127.0.0.1")])
        assert await scene.addresses("v4.example.com", resolver=resolver) == ["192.0.2.4"]
        assert scene.servers[0].asked == []

    playing(tmp_path, body)


def test_where_ours_alone_are_listed_those_from_before_are_asked(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        await scene.serve(honest)
        ours: list[Address] = []
        resolver = Resolver(scene.sources, ours=lambda: ours)
        assert await scene.addresses("v4.example.com", resolver=resolver) == ["192.0.2.4"]
        scene.sources.resolv_conf.write_text("nameserver 127.0.0.9\n")
        ours.append(ip_address("127.0.0.9"))
        assert await scene.addresses("gw.example.com", resolver=resolver) == ["2001:db8::1", "192.0.2.1"]

    playing(tmp_path, body)


def test_giving_up_on_a_resolution_leaves_no_task_behind(tmp_path: Path) -> None:
    async def body(scene: Scene) -> None:
        asked = asyncio.Event()

        def swallow(answer: bytes, over_tcp: bool) -> tuple[bytes, ...]:
            asked.set()
            return ()

        await scene.serve(silent, swallow)
        resolving = asyncio.create_task(scene.addresses("gw.example.com"))
        async with asyncio.timeout(5):
            await asked.wait()
        resolving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await resolving
        assert asyncio.all_tasks() == {asyncio.current_task()}

    playing(tmp_path, body)
