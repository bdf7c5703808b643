"""The terminal UI: tunnels, live.  A client of the control socket; it survives a restart of the daemon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.types import CSSPathType
from textual.widgets import DataTable, Footer, Header, Static

from client.control.async_client import AsyncClient
from client.control.messages import ControlError, TunnelStatus, summary

from .. import render
from .feed import Picture, follow
from .messages import PictureChanged
from .screens.confirm import ConfirmScreen
from .widgets.tunnel_detail import TunnelDetail
from .widgets.tunnel_table import TunnelTable

REDRAW_TIME = 1.0
"""Seconds after which ages and counters are drawn anew."""


class RoamApp(App[None]):
    """List on top, the tunnel under the cursor below, and one line for the state of the daemon."""

    TITLE: str | None = "Roam"
    CSS_PATH: ClassVar[CSSPathType | None] = "theme.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("d", "down", "Down"),
        ("r", "rekey", "Rekey"),
        ("q", "quit", "Quit"),
    ]

    def __init__(
        self,
        socket: str,
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        self._path = socket
        self._wall = wall
        self._pause = pause
        self._picture = Picture()

    def compose(self) -> ComposeResult:
        yield Header()
        yield TunnelTable(id="tunnels")
        yield TunnelDetail(id="detail")
        yield Static(id="daemon")
        yield Footer()

    def on_mount(self) -> None:
        self._draw()
        self._listen()
        self.set_interval(REDRAW_TIME, self._refresh)

    @work(exclusive=True, group="feed")
    async def _listen(self) -> None:
        async for picture in follow(self._path, self._pause):
            self.post_message(PictureChanged(picture))

    @work(exclusive=True, group="refresh")
    async def _refresh(self) -> None:
        """Counters are no events: ask for them, and let the ages grow."""
        if self._picture.tunnels and self._picture.problem is None:
            try:
                async with AsyncClient(self._path) as client:
                    report = await client.status()
            except ControlError:
                return  # the feed notices by itself and says so
            self._picture = Picture(report.tunnels)
        self._draw()

    def on_picture_changed(self, message: PictureChanged) -> None:
        self._picture = message.picture
        self._draw()

    def on_data_table_row_highlighted(self, _message: DataTable.RowHighlighted) -> None:
        self._draw_detail()

    def _draw(self) -> None:
        if not self.is_running:  # a last message while closing
            return
        main = self.screen_stack[0]
        main.query_one(TunnelTable).show(self._picture.tunnels, self._wall())
        main.query_one("#daemon", Static).update(Text(self._daemon_line()))
        self._draw_detail()

    def _draw_detail(self) -> None:
        self.screen_stack[0].query_one(TunnelDetail).show(self._chosen(), self._wall())

    def _daemon_line(self) -> str:
        problem = self._picture.problem
        if problem is None:
            return "connected to the daemon"
        return f"{summary(problem.kind)}: {render.printable(problem.evidence)}. {problem.hint}"

    def _chosen(self) -> TunnelStatus | None:
        table = self.screen_stack[0].query_one(TunnelTable)
        return next((entry for entry in self._picture.tunnels if table.is_chosen(entry)), None)

    @work(exclusive=True, group="command")
    async def action_down(self) -> None:
        """Take the tunnel under the cursor down, after a question."""
        chosen = self._chosen()
        if chosen is None or not await self.push_screen_wait(ConfirmScreen(f"Take {chosen.name} down?")):
            return
        try:
            async with AsyncClient(self._path) as client:
                await client.down(chosen.name)
        except ControlError as error:
            self._complain(error)

    @work(exclusive=True, group="command")
    async def action_rekey(self) -> None:
        """Ask for new keys for the tunnel under the cursor."""
        chosen = self._chosen()
        if chosen is None:
            return
        try:
            async with AsyncClient(self._path) as client:
                await client.rekey(chosen.name)
        except ControlError as error:
            self._complain(error)

    def _complain(self, error: ControlError) -> None:
        words = f"{summary(error.kind)}: {render.printable(error.evidence)}\n{error.hint}"
        self.notify(words, severity="error", markup=False)
