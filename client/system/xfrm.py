"""The kernel's IPsec tables: verbs that ask it and wait for its answer, and what it tells by itself.

A request is carried out while it is sent, so an answer is there at once; what takes time is the kernel's loading a
module for an algorithm that it meets for the first time.  So this blocks, and does not belong into an event loop.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager, suppress
from ipaddress import IPv4Network
from types import TracebackType
from typing import Self

from . import xfrm_layout as layout
from . import xfrm_messages as messages
from .xfrm_layout import Group
from .xfrm_messages import Request
from .xfrm_model import (
    Direction,
    Flow,
    Move,
    PoliciesTouched,
    Policy,
    PolicyReport,
    Report,
    Sa,
    SaDeleted,
    SaId,
    SaReport,
    Template,
    Usage,
)
from .xfrm_reports import attributes_of, decode

_NETLINK_XFRM = 6
_SOL_NETLINK, _ADD_MEMBERSHIP, _CAP_ACK, _EXT_ACK = 270, 1, 10, 11
_ERROR, _DONE = 2, 3  # message types of netlink itself
_HAS_ATTRIBUTES = 0x200  # flag of an error; they stand behind the number and the header of the request
_ERROR_TEXT = 1
_PATIENCE = 10.0  # seconds; loading a module takes a part of one
_LARGEST = 1 << 17
_FIRST_SPI, _LAST_SPI = 0x100, 0xFFFFFFFF  # lower ones are reserved (RFC 4303 section 2.1)
_GONE = frozenset({errno.ESRCH, errno.ENOENT})
_FORBIDDEN = frozenset({errno.EPERM, errno.EACCES})
_NO_MIGRATION = frozenset({errno.ENOPROTOOPT, errno.EOPNOTSUPP})


class XfrmRefused(OSError):
    """The kernel has refused a request; the text is its own where it gives one."""


class Xfrm:
    """The tables of the namespace in which it was opened.

    Every verb raises `XfrmRefused` where the kernel refuses it, but what is to be gone may be gone already.
    """

    def __init__(self) -> None:
        """`OSError` where the kernel has no XFRM, or we may not change it."""
        self._socket = _open(())
        self._socket.settimeout(_PATIENCE)
        self._serial = 0
        self.port: int = self._socket.getsockname()[0]
        """What those who hear of our changes are told of us."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the socket back; what was put into the tables stays."""
        self._socket.close()

    # SAs

    def add_sa(self, sa: Sa) -> None:
        """Add an SA; where its SPI is only reserved, it takes that place."""
        try:
            self._perform(messages.new_sa(sa))
        except XfrmRefused as error:
            if error.errno != errno.EEXIST or not self._is_larval(sa):
                raise
            self.update_sa(sa)

    def update_sa(self, sa: Sa) -> None:
        """Give a larval SA its keys, or another SA other limits and, with UDP encapsulation, ports."""
        self._perform(messages.update_sa(sa))

    def _is_larval(self, sa: Sa) -> bool:
        present = self.read_sa(sa.id)
        return present is not None and present.larval

    def read_sa(self, sa: SaId) -> SaReport | None:
        """An SA's state; None where it does not exist."""
        try:
            reports = self._ask(messages.get_sa(sa))
        except XfrmRefused as error:
            if error.errno in _GONE:
                return None
            raise
        return next((report for report in reports if isinstance(report, SaReport)), None)

    def delete_sa(self, sa: SaId) -> None:
        """Remove an SA."""
        with _already_gone():
            self._perform(messages.delete_sa(sa))

    def take_sa(self, sa: SaId) -> SaReport | None:
        """Remove an SA; its very last state, which nothing can have changed any more, None where nobody said it.

        What is read before the removal may be old by a packet; the report of the removal is made behind the last.
        """
        with closing(_open((Group.SA,))) as listener:
            self._perform(messages.delete_sa(sa))
            listener.setblocking(False)
            with suppress(OSError):  # an overrun: other programs' SAs come and go in great numbers
                for report in _told(listener):
                    if isinstance(report, SaDeleted) and _is_of(report.last, sa):
                        return report.last
        return None

    def migrate_sa(self, sa: Sa, to: Sa) -> None:
        """Move an SA to the outer addresses and ports of `to`, in the kernel, which keeps its sequence numbers.

        The kernel moves the SAs that a policy asks for, with that policy.  So the SA is lent one that no packet
        meets: its flow has the address 0.0.0.0 at both ends.
        """
        move = Move(sa.source, sa.destination, to.source, to.destination, sa.reqid)
        lent = Policy(
            _NOBODY, Direction.OUT, sa.if_id, 0, Template(sa.source, sa.destination, reqid=sa.reqid)
        )
        self._perform(messages.put_policy(lent))
        try:
            self._perform(messages.migrate(_NOBODY, Direction.OUT, sa.if_id, move, to.encapsulation))
        finally:
            self.delete_policy(_NOBODY, Direction.OUT, sa.if_id)

    def can_migrate(self) -> bool:
        """Whether this kernel moves SAs (CONFIG_XFRM_MIGRATE): it is asked to move one that does not exist."""
        move = Move(*(4 * (_NOBODY.source.network_address,)), reqid=0)
        try:
            self._perform(messages.migrate(_NOBODY, Direction.OUT, 0, move, None))
        except XfrmRefused as error:
            if error.errno in _FORBIDDEN:
                raise
            return error.errno not in _NO_MIGRATION
        return True

    def set_usage(self, sa: Sa, usage: Usage) -> None:
        """Let an SA count on from here."""
        self._perform(messages.set_usage(sa, usage))

    def allocate_spi(self, sa: SaId, reqid: int, if_id: int) -> int:
        """Reserve this SPI, or any if it is 0, for an SA to come; some minutes later the kernel frees it again."""
        first, last = (sa.spi, sa.spi) if sa.spi else (_FIRST_SPI, _LAST_SPI)
        source = sa.source if sa.source is not None else sa.destination
        request = messages.allocate_spi(source, sa.destination, reqid, first, last, if_id)
        for report in self._ask(request):
            if isinstance(report, SaReport):
                return report.spi
        raise XfrmRefused(errno.EPROTO, "the kernel reserved no SPI")

    def sas(self) -> tuple[SaReport, ...]:
        """All SAs of the namespace, whoever made them."""
        return tuple(report for report in self._ask(messages.dump_sas()) if isinstance(report, SaReport))

    # Policies

    def put_policy(self, policy: Policy) -> None:
        """Add a policy, or replace the one of the same flow, direction and interface in one step."""
        self._perform(messages.put_policy(policy))

    def delete_policy(self, flow: Flow, direction: Direction, if_id: int) -> None:
        """Remove a policy."""
        with _already_gone():
            self._perform(messages.delete_policy(flow, direction, if_id))

    def policies(self) -> tuple[PolicyReport, ...]:
        """All policies of the namespace, whoever made them."""
        reports = self._ask(messages.dump_policies())
        return tuple(report for report in reports if isinstance(report, PolicyReport))

    # Netlink

    def _perform(self, request: Request) -> None:
        """Send a request that is only acknowledged."""
        self._ask(request)

    def _ask(self, request: Request) -> list[Report]:
        """Send a request and collect its answers."""
        self._serial = self._serial % 0xFFFFFFFF + 1  # never 0: that is what the kernel says by itself
        self._socket.send(request.packed(self._serial, self.port))
        answers: list[Report] = []
        while True:
            for kind, flags, serial, _, body in _split(self._socket.recv(_LARGEST)):
                if serial != self._serial:
                    continue  # of a request that was given up
                if kind == _ERROR:
                    _raise_refusal(flags, body)
                    return answers
                if kind == _DONE:
                    return answers
                answers += [report] if (report := decode(kind, body)) is not None else []
                if request.answered:
                    return answers


