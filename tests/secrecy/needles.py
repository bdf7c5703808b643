"""Secrets to look for, in every form in which they may slip out, and the search."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

SHORTEST = 8  # octets: what is shorter stands in harmless text by chance
FEWEST_VALUES = 4  # different octets: fewer are padding
ROOT = f"{Path(__file__).resolve().parents[2]}/"
HERE = ("secrecy/", "ike/keys.py", "control/wire.py", "dataclasses.py")


@dataclass(frozen=True, slots=True)
class Found:
    """A secret where none may be: where its value was made a secret, and in what form it was found."""

    origin: str
    form: str


Patterns = dict[bytes, tuple[tuple[bytes, Found], ...]]
"""How every form of every secret goes on after its first octets."""


@dataclass
class Needles:
    """Octets that may be nowhere, with the place of the source where each was made a secret."""

    origins: dict[bytes, str] = field(default_factory=dict)
    _patterns: Patterns = field(default_factory=dict)
    _indexed: int = 0  # of the origins

    def add(self, octets: bytes) -> None:
        """Look for them from now on."""
        if octets not in self.origins and len(octets) >= SHORTEST and len(set(octets)) >= FEWEST_VALUES:
            self.origins[octets] = _origin()

    def copy(self) -> Needles:
        """The same secrets, to which others can be added apart."""
        return Needles(dict(self.origins), dict(self._index()), len(self.origins))

    def search(self, text: bytes) -> set[Found]:
        """Every secret in there, in any of its forms."""
        patterns = self._index()
        return {
            what
            for haystack in _readings(text)
            for start in _starts(haystack, patterns)
            for pattern, what in patterns[haystack[start : start + SHORTEST]]
            if haystack.startswith(pattern, start)
        }

    def _index(self) -> Patterns:
        """What was added since the last search is worth its forms only now: many secrets are never looked for."""
        for octets, origin in islice(self.origins.items(), self._indexed, None):
            for form, pattern in forms(octets):
                beginning = pattern[:SHORTEST]
                known = self._patterns.get(beginning, ())
                self._patterns[beginning] = (*known, (pattern, Found(origin, form)))
        self._indexed = len(self.origins)
        return self._patterns


def _starts(text: bytes, patterns: Patterns) -> Iterator[int]:
    """Where one of the patterns may begin."""
    if len(patterns) > len(text) // 50:  # as fast as the text is long, however many patterns there are
        yield from (n for n in range(len(text)) if text[n : n + SHORTEST] in patterns)
        return
    for pattern in patterns:
        n = text.find(pattern)
        while n >= 0:
            yield n
            n = text.find(pattern, n + 1)


def forms(octets: bytes) -> Iterator[tuple[str, bytes]]:
    """How the octets look in text: raw, hexadecimal, base64 wherever they begin, Python's escapes, UTF-16."""
    yield "raw", octets
    yield "hex", octets.hex().encode()
    for shift in range(3):
        for form, encode in (("base64", base64.b64encode), ("base64url", base64.urlsafe_b64encode)):
            encoded = encode(bytes(shift) + octets)
            yield form, encoded[-(-shift * 8 // 6) : (shift + len(octets)) * 8 // 6]
    escaped = repr(octets)[2:-1].encode()
    if escaped != octets:
        yield "escaped", escaped
    try:
        yield "UTF-16", octets.decode().encode("utf-16-le")
    except UnicodeDecodeError:
        return


def _readings(text: bytes) -> set[bytes]:
    """As it stands, and without line breaks; hexadecimal in either case, and with separators as dumps have them."""
    compact = text.translate(None, b"\r\n \t")
    return {text, compact, text.lower(), compact.lower().translate(None, b":-")}


def _origin() -> str:
    """The place in the source that made a secret of something."""
    frame = sys._getframe(1)
    while frame.f_back is not None and any(part in frame.f_code.co_filename for part in HERE):
        frame = frame.f_back
    return f"{frame.f_code.co_filename.removeprefix(ROOT)}:{frame.f_lineno}"
