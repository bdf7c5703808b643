"""The terminal UI: tunnels, live.  A client of the control socket; it survives a restart of the daemon."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.types import CSSPathType
from textual.widgets import DataTable, Footer, Header, Static

from client.control.async_client import AsyncClient
from client.control.messages import (
    VISIBLE_KINDS,
    ControlError,
    SecretAnswer,
    SecretNeeded,
    SecretText,
    TunnelStatus,
    summary,
)
from profiles.store import default_store

from .. import render
from ..preparation import choose, prepare
from ..signers.holder import KeyHolder, reply
from .feed import Picture, follow, picture_of
from .messages import PictureChanged
from .person import Person
from .rates import Rates
from .screens.ask import AskScreen
from .screens.choose import ChooseScreen
from .screens.confirm import ConfirmScreen
from .story import happened
from .widgets.tunnel_detail import TunnelDetail
from .widgets.tunnel_story import TunnelStory
from .widgets.tunnel_table import TunnelTable

REDRAW_TIME = 1.0
"""Seconds after which ages and counters are drawn anew."""
COMPLAINT_TIME = 15.0
"""Seconds that a failure stays in sight: there is something to read."""


Holders = dict[str, KeyHolder]
"""By reference."""


class RoamApp(App[None]):
    """The list, the tunnel under the cursor, what has happened, and one line for the state of the daemon."""

    TITLE: str | None = "Roam"
    CSS_PATH: ClassVar[CSSPathType | None] = "theme.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("u", "up", "Up"),
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
        self._rates = Rates()
        self._holders = Holders()  # keys that stay elsewhere sign while this runs

    def compose(self) -> ComposeResult:
        yield Header(icon="")
        yield TunnelTable(id="tunnels")
        with VerticalScroll(id="pane"):
            yield TunnelDetail(id="detail")
        yield TunnelStory(id="story")
        yield Static(id="daemon")
        yield Footer()

    def on_mount(self) -> None:
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, self.exit
        )  # leaves the terminal as it was
        self._draw()
        self._listen()
        self.set_interval(REDRAW_TIME, self._refresh)

    @work(exclusive=True, group="feed")
    async def _listen(self) -> None:
        before = Picture()
        async for picture in follow(self._path, self._pause):
            self._tell(before, picture)
            before = picture
            for question in picture.questions:
                self._answer(question)
            self.post_message(PictureChanged(picture))

    def _tell(self, before: Picture, now: Picture) -> None:
        """Nothing is left out here, also where pictures come faster than they are drawn."""
        if not self.is_running:
            return
        story = self.screen_stack[0].query_one(TunnelStory)
        for entry in now.tunnels:
            for line in happened(before.find(entry), entry):
                story.tell(line, self._wall())
        for entry in before.tunnels:
            if now.find(entry) is None:
                story.tell(f"{render.printable(entry.name)} is off", self._wall())
        for text in now.notices:
            story.tell(render.printable(text), self._wall())
        if now.problem is not None and before.problem is None:
            story.tell(summary(now.problem.kind), self._wall())

    @work(exclusive=True, group="refresh")
    async def _refresh(self) -> None:
        """Counters are no events: ask for them, and let the ages grow."""
        if self._picture.problem is None:
            try:
                async with AsyncClient(self._path) as client:
                    report = await client.status()
            except ControlError:
                return  # the feed notices by itself and says so
            self._picture = picture_of(report)
            self._rates.note(report)
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
        main.query_one(TunnelTable).show(self._picture.tunnels, self._rates, self._wall())
        daemon = main.query_one("#daemon", Static)
        daemon.set_class(self._picture.problem is not None, "trouble")
        daemon.update(Text(self._daemon_line()))
        self._draw_detail()

    def _draw_detail(self) -> None:
        self.screen_stack[0].query_one(TunnelDetail).show(self._chosen(), self._wall())

    def _daemon_line(self) -> str:
        problem = self._picture.problem
        if problem is None:
            machine = self._picture.machine
            lines = () if machine is None else render.machine(machine, guarded=bool(self._picture.tunnels))
            return "; ".join(lines) or "connected to the daemon"
        return f"{summary(problem.kind)}: {render.printable(problem.evidence)}. {problem.hint}"

    def _chosen(self) -> TunnelStatus | None:
        table = self.screen_stack[0].query_one(TunnelTable)
        return next((entry for entry in self._picture.tunnels if table.is_chosen(entry)), None)

    @work(exclusive=True, group="command")
    async def action_up(self) -> None:
        """Bring up a profile that the person chooses."""
        store = default_store()
        standing = {entry.name for entry in self._picture.tunnels if entry.state in render.CONNECTED}
        names = [name for name in store.names() if name not in standing]
        if not names:
            self.notify(f"No other profile is in {store.user} or {store.system}", markup=False)
            return
        name = await self.push_screen_wait(ChooseScreen("Bring up which profile?", names))
        if name is None:
            return
        try:
            person = Person(self._ask, asyncio.get_running_loop())
            prepared = await asyncio.to_thread(lambda: prepare(choose(store, name), person))
            self._holders.update(prepared.holders)
            async with AsyncClient(self._path) as client:
                await client.up(prepared.request)
        except ControlError as error:
            self._complain(error)

    async def _ask(self, prompt: str, hidden: bool) -> str | None:
        """The person's answer; to be awaited anywhere in the loop."""
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.push_screen(AskScreen(render.printable(prompt), hidden=hidden), answered.set_result)
        return await answered

    @work(group="questions")
    async def _answer(self, needed: SecretNeeded) -> None:
        """Put a question of the daemon to the person; what a key of ours is to sign, to its holder."""
        if needed.kind == "signature":
            await self._sign(needed)
            return
        value = await self._ask(needed.prompt, needed.kind not in VISIBLE_KINDS)
        try:
            async with AsyncClient(self._path) as client:
                if value is None:
                    await client.cancel_secret(needed.id)
                else:
                    await client.answer_secret(SecretAnswer(needed.id, SecretText(value)))
        except ControlError as error:
            self._complain(error)

    async def _sign(self, needed: SecretNeeded) -> None:
        """A card takes its time, for which the screen does not wait."""
        given = await asyncio.to_thread(reply, needed, self._holders)
        try:
            async with AsyncClient(self._path) as client:
                if isinstance(given, SecretAnswer):
                    await client.answer_secret(given)
                elif given is not None:
                    await client.cancel_secret(given.id, given.why)
        except ControlError as error:
            if error.kind != "secret.unknown":  # another signer was faster
                self._complain(error)

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
        if error.kind == "interrupted":  # the person knows
            return
        words = f"{summary(error.kind)}: {render.printable(error.evidence)}\n{error.hint}"
        self.notify(words, severity="error", markup=False, timeout=COMPLAINT_TIME)
