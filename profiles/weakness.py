"""What `allow_legacy` admits, and what is to be said to people whose tunnel rests on it."""

from __future__ import annotations

from collections.abc import Iterable

from .model import Crypto

REMARKS: dict[str, str] = {
    "modp1024": "MODP-1024 is breakable by a well-funded attacker; ask the administrator for group 14 or better",
    "modp1536": "MODP-1536 is too small to keep secrets for years; ask the administrator for group 14 or better",
    "sha1": "HMAC-SHA1 is no longer recommended; ask the administrator for SHA-256 or better",
    "prfsha1": "HMAC-SHA1 is no longer recommended; ask the administrator for SHA-256 or better",
}
"""Words of proposals that need `allow_legacy`, each with a sentence about it (RFC 8247 section 2)."""

_SPELLINGS = {"sha": "sha1"}


def weak_words(proposals: Iterable[str]) -> tuple[str, ...]:
    """The words among proposals that need `allow_legacy`, each once."""
    words = (word for text in proposals for word in text.strip().lower().split("-"))
    spelled = dict.fromkeys(_SPELLINGS.get(word, word) for word in words)
    return tuple(word for word in spelled if word in REMARKS)


def remarks(words: Iterable[str]) -> tuple[str, ...]:
    """What is to be said of these words, each sentence once; the worst comes first."""
    found = set(words)
    return tuple(dict.fromkeys(text for word, text in REMARKS.items() if word in found))


def of_crypto(crypto: Crypto) -> tuple[str, ...]:
    """What is to be said of a profile's own proposals."""
    return remarks(weak_words((*crypto.ike, *crypto.esp)))
