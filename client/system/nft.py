"""The guard's packet filter in the kernel: nftables over netlink, without the `nft` program.

Theory of operation.  The table is replaced as a whole, in one transaction: the kernel carries all of it out or
none, and each packet sees the old rules or the new ones.  It belongs to nobody's process: it stays when the daemon
is killed.  Whether it still is what we made is known by the generation that every transaction in the namespace
raises; where that has moved, by the handles of the tables and, within each, of the rules, which are never given
twice.  Our sets are constant.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from ..tunnel.ruleset import RuleSet
from . import nft_codec as codec
from .nft_wire import HEADER, NETLINK_NETFILTER, attributes_of

_log = logging.getLogger(__name__)

_SOL_NETLINK, _CAP_ACK = 270, 10
_ERROR, _DONE = 2, 3  # message types of netlink itself
_INTERRUPTED = 0x10  # flag: the list changed while it was read
_PATIENCE = 10.0  # seconds; loading modules takes a part of one
_LARGEST = 1 << 17
_SMALL = 1 << 17  # octets that a socket takes without asking for more room
_SO_SNDBUFFORCE = 32  # Linux; not among Python's constants
_ROOM = 1 << 20  # octets of a transaction: thousands of prefixes
_NETFILTER_HEADER = 4  # octets of nfgenmsg
_LISTINGS = 5  # tries to list what others change meanwhile

_LACKING = frozenset({errno.EOPNOTSUPP, errno.EPROTONOSUPPORT, errno.EAFNOSUPPORT, errno.ENOENT})
"""No nftables in this kernel, no `inet` family, or not the expressions that we use."""

_LEVELS: tuple[tuple[tuple[int, ...], Callable[[RuleSet], RuleSet]], ...] = (
    ((codec.INET, codec.ARP), lambda rules: rules),
    ((codec.INET,), RuleSet.without_arp),
    ((codec.INET,), lambda rules: rules.without_arp().without_optional()),
)
"""What a kernel is asked for, from all that we want to the least that is worth it."""

UNKNOWN = RuleSet(())
"""Stands for a table of ours with other rules in it than we have put there."""


@dataclass(frozen=True, slots=True)
class Table:
    """What tells one state of our tables from another.

    For each family, the table's handle and flags (dormant!), if there is one; and of each rule family, chain and
    handle.
    """

    heads: tuple[bytes | None, ...]
    rules: tuple[tuple[int, bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class _Known:
    """What we have put there last, and the generation since; the tables are looked at when there is time for it."""

    rules: RuleSet
    generation: int
    table: Table | None = None


class Tables(Protocol):
    """The kernel's tables, or a stand-in for them; `OSError` where it refuses something."""

    @property
    def port(self) -> int:
        """By what the kernel names us when it tells who changed something."""

    def commit(self, transaction: list[bytes]) -> None:
        """Carry all out, or nothing."""

    def generation(self) -> int:
        """The number that every transaction raises."""

    def table(self) -> Table | None:
        """What can be told of our tables."""

    def close(self) -> None:
        """Nothing more is asked."""


