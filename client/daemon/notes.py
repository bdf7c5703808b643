"""What the last attempts of each tunnel left behind: kept in memory while the daemon runs, and in a file after it.

A tunnel that is gone keeps its notes: `roam up` takes the wish back that came to nothing, and asks why then.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ..control.evidence import (
    MOST_ATTEMPTS,
    AttemptRecord,
    CheckRecord,
    Evidence,
    IcmpRecord,
    LocalRecord,
    LookupRecord,
)
from ..control.messages import ControlError, Fault
from ..control.wire import plain, read
from ..explain.quirks import quirks
from ..ike.events import Established, Output, QuirkSeen
from ..ike.events import Path as OuterPath
from ..ike.options import SessionConfig
from ..ike.trace import Sink
from ..tunnel.model import Underlay
from .recorder import Recorder

log = logging.getLogger("roam.evidence")

MOST_KEPT = 32
"""Tunnels whose notes are kept; older ones give way."""
LARGEST_FILE = 1 << 20


class Notes:
    """One tunnel's.  Everything but `evidence` notes something."""

    def __init__(self, saved: Evidence | None = None) -> None:
        self.changed: Callable[[], None] = lambda: None  # called when there is something worth writing down
        self.quirks: tuple[str, ...] = ()
        """What the gateway of the latest session is peculiar in."""
        self._past: deque[AttemptRecord] = deque(saved.attempts if saved else (), maxlen=MOST_ATTEMPTS)
        self._recorders: deque[tuple[int, Recorder]] = deque()
        self._ports: dict[tuple[str, str], tuple[CheckRecord, ...]] = {}
        self._lookup: LookupRecord | None = saved.lookup if saved else None
        self._local: LocalRecord | None = saved.local if saved else None
        self._gateway = saved.gateway if saved else ""
        self._state = saved.state if saved else ""
        self._fault: Fault | None = Fault(saved.failure, saved.failure_text) if saved else None

    def evidence(self, name: str, now: float, unix: float) -> Evidence:
        """Everything, as it stands; `now` by the clock of the sessions."""
        under_way = [recorder.record(now) for _, recorder in self._recorders]
        attempts = sorted((*self._past, *under_way), key=lambda attempt: attempt.started)
        return Evidence(
            name=name,
            gateway=self._gateway,
            time=round(unix, 3),
            state=self._state,
            failure=self._fault.kind if self._fault is not None else "",
            failure_text=self._fault.evidence if self._fault is not None else "",
            attempts=tuple(attempts[-MOST_ATTEMPTS:]),
            lookup=self._lookup,
            local=self._local,
        )

    def begin(
        self, leg: int, config: SessionConfig, path: OuterPath, *, unix: float, now: float, trigger: str
    ) -> Sink:
        """A session begins; what to tell of its messages."""
        recorder = Recorder(config, path, unix=unix, now=now, trigger=trigger)
        for check in self._ports.get((path.interface, str(path.remote)), ()):
            recorder.note_check(check)
        self._recorders.append((leg, recorder))
        while len(self._recorders) > MOST_ATTEMPTS:
            self._retire(now)
        return recorder.hear

    def note(self, leg: int, output: Output, now: float) -> None:
        """A session has let something out."""
        if (recorder := self._of(leg)) is not None:
            recorder.note(output, now)
            if isinstance(output, Established):
                self._ports.clear()
            if isinstance(output, Established | QuirkSeen):
                attempts = (recorder.record(now),)
                self.quirks = tuple(map(str, quirks(Evidence(state="up", attempts=attempts))))

    def note_traffic(self, leg: int, packets_in: int, packets_out: int) -> None:
        """What ESP has carried."""
        if (recorder := self._of(leg)) is not None:
            recorder.note_traffic(packets_in, packets_out)

    def note_activity(self, leg: int, inbound_at: float, outbound_at: float) -> None:
        """When ESP last came in and went out."""
        if (recorder := self._of(leg)) is not None:
            recorder.note_activity(inbound_at, outbound_at)

    def note_mtu(self, leg: int, octets: int) -> None:
        """How large packets inside the tunnel may be."""
        if (recorder := self._of(leg)) is not None:
            recorder.note_mtu(octets)

    def note_icmp(self, leg: int, errors: Iterable[IcmpRecord]) -> None:
        """What routers have reported to a session's sockets."""
        if (recorder := self._of(leg)) is not None:
            for error in errors:
                recorder.note_icmp(error)

    def note_checks(self, leg: int, checks: Iterable[CheckRecord]) -> None:
        """What was looked at because a session failed."""
        if (recorder := self._of(leg)) is not None:
            for check in checks:
                recorder.note_check(check)
            self.changed()

    def note_ports(self, leg: int, underlay: Underlay, checks: tuple[CheckRecord, ...]) -> None:
        """Which of the gateway's ports answer over a network: true of the next attempts over it as well."""
        self._ports[underlay.interface, str(underlay.remote)] = checks
        self.note_checks(leg, checks)

    def note_portal(self, portal: str) -> None:
        """Whether this network wants a login; of use as long as the network is the same."""
        if self._local is not None:
            self._local = self._local.replace(portal=portal)

    def note_lookup(self, names: Sequence[str], addresses: Sequence[object], error: str = "") -> None:
        """What the gateway's names came to."""
        self._lookup = LookupRecord(tuple(names), tuple(str(entry) for entry in addresses), error)

    def note_local(self, local: LocalRecord) -> None:
        """This computer's networks, as they are now."""
        if self._local is not None and self._local.links == local.links:
            local = local.replace(portal=self._local.portal)  # the same network
        self._local = local

    def settle(self, gateway: str, state: str, fault: Fault | None) -> None:
        """The tunnel's state has changed; a failure stays until it is up again."""
        self._gateway = gateway
        self._state = state
        if fault is not None or state == "up":
            self._fault = fault
        self.changed()

    def _of(self, leg: int) -> Recorder | None:
        return next((recorder for number, recorder in self._recorders if number == leg), None)

    def _retire(self, now: float) -> None:
        _, recorder = self._recorders.popleft()
        self._past.append(recorder.record(now))

    def restart(self, now: float) -> None:
        """A driver has come in place of another: sessions are numbered anew."""
        while self._recorders:
            self._retire(now)


