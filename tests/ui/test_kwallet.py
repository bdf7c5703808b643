"""KDE's wallet as a keyring, on a real session bus with a wallet daemon that keeps what it is given."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

from tests.ui.test_desktop import session_bus
from ui.kwallet import KWalletKeyring

HANDLE = 47
SIGNATURES = {  # of KDE's interface description
    "networkWallet": "",
    "open": "sxs",
    "hasEntry": "isss",
    "readPassword": "isss",
    "writePassword": "issss",
    "removeEntry": "isss",
}


@dataclass
class Daemon:
    """kwalletd: a locked one is never opened, a full one keeps nothing."""

    name: str
    entries: dict[tuple[str, str], str] = field(default_factory=dict)
    locked: bool = False
    full: bool = False
    broken: bool = False
    calls: list[str] = field(default_factory=list)

    def answer(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.interface != "org.kde.KWallet":
            return None
        self.calls.append(str(message.member))
        if self.broken:
            return Message.new_error(message, "org.kde.Broken", "out of order")
        assert message.path == f"/modules/{self.name.rpartition('.')[2]}"
        assert message.signature == SIGNATURES[str(message.member)]
        return Message.new_method_return(message, *self._result(str(message.member), message.body))

    def _result(self, member: str, body: list[Any]) -> tuple[str, list[Any]]:
        match member, body:
            case "networkWallet", []:
                return "s", ["kdewallet"]
            case "open", ["kdewallet", 0, "roam"]:
                return "i", [-1 if self.locked else HANDLE]
            case "hasEntry", [int(handle), folder, key, "roam"] if handle == HANDLE:
                return "b", [(folder, key) in self.entries]
            case "readPassword", [int(handle), folder, key, "roam"] if handle == HANDLE:
                return "s", [self.entries[folder, key]]
            case "writePassword", [int(handle), folder, key, value, "roam"] if handle == HANDLE:
                if not self.full:
                    self.entries[folder, key] = value
                return "i", [-1 if self.full else 0]
            case "removeEntry", [int(handle), folder, key, "roam"] if handle == HANDLE:
                return "i", [-1 if self.entries.pop((folder, key), None) is None else 0]
        raise AssertionError((member, body))

    async def serve(self, address: str, ready: Callable[[], object], over: asyncio.Event) -> None:
        bus = await MessageBus(bus_address=address, bus_type=BusType.SESSION).connect()
        bus.add_message_handler(self.answer)
        await bus.request_name(self.name)
        ready()
        await over.wait()
        bus.disconnect()


@contextmanager
def running(daemon: Daemon, address: str) -> Iterator[Daemon]:
    """The daemon, in a thread of its own, until the block ends."""
    loop, over, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=[daemon.serve(address, ready.set, over)])
    thread.start()
    try:
        assert ready.wait(10)
        yield daemon
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with session_bus(tmp_path) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@pytest.mark.parametrize("name", ["org.kde.kwalletd5", "org.kde.kwalletd6"])
def test_a_password_is_kept_and_comes_back(bus: str, name: str) -> None:
    with running(Daemon(name), bus) as daemon:
        ring = KWalletKeyring()  # type: ignore[no-untyped-call]
        assert 0 < KWalletKeyring.priority < 5
        assert ring.get_password("roam", "office/eap") is None
        ring.set_password("roam", "office/eap", "Übermut 😀")
        assert daemon.entries == {("roam", "office/eap"): "Übermut 😀"}
        assert ring.get_password("roam", "office/eap") == "Übermut 😀"
        ring.delete_password("roam", "office/eap")
        with pytest.raises(PasswordDeleteError):
            ring.delete_password("roam", "office/eap")


def test_it_works_in_a_program_with_a_loop_of_its_own(bus: str) -> None:
    async def inside() -> str | None:
        return KWalletKeyring().get_password("roam", "office/eap")  # type: ignore[no-untyped-call]

    with running(Daemon("org.kde.kwalletd6", {("roam", "office/eap"): "sesame open"}), bus):
        assert asyncio.run(inside()) == "sesame open"


def test_a_wallet_that_stays_shut_or_does_not_keep_is_an_error_of_the_keyring(bus: str) -> None:
    with running(Daemon("org.kde.kwalletd6"), bus) as daemon:
        ring = KWalletKeyring()  # type: ignore[no-untyped-call]
        daemon.full = True
        with pytest.raises(PasswordSetError):
            ring.set_password("roam", "office/eap", "sesame open")
        daemon.locked = True
        with pytest.raises(KeyringLocked):
            ring.get_password("roam", "office/eap")
        daemon.broken = True
        with pytest.raises(InitError):
            ring.get_password("roam", "office/eap")


def test_without_a_wallet_or_a_bus_there_is_none(bus: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="no KWallet"):
        _ = KWalletKeyring.priority
    for address in ("", "unix:path=/nowhere/at/all"):
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        with pytest.raises(RuntimeError, match="no session bus"):
            _ = KWalletKeyring.priority


def test_keyring_finds_it_by_its_entry_point() -> None:
    (found,) = entry_points(group="keyring.backends", name="roam-kwallet")
    assert found.load().KWalletKeyring is KWalletKeyring
