"""Every screen as text, compared with how it should look; and the same without anything but words.

`ROAM_WRITE_SCREENS=1 pytest tests/ui/test_screens.py` writes them anew.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import cast

import pytest
from rich.console import Console, RenderableType
from textual.pilot import Pilot
from textual.widgets import Input, Select, Static

from client.control.details import CertificateDetails, ChildDetails, TunnelDetails
from client.control.evidence import Evidence, Explanation, Verdict
from client.control.messages import (
    Fault,
    Handover,
    LeakVerdict,
    LockdownSet,
    Named,
    OuterPath,
    PortalOpen,
    SecretNeeded,
    Traffic,
    TunnelStatus,
)
from tests.control.fake import NOW, FakeDaemon, serving
from tests.ui.driving import refresh, see
from ui.tui.app import RoamApp
from ui.tui.screens.ask import AskScreen
from ui.tui.screens.choose import ChooseScreen
from ui.tui.screens.confirm import ConfirmScreen
from ui.tui.screens.new import NewScreen
from ui.tui.screens.report import ReportScreen
from ui.tui.widgets.machine_leaks import MachineLeaks
from ui.tui.widgets.tunnel_detail import TunnelDetail
from ui.tui.widgets.tunnel_keys import TunnelKeys
from ui.tui.widgets.tunnel_moves import TunnelMoves
from ui.tui.widgets.tunnel_table import TunnelTable
from ui.tui.widgets.tunnel_way import TunnelWay
from ui.tui.widgets.tunnel_why import TunnelWhy

SCREENS = Path(__file__).parent / "screens"
SUITE = "AES_GCM_16-256/PRF_HMAC_SHA2_384/X25519"
MOVES = (
    Handover("wlan0 is gone", "wlan0 192.168.1.23", "wwan0 100.64.0.23", NOW - 300, 21, 35),
    Handover("wlan0 is better", "wwan0 100.64.0.23", "wlan0 192.168.1.23", NOW - 100, None, 18),
)
OFFICE = TunnelStatus(
    "office",
    "up",
    since=NOW - 3600,
    gateway="vpn.example.com",
    identity="vpn.example.com",
    path=OuterPath("wlan0", "192.168.1.23:61440", "192.0.2.1:4500", nat_local=True),
    link="roam0",
    addresses=("10.99.0.10/32", "fd99::a/128"),
    routes=("0.0.0.0/0", "::/0"),
    dns=("10.99.0.1",),
    resolver="systemd-resolved",
    ike_suite=SUITE,
    esp_suite="AES_GCM_16-256",
    ike_rekey_at=NOW + 9000,
    child_rekey_at=NOW + 2000,
    data_path="xfrm",
    mobike=True,
    guard=True,
    traffic=Traffic(20, 1000, 30, 2000),
    rtt_ms=23.4,
    handover=MOVES[-1],
)
LAB = TunnelStatus(
    "branch",
    "waiting",
    since=NOW - 30,
    gateway="branch.example.net",
    detail="no answer from 198.51.100.7",
    failure=Fault("net.no_response", "no answer from 198.51.100.7 over wlan0", "Try another network."),
    retry_at=NOW + 12,
)
DETAILS = TunnelDetails(
    "office",
    ("0123456789abcdef", "fedcba9876543210"),
    SUITE,
    "AES_GCM_16-256",
    (ChildDetails("c0ffee01", "deadbeef", ("10.99.0.10",), ("0.0.0.0-255.255.255.255",)),),
    (
        CertificateDetails(
            "CN=vpn.example.com",
            "CN=Example CA",
            ("vpn.example.com",),
            "2026-01-01T00:00:00+00:00",
            "2027-01-01T00:00:00+00:00",
            "ec 256",
            "ab" * 32,
        ),
    ),
    MOVES,
)
LEAKS = (
    LeakVerdict("IPv4", "tunnelled", "everything goes to roam0, beside it: 192.168.1.0/24"),
    LeakVerdict("IPv6", "blocked", "nothing leaves"),
    LeakVerdict("DNS", "outside", "names are asked of the network's own servers"),
)
WHY = Explanation(
    Verdict(
        "net.udp_blocked",
        "the network lets no UDP through",
        (
            "three requests went out over wlan0, and nothing came back",
            "a ping to the same address was answered",
        ),
        ("Try another network, or a phone's hotspot.",),
        "likely",
    ),
    Evidence(name="branch"),
)
DRAWN = re.compile("[▁▂▃▄▅▆▇█●✓✗◐]|───")


@dataclass(frozen=True)
class View:
    """A screen, how a person comes there, and in which size it is drawn."""

    keys: tuple[str, ...] = ()
    size: tuple[int, int] = (110, 34)
    plain: bool = False
    tunnels: tuple[TunnelStatus, ...] = (OFFICE, LAB)
    waits_for: type[object] | None = None
    question: SecretNeeded | None = None


VIEWS = {
    "overview": View(("down",)),
    "overview-small": View(("down",), (80, 24)),
    "overview-plain": View(("down",), (80, 30), plain=True),
    "overview-wide": View(("down",), (160, 40)),
    "trouble": View((), (80, 24)),
    "nothing": View((), (80, 24), tunnels=()),
    "moves": View(("down", "2")),
    "moves-small": View(("down", "2"), (80, 24)),
    "moves-none": View(("2",), (80, 24), tunnels=()),
    "moves-plain": View(("down", "2"), plain=True),
    "keys": View(("down", "3"), (80, 24)),
    "keys-plain": View(("down", "3"), (80, 24), plain=True),
    "leaks": View(("down", "4"), (80, 24)),
    "leaks-plain": View(("down", "4"), (80, 24), plain=True),
    "why": View(("5",), (80, 24)),
    "why-plain": View(("5",), (80, 24), plain=True),
    "down": View(("down", "d"), (80, 24), waits_for=ConfirmScreen),
    "lockdown": View(("l",), (80, 24), waits_for=ConfirmScreen),
    "up": View(("u",), (80, 24), waits_for=ChooseScreen, tunnels=()),
    "new": View(("n",), (80, 24), waits_for=NewScreen),
    "question": View(
        (), (80, 24), waits_for=AskScreen, question=SecretNeeded("7", "office", "otp", "Code of the day", 0.0)
    ),
}


@pytest.fixture(autouse=True)
def clock_of_the_zero_meridian(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def office(view: View) -> FakeDaemon:
    daemon = FakeDaemon()
    daemon.tunnels = {entry.name: entry for entry in view.tunnels}
    daemon.leaks = LEAKS
    daemon.results["tunnel.details"] = DETAILS
    daemon.results["explain"] = WHY
    if view.question is not None:
        daemon.secrets = (view.question,)
    return daemon


Scene = Callable[[RoamApp, "Pilot[None]", FakeDaemon], Awaitable[None]]


def play(path: Path, view: View, scene: Scene) -> None:
    async def run() -> None:
        daemon = office(view)
        app = RoamApp(str(path), wall=lambda: NOW, ticks=False, plain=view.plain)
        async with serving(daemon, path), app.run_test(size=view.size) as pilot:
            await see(pilot, lambda: len(app.sight.picture.tunnels) == len(view.tunnels))
            for second in range(8):
                daemon.clock = NOW + second
                if "office" in daemon.tunnels:
                    counted = Traffic(20, 1000 + 40_000 * second * second, 30, 2000 + 9000 * second)
                    daemon.tunnels["office"] = OFFICE.replace(traffic=counted, rtt_ms=20.0 + second % 3)
                await refresh(app, pilot)
            for key in view.keys:
                await pilot.press(key)
            await see(pilot, lambda: view.waits_for is None or isinstance(app.screen, view.waits_for))
            await refresh(app, pilot)
            await pilot.pause()
            await scene(app, pilot, daemon)

    asyncio.run(run())


def drawn(app: RoamApp) -> str:
    """The screen as text, as `App.export_screenshot` gets at it."""
    columns, lines = app.size
    console = Console(width=columns, height=lines, file=StringIO(), record=True, color_system="truecolor")
    console.print(app.screen._compositor.render_update(full=True))
    text = "\n".join(line.rstrip() for line in console.export_text().splitlines())
    return text.rstrip() + "\n"


@pytest.mark.parametrize("name", VIEWS)
def test_a_screen_looks_as_it_should(path: Path, name: str, directory: Path) -> None:
    assert (directory / "office.toml").exists()  # what can be brought up

    async def scene(app: RoamApp, _pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        text = drawn(app)
        file = SCREENS / f"{name}.txt"
        if os.environ.get("ROAM_WRITE_SCREENS"):
            file.write_text(text)
        assert text == file.read_text()

    play(path, VIEWS[name], scene)


@pytest.mark.parametrize("name", [name for name, view in VIEWS.items() if view.plain])
def test_in_plain_sight_everything_is_words(path: Path, name: str) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await refresh(app, pilot)
        for kind in (TunnelWay, TunnelDetail, TunnelKeys, MachineLeaks, TunnelWhy):
            console = Console(width=70, file=StringIO(), color_system="truecolor")
            segments = list(console.render(cast("RenderableType", app.screen.query_one(kind).content)))
            said = "".join(segment.text for segment in segments)
            assert not DRAWN.search(said), said
            assert not any(segment.style and segment.style.color for segment in segments)
        table = app.screen.query_one(TunnelTable)
        assert "●" not in table.render_line(1).text

    play(path, VIEWS[name], scene)


def test_each_plot_and_picture_has_its_words_in_plain_sight(path: Path) -> None:
    async def scene(app: RoamApp, _pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        said = str(app.screen.query_one(TunnelWay).content)
        assert "over wlan0 from 192.168.1.23:61440 to vpn.example.com" in said
        for words in ("in          ", "out         ", "round trip  "):
            assert words in said

    play(path, VIEWS["overview-plain"], scene)


def test_moves_and_keys_are_asked_for_where_somebody_looks(path: Path) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        asked = [call for call in daemon.calls if call[0] == "tunnel.details"]
        assert asked
        assert set(asked) == {("tunnel.details", Named("office"))}
        assert app.screen.query_one(TunnelMoves).row_count == 2
        await pilot.press("3")
        await see(pilot, lambda: "SHA-256" in str(app.screen.query_one(TunnelKeys).content))

    play(path, VIEWS["moves"], scene)


def test_a_wider_screen_has_room_for_the_addresses_of_moves(path: Path) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        table = app.screen.query_one(TunnelMoves)
        assert str(table.get_row_at(0)[1]) == "wwan0"
        await pilot.resize_terminal(120, 24)
        await refresh(app, pilot)
        assert str(table.get_row_at(0)[1]) == "wwan0 100.64.0.23"

    play(path, VIEWS["moves-small"], scene)


def test_a_form_asks_only_what_its_login_needs(path: Path) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        wanted = {
            "password": {"server", "user", "trust"},
            "cert": {"server", "certificate", "trust"},
            "psk": {"server", "user"},
        }
        for login, names in wanted.items():
            app.screen.query_one(Select).value = login
            await pilot.pause()
            fields = [field for field in app.screen.query(Input) if field.display]
            assert {field.id for field in fields} == names
            assert all(field.border_title for field in fields)

    play(path, VIEWS["new"], scene)


def test_a_report_stays_in_its_columns_on_any_screen(path: Path) -> None:
    report = (
        "work: a server\n  missing secret  local.secret: it is asked for, and may be kept for the next time"
    )

    async def scene(app: RoamApp, pilot: Pilot[None], _daemon: FakeDaemon) -> None:
        await app.push_screen(ReportScreen("Import work", report, "Write it?"))
        await see(pilot, lambda: isinstance(app.screen, ReportScreen))
        text = app.screen.query_one("#text", Static)
        await see(pilot, lambda: str(text.content).count("\n") == 2)
        assert str(text.content).splitlines()[2].startswith(" " * 18), "below what it belongs to"
        await pilot.resize_terminal(140, 24)
        await see(pilot, lambda: str(text.content) == report)

    play(path, VIEWS["trouble"], scene)


def test_lockdown_is_turned_on_after_a_question(path: Path) -> None:
    async def scene(_app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await pilot.press("y")
        await see(pilot, lambda: daemon.machine.on)
        assert ("lockdown", LockdownSet(True)) in [(name.split(".")[0], call) for name, call in daemon.calls]

    play(path, VIEWS["lockdown"], scene)


def test_the_command_palette_has_what_keys_do(path: Path) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        commands = {command.title: command for command in app.get_system_commands(app.screen)}
        assert {"Up", "Down", "Rekey", "Lockdown", "Open portal", "View: Leaks", "Theme"} <= commands.keys()
        commands["Open portal"].callback()
        async with asyncio.timeout(60):
            while not any(isinstance(call, PortalOpen) for _, call in daemon.calls):
                await pilot.pause()
        commands["View: Leaks"].callback()
        assert app.main.view == "leaks"

    play(path, VIEWS["overview"], scene)


def test_the_gateway_is_probed_while_somebody_looks_at_the_tunnel(path: Path) -> None:
    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await app.measure().wait()
        assert ("tunnel.probe", Named("office")) in daemon.calls
        del daemon.calls[:]
        await pilot.press("4")
        await app.measure().wait()
        assert ("tunnel.probe", Named("office")) not in daemon.calls

    play(path, VIEWS["overview"], scene)
