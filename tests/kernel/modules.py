"""Which modules of an unpacked kernel to load, and in which order, as their own files tell it.

A kernel package comes without the index that depmod makes when it is installed; but each module says what it
depends on.
"""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

_SUFFIXES = (".ko", ".ko.xz")
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


class Modules:
    """The modules of one kernel, by the name under which it knows them."""

    def __init__(self, directory: Path) -> None:
        self._files = {
            _name(path.name): path for path in directory.rglob("*.ko*") if path.name.endswith(_SUFFIXES)
        }

    def in_order(self, names: Sequence[str]) -> dict[str, bytes]:
        """The modules called so and all that they need, what is needed first.

        A name that is no module is passed over: the kernel has it built in, or lacks it, and a test will tell.
        """
        found: dict[str, bytes] = {}
        for name in names:
            self._collect(name, found)
        return found

    def _collect(self, name: str, found: dict[str, bytes]) -> None:
        path = self._files.get(_canonical(name))
        if path is None or _canonical(name) in found:
            return
        code = _read(path)
        for needed in _needs(code):
            self._collect(needed, found)
        found[_canonical(name)] = code


def _name(file: str) -> str:
    return _canonical(file.partition(".ko")[0])


def _canonical(name: str) -> str:
    return name.replace("-", "_")


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    return lzma.decompress(data) if path.suffix == ".xz" else data


def _needs(code: bytes) -> Iterator[str]:
    match = _DEPENDS.search(code)
    if match is not None and match[1]:
        yield from match[1].decode().split(",")
