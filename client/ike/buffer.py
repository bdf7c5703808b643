"""Bounds-checked reading and writing of network-order octets.

A `Reader` over hostile octets can raise `InvalidSyntax` and nothing else; a block must be consumed to its
last octet (`finish`), so that trailing garbage is found by structure and not by care.
"""

from __future__ import annotations

from .errors import InvalidSyntax


class Reader:
    """A cursor over octets received from the network."""

    __slots__ = ("_data", "_end", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self._end = len(data)

    @property
    def remaining(self) -> int:
        """Octets not read yet."""
        return self._end - self._position

    def take(self, count: int) -> bytes:
        """The next `count` octets; `InvalidSyntax` where fewer are left."""
        start = self._position
        end = start + count
        if count < 0 or end > self._end:
            raise InvalidSyntax(f"{count} octets wanted, {self.remaining} left")
        self._position = end
        return self._data[start:end]

    def uint(self, size: int) -> int:
        """An unsigned integer of `size` octets, most significant first."""
        return int.from_bytes(self.take(size))

    def rest(self) -> bytes:
        """Everything that is left, possibly nothing."""
        return self.take(self.remaining)

    def block(self, size: int) -> Reader:
        """A reader over the next `size` octets alone."""
        return Reader(self.take(size))

    def finish(self) -> None:
        """Assert that the block was consumed to the octet."""
        if self.remaining:
            raise InvalidSyntax(f"{self.remaining} octets too many")


class Writer:
    """Octets being put together."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts = bytearray()

    def uint(self, value: int, size: int) -> Writer:
        """Append `value` in `size` octets, most significant first."""
        self._parts += value.to_bytes(size)
        return self

    def write(self, data: bytes) -> Writer:
        """Append octets as they are."""
        self._parts += data
        return self

    def bytes(self) -> bytes:
        """What was written so far."""
        return bytes(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
