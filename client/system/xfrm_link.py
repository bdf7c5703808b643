"""Xfrm interfaces: links whose packets must find a policy and an SA of their number, or are dropped."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

_KIND = "xfrm"


def make_link(name: str, mtu: int, if_ids: Iterable[int]) -> int:
    """Make the interface `name`, down and without addresses, with the first of the numbers that is free.

    An xfrm interface of that name is what a killed daemon has left, and goes.  `OSError` where the kernel has none
    or the name is taken by another kind of link.
    """
    with _as_oserror(), IPRoute() as netlink:
        _drop(netlink, name)
        for if_id in if_ids:
            try:
                netlink.link("add", ifname=name, kind=_KIND, xfrm_if_id=if_id, mtu=mtu)
            except NetlinkError as error:
                if error.code != errno.EEXIST or netlink.link_lookup(ifname=name):
                    raise
            else:
                return if_id
    raise OSError(errno.EEXIST, "all numbers for xfrm interfaces are taken")


def drop_link(name: str) -> None:
    """Take an xfrm interface away; it is no error if there is none of that name."""
    with _as_oserror(), IPRoute() as netlink:
        _drop(netlink, name)


def _drop(netlink: IPRoute, name: str) -> None:
    for link in netlink.get_links():
        info = link.get_attr("IFLA_LINKINFO")
        if (
            link.get_attr("IFLA_IFNAME") == name
            and info is not None
            and info.get_attr("IFLA_INFO_KIND") == _KIND
        ):
            netlink.link("del", index=link["index"])


@contextmanager
def _as_oserror() -> Iterator[None]:
    try:
        yield
    except NetlinkError as error:
        raise OSError(error.code, os.strerror(error.code)) from error
