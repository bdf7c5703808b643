"""The error of an authentication that did not succeed, with the cause that a user is told."""

from __future__ import annotations

from .errors import AuthenticationFailed
from .events import Failure, Kind


class Refusal(AuthenticationFailed):
    """One side did not prove who it is, or cannot; `failure` says which and why, without secrets.

    `final`: the peer has judged the credential itself, so the same one is not tried again without the user.
    `hint` and `barred` as in `Failure`.
    """

    def __init__(
        self,
        kind: Kind,
        evidence: str,
        *,
        final: bool = False,
        subject: str = "",
        hint: str = "",
        barred: bool = False,
    ) -> None:
        super().__init__(evidence)
        self.failure = Failure(kind, evidence, final, subject, hint, barred)


def printable(text: str, limit: int = 200) -> str:
    """Text of the peer's making it safe to show: no control characters, not longer than `limit`."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
