"""References to secrets and files, and files that hold a secret."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from profiles.errors import ProfileError
from profiles.references import (
    FILE_SCHEMES,
    SECRET_LIMIT,
    Reference,
    UnsafeFile,
    files_of,
    parse,
    read_file,
    read_secret,
    secrets_of,
)
from profiles.store import load_text

CERT = """
schema = 1
id = "home"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "cert"
cert = "file:me.pem"
key = "file:me.key"
secret = "keyring:me"
[trust]
ca = ["file:ca.pem", "file:ca.pem", "file:me.pem"]
"""


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "psk"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    return path


def reference(text: str) -> Reference:
    return parse(text, "auth.local[0].secret")


@pytest.mark.parametrize(
    ("text", "scheme", "target"),
    [
        ("keyring:office/eap", "keyring", "office/eap"),
        ("file:~/x:y", "file", "~/x:y"),
        ("ask:", "ask", ""),
        ("ask:Code of the day", "ask", "Code of the day"),
        ("credential:psk", "credential", "psk"),
    ],
)
def test_a_reference_is_scheme_and_target(text: str, scheme: str, target: str) -> None:
    assert (reference(text).scheme, reference(text).target) == (scheme, target)


def test_relative_files_start_at_the_profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/alice")
    assert parse("file:ca.pem", "x", FILE_SCHEMES).resolve(tmp_path) == tmp_path / "ca.pem"
    assert parse("file:/etc/ca.pem", "x").resolve(tmp_path) == Path("/etc/ca.pem")
    assert parse("file:~/ca.pem", "x").resolve(tmp_path) == Path("/home/alice/ca.pem")


def test_each_file_is_named_once() -> None:
    assert [entry.text for entry in files_of(load_text(CERT))] == [
        "file:ca.pem",
        "file:me.pem",
        "file:me.key",
    ]


def test_a_passphrase_is_needed_only_for_an_encrypted_key() -> None:
    profile = load_text(CERT)
    assert secrets_of(profile, {"file:me.key": b"-----BEGIN PRIVATE KEY-----"}) == ()
    (needed,) = secrets_of(profile, {"file:me.key": b"-----BEGIN ENCRYPTED PRIVATE KEY-----"})
    assert needed.text == "keyring:me"


def test_a_private_file_gives_its_secret_without_the_newline(secret: Path) -> None:
    assert read_secret(reference(f"file:{secret}"), Path("/"), {os.geteuid()}) == "hunter2"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_open_to_others_is_refused_with_the_command_that_mends_it(secret: Path, mode: int) -> None:
    secret.chmod(mode)
    with pytest.raises(UnsafeFile, match=f"mode {mode:04o}") as caught:
        read_secret(reference(f"file:{secret}"), Path("/"), {os.geteuid()})
    assert caught.value.hint == f"chmod 600 {secret}"


def test_a_file_of_somebody_else_is_refused(secret: Path) -> None:
    with pytest.raises(UnsafeFile, match="belongs to uid"):
        read_secret(reference(f"file:{secret}"), Path("/"), {os.geteuid() + 1})


def test_something_else_than_a_file_is_refused(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo, 0o600)
    with pytest.raises(UnsafeFile, match="no regular file"):
        read_secret(reference(f"file:{fifo}"), Path("/"), {os.geteuid()})


def test_a_missing_file_is_named_with_its_key(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"^auth\.local\[0\]\.secret: there is no .*/none$"):
        read_secret(reference("file:none"), tmp_path, {os.geteuid()})


@pytest.mark.parametrize(
    ("octets", "words"), [(b"\xff", "no UTF-8"), (b"x" * (SECRET_LIMIT + 1), "larger than")]
)
def test_a_file_that_holds_no_secret_is_refused(secret: Path, octets: bytes, words: str) -> None:
    secret.write_bytes(octets)
    with pytest.raises(ProfileError, match=words):
        read_secret(reference(f"file:{secret}"), Path("/"), {os.geteuid()})


def test_a_credential_comes_from_systemds_directory(secret: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret.chmod(0o440)  # as systemd makes them
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(secret.parent))
    assert read_secret(reference("credential:psk"), Path("/"), set()) == "hunter2"
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(ProfileError, match="LoadCredential="):
        read_secret(reference("credential:psk"), Path("/"), set())


def test_a_certificate_file_may_be_readable_by_all_but_not_huge(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(b"x" * 11)
    entry = parse("file:ca.pem", "trust.ca[0]", FILE_SCHEMES)
    assert read_file(entry, tmp_path) == b"x" * 11
    with pytest.raises(ProfileError, match=r"trust\.ca\[0\]: .* is larger than 10 octets"):
        read_file(entry, tmp_path, limit=10)
