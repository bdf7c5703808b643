"""The Child SAs of one tunnel in the kernel's tables: what stands there is always what this object says.

A move closes the outbound policies first: a packet of that moment is dropped, and none can use a sequence number
while it is carried over.  What fails on the way leaves them closed.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol

from ..ike.events import ChildSa
from .drift import Deviation
from .xfrm import XfrmRefused
from .xfrm_model import Device, Direction, Limits, Policy, PolicyReport, Sa, SaId, SaReport, Usage
from .xfrm_offload import NOTHING, Taken, Wish, is_whole, left, refused, taken, wish
from .xfrm_plan import SOFT_SEQUENCE, Outer, Pair, outbound_policies, pair_of, policies
from .xfrm_policies import DropPolicy, Policies, PolicyTable, PutPolicy

IF_IDS = range(0x73000001, 0x73010000)
"""Interface numbers of ours; whatever bears one is ours."""

_TRIAL = IF_IDS[-17]
"""A number that no interface bears: policies under it meet no packet."""
_log = logging.getLogger(__name__)


class Tables(Policies, Protocol):
    """The part of `Xfrm` that is used here."""

    @property
    def port(self) -> int: ...
    def add_sa(self, sa: Sa) -> None: ...
    def update_sa(self, sa: Sa) -> None: ...
    def read_sa(self, sa: SaId) -> SaReport | None: ...
    def delete_sa(self, sa: SaId) -> None: ...
    def take_sa(self, sa: SaId) -> SaReport | None: ...
    def migrate_sa(self, sa: Sa, to: Sa) -> None: ...
    def set_usage(self, sa: Sa, usage: Usage) -> None: ...
    def sas(self) -> tuple[SaReport, ...]: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """The state of a Child SA's two SAs; None where one is gone.

    `spent`: one has reached a soft limit.  `dropped`: one is gone that a network device worked for, as when that
    goes down.
    """

    spi_in: int
    inbound: SaReport | None
    outbound: SaReport | None
    spent: bool = False
    dropped: bool = False

    @property
    def sent(self) -> int:
        """Packets, by sequence numbers: the kernel counts a train of segments as one.  A device keeps its own."""
        return _sent(self.outbound) if self.outbound is not None else 0


class XfrmTunnel:
    """Commands: `bind`, `install`, `use_outbound`, `remove`, `mend`, `close`.

    Getters: `read`, `taken`, `deviations`.  All but `taken` block, and raise `OSError` where the kernel refuses.

    `migrates` tells whether it moves SAs itself; `if_id` is on all that is put into the tables; `port` is what
    those who hear of changes know us by.
    """

    def __init__(
        self, tables: Tables, if_id: int, limits: Limits, *, migrates: bool = True, no_whole: str = ""
    ) -> None:
        """`no_whole` is why no device may be given whole packets to send, "" where it may."""
        self.migrates = migrates
        self._no_whole = no_whole
        self.port = tables.port
        self._tables = tables
        self.if_id = if_id
        self._limits = limits
        self._outer: Outer | None = None
        self._pairs: dict[int, Pair] = {}
        self._senders: list[int] = []  # inbound SPIs of those to send on, best first
        self._policies = PolicyTable(tables, if_id)
        self._used_keys: set[bytes] = set()
        self._taken: dict[tuple[int, bool], Taken] = {}  # what devices do, by SPI and whether it is inbound
        self._offered: list[Policy] = []  # those under the number of trials
        self._reqid = 0

    def install(self, child: ChildSa, *, outbound: bool) -> None:
        """Add a Child SA, inbound first; with `outbound` send on it from now.

        A key is taken once only: a second SA under it would count from 1 again and repeat nonces.
        """
        if self._outer is None:
            raise OSError(errno.ENOTCONN, "no path is bound yet")
        fingerprint = hashlib.sha256(child.keys.encr_out.reveal()).digest()
        if fingerprint in self._used_keys:
            raise OSError(errno.EEXIST, "these keys were in use before")
        self._reqid += 1
        pair = pair_of(child, self._reqid, self.if_id, self._outer, self._limits)
        self._used_keys.add(fingerprint)
        added: list[Sa] = []
        try:
            inbound = self._add(child, pair.inbound, self._outer, added)
            self._pairs[child.spi_in] = Pair(
                child, inbound, self._add(child, pair.outbound, self._outer, added)
            )
            if outbound:
                self._senders.insert(0, child.spi_in)
            self._settle()
        except OSError:
            self._undo(child.spi_in, added)
            raise

    def _add(self, child: ChildSa, sa: Sa, outer: Outer, added: list[Sa]) -> Sa:
        """Add an SA, with as much of its work in the device as that takes; as it stands then.

        `added` gets what must be deleted where something fails later.
        """
        inbound = sa.output_mark is None  # nothing marks what comes in
        asked = self._wish(sa, outer, inbound=inbound)
        works, whys = asked.works, asked.whys
        while True:
            work = works[0]
            device = Device(outer.device, inbound, work) if work is not None else None
            try:
                stands = self._try(child, replace(sa, device=device), added)
            except XfrmRefused as error:
                works = left(works, error.errno or 0)
                if work is None or not works:
                    raise
                whys = (*whys, refused(work, error.strerror or str(error)))
                _log.info("SA %08x: %s", sa.spi, whys[-1])
            else:
                self._taken[sa.spi, inbound] = taken(work, stands.device, whys)
                return stands

    def _wish(self, sa: Sa, outer: Outer, *, inbound: bool) -> Wish:
        if not outer.device:
            return NOTHING
        used = sa.usage is not None
        return wish(inbound=inbound, encapsulated=outer.encapsulate, no_whole=self._no_whole, used=used)

    def _try(self, child: ChildSa, sa: Sa, added: list[Sa]) -> Sa:
        """Add an SA whose device takes what it is asked to, with all that this needs, or nothing."""
        self._tables.add_sa(sa)
        added.append(sa)
        if sa.device is None:
            return sa
        report = self._tables.read_sa(sa.id)
        stands = replace(sa, device=None if report is None else report.device)
        if is_whole(stands.device):
            try:
                self._offer(outbound_policies(child, stands, _TRIAL))
            except XfrmRefused:
                self._withdraw()  # what it would not give back at once
                self._tables.delete_sa(sa.id)
                added.pop()
                raise
        return stands

    def _offer(self, offered: Iterable[Policy]) -> None:
        """Whether the device takes these policies, before any packet can meet one; `XfrmRefused` if not."""
        try:
            for policy in offered:
                self._tables.put_policy(policy)
                self._offered.append(policy)
        finally:
            self._withdraw()

    def _withdraw(self) -> None:
        while self._offered:
            policy = self._offered[-1]
            self._tables.delete_policy(policy.flow, policy.direction, policy.if_id)
            self._offered.pop()

    def _undo(self, spi_in: int, added: list[Sa]) -> None:
        """The first error is the one to tell; what cannot be undone now, `close` tries again."""
        self._forget(spi_in)
        with suppress(OSError):
            self._settle()
        with suppress(OSError):
            self._withdraw()
        for sa in reversed(added):
            with suppress(OSError):
                self._tables.delete_sa(sa.id)

    def use_outbound(self, spi_in: int) -> None:
        """Send on this Child SA from now."""
        if spi_in not in self._pairs:
            raise OSError(errno.ENOENT, f"inbound SPI {spi_in:08x} is unknown")
        self._senders = [spi_in, *(other for other in self._senders if other != spi_in)]
        self._settle()

    def remove(self, spi_in: int) -> None:
        """Forget a Child SA; unknown ones are ignored."""
        pair = self._pairs.get(spi_in)
        if pair is not None:
            self._forget(spi_in)
            self._settle()
            self._tables.delete_sa(pair.outbound.id)
            self._tables.delete_sa(pair.inbound.id)

    def _forget(self, spi_in: int) -> None:
        pair = self._pairs.pop(spi_in, None)
        if pair is not None:
            self._taken.pop((spi_in, True), None)
            self._taken.pop((pair.outbound.spi, False), None)
        self._senders = [other for other in self._senders if other != spi_in]

    def read(self) -> tuple[Reading, ...]:
        """All Child SAs as the kernel has them.

        Where a device has dropped an SA with its policies, these stand in software again, and drop packets.
        """
        readings = tuple(self._read(pair) for pair in self._pairs.values())
        for reading in readings:
            pair = self._pairs[reading.spi_in]
            if reading.outbound is None and is_whole(pair.outbound.device):
                self._pairs[reading.spi_in] = replace(pair, outbound=replace(pair.outbound, device=None))
                self._settle()
        return readings

    def _read(self, pair: Pair) -> Reading:
        inbound, outbound = self._tables.read_sa(pair.inbound.id), self._tables.read_sa(pair.outbound.id)
        spent = _is_spent(pair.inbound, inbound) or _is_spent(pair.outbound, outbound)
        gone = [sa for sa, there in ((pair.inbound, inbound), (pair.outbound, outbound)) if there is None]
        dropped = any(sa.device is not None for sa in gone)
        return Reading(pair.child.spi_in, inbound, outbound, spent, dropped)

    def close(self) -> None:
        """Leave nothing of this tunnel in the tables, and give them back."""
        self._pairs, self._senders = {}, []
        self._policies.forget()
        try:
            sweep(self._tables, (self.if_id, _TRIAL))
        finally:
            self._tables.close()

    # Moves

    def bind(self, outer: Outer) -> tuple[int, ...]:
        """Carry everything between these ends from now.

        The inbound SPIs of Child SAs whose sequence numbers nobody could tell: they carry nothing any more.
        """
        if outer == self._outer:
            return ()
        lost: list[int] = []
        if self._pairs:
            self._settle(closed=True)
        for spi_in, pair in self._pairs.items():
            moved = pair.moved(outer)
            inbound = self._carry(pair.child, pair.inbound, moved.inbound, outer)
            outbound = self._carry(pair.child, pair.outbound, moved.outbound, outer)
            self._pairs[spi_in] = replace(
                moved, inbound=inbound or moved.inbound, outbound=outbound or moved.outbound
            )
            if inbound is None or outbound is None:
                lost.append(spi_in)
        self._outer = outer
        self._settle()
        return tuple(lost)

    def _carry(self, child: ChildSa, old: Sa, new: Sa, outer: Outer) -> Sa | None:
        """Move one SA with its sequence numbers, window and counters; as it stands then.

        None: nobody could tell its numbers, and it is gone.  Those of an SA whose packets a device makes it keeps.
        """
        here = old.device is None or old.device.index == outer.device
        if here and replace(old, device=None) == new:
            return old
        if is_whole(old.device):
            self._tables.delete_sa(old.id)
            return None
        if _differ_in_ports_only(old, new):
            self._tables.update_sa(new)
            return new
        if not outer.device and self._migrate(old, new):
            return new
        return self._carry_by_hand(child, old, new, outer)

    def _migrate(self, old: Sa, new: Sa) -> bool:
        """Have the kernel do it.

        It can neither begin nor end UDP encapsulation, nor change the device; older ones forget the counters.
        """
        if not self.migrates or not _are_alike(old, new):
            return False
        before = self._tables.read_sa(old.id)
        try:
            self._tables.migrate_sa(old, new)
        except XfrmRefused as error:
            self.migrates = error.errno not in (errno.ENOPROTOOPT, errno.EOPNOTSUPP)
            _log.info("the kernel does not migrate SA %08x: %s", old.spi, error.strerror)
            return False
        if before is not None:
            self._tables.set_usage(new, before.usage)
        return True

    def _carry_by_hand(self, child: ChildSa, old: Sa, new: Sa, outer: Outer) -> Sa | None:
        _log.debug("SA %08x is carried by hand", old.spi)
        try:
            last = self._tables.take_sa(old.id)
        except XfrmRefused as error:
            if error.errno != errno.ESRCH:
                raise
            last = None
        if last is None or last.replay is None:
            return None
        stands = self._add(child, replace(new, replay=last.replay, usage=last.usage), outer, [])
        return replace(new, device=stands.device)

    # Policies

    def _settle(self, *, closed: bool = False) -> None:
        """Make the policies what they should be."""
        senders = [self._pairs[spi_in] for spi_in in self._senders]
        self._policies.settle(policies(tuple(self._pairs.values()), senders, self.if_id, closed=closed))

    def mend(self) -> tuple[PutPolicy | DropPolicy, ...]:
        """Put back the policies that another program has changed; what that was."""
        return self._policies.mend()

    @property
    def taken(self) -> tuple[Taken, Taken] | None:
        """What devices do of what is sent and of what is received; None where nobody asks them."""
        pair = self._pairs.get(self._senders[0]) if self._senders else None
        if pair is None or self._outer is None or not self._outer.device:
            return None
        nothing = Taken()
        spi_out, spi_in = pair.outbound.spi, pair.child.spi_in
        return self._taken.get((spi_out, False), nothing), self._taken.get((spi_in, True), nothing)

    def deviations(self) -> tuple[Deviation, ...]:
        """Policies that are not as they should be."""
        return self._policies.deviations()


def sweep(tables: Tables, if_ids: Container[int] = IF_IDS) -> tuple[str, ...]:
    """Remove all policies and SAs that bear one of these numbers, whoever made them; what they were, in words.

    Policies go first: without one a packet of an xfrm interface is dropped, and never sent in clear.
    """
    swept: list[str] = []
    for policy in _ours(tables.policies(), if_ids):
        tables.delete_policy(policy.flow, Direction(policy.direction), policy.if_id)
        swept.append(f"policy {policy.flow.source} → {policy.flow.destination}")
    for sa in tables.sas():
        if sa.if_id in if_ids:
            tables.delete_sa(sa.id)
            swept.append(f"SA {sa.source} → {sa.destination} {sa.spi:08x}")
    return tuple(swept)


def _ours(reports: Iterable[PolicyReport], if_ids: Container[int]) -> list[PolicyReport]:
    outbound_first = sorted(reports, key=lambda report: report.direction != Direction.OUT)
    return [report for report in outbound_first if report.if_id in if_ids]


def _is_spent(sa: Sa, report: SaReport | None) -> bool:
    if report is None:
        return False
    limits, usage = sa.limits, report.usage
    low = not sa.esn and _sent(report) >= SOFT_SEQUENCE
    return low or usage.packets >= limits.soft_packets or usage.octets >= limits.soft_octets


def _sent(report: SaReport) -> int:
    if is_whole(report.device) or report.replay is None:
        return report.usage.packets
    return report.replay.sent


def _differ_in_ports_only(old: Sa, new: Sa) -> bool:
    both_encapsulated = old.encapsulation is not None and new.encapsulation is not None
    return both_encapsulated and (old.source, old.destination) == (new.source, new.destination)


def _are_alike(old: Sa, new: Sa) -> bool:
    same_family = old.source.version == new.source.version
    same_form = (old.encapsulation is None) == (new.encapsulation is None)
    return same_family and same_form and old.device is None and new.device is None
