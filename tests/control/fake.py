"""A daemon without tunnels behind a real socket: a test writes what it shall answer and what happens then."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path

from client.control.access import PeerCredentials, Policy
from client.control.connection import Connection, Outlet
from client.control.handlers import Action, Caller
from client.control.listener import listen
from client.control.messages import (
    Accepted,
    Cleaned,
    ControlError,
    Down,
    Empty,
    Ended,
    EventData,
    LeakVerdict,
    LockdownSet,
    LockdownStatus,
    Message,
    Named,
    PortalOpen,
    ProfileList,
    Rekey,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    StatusReport,
    TunnelStatus,
    Up,
)
from client.control.methods import METHODS
from client.control.server import OWN, ControlServer

ROOT = PeerCredentials(0, 0)
GROUP = 4242
MEMBER_ID = 1000
NOW = 1_800_000_000.0


class FakeDaemon:
    """`Handlers` that remember what they were asked; `script` is published after each `up` and each answer."""

    def __init__(self) -> None:
        self.tunnels: dict[str, TunnelStatus] = {}
        self.script: list[EventData] = []
        self.script_after_down: list[EventData] = []
        self.on_subscribe: list[EventData] = []
        self.refusal: ControlError | None = None
        self.secrets: tuple[SecretNeeded, ...] = ()
        self.machine = LockdownStatus(False, guard="nftables")
        self.leaks: tuple[LeakVerdict, ...] = ()
        self.calls: list[tuple[str, object]] = []
        self.callers: list[Caller] = []
        self.publish: Callable[[EventData], None] = lambda _data: None
        self.gate: asyncio.Event | None = None
        self.renews = True
        self.clock = NOW
        self.last_serial = 0
        self.results: dict[str, Message] = {}
        """Answers to the methods that have no fake of their own."""
        self.actions: dict[str, Action] = {
            name: partial(self._canned, name) for name in METHODS.keys() - OWN
        } | {
            "profile.list": self.profiles,
            "tunnel.up": self.up,
            "tunnel.down": self.down,
            "tunnel.rekey": self.rekey,
            "tunnel.reauth": self.reauth,
            "lockdown.status": self.lockdown,
            "lockdown.set": self.set_lockdown,
            "portal.open": self.open_portal,
            "secret.answer": self.answer,
            "secret.cancel": self.cancel,
            "daemon.cleanup": self.cleanup,
        }

    async def _canned(self, name: str, caller: Caller, request: object) -> Message:
        self._note(caller, name, request)
        if name not in self.results:
            raise ControlError("local.fault", f"no test has said what {name} answers")
        return self.results[name]

    def change(self, data: EventData) -> None:
        """Let something happen: a new status is kept, and everything is published."""
        if isinstance(data, TunnelStatus):
            self.tunnels[data.name] = data
        self.publish(data)

    def _note(self, caller: Caller, method: str, request: object) -> None:
        self.callers.append(caller)
        self.calls.append((method, request))
        if self.refusal is not None:
            raise self.refusal

    def _play(self) -> None:
        """Publish the script up to the next question; what follows that waits for its answer."""
        while self.script:
            data = self.script.pop(0)
            self.change(data)
            if isinstance(data, SecretNeeded):
                return

    async def up(self, caller: Caller, request: Up) -> Accepted:
        self._note(caller, "up", request)
        name = request.name or "office"
        old = self.tunnels.get(name)
        if old is None or old.state != "up":
            serial = self.last_serial = max(self.last_serial, old.serial if old else 0) + 1
            self.tunnels[name] = TunnelStatus(name, "connecting", serial=serial, owner=caller.uid)
            asyncio.get_running_loop().call_soon(self._play)
        return Accepted(self.tunnels[name])

    async def down(self, caller: Caller, request: Down) -> Ended:
        self._note(caller, "down", request)
        if self.gate is not None:
            await self.gate.wait()
        names = tuple(self.tunnels) if request.name is None else (request.name,)
        for name in names:
            self.change(self.tunnels.pop(name).replace(state="off"))
            del self.tunnels[name]
        self.script = self.script or list(self.script_after_down)
        return Ended(names)

    async def rekey(self, caller: Caller, request: Rekey) -> Accepted:
        self._note(caller, "rekey", request)
        tunnel = self.tunnels[request.name or next(iter(self.tunnels))]
        if self.renews:
            renewed = tunnel.replace(**{"ike_rekey_at" if request.ike else "child_rekey_at": NOW + 3600})
            asyncio.get_running_loop().call_soon(self.change, renewed)
        return Accepted(tunnel)

    async def reauth(self, caller: Caller, request: Named) -> Accepted:
        self._note(caller, "reauth", request)
        tunnel = self.tunnels[request.name or next(iter(self.tunnels))]
        self.script = self.script or [tunnel.replace(session=tunnel.session + 1)]
        asyncio.get_running_loop().call_soon(self._play)
        return Accepted(tunnel)

    async def cleanup(self, caller: Caller, _request: Empty) -> Cleaned:
        self._note(caller, "cleanup", None)
        return Cleaned(("route 0.0.0.0/0 in table 29440",))

    async def answer(self, caller: Caller, request: SecretAnswer) -> Empty:
        self._note(caller, "answer", request)
        self._play()
        return Empty()

    async def cancel(self, caller: Caller, request: SecretCancel) -> Empty:
        self._note(caller, "cancel", request.id)
        return Empty()

    async def set_lockdown(self, caller: Caller, request: LockdownSet) -> LockdownStatus:
        self._note(caller, "lockdown", request)
        self.machine = self.machine.replace(on=request.on, allow_lan=request.allow_lan)
        return self.machine

    async def open_portal(self, caller: Caller, request: PortalOpen) -> LockdownStatus:
        self._note(caller, "portal", request)
        until = NOW + request.seconds if request.seconds else None
        return self.machine.replace(portal_owner=caller.uid, portal_until=until, time=NOW)

    async def lockdown(self, _caller: Caller, _request: Empty) -> LockdownStatus:
        return self.machine

    async def profiles(self, caller: Caller, _request: Empty) -> ProfileList:
        self._note(caller, "profiles", None)
        return ProfileList()

    def status(self) -> StatusReport:
        tunnels = tuple(self.tunnels.values())
        return StatusReport(self.clock, tunnels=tunnels, lockdown=self.machine, leaks=self.leaks)

    def pending_secrets(self) -> tuple[SecretNeeded, ...]:
        while self.on_subscribe:
            asyncio.get_running_loop().call_soon(self.change, self.on_subscribe.pop(0))
        return self.secrets


def server_of(daemon: FakeDaemon, peer: PeerCredentials, boot: str = "boot-1") -> ControlServer:
    """A server whose callers all look like `peer`."""
    policy = Policy(GROUP, own_uid=990)

    def credentials(_connection: socket.socket) -> PeerCredentials:
        return peer

    server = ControlServer(
        daemon, policy, version="0.1", boot=boot, wall=lambda: NOW, credentials=credentials
    )
    daemon.publish = server.publish
    return server


@contextlib.asynccontextmanager
async def serving(
    daemon: FakeDaemon,
    path: Path,
    peer: PeerCredentials = ROOT,
    boot: str = "boot-1",
    protocol: type[Outlet] = Connection,
) -> AsyncIterator[ControlServer]:
    """The daemon in this loop, until the block ends."""
    server = server_of(daemon, peer, boot)
    listener = listen(path, None)
    task = asyncio.create_task(server.serve(listener, protocol))
    try:
        yield server
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        listener.close()


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until `condition` holds."""
    while not condition():  # noqa: ASYNC110 - the server has no event for what only tests want to know
        await asyncio.sleep(0)


