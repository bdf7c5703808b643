"""Roam against strongSwan as a user has it: `roamd` in the laptop, `roam` on its command line.

Each test says what a person would do, and looks at both ends.  The daemon is an ordinary uid with CAP_NET_ADMIN
alone in the first test, and root in the others.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client.lab.echo import EchoServer, Train, ping
from client.lab.laptop import Laptop, daemon_account, wait_for
from client.lab.namespaces import CAP_NET_ADMIN
from client.lab.snapshot import difference
from client.lab.topology import SERVER, SERVER_V6, Topology, topology
from tests.netns.conftest import Interop
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import CONNECTION, Method, Road, make_credentials, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile
from tests.netns.transfer import MEGABYTE, Transfer

pytestmark = [pytest.mark.netns, pytest.mark.slow]

SIZE = 60 * MEGABYTE
OLD = ("aes256-sha1-modp1024",)
PLAIN = {"encap": "no"}  # a gateway that does not ask for UDP encapsulation by itself
ROADS: dict[str, Callable[[], Road]] = {
    "psk": Road,
    "certificate RSA": lambda: Road(Method.CERTIFICATE, make_credentials("rsa")),
    "certificate ECDSA": lambda: Road(Method.CERTIFICATE, make_credentials("ecdsa")),
    "EAP-MSCHAPv2": lambda: Road(Method.EAP, make_credentials("ecdsa")),
    "psk, IPv6 outside": lambda: Road(ipv6=True),
    "psk, no encap at the gateway": lambda: Road(connection=PLAIN),
    "psk, IPv6 outside, no encap at the gateway": lambda: Road(ipv6=True, connection=PLAIN),
}


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


@contextmanager
def running(laptop: Laptop, road: Road, *sections: str) -> Iterator[Laptop]:
    laptop.write_profile(NAME, *profile(road, *sections))
    laptop.start()
    try:
        yield laptop
    finally:
        laptop.stop()


@contextmanager
def connected(laptop: Laptop, road: Road, *sections: str) -> Iterator[Laptop]:
    with running(laptop, road, *sections):
        laptop.roam("up", NAME)
        yield laptop


def reaches_server(laptop: Laptop) -> bool:
    return laptop.namespace.run(lambda: None not in (ping(SERVER, 2.0), ping(SERVER_V6, 2.0)))


@pytest.mark.parametrize("nat", [True, False], ids=["NAT", "no NAT"])
@pytest.mark.parametrize("name", ROADS)
def test_connects_carries_traffic_and_leaves_nothing(
    strongswan: Release, directory: Path, interop: Interop, name: str, nat: bool
) -> None:
    road = ROADS[name]()
    with topology(nat=nat) as lab, StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        laptop = Laptop(lab.laptop, directory, daemon_account())
        before = laptop.snapshot()
        with connected(laptop, road):
            assert laptop.capabilities() == (65534, 1 << CAP_NET_ADMIN)
            assert reaches_server(laptop)
            with Transfer(lab.laptop, lab.server, SERVER_V6 if road.ipv6 else SERVER, SIZE) as transfer:
                assert transfer.finish()
            (sa,) = gateway.ike_sas()
            assert sa.state == "ESTABLISHED"
            assert sa.children[0].encapsulated
            assert difference(before, laptop.snapshot())
            laptop.roam("down", NAME)
            wait_for(lambda: not gateway.ike_sas(), "the gateway was not told")
            assert difference(before, laptop.snapshot()) == ()
        interop.shown(f"strongSwan {gateway.version}", f"{name}, {'NAT' if nat else 'no NAT'}", "60 MB, ping")


@pytest.mark.parametrize("words", OLD)
def test_connects_to_a_gateway_with_nothing_but_weak_algorithms_where_the_profile_allows_it(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop, words: str
) -> None:
    road = Road(connection={"proposals": [words]}, child={"esp_proposals": [words]})
    crypto = (
        f'[crypto]\nallow_legacy = true\nike = ["aes256-sha256-modp2048", "{words}"]\nesp = ["{words}"]\n'
    )
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, road)
        gateway.vici.register("child-rekey")
        with connected(Laptop(lab.laptop, directory, None), road, crypto) as laptop:
            assert reaches_server(laptop)
            laptop.roam("rekey", NAME)
            assert next(gateway.vici.events()).name == "child-rekey"
            assert reaches_server(laptop)
            assert "MODP-1024 is breakable" in laptop.roam("status", NAME)
        interop.shown(f"strongSwan {gateway.version}", f"{words}, allow_legacy", "ping, child rekey with PFS")


@pytest.mark.parametrize("which", ["child", "ike"])
@pytest.mark.parametrize("side", ["roam", "gateway"])
def test_rekeys_without_losing_a_packet(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop, which: str, side: str
) -> None:
    with (
        StrongSwan(strongswan, lab.gateway) as gateway,
        EchoServer(lab.server, SERVER) as server,
        Train(lab.laptop, SERVER, interval=0.005) as train,
    ):
        serve(gateway, Road())
        gateway.vici.register("ike-rekey", "child-rekey")
        with connected(Laptop(lab.laptop, directory, None), Road()) as laptop:
            wait_for(lambda: len(train.answers) > 20, "no traffic")
            first = max(train.answers)
            if side == "roam":
                laptop.roam("rekey", NAME, *(("--ike",) if which == "ike" else ()))
            else:
                gateway.rekey(
                    ike=CONNECTION if which == "ike" else None, child="net" if which == "child" else None
                )
            assert next(gateway.vici.events()).name == f"{which}-rekey"
            wait_for(lambda: max(train.answers) > first + 100, "no traffic after the rekey")
            last = max(train.answers)
            probes = train.probes(server)
        assert [p.sequence for p in probes if first <= p.sequence < last and p.answered_at is None] == []
        interop.shown(f"strongSwan {gateway.version}", f"{which} rekey by {side}", "no packet lost")


def test_answers_the_gateways_liveness_checks(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop
) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, Road(connection={"dpd_delay": "1s"}))
        with connected(Laptop(lab.laptop, directory, None), Road()):
            wait_for(lambda: gateway.log.count("parsed INFORMATIONAL response") >= 2, "no answers")
            assert "retransmit" not in gateway.log
            assert len(gateway.ike_sas()) == 1
        interop.shown(f"strongSwan {gateway.version}", "liveness by gateway", "answered")


def test_checks_that_the_gateway_is_alive(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop
) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, Road())
        with connected(Laptop(lab.laptop, directory, None), Road(), "[mobility]\ndpd = 10"):
            wait_for(lambda: "parsed INFORMATIONAL request" in gateway.log, "no liveness check")
            assert len(gateway.ike_sas()) == 1
        interop.shown(f"strongSwan {gateway.version}", "liveness by roam", "answered")


def test_comes_back_when_the_gateway_deletes_the_tunnel(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop
) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, Road())
        with connected(Laptop(lab.laptop, directory, None), Road()) as laptop:
            (before,) = gateway.ike_sas()
            gateway.terminate(ike=CONNECTION)
            wait_for(lambda: gateway.ike_sas(), "roam did not come back", laptop.log)
            wait_for(lambda: reaches_server(laptop), "no traffic", laptop.log)
            assert gateway.ike_sas()[0].spi_i != before.spi_i
        interop.shown(f"strongSwan {gateway.version}", "DELETE by gateway", "reconnected")


def test_a_transfer_survives_the_way_to_lte_and_back(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop
) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, Road())
        with connected(Laptop(lab.laptop, directory, None), Road()) as laptop:
            (before,) = gateway.ike_sas()
            with Transfer(lab.laptop, lab.server, SERVER, SIZE) as transfer:
                wait_for(lambda: transfer.received > SIZE // 10, "the transfer did not start")
                lab.wifi.down()
                moved = transfer.received
                wait_for(lambda: transfer.received > moved + SIZE // 10, "not over LTE", laptop.log)
                assert laptop.status(NAME)["path"]["interface"] == lab.lte.plan.link
                lab.wifi.up()
                assert transfer.finish()
            wait_for(
                lambda: laptop.status(NAME)["path"]["interface"] == lab.wifi.plan.link, "not back on Wi-Fi"
            )
            assert reaches_server(laptop)
            (after,) = gateway.ike_sas()
            assert after.spi_i == before.spi_i
        interop.shown(f"strongSwan {gateway.version}", "roam to LTE and back", "60 MB arrived whole")


@pytest.mark.parametrize("mobike", ["yes", "no"], ids=["MOBIKE", "no MOBIKE"])
def test_follows_a_new_path_also_without_mobike(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop, mobike: str
) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, Road(connection={"mobike": mobike}))
        with connected(Laptop(lab.laptop, directory, None), Road()) as laptop:
            lab.wifi.down()
            wait_for(lambda: reaches_server(laptop), "no traffic over LTE", laptop.log)
            assert laptop.status(NAME)["mobike"] is (mobike == "yes")
        interop.shown(f"strongSwan {gateway.version}", f"new path, mobike = {mobike}", "traffic again")


@pytest.mark.parametrize("silently", [False, True], ids=["stopped", "killed"])
def test_survives_a_restart_of_the_gateway_without_a_hand(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop, silently: bool
) -> None:
    with (
        StrongSwan(strongswan, lab.gateway) as gateway,
        EchoServer(lab.server, SERVER),
        Train(lab.laptop, SERVER) as train,
    ):
        serve(gateway, Road())
        with connected(Laptop(lab.laptop, directory, None), Road()) as laptop:
            wait_for(lambda: len(train.answers) > 5, "no traffic")
            gateway.restart(silently=silently)
            restarted = len(train.sent)
            wait_for(lambda: max(train.answers) > restarted, "no traffic after the restart", laptop.log)
        how = "killed" if silently else "stopped"
        interop.shown(f"strongSwan {gateway.version}", f"gateway {how} and restarted", "traffic again")


def test_cleanup_removes_everything_that_a_killed_daemon_left(
    strongswan: Release, lab: Topology, directory: Path, interop: Interop
) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway:
        serve(gateway, Road())
        laptop = Laptop(lab.laptop, directory, None)
        before = laptop.snapshot()
        with connected(laptop, Road()):
            laptop.kill()
            assert difference(before, laptop.snapshot())
            assert laptop.namespace.run(lambda: ping(SERVER, 0.2)) is None  # nothing leaves in clear
            laptop.roam("cleanup", "--state-dir", str(laptop.directory / "state"))
            assert difference(before, laptop.snapshot()) == ()
        interop.shown(f"strongSwan {gateway.version}", "kill -9 and roam cleanup", "nothing left")
