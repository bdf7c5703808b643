"""What other programs have made is seen, and nothing of ours is taken for theirs."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address

import pytest
from pyroute2 import IPRoute
from pyroute2.nftables.main import NFTables

from client.lab.laptop import daemon_account, program_environment
from client.lab.links import connect
from client.lab.namespaces import Account, Namespace, Surroundings
from client.system.features import Feature, read_link_kind, read_migrate, read_nftables, read_tun
from client.system.others import OtherFilter, OtherLink, OtherRule, Others, read_others
from client.system.tun import open_tun
from client.system.xfrm import Xfrm
from client.system.xfrm_model import Direction, Flow, Policy, Template
from client.tunnel.model import MARK, MARK_MASK, RULE_PRIORITY, TABLE
from tests.system.scene import STANDING, Scene

pytestmark = pytest.mark.netns


@pytest.fixture
def laptop() -> Iterator[Namespace]:
    namespace = Namespace.create("laptop")
    with namespace.entered():
        yield namespace
    namespace.close()


def test_an_empty_machine_has_nothing_of_others(laptop: Namespace) -> None:
    assert read_others() == Others()


def test_links_rules_and_sockets_of_others_are_seen(laptop: Namespace) -> None:
    descriptor = open_tun("tun7", 1400)
    peer = Namespace.create("peer")
    connect(laptop, "wlan0", peer, "lan")  # a cable is no tunnel
    with IPRoute() as netlink:
        netlink.rule("add", priority=5210, table=254, fwmark=0x80000, fwmask=0xFF0000)
        netlink.rule("add", family=socket.AF_INET6, priority=32764, table=51820, fwmark=0xCA6C, flags=2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as charon:
        charon.bind(("", 500))
        found = read_others()
    assert found == Others(
        (OtherLink("tun7", "tun", up=False),),
        (
            OtherRule(4, 5210, 254, 0x80000, 0xFF0000),
            OtherRule(6, 32764, 51820, 0xCA6C, 0xFFFFFFFF, inverted=True),
        ),
        listeners=(500,),
    )
    os.close(descriptor)
    peer.close()


def test_a_rule_of_others_in_our_place_is_not_ours(laptop: Namespace) -> None:
    with IPRoute() as netlink:
        netlink.rule("add", priority=RULE_PRIORITY + 1, table=TABLE, fwmark=MARK, fwmask=MARK_MASK, flags=2)
        assert read_others().rules == ()
        netlink.rule("add", priority=RULE_PRIORITY + 1, table=4000)
    assert read_others().rules == (OtherRule(4, RULE_PRIORITY + 1, 4000),)


@pytest.mark.parametrize(("policy", "drops"), [(0, ("output",)), (1, ())])
def test_packet_filters_of_others_are_seen_with_what_they_drop(
    laptop: Namespace, policy: int, drops: tuple[str, ...]
) -> None:
    nft = NFTables(nfgen_family=1)  # inet
    nft.table("add", name="strict")
    nft.chain("add", table="strict", name="out", type="filter", hook="output", priority=0, policy=policy)
    nft.close()
    assert read_others().filters == (OtherFilter("inet strict", drops),)


def test_what_is_ours_while_a_tunnel_stands_is_nobody_elses(scene: Scene) -> None:
    scene.make_link()
    scene.apply(scene.config(STANDING))
    assert read_others() == Others()


def test_policies_of_another_ipsec_are_counted(laptop: Namespace) -> None:
    end = IPv4Network("10.0.0.0/8")
    sent = Template(ip_address("192.0.2.1"), ip_address("192.0.2.2"), reqid=1)
    with Xfrm() as tables:
        tables.put_policy(Policy(Flow(end, end), Direction.OUT, 0, 1000, sent))
    assert read_others().policies == 1


def test_this_kernel_has_what_the_lab_needs(laptop: Namespace) -> None:
    assert (read_tun(), read_nftables()) == (Feature(present=True), Feature(present=True))
    assert read_migrate().present is not None
    before = socket.if_nameindex()
    kinds = {kind: read_link_kind(kind).present for kind in ("veth", "nonsense", "xfrm")}
    assert kinds == {"veth": True, "nonsense": False, "xfrm": kinds["xfrm"]}
    assert kinds["xfrm"] is not None
    assert socket.if_nameindex() == before


@pytest.mark.slow
def test_without_any_right_what_cannot_be_seen_is_not_said_to_be_missing(laptop: Namespace) -> None:
    if (ordinary := daemon_account()) is None:
        pytest.skip("no other uid can be had here")
    program = (
        "from client.system.others import read_others; from client.system.features import read_nftables\n"
        "found = read_others()\n"
        "assert (found.filters, read_nftables().present) == (None, None), found"
    )
    around = Surroundings(Account(ordinary.uid, ordinary.gid, frozenset()), environment=program_environment())
    assert laptop.start([sys.executable, "-c", program], around).wait(30) == 0
