"""Profiles and what belongs beside them, written: closed to others, each file whole, nothing replaced unasked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .errors import ProfileError


def place(directory: Path, name: str, text: str, files: Mapping[str, bytes], *, force: bool) -> list[Path]:
    """Write NAME.toml and its files into the directory (made with mode 0700); the paths, the profile first.

    Raises `ProfileError` where one is there already and `force` is not, or where it cannot be written.
    """
    wanted = {**files, f"{name}.toml": text.encode()}  # the profile last: it never names what is not there
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        taken = [entry for entry in wanted if os.path.lexists(directory / entry)]
        if taken and not force:
            raise ProfileError(
                "",
                f"{directory / taken[0]} exists already",
                "--force overwrites it, --name chooses another name.",
            )
        for entry, octets in wanted.items():
            replace(directory / entry, octets)
    except OSError as error:
        raise ProfileError("", f"cannot write {error.filename or directory}: {error.strerror}") from None
    return [directory / entry for entry in reversed(wanted)]


def replace(path: Path, octets: bytes) -> None:
    """Write one file of mode 0600 in the place of another, or of none: whoever reads it sees one or the other."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
