"""The machine's own root file system with a layer of our own over it: programs may install what they like there."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from client.lab.namespaces import Namespace, Surroundings
from client.lab.syscalls import CLONE_FS, CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, mount, setns, unshare


class PrivateRoot:
    """An overlay over `/` in a mount namespace of its own; the machine's files are read and never written.

    `visible` directories of the machine are bound into it where they are (they may be on other file systems).
    """

    def __init__(self, place: Path, visible: Sequence[Path]) -> None:
        self._place = place
        self._visible = visible
        self._machine = Namespace.current("machine")  # the network stays: packages are downloaded
        self._holder: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        around = Surroundings(prepare=self._lay_over)
        self._holder = self._machine.start(["/bin/sleep", "infinity"], around)
        return self

    def __exit__(self, *exception: object) -> None:
        self._machine.close()

    @property
    def root(self) -> Path:
        """The merged root, as this process sees it."""
        return self._seen("merged")

    def run(
        self, command: Sequence[str | Path], environment: Mapping[str, str]
    ) -> subprocess.CompletedProcess[str]:
        """Run a program with this root, in `/`."""
        reading, writing = os.pipe()
        with os.fdopen(reading) as output:
            around = Surroundings(prepare=self._enter, environment=environment, output=writing)
            process = self._machine.start(command, around)
            os.close(writing)
            text = output.read()
        return subprocess.CompletedProcess(command, process.wait(), text)

    def changed(self) -> frozenset[Path]:
        """Files (not directories) that exist in our layer, with their paths below the root."""
        layer = self._seen("upper")
        return frozenset(
            Path("/", path.relative_to(layer))
            for path in layer.rglob("*")
            if path.is_symlink() or path.is_file()  # a whiteout, the mark of a removed file, is neither
        )

    def _seen(self, name: str) -> Path:
        assert self._holder is not None
        return Path(f"/proc/{self._holder.pid}/root{self._place}/{name}")

    def _lay_over(self) -> None:
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("tmpfs", self._place, "tmpfs")  # a layer may not lie in the tree that it covers
        for name in ("upper", "work", "merged"):
            (self._place / name).mkdir()
        merged = self._place / "merged"
        layers = f"lowerdir=/,upperdir={self._place}/upper,workdir={self._place}/work"
        mount("overlay", merged, "overlay", data=layers)
        for path in (Path("/proc"), Path("/dev"), *self._visible):
            mount(path, merged / path.relative_to("/"), flags=MS_BIND | MS_REC)

    def _enter(self) -> None:
        assert self._holder is not None
        descriptor = os.open(f"/proc/{self._holder.pid}/ns/mnt", os.O_RDONLY)
        unshare(
            CLONE_FS
        )  # the condition for entering a mount namespace: nobody shares our root and directory
        setns(descriptor, CLONE_NEWNS)
        os.close(descriptor)
        os.chroot(self._place / "merged")
        os.chdir("/")
