"""A profile for strangers' eyes: what it is made of, without who and where, and without its comments.

What may stay is listed; everything else goes, so that a key which is new, or was mistyped, gives nothing away.
"""

from __future__ import annotations

import json

from .errors import ProfileError
from .toml_text import parse

OPEN_TEXTS = frozenset(
    {
        "schema", "port", "transport", "match", "type", "method", "eap_methods", "system_store", "revocation",
        "preset", "ike", "esp", "pfs", "allow_legacy", "request", "mode", "guard", "mobike", "autoconnect",
        "force_encap", "data_path", "send_idr",
    }
)  # fmt: skip
"""Keys whose text comes from a list of the schema's, or from the registry of algorithms."""
_SCHEMES = ("keyring:", "credential:", "file:", "pkcs11:", "agent:", "sim:", "ask:")


def redacted_profile(text: str) -> str:
    """One line of JSON.  Equal names stay recognisable as equal, by a number."""
    try:
        table = parse(text)
    except ProfileError as error:
        line = error.reason.rpartition("(at ")[2].rstrip(")") or "somewhere"
        return json.dumps({"unreadable": line})
    return json.dumps(_Eraser().value("", table))


class _Eraser:
    def __init__(self) -> None:
        self._seen: dict[str, str] = {}

    def value(self, key: str, value: object) -> object:
        match value:
            case dict():
                return {self._key(name): self.value(name, entry) for name, entry in value.items()}
            case list():
                return [self.value(key, entry) for entry in value]
            case str() if key not in OPEN_TEXTS or not value.isascii() or len(value) > 200:
                return self._placeholder(value)
            case bool() | int() | float() | str():
                return value
            case _:
                return "…"

    def _key(self, name: str) -> str:
        """A key of the schema is a word; anything else might be what somebody wrote in the wrong place."""
        return name if name.replace("_", "").isalpha() and len(name) <= 24 else self._placeholder(name)

    def _placeholder(self, text: str) -> str:
        scheme = next((scheme for scheme in _SCHEMES if text.startswith(scheme)), "")
        return scheme + self._seen.setdefault(text, f"<{len(self._seen) + 1}>")
