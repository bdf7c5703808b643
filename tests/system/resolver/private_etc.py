"""The machine's own file system with an /etc, /run and system programs of the test's own over it.

What a test does there is seen by its own thread and by the programs that it starts, and by nobody else.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from client.lab.namespaces import Namespace
from client.lab.syscalls import CLONE_FS, CLONE_NEWNS, MS_BIND, MS_PRIVATE, MS_REC, mount, unshare

Result = TypeVar("Result")

HOME = "nameserver 192.168.1.1\nsearch home.lan\n"
_COVERED = ("etc", "usr/sbin", "usr/lib")
_INSTALLED = ("etc/resolvconf", "etc/resolvconf.conf", "sbin/resolvconf", "lib/resolvconf")


def in_private_etc(
    namespace: Namespace,
    scratch: Path,
    body: Callable[[], Result],
    *,
    package: Path | None = None,
    mounted: bool = False,
) -> Result:
    """Call `body` in `namespace`, where /etc/resolv.conf is that of a home network.

    `package` is the root of an unpacked resolvconf to be installed; with `mounted`, resolv.conf is a mount
    point, as in containers.
    """

    def inside() -> Result:
        unshare(CLONE_FS | CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount("tmpfs", scratch, "tmpfs")
        for name in _COVERED:
            cover(Path("/", name), scratch / name.replace("/", "-"))
        mount("tmpfs", "/run", "tmpfs")
        resolv_conf = Path("/etc/resolv.conf")
        resolv_conf.unlink(missing_ok=True)
        resolv_conf.write_text(HOME)
        if mounted:
            (scratch / "resolv.conf").write_text(HOME)
            mount(scratch / "resolv.conf", resolv_conf, flags=MS_BIND)
        if package is not None:
            install(package)
        return body()

    scratch.mkdir(exist_ok=True)
    return namespace.run(inside)


def cover(directory: Path, layer: Path) -> None:
    """Whatever is written into a directory from now on goes into a layer of our own."""
    for name in ("upper", "work"):
        (layer / name).mkdir(parents=True)
    layers = f"lowerdir={directory},upperdir={layer}/upper,workdir={layer}/work"
    mount("overlay", directory, "overlay", data=layers)


def install(package: Path) -> None:
    """Put the scripts of a resolvconf where they belong."""
    for name in _INSTALLED:
        source = package / name
        if source.is_dir():
            shutil.copytree(source, Path("/", name), symlinks=True, dirs_exist_ok=True)
        elif source.exists():
            shutil.copy2(source, Path("/", name))
