"""Reassembly of fragmented messages (RFC 7383 section 2.6).

Only authentic fragments come here, so nobody else can fill the table; against a broken peer it is bounded all
the same.  Our window is 1 in both directions (RFC 7296 section 2.3), so that it is enough to collect the
newest message of a direction: that bounds the memory without a timer.
"""

from __future__ import annotations

from .message import Decoded, Fragment, ProtectedError, decode_assembled

MAX_FRAGMENTS = 64
MAX_SIZE = 65536  # octets of plaintext of one message


class Reassembly:
    """The message being collected of one direction of one IKE SA; the one command is `add`."""

    __slots__ = ("_done", "_message_id", "_parts", "_size", "_total")

    def __init__(self) -> None:
        self._start(message_id=-1, total=0)

    def add(self, fragment: Fragment) -> Decoded | ProtectedError | None:
        """Take an authentic fragment; the message when it was the last one missing, else None.

        What does not help is forgotten: a duplicate, a fragment of an older message, of one that is whole
        already, of one beyond our bounds, and a total smaller than the one known.
        """
        if not self._admit(fragment):
            return None
        self._parts[fragment.number] = fragment
        self._size += len(fragment.plaintext)
        if self._size > MAX_SIZE:
            self._finish()
            return None
        if len(self._parts) < self._total:
            return None
        return self._assemble()

    def _admit(self, fragment: Fragment) -> bool:
        """Whether it helps; begins anew where it is of a newer message, or the peer has cut it finer since."""
        message_id = fragment.header.message_id
        if fragment.total > MAX_FRAGMENTS or message_id < self._message_id:
            return False
        if message_id > self._message_id:
            self._start(message_id, fragment.total)
        elif self._done or fragment.total < self._total:
            return False
        elif fragment.total > self._total:
            self._start(message_id, fragment.total)
        return fragment.number not in self._parts

    def _assemble(self) -> Decoded | ProtectedError:
        """Only fragment 1 names the first payload, and its header stands for the message's (section 2.6)."""
        parts = [self._parts[number] for number in range(1, self._total + 1)]
        self._finish()
        plaintext = b"".join(part.plaintext for part in parts)
        return decode_assembled(parts[0].header, parts[0].first_payload, plaintext)

    def _start(self, message_id: int, total: int) -> None:
        self._message_id = message_id
        self._total = total
        self._parts: dict[int, Fragment] = {}
        self._size = 0
        self._done = False

    def _finish(self) -> None:
        """Nothing of this message is taken any more: it was whole, or exceeded our bounds."""
        self._parts = {}
        self._done = True
