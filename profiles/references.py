"""References of a profile to secrets and files, and the careful reading of a file that holds a secret.

`keyring:NAME`  a password in the user's keyring (service "roam", user NAME)
`credential:NAME`  a systemd credential ($CREDENTIALS_DIRECTORY)
`file:PATH`  a file; a relative PATH starts at the profile's directory
`ask:` or `ask:PROMPT`  asked when needed
`pkcs11:URI`  a key, or a certificate with its key, on a smart card or token (RFC 7512)
`agent:` or `agent:KEY`  a key in the user's SSH agent: by fingerprint, by comment, or the certificate's own
`sim:` or `sim:WHICH`  the subscription of a SIM in a card reader
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .errors import ProfileError, nearest
from .model import LocalRound, Profile

Scheme = Literal["keyring", "credential", "file", "ask", "pkcs11", "agent", "sim"]
ELSEWHERE: tuple[Scheme, ...] = ("pkcs11", "agent", "sim")
"""Where a private key stays, so that its holder is asked for signatures or answers."""
SECRET_SCHEMES: tuple[Scheme, ...] = ("keyring", "credential", "file", "ask")
FILE_SCHEMES: tuple[Scheme, ...] = ("credential", "file")
CERT_SCHEMES: tuple[Scheme, ...] = (*FILE_SCHEMES, "pkcs11")
KEY_SCHEMES: tuple[Scheme, ...] = (*FILE_SCHEMES, *ELSEWHERE)

SECRET_LIMIT = 64 * 1024
"""Octets of a secret in a file: a mistyped reference to a large file is refused, not read."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A parsed reference; `path` is the key of the profile in which it stands, `text` as it stands there."""

    scheme: Scheme
    target: str
    text: str
    path: str

    def resolve(self, directory: Path) -> Path:
        """The file meant: `file:` from the profile's directory, `credential:` from systemd's."""
        if self.scheme == "file":
            return directory / Path(self.target).expanduser()
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if self.scheme != "credential" or credentials is None:
            raise ProfileError(self.path, f'"{self.text}" needs a systemd unit with LoadCredential=')
        return Path(credentials) / self.target


def parse(text: str, path: str, allowed: Collection[Scheme] = SECRET_SCHEMES) -> Reference:
    """The reference in `text`; a plain secret in its place is refused without quoting it."""
    scheme, colon, target = text.partition(":")
    known = next((name for name in allowed if name == scheme), None)
    if known is None or not colon:
        words = ", ".join(f"{name}:" for name in allowed)
        detail = (
            f'"{scheme}:" is no reference that fits here' if colon and scheme.isalnum() else "is no reference"
        )
        raise ProfileError(path, f"{detail} ({words})", nearest(scheme, allowed) if colon else "")
    if known not in {"ask", "agent", "sim"} and not target.strip():
        raise ProfileError(path, f"nothing follows {scheme}:")
    if known == "credential" and ("/" in target or target in {".", ".."}):
        raise ProfileError(path, "a credential's name has no slash")
    return Reference(known, target, text, path)


def secrets_of(profile: Profile, files: Mapping[str, bytes]) -> tuple[Reference, ...]:
    """The secrets that the profile needs, each text once, in the order of the rounds.

    `files` are the octets of `files_of(profile)` by reference: a passphrase is needed only where
    the key is encrypted.
    """
    remote = profile.auth.remote.secret
    own = [(entry, f"auth.local[{n}].secret") for n, entry in enumerate(profile.auth.local)]
    return _unique(
        [
            *(parse(entry.secret, path) for entry, path in own if _needs_secret(entry, files)),
            *([] if remote is None else [parse(remote, "auth.remote.secret")]),
        ]
    )


def _needs_secret(entry: LocalRound, files: Mapping[str, bytes]) -> bool:
    if entry.needs_password:
        return not entry.asks_in_course
    if entry.key_is_elsewhere:
        return False  # its PIN is between the user and the card
    # It takes its time to load, for which profiles with a password need not wait.
    from .containers import is_locked

    return is_locked(files.get(entry.key_file or "", b""))


