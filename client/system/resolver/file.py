"""/etc/resolv.conf itself, where nobody else is in charge of it.

What stood there is kept beside it under another name, as a hard link: so owner, mode, a symbolic link, even the
inode come back.  Each change is one rename, and whatever moment we are killed at, the two names together tell what
has happened.  In a container the file may be a mount point, which cannot be renamed over: then it is emptied
and written in place, and an empty file beside a kept one tells the same.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .choice import HEADER
from .model import DnsConfig
from .resolv_conf import render

KEPT = "resolv.conf.before-roam"
"""The name of what stood there before us; as long as it is there, it is the underlay's."""
_FRESH = "resolv.conf.roam-new"
_MODE = 0o644
_LARGEST = 64 * 1024  # octets; nobody's resolv.conf is longer
_NO_LINKS = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES})


class File:
    """`apply`, `restore`, `holds`; they block, and raise `OSError`."""

    def __init__(self, directory: Path = Path("/etc")) -> None:
        self._path = directory / "resolv.conf"
        self._kept = directory / KEPT
        self._fresh = directory / _FRESH

    def apply(self, configs: Sequence[DnsConfig]) -> None:
        """Put our text in the place of what stands there."""
        if self.holds(configs):
            return
        if not self._is_ours():
            self._keep()
        self._put(render(configs, _read(self._kept)))

    def restore(self) -> None:
        """Put back what stood there before; what somebody else has put there since stays."""
        with suppress(FileNotFoundError):
            self._fresh.unlink()
        if self._is_ours():
            self._put_back()
        if os.path.lexists(self._kept):
            self._kept.unlink()
            _sync(self._path.parent)

    def holds(self, configs: Sequence[DnsConfig]) -> bool:
        """Whether our text for `configs` stands there."""
        return self._is_ours() and _read(self._path) == render(configs, _read(self._kept))

    def is_touched(self) -> bool:
        """Whether anything of ours is there."""
        return self._is_ours() or os.path.lexists(self._kept) or os.path.lexists(self._fresh)

    def _is_ours(self) -> bool:
        if self._path.is_symlink() or not self._path.exists():
            return False
        text = _read(self._path)
        return text.startswith(HEADER) or (not text and os.path.lexists(self._kept))

    def _keep(self) -> None:
        """Give what stands there its second name; an older one is out of date."""
        if not os.path.lexists(self._path):
            return  # nothing, or somebody deleted ours: then what was kept is still what was there before
        with suppress(FileNotFoundError):
            self._fresh.unlink()
        try:
            os.link(self._path, self._fresh, follow_symlinks=False)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            shutil.copy2(self._path, self._fresh, follow_symlinks=False)
        self._fresh.replace(self._kept)
        with suppress(FileNotFoundError):
            self._fresh.unlink()  # a rename between two names of one file does nothing
        _sync(self._path.parent)

    def _put(self, text: str) -> None:
        descriptor = os.open(self._fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "w") as stream:
            os.fchmod(descriptor, _MODE)
            stream.write(text)
            stream.flush()
            os.fsync(descriptor)
        try:
            self._fresh.replace(self._path)
        except OSError as error:
            self._fresh.unlink()
            if error.errno != errno.EBUSY:
                raise
            self._write_in_place(text.encode())
        _sync(self._path.parent)

    def _put_back(self) -> None:
        if not os.path.lexists(self._kept):
            self._path.unlink()
            return
        try:
            self._kept.replace(self._path)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            self._write_in_place(self._kept.read_bytes())
        _sync(self._path.parent)

    def _write_in_place(self, content: bytes) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.write(descriptor, content)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read(path: Path) -> str:
    try:
        with path.open(errors="replace") as stream:
            return stream.read(_LARGEST)
    except FileNotFoundError:
        return ""


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
