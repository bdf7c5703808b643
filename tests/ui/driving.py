"""How tests drive the terminal UI: nothing is slept for, everything is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from textual.pilot import Pilot
from textual.worker import WorkerCancelled

from ui.tui.app import RoamApp


async def refresh(app: RoamApp, pilot: Pilot[None]) -> None:
    """Have everything asked for and drawn anew; a view that comes to the front may be doing so already."""
    async with asyncio.timeout(60):
        while True:
            with suppress(WorkerCancelled):
                await app.refresh_counters().wait()
                return
            await pilot.pause()


async def see(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await pilot.pause()
