"""Private mounts for one process of the lab: its own resolv.conf, and a way to programs in root's home."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .syscalls import CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, mount, unshare


def make_private(files: Mapping[str, Path], visible: Iterable[Path] = ()) -> None:
    """Give the calling thread mounts of its own.

    `files` maps a target such as /etc/resolv.conf to the file or directory that is to be seen there, in order:
    a source may be what an earlier one has covered or made visible.  `visible` paths
    become reachable for every uid, whatever the modes of the directories above them: root's home is closed
    to others, yet the lab's daemon is not root and its interpreter may stand there.
    """
    unshare(CLONE_NEWNS)
    mount("none", "/", flags=MS_REC | MS_PRIVATE)
    for target, source in files.items():
        mount(source, Path(target).resolve(), flags=MS_BIND | MS_REC)
    _uncover(visible)


def interpreter_paths() -> tuple[Path, ...]:
    """What a process needs to run this very Python with this very source tree."""
    return (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2])


def _uncover(paths: Iterable[Path]) -> None:
    wanted = _outermost(path.resolve() for path in paths)
    by_cover: dict[Path, list[Path]] = {}
    for path in wanted:
        closed = _closed_ancestor(path)
        if closed is not None:
            by_cover.setdefault(closed, []).append(path)
    for closed, hidden in by_cover.items():
        with _opened(hidden) as descriptors:
            mount("tmpfs", closed, "tmpfs", data="mode=0755")
            for path, descriptor in descriptors.items():
                path.mkdir(parents=True)
                mount(f"/proc/self/fd/{descriptor}", path, flags=MS_BIND | MS_REC)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    outer: list[Path] = []
    for path in sorted(set(paths)):  # a parent sorts before what is in it
        if not any(path.is_relative_to(known) for known in outer):
            outer.append(path)
    return outer


def _closed_ancestor(path: Path) -> Path | None:
    """The outermost directory above `path` that others may not pass through."""
    for ancestor in reversed(path.parents):
        if not ancestor.stat().st_mode & stat.S_IXOTH:
            return ancestor
    return None


@contextmanager
def _opened(paths: Iterable[Path]) -> Iterator[dict[Path, int]]:
    with ExitStack() as stack:
        descriptors = {}
        for path in paths:
            descriptors[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
            stack.callback(os.close, descriptors[path])
        yield descriptors
