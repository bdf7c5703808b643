"""Questions that wait for a person: asked of the tunnel's owner, answered once, void after two minutes."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from ..control.messages import HELD_KINDS, SecretNeeded, SignatureWanted, SimChallenge
from ..ike.core import SIGN_WITHIN
from .order import Key

ANSWER_WITHIN = 120.0


@dataclass(frozen=True, slots=True)
class OfProfile:
    """The answer is the secret that the profile refers to so."""

    reference: str


@dataclass(frozen=True, slots=True)
class OfLogin:
    """The answer goes to the login of this leg, which waits for it, and nowhere else."""

    leg: int


@dataclass(frozen=True, slots=True)
class OfGateway:
    """The answer says whether the gateway may have the key with this fingerprint."""

    mark: str


Subject = OfProfile | OfLogin | OfGateway


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, and what the answer is for."""

    needed: SecretNeeded
    key: Key
    subject: Subject


class Questions:
    """All questions that are still open; `wall` is Unix time."""

    def __init__(self, wall: Callable[[], float], publish: Callable[[SecretNeeded], None]) -> None:
        self._wall = wall
        self._publish = publish
        self._open: dict[str, Question] = {}

    def ask(
        self,
        key: Key,
        owner: int,
        subject: Subject,
        kind: str,
        prompt: str,
        signature: SignatureWanted | None = None,
        reference: str = "",
        challenge: SimChallenge | None = None,
    ) -> None:
        """Ask; an earlier question about the same tunnel is void."""
        self.withdraw(key)
        expires = self._wall() + (SIGN_WITHIN if kind in HELD_KINDS else ANSWER_WITHIN)
        number = secrets.token_hex(8)
        needed = SecretNeeded(number, key.id, kind, prompt, expires, owner, signature, reference, challenge)
        self._open[needed.id] = Question(needed, key, subject)
        self._publish(needed)

    def pending(self) -> tuple[SecretNeeded, ...]:
        """The questions that can still be answered."""
        return tuple(question.needed for question in self._open.values() if self._is_open(question))

    def find(self, number: str) -> Question | None:
        """The open question with this id."""
        question = self._open.get(number)
        return question if question is not None and self._is_open(question) else None

    def close(self, number: str) -> None:
        """It was answered, or will not be."""
        self._open.pop(number, None)

    def withdraw(self, key: Key, subject: Subject | None = None) -> None:
        """Nobody needs an answer for this tunnel any more, or (with a subject) for this of it."""
        self._open = {
            number: question
            for number, question in self._open.items()
            if self._is_open(question) and (question.key != key or subject not in (None, question.subject))
        }

    def _is_open(self, question: Question) -> bool:
        return self._wall() < question.needed.expires
