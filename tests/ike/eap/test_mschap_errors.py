"""Codes of MS-CHAPv2 (RFC 2759 section 6): each has its sentence, its advice, and what the user is asked for."""

from __future__ import annotations

import pytest

from client.ike.eap.mschap_errors import VERDICTS, MschapError, push_error
from client.ike.events import AnswerKind, Failure, Kind

CHALLENGE = bytes(range(16))
PASSWORD, NEW = AnswerKind.PASSWORD, AnswerKind.NEW_PASSWORD

# code, what is the matter, what to do next, asked for with R=0 and with R=1, whether no password would do
CODES = [
    (646, "not allowed to log on at this hour", "within the account's hours", None, None, True),
    (647, "disabled or locked", "further tries may prolong the lock", None, None, True),
    (648, "the password has expired", "asks for a new one, and changes it", NEW, NEW, False),
    (649, "no permission to dial in", "permission for remote access", None, None, True),
    (691, "user name or password is wrong", "asks for the password again", None, PASSWORD, False),
    (709, "could not be changed", "rules allow", None, None, True),
    (12345, "the server refuses the login", "what this code means", None, PASSWORD, False),
    (None, "the server refuses the login", "asks for the password again", None, PASSWORD, False),
]


def failure(error: MschapError) -> Failure:
    found = error.refusal().failure
    assert found is not None
    return found


@pytest.mark.parametrize(("code", "meaning", "advice", "without", "retry", "barred"), CODES)
def test_a_code_has_a_sentence_an_advice_and_a_remedy(
    code: int | None,
    meaning: str,
    advice: str,
    without: AnswerKind | None,
    retry: AnswerKind | None,
    barred: bool,
) -> None:
    for may_retry, remedy in ((False, without), (True, retry)):
        body = push_error(CHALLENGE, code or 0, "Words", retry=may_retry)
        error = MschapError.pull(body if code else body.replace(b"E=0 ", b""))
        assert (error.code, error.challenge, error.remedy) == (code, CHALLENGE, remedy)
        found = failure(error)
        assert (found.kind, found.final, found.barred) == (Kind.AUTH_REJECTED, True, barred)
        assert meaning in found.evidence
        assert found.evidence.endswith("the server says: Words")
        assert (f"(E={code})" in found.evidence) is (code is not None)
        assert advice in found.hint


def test_no_two_codes_are_told_the_same() -> None:
    said = [failure(MschapError(code, retry=False, challenge=CHALLENGE, message="")) for code in VERDICTS]
    assert (
        len({found.evidence for found in said}) == len({found.hint for found in said}) == len(VERDICTS) == 6
    )


@pytest.mark.parametrize("code", VERDICTS)
def test_without_a_challenge_nothing_is_asked_for(code: int) -> None:
    error = MschapError.pull(f"E={code} R=1 C=00 V=3".encode())
    assert error.remedy is None


def test_an_expired_password_that_cannot_be_changed_here_is_to_be_changed_elsewhere() -> None:
    found = failure(MschapError.pull(b"E=648 R=0 V=3"))
    assert "takes no new one" in found.hint
    assert "roam up" not in found.hint
