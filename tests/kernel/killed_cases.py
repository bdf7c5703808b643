"""Killed before any request of the kernel's data path: a sweep finds what is left, and the next one starts."""

from __future__ import annotations

import asyncio
import os
import signal
import traceback

from pyroute2 import IPRoute

from client.ike.events import Endpoint, Path
from client.system import xfrm_link
from client.system.kernel import KernelDataPath, sweep_kernel
from client.system.xfrm import Xfrm
from client.system.xfrm_messages import Request
from client.system.xfrm_model import Report
from tests.esp.children import AES_GCM_ESN, child_pair
from tests.esp.tunnel import OUTER, SPARE, natt_socket
from tests.esp.wire import Namespace, two_namespaces

from .cases import case
from .ends import LINK, MTU, End
from .tables_cases import tables

_MOST = 150
_FEWEST = 10
_HOW = {True: "from start to end, moved by migration", False: "from a move by hand on"}


@case
async def killed_before_any_request_it_leaves_nothing_that_a_sweep_does_not_find() -> str:
    """Lives with a start, two Child SAs, a change-over, a move and an end."""
    kills = {}
    with two_namespaces() as (one, other):
        _, remote = natt_socket(other, OUTER[4][1])
        before = tables(one)
        for migrate, how in _HOW.items():
            at = 1
            while await asyncio.to_thread(_is_killed, one, remote, at, migrate=migrate):
                with one.entered():
                    sweep_kernel()
                after = tables(one).replace(
                    f"\n{LINK}", ""
                )  # a link stays, and is made anew by the next life
                assert after == before, f"killed before request {at}: {after}"
                at += 1
                assert at < _MOST
            assert tables(one) == before
            kills[how] = at - 1
    assert min(kills.values()) >= _FEWEST, kills
    return ", ".join(f"{count} kills {how}" for how, count in kills.items())


def _is_killed(one: Namespace, remote: Endpoint, at: int, *, migrate: bool) -> bool:
    """Live in a process that dies before its request number `at`; False where there are not so many."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            asyncio.run(_live(one, remote, Fuse(at, is_lit=migrate), migrate=migrate))
            status = 0
        except Exception:
            traceback.print_exc()  # to the machine's console
        finally:
            os._exit(status)
    _, result = os.waitpid(child, 0)
    assert result in (0, signal.SIGKILL), f"it failed before request {at}"
    return result != 0


class Fuse:
    """Burns with each request, once it is lit; before the one with its number this process dies."""

    def __init__(self, at: int, *, is_lit: bool) -> None:
        self._left = at
        self._is_lit = is_lit
        ask, burn = Xfrm._ask, self._burn

        def asking(tables: Xfrm, request: Request) -> list[Report]:
            burn()
            return ask(tables, request)

        class Links(IPRoute):  # type: ignore[misc]
            def __getattribute__(self, name: str) -> object:
                if name in ("link", "get_links"):
                    burn()
                return super().__getattribute__(name)

        for owner, name, mortal in ((Xfrm, "_ask", asking), (xfrm_link, "IPRoute", Links)):
            setattr(owner, name, mortal)

    def light(self) -> None:
        self._is_lit = True

    def _burn(self) -> None:
        self._left -= self._is_lit
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


async def _live(one: Namespace, remote: Endpoint, fuse: Fuse, *, migrate: bool) -> None:
    with one.entered():
        data_path = await KernelDataPath.start(LINK, MTU, migrate=migrate)
    end = End(one, 0, data_path, *natt_socket(one, OUTER[4][0]), encapsulate=True)
    await end.point_at(remote)
    first, _ = child_pair()
    second, _ = child_pair(AES_GCM_ESN, seed="second", spis=(0xC0FFEE01, 0xC0FFEE02))
    path = Path("wire", end.local, remote)
    await data_path.install(first, path)
    await data_path.install(second, path, outbound=False)
    await data_path.use_outbound(second.spi_in)
    await data_path.remove(first.spi_in)
    end.leave_for(SPARE[0])
    fuse.light()
    await end.point_at(remote)
    await data_path.close()
