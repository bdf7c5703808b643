"""The terminal UI, driven like a person would, with a fake daemon behind a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from io import StringIO
from pathlib import Path
from typing import cast

from rich.console import Console
from textual.events import Paste
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from client.control.messages import (
    ControlError,
    Down,
    Fault,
    Handover,
    LockdownStatus,
    Notice,
    OuterPath,
    Rekey,
    SecretAnswer,
    SecretNeeded,
    Traffic,
    TunnelStatus,
    Up,
)
from tests.control.fake import NOW, FakeDaemon, serving
from tests.ui.conftest import EAP
from tests.ui.driving import refresh, see
from ui.tui.app import RoamApp
from ui.tui.screens.ask import AskScreen
from ui.tui.screens.choose import ChooseScreen
from ui.tui.screens.new import NewScreen
from ui.tui.screens.report import ReportScreen
from ui.tui.widgets.tunnel_detail import TunnelDetail
from ui.tui.widgets.tunnel_story import TunnelStory
from ui.tui.widgets.tunnel_table import TunnelTable

UP = TunnelStatus("office", "up", since=NOW - 60, addresses=("10.77.0.5/32",), identity="vpn.example.com")

SAMPLES = Path(__file__).parents[1] / "profiles" / "samples"

Story = Callable[[RoamApp, "Pilot[None]", FakeDaemon], Awaitable[None]]


async def paste(pilot: Pilot[None], text: str) -> None:
    """What a terminal sends when somebody pastes a line, and Enter after it."""
    pilot.app.post_message(Paste(text))
    await pilot.press("enter")


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


def play(path: Path, daemon: FakeDaemon, scene: Story, size: tuple[int, int] = (120, 40)) -> None:
    async def run() -> None:
        app = RoamApp(str(path), wall=lambda: NOW, pause=no_pause, ticks=False)
        async with serving(daemon, path), app.run_test(size=size) as pilot:
            await scene(app, pilot, daemon)

    asyncio.run(run())


def rows(app: RoamApp) -> list[list[str]]:
    table = app.screen_stack[0].query_one(TunnelTable)
    return [[str(cell) for cell in table.get_row_at(n)] for n in range(table.row_count)]


def line(app: RoamApp) -> str:
    return str(app.screen_stack[0].query_one("#daemon", Static).content)


def detail(app: RoamApp) -> str:
    console = Console(width=120, file=StringIO(), color_system=None)
    console.print(app.screen_stack[0].query_one(TunnelDetail).content)
    return cast("StringIO", console.file).getvalue()


def story(app: RoamApp) -> list[str]:
    return [strip.text.strip()[10:] for strip in app.screen_stack[0].query_one(TunnelStory).lines]


def pictured(app: RoamApp) -> str:
    return app.export_screenshot(simplify=True).replace("&#160;", " ")


def report(app: RoamApp) -> str:
    return str(app.screen.query_one("VerticalScroll > Static", Static).content)


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def shown(app: RoamApp, kind: type[object]) -> bool:
    """Whether it is in front, and what is typed goes where it should."""
    is_ready = kind not in {AskScreen, NewScreen} or isinstance(app.focused, Input)
    return isinstance(app.screen, kind) and is_ready


def test_tunnels_are_listed_and_follow_what_happens(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: rows(app) == [["office", "● up", "1 min", "", "", ""]])
        assert "proven as vpn.example.com" in detail(app)
        moving = UP.replace(state="moving", path=OuterPath("wwan0", "a", "198.51.100.1:4500"))
        daemon.change(moving)
        await see(pilot, lambda: rows(app)[0][1:4] == ["● moving", "1 min", "wwan0 → 198.51.100.1:4500"])
        daemon.change(TunnelStatus("home", "connecting", detail="resolving vpn.example.net"))
        await see(pilot, lambda: [row[0] for row in rows(app)] == ["home", "office"])
        daemon.change(TunnelStatus("home", "off"))
        await see(pilot, lambda: [row[0] for row in rows(app)] == ["office"])

    play(path, daemon, scene)


def test_the_detail_follows_the_cursor(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels = {"a": TunnelStatus("a", "up"), "b": TunnelStatus("b", "waiting")}

    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: detail(app).startswith("a: up"))
        await pilot.press("down")
        await see(pilot, lambda: detail(app).startswith("b: waiting"))

    play(path, daemon, scene)


def test_a_restart_of_the_daemon_is_shown_and_survived(path: Path) -> None:
    async def run() -> None:
        old, new = FakeDaemon(), FakeDaemon()
        old.tunnels["office"] = UP
        new.tunnels["office"] = UP.replace(state="connecting")
        app = RoamApp(str(path), wall=lambda: NOW, pause=no_pause, ticks=False)
        async with AsyncExitStack() as first, app.run_test() as pilot:
            await first.enter_async_context(serving(old, path))
            await see(pilot, lambda: line(app) == "connected to the daemon")
            await first.aclose()
            await see(pilot, lambda: "systemctl start roamd" in line(app))
            assert [row[1] for row in rows(app)] == ["● up"]  # what was last heard of stays in sight
            async with serving(new, path, boot="boot-2"):
                await see(pilot, lambda: [row[1] for row in rows(app)] == ["● connecting"])
                assert line(app) == "connected to the daemon"

    asyncio.run(run())


def test_down_asks_first(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: len(rows(app)) == 1)
        await pilot.press("d", "n", "d", "y")
        await see(pilot, lambda: rows(app) == [])
        assert daemon.calls == [("down", Down("office"))]
        assert "'u' brings one up" in detail(app)

    play(path, daemon, scene)


def test_a_refused_rekey_is_told(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP
    daemon.refusal = ControlError("tunnel.not_connected", "[b]office[/b] has no Child SA")

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: len(rows(app)) == 1)
        await pilot.press("r")
        await see(pilot, lambda: len(app._notifications) == 1)
        assert daemon.calls == [("rekey", Rekey("office"))]

    play(path, daemon, scene)


def test_a_name_from_outside_is_no_markup(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["x"] = TunnelStatus(
        "x", "up", identity="[red]gw[/red]", addresses=("[bold]1[/bold]\x1b[2J",)
    )

    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: "[red]gw[/red]" in detail(app))
        assert "[bold]1[/bold]\N{REPLACEMENT CHARACTER}[2J" in detail(app)

    play(path, daemon, scene)


def test_what_is_wrong_is_on_the_smallest_screen(path: Path) -> None:
    daemon = FakeDaemon()
    fault = Fault(
        "net.no_path", "no connected network has a route to 192.0.2.1", "Connect to a network first."
    )
    daemon.tunnels["office"] = UP.replace(state="waiting", failure=fault, gateway="vpn.example.com")

    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        words = ("no connected network has a route", "Connect to a network first.")
        await see(pilot, lambda: all(word in pictured(app) for word in words))

    play(path, daemon, scene, size=(80, 24))


def test_what_has_happened_is_told_line_by_line(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: story(app) == ["office: up as 10.77.0.5/32"])
        move = Handover("wlan0 is gone", "wlan0 192.168.1.23", "wwan0 100.64.0.23", NOW)
        daemon.change(UP.replace(state="moving", handover=move))
        daemon.change(UP.replace(handover=move))
        daemon.change(UP.replace(handover=move.replace(gap_ms=21)))
        daemon.change(TunnelStatus("office", "off"))
        await see(pilot, lambda: len(story(app)) == 4)
        assert story(app)[1:] == [
            "office: moved from wlan0 to wwan0: wlan0 is gone",
            "office: carries traffic again after 21 ms",
            "office is off",
        ]

    play(path, daemon, scene)


def test_lockdown_and_notices_are_in_sight(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.machine = LockdownStatus(on=True, allow_lan=False, time=NOW)

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(
            pilot, lambda: line(app).startswith("lockdown: on, by uid 0; nothing leaves outside a tunnel")
        )
        daemon.change(Notice("the packet filter was put back"))
        await see(pilot, lambda: story(app) == ["the packet filter was put back"])

    play(path, daemon, scene)


def test_traffic_is_shown_as_a_rate(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = UP.replace(traffic=Traffic(1, 1000, 1, 2000))

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: len(rows(app)) == 1)
        await refresh(app, pilot)
        daemon.clock += 2
        daemon.tunnels["office"] = UP.replace(traffic=Traffic(2, 5000, 2, 3000))
        await refresh(app, pilot)
        assert rows(app)[0][4:] == ["2.0 kB/s", "500 B/s"]

    play(path, daemon, scene)


def test_a_profile_is_brought_up_with_its_password(path: Path, directory: Path) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "ask:"))
    daemon = FakeDaemon()
    daemon.script = [UP]

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        await pilot.press("u")
        await see(pilot, lambda: shown(app, ChooseScreen))
        await pilot.press("enter")
        await see(pilot, lambda: shown(app, AskScreen))
        await pilot.press(*"hunter2", "enter")
        await see(pilot, lambda: [row[:2] for row in rows(app)] == [["office", "● up"]])
        ((_method, request),) = daemon.calls
        assert isinstance(request, Up)
        assert request.secrets["ask:"].reveal() == "hunter2"
        await pilot.press("u")  # the only profile is up
        await see(pilot, lambda: len(app._notifications) == 1)

    play(path, daemon, scene)


def test_a_person_may_leave_the_way_up(path: Path, directory: Path) -> None:
    (directory / "office.toml").write_text(EAP.replace("keyring:office/eap", "ask:"))
    daemon = FakeDaemon()

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        await pilot.press("u")
        await see(pilot, lambda: shown(app, ChooseScreen))
        await pilot.press("escape", "u")
        await see(pilot, lambda: shown(app, ChooseScreen))
        await pilot.press("enter")
        await see(pilot, lambda: shown(app, AskScreen))
        await pilot.press("escape")
        await see(pilot, lambda: not any(worker.group == "command" for worker in app.workers))
        assert (daemon.calls, len(app._notifications)) == ([], 0)

    play(path, daemon, scene)


def test_a_mistake_in_a_profile_is_told(path: Path, directory: Path) -> None:
    (directory / "office.toml").write_text(EAP.replace("[trust]", "[thrust]"))

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        await pilot.press("u")
        await see(pilot, lambda: shown(app, ChooseScreen))
        await pilot.press("enter")
        await see(pilot, lambda: len(app._notifications) == 1)
        (told,) = app._notifications
        assert "thrust: unknown key" in told.message
        assert daemon.calls == []

    play(path, FakeDaemon(), scene)


def test_a_question_of_the_daemon_is_put_to_the_person(path: Path) -> None:
    daemon = FakeDaemon()
    daemon.secrets = (SecretNeeded("7", "office", "otp", "Code of the day", 0.0),)

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: shown(app, AskScreen))
        await pilot.press(*"123456", "enter")
        await see(pilot, lambda: len(daemon.calls) == 1)
        (method, answer) = daemon.calls[0]
        assert isinstance(answer, SecretAnswer)
        assert (method, answer.id, answer.value.reveal()) == ("answer", "7", "123456")
        daemon.change(SecretNeeded("8", "office", "otp", "Another code", 0.0))
        await see(pilot, lambda: shown(app, AskScreen))
        await pilot.press("escape")
        await see(pilot, lambda: daemon.calls[1:] == [("cancel", "8")])

    play(path, daemon, scene)


def test_who_asks_it_to_end_gets_the_terminal_back(path: Path) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        os.kill(os.getpid(), signal.SIGTERM)
        await see(pilot, lambda: app._exit)

    play(path, FakeDaemon(), scene)


def test_a_file_of_an_administrator_becomes_a_profile(path: Path, directory: Path) -> None:
    (directory / "office.toml").unlink()

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        await pilot.press("i")
        await see(pilot, lambda: shown(app, AskScreen))
        await paste(pilot, str(SAMPLES / "10-swanctl.conf"))
        await see(pilot, lambda: shown(app, ReportScreen))
        assert "[gateway]" in report(app)
        await pilot.press("y")
        await see(pilot, lambda: shown(app, ReportScreen) or bool(story(app)))
        while shown(app, ReportScreen):  # more profiles, or secrets of the file
            await pilot.press("n")
            await pilot.pause()
        await see(pilot, lambda: bool(story(app)))
        assert story(app)[0].endswith("a new profile, 'u' brings it up")
        assert "office.toml" in files(directory)
        assert daemon.calls == []

    play(path, FakeDaemon(), scene)


def test_a_file_that_is_none_is_refused_in_a_sentence(path: Path, directory: Path) -> None:
    (directory / "nonsense").write_bytes(b"\x00\x01nonsense")

    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        for name in (str(directory / "nonsense"), str(directory / "nowhere")):
            app.clear_notifications()
            await pilot.press("i")
            await see(pilot, lambda: shown(app, AskScreen))
            await paste(pilot, name)
            await see(pilot, lambda: len(app._notifications) == 1)
        assert story(app) == []

    play(path, FakeDaemon(), scene)


def test_a_profile_that_nobody_wants_is_not_written(path: Path, directory: Path) -> None:
    before = files(directory)

    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        await pilot.press("i")
        await see(pilot, lambda: shown(app, AskScreen))
        await paste(pilot, str(SAMPLES / "12-office.nmconnection"))
        await see(pilot, lambda: shown(app, ReportScreen))
        await pilot.press("n")
        await see(pilot, lambda: not any(worker.group == "command" for worker in app.workers))
        assert files(directory) == before

    play(path, FakeDaemon(), scene)


def test_a_server_and_a_user_become_a_profile(path: Path, directory: Path) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        await pilot.press("n")
        await see(pilot, lambda: shown(app, NewScreen))
        await pilot.press("ctrl+s")  # without a server there is nothing to go on with
        assert shown(app, NewScreen)
        await pilot.press(*"vpn.branch.example", "tab", "tab", *"alice", "enter")
        await see(pilot, lambda: shown(app, ReportScreen))
        assert "was not looked at" in report(app)
        assert 'identity = "alice"' in report(app)
        await pilot.press("y")
        await see(pilot, lambda: bool(story(app)))
        assert story(app) == ["branch: a new profile, 'u' brings it up"]
        assert "branch.toml" in files(directory)

    play(path, FakeDaemon(), scene)


def test_a_form_asks_only_for_what_a_login_needs(path: Path, directory: Path) -> None:
    before = files(directory)

    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await see(pilot, lambda: line(app) == "connected to the daemon")
        await pilot.press("n")
        await see(pilot, lambda: shown(app, NewScreen))
        fields = {"certificate": (False, True, False), "trust": (True, True, False)}
        for number, word in enumerate(("password", "cert", "psk")):
            app.screen.query_one("#login", Select).value = word
            await pilot.pause()
            for name, expected in fields.items():
                assert app.screen.query_one(f"#{name}").display is expected[number]
        await pilot.press("escape")
        assert files(directory) == before

    play(path, FakeDaemon(), scene)