class Monitor:
    """What the kernel tells by itself, of the groups joined; a socket that does not block."""

    def __init__(self, groups: Collection[Group]) -> None:
        self._socket = _open(groups)
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """The descriptor that becomes readable."""
        return self._socket.fileno()

    def receive(self) -> Iterator[Report]:
        """What waits; `OSError` (ENOBUFS) where something was lost, after which more may come."""
        return _told(self._socket)

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()


_NOBODY = Flow(IPv4Network("0.0.0.0/32"), IPv4Network("0.0.0.0/32"))


def _open(groups: Collection[Group]) -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    opened = socket.socket(socket.AF_NETLINK, kind, _NETLINK_XFRM)
    try:
        for option in (_CAP_ACK, _EXT_ACK):
            opened.setsockopt(_SOL_NETLINK, option, 1)
        opened.bind((0, 0))
        for group in groups:
            opened.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, group)
    except OSError:
        opened.close()
        raise
    return opened


def _told(listener: socket.socket) -> Iterator[Report]:
    while True:
        try:
            data = listener.recv(_LARGEST)
        except BlockingIOError:
            return
        for kind, _, _, sender, body in _split(data):
            report = decode(kind, body, sender)
            if isinstance(report, PolicyReport):
                yield PoliciesTouched(report.if_id, sender)
            elif report is not None:
                yield report


def _split(data: bytes) -> Iterator[tuple[int, int, int, int, bytes]]:
    """Type, flags, serial number, port and body of each message."""
    at = 0
    while at + layout.HEADER.size <= len(data):
        size, kind, flags, serial, port = layout.HEADER.unpack_from(data, at)
        if size < layout.HEADER.size:
            return
        yield kind, flags, serial, port, data[at + layout.HEADER.size : at + size]
        at += (size + 3) & ~3


def _raise_refusal(flags: int, body: bytes) -> None:
    number = -struct.unpack_from("=i", body)[0]
    if number:
        raise XfrmRefused(number, _text(flags, body) or os.strerror(number))


def _text(flags: int, body: bytes) -> str:
    if not flags & _HAS_ATTRIBUTES:
        return ""
    text = attributes_of(body, 4 + layout.HEADER.size).get(_ERROR_TEXT, b"")
    return text.rstrip(b"\0").decode(errors="replace")


@contextmanager
def _already_gone() -> Iterator[None]:
    try:
        yield
    except XfrmRefused as error:
        if error.errno not in _GONE:
            raise


def _is_of(report: SaReport, sa: SaId) -> bool:
    return (report.destination, report.spi) == (sa.destination, sa.spi)