class Nftables:
    """The tables `inet roam` and `arp roam` of the calling thread's namespace; blocking, for one thread at a time.

    Getters: `problem`, `ports`.  Verbs: `read`, `replace`, `remove`, `close`; `OSError` where one fails.
    """

    def __init__(self, open_tables: Callable[[], Tables] | None = None) -> None:
        self._open = open_tables if open_tables is not None else Conversation
        self.problem = ""
        """Why this kernel does not filter for us: the guard is made by routing only.  Empty where it does."""
        self._known: _Known | None = None
        self._wanted: RuleSet | None = None
        self._level = 0  # of _LEVELS
        self._conversation: Tables | None = None
        self.ports: set[int] = set()
        """Of all our conversations: what these did, we did."""

    def close(self) -> None:
        """Give the socket back, until it is needed again; the table stays."""
        if self._conversation is not None:
            self._conversation.close()
            self._conversation = None

    @contextmanager
    def _kernel(self) -> Iterator[Tables]:
        """One socket for all requests: the kernel takes several milliseconds to close one after a transaction."""
        if self._conversation is None:
            self._conversation = self._open()
            self.ports.add(self._conversation.port)
        try:
            yield self._conversation
        except TimeoutError:
            self.close()  # late answers would be taken for others
            raise

    def read(self) -> RuleSet | None:
        """What stands there: the rules that we have put there last, `UNKNOWN` for others, None for no table.

        Where the kernel does not filter, what it was asked for: asking again would not change it.
        """
        if self.problem:
            return self._wanted
        try:
            with self._kernel() as kernel:
                return self._read(kernel)
        except OSError as error:
            if error.errno not in _LACKING:
                _log.warning("the packet filter cannot be read: %s", error.strerror or error)
                return UNKNOWN
            self._note_lack(error)
            return None

    def _read(self, kernel: Tables) -> RuleSet | None:
        known, generation = self._known, kernel.generation()
        if known is not None and (known.generation, known.table is None) == (generation, False):
            return known.rules
        table = kernel.table()
        if table is None:
            return None
        is_other = known is not None and (known.generation != generation and known.table != table)
        if known is None or is_other or kernel.generation() != generation:  # the last: while we looked
            return UNKNOWN
        self._known = _Known(known.rules, generation, table)
        return known.rules

    def replace(self, rules: RuleSet) -> None:
        """Put these there, in place of whatever stands there now; where the kernel cannot, `problem` says why."""
        before, self._wanted = (self._known, self._wanted), rules
        if self.problem:
            return
        self._known = None
        try:
            with self._kernel() as kernel:
                self._put(kernel, rules)
                self._known = _Known(rules, kernel.generation())
        except OSError as error:
            if not isinstance(error, TimeoutError) and error.errno not in _LACKING:
                self._known, self._wanted = before  # a transaction that is refused has changed nothing
            self._note_lack(error)

    def _put(self, kernel: Tables, rules: RuleSet) -> None:
        """A kernel that cannot express all of it is asked for less, and from then on for no more."""
        for level in range(self._level, len(_LEVELS)):
            families, reduced = _LEVELS[level]
            try:
                kernel.commit(codec.replacement(reduced(rules), families))
            except OSError as error:
                if error.errno not in _LACKING or level == len(_LEVELS) - 1:
                    raise
            else:
                self._level = level
                return

    def remove(self) -> None:
        """Let there be no table."""
        self._known = self._wanted = None
        if self.problem:
            return
        with self._kernel() as kernel:
            for family in (codec.INET, codec.ARP):
                try:
                    kernel.commit(codec.replacement(None, (family,)))
                except OSError as error:
                    if family == codec.INET or error.errno not in _LACKING:
                        raise

    def _note_lack(self, error: OSError) -> None:
        """Remember that the kernel cannot; another error is none of that."""
        if error.errno not in _LACKING:
            raise error
        self.problem = f"the kernel refuses our nftables rules: {error.strerror or error}"
        _log.warning("the guard is made by routing only: %s", self.problem)


