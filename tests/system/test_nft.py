"""The packet filter's messages octet by octet, and what the kernel makes of them."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, ip_address, ip_network
from pathlib import Path

import pytest

from client.lab.links import set_link
from client.lab.namespaces import Account, Namespace, Surroundings, in_own_thread
from client.lab.snapshot import difference, snapshot
from client.lab.syscalls import set_capabilities
from client.system import nft_codec as codec
from client.system import nft_wire as wire
from client.system.nft import UNKNOWN, Nftables, Table
from client.system.nft_watch import FilterWatch
from client.system.reconcile import System
from client.system.routes import Kernel
from client.tunnel.ruleset import (
    AsksFor,
    Came,
    Chain,
    Control,
    End,
    Family,
    Forwarded,
    Guarded,
    In,
    Leaves,
    Marked,
    Match,
    OfUser,
    Ports,
    Protected,
    Protocol,
    Rule,
    RuleSet,
    Span,
    Syn,
    Unrouted,
    Until,
)
from tests.system.scene import Scene
from tests.tunnel.test_guard import STATES

HERE = Path(__file__).parent
OUT = Chain.POSTROUTING


def rule(
    *matches: Match, chain: Chain = OUT, passes: bool = True, optional: bool = False, mss: int = 0
) -> Rule:
    return Rule(chain, matches, passes, "because", optional, mss)


EVERY_MATCH = RuleSet(
    (
        rule(Came("wlan0"), chain=Chain.INPUT),
        rule(Came("lo", other=True), Came("roam0", other=True), chain=Chain.PREROUTING, passes=False),
        rule(Leaves("wlan0")),
        rule(Forwarded()),
        rule(Family(6), passes=False),
        rule(Protocol(17), Ports(End.DESTINATION, 53, 53)),
        rule(Protocol(6), Ports(End.SOURCE, 61440, 62463)),
        rule(In(End.DESTINATION, ip_network("192.168.0.0/16"))),
        rule(In(End.SOURCE, ip_network("2001:db8::1/128"))),
        rule(Guarded(End.DESTINATION, 4), passes=False),
        rule(Guarded(End.SOURCE, 6), chain=Chain.FORWARD_FROM, passes=False),
        rule(Marked(0x7300, 0xFF00), OfUser(990)),
        rule(Control(6, 133, 137), Unrouted()),
        rule(Control(4, 3, 3), chain=Chain.FORWARD_TO),
        rule(Protected(), optional=True),
        rule(Until(1_800_000_000), optional=True),
        rule(Came("roam0"), Protocol(6), Syn(), chain=Chain.SIZE_IN, optional=True, mss=1360),
        rule(Leaves("roam0"), Family(6), Protocol(6), Syn(), chain=Chain.SIZE_OUT, optional=True, mss=1220),
        rule(AsksFor(IPv4Address("10.8.0.2")), chain=Chain.ASKED, passes=False, optional=True),
    ),
    (
        Span(ip_address("10.0.0.0"), ip_address("10.77.255.255")),
        Span(ip_address("203.0.113.9"), ip_address("255.255.255.255")),
        Span(ip_address("2001:db8::"), ip_address("2001:db8::ffff")),
    ),
)


# --- goldens


def test_messages_are_octet_by_octet() -> None:
    """`nft_listing.txt` is how nft(8) reads the same tables."""
    golden = (HERE / "nft_messages.hex").read_text().split()
    assert [message.hex() for message in codec.replacement(EVERY_MATCH)] == golden


def test_kinds_and_lengths_of_every_message_add_up() -> None:
    begin, *messages, end = codec.replacement(EVERY_MATCH)
    assert (begin[4], end[4]) == (0x10, 0x11)
    for message in (begin, *messages, end):
        assert struct.unpack_from("=I", message)[0] == len(message)
        assert len(message) % 4 == 0
    asking = [message for message in messages if struct.unpack_from("=IHH", message)[2] & 4]
    assert asking == [messages[-1]]


def test_removal_is_one_transaction_for_both_tables() -> None:
    kinds = [struct.unpack_from("=IH", message)[1] & 0xFF for message in codec.replacement(None)]
    assert kinds == [0x10, 0, 2, 0, 2, 0x11]


@pytest.mark.parametrize("octets", [b"", b"\x01", b"\x03\x00\x01\x00", b"\x00" * 8, b"\xff" * 9])
def test_attributes_that_are_cut_short_end_the_list(octets: bytes) -> None:
    assert set(wire.attributes_of(wire.attribute(7, b"seven") + octets)) <= {7, 0x3FFF}


# --- a kernel that refuses


@dataclass
class Refusing:
    """Tables of paper that lack something."""

    lacks: Callable[[list[bytes]], int] = lambda _: 0
    committed: list[list[bytes]] = field(default_factory=list)
    port: int = 1

    def commit(self, transaction: list[bytes]) -> None:
        if number := self.lacks(transaction):
            raise OSError(number, os.strerror(number))
        self.committed.append(transaction)

    def generation(self) -> int:
        return len(self.committed)

    def table(self) -> Table | None:
        return Table((b"", None), ((1, b"", bytes([len(self.committed)])),))

    def close(self) -> None:
        pass


def lacking_arp(transaction: list[bytes]) -> int:
    return errno.EAFNOSUPPORT if any(message[16] == codec.ARP for message in transaction) else 0


def lacking_ipsec(transaction: list[bytes]) -> int:
    return errno.EOPNOTSUPP if any(b"rt\0" in message for message in transaction) else 0


def lacking_both(transaction: list[bytes]) -> int:
    return lacking_arp(transaction) or lacking_ipsec(transaction)


@pytest.mark.parametrize(
    ("lacks", "meant"),
    [
        (lacking_arp, codec.replacement(EVERY_MATCH.without_arp(), (codec.INET,))),
        (lacking_both, codec.replacement(EVERY_MATCH.without_arp().without_optional(), (codec.INET,))),
    ],
)
def test_a_kernel_that_cannot_express_all_gets_the_rest(
    lacks: Callable[[list[bytes]], int], meant: list[bytes]
) -> None:
    kernel = Refusing(lacks)
    nftables = Nftables(lambda: kernel)
    nftables.replace(EVERY_MATCH)
    assert kernel.committed == [meant]
    assert (nftables.read(), nftables.problem) == (EVERY_MATCH, "")
    nftables.replace(EVERY_MATCH)
    assert kernel.committed == [meant, meant]


@pytest.mark.parametrize(
    "number", [errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOENT]
)
def test_a_kernel_without_nftables_is_no_failure_and_is_told_of(number: int) -> None:
    nftables = Nftables(lambda: Refusing(lambda _: number))
    nftables.replace(EVERY_MATCH)
    assert os.strerror(number) in nftables.problem
    assert nftables.read() == EVERY_MATCH  # asking again changes nothing
    nftables.remove()
    assert nftables.read() is None


def test_a_kernel_that_does_not_even_listen_is_no_failure() -> None:
    def refuse() -> Refusing:
        raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

    nftables = Nftables(refuse)
    assert nftables.read() is None
    assert "Protocol not supported" in nftables.problem


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOMEM, errno.EINVAL, errno.EBUSY])
def test_any_other_refusal_is_a_failure_and_the_next_call_tries_again(number: int) -> None:
    kernel = Refusing(lambda _: number)
    nftables = Nftables(lambda: kernel)
    with pytest.raises(OSError, match=os.strerror(number)):
        nftables.replace(EVERY_MATCH)
    assert nftables.problem == ""
    assert nftables.read() is UNKNOWN
    kernel.lacks = lambda _: 0
    nftables.replace(EVERY_MATCH)
    assert nftables.read() == EVERY_MATCH


# --- the real one


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    namespace = Namespace.create("filtered")
    try:
        with namespace.entered():
            yield namespace
    finally:
        namespace.close()


@pytest.fixture
def nftables(namespace: Namespace) -> Iterator[Nftables]:
    del namespace  # the one that the test's thread is in
    nftables = Nftables()
    yield nftables
    nftables.close()


@pytest.mark.netns
@pytest.mark.parametrize("state", STATES)
def test_the_kernel_takes_the_rules_of_every_state(nftables: Nftables, state: str) -> None:
    rules = STATES[state]
    if rules is not None:
        nftables.replace(rules)
    assert (nftables.read(), nftables.problem) == (rules, "")


@pytest.mark.netns
@pytest.mark.parametrize("chain", [Chain.SIZE_IN, Chain.SIZE_OUT])
def test_tcp_sends_no_larger_segments_than_it_is_told(
    namespace: Namespace, nftables: Nftables, chain: Chain
) -> None:
    """Over the loopback link, whose MTU is 65536."""
    link = Came("lo") if chain is Chain.SIZE_IN else Leaves("lo")
    nftables.replace(RuleSet((rule(link, Family(4), Protocol(6), Syn(), chain=chain, mss=1360),)))

    def connect() -> list[int]:
        set_link("lo", up=True)
        with socket.create_server(("127.0.0.1", 0)) as server:
            near = socket.create_connection(server.getsockname(), 5.0)
            far, _ = server.accept()
            with near, far:
                return [end.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG) for end in (near, far)]

    assert all(1300 < size <= 1360 for size in namespace.run(connect))


@pytest.mark.netns
def test_nft_reads_the_tables_as_we_mean_them(namespace: Namespace, nftables: Nftables) -> None:
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("the program nft is not installed")
    if b" v1.0." not in subprocess.run([program, "--version"], capture_output=True, check=True).stdout:
        pytest.skip("the listing is that of nft 1.0, others word it differently")
    nftables.replace(EVERY_MATCH)
    process = namespace.start(
        [program, "list", "ruleset"],
        Surroundings(output=subprocess.PIPE, environment={**os.environ, "TZ": "UTC"}),
    )
    listing = process.communicate(timeout=30)[0].decode()
    assert listing == (HERE / "nft_listing.txt").read_text()


@pytest.mark.netns
def test_replacing_and_removing_leaves_an_empty_difference(namespace: Namespace, nftables: Nftables) -> None:
    others = Nftables()
    before = snapshot(namespace)
    nftables.replace(EVERY_MATCH)
    first = snapshot(namespace)
    assert difference(before, first)
    nftables.replace(EVERY_MATCH)
    assert difference(first, snapshot(namespace)) == ()
    others.remove()
    assert nftables.read() is None
    assert difference(before, snapshot(namespace)) == ()
    nftables.remove()
    others.close()


@pytest.mark.netns
def test_thousands_of_prefixes_go_in_with_one_transaction(nftables: Nftables) -> None:
    spans = tuple(
        Span(ip_address(start), ip_address(start + 254))
        for start in range(0x0A000000, 0x0A000000 + 256 * 3000, 256)
    )
    many = RuleSet((rule(Guarded(End.DESTINATION, 4), passes=False),), spans)
    nftables.replace(many)
    assert nftables.read() is many


@pytest.mark.netns
def test_what_another_program_does_to_our_table_is_noticed(nftables: Nftables) -> None:
    nftables.replace(EVERY_MATCH)
    for tamper in (delete_a_rule, make_dormant):
        tamper()
        assert nftables.read() is UNKNOWN
        nftables.replace(EVERY_MATCH)
        assert nftables.read() is EVERY_MATCH
    add_a_foreign_table()
    assert nftables.read() is EVERY_MATCH


@pytest.mark.netns
def test_a_new_process_takes_a_table_for_strange_and_replaces_it(nftables: Nftables) -> None:
    nftables.replace(EVERY_MATCH)
    later = Nftables()
    assert later.read() is UNKNOWN
    later.replace(EVERY_MATCH)
    assert (later.read(), nftables.read()) == (EVERY_MATCH, UNKNOWN)
    later.close()


@pytest.mark.netns
def test_the_watch_hears_of_others_and_not_of_us(nftables: Nftables) -> None:
    watch = FilterWatch(lambda: nftables.ports)
    nftables.replace(EVERY_MATCH)
    add_a_foreign_table()
    assert not watch.was_touched()
    delete_a_rule()
    assert watch.was_touched()
    assert not watch.was_touched()
    nftables.remove()
    assert not watch.was_touched()
    watch.close()


@pytest.mark.netns
@pytest.mark.usefixtures("namespace")
def test_an_ordinary_user_needs_cap_net_admin_and_no_more() -> None:
    def with_capabilities(*numbers: int) -> RuleSet | None:
        def inside() -> RuleSet | None:
            set_capabilities(frozenset(numbers))
            nftables = Nftables()
            try:
                nftables.replace(EVERY_MATCH)
                return nftables.read()
            finally:
                nftables.close()

        return in_own_thread(inside)

    assert with_capabilities(*Account(1, 1).capabilities) == EVERY_MATCH
    with pytest.raises(PermissionError):
        with_capabilities()


def tampering(*messages: bytes) -> None:
    """A transaction of somebody else."""
    begin, *_, end = codec.replacement(None)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, wire.NETLINK_NETFILTER) as other:
        other.sendto(b"".join((begin, *messages, end)), (0, 0))


def message(kind: int, flags: int, body: bytes) -> bytes:
    size = 20 + len(body)
    return (
        struct.pack("=IHHII", size, wire.SUBSYSTEM << 8 | kind, 1 | flags, 1, 0)
        + struct.pack("!BBH", 1, 0, 0)
        + body
    )


OURS = wire.attribute(1, b"roam\0")


def delete_a_rule() -> None:
    """All of one chain: without a handle, nobody is spared."""
    tampering(message(8, 0, OURS + wire.attribute(2, b"postrouting\0")))


def make_dormant() -> None:
    tampering(message(codec.Kind.NEWTABLE, 0, OURS + wire.attribute(2, (1).to_bytes(4))))


def add_a_foreign_table() -> None:
    tampering(message(codec.Kind.NEWTABLE, 0x400, wire.attribute(1, b"theirs\0")))


@pytest.mark.netns
def test_without_nftables_routing_is_applied_without_a_problem_and_only_once(scene: Scene) -> None:
    nftables = Nftables(lambda: Refusing(lambda _: errno.EOPNOTSUPP))
    wanted = scene.config(None)

    async def main() -> None:
        system = System(scene.state_dir, lambda: Kernel(nftables))
        try:
            first, again = await system.apply(wanted, 1), await system.apply(wanted, 2)
            assert (first.problems, again.steps, again.problems) == ((), (), ())
            assert (await system.sweep()).problems == ()
        finally:
            system.close()

    asyncio.run(main())
    assert "Operation not supported" in nftables.problem
