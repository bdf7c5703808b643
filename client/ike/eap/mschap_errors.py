"""What a server says when MS-CHAPv2 does not succeed (RFC 2759 section 6): `E=691 R=1 C=… V=3 M=words`.

The code says what is the matter with the account, and with that whether the user can mend it here and now.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..events import AnswerKind, Kind
from ..refusal import printable
from .method import EapFailed


@dataclass(frozen=True, slots=True)
class _Verdict:
    """One code: its meaning, what to do next, and what the user may be asked for in the same login.

    `barred`: no password would do, so that the user is asked for none afterwards either.
    """

    meaning: str
    hint: str
    remedy: AnswerKind | None = None
    barred: bool = False


WRONG_PASSWORD, EXPIRED, NOT_CHANGED = 691, 648, 709
VERDICTS = {
    646: _Verdict(
        "the account is not allowed to log on at this hour",
        "Try again within the account's hours, or ask the administrator to extend them.",
        barred=True,
    ),
    647: _Verdict(
        "the account is disabled or locked",
        "Wait, or ask the administrator to unlock the account: further tries may prolong the lock.",
        barred=True,
    ),
    EXPIRED: _Verdict(
        "the password has expired",
        "'roam up' in a terminal asks for a new one, and changes it.",
        AnswerKind.NEW_PASSWORD,
    ),
    649: _Verdict(
        "the account has no permission to dial in",
        "Ask the administrator to give the account permission for remote access (dial-in).",
        barred=True,
    ),
    WRONG_PASSWORD: _Verdict(
        "user name or password is wrong",
        "Check the user name in the profile; 'roam up NAME --ask' asks for the password again, stored or not. "
        "Many tries may lock the account.",
        AnswerKind.PASSWORD,
    ),
    NOT_CHANGED: _Verdict(
        "the password could not be changed",
        "The old one still stands: 'roam up' asks for a new one again. Choose one that the organization's rules "
        "allow (its length, its characters, none that was used before).",
        barred=True,
    ),
}
_NOT_CHANGEABLE = (
    "Change it where your organization lets you (a page of its own, a computer in the office): this server takes "
    "no new one in the course of a login."
)
_UNKNOWN = _Verdict(
    "the server refuses the login",
    "Ask the administrator what this code means; 'roam up NAME --ask' asks for the password again.",
    AnswerKind.PASSWORD,
)


@dataclass(frozen=True, slots=True)
class MschapError:
    """One refusal; fields may be missing, in any order, or senseless."""

    code: int | None
    retry: bool  # R=1
    challenge: bytes | None  # for another try; None where there is none that can be used
    message: str  # what the server wants the user to read, safe to show

    @classmethod
    def pull(cls, body: bytes) -> MschapError:
        """The body of a Failure packet, or an MS-CHAP-Error attribute without its identifier."""
        text = body.decode("ascii", errors="replace")
        code = re.search(r"(?:^| )E=(\d{1,10})", text)
        challenge = re.search(r"(?:^| )C=([0-9A-Fa-f]{32})(?: |\0|$)", text)
        said = re.search(r"(?:^| )M=(.*)", text, re.DOTALL)
        return cls(
            code=None if code is None else int(code[1]),
            retry=re.search(r"(?:^| )R=1(?: |\0|$)", text) is not None,
            challenge=None if challenge is None else bytes.fromhex(challenge[1]),
            message="" if said is None else printable(said[1].strip("\0 ")),
        )

    @property
    def remedy(self) -> AnswerKind | None:
        """What the user may be asked for in the same login, if the server has sent a challenge for it.

        An expired password may be changed whatever R says (servers send R=0); another one is for the server to
        allow, and is of no use where the account itself is refused.
        """
        if self.challenge is None:
            return None
        wanted = self._verdict.remedy
        return wanted if self.retry or wanted is AnswerKind.NEW_PASSWORD else None

    def refusal(self) -> EapFailed:
        """What the user is told."""
        verdict = self._verdict
        is_stuck = self.code == EXPIRED and self.challenge is None
        hint = _NOT_CHANGEABLE if is_stuck else verdict.hint
        evidence = verdict.meaning if self.code is None else f"{verdict.meaning} (E={self.code})"
        if self.message:
            evidence += f", the server says: {self.message}"
        return EapFailed(Kind.AUTH_REJECTED, evidence, hint=hint, barred=verdict.barred)

    @property
    def _verdict(self) -> _Verdict:
        return _UNKNOWN if self.code is None else VERDICTS.get(self.code, _UNKNOWN)


def push_error(
    challenge: bytes, code: int = WRONG_PASSWORD, message: str = "", *, retry: bool = False
) -> bytes:
    """What a server says; `retry` allows a further try."""
    return f"E={code} R={int(retry)} C={challenge.hex().upper()} V=3 M={message}".encode()