class Conversation:
    """`Tables` of the kernel.  Requests are carried out while they are sent, so answers are there at once."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        self._serial = 0
        try:
            self._socket.settimeout(_PATIENCE)
            self._socket.setsockopt(_SOL_NETLINK, _CAP_ACK, 1)
            self._socket.bind((0, 0))
        except OSError:
            self._socket.close()
            raise

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[0])

    def close(self) -> None:
        self._socket.close()

    def commit(self, transaction: list[bytes]) -> None:
        """Have it carried out; `OSError` with the first reason where it is not."""
        begin = self._serial + 1
        octets = b"".join(map(self._numbered, transaction))
        asking = self._serial - 1  # the message before the end
        self._make_room(len(octets))
        self._socket.sendto(octets, (0, 0))
        for kind, serial, body, _ in self._messages():
            if kind != _ERROR or serial < begin:  # what is left of a transaction that failed
                continue
            _refuse(body)
            if serial == asking:
                return

    def generation(self) -> int:
        """Of all rules of the namespace."""
        answer = attributes_of(self._ask(codec.generation_request()))
        return int.from_bytes(answer.get(codec.GENERATION_ID, b""))

    def table(self) -> Table | None:
        """What can be told of ours; None where there is none."""
        heads = self._head(codec.INET), self._head(codec.ARP)
        if heads == (None, None):
            return None
        for _ in range(_LISTINGS):
            if (rules := self._rules()) is not None:
                return Table(heads, rules)
        raise OSError(errno.EBUSY, "the rules change faster than they can be listed")

    def listing(self, request: bytes) -> list[tuple[int, dict[int, bytes]]]:
        """Family and attributes of each thing that a request lists; what changes meanwhile may be missing."""
        serial = self._send(request)
        found: list[tuple[int, dict[int, bytes]]] = []
        for kind, answered, body, _ in self._messages():
            if answered != serial:
                continue
            if kind == _DONE:
                break
            if kind == _ERROR:
                _refuse(body)
            found.append((body[0], attributes_of(body[_NETFILTER_HEADER:])))
        return found

    def _head(self, family: int) -> bytes | None:
        try:
            told = attributes_of(self._ask(codec.table_request(family)))
        except OSError as error:
            if error.errno not in _LACKING:
                raise
            return None
        return told.get(codec.TABLE_HANDLE, b"") + told.get(codec.TABLE_FLAGS, b"")

    def _rules(self) -> tuple[tuple[int, bytes, bytes], ...] | None:
        """Family, chain and handle of each; None where somebody changed them meanwhile."""
        serial = self._send(codec.rules_request())
        rules: list[tuple[int, bytes, bytes]] = []
        is_whole = True
        for kind, answered, body, flags in self._messages():
            if answered != serial:
                continue
            is_whole = is_whole and not flags & _INTERRUPTED
            if kind == _DONE:
                break
            if kind == _ERROR:
                _refuse(body)
            rule = attributes_of(body[_NETFILTER_HEADER:])
            rules.append((body[0], rule.get(codec.RULE_CHAIN, b""), rule.get(codec.RULE_HANDLE, b"")))
        return tuple(rules) if is_whole else None

    def _ask(self, request: bytes) -> bytes:
        """The attributes of the one answer."""
        serial = self._send(request)
        for kind, answered, body, _ in self._messages():
            if answered == serial:
                if kind == _ERROR:
                    _refuse(body)
                return body[_NETFILTER_HEADER:]
        raise AssertionError("messages come until the socket fails")

    def _send(self, request: bytes) -> int:
        self._socket.sendto(self._numbered(request), (0, 0))
        return self._serial

    def _numbered(self, message: bytes) -> bytes:
        self._serial += 1
        size, kind, flags, _, _ = HEADER.unpack_from(message)
        return HEADER.pack(size, kind, flags, self._serial, 0) + message[HEADER.size :]

    def _make_room(self, size: int) -> None:
        if size > _SMALL:
            self._socket.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _ROOM)

    def _messages(self) -> Iterator[tuple[int, int, bytes, int]]:
        """Type, serial number, body and flags of what the kernel says, for ever."""
        while True:
            datagram = self._socket.recv(_LARGEST)
            while len(datagram) >= HEADER.size:
                size, kind, flags, serial, _ = HEADER.unpack_from(datagram)
                yield kind, serial, datagram[HEADER.size : size], flags
                datagram = datagram[max((size + 3) & ~3, HEADER.size) :]


def _refuse(body: bytes) -> None:
    """`OSError` for an error that is one; 0 is an answer too."""
    code = -int.from_bytes(body[:4], sys.byteorder, signed=True)
    if code:
        raise OSError(code, os.strerror(code))
