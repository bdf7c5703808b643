"""The terminal UI: tunnels, live.  A client of the control socket; it survives a restart of the daemon."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import ClassVar

from textual import work
from textual.app import App, SystemCommand
from textual.screen import Screen
from textual.types import CSSPathType

from client.control.messages import (
    HELD_KINDS,
    VISIBLE_KINDS,
    ControlError,
    SecretNeeded,
    TunnelStatus,
    summary,
)

from .. import render
from ..signers.holder import reply
from .control import Control
from .feed import Picture, follow, picture_of
from .messages import PictureChanged
from .screens.ask import AskScreen
from .screens.main import DETAILED, VIEWS, MainScreen
from .sight import Sight
from .story import happened

REDRAW_TIME = 1.0
"""Seconds after which ages and counters are drawn anew."""
PROBE_TIME = 5.0
"""Seconds between two questions for the round trip, while somebody looks at the tunnel."""


class RoamApp(App[None]):
    """Follows the daemon, keeps what is in sight, and puts the daemon's questions to the person."""

    TITLE: str | None = "Roam"
    CSS_PATH: ClassVar[CSSPathType | None] = "theme.tcss"
    VERTICAL_BREAKPOINTS: list[tuple[int, str]] | None = [(0, "-low"), (30, "-high")]  # noqa: RUF012 - as textual has it

    def __init__(
        self,
        socket: str,
        wall: Callable[[], float] = time.time,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        *,
        plain: bool = False,
        ticks: bool = True,
    ) -> None:
        """`ticks`: draw and measure by the clock; without, only when something happens."""
        super().__init__()
        self._ticks = ticks
        self._control = Control(socket)
        self._wall = wall
        self._pause = pause
        self.sight = Sight(plain)
        self.main = MainScreen(self._control, self._ask, self.sight)

    def get_default_screen(self) -> Screen[None]:
        """The main screen."""
        return self.main

    def get_system_commands(self, screen: Screen[object]) -> Iterator[SystemCommand]:
        """What the command palette offers."""
        yield from super().get_system_commands(screen)
        main = self.main
        yield SystemCommand("Up", "Bring up a profile", main.action_up)
        yield SystemCommand("Down", "Take the tunnel under the cursor down", main.action_down)
        yield SystemCommand("Rekey", "Replace the keys of the tunnel under the cursor", main.action_rekey)
        yield SystemCommand("New", "Make a profile of a server and a user", main.action_new)
        yield SystemCommand("Import", "Make a profile of an administrator's file", main.action_import)
        yield SystemCommand(
            "Lockdown", "Let nothing leave outside a tunnel, or end that", main.action_lockdown
        )
        yield SystemCommand("Open portal", "Let the browser log in to this network", main.action_portal)
        for name, title in VIEWS.items():
            yield SystemCommand(
                f"View: {title}", "Bring it to the front", lambda name=name: main.action_view(name)
            )

    def on_mount(self) -> None:
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, self.exit
        )  # leaves the terminal as it was
        self._draw()
        self._listen()
        if self._ticks:
            self.set_interval(REDRAW_TIME, self.refresh_counters)
            self.set_interval(PROBE_TIME, self.measure)

    @work(exclusive=True, group="feed")
    async def _listen(self) -> None:
        before = Picture()
        async for picture in follow(self._control.path, self._pause):
            self._tell(before, picture)
            before = picture
            for question in picture.questions:
                self._answer(question)
            self.post_message(PictureChanged(picture))

    def _tell(self, before: Picture, now: Picture) -> None:
        """Nothing is left out here, also where pictures come faster than they are drawn."""
        if not self.is_running:
            return
        self.sight.now = self._wall()
        for entry in now.tunnels:
            for line in happened(before.find(entry), entry):
                self.main.tell(line)
        for entry in before.tunnels:
            if now.find(entry) is None:
                self.main.tell(f"{render.printable(entry.name)} is off")
        for text in now.notices:
            self.main.tell(render.printable(text))
        if now.problem is not None and before.problem is None:
            self.main.tell(summary(now.problem.kind))

    @work(exclusive=True, group="refresh")
    async def refresh_counters(self) -> None:
        """Counters are no events: ask for them, and let the ages grow."""
        if self.sight.picture.problem is None:
            try:
                report = await self._control.status()
            except ControlError:
                return  # the feed notices by itself and says so
            self.sight.picture = picture_of(report)
            self.sight.history.note(report)
            await self._look_closer()
        self._draw()

    async def _look_closer(self) -> None:
        """Ask for what a status has no room for, where it is in front."""
        chosen = self._chosen
        if chosen is not None and self.main.view in DETAILED:
            with suppress(ControlError):  # not ours to see, or just gone
                self.sight.details = await self._control.details(chosen.name)
        if self.main.view == "why":
            try:
                self.sight.explanation = await self._control.explain(chosen.name if chosen else None)
            except ControlError as error:
                self.sight.explanation = error

    @work(exclusive=True, group="measure")
    async def measure(self) -> None:
        """The round trip is known from exchanges alone: ask for one while somebody looks."""
        chosen = self._chosen
        if (
            chosen is not None
            and chosen.state == "up"
            and not chosen.probing
            and self.main.view == "overview"
        ):
            with suppress(ControlError):
                await self._control.probe(chosen.name)

    @property
    def _chosen(self) -> TunnelStatus | None:
        return self.main.chosen if self.is_running and self.main.is_mounted else None

    def on_picture_changed(self, message: PictureChanged) -> None:
        self.sight.picture = message.picture
        self._draw()

    def on_tabbed_content_tab_activated(self) -> None:
        self.refresh_counters()

    def _draw(self) -> None:
        if self.is_running and self.main.is_mounted:  # else a last message while closing
            self.sight.now = self._wall()
            self.main.draw()

    async def _ask(self, prompt: str, hidden: bool) -> str | None:
        """The person's answer; to be awaited anywhere in the loop."""
        answered: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self.push_screen(AskScreen(render.printable(prompt), hidden=hidden), answered.set_result)
        return await answered

    @work(group="questions")
    async def _answer(self, needed: SecretNeeded) -> None:
        """Put a question of the daemon to the person; what a key of ours is to sign, to its holder."""
        if needed.kind in HELD_KINDS:
            await self._sign(needed)
            return
        value = await self._ask(needed.prompt, needed.kind not in VISIBLE_KINDS)
        while value is not None and needed.kind == "new-password":
            again = await self._ask("The same once more", True)
            if again in (None, value):
                value = again
                break
            value = await self._ask(f"The two were not the same. {needed.prompt}", True)
        try:
            await self._control.answer(needed.id, value)
        except ControlError as error:
            self.main.complain(error)

    async def _sign(self, needed: SecretNeeded) -> None:
        """A card takes its time, for which the screen does not wait."""
        given = await asyncio.to_thread(reply, needed, self._control.holders)
        try:
            if given is not None:
                await self._control.reply(given)
        except ControlError as error:
            if error.kind != "secret.unknown":  # another signer was faster
                self.main.complain(error)
