"""What the kernel answers is what was asked for, and a refusal is an error with its number."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from pyroute2.netlink import NLM_F_CREATE, NLM_F_EXCL, rtnl
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from client.lab.namespaces import Namespace
from client.rtnetlink import Rtnetlink, message

pytestmark = pytest.mark.netns

LOOPBACK = 1
BLACKHOLE = 6
NEW = NLM_F_CREATE | NLM_F_EXCL


@pytest.fixture
def netlink() -> Iterator[Rtnetlink]:
    with (
        closing(Namespace.create("empty")) as namespace,
        namespace.entered(),
        Rtnetlink() as opened,
    ):
        yield opened


def blackhole(third: int, table: int) -> object:
    attributes = {"RTA_DST": f"10.77.{third}.0", "RTA_TABLE": table, "RTA_GATEWAY": None}
    return message(rtmsg, attributes, family=socket.AF_INET, dst_len=24, type=BLACKHOLE)


def destinations(netlink: Rtnetlink, table: int) -> list[str]:
    request = message(rtmsg, {"RTA_TABLE": table}, family=socket.AF_INET)
    return [route.get_attr("RTA_DST") for route in netlink.dump(rtnl.RTM_GETROUTE, request)]


def test_what_was_put_is_listed(netlink: Rtnetlink) -> None:
    netlink.change(rtnl.RTM_NEWLINK, message(ifinfmsg, index=LOOPBACK, flags=1, change=1))
    links = netlink.dump(rtnl.RTM_GETLINK, message(ifinfmsg))
    assert "lo" in {found.get_attr("IFLA_IFNAME") for found in links}
    loopback = netlink.get(rtnl.RTM_GETLINK, message(ifinfmsg, index=LOOPBACK))
    assert loopback is not None
    assert loopback["flags"] & 1
    assert netlink.get(rtnl.RTM_GETLINK, message(ifinfmsg, index=4711)) is None
    addresses = netlink.dump(rtnl.RTM_GETADDR, message(ifaddrmsg, index=LOOPBACK))
    assert {found.get_attr("IFA_ADDRESS") for found in addresses} == {"127.0.0.1", "::1"}


def test_a_request_says_which_table_is_meant(netlink: Rtnetlink) -> None:
    for third, table in ((1, 1001), (2, 1001), (3, 1002)):
        netlink.change(rtnl.RTM_NEWROUTE, blackhole(third, table), NEW)
    assert destinations(netlink, 1001) == ["10.77.1.0", "10.77.2.0"]


def test_lists_that_fill_many_datagrams_are_whole(netlink: Rtnetlink) -> None:
    for third in range(256):
        netlink.change(rtnl.RTM_NEWROUTE, blackhole(third, 1001), NEW)
    assert len(set(destinations(netlink, 1001))) == 256


def test_a_request_may_be_sent_again(netlink: Rtnetlink) -> None:
    request = blackhole(1, 1001)
    netlink.change(rtnl.RTM_NEWROUTE, request, NEW)
    netlink.change(rtnl.RTM_DELROUTE, request)
    netlink.change(rtnl.RTM_NEWROUTE, request, NEW)
    assert destinations(netlink, 1001) == ["10.77.1.0"]


def test_a_refusal_has_the_kernels_number_and_the_next_request_its_own_answer(netlink: Rtnetlink) -> None:
    netlink.change(rtnl.RTM_NEWROUTE, blackhole(1, 1001), NEW)
    with pytest.raises(FileExistsError):
        netlink.change(rtnl.RTM_NEWROUTE, blackhole(1, 1001), NEW)
    with pytest.raises(ProcessLookupError) as refused:
        netlink.change(rtnl.RTM_DELROUTE, blackhole(2, 1001))
    assert refused.value.errno == errno.ESRCH
    assert destinations(netlink, 1001) == ["10.77.1.0"]


def test_a_table_that_does_not_exist_has_no_routes(netlink: Rtnetlink) -> None:
    assert destinations(netlink, 4711) == []


def test_a_link_that_has_gone_has_no_addresses(netlink: Rtnetlink) -> None:
    assert netlink.dump(rtnl.RTM_GETADDR, message(ifaddrmsg, index=4711)) == []
