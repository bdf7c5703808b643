"""Which questions leave, told by the kernel: of whom, over which link, and nothing of what is no question."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address, ip_interface
from pathlib import Path

import pytest

from client.lab.laptop import daemon_account, program_environment
from client.lab.links import add_addresses, connect, set_link, sysctl
from client.lab.namespaces import Namespace, Surroundings
from client.lab.snapshot import difference, snapshot
from client.net.dnswire import Query, RecordType, encode_query
from client.system.dns_witness import Asked, DnsWitness, decode_question

QUESTION = encode_query(Query(1, "123456.Corp.example", RecordType.A))
V4, V6 = ip_address("192.168.1.1"), ip_address("fd01::1")


@pytest.fixture
def laptop() -> Iterator[Namespace]:
    with_server, home = Namespace.create("laptop"), Namespace.create("home")
    for namespace in (with_server, home):
        namespace.run(lambda: sysctl("net.ipv6.conf.default.accept_dad", 0))
    connect(with_server, "wlan0", home, "lan")
    with_server.run(lambda: _furnish("wlan0", "192.168.1.2/24", "fd01::2/64"))
    home.run(lambda: _furnish("lan", f"{V4}/24", f"{V6}/64"))
    with with_server.entered():
        yield with_server
    with_server.close()
    home.close()


def _furnish(link: str, *addresses: str) -> None:
    set_link("lo", up=True)
    set_link(link, up=True)
    add_addresses(link, [ip_interface(text) for text in addresses])


def send(server: str, port: int = 53, octets: bytes = QUESTION) -> None:
    family = socket.AF_INET6 if ":" in server else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as endpoint:
        endpoint.sendto(octets, (server, port))


@pytest.mark.netns
def test_questions_are_seen_with_their_server_and_link(laptop: Namespace) -> None:
    with DnsWitness() as witness:
        for server in (str(V4), str(V6), "127.0.0.1"):
            send(server)
        send(str(V4), 5353)
        send(str(V4), octets=b"\x00" * 30 + b"\xff")
        links = {name: index for index, name in socket.if_nameindex()}
        assert list(witness.take()) == [
            Asked("123456.corp.example", V4, links["wlan0"]),
            Asked("123456.corp.example", V6, links["wlan0"]),
            Asked("123456.corp.example", ip_address("127.0.0.1"), links["lo"]),
        ]
        assert list(witness.take()) == []


@pytest.mark.netns
@pytest.mark.slow
def test_afterwards_nothing_is_left_and_two_do_not_look_at_once(laptop: Namespace) -> None:
    before = snapshot(laptop, ())
    with DnsWitness(), pytest.raises(OSError):
        DnsWitness()
    assert difference(before, snapshot(laptop, ())) == ()
    with DnsWitness():
        pass


@pytest.mark.netns
@pytest.mark.slow
def test_net_admin_alone_suffices(laptop: Namespace, tmp_path: Path) -> None:
    if (account := daemon_account()) is None:
        pytest.skip("no other uid can be had here")
    program = "from client.system.dns_witness import DnsWitness; DnsWitness().close()"
    around = Surroundings(account, environment=program_environment())
    process = laptop.start([sys.executable, "-c", program], around)
    assert process.wait(30) == 0


def test_what_is_no_question_is_left_out() -> None:
    packet = (
        bytes([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 192, 168, 1, 1]) + bytes(8) + QUESTION
    )
    assert decode_question(packet, 2) == Asked("123456.corp.example", V4, 2)
    assert decode_question(packet[:9] + b"\x06" + packet[10:], 2) is None  # TCP
    for size in range(len(packet) - 5):
        assert decode_question(packet[:size], 2) is None
    for octet in range(256):
        decode_question(bytes([octet]) * 80, 0)
