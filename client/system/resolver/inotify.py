"""Which files of a directory were changed, moved or deleted: inotify(7), through libc."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from pathlib import Path

_IN_MODIFY, _IN_CLOSE_WRITE, _IN_MOVED_FROM, _IN_MOVED_TO = 0x2, 0x8, 0x40, 0x80
_IN_CREATE, _IN_DELETE = 0x100, 0x200
_EVENTS = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE
_IN_Q_OVERFLOW = 0x4000
_HEADER = struct.Struct("iIII")
_BUFFER = 64 * 1024

_libc = ctypes.CDLL(None, use_errno=True)


class DirectoryWatch:
    """A descriptor that becomes readable when something happens in `directory`; or `OSError`."""

    def __init__(self, directory: Path) -> None:
        self._descriptor = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            _checked(_libc.inotify_add_watch(self._descriptor, os.fsencode(directory), _EVENTS))
        except OSError:
            self.close()
            raise

    def fileno(self) -> int:
        """For an event loop."""
        return self._descriptor

    def touched(self, name: str) -> bool:
        """Whether something has happened to this file, or may have, since the last call."""
        try:
            data = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return False
        return any(found == name or mask & _IN_Q_OVERFLOW for found, mask in _events(data))

    def close(self) -> None:
        """Stop watching."""
        os.close(self._descriptor)


def _events(data: bytes) -> Iterator[tuple[str, int]]:
    at = 0
    while at < len(data):
        _, mask, _, length = _HEADER.unpack_from(data, at)
        at += _HEADER.size
        yield os.fsdecode(data[at : at + length].rstrip(b"\0")), mask
        at += length


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
