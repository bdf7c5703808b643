"""The control socket from the other side: blocking and typed, for commands.

Imports little on purpose: `roam status` starts with this module (`async_client` is for programs with a loop).
"""

from __future__ import annotations

import os
import socket
from collections import deque
from time import monotonic

from .messages import (
    DEFAULT_SOCKET,
    EVENT_SHAPES,
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
from .wire import decode_line, encode_request, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self, TypeVar

    from .affairs import DaemonInfo, LogLevel, LogQuery, LogReport, ReportData
    from .catalog import PresetList, ProfileChecked, ProfileText
    from .details import TunnelDetails
    from .diagnosis import Diagnosis
    from .evidence import Explanation
    from .probing import Probe, Probed
    from .verification import Verified, Verify
    from .wire import Json

    T = TypeVar("T", bound=Message)

ANSWER_TIME = 10.0
"""Seconds within which a daemon answers what it answers at once."""
LOOK_TIME = 120.0
"""Seconds for a look at this machine, or at a gateway."""
WORK_TIME = 60.0
"""Seconds for what takes the daemon some time: ending tunnels, sweeping."""


def socket_path(chosen: str | None = None) -> str:
    """The daemon's socket: `chosen`, else $ROAM_SOCKET, else the system's."""
    return chosen or os.environ.get("ROAM_SOCKET") or DEFAULT_SOCKET


def connection_error(error: OSError, path: str) -> ControlError:
    """What a failed connection means to a person."""
    if isinstance(error, PermissionError):
        return ControlError("permission.denied", f"you may not use the daemon's socket {path}")
    if isinstance(error, FileNotFoundError):
        return ControlError("daemon.absent", f"no daemon: there is no socket {path}")
    if isinstance(error, ConnectionRefusedError):
        return ControlError("daemon.absent", f"no daemon answers at {path}")
    return ControlError("daemon.absent", f"cannot reach the daemon at {path}: {error.strerror or error}")


def answer(message: Json, shape: type[T]) -> T:
    """The result of an answer, or the error that it carries."""
    return read(shape, result(message), "result", "rpc.reply")


def result(message: Json) -> Json:
    """The same, as JSON has it."""
    error = message.get("error")
    if error is None:
        found = message.get("result")
        if isinstance(found, dict):
            return found
        raise ControlError("rpc.reply", "the result is no object")
    data = error.get("data") if isinstance(error, dict) else None
    if not isinstance(data, dict):
        raise ControlError("rpc.reply", "the daemon refused without a reason")
    raise ControlError(str(data.get("kind")), str(data.get("evidence") or ""), str(data.get("hint") or ""))


def event(message: Json) -> Event | None:
    """The event of a notification; None for a topic that this version does not know."""
    params = message.get("params")
    if message.get("method") != "event" or not isinstance(params, dict):
        return None
    shape = EVENT_SHAPES.get(str(params.get("topic")))
    if shape is None:
        return None
    head = read(_EventHead, params, "event", "rpc.reply")
    return Event(head.seq, head.time, head.topic, read(shape, params.get("data"), "event.data", "rpc.reply"))


class _EventHead(Message):
    seq: int
    time: float
    topic: str


class Client:
    """One connection; a context manager.  Methods raise `ControlError`."""

    def __init__(self, path: str | None = None) -> None:
        self._path = socket_path(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(ANSWER_TIME)
        self._buffer = bytearray()
        self._events: deque[Event] = deque()
        self._last_id = 0
        try:
            self._socket.connect(self._path)
        except OSError as error:
            self._socket.close()
            raise connection_error(error, self._path) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._socket.close()

    def hello(self, program: str) -> Welcome:
        """Who answers, and what we may do."""
        return self.call("hello", Hello(program=program), Welcome)

    def profiles(self) -> ProfileList:
        """The system's profiles."""
        return self.call("profile.list", Empty(), ProfileList)

    def profile(self, name: str) -> ProfileText:
        """What a system profile says."""
        from .catalog import ProfileNamed, ProfileText

        return self.call("profile.get", ProfileNamed(name), ProfileText)

    def check_profile(self, text: str) -> ProfileChecked:
        """What is wrong with a profile's text, and what it refers to."""
        from .catalog import ProfileCheck, ProfileChecked

        return self.call("profile.check", ProfileCheck(text), ProfileChecked)

    def presets(self) -> PresetList:
        """What is known of kinds of gateways."""
        from .catalog import PresetList

        return self.call("profile.presets", Empty(), PresetList)

    def up(self, request: Up) -> Accepted:
        """Want a tunnel."""
        return self.call("tunnel.up", request, Accepted)

    def down(self, name: str | None, *, force: bool = False) -> Ended:
        """End the wish for a tunnel."""
        return self.call("tunnel.down", Down(name, force), Ended, WORK_TIME)

    def status(self, name: str | None = None) -> StatusReport:
        """All tunnels, or one."""
        return self.call("tunnel.status", Named(name), StatusReport)

    def rekey(self, name: str | None, *, ike: bool = False) -> Accepted:
        """Replace keys."""
        return self.call("tunnel.rekey", Rekey(name, ike), Accepted)

    def reauth(self, name: str | None) -> Accepted:
        """Log in anew beside the session that stands, without a break."""
        return self.call("tunnel.reauth", Named(name), Accepted)

    def details(self, name: str | None) -> TunnelDetails:
        """What a status has no room for."""
        from .details import TunnelDetails

        return self.call("tunnel.details", Named(name), TunnelDetails)

    def probe_tunnel(self, name: str | None) -> Accepted:
        """Ask a tunnel's gateway for a sign of life."""
        return self.call("tunnel.probe", Named(name), Accepted)

    def explain(self, name: str | None) -> Explanation:
        """Why a tunnel failed or ended."""
        from .evidence import Explanation

        return self.call("explain", Named(name), Explanation)

    def probe(self, request: Probe) -> Probed:
        """Look at a gateway before there is a profile."""
        from .probing import Probed

        return self.call("probe", request, Probed, LOOK_TIME)

    def examine(self, topic: str = "") -> Diagnosis:
        """Look at this machine; with "dns", by asking for names."""
        from .diagnosis import Diagnosis, Examine

        return self.call("doctor", Examine(topic), Diagnosis, LOOK_TIME)

    def verify(self, request: Verify) -> Verified:
        """Whether the machine is as a tunnel wants it, and traffic passes."""
        from .verification import Verified

        return self.call("tunnel.verify", request, Verified, WORK_TIME)

    def cleanup(self) -> Cleaned:
        """End all tunnels and remove what is left of them."""
        return self.call("daemon.cleanup", Empty(), Cleaned, WORK_TIME)

    def info(self) -> DaemonInfo:
        """Which daemon this is."""
        from .affairs import DaemonInfo

        return self.call("daemon.info", Empty(), DaemonInfo)

    def log(self, query: LogQuery | None = None) -> LogReport:
        """What the daemon has logged."""
        from .affairs import LogQuery, LogReport

        wanted = query or LogQuery()
        return self.call("daemon.log", wanted, LogReport, wanted.wait + ANSWER_TIME)

    def set_log_level(self, request: LogLevel) -> DaemonInfo:
        """Log more, or less, until the daemon ends."""
        from .affairs import DaemonInfo

        return self.call("daemon.set_log_level", request, DaemonInfo)

    def report(self) -> ReportData:
        """What helps to understand a fault, redacted."""
        from .affairs import ReportData

        return self.call("daemon.report", Empty(), ReportData)

    def lockdown(self) -> LockdownStatus:
        """How the machine stands."""
        return self.call("lockdown.status", Empty(), LockdownStatus)

    def set_lockdown(self, request: LockdownSet) -> LockdownStatus:
        """Turn lockdown on or off."""
        return self.call("lockdown.set", request, LockdownStatus)

    def open_portal(self, seconds: float) -> LockdownStatus:
        """Let our browser out for a time; 0 ends it."""
        return self.call("portal.open", PortalOpen(seconds), LockdownStatus)

    def answer_secret(self, request: SecretAnswer) -> None:
        """Answer a question of the daemon."""
        self.call("secret.answer", request, Empty)

    def cancel_secret(self, secret_id: str, why: str = "") -> None:
        """Decline a question of the daemon."""
        self.call("secret.cancel", SecretCancel(secret_id, why), Empty)

    def subscribe(self, request: Subscribe) -> Snapshot:
        """Start events; what follows the snapshot comes out of `next_event`."""
        return self.call("events.subscribe", request, Snapshot)

    def raw(self, method: str, params: Json, patience: float = ANSWER_TIME) -> Json:
        """Any method by its name, untyped: what this version of the library does not know yet, too."""
        return result(self._exchange(method, params, patience))

    def call(self, method: str, params: object, shape: type[T], patience: float = ANSWER_TIME) -> T:
        """One request and its answer; events that come in between are kept for `next_event`."""
        return answer(self._exchange(method, params, patience), shape)

    def _exchange(self, method: str, params: object, patience: float) -> Json:
        self._last_id += 1
        line = encode_request(self._last_id, method, params)
        if len(line) > LINE_LIMIT:
            raise ControlError("rpc.too_long", f"the request has {len(line)} octets")
        try:
            self._socket.settimeout(patience)
            self._socket.sendall(line)
        except OSError as error:
            raise self._lost(error) from None
        deadline = monotonic() + patience
        while True:
            message = self._receive(deadline)
            if message is None:
                raise ControlError("daemon.lost", f"the daemon did not answer within {patience:g} s")
            if message.get("id") == self._last_id or ("error" in message and message.get("id") is None):
                return message
            self._keep(message)

    def next_event(self, deadline: float | None = None) -> Event | None:
        """The next event; None at `deadline` (time.monotonic; None: wait for ever)."""
        while not self._events:
            message = self._receive(deadline)
            if message is None:
                return None
            self._keep(message)
        return self._events.popleft()

    def _keep(self, message: Json) -> None:
        seen = event(message)
        if seen is not None:
            self._events.append(seen)

    def _receive(self, deadline: float | None) -> Json | None:
        """The next message; None at the deadline."""
        while (end := self._buffer.find(b"\n")) < 0:
            if not self._fill(deadline):
                return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return decode_line(line)

    def _fill(self, deadline: float | None) -> bool:
        left = None if deadline is None else deadline - monotonic()
        if left is not None and left <= 0:
            return False
        try:
            self._socket.settimeout(left)
            octets = self._socket.recv(65536)
        except TimeoutError:
            return False
        except OSError as error:
            raise self._lost(error) from None
        if not octets:
            raise ControlError("daemon.lost", "the daemon closed the connection")
        self._buffer += octets
        return True

    def _lost(self, error: OSError) -> ControlError:
        return ControlError(
            "daemon.lost", f"the connection to the daemon at {self._path} broke: {error.strerror}"
        )