class DaemonThread:
    """The daemon in a loop of its own, for blocking clients."""

    protocol: type[Outlet] = Connection

    def __init__(self, daemon: FakeDaemon, path: Path, peer: PeerCredentials) -> None:
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._main(daemon, path, peer)))
        self._thread.start()
        self._ready.wait()

    async def _main(self, daemon: FakeDaemon, path: Path, peer: PeerCredentials) -> None:
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        async with serving(daemon, path, peer, protocol=self.protocol):
            self._ready.set()
            await self._stop.wait()

    def call(self, action: Callable[[], None]) -> None:
        """Run `action` in the daemon's loop."""
        self._loop.call_soon_threadsafe(action)

    def stop(self) -> None:
        """End the daemon and wait for that."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@contextlib.contextmanager
def serving_apart(daemon: FakeDaemon, path: Path, peer: PeerCredentials = ROOT) -> Iterator[DaemonThread]:
    """The daemon in a thread, until the block ends."""
    thread = DaemonThread(daemon, path, peer)
    try:
        yield thread
    finally:
        thread.stop()


@contextlib.contextmanager
def socket_directory() -> Iterator[Path]:
    """A directory whose path is short enough for sun_path, whatever the test is called."""
    directory = Path(tempfile.mkdtemp(prefix="roam-", dir="/tmp"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory)
