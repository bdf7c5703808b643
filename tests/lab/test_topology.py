"""The lab's network does what the tests that are built on it believe."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_address
from pathlib import Path

import pytest
from pyroute2 import IPRoute

from client.lab import topology as lab_module
from client.lab.capture import Capture
from client.lab.echo import EchoServer, Train, longest_gap, ping
from client.lab.namespaces import Account, Namespace, Surroundings
from client.lab.snapshot import difference, snapshot
from client.lab.topology import GATEWAY, GATEWAY_V6, SERVER, SERVER_V6, Topology, topology

pytestmark = [pytest.mark.netns, pytest.mark.xdist_group("topology")]

NOBODY = 65534


@pytest.fixture(scope="module")
def lab() -> Iterator[Topology]:
    with topology() as built:
        yield built


@pytest.fixture(autouse=True)
def healed(lab: Topology) -> Iterator[None]:
    yield
    for uplink in (lab.wifi, lab.lte):
        uplink.lose(0)
        uplink.plug()
        uplink.up()


def reaches(source: Namespace, destination: str) -> bool:
    return source.run(lambda: ping(ip_address(destination))) is not None


@pytest.mark.parametrize("gateway", [str(GATEWAY), str(GATEWAY_V6)])
def test_laptop_reaches_the_gateway_over_either_uplink(lab: Topology, gateway: str) -> None:
    assert reaches(lab.laptop, gateway)
    lab.wifi.down()
    assert reaches(lab.laptop, gateway)
    lab.lte.down()
    assert not reaches(lab.laptop, gateway)


@pytest.mark.parametrize("server", [str(SERVER), str(SERVER_V6)])
def test_only_the_gateway_reaches_the_server(lab: Topology, server: str) -> None:
    assert reaches(lab.gateway, server)
    assert not lab.laptop.run(lambda: ping(ip_address(server), 0.2))
    assert not lab.internet.run(lambda: ping(ip_address(server), 0.2))


def test_gateway_sees_the_routers_address_and_never_the_laptops(lab: Topology) -> None:
    with EchoServer(lab.gateway, GATEWAY) as server, Train(lab.laptop, GATEWAY, interval=0.005) as train:
        wait_for(lambda: len(train.answers) >= 3)
        lab.wifi.down()
        answered = len(train.answers)
        wait_for(lambda: len(train.answers) >= answered + 3)
    sources = {probe.arrived_from for probe in train.probes(server)} - {None}
    assert sources == {"198.51.100.2", "203.0.113.2"}


def test_without_translation_the_gateway_sees_the_laptop() -> None:
    with (
        topology(nat=False) as plain,
        EchoServer(plain.gateway, GATEWAY) as server,
        Train(plain.laptop, GATEWAY, interval=0.005) as train,
    ):
        wait_for(lambda: len(train.answers) >= 1)
        sources = {probe.arrived_from for probe in train.probes(server)} - {None}
    assert sources == {"192.168.1.23"}


def test_a_link_that_comes_back_looks_as_before(lab: Topology) -> None:
    before = snapshot(lab.laptop)
    lab.wifi.down()
    assert difference(before, snapshot(lab.laptop))
    lab.wifi.up()
    assert difference(before, snapshot(lab.laptop)) == ()


def test_a_renewed_lease_replaces_the_address(lab: Topology) -> None:
    lab.wifi.address(IPv4Interface("192.168.1.77/24"))
    addresses = snapshot(lab.laptop).sections["addresses"]
    assert "wlan0 192.168.1.77/24" in addresses
    assert "wlan0 192.168.1.23/24" not in addresses
    assert reaches(lab.laptop, str(GATEWAY))


def test_a_dead_end_swallows_packets_without_an_error(lab: Topology) -> None:
    with EchoServer(lab.gateway, GATEWAY) as server, Train(lab.laptop, GATEWAY, interval=0.005) as train:
        wait_for(lambda: len(train.answers) >= 3)
        lab.wifi.lose(100)
        sent = len(train.sent)
        wait_for(lambda: len(train.sent) >= sent + 20)
        lab.wifi.lose(0)
        answered = len(train.answers)
        wait_for(lambda: len(train.answers) > answered)
    probes = train.probes(server)
    assert all(probe.sent_at is not None for probe in probes)
    assert longest_gap(probes) >= 0.09


def test_losing_the_carrier_leaves_the_address_in_place(lab: Topology) -> None:
    lab.wifi.unplug()
    assert "wlan0 192.168.1.23/24" in snapshot(lab.laptop).sections["addresses"]
    assert not lab.laptop.run(lambda: ping(GATEWAY, 0.1))
    lab.wifi.plug()
    assert reaches(lab.laptop, str(GATEWAY))


def test_forgotten_translations_give_the_flow_another_port(lab: Topology) -> None:
    with (
        Capture([(lab.gateway, "wan")]) as capture,
        EchoServer(lab.gateway, GATEWAY),
        Train(lab.laptop, GATEWAY, interval=0.005) as train,
    ):
        wait_for(lambda: len(train.answers) >= 3)
        lab.wifi.forget_translations()
        answered = len(train.answers)
        wait_for(lambda: len(train.answers) >= answered + 3)
    ports = {flow.source_port for flow in capture.flows if flow.protocol == "udp" and not flow.outgoing}
    assert len(ports) == 2


def test_ledger_names_every_address_that_something_was_sent_to(lab: Topology, tmp_path: Path) -> None:
    file = tmp_path / "uplinks.pcap"
    with Capture([(lab.laptop, "wlan0"), (lab.laptop, "wwan0")], file) as capture:
        lab.laptop.run(lambda: ping(GATEWAY))
        lab.laptop.run(lambda: ping(SERVER, 0.05))
    assert {str(GATEWAY), str(SERVER)} <= capture.sent_to()
    assert capture.lost == 0
    assert file.read_bytes()[:4] == (0xA1B23C4D).to_bytes(4, sys.byteorder)
    assert file.stat().st_size > 24 + 2 * (16 + 42)


def test_difference_names_what_was_left_behind(lab: Topology) -> None:
    before = snapshot(lab.laptop)

    def leave_something() -> None:
        with IPRoute() as netlink:
            netlink.link("add", ifname="left0", kind="tuntap", mode="tun")
            netlink.rule("add", priority=7300, table=29440, family=10)

    lab.laptop.run(leave_something)
    lines = difference(before, snapshot(lab.laptop))
    assert [line.split(":")[0] for line in lines] == ["links", "rules"]
    assert any("left0" in line for line in lines)

    def tidy() -> None:
        with IPRoute() as netlink:
            netlink.link("del", ifname="left0")
            netlink.rule("del", priority=7300, table=29440, family=10)

    lab.laptop.run(tidy)
    assert difference(before, snapshot(lab.laptop)) == ()


def test_resolv_conf_is_part_of_the_snapshot(lab: Topology, tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    file.write_text("nameserver 192.0.2.53\n")
    before = snapshot(lab.laptop, [file])
    file.write_text("nameserver 10.77.0.1\n")
    assert len(difference(before, snapshot(lab.laptop, [file]))) == 2


def test_a_process_runs_as_an_ordinary_account_with_one_capability(lab: Topology) -> None:
    program = [sys.executable, "-c", "print(open('/proc/self/status').read()); import client.lab.topology"]
    around = Surroundings(account=Account(NOBODY, NOBODY), output=subprocess.PIPE)
    output, _ = lab.laptop.start(program, around).communicate(timeout=30)
    status = dict(line.split(":\t", 1) for line in output.decode().splitlines() if ":\t" in line)
    assert status["Uid"].split() == [str(NOBODY)] * 4
    assert int(status["CapEff"], 16) == int(status["CapAmb"], 16) == 1 << 12


def test_a_process_sees_its_own_resolv_conf_and_the_machine_does_not(lab: Topology, tmp_path: Path) -> None:
    mine = tmp_path / "resolv.conf"
    mine.write_text("nameserver 192.0.2.53\n")
    before = Path("/etc/resolv.conf").read_bytes()
    around = Surroundings(files={"/etc/resolv.conf": mine}, output=subprocess.PIPE)
    output, _ = lab.laptop.start(["/bin/cat", "/etc/resolv.conf"], around).communicate(timeout=30)
    assert output == mine.read_bytes()
    assert Path("/etc/resolv.conf").read_bytes() == before


def test_leaving_the_lab_stops_its_processes_also_after_a_failure() -> None:
    started: list[subprocess.Popen[bytes]] = []

    def fail() -> None:
        with topology() as built:
            started.append(built.laptop.start(["/bin/sleep", "600"]))
            raise KeyError("a test went wrong")

    with pytest.raises(KeyError):
        fail()
    assert started[0].returncode is not None


def test_the_lab_works_in_a_user_namespace_of_an_ordinary_user(lab: Topology) -> None:
    reason = ordinary_user("from client.lab import isolation; print(isolation.why_not() or '', end='')", lab)
    if reason:
        pytest.skip(reason)
    assert (
        ordinary_user(
            "from client.lab import isolation; isolation.enter()\n"
            "from client.lab.topology import topology, GATEWAY\n"
            "from client.lab.echo import ping\n"
            "from client.lab.snapshot import snapshot, difference\n"
            "with topology() as lab:\n"
            "    before = snapshot(lab.laptop)\n"
            "    lab.wifi.down(); roamed = lab.laptop.run(lambda: ping(GATEWAY)) is not None; lab.wifi.up()\n"
            "    print(roamed, difference(before, snapshot(lab.laptop)), end='')\n",
            lab,
        )
        == "True ()"
    )


def ordinary_user(code: str, lab: Topology) -> str:
    around = Surroundings(account=Account(NOBODY, NOBODY, frozenset()), output=subprocess.PIPE)
    process = lab.server.start([sys.executable, "-c", code], around)
    return process.communicate(timeout=60)[0].decode()


def test_plan_uses_documentation_and_private_addresses_only() -> None:
    for plan in (lab_module.WIFI, lab_module.LTE):
        for interface in (*plan.laptop, *plan.router, *plan.public, *plan.upstream):
            assert not interface.ip.is_global


def test_nothing_was_done_to_the_machine_itself(lab: Topology) -> None:
    assert lab.laptop.inode != os.stat("/proc/self/ns/net").st_ino
    assert "wlan0" not in {entry.name for entry in os.scandir("/sys/class/net")}


def wait_for(condition: object, patience: float = 5.0) -> None:
    """Let the threads of the lab get on until `condition()` holds."""
    assert callable(condition)
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "the lab's traffic did not get that far"
        time.sleep(0.002)
