"""`roam wait`: what it waits for, and what it says when that does not come."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

import ui.commands.waiting
from client.control.messages import Traffic, TunnelStatus
from tests.control.fake import FakeDaemon, serving_apart
from ui.cli import main

UP = TunnelStatus("office", "up", serial=1, addresses=("10.99.0.10/32",), routes=("127.0.0.0/8",))


def test_a_tunnel_that_stands_is_no_wait(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tunnels["office"] = UP
    assert main(["wait", "office"]) == 0
    assert capsys.readouterr().out == "office: up as 10.99.0.10/32\n"


def test_it_waits_for_a_tunnel_that_nobody_wants_yet(daemon: FakeDaemon) -> None:
    daemon.tunnels["office"] = TunnelStatus("office", "connecting")
    daemon.on_subscribe = [UP]
    assert main(["wait", "--timeout", "10"]) == 0


def test_what_does_not_come_in_time_is_not_connected(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tunnels["office"] = TunnelStatus("office", "waiting", detail="no network")
    assert main(["wait", "office", "--timeout", "0.05"]) == 3
    assert "office: waiting: no network" in capsys.readouterr().err


def test_what_nobody_wants_is_told_with_its_name(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wait", "office", "--timeout", "0.05"]) == 3
    words = capsys.readouterr().err
    assert 'no tunnel called "office" is wanted' in words
    assert "'roam up office' brings it up." in words


def test_another_state_can_be_waited_for(daemon: FakeDaemon) -> None:
    daemon.tunnels["office"] = TunnelStatus("office", "blocked")
    assert main(["wait", "--state", "blocked"]) == 0


def test_several_tunnels_need_a_name(daemon: FakeDaemon) -> None:
    daemon.tunnels |= {"office": UP, "home": UP.replace(name="home")}
    assert main(["wait"]) == 2
    assert main(["wait", "home"]) == 0


def test_traffic_is_a_packet_that_came_in(daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.tunnels["office"] = UP.replace(traffic=Traffic(packets_out=3), routes=())
    assert main(["wait", "--for", "traffic", "--timeout", "0.05"]) == 3
    daemon.tunnels["office"] = UP.replace(traffic=Traffic(packets_in=1))
    capsys.readouterr()
    assert main(["wait", "--for", "traffic", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["traffic"]["packets_in"] == 1


def test_a_tunnel_that_nobody_uses_is_stirred(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside:
        inside.bind(("127.0.0.1", 0))
        inside.settimeout(10)
        monkeypatch.setattr(ui.commands.waiting, "_UNUSED_PORT", inside.getsockname()[1])
        daemon.tunnels["office"] = UP.replace(routes=("127.0.0.0/31",))
        assert main(["wait", "--for", "traffic", "--timeout", "0.05"]) == 3
        assert inside.recv(512)[:2] == b"RM"


@pytest.mark.parametrize("dns", [(), ("10.77.0.53",)])
def test_a_tunnel_for_everything_is_stirred_as_far_as_the_first_router(
    monkeypatch: pytest.MonkeyPatch, dns: tuple[str, ...]
) -> None:
    asked: list[tuple[tuple[str, int], int]] = []

    class Sender(socket.socket):
        def sendto(self, _data: bytes, _flags: int, address: tuple[str, int]) -> int:  # type: ignore[override]
            level, option = (
                (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)
                if ":" in address[0]
                else (socket.IPPROTO_IP, socket.IP_TTL)
            )
            asked.append((address, self.getsockopt(level, option)))
            return 0

    monkeypatch.setattr(socket, "socket", Sender)
    ui.commands.waiting.stir(
        UP.replace(routes=("0.0.0.0/0", "::/0", "10.8.0.0/24")[: 2 if dns else 3], dns=dns)
    )
    told = {address[0]: hops for address, hops in asked}
    assert told.pop("203.0.113.1") == told.pop("2001:db8:ffff::1") == 1
    assert list(told) == (list(dns) or ["10.8.0.1"])
    assert min(told.values()) > 1, "others are asked as anybody is"


def test_names_are_in_use_when_somebody_was_told_of_them(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.tunnels["office"] = UP.replace(dns=("10.77.0.53",), resolver="systemd-resolved")
    assert main(["wait", "--for", "dns"]) == 0
    daemon.tunnels["office"] = UP
    assert main(["wait", "--for", "dns"]) == 3
    said = capsys.readouterr().err
    assert "there are no name servers to be asked through it" in said
    assert "[dns] servers" in said, "and not how to bring up what is up"


def test_no_daemon_in_all_that_time_is_told(path: Path) -> None:
    assert main(["--socket", str(path), "wait", "--timeout", "0.05"]) == 7


def test_it_outlives_a_daemon_that_comes_late(path: Path) -> None:
    """The first look finds no daemon; the next one, half a second later, does."""
    late = FakeDaemon()
    late.tunnels["office"] = UP
    started = []

    def start_daemon(_seconds: float) -> None:
        started.append(serving_apart(late, path))
        started[0].__enter__()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ui.commands.waiting, "sleep", start_daemon)
        assert main(["--socket", str(path), "wait", "--timeout", "10"]) == 0
    started[0].__exit__(None, None, None)
