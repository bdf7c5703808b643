"""The control socket from the other side, for programs with an asyncio loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Self, TypeVar

from .affairs import DaemonInfo, LogLevel, LogQuery, LogReport, ReportData
from .catalog import PresetList, ProfileCheck, ProfileChecked, ProfileNamed, ProfileText
from .client import ANSWER_TIME, LOOK_TIME, WORK_TIME, answer, connection_error, event, socket_path
from .details import TunnelDetails
from .diagnosis import Diagnosis, Examine
from .evidence import Explanation
from .messages import (
    LINE_LIMIT,
    Accepted,
    Cleaned,
    ControlError,
    Down,
    Empty,
    Ended,
    Event,
    Hello,
    LockdownSet,
    LockdownStatus,
    Message,
    Named,
    PortalOpen,
    ProfileList,
    Rekey,
    SecretAnswer,
    SecretCancel,
    Snapshot,
    StatusReport,
    Subscribe,
    Up,
    Welcome,
)
from .probing import Probe, Probed
from .verification import Verified, Verify
from .wire import decode_line, encode_request

if TYPE_CHECKING:
    from .wire import Json

T = TypeVar("T", bound=Message)


class AsyncClient:
    """One connection, used as `async with AsyncClient(path) as client`; methods raise `ControlError`."""

    def __init__(self, path: str | None = None) -> None:
        self._path = socket_path(path)
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._last_id = 0

    async def __aenter__(self) -> Self:
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=LINE_LIMIT)
        except OSError as error:
            raise connection_error(error, self._path) from None
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_exception: object) -> None:
        self._reading.cancel()
        self._writer.close()
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await self._reading

    async def hello(self, program: str) -> Welcome:
        """Who answers, and what we may do."""
        return await self.call("hello", Hello(program=program), Welcome)

    async def profiles(self) -> ProfileList:
        """The system's profiles."""
        return await self.call("profile.list", Empty(), ProfileList)

    async def profile(self, name: str) -> ProfileText:
        """What a system profile says."""
        return await self.call("profile.get", ProfileNamed(name), ProfileText)

    async def check_profile(self, text: str) -> ProfileChecked:
        """What is wrong with a profile's text, and what it refers to."""
        return await self.call("profile.check", ProfileCheck(text), ProfileChecked)

    async def presets(self) -> PresetList:
        """What is known of kinds of gateways."""
        return await self.call("profile.presets", Empty(), PresetList)

    async def up(self, request: Up) -> Accepted:
        """Want a tunnel."""
        return await self.call("tunnel.up", request, Accepted)

    async def down(self, name: str | None, *, force: bool = False) -> Ended:
        """End the wish for a tunnel."""
        return await self.call("tunnel.down", Down(name, force), Ended, WORK_TIME)

    async def status(self, name: str | None = None) -> StatusReport:
        """All tunnels, or one."""
        return await self.call("tunnel.status", Named(name), StatusReport)

    async def rekey(self, name: str | None, *, ike: bool = False) -> Accepted:
        """Replace keys."""
        return await self.call("tunnel.rekey", Rekey(name, ike), Accepted)

    async def reauth(self, name: str | None) -> Accepted:
        """Log in anew beside the session that stands, without a break."""
        return await self.call("tunnel.reauth", Named(name), Accepted)

    async def verify(self, request: Verify) -> Verified:
        """Whether the machine is as a tunnel wants it, and traffic passes."""
        return await self.call("tunnel.verify", request, Verified, WORK_TIME)

    async def details(self, name: str | None) -> TunnelDetails:
        """What a status has no room for."""
        return await self.call("tunnel.details", Named(name), TunnelDetails)

    async def probe_tunnel(self, name: str | None) -> Accepted:
        """Ask a tunnel's gateway for a sign of life."""
        return await self.call("tunnel.probe", Named(name), Accepted)

    async def explain(self, name: str | None) -> Explanation:
        """Why a tunnel failed or ended."""
        return await self.call("explain", Named(name), Explanation)

    async def probe(self, request: Probe) -> Probed:
        """Look at a gateway before there is a profile."""
        return await self.call("probe", request, Probed, LOOK_TIME)

    async def examine(self, topic: str = "") -> Diagnosis:
        """Look at this machine; with "dns", by asking for names."""
        return await self.call("doctor", Examine(topic), Diagnosis, LOOK_TIME)

    async def info(self) -> DaemonInfo:
        """Which daemon this is."""
        return await self.call("daemon.info", Empty(), DaemonInfo)

    async def log(self, query: LogQuery | None = None) -> LogReport:
        """What the daemon has logged."""
        wanted = query or LogQuery()
        return await self.call("daemon.log", wanted, LogReport, wanted.wait + ANSWER_TIME)

    async def set_log_level(self, request: LogLevel) -> DaemonInfo:
        """Log more, or less, until the daemon ends."""
        return await self.call("daemon.set_log_level", request, DaemonInfo)

    async def report(self) -> ReportData:
        """What helps to understand a fault, redacted."""
        return await self.call("daemon.report", Empty(), ReportData)

    async def lockdown(self) -> LockdownStatus:
        """How the machine stands."""
        return await self.call("lockdown.status", Empty(), LockdownStatus)

    async def set_lockdown(self, request: LockdownSet) -> LockdownStatus:
        """Turn lockdown on or off."""
        return await self.call("lockdown.set", request, LockdownStatus)

    async def open_portal(self, seconds: float) -> LockdownStatus:
        """Let our browser out for a time; 0 ends it."""
        return await self.call("portal.open", PortalOpen(seconds), LockdownStatus)

    async def cleanup(self) -> Cleaned:
        """End all tunnels and remove what is left of them."""
        return await self.call("daemon.cleanup", Empty(), Cleaned, WORK_TIME)

    async def answer_secret(self, request: SecretAnswer) -> None:
        """Answer a question of the daemon."""
        await self.call("secret.answer", request, Empty)

    async def cancel_secret(self, secret_id: str, why: str = "") -> None:
        """Decline a question of the daemon."""
        await self.call("secret.cancel", SecretCancel(secret_id, why), Empty)

    async def subscribe(self, request: Subscribe) -> Snapshot:
        """Start events; what follows the snapshot comes out of `events`."""
        return await self.call("events.subscribe", request, Snapshot)

    async def events(self) -> AsyncIterator[Event]:
        """Events as they come; ends when the daemon closes the connection."""
        while (seen := await self._events.get()) is not None:
            yield seen

    async def call(self, method: str, params: object, shape: type[T], patience: float = ANSWER_TIME) -> T:
        """One request and its answer."""
        self._last_id += 1
        line = encode_request(self._last_id, method, params)
        if len(line) > LINE_LIMIT:
            raise ControlError("rpc.too_long", f"the request has {len(line)} octets")
        if self._reading.done():
            raise ControlError("daemon.lost", "the daemon closed the connection")
        waiting = self._waiting[self._last_id] = asyncio.get_running_loop().create_future()
        try:
            self._writer.write(line)
            async with asyncio.timeout(patience):
                return answer(await waiting, shape)
        except TimeoutError:
            raise ControlError("daemon.lost", f"the daemon did not answer within {patience:g} s") from None
        finally:
            self._waiting = {
                number: future for number, future in self._waiting.items() if future is not waiting
            }

    async def _read(self) -> None:
        try:
            while (line := await self._reader.readline()).endswith(b"\n"):
                self._take(decode_line(line))
        except (OSError, ValueError, ControlError):  # reset, over-long or no JSON: the end of this connection
            pass
        finally:
            self._events.put_nowait(None)
            lost = ControlError("daemon.lost", "the daemon closed the connection")
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(lost)

    def _take(self, message: Json) -> None:
        number = message.get("id")
        future = self._waiting.get(number) if isinstance(number, int) else None
        if future is not None and not future.done():
            future.set_result(message)
        elif (seen := event(message)) is not None:
            self._events.put_nowait(seen)
