"""Members of a zip archive, taken with care: bounded in number and size, and never by a name that leaves it."""

from __future__ import annotations

import io
import zipfile
import zlib

from .errors import ImportRefused
from .limits import LARGEST, LARGEST_ARCHIVE

MOST_MEMBERS = 64
_RATIO = 200  # times that a member may grow; text of an honest package grows tenfold


def members(octets: bytes, wanted: tuple[str, ...]) -> dict[str, bytes]:
    """The members below the folders `wanted`, by name with slashes; some packers write backslashes."""
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as archive:
            return _read(archive, wanted)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        NotImplementedError,
        OverflowError,
        ValueError,
    ) as error:
        if isinstance(error, ImportRefused):
            raise
        raise ImportRefused("", "is no zip archive that can be read") from None
    except RuntimeError:
        raise ImportRefused("", "is an archive with a password") from None


def _read(archive: zipfile.ZipFile, wanted: tuple[str, ...]) -> dict[str, bytes]:
    entries = archive.infolist()
    if len(entries) > MOST_MEMBERS:
        raise ImportRefused("", f"has {len(entries)} members, more than {MOST_MEMBERS}")
    found: dict[str, bytes] = {}
    total = 0
    for entry in entries:
        name = _name(entry.filename)
        if entry.is_dir() or not name.lower().startswith(wanted):
            continue
        if entry.file_size > LARGEST or entry.file_size > _RATIO * max(entry.compress_size, 64):
            raise ImportRefused(name, f"grows to {entry.file_size} octets, which no honest package does")
        with archive.open(entry) as member:
            found[name] = member.read(LARGEST + 1)
        total += len(found[name])
        if len(found[name]) > LARGEST or total > LARGEST_ARCHIVE:
            raise ImportRefused(name, "is larger than it says")
    return found


def _name(text: str) -> str:
    """The member's name; one that leaves the archive is refused whether it is wanted or not."""
    name = text.replace("\\", "/")
    if name.startswith("/") or ".." in name.split("/") or name[1:2] == ":" or "\0" in name:
        raise ImportRefused("", "has a member whose name leaves the archive")
    return name
