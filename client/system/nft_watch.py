"""Hears when another program changes the guard's tables: it may have opened them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection

from .nft_codec import TABLE, Kind
from .nft_wire import HEADER, NETLINK_NETFILTER, SUBSYSTEM, attributes_of

CALM = 60.0
"""Seconds without a word after which the next one is heeded at once again."""
LONGEST_PAUSE = 5.0

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP = 7  # NFNLGRP_NFTABLES
_LARGEST = 1 << 16
_NETFILTER_HEADER = 4
_OF_TABLE = 1  # the attribute that names the table is the first of every kind
_NAME = TABLE.encode() + b"\0"


class FilterWatch:
    """A socket that becomes readable when somebody changes packet filters.

    Getter: `fileno`.  Commands: `was_touched`, `close`.
    """

    def __init__(self, is_ours: Callable[[], Collection[int]]) -> None:
        """`is_ours` names the ports of our own conversations.  `OSError` where the kernel tells nothing."""
        self._ours = is_ours
        self.touched_by: set[int] = set()
        """Ports of whoever changed our tables; whoever reads them empties it."""
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER
        )
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP)
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """For an event loop."""
        return self._socket.fileno()

    def was_touched(self) -> bool:
        """Take what has been told; whether it says that somebody else changed a table of ours, or is not all."""
        touched = False
        while True:
            try:
                datagram = self._socket.recv(_LARGEST)
            except BlockingIOError:
                return touched
            except OSError:  # more was told than the socket holds
                touched = True
            else:
                touched = touched or self._is_about_us(datagram)

    def close(self) -> None:
        """Hear nothing more."""
        self._socket.close()

    def _is_about_us(self, datagram: bytes) -> bool:
        ours = self._ours()
        while len(datagram) >= HEADER.size:
            size, kind, _, _, port = HEADER.unpack_from(datagram)
            is_table = kind >> 8 == SUBSYSTEM and kind & 0xFF != Kind.NEWGEN
            if is_table and port not in ours:
                told = attributes_of(datagram[HEADER.size + _NETFILTER_HEADER : size])
                if told.get(_OF_TABLE) == _NAME:
                    self.touched_by.add(port)
                    return True
            datagram = datagram[max((size + 3) & ~3, HEADER.size) :]
        return False


async def heed(watch: FilterWatch, touched: Callable[[], None]) -> None:
    """Call `touched` whenever another program has changed our filter, until cancelled.

    At once the first time, and then with growing pauses: the other one may be as stubborn as we are.
    """
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(watch, heard.set)
    pause = 0.0
    try:
        while True:
            try:
                async with asyncio.timeout(CALM if pause else None):
                    await heard.wait()
            except TimeoutError:
                pause = 0.0
                continue
            heard.clear()
            if watch.was_touched():
                touched()
                await asyncio.sleep(pause)
                pause = min(2 * pause + 0.1, LONGEST_PAUSE)
    finally:
        loop.remove_reader(watch)
