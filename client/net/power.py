"""Has the machine slept?  Told by two clocks, and by logind when to look at them.

CLOCK_BOOTTIME counts time asleep, CLOCK_MONOTONIC does not.  Their difference grows by nothing else: a
process that was stopped or starved does not move it, and setting the date does not either.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dbus_fast import Message

SHORTEST = 1.0
"""Seconds of difference that count as sleep."""

PERIOD = 2.0
"""Seconds between looks at the clocks where nobody says when."""

SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
_LOGIND = "org.freedesktop.login1"
_MANAGER = "org.freedesktop.login1.Manager"
_SIGNAL = "PrepareForSleep"

_log = logging.getLogger(__name__)


def asleep() -> float:
    """Seconds that the machine has slept since it was booted."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)


class SleepMeter:
    """Measures sleep between looks."""

    def __init__(self, clock: Callable[[], float] = asleep) -> None:
        self._clock = clock
        self._seen = clock()

    def slept(self) -> float:
        """Seconds slept since the last call; 0.0 where the machine was awake."""
        now = self._clock()
        grown = now - self._seen
        if grown <= SHORTEST:
            return 0.0
        self._seen = now
        return grown


async def watch_sleep(
    report: Callable[[float], None], meter: SleepMeter | None = None, bus: str = SYSTEM_BUS
) -> None:
    """Report the seconds of each sleep, as soon as it is over, until cancelled.

    `bus` is the D-Bus address at which logind is listened to; without it the clocks alone are watched.
    """
    measuring = meter if meter is not None else SleepMeter()
    woken = asyncio.Event()
    async with _logind(bus, woken.set):
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(PERIOD):
                    await woken.wait()
            woken.clear()
            seconds = measuring.slept()
            if seconds:
                report(seconds)


@asynccontextmanager
async def _logind(address: str, woken: Callable[[], None]) -> AsyncIterator[None]:
    """While in here, `woken` is called after each sleep that logind announces; no logind is no error."""
    path = Path(address.removeprefix("unix:path=").partition(",")[0])
    if not await asyncio.to_thread(os.access, path, os.R_OK | os.W_OK):
        yield
        return
    from dbus_fast import DBusError
    from dbus_fast.aio import MessageBus

    bus = MessageBus(bus_address=address)
    try:
        async with asyncio.timeout(PERIOD):
            await bus.connect()
            await bus.call(_match())
    except (OSError, EOFError, DBusError, TimeoutError) as error:
        _log.info("logind cannot be listened to (%s): sleep is noticed by the clocks alone", error)
    else:
        bus.add_message_handler(lambda message: woken() if _is_wake(message) else None)
    try:
        yield
    finally:
        bus.disconnect()


def _match() -> Message:
    from dbus_fast import Message

    rule = f"type='signal',sender='{_LOGIND}',interface='{_MANAGER}',member='{_SIGNAL}'"
    return Message(
        destination="org.freedesktop.DBus",
        path="/org/freedesktop/DBus",
        interface="org.freedesktop.DBus",
        member="AddMatch",
        signature="s",
        body=[rule],
    )


def _is_wake(message: Message) -> bool:
    """Before a sleep the signal's argument is true, after it false."""
    return (message.interface, message.member, message.body) == (_MANAGER, _SIGNAL, [False])
