"""Two namespaces joined by a wire, for tests that move real packets.  Nothing of the machine's own is touched."""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from pyroute2 import IPRoute

Result = TypeVar("Result")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _own_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@dataclass(frozen=True)
class Namespace:
    """A network namespace that lives as long as its descriptor."""

    fd: int

    @contextmanager
    def entered(self) -> Iterator[None]:
        """This thread is inside for as long."""
        home = _own_namespace()
        _checked(_libc.setns(self.fd, _CLONE_NEWNET))
        try:
            yield
        finally:
            _checked(_libc.setns(home, _CLONE_NEWNET))
            os.close(home)

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A non-blocking socket in here."""
        with self.entered():
            opened = socket.socket(family, kind, protocol)
        opened.setblocking(False)
        return opened

    def netlink(self, use: Callable[[IPRoute], Result]) -> Result:
        """What `use` makes of a netlink socket in here.

        In a thread of its own, because pyroute2 does not run where an event loop runs already.
        """

        def body() -> Result:
            with IPRoute() as route:
                return use(route)

        with self.entered(), ThreadPoolExecutor(1) as thread:
            return thread.submit(body).result()

    def up(self, name: str, *addresses: str) -> None:
        """Give a link these addresses (with prefix lengths) and turn it on."""
        self.netlink(partial(_turn_on, name, addresses))

    def links(self) -> list[str]:
        """Names of all links in here."""
        return self.netlink(lambda route: [link.get_attr("IFLA_IFNAME") for link in route.get_links()])


def _namespace() -> Namespace:
    home = _own_namespace()
    _checked(_libc.unshare(_CLONE_NEWNET))
    made = Namespace(_own_namespace())
    _checked(_libc.setns(home, _CLONE_NEWNET))
    os.close(home)
    return made


def _turn_on(name: str, addresses: tuple[str, ...], route: IPRoute) -> None:
    index = route.link_lookup(ifname=name)[0]
    for address in addresses:
        host, length = address.split("/")
        extra = {"flags": 2} if ":" in host else {}  # no duplicate address detection
        route.addr("add", index=index, address=host, prefixlen=int(length), **extra)
    route.link("set", index=index, state="up")


def _add_wires(other: Namespace, route: IPRoute) -> None:
    for name in ("wire", "spare"):
        route.link("add", ifname=name, kind="veth", peer={"ifname": name, "net_ns_fd": other.fd})


def _turn_all_on(number: int, route: IPRoute) -> None:
    _turn_on("lo", (), route)
    _turn_on("wire", (f"192.0.2.{number}/24", f"2001:db8::{number}/64"), route)
    _turn_on("spare", (f"198.51.100.{number}/24", f"2001:db8:1::{number}/64"), route)


@contextmanager
def two_namespaces() -> Iterator[tuple[Namespace, Namespace]]:
    """Two of them; a link `wire` in each joins them, 192.0.2.1 and .2, 2001:db8::1 and ::2; `spare` likewise.

    The second link has 198.51.100.1 and .2, and 2001:db8:1::1 and ::2.
    """
    one, other = _namespace(), _namespace()
    try:
        one.netlink(partial(_add_wires, other))
        for number, namespace in enumerate((one, other), start=1):
            namespace.netlink(partial(_turn_all_on, number))
        yield one, other
    finally:
        os.close(one.fd)
        os.close(other.fd)
