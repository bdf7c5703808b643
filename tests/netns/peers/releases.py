"""Debian releases of strongSwan and of other peers, unpacked into a cache and never installed.

apt is pointed at directories of its own with an empty package database: it resolves the whole dependency closure,
checks the archive's signature, downloads, and nothing more.  The packages are unpacked side by side into a small
root file system; no maintainer script runs, and nothing on the machine changes.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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

PACKAGES = (
    "charon-systemd",
    "strongswan-swanctl",
    "libcharon-extra-plugins",
    "libcharon-extauth-plugins",
    "libstrongswan-extra-plugins",
    "libstrongswan-standard-plugins",
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_COMPLETE = "complete"
_LONGEST_FETCH = 240.0  # seconds; two of these fit into the time of a test
_MERGED = ("bin", "sbin", "lib", "lib64")  # Debian's merged /usr: packages still name both places
_EMPTY = ("dev", "proc", "run", "sys", "tmp", "var")


class PeerUnavailable(Exception):
    """A release cannot be had on this machine; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Release:
    """An unpacked release: `root` is its read-only root file system."""

    suite: str
    root: Path

    def enter(self, shared: Path) -> None:
        """Make this root the calling thread's, with `shared` of the machine at /run/peer.

        To be called in a thread that starts a process and ends.
        """
        unshare(CLONE_NEWNS)
        mount("none", "/", flags=MS_REC | MS_PRIVATE)
        mount(self.root, self.root, flags=MS_BIND)
        mount("none", self.root, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
        for name in ("dev", "proc"):
            mount(f"/{name}", self.root / name, flags=MS_BIND | MS_REC)
        mount("tmpfs", self.root / "run", "tmpfs")
        (self.root / "run/peer").mkdir()
        mount(shared, self.root / "run/peer", flags=MS_BIND)
        os.chroot(self.root)
        os.chdir("/")


def release(suite: str, packages: Sequence[str] = PACKAGES, name: str = "peers") -> Release:
    """The release with these packages, fetched first if the cache has none under `name` (20 MB, a few seconds)."""
    directory = cache() / name / suite
    if directory in _failed:
        raise PeerUnavailable(_failed[directory])
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (directory / _COMPLETE).exists():
            _fetch_once(suite, directory, packages)
    return Release(suite, directory / "root")


def unpacked(suite: str, name: str = "peers") -> Release:
    """What `release` has fetched before: for where nothing can be fetched, nor locked."""
    directory = cache() / name / suite
    if not (directory / _COMPLETE).exists():
        raise PeerUnavailable(f"{name} of {suite} were not fetched before")
    return Release(suite, directory / "root")


def cache() -> Path:
    """$ROAM_CACHE, else ~/.cache/roam."""
    named = os.environ.get("ROAM_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "roam"


_failed: dict[Path, str] = {}
"""Why a release could not be had: what took minutes to fail is not tried again for every test."""


def _fetch_once(suite: str, directory: Path, packages: Sequence[str]) -> None:
    try:
        _fetch(suite, directory, packages)
    except PeerUnavailable as error:
        _failed[directory] = str(error)
        raise


def _fetch(suite: str, directory: Path, packages: Sequence[str]) -> None:
    shutil.rmtree(directory / "apt", ignore_errors=True)
    shutil.rmtree(directory / "root", ignore_errors=True)
    archives = _download(suite, directory / "apt", _mirror(), packages)
    _unpack(archives, directory / "root")
    shutil.rmtree(directory / "apt")
    (directory / _COMPLETE).write_text("\n".join(package.name for package in archives) + "\n")


def _mirror() -> str:
    """The Debian mirror that the machine's own apt sources name."""
    if shutil.which("apt-get") is None or not KEYRING.exists():
        raise PeerUnavailable(
            "the peers are fetched with apt-get and Debian's archive keyring, which are not here"
        )
    listing = _apt(None, "indextargets", "--format", "$(REPO_URI) $(COMPONENT)")
    for line in listing.splitlines():
        address, _, component = line.partition(" ")
        if address.rstrip("/").endswith("/debian") and component == "main":
            return address
    raise PeerUnavailable("this machine's apt sources name no Debian mirror to fetch the peers from")


def _download(suite: str, directory: Path, mirror: str, packages: Sequence[str]) -> list[Path]:
    for name in ("lists/partial", "archives/partial"):
        (directory / name).mkdir(parents=True)
    (directory / "status").touch()
    (directory / "sources.list").write_text(f"deb [signed-by={KEYRING}] {mirror} {suite} main\n")
    configuration = directory / "apt.conf"
    configuration.write_text(_APT_CONFIGURATION.format(directory=directory))
    _apt(configuration, "--quiet", "update")
    _apt(configuration, "--quiet", "--yes", "--download-only", "install", *packages)
    return sorted((directory / "archives").glob("*.deb"))


_APT_CONFIGURATION = """\
Dir::Etc::sourcelist "{directory}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{directory}/lists";
Dir::State::status "{directory}/status";
Dir::Cache "{directory}";
Dir::Cache::archives "{directory}/archives";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
"""


def _apt(configuration: Path | None, *arguments: str) -> str:
    environment = {**os.environ, "LC_ALL": "C"}
    if configuration is not None:
        environment["APT_CONFIG"] = str(configuration)
    try:
        answer = subprocess.run(
            ["apt-get", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_LONGEST_FETCH,
        )
    except subprocess.TimeoutExpired:
        why = f"apt-get {arguments[-1]} took more than {_LONGEST_FETCH:.0f} s"
        raise PeerUnavailable(f"the peers could not be fetched: {why}") from None
    if answer.returncode != 0:
        said = [line for line in answer.stderr.splitlines() if line.startswith("E:")] or ["no reason given"]
        raise PeerUnavailable(f"the peers could not be fetched: apt-get {arguments[-1]}: {said[0]}")
    return answer.stdout


def _unpack(archives: list[Path], root: Path) -> None:
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for name in _EMPTY:
        (root / name).mkdir()
    (root / "var/run").symlink_to("/run")
    for package in archives:
        subprocess.run(["dpkg-deb", "--extract", package, root], check=True, timeout=120)
