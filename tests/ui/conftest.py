"""The socket of a fake daemon, a user's profile directory, and a keyring in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import pytest
from keyring.errors import KeyringLocked

import profiles.store
from tests.control.fake import FakeDaemon, serving_apart, socket_directory

EAP = """
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "eap"
identity = "alice"
secret = "keyring:office/eap"
[trust]
ca = ["file:ca.pem"]
"""


class MemoryKeyring(keyring.backend.KeyringBackend):
    """What a test has stored, and nothing else."""

    priority = 1.0

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._open()
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._open()
        self.entries[service, username] = password

    def _open(self) -> None:
        if self.locked:
            raise KeyringLocked("nobody has logged in")


@pytest.fixture
def path() -> Iterator[Path]:
    with socket_directory() as directory:
        yield directory / "control.sock"


@pytest.fixture
def daemon(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDaemon]:
    """A fake daemon at $ROAM_SOCKET, called by root."""
    daemon = FakeDaemon()
    monkeypatch.setenv("ROAM_SOCKET", str(path))
    with serving_apart(daemon, path):
        yield daemon


@pytest.fixture
def ring() -> Iterator[MemoryKeyring]:
    before, ring = keyring.get_keyring(), MemoryKeyring()
    keyring.set_keyring(ring)
    yield ring
    keyring.set_keyring(before)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The caller's profiles: an EAP one with a keyring: reference."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setattr(profiles.store, "SYSTEM_DIRECTORY", tmp_path / "system")
    directory = tmp_path / "roam" / "profiles"
    directory.mkdir(parents=True)
    (directory / "office.toml").write_text(EAP)
    (directory / "ca.pem").write_bytes(b"certificate")
    return directory
