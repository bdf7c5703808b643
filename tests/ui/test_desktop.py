"""`roam watch --notify` on a real session bus, with a notification server that writes down what it is told."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from client.control.messages import ControlError, SecretNeeded, TunnelStatus
from tests.control.fake import FakeDaemon, serving, socket_directory
from ui import desktop
from ui.desktop import Desktop, follow
from ui.notifications import Note

CONFIGURATION = """\
<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <policy context="default"><allow send_destination="*"/><allow eavesdrop="false"/><allow own="*"/></policy>
</busconfig>
"""
UP = TunnelStatus("office", "up", gateway="vpn.example.com")


@contextmanager
def session_bus(directory: Path) -> Iterator[str]:
    """dbus-daemon as a session has it, until the block ends."""
    path = directory / "bus"
    configuration = directory / "bus.conf"
    configuration.write_text(CONFIGURATION.format(path=path))
    try:
        process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={configuration}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        pytest.skip("dbus-daemon is not installed: sudo apt install dbus-daemon")
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"unix:path=")
        yield f"unix:path={path}"
    finally:
        process.kill()
        process.communicate()


@dataclass
class Server:
    """org.freedesktop.Notifications; `notified` are the arguments of each Notify."""

    capabilities: tuple[str, ...] = ("body", "body-markup")
    notified: list[list[Any]] = field(default_factory=list)
    bus: MessageBus | None = None

    async def appear(self, address: str) -> None:
        self.bus = await MessageBus(bus_address=address, bus_type=BusType.SESSION).connect()
        self.bus.add_message_handler(self._handle)
        await self.bus.request_name("org.freedesktop.Notifications")

    def _handle(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        if message.member == "GetCapabilities":
            return Message.new_method_return(message, "as", [list(self.capabilities)])
        if message.member == "Notify":
            self.notified.append(message.body)
            return Message.new_method_return(message, "u", [message.body[1] or len(self.notified)])
        return None

    async def has(self, count: int) -> list[Any]:
        """The arguments of the latest of `count` notifications."""
        async with asyncio.timeout(10):
            while len(self.notified) < count:  # noqa: ASYNC110 - the bus tells nobody else
                await asyncio.sleep(0.005)
        return self.notified[-1]


@dataclass
class Scene:
    directory: Path
    address: str
    server: Server = field(default_factory=Server)

    @property
    def socket(self) -> Path:
        return self.directory / "control.sock"


class Watched(FakeDaemon):
    """Tells when somebody has subscribed."""

    def __init__(self) -> None:
        super().__init__()
        self.subscribed = asyncio.Event()

    def pending_secrets(self) -> tuple[SecretNeeded, ...]:
        self.subscribed.set()  # the subscription stands before anybody else runs
        return super().pending_secrets()


Play = Callable[[Scene], Awaitable[None]]


def playing(play: Play) -> None:
    async def main(scene: Scene) -> None:
        await scene.server.appear(scene.address)
        try:
            await play(scene)
        finally:
            if scene.server.bus is not None:
                scene.server.bus.disconnect()

    with socket_directory() as directory, session_bus(directory) as address:
        asyncio.run(main(Scene(directory, address)))


def test_a_note_is_shown_with_its_urgency_and_replaced_by_the_next() -> None:
    async def play(scene: Scene) -> None:
        async with Desktop(scene.address) as shown:
            await shown.show(
                Note("office", "office is connected", "to <gateway> & on", 0, "network.connected")
            )
            application, replaces, icon, summary, body, actions, hints, expires = await scene.server.has(1)
            assert (application, replaces, icon, summary) == ("Roam", 0, "network-vpn", "office is connected")
            assert (body, actions, expires) == ("to &lt;gateway&gt; &amp; on", [], -1)
            assert {name: value.value for name, value in hints.items()} == {
                "urgency": 0,
                "category": "network.connected",
                "desktop-entry": "roam",
            }
            scene.server.capabilities = ("body",)
            await shown.show(Note("other", "other is connected"))
            assert (await scene.server.has(2))[1] == 0
            await shown.show(Note("office", "office has moved", "<b>"))
            assert (await scene.server.has(3))[1:5] == [1, "network-vpn", "office has moved", "<b>"]

    playing(play)


def test_what_a_daemon_tells_is_shown_and_the_next_daemon_is_followed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desktop, "RETRY", 0.02)

    async def play(scene: Scene) -> None:
        async with Desktop(scene.address) as shown:
            following = asyncio.create_task(follow(shown, str(scene.socket)))
            daemon = Watched()
            daemon.tunnels["home"] = UP.replace(name="home")  # stands already: no news
            async with serving(daemon, scene.socket):
                await daemon.subscribed.wait()
                daemon.change(UP.replace(state="connecting"))
                daemon.change(UP)
                assert (await scene.server.has(1))[3] == "office is connected"
                daemon.change(SecretNeeded("1", "office", "password", "Password for alice", 2e9))
                assert (await scene.server.has(2))[3] == "office asks for a password"
            scene.socket.unlink()
            second = FakeDaemon()
            second.secrets = (SecretNeeded("2", "office", "pin", "PIN", 2e9),)
            async with serving(second, scene.socket):
                assert (await scene.server.has(3))[3] == "office asks for a PIN"
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    playing(play)


def test_without_a_notification_server_nothing_is_shown_and_nothing_breaks() -> None:
    async def play(scene: Scene) -> None:
        assert scene.server.bus is not None
        scene.server.bus.disconnect()
        async with Desktop(scene.address) as shown:
            await shown.show(Note("office", "office is connected"))
        assert scene.server.notified == []

    playing(play)


def test_the_end_of_the_session_is_the_end() -> None:
    async def main(address: str) -> None:
        async with Desktop(address) as shown:
            following = asyncio.create_task(follow(shown, "/nonexistent"))
            await asyncio.sleep(0)
            ended.__exit__(None, None, None)
            async with asyncio.timeout(10):
                await following

    with socket_directory() as directory:
        ended = session_bus(directory)
        asyncio.run(main(ended.__enter__()))


def test_without_a_session_bus_it_is_said_what_is_missing(tmp_path: Path) -> None:
    async def main() -> None:
        async with Desktop(f"unix:path={tmp_path}/nothing"):
            pass

    with pytest.raises(ControlError, match="there is no session bus") as caught:
        asyncio.run(main())
    assert "DBUS_SESSION_BUS_ADDRESS" in caught.value.hint


def test_the_command_needs_a_session(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ui.cli", "watch", "--notify"]
    environment = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={tmp_path}/nothing", "PATH": "/usr/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "there is no session bus" in done.stderr
