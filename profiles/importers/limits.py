"""How much of a foreign file is believed: sizes, text, and names, before anything looks at the content."""

from __future__ import annotations

import codecs
import re
import unicodedata

from .errors import ImportRefused

LARGEST = 1024 * 1024
"""Octets of a file; an archive may be larger."""

LARGEST_ARCHIVE = 8 * 1024 * 1024
LONGEST_TEXT = 4096
"""Characters of one value: no name, address or list in a real file comes near."""

LARGEST_BLOB = 256 * 1024
"""Octets of a certificate or bundle inside a file: as much as a profile may refer to."""

MOST_ENTRIES = 2000
"""Keys, lines or elements of one file that are looked at."""

DEEPEST = 32
"""Levels of nesting."""

_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn the direction of writing: what a terminal shows is not what stands there."""

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def text_of(octets: bytes) -> str:
    """The file as text: UTF-8, or what its byte order mark says."""
    mark, encoding = next((row for row in _BOMS if octets.startswith(row[0])), (b"", "utf-8"))
    try:
        text = octets[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        raise ImportRefused("", f"is no {encoding.upper()} text (octet {error.start + len(mark)})") from None
    if "\0" in text:
        raise ImportRefused("", "has NUL characters, which no text has")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def bounded(text: str, where: str) -> str:
    """One value of a file: not endless, and without control characters."""
    if len(text) > LONGEST_TEXT:
        raise ImportRefused(where, f"has {len(text)} characters, more than {LONGEST_TEXT}")
    if any(unicodedata.category(sign) == "Cc" or sign in _TURNING for sign in text):
        raise ImportRefused(where, "has control characters")
    return text


def blob(octets: bytes, where: str) -> bytes:
    """A certificate or bundle inside a file."""
    if not octets:
        raise ImportRefused(where, "is empty")
    if len(octets) > LARGEST_BLOB:
        raise ImportRefused(where, f"has {len(octets)} octets, more than {LARGEST_BLOB}")
    return octets


def identifier(text: str) -> str:
    """A profile id made of a name for people."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9._]+", "-", plain).strip("-._")[:48].strip("-._") or "imported"
