"""Name resolution of the lab's laptop: an /etc of its own, and nothing through which a resolver could be reached.

A daemon of the lab may be root, and it changes name resolution.  It must not find the machine's: neither its
/etc, nor what resolvers keep in /run, nor `roam-dns`, nor the system bus, whose socket is a file and knows nothing
of network namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

RESOLV_CONF = "# The lab's router\nnameserver 192.168.1.1\nsearch home.example\n"
NSSWITCH = "passwd: files\ngroup: files\nhosts: files dns\n"

_OWN = {"resolv.conf": RESOLV_CONF, "nsswitch.conf": NSSWITCH}
_LEFT = ("resolv.conf.before-roam", "resolv.conf.roam-new")  # what a crash may leave beside it
_HIDDEN = ("/run/resolvconf", "/run/NetworkManager", "/run/systemd/resolve", "/run/roam-dns.sock")


class Etc(Protocol):
    """What is seen of name resolution by the processes of a laptop."""

    @property
    def resolv_conf(self) -> Path:
        """The file that is /etc/resolv.conf for them."""

    @property
    def watched(self) -> tuple[Path, ...]:
        """What a snapshot should look at."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that say where the system bus is."""

    @property
    def files(self) -> Mapping[str, Path]:
        """What is bound over what, in this order."""

    def prepare(self) -> None:
        """Mounts of any other kind, in the thread that starts a process, after the files are bound."""


class PrivateEtc:
    """The machine's /etc but for name resolution, for processes to which `files` are bound."""

    def __init__(self, directory: Path) -> None:
        self._etc = directory / "etc"
        self._machine = directory / "machine-etc"
        self._empty = directory / "empty"
        self._nobody = directory / "nobody"
        for made in (self._etc, self._machine, self._empty):
            made.mkdir(0o755)
        self._nobody.touch()
        for entry in Path("/etc").iterdir():
            if entry.name not in (*_OWN, *_LEFT):
                target = entry.readlink() if entry.is_symlink() else self._machine / entry.name
                (self._etc / entry.name).symlink_to(target)
        for name, text in _OWN.items():
            (self._etc / name).write_text(text)

    @property
    def resolv_conf(self) -> Path:
        """The file that is /etc/resolv.conf for those processes."""
        return self._etc / "resolv.conf"

    @property
    def watched(self) -> tuple[Path, ...]:
        """What of it a snapshot should look at."""
        return (self.resolv_conf, *(self._etc / name for name in _LEFT))

    @property
    def environment(self) -> Mapping[str, str]:
        """Where the system bus is said to be: nowhere."""
        return {"DBUS_SYSTEM_BUS_ADDRESS": f"unix:path={self._nobody}"}

    @property
    def files(self) -> dict[str, Path]:
        """What is bound over what, in this order: the links in our /etc lead to where the machine's is kept."""
        return {str(self._machine): Path("/etc"), "/etc": self._etc, **dict(self._hiding())}

    def prepare(self) -> None:
        """Nothing more."""

    def _hiding(self) -> Iterator[tuple[str, Path]]:
        for name in _HIDDEN:
            if (hidden := Path(name)).exists():
                yield name, self._empty if hidden.is_dir() else self._nobody
