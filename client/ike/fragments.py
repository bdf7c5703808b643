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

    __slots__ = ("_collected", "_parts", "_size")

    def __init__(self) -> None:
        self._start((-1, 0))

    def add(self, fragment: Fragment) -> Decoded | ProtectedError | None:
        """Take an authentic fragment; the message when it was the last one missing, else None.

        What does not help is forgotten: a duplicate, a fragment of an older message, of one beyond our bounds,
        and a total smaller than the one known.  A message that is sent again is put together again: whether it
        was dealt with is known to the window alone.
        """
        if not self._admit(fragment):
            return None
        self._parts[fragment.number] = fragment
        self._size += len(fragment.plaintext)
        if self._size > MAX_SIZE:
            self._start(self._collected)
            return None
        if len(self._parts) < fragment.total:
            return None
        return self._assemble()

    def _admit(self, fragment: Fragment) -> bool:
        """Whether it helps; begins anew where it is of a newer message, or the peer has cut it finer since."""
        if fragment.total > MAX_FRAGMENTS:
            return False
        collected = (fragment.header.message_id, fragment.total)
        if collected > self._collected:
            self._start(collected)
        return collected == self._collected and fragment.number not in self._parts

    def _assemble(self) -> Decoded | ProtectedError:
        """Only fragment 1 names the first payload, and its header stands for the message's (section 2.6)."""
        parts = [self._parts[number] for number in sorted(self._parts)]
        self._start(self._collected)
        plaintext = b"".join(part.plaintext for part in parts)
        return decode_assembled(parts[0].header, parts[0].first_payload, plaintext)

    def _start(self, collected: tuple[int, int]) -> None:
        """Collect anew, a message with this ID in this many fragments."""
        self._collected = collected
        self._parts: dict[int, Fragment] = {}
        self._size = 0
