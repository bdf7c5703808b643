"""Secrets and the key derivations of RFC 7296 sections 2.13, 2.14, 2.17 and 2.18."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Octets that must not be shown: redacted repr, constant-time comparison, no pickling."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = bytes(value)

    def reveal(self) -> bytes:
        """The octets themselves: call it only where a primitive or the wire needs them."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> NoReturn:
        raise TypeError("a secret is no dictionary key")

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")
