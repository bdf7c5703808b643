"""Takes people, places and keys out of a text that strangers will read.  Pure.

Equal things become equal placeholders, so that a reader still sees who is who.  Addresses that say nothing of a
place (private, link-local, loopback, documentation) stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import ip_address

SHORTEST = 3
"""Characters of a private word: replacing shorter ones would spoil the text and hide nothing."""

_ASSIGNED = re.compile(
    r"(?i)\b(pass(?:word|phrase|wd)?|secret|psk|pin|otp|token)(\"?\s*[=:]\s*\"?)(?!<)[^\s\",;}{\]]+"
)
_BLOB = re.compile(r"(?<![\w/+.-])(?:[0-9a-fA-F]{32,}|[\w+/-]{48,}={0,2})(?![\w/+])")
_PERSON = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)*")
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|(?=[0-9a-fA-F:]*:[0-9a-fA-F:]*:)[0-9a-fA-F:]{3,39})(?![\w:]|\.\d)"
)


class Scrubber:
    """`words` are what is known to be private: names of people, computers, gateways, directories."""

    def __init__(self, words: Iterable[str], *, keep_addresses: bool = False) -> None:
        known = sorted({word for word in words if len(word) >= SHORTEST}, key=len, reverse=True)
        self._words = re.compile("|".join(map(_whole, known))) if known else None
        self._keep_addresses = keep_addresses
        self._seen: dict[str, str] = {}

    def clean(self, text: str) -> str:
        """`text` without what is private."""
        text = _ASSIGNED.sub(r"\1\2<secret>", text)
        if self._words is not None:
            text = self._words.sub(lambda found: self._placeholder("name", found[0]), text)
        text = _PERSON.sub(lambda found: self._placeholder("person", found[0]), text)
        text = _BLOB.sub("<blob>", text)
        return text if self._keep_addresses else _ADDRESS.sub(self._address, text)

    def _address(self, found: re.Match[str]) -> str:
        try:
            address = ip_address(found[0])
        except ValueError:
            return found[0]
        return self._placeholder("address", found[0]) if address.is_global else found[0]

    def _placeholder(self, kind: str, text: str) -> str:
        number = 1 + sum(value.startswith(f"<{kind}-") for value in self._seen.values())
        return self._seen.setdefault(text.lower(), f"<{kind}-{number}>")


def _whole(word: str) -> str:
    return rf"(?<!\w){re.escape(word)}(?!\w)"
