"""The one error of a profile: where, what is wrong there, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class ProfileError(ValueError):
    """A profile that cannot be used.

    `path` is the key as a person reads it ("routing.include[0]"; empty: the whole profile), `reason` what is
    wrong in words without secrets, `hint` the next step (possibly empty), `source` the file it stands in.
    """

    def __init__(self, path: str, reason: str, hint: str = "", source: str = "") -> None:
        super().__init__(path, reason, hint, source)
        self.path = path
        self.reason = reason
        self.hint = hint
        self.source = source

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.path, self.reason) if part)

    def at(self, source: str) -> ProfileError:
        """The same error, naming the file."""
        return type(self)(self.path, self.reason, self.hint, source)


class ProfileNotFound(ProfileError):
    """No profile of this name."""


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or all of them where they are few; empty where none helps."""
    words = list(known)
    close = get_close_matches(word, words, n=1, cutoff=0.6)
    if close:
        return f'Did you mean "{close[0]}"?'
    return "Known: " + ", ".join(words) + "." if 0 < len(words) <= 12 else ""