def files_of(profile: Profile) -> tuple[Reference, ...]:
    """The files that the profile names (certificates, revocation lists, private keys), each once."""
    return _unique(reference for reference in _files(profile) if reference.scheme not in ELSEWHERE)


def elsewhere(profile: Profile) -> tuple[Reference, ...]:
    """What the profile names on cards and in agents, each once: of all of it only the public part can be had."""
    return _unique(reference for reference in _files(profile) if reference.scheme in ELSEWHERE)


def _files(profile: Profile) -> Iterator[Reference]:
    for n, text in enumerate(profile.trust.ca):
        yield parse(text, f"trust.ca[{n}]", FILE_SCHEMES)
    for n, text in enumerate(profile.trust.keys):
        yield parse(text, f"trust.keys[{n}]", FILE_SCHEMES)
    for n, text in enumerate(profile.trust.crl):
        yield parse(text, f"trust.crl[{n}]", FILE_SCHEMES)
    for n, text in enumerate(profile.auth.remote.aaa_ca):
        yield parse(text, f"auth.remote.aaa_ca[{n}]", FILE_SCHEMES)
    for n, entry in enumerate(profile.auth.local):
        if entry.cert is not None:
            yield parse(entry.cert, f"auth.local[{n}].cert", CERT_SCHEMES)
        if entry.key is not None:
            yield parse(entry.key, f"auth.local[{n}].key", KEY_SCHEMES)


def _unique(references: Iterable[Reference]) -> tuple[Reference, ...]:
    return tuple({reference.text: reference for reference in references}.values())


def read_file(reference: Reference, directory: Path, limit: int = 256 * 1024) -> bytes:
    """The octets of a certificate or key file; `ProfileError` says what is wrong with it."""
    path = reference.resolve(directory)
    try:
        with path.open("rb") as file:
            return _bounded(file.read(limit + 1), limit, reference, path)
    except OSError as error:
        raise _unreadable(reference, path, error) from None


def read_secret(reference: Reference, directory: Path, owners: Collection[int]) -> str:
    """The secret in a file, without the newline at its end.

    The file must be a regular one, belong to one of the uids `owners`, and be closed to everybody else
    (0600): `UnsafeFile` otherwise.  A systemd credential only its unit can reach; it is just read.
    """
    path = reference.resolve(directory)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _unreadable(reference, path, error) from None
    with os.fdopen(descriptor, "rb") as file:
        if reference.scheme == "file":
            _check_private(os.fstat(descriptor), reference, path, owners)
        octets = _bounded(file.read(SECRET_LIMIT + 1), SECRET_LIMIT, reference, path)
    try:
        return octets.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise ProfileError(reference.path, f"{path} is no UTF-8 text") from None


class UnsafeFile(ProfileError):
    """A secret lies in a file that others can reach."""


def _check_private(status: os.stat_result, reference: Reference, path: Path, owners: Collection[int]) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsafeFile(
            reference.path, f"{path} is no regular file", "Put the secret into a file of its own."
        )
    if status.st_uid not in owners:
        wanted = " or ".join(str(uid) for uid in sorted(owners))
        reason = f"{path} belongs to uid {status.st_uid}, not to {wanted}"
        raise UnsafeFile(reference.path, reason, f"chown {min(owners)} {path}")
    if status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise UnsafeFile(reference.path, f"{path} is open to others (mode {mode:04o})", f"chmod 600 {path}")


def _bounded(octets: bytes, limit: int, reference: Reference, path: Path) -> bytes:
    if len(octets) > limit:
        raise ProfileError(reference.path, f"{path} is larger than {limit} octets")
    return octets


def _unreadable(reference: Reference, path: Path, error: OSError) -> ProfileError:
    if isinstance(error, FileNotFoundError):
        hint = "Put the file there, or correct the reference."
        return ProfileError(reference.path, f"there is no {path}", hint)
    return ProfileError(reference.path, f"cannot read {path}: {error.strerror}")
