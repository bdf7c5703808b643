"""Proposals of foreign files in the words of a profile; what Roam does not speak is left out, and said.

`KNOWN` is what the engine has (a test compares), so that a profile never names what it cannot use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..weakness import weak_words
from .draft import Draft

ENCRYPTION = {
    "aes128gcm16",
    "aes192gcm16",
    "aes256gcm16",
    "chacha20poly1305",
    "aes128",
    "aes192",
    "aes256",
}
INTEGRITY = {"sha1", "sha256", "sha384", "sha512"}
PRF = {"prfsha1", "prfsha256", "prfsha384", "prfsha512"}
GROUPS = {"x25519", "ecp256", "ecp384", "ecp521", "modp1024", "modp1536", "modp2048", "modp3072", "modp4096"}
KNOWN = ENCRYPTION | INTEGRITY | PRF | GROUPS
_AEAD = {"aes128gcm16", "aes192gcm16", "aes256gcm16", "chacha20poly1305"}
_SYNONYMS = {
    "aes": "aes128",
    "sha": "sha1",
    "sha2_256": "sha256",
    "sha2_384": "sha384",
    "sha2_512": "sha512",
    "sha2": "sha256",
    "curve25519": "x25519",
    "prfsha2_256": "prfsha256",
    "prfsha2_384": "prfsha384",
    "dh2": "modp1024",
    "dh5": "modp1536",
    "dh14": "modp2048",
    "dh15": "modp3072",
    "dh16": "modp4096",
    "dh19": "ecp256",
    "dh20": "ecp384",
    "dh21": "ecp521",
    "dh31": "x25519",
}
_SILENT = {"noesn", "none", "modpnone"}


@dataclass(frozen=True, slots=True)
class Translated:
    """Proposals that can be offered, and the words of the foreign file that cannot."""

    proposals: tuple[str, ...]
    dropped: tuple[str, ...]

    @property
    def weak(self) -> tuple[str, ...]:
        """The words in them that need `allow_legacy`."""
        return weak_words(self.proposals)


def translate(proposals: Sequence[str], *, esp: bool) -> Translated:
    """Each proposal without the words that Roam does not speak; one that cannot do without them is dropped."""
    kept: dict[str, None] = {}
    dropped: dict[str, None] = {}
    for text in proposals[:64]:
        words = [_plain(word) for word in text.strip().rstrip("!").lower().split("-") if word]
        known = [word for word in words if word in KNOWN or (esp and word == "esn")]
        lost = [word for word in words if word not in known and word not in _SILENT]
        dropped.update(dict.fromkeys(word[:40] for word in lost))
        if len(known) <= 24 and (whole := _whole(known, esp=esp)):
            kept[whole] = None
        elif not lost and text.strip():
            dropped[text.strip()[:60]] = None
    return Translated(tuple(kept), tuple(dropped))


def _plain(word: str) -> str:
    word = _SYNONYMS.get(word, word)
    if word.startswith("aes") and "gcm" in word:
        size, _, tag = word.removeprefix("aes").partition("gcm")
        return f"aes{size or '128'}gcm16" if tag in ("", "16", "128") else word
    return word


def _whole(words: list[str], *, esp: bool) -> str:
    """The words as a proposal that the engine accepts; "" where something essential is missing."""
    unique = list(dict.fromkeys(words))
    has = [{word for word in unique if word in kind} for kind in (ENCRYPTION, INTEGRITY, PRF, GROUPS)]
    ciphers, integrity, prf, groups = has
    if not ciphers or (not integrity and not ciphers <= _AEAD):
        return ""
    if esp:
        return "-".join(word for word in unique if word not in PRF)
    return "-".join(unique) if groups and (integrity or prf) else ""


def offer(draft: Draft, source: str, key: str, proposals: Sequence[str], *, default: str = "") -> None:
    """Put proposals into crypto.ike or crypto.esp (`key`); without a usable one the preset's stay.

    `default` is what the foreign program means by the word "default".
    """
    wanted = [text for text in proposals if text.strip() not in ("", "default")]
    if not wanted:
        if proposals:
            sentence = "The other program's own defaults: here they are those of the preset."
            draft.differs(source, f"{sentence} {default}".strip(), "crypto.preset")
        return
    found = translate(wanted, esp=key == "esp")
    path, lost = f"crypto.{key}", ", ".join(found.dropped[:8])
    if not found.proposals:
        draft.differs(
            source, f"Roam speaks none of it ({lost}): the preset's proposals stand instead.", "crypto.preset"
        )
        return
    value = list(found.proposals[:16])
    if found.weak:
        draft.put("crypto.allow_legacy", True)
    weak = f" Weak: {', '.join(found.weak)}; crypto.allow_legacy is set for it." if found.weak else ""
    if found.dropped:
        draft.bend(source, path, value, f"Without {lost}, which Roam does not speak.{weak}")
    elif weak:
        draft.keep(source, path, value, f"Kept.{weak}")
    else:
        draft.keep(source, path, value)


def perfect_secrecy(draft: Draft, proposals: Sequence[str]) -> None:
    """`pfs` as ESP proposals imply it: required where all have a group, else offered where one has."""
    found = translate(proposals, esp=True).proposals
    with_group = [text for text in found if GROUPS & set(text.split("-"))]
    bare = any("none" in text.lower().split("-") for text in proposals)
    if found:
        draft.put(
            "crypto.pfs",
            "off" if not with_group else "offer" if bare or len(with_group) < len(found) else "require",
        )
