"""`roamd` with the kernel's data path for every tunnel, encapsulated only where there is a NAT."""

from __future__ import annotations

import sys
from dataclasses import replace

from client.daemon import main as daemon
from client.daemon.driver import Wish
from client.daemon.effects import Effects
from client.daemon.leg import Leg
from client.daemon.order import Order
from client.daemon.ports import CarrierPort
from client.daemon.service import Daemon
from client.ike.events import Output, PathMoved
from client.system.kernel import KernelDataPath
from client.system.userspace import PumpPool

_wish = Order.wish
_perform = Effects._perform


async def _open_data_path(_: Daemon, link: str, mtu: int) -> CarrierPort:
    return await KernelDataPath.start(link, mtu)


def _unforced(order: Order, serial: int) -> Wish:
    wish = _wish(order, serial)
    session = replace(wish.session, force_encapsulation=order.profile.mobility.force_encap)
    return replace(wish, session=session)


async def _perform_with_encapsulation(effects: Effects, leg: Leg, output: Output) -> None:
    """What the gateway says of NATs after a move begins or ends UDP encapsulation."""
    await _perform(effects, leg, output)
    if isinstance(output, PathMoved) and effects.carrier.bound is leg:
        await effects._try(effects.carrier.bind(leg))


def _no_pump(_: PumpPool) -> None:
    """Nobody will use it, and on an emulated processor it takes its time."""


if __name__ == "__main__":
    PumpPool.warm = _no_pump  # type: ignore[assignment,method-assign]
    Effects._perform = _perform_with_encapsulation  # type: ignore[assignment,method-assign]
    Daemon._open_data_path = _open_data_path  # type: ignore[assignment,method-assign]
    Order.wish = _unforced  # type: ignore[assignment,method-assign]
    sys.exit(daemon.main())
