"""Read the facts that `choose` decides on: a few files, and who is on the system bus."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from . import networkmanager, resolved
from .bus import Bus
from .choice import HEADER, Environment, Flavour, ResolvConf
from .file import KEPT
from .outcome import Unable

HELPER_SOCKET = Path("/run/roam-dns.sock")
_RESOLVCONFS = ("sbin/resolvconf", "usr/sbin/resolvconf")
_LARGEST = 64 * 1024  # octets of a file that are read
_MOST_LINKS = 8  # symbolic ones, one behind the other


@dataclass(frozen=True, slots=True)
class Places:
    """Where things are; tests have a root and a bus of their own."""

    root: Path = Path("/")
    bus: str | None = None
    helper: Path = HELPER_SOCKET

    @property
    def etc(self) -> Path:
        """Where resolv.conf stands."""
        return self.root / "etc"

    @property
    def run(self) -> Path:
        """Where running programs keep their state."""
        return self.root / "run"

    @property
    def resolvconf(self) -> Path | None:
        """The program, if there is one."""
        found = (self.root / name for name in _RESOLVCONFS)
        return next((path for path in found if os.access(path, os.X_OK) or path.is_symlink()), None)


async def detect(places: Places) -> Environment:
    """The facts as they are now; what cannot be read is not there."""
    is_resolved, rc_manager = await _on_the_bus(places.bus)
    return Environment(
        resolv_conf=_resolv_conf(places),
        resolved=is_resolved,
        networkmanager=rc_manager,
        resolvconf=flavour_of(places.resolvconf),
        nss_resolve=_asks_resolved(_text(places.etc / "nsswitch.conf")),
        root=os.geteuid() == 0,
        helper=places.helper.is_socket(),
    )


async def _on_the_bus(address: str | None) -> tuple[bool, str | None]:
    try:
        async with Bus(address) as bus:
            names = await bus.names()
            is_resolved = resolved.SERVICE in names or resolved.SERVICE in await bus.startable()
            rc_manager = None
            if networkmanager.SERVICE in names:
                with suppress(Unable):
                    rc_manager = await networkmanager.NetworkManager(bus).rc_manager()
            return is_resolved, rc_manager
    except Unable:
        return False, None


def _resolv_conf(places: Places) -> ResolvConf | None:
    """Where ours stands, what it stands in place of: whose resolver was away for a moment is in charge again."""
    found = _read(places, places.etc / "resolv.conf")
    if found is not None and found.text.startswith(HEADER):
        return _read(places, places.etc / KEPT) or found
    return found


def _read(places: Places, path: Path) -> ResolvConf | None:
    if not os.path.lexists(path):
        return None
    end = _follow(places.root, path)
    named = places.etc / "resolv.conf" if end == path else end
    return ResolvConf(str(Path("/") / named.relative_to(places.root)), _text(end))


def _follow(root: Path, path: Path) -> Path:
    """The end of a chain of symbolic links, absolute ones counted from `root`; it need not exist."""
    for _ in range(_MOST_LINKS):
        if not path.is_symlink():
            break
        target = Path("/") / path.parent.relative_to(root) / path.readlink()
        path = root / Path(os.path.normpath(target)).relative_to("/")
    return path


def flavour_of(program: Path | None) -> Flavour | None:
    """Whose `resolvconf` this is."""
    if program is None:
        return None
    if program.is_symlink() and program.readlink().name in ("resolvectl", "systemd-resolve"):
        return Flavour.RESOLVECTL
    return Flavour.OPENRESOLV if "OPENRESOLV_VERSION" in _text(program) else Flavour.DEBIAN


def _asks_resolved(nsswitch: str) -> bool:
    """Whether `resolve` stands before `dns` in the line of the hosts."""
    for line in nsswitch.splitlines():
        name, _, rest = line.partition("#")[0].partition(":")
        if name.strip() == "hosts":
            return _before("resolve", "dns", rest.split())
    return False


def _before(first: str, second: str, words: Sequence[str]) -> bool:
    return first in words and (second not in words or words.index(first) < words.index(second))


def _text(path: Path) -> str:
    try:
        with path.open(errors="replace") as stream:
            return stream.read(_LARGEST)
    except OSError:
        return ""