class Book:
    """The notes of all tunnels by their keys, and the directory in which they outlive the daemon."""

    def __init__(self, state_dir: Path | None = None) -> None:
        self._directory = None if state_dir is None else state_dir / "evidence"
        self._notes: dict[str, Notes] = {}

    def of(self, key: str) -> Notes | None:
        """A tunnel's notes, if there are any."""
        if key not in self._notes and (saved := self._load(key)) is not None:
            self._notes[key] = Notes(saved)
        return self._notes.get(key)

    def open(self, key: str, now: float) -> Notes:
        """A tunnel's notes, to be gone on with."""
        notes = self.of(key) or Notes()
        notes.restart(now)
        self._notes.pop(key, None)
        self._notes[key] = notes
        while len(self._notes) > MOST_KEPT:
            self._notes.pop(next(iter(self._notes)))
        return notes

    def keep(self, key: str, evidence: Evidence) -> None:
        """Write them down; it blocks.  A disk that cannot be written costs the memory over a restart alone."""
        if self._directory is None:
            return
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(self._file(self._directory, key), json.dumps(plain(evidence)).encode())
            self._clear_up(self._directory)
        except OSError as error:
            log.info("what was seen of %s will not outlive the daemon: %s", key, error)

    def _load(self, key: str) -> Evidence | None:
        if self._directory is None:
            return None
        try:
            file = self._file(self._directory, key)
            if file.stat().st_size > LARGEST_FILE:
                return None
            return read(Evidence, json.loads(file.read_bytes()), "evidence", "evidence.unreadable")
        except (OSError, ValueError, RecursionError, ControlError):
            return None

    @staticmethod
    def _file(directory: Path, key: str) -> Path:
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]  # an id may hold what a file name may not
        return directory / f"{digest}.json"

    @staticmethod
    def _clear_up(directory: Path) -> None:
        files = sorted(directory.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
        for file in files[:-MOST_KEPT]:
            with suppress(OSError):
                file.unlink()


def _write(path: Path, octets: bytes) -> None:
    temporary = path.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
    temporary.replace(path)
