"""The terminal UI, driven like a person would, with a fake daemon behind a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

from textual.pilot import Pilot
from textual.widgets import Static

from client.control.messages import ControlError, Down, OuterPath, Rekey, TunnelStatus
from tests.control.fake import NOW, FakeDaemon, serving
from ui.tui.app import RoamApp
from ui.tui.widgets.tunnel_detail import TunnelDetail
from ui.tui.widgets.tunnel_table import TunnelTable

UP = TunnelStatus("office", "up", since=NOW - 60, addresses=("10.77.0.5/32",), identity="vpn.example.com")

Story = Callable[[RoamApp, "Pilot[None]", FakeDaemon], Awaitable[None]]


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


def play(path: Path, daemon: FakeDaemon, story: Story) -> None:
    async def run() -> None:
        app = RoamApp(str(path), wall=lambda: NOW, pause=no_pause)
        async with serving(daemon, path), app.run_test(size=(120, 40)) as pilot:
            await story(app, pilot, daemon)

    asyncio.run(run())


def rows(app: RoamApp) -> list[list[str]]:
    table = app.screen_stack[0].query_one(TunnelTable)
    return [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]


def line(app: RoamApp) -> str:
    return str(app.screen_stack[0].query_one("#daemon", Static).content)


def detail(app: RoamApp) -> str:
    return str(app.screen_stack[0].query_one(TunnelDetail).content)


async def see(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await pilot.pause()


def test_tunnels_are_listed_and_follow_what_happens(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP

    async def story(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: rows(app) == [["office", "up", "1 min", "", "10.77.0.5/32"]])
        assert "proven as vpn.example.com" in detail(app)
        moving = UP.replace(state="moving", path=OuterPath("wwan0", "a", "198.51.100.1:4500"))
        daemon.change(moving)
        await see(pilot, lambda: rows(app)[0][1:4] == ["moving", "1 min", "wwan0 → 198.51.100.1:4500"])
        daemon.change(TunnelStatus("home", "connecting", detail="resolving vpn.example.net"))
        await see(pilot, lambda: [row[0] for row in rows(app)] == ["home", "office"])
        daemon.change(TunnelStatus("home", "off"))
        await see(pilot, lambda: [row[0] for row in rows(app)] == ["office"])

    play(path, daemon, story)


def test_the_detail_follows_the_cursor(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels = {"a": TunnelStatus("a", "up"), "b": TunnelStatus("b", "waiting")}

    async def story(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: detail(app).startswith("a: up"))
        await pilot.press("down")
        await see(pilot, lambda: detail(app).startswith("b: waiting"))

    play(path, daemon, story)


def test_a_restart_of_the_daemon_is_shown_and_survived(path: Path) -> None:
    async def run() -> None:
        old, new = FakeDaemon(), FakeDaemon()
        old.tunnels["office"] = UP
        new.tunnels["office"] = UP.replace(state="connecting")
        app = RoamApp(str(path), wall=lambda: NOW, pause=no_pause)
        async with AsyncExitStack() as first, app.run_test() as pilot:
            await first.enter_async_context(serving(old, path))
            await see(pilot, lambda: line(app) == "connected to the daemon")
            await first.aclose()
            await see(pilot, lambda: "systemctl start roamd" in line(app))
            assert [row[1] for row in rows(app)] == ["up"]  # what was last heard of stays in sight
            async with serving(new, path, boot="boot-2"):
                await see(pilot, lambda: [row[1] for row in rows(app)] == ["connecting"])
                assert line(app) == "connected to the daemon"

    asyncio.run(run())


def test_down_asks_first(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP

    async def story(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: len(rows(app)) == 1)
        await pilot.press("d", "n", "d", "y")
        await see(pilot, lambda: rows(app) == [])
        assert daemon.calls == [("down", Down("office"))]
        assert "roam up" in detail(app)

    play(path, daemon, story)


def test_a_refused_rekey_is_told(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP
    daemon.refusal = ControlError("tunnel.not_connected", "[b]office[/b] has no Child SA")

    async def story(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: len(rows(app)) == 1)
        await pilot.press("r")
        await see(pilot, lambda: len(app._notifications) == 1)
        assert daemon.calls == [("rekey", Rekey("office"))]

    play(path, daemon, story)


def test_a_name_from_outside_is_no_markup(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["x"] = TunnelStatus(
        "x", "up", identity="[red]gw[/red]", addresses=("[bold]1[/bold]\x1b[2J",)
    )

    async def story(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: "[red]gw[/red]" in detail(app))
        assert rows(app)[0][4] == "[bold]1[/bold]\N{REPLACEMENT CHARACTER}[2J"

    play(path, daemon, story)
