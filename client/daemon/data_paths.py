"""Which data path carries a tunnel, and how it is opened: the kernel is looked at once, when the daemon starts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from math import ceil

from ..ike.options import Lifetimes
from ..system.choice import Choice, DataPathKind, choose_data_path
from ..system.kernel import KernelDataPath, sweep_kernel
from ..system.userspace import PumpPool, UserspaceDataPath
from ..system.xfrm_model import Limits
from .ports import CarrierPort

log = logging.getLogger("roam")


class DataPaths:
    """Commands: `look`, `warm`, `open`, `close`; getter: `choose`."""

    def __init__(
        self,
        choose: Callable[[], Choice] = choose_data_path,
        sweep: Callable[[], tuple[str, ...]] = sweep_kernel,
        pool: PumpPool | None = None,
    ) -> None:
        self._choose = choose
        self._sweep = sweep
        self._pool = pool or PumpPool()
        self._found = Choice(DataPathKind.USERSPACE, "nobody has looked at the kernel yet")

    async def look(self) -> None:
        """Clear up what a killed daemon has left in the kernel's tables, and see what the kernel can do.

        Before anything is wanted: later a sweep would take from tunnels that stand, and a look would disturb them.
        """
        self._found = await asyncio.to_thread(self._look)
        log.info("data path: %s, %s", self._found.kind, self._found.reason)
        self.warm()

    def _look(self) -> Choice:
        """A kernel that answers in a way that nobody foresaw still leaves the data path that needs little of it."""
        try:
            for removed in self._sweep():
                log.info("left behind by an earlier daemon, removed: %s", removed)
        except OSError as error:
            log.warning("the kernel's SAs and policies are not swept: %s", error)
        try:
            return self._choose()
        except Exception as error:
            log.exception("the look at the kernel failed")
            return Choice(DataPathKind.USERSPACE, f"the look at the kernel failed: {error}")

    def choose(self, wanted: str) -> Choice:
        """For a profile's `data_path`."""
        return self._found if wanted == "auto" else choose_data_path(wanted)

    def warm(self) -> None:
        """Have a pump ready, where a tunnel will probably need one."""
        if self._found.kind is DataPathKind.USERSPACE:
            self._pool.warm()

    async def open(
        self, kind: DataPathKind, link: str, mtu: int, lifetimes: Lifetimes, guarded: bool
    ) -> CarrierPort:
        """A data path with a link of this name and MTU, where a guard stands or not; `OSError` without one."""
        if kind is DataPathKind.USERSPACE:
            return await UserspaceDataPath.start(link, mtu, self._pool)
        offload = kind is DataPathKind.XFRM_OFFLOAD
        return await self._open_kernel(link, mtu, limits_of(lifetimes), offload=offload, guarded=guarded)

    async def _open_kernel(
        self, link: str, mtu: int, limits: Limits, *, offload: bool, guarded: bool
    ) -> CarrierPort:
        """A profile may ask for it on any kernel; what was lacking at the look says more than an error number."""
        try:
            return await KernelDataPath.start(link, mtu, limits, offload=offload, guarded=guarded)
        except OSError as error:
            if self._found.kind is DataPathKind.USERSPACE:
                raise OSError(self._found.reason) from error
            raise

    async def close(self) -> None:
        """No pump is kept ready any more."""
        await self._pool.close()


def limits_of(lifetimes: Lifetimes) -> Limits:
    """When the kernel reminds us of an SA's age, and when it ends one that nobody has replaced.

    The session is first, by its jitter.  Unlike a pump, SAs in the kernel outlive a daemon that was killed: there
    the end matters.
    """
    soft = ceil(lifetimes.child)
    return Limits(soft_age=soft, hard_age=2 * soft)
