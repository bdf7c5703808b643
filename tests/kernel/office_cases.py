"""Roam as an ordinary user's daemon against strongSwan, both on the kernel's ESP: logins, rekeys and moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface

from client.lab.laptop import LabFailed, daemon_account, last_lines, wait_for
from client.lab.nat import forward_udp, swallow
from client.lab.topology import GATEWAY, LTE, SERVER, SERVER_V6, WIFI
from client.lab.xfrm_dump import xfrm_lines
from tests.netns.peers.releases import unpacked
from tests.netns.peers.roadwarrior import CONNECTION, Method, Road, dial, make_credentials
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME

from .cases import Stage
from .office import BY_HAND, KERNEL_ESP, NO_ENCAP, PEER, Office, megabits, running


@contextmanager
def the_office() -> Iterator[Office]:
    """The daemon is somebody with one capability."""
    with running(daemon_account()) as it:
        yield it


_stage = Stage(the_office)


@_stage.case
def strongswan_on_kernel_esp_with_rekeys_and_moves(it: Office) -> str:
    """EAP behind a NAT; a new lease, by migration; to a network without NAT, by hand; back and forth at once."""
    with (
        it.connected(Road(Method.EAP, make_credentials("ecdsa"), connection=NO_ENCAP)),
        it.nothing_in_clear(),
    ):
        it.carries()
        lease = IPv4Interface("192.168.1.42/24"), IPv6Interface("2001:db8:1::42/64")
        nat, lte = str(WIFI.public[0].ip), str(LTE.laptop[0].ip)
        shown = (
            rekeys_without_loss(it, ike=False),
            rekeys_without_loss(it, ike=True),
            moves(it, partial(it.lab.wifi.address, *lease), nat, "by migration", encapsulated=True),
            moves(it, it.lab.wifi.down, lte, "by hand", encapsulated=False),
            flaps(it, nat, lte),
        )
        it.carries()
    return "; ".join(shown)


def rekeys_without_loss(it: Office, *, ike: bool) -> str:
    """Neither end had a packet for which it had no SA, nor one that came twice, too late or spoilt.

    A packet may still be lost on the wire: an emulated processor that gets no time forgets neighbours, too.
    """
    it.flows()
    first, before = max(it.train.answers), it.errors_of_ipsec()
    old = it.sa.spi_i if ike else it.child.spi_in
    with it.control() as control:
        control.rekey(NAME, ike=ike)
    wait_for(lambda: (it.sa.spi_i if ike else it.child.spi_in) != old, "no rekey", it.laptop.log)
    it.flows(60)
    assert it.errors_of_ipsec() == before, (before, it.errors_of_ipsec())
    lost = it.lost_since(first)
    assert not [fate for fate in lost if "not sent" in fate], lost
    what = "IKE SA" if ike else "Child SA"
    return f"{what} rekeyed, {max(it.train.answers) - first} packets, {len(lost) or 'none'} lost"


def moves(it: Office, what: Callable[[], None], seen_at: str, how: str, *, encapsulated: bool) -> str:
    """The gateway then sees the laptop at another end, and traffic goes on."""
    said = it.laptop.log.read_text().count(BY_HAND)

    def by_hand() -> bool:
        return it.laptop.log.read_text().count(BY_HAND) > said

    what()
    wait_for(lambda: it.sa.remote.startswith(seen_at), f"not seen at {seen_at}", it.laptop.log)
    it.flows()
    wait_for(lambda: it.child.encapsulated is encapsulated, "wrong encapsulation", it.laptop.log)
    if how == "by hand":
        wait_for(by_hand, "not carried by hand", it.laptop.log)
    else:
        assert not by_hand(), last_lines(it.laptop.log)
    return f"seen at {it.sa.remote} {'in UDP' if encapsulated else 'as bare ESP'}, moved {how}"


def flaps(it: Office, wifi: str, lte: str) -> str:
    """A, B and A again, faster than anybody could answer: it ends where the last word says, with one tunnel."""
    identifier = it.sa.identifier
    for _ in range(3):
        it.lab.wifi.up()
        it.lab.wifi.down()
    it.lab.wifi.up()
    wait_for(lambda: it.sa.remote.startswith(wifi), f"not back at {wifi}", it.laptop.log)
    it.wait_until(lambda status: status.state == "up", "not at rest")
    it.flows()
    assert len(it.gateway.ike_sas()) == 1
    assert it.sa.identifier == identifier, "connected anew"
    return f"seven changes at once from {lte}, the same tunnel at {wifi}"


@_stage.case
def our_own_data_path_with_rekeys_and_moves(it: Office) -> str:
    """In place of the kernel's, with strongSwan on the kernel's at the other end; ESP is always in UDP."""
    nat, lte = str(WIFI.public[0].ip), str(LTE.laptop[0].ip)
    road = Road(Method.EAP, make_credentials("ecdsa"), connection=NO_ENCAP)
    with it.connected(road, data_path="userspace"), it.nothing_in_clear():
        it.carries()
        shown = (
            rekeys_without_loss(it, ike=False),
            rekeys_without_loss(it, ike=True),
            moves(it, it.lab.wifi.down, lte, "by itself", encapsulated=True),
            moves(it, it.lab.wifi.up, nat, "by itself", encapsulated=True),
        )
        it.carries()
    return "; ".join(shown)


@_stage.case
def every_way_to_log_in_and_ipv6_outside(it: Office) -> str:
    roads = {
        "PSK over IPv6": Road(Method.PSK, ipv6=True, connection=NO_ENCAP),
        "certificate": Road(Method.CERTIFICATE, make_credentials("ecdsa")),
    }
    for road in roads.values():
        with it.connected(road), it.nothing_in_clear():
            it.reaches(SERVER, SERVER_V6)
    return ", ".join(roads)


@_stage.case
def a_gateway_behind_the_same_nat(it: Office) -> str:
    """Both ends see the address of the NAT itself: it sends its own guests' packets back in (hairpin)."""
    public = WIFI.public[0].ip
    assert isinstance(public, IPv4Address)
    it.lab.wifi.router.run(partial(forward_udp, public, (500, 4500), GATEWAY))
    with it.connected(Road(connection=NO_ENCAP), gateway=public) as status, it.nothing_in_clear():
        it.carries()
        assert status.path is not None
        assert status.path.nat_local, status.path
        assert status.path.nat_remote, status.path
        assert it.child.encapsulated
        seen = it.sa.remote
    assert seen.startswith(str(public)), seen
    return f"{status.path.remote} as seen by us, {seen} as seen by the gateway"


