"""Messages between a daemon and its pump."""

from __future__ import annotations

import random
from ipaddress import ip_address

import pytest

from client.esp import ipc
from client.ike.errors import InvalidSyntax
from client.ike.events import Endpoint
from tests.esp.children import ALL_ALGORITHMS, child_pair

V4, V6 = Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("2001:db8::1"), 500)

COMMANDS: tuple[ipc.Command, ...] = (
    ipc.Attach(1),
    ipc.Bind(2, V4, V6),
    *(ipc.Install(3, child_pair(algorithms)[0], outbound=True) for algorithms in ALL_ALGORITHMS),
    ipc.UseOutbound(4, 0x12345678),
    ipc.Remove(5, 0xFFFFFFFF),
    ipc.Count(6),
)
REPORTS: tuple[ipc.Report, ...] = (
    ipc.Done(1),
    ipc.Done(2, "no such thing"),
    ipc.Counted(3, (ipc.Tally(1, 2, 3, 4, 5, 6), ipc.Tally(7, 8, 9, 10, 11, 1 << 40)), "udp-gro"),
    ipc.IkeReceived(b"message", V4, V6),
    ipc.Notice(ipc.Sign.SELECTOR_VIOLATION, 77),
    ipc.PeerSeen(V6),
    ipc.Active(1, 1 << 40),
    ipc.Carries(0, 1 << 40, 1 << 39),
    ipc.Broken("it broke"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_commands_come_back_as_they_were(command: ipc.Command) -> None:
    assert ipc.decode_command(ipc.encode(command)) == command


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_reports_come_back_as_they_were(report: ipc.Report) -> None:
    assert ipc.decode_report(ipc.encode(report)) == report


def test_commands_are_no_reports_and_the_other_way_round() -> None:
    for command in COMMANDS:
        with pytest.raises(InvalidSyntax):
            ipc.decode_report(ipc.encode(command))
    for report in REPORTS:
        with pytest.raises(InvalidSyntax):
            ipc.decode_command(ipc.encode(report))


def test_secrets_and_messages_are_not_shown() -> None:
    assert "message" not in repr(REPORTS[3])
    key = child_pair()[0].keys.encr_out.reveal()
    assert repr(key)[2:10] not in repr(COMMANDS[2])


def test_mutations_raise_the_one_family() -> None:
    chance = random.Random(4)
    for _ in range(5000):
        octets = bytearray(ipc.encode(chance.choice(REPORTS)))
        for _ in range(chance.randrange(1, 4)):
            octets[chance.randrange(len(octets))] = chance.choice((0, 1, 0xFF, chance.randrange(256)))
        try:
            ipc.decode_report(bytes(octets[: chance.randrange(len(octets) + 1)]))
        except InvalidSyntax:
            continue
