"""The archive that a kernel starts from: cpio's "newc" format, as Linux' initramfs buffer format describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_FILE, _DIRECTORY = 0o100000, 0o040000


@dataclass(frozen=True, slots=True)
class Entry:
    """A file with its permission bits."""

    data: bytes
    mode: int = 0o644


def archive(files: Mapping[str, Entry], directories: tuple[str, ...]) -> bytes:
    """The archive of these files and (parents first) directories; paths without a leading slash."""
    parts = [
        _record(number, path, _DIRECTORY | 0o755, b"") for number, path in enumerate(directories, start=1)
    ]
    parts += [
        _record(number, path, _FILE | entry.mode, entry.data)
        for number, (path, entry) in enumerate(files.items(), start=len(directories) + 1)
    ]
    parts.append(_record(0, _TRAILER, 0, b""))
    return b"".join(parts)


def _record(inode: int, path: str, mode: int, data: bytes) -> bytes:
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    head = _MAGIC + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(data)


def _padded(octets: bytes) -> bytes:
    return octets + bytes(-len(octets) % 4)
