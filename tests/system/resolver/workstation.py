"""A workstation as a distribution has it: dbus-daemon, systemd-resolved, polkitd, NetworkManager, journald.

They run in a network namespace of the test's own, in the root file system of their release, with /etc, /run and
/var of the test's own: nothing of the machine is seen or changed by them.  The code under test stays outside and
speaks to them over the bus, whose socket is a file here.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from client.lab.namespaces import Namespace, Surroundings
from client.lab.syscalls import (
    CLONE_NEWNS,
    MS_BIND,
    MS_PRIVATE,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    mount,
    unshare,
)
from tests.netns.peers.releases import Release, release

PACKAGES = (
    "systemd-resolved",
    "dbus-daemon",
    "dbus-bin",
    "dbus-system-bus-common",
    "polkitd",
    "network-manager",
    "libnss-resolve",
)
ROAM_UID = 990
_PATIENCE = 15.0  # seconds for a daemon to be on the bus
_OWN = ("etc", "run", "var")
_DIRECTORIES = (
    "run/dbus",
    "run/systemd",
    "var/lib/NetworkManager",
    "var/lib/polkit-1",
    "etc/polkit-1/rules.d",
)
_USERS = {
    "root": 0,
    "systemd-network": 100,
    "messagebus": 101,
    "systemd-resolve": 102,
    "polkitd": 103,
    "roam": ROAM_UID,
    "nobody": 65534,
}
_COMMANDS = {
    "bus": ("/usr/bin/dbus-daemon", "--system", "--nofork", "--nopidfile"),
    "resolved": ("/lib/systemd/systemd-resolved",),
    "polkit": ("/usr/lib/polkit-1/polkitd", "--no-debug"),
    "networkmanager": ("/usr/sbin/NetworkManager", "--no-daemon"),
    "journal": ("/lib/systemd/systemd-journald",),
}
_SOCKETS = {
    "bus": ("run/dbus/system_bus_socket", socket.SOCK_STREAM),
    "journal": ("run/systemd/journal/socket", socket.SOCK_DGRAM),
}
_NAMES = {
    "resolved": "org.freedesktop.resolve1",
    "polkit": "org.freedesktop.PolicyKit1",
    "networkmanager": "org.freedesktop.NetworkManager",
}


def unpacked(suite: str) -> Release:
    """The release with all programs that a `Workstation` can run."""
    return release(suite, PACKAGES, "resolver")


class Workstation:
    """Start and stop its daemons by their names; `place` holds its /etc, /run and /var."""

    def __init__(self, distribution: Release, namespace: Namespace) -> None:
        self._root = distribution.root
        self.namespace = namespace
        self.place = Path(tempfile.mkdtemp(prefix="roam-workstation-"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        self.place.chmod(0o755)
        for name in _OWN:
            (self.place / name).mkdir()
        shutil.copytree(self._root / "etc", self.place / "etc", symlinks=True, dirs_exist_ok=True)
        (self.place / "etc/passwd").write_text(_passwd())
        (self.place / "etc/group").write_text("".join(f"{name}:x:{uid}:\n" for name, uid in _USERS.items()))
        (self.place / "etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files dns\n")
        (self.place / "etc/machine-id").write_text("00112233445566778899aabbccddeeff\n")
        for directory in _DIRECTORIES:
            (self.place / directory).mkdir(parents=True, exist_ok=True)
        (self.place / "var/run").symlink_to("/run")
        return self

    def __exit__(self, *exception: object) -> None:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.place, ignore_errors=True)
            for name in list(self._processes):
                stack.callback(self.stop, name)

    @property
    def bus_address(self) -> str:
        """Where the system bus listens."""
        return f"unix:path={self.place}/run/dbus/system_bus_socket"

    def start(self, *names: str) -> None:
        """Start these daemons, and wait until each is on the bus."""
        for name in names:
            with (self.place / f"{name}.log").open("ab") as log:
                around = Surroundings(prepare=self._enter, environment=_ENVIRONMENT, output=log.fileno())
                self._processes[name] = self.namespace.start(_COMMANDS[name], around)
            self._await(name, lambda name=name: self._is_there(name))  # type: ignore[misc]

    @property
    def running(self) -> Iterable[str]:
        """The daemons that were started and not stopped."""
        return self._processes.keys()

    def stop(self, name: str) -> None:
        """End a daemon."""
        self.namespace.stop(self._processes.pop(name))

    def kill(self, name: str) -> None:
        """End a daemon without its noticing."""
        self._processes[name].kill()
        self._processes.pop(name).wait()

    def signal(self, name: str, number: int) -> None:
        """Send a daemon a signal."""
        self._processes[name].send_signal(number)

    def log(self, name: str) -> str:
        """What a daemon has said so far."""
        return (self.place / f"{name}.log").read_text(errors="replace")

    def run(self, *command: str) -> str:
        """A program of the distribution, as root; returns what it printed."""
        reading, writing = os.pipe()
        with os.fdopen(reading) as output:
            around = Surroundings(prepare=self._enter, environment=_ENVIRONMENT, output=writing)
            process = self.namespace.start(command, around)
            os.close(writing)
            text = output.read()
        process.wait()
        return text

    def names(self) -> Iterable[str]:
        """The names that are owned on the bus."""
        listing = self.run(
            *[
                "/usr/bin/dbus-send",
                "--system",
                "--print-reply",
                "--dest=org.freedesktop.DBus",
                "/",
                "org.freedesktop.DBus.ListNames",
            ]
        )
        return [line.split('"')[1] for line in listing.splitlines() if '"' in line]

    def _is_there(self, name: str) -> bool:
        if name in _SOCKETS:
            path, kind = _SOCKETS[name]
            with socket.socket(
                socket.AF_UNIX, kind
            ) as probe:  # the file is there a little before somebody listens
                return probe.connect_ex(str(self.place / path)) == 0
        return _NAMES[name] in self.names()

    def _await(self, name: str, condition: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE
        while not condition():
            assert self._processes[name].poll() is None, self.log(name)[-2000:]
            assert time.monotonic() < until, f"{name} is not there: {self.log(name)[-2000:]}"
            time.sleep(0.02)

    def _enter(self) -> None:
        """In the thread that starts a process: this root, with what is the test's own."""
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount(self._root, self._root, flags=MS_BIND)
        mount("none", self._root, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
        for name in ("dev", "proc"):
            mount(f"/{name}", self._root / name, flags=MS_BIND | MS_REC)
        mount("sysfs", self._root / "sys", "sysfs", MS_RDONLY)  # so that NetworkManager expects no udev
        with suppress(OSError):  # journald does not start without; the others do
            mount("none", self._root / "sys/fs/cgroup", "cgroup2")
        for name in _OWN:
            mount(self.place / name, self._root / name, flags=MS_BIND)
        os.chroot(self._root)
        os.chdir("/")


_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


def _passwd() -> str:
    return "".join(f"{name}:x:{uid}:{uid}::/:/usr/sbin/nologin\n" for name, uid in _USERS.items())
