"""The anti-replay window of one inbound SA (RFC 4303 section 3.4.3 and appendix A).

`infer` comes before the integrity check and changes nothing; `accept` comes after it.  So a forged sequence
number can never move the window.
"""

from __future__ import annotations

from .rejected import EspRejected, Reason

_EPOCH = 1 << 32
_LAST = (1 << 64) - 1


class ReplayWindow:
    """Remembers which of the last `size` sequence numbers have come in.

    Packets mostly come in order: those are only counted in `_run`, and folded into the bitmap when somebody
    needs it.  Bit n of `_seen` stands for the number `_edge - _run - n`.
    """

    __slots__ = ("_edge", "_esn", "_mask", "_run", "_seen", "size")

    def __init__(self, size: int = 1024, *, esn: bool) -> None:
        self.size = size
        self._esn = esn
        self._edge = 0  # greatest number accepted so far, 64 bits wide with ESN
        self._run = 0  # so many numbers up to and including `_edge` are not in `_seen` yet, all of them seen
        self._seen = 0
        self._mask = (1 << size) - 1

    @property
    def edge(self) -> int:
        """The greatest sequence number accepted so far."""
        return self._edge

    def infer(self, low: int) -> int:
        """The whole number of a packet that carries `low`; `EspRejected` where that may not come in."""
        sequence = self._extend(low) if self._esn else low
        if sequence <= self._edge and self._is_spent(sequence):
            raise EspRejected(Reason.REPLAYED)
        return sequence

    def accept(self, sequence: int) -> None:
        """Mark the number of an authentic packet as seen, moving the window where it is ahead."""
        if sequence == self._edge + 1:
            self._edge = sequence
            self._run += 1
            return
        self._fold()
        ahead = sequence - self._edge
        if ahead > 0:
            self._shift(ahead)
            self._edge = sequence
            self._seen |= 1
        else:
            self._seen |= 1 << -ahead

    def _extend(self, low: int) -> int:
        """Appendix A2: the smallest number not below the window's bottom that ends in these 32 bits."""
        bottom = max(self._edge - self.size + 1, 0)
        sequence = bottom - bottom % _EPOCH + low
        if sequence < bottom:
            sequence += _EPOCH
        if sequence > _LAST:
            raise EspRejected(Reason.REPLAYED)  # it would have wrapped
        return sequence

    def _is_spent(self, sequence: int) -> bool:
        behind = self._edge - sequence
        if sequence == 0 or behind >= self.size:  # zero is never sent (section 2.2)
            return True
        self._fold()
        return bool(self._seen >> behind & 1)

    def _fold(self) -> None:
        run, self._run = self._run, 0
        if run:
            self._shift(run)
            self._seen |= (1 << min(run, self.size)) - 1

    def _shift(self, count: int) -> None:
        self._seen = self._seen << count & self._mask if count < self.size else 0