@_stage.case
def a_black_hole_on_the_way_is_found(it: Office) -> str:
    """The router swallows what a full packet becomes, and TCP comes through in both directions all the same."""
    it.lab.wifi.router.run(partial(swallow, 1400))
    try:
        with it.connected(Road()):
            status = it.wait_until(lambda status: 1330 <= (status.mtu or 0) < 1340, "the search does not end")
            it.carries()
    finally:
        it.lab.wifi.router.run(partial(swallow, 0))
    return f"MTU {status.mtu}: {status.mtu_reason}"


@_stage.case
def a_refused_child_sa_leaves_no_sa_behind(it: Office) -> str:
    it.prepare(Road(child={"esp_proposals": ["aes128-sha1-modp1024"]}))
    with suppress(LabFailed):
        it.up()
    with it.control() as control:
        failure = control.status(NAME).tunnels[0].failure
    assert failure is not None, "it was not refused"
    assert failure.kind == "crypto.no_proposal", failure
    left = it.lab.laptop.run(lambda: list(xfrm_lines()))
    with it.control() as control:
        control.down(NAME)
    assert not left, left
    return "no SA, larval or not, and no policy"


@_stage.case
def throughput_beside_strongswans_own_client(it: Office) -> str:
    """One TCP connection by iperf3; the gateway is the same for all three, and the processor emulated."""
    figures = {}
    directory = it.laptop.directory
    for data_path in ("xfrm", "userspace"):
        with it.connected(Road(), data_path=data_path):
            it.reaches(SERVER)
            figures[f"Roam, {data_path}"] = megabits(it.lab.laptop, it.lab.server, directory)
    it.is_as_before()
    with StrongSwan(unpacked(*PEER), it.lab.laptop, KERNEL_ESP) as client:
        dial(client, Road())
        client.initiate(CONNECTION, timeout=60.0)
        it.reaches(SERVER)
        figures["strongSwan"] = megabits(it.lab.laptop, it.lab.server, directory)
        client.terminate(ike=CONNECTION)
    it.before = it.laptop.snapshot()  # charon sets how long the kernel waits for an SA, and leaves it so
    assert min(figures.values()) > 0, figures
    return ", ".join(f"{who} {figure} Mbit/s" for who, figure in figures.items())
