"""The main screen: the list, the tunnel under the cursor in several views, what has happened, and the daemon."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Header, Static, TabbedContent, TabPane

from client.control.messages import ControlError, Handover, LockdownSet, TunnelStatus, summary
from profiles.store import default_store

from ... import render
from ...preparation import choose, prepare
from ..control import Control
from ..importing import import_file
from ..making import make_profile
from ..person import Ask, Person
from ..sight import Sight
from ..widgets.machine_leaks import MachineLeaks
from ..widgets.tunnel_detail import TunnelDetail
from ..widgets.tunnel_keys import TunnelKeys
from ..widgets.tunnel_moves import TunnelMoves
from ..widgets.tunnel_story import TunnelStory
from ..widgets.tunnel_table import TunnelTable
from ..widgets.tunnel_way import TunnelWay
from ..widgets.tunnel_why import TunnelWhy
from .choose import ChooseScreen
from .confirm import ConfirmScreen
from .new import NewScreen
from .report import ReportScreen

COMPLAINT_TIME = 15.0
"""Seconds that a failure stays in sight: there is something to read."""

VIEWS = {"overview": "Overview", "moves": "Moves", "keys": "Keys", "leaks": "Leaks", "why": "Why"}
TABS = {name: f"{number} {title}" for number, (name, title) in enumerate(VIEWS.items(), 1)}
"""Titles with the key that brings each to the front."""
_VIEW_KEYS = [
    Binding(str(number), f"view('{name}')", title, show=False)
    for number, (name, title) in enumerate(VIEWS.items(), 1)
]
DETAILED = frozenset({"moves", "keys"})
"""Views that show what a status has no room for."""


class MainScreen(Screen[None]):
    """Draws a `Sight`; keys and the command palette do something about it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        ("u", "up", "Up"),
        ("d", "down", "Down"),
        ("r", "rekey", "Rekey"),
        ("n", "new", "New"),
        ("i", "import", "Import"),
        ("l", "lockdown", "Lockdown"),
        Binding("o", "portal", "Open portal", show=False),
        *_VIEW_KEYS,
        ("q", "app.quit", "Quit"),
    ]

    def __init__(self, control: Control, ask: Ask, sight: Sight) -> None:
        super().__init__()
        self._control = control
        self._ask = ask
        self._sight = sight

    def compose(self) -> ComposeResult:
        yield Header(icon="")
        yield TunnelTable(id="tunnels")
        with TabbedContent(id="views"):
            with TabPane(TABS["overview"], id="overview"), VerticalScroll():
                yield TunnelWay()
                yield TunnelDetail()
            with TabPane(TABS["moves"], id="moves"):
                yield Static(id="unmoved")
                yield TunnelMoves()
            with TabPane(TABS["keys"], id="keys"), VerticalScroll():
                yield TunnelKeys()
            with TabPane(TABS["leaks"], id="leaks"), VerticalScroll():
                yield MachineLeaks()
            with TabPane(TABS["why"], id="why"), VerticalScroll():
                yield TunnelWhy()
        yield TunnelStory(id="story")
        yield Static(id="daemon")
        yield Footer()

    # What is seen

    @property
    def chosen(self) -> TunnelStatus | None:
        """The tunnel under the cursor."""
        table = self.query_one(TunnelTable)
        return next((entry for entry in self._sight.picture.tunnels if table.is_chosen(entry)), None)

    @property
    def view(self) -> str:
        """The view in front: one of `VIEWS`."""
        return self.query_one(TabbedContent).active

    def draw(self) -> None:
        """Show what is in sight now."""
        self.query_one(TunnelTable).show(self._sight)
        daemon = self.query_one("#daemon", Static)
        daemon.set_class(self._sight.picture.problem is not None, "trouble")
        daemon.update(Text(self._daemon_line()))
        self.draw_tunnel()

    def draw_tunnel(self) -> None:
        """Show the tunnel under the cursor."""
        entry, sight = self.chosen, self._sight
        self.query_one(TunnelWay).show(entry, sight)
        self.query_one(TunnelDetail).show(entry, sight)
        details = sight.details if entry is not None else None
        self._draw_moves(details.handovers if details is not None else ())
        self.query_one(TunnelKeys).show(entry, details)
        self.query_one(MachineLeaks).show(sight)
        self.query_one(TunnelWhy).show(sight.explanation)

    def _draw_moves(self, moves: tuple[Handover, ...]) -> None:
        table, instead = self.query_one(TunnelMoves), self.query_one("#unmoved", Static)
        table.display, instead.display = bool(moves), not moves
        table.show(moves)
        whose = "no tunnel is wanted" if self.chosen is None else f"{self.chosen.name} has not moved yet"
        instead.update(Text(render.printable(whose)))

    def tell(self, line: str) -> None:
        """Something has happened."""
        self.query_one(TunnelStory).tell(line, self._sight.now)

    def _daemon_line(self) -> str:
        picture = self._sight.picture
        if picture.problem is None:
            machine = picture.machine
            lines = () if machine is None else render.machine(machine, guarded=bool(picture.tunnels))
            return "; ".join(lines) or "connected to the daemon"
        problem = picture.problem
        return f"{summary(problem.kind)}: {render.printable(problem.evidence)}. {problem.hint}"

    def on_data_table_row_highlighted(self, message: DataTable.RowHighlighted) -> None:
        if isinstance(message.data_table, TunnelTable):
            self.draw_tunnel()

    def complain(self, error: ControlError) -> None:
        """Tell what could not be done."""
        if error.kind == "interrupted":  # the person knows
            return
        words = f"{summary(error.kind)}: {render.printable(error.evidence)}\n{error.hint}"
        self.notify(words, severity="error", markup=False, timeout=COMPLAINT_TIME)

    # What the person wants

    def action_view(self, name: str) -> None:
        """Bring a view to the front."""
        self.query_one(TabbedContent).active = name

    @work(exclusive=True, group="command")
    async def action_up(self) -> None:
        """Bring up a profile that the person chooses."""
        store = default_store()
        standing = {entry.name for entry in self._sight.picture.tunnels if entry.state in render.CONNECTED}
        names = [name for name in store.names() if name not in standing]
        if not names:
            found = "No other profile" if store.names() else "No profile"
            how = "'n' makes one of a server and a user, 'i' of an administrator's file."
            self.notify(f"{found} is in {store.user} or {store.system}. {how}", markup=False)
            return
        name = await self.app.push_screen_wait(ChooseScreen("Bring up which profile?", names))
        if name is None:
            return
        try:
            person = self._person()
            prepared = await asyncio.to_thread(lambda: prepare(choose(store, name), person))
            self._control.holders.update(prepared.holders)
            await self._control.up(prepared.request)
        except ControlError as error:
            self.complain(error)

    @work(exclusive=True, group="command")
    async def action_import(self) -> None:
        """Make a profile of a file that an administrator or a provider has given."""
        name = await self._ask("File from your administrator or provider", False)
        if not name:
            return
        try:
            person = self._person()
            written = await asyncio.to_thread(lambda: import_file(name, person, person.agrees))
        except ControlError as error:
            self.complain(error)
            return
        for profile in written:
            self.tell(f"{render.printable(profile)}: a new profile, 'u' brings it up")

    @work(exclusive=True, group="command")
    async def action_new(self) -> None:
        """Make a profile of a server and a user, after a look at the gateway."""
        wanted = await self.app.push_screen_wait(NewScreen())
        if wanted is None:
            return
        self.notify(f"Looking at {render.printable(wanted.server)} …", markup=False)
        try:
            agrees = self._person().agrees
            name = await asyncio.to_thread(lambda: make_profile(wanted, self._control.path, agrees))
        except ControlError as error:
            self.complain(error)
            return
        if name is not None:
            self.tell(f"{render.printable(name)}: a new profile, 'u' brings it up")

    def _person(self) -> Person:
        return Person(self._ask, self._show, asyncio.get_running_loop())

    async def _show(self, title: str, text: str, question: str) -> bool:
        answered: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()
        self.app.push_screen(ReportScreen(title, text, question), answered.set_result)
        return bool(await answered)

    @work(exclusive=True, group="command")
    async def action_down(self) -> None:
        """Take the tunnel under the cursor down, after a question."""
        chosen = self.chosen
        if chosen is None or not await self._is_sure(f"Take {chosen.name} down?"):
            return
        try:
            await self._control.down(chosen.name)
        except ControlError as error:
            self.complain(error)

    @work(exclusive=True, group="command")
    async def action_rekey(self) -> None:
        """Ask for new keys for the tunnel under the cursor."""
        chosen = self.chosen
        if chosen is None:
            return
        try:
            await self._control.rekey(chosen.name)
        except ControlError as error:
            self.complain(error)

    @work(exclusive=True, group="command")
    async def action_lockdown(self) -> None:
        """Turn lockdown on or off, after a question."""
        machine = self._sight.picture.machine
        is_on = machine is not None and machine.on
        question = (
            "Turn lockdown off? Traffic may leave outside a tunnel then."
            if is_on
            else "Turn lockdown on? Nothing leaves outside a tunnel then, also while none is up."
        )
        if not await self._is_sure(question):
            return
        try:
            await self._control.set_lockdown(LockdownSet(not is_on))
        except ControlError as error:
            self.complain(error)

    @work(exclusive=True, group="command")
    async def action_portal(self) -> None:
        """Let the browser out for a while, to log in to this network."""
        try:
            await self._control.open_portal()
        except ControlError as error:
            self.complain(error)

    async def _is_sure(self, question: str) -> bool:
        return await self.app.push_screen_wait(ConfirmScreen(render.printable(question)))
