"""What the EAP peer asks of a method, how a method asks the user, and how it says no."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import ClassVar, Protocol, runtime_checkable

from ..events import AnswerKind, Kind, SignatureWanted, SimChallenge
from ..keys import Secret
from ..refusal import Refusal
from ..registry import EapType
from .packet import EapPacket


class EapFailed(Refusal):
    """The EAP dialogue is over without success: nothing more is sent, unless `last_words` tell the server why.

    `in_passing`: the server has judged already, so that nobody waits for what it says to the last words.
    """

    def __init__(
        self,
        kind: Kind,
        evidence: str,
        last_words: bytes | None = None,
        *,
        hint: str = "",
        barred: bool = False,
    ) -> None:
        # A refusal is the server's judgement of the password itself; anything else may pass.
        super().__init__(kind, evidence, final=kind is Kind.AUTH_REJECTED, hint=hint, barred=barred)
        self.last_words = last_words
        self.in_passing = False

    def leaving_with(self, words: bytes) -> EapFailed:
        """The same, with last words in passing."""
        self.last_words, self.in_passing = words, True
        return self

    def saying(self, wrap: Callable[[bytes], bytes]) -> EapFailed:
        """The same, its last words put into those of the next layer."""
        if self.last_words is not None:
            self.last_words = wrap(self.last_words)
        return self


@dataclass(frozen=True, slots=True)
class Ask:
    """Only the user can answer this request: `resume` takes the answer and gives what `answer` would have."""

    kind: AnswerKind
    prompt: str  # the server's words, safe to show; may be empty
    resume: Callable[[Secret], bytes | Ask] = field(repr=False)
    refusal: EapFailed | None = None  # what the server has judged already, if the answer is another try
    signature: SignatureWanted | None = None  # for AnswerKind.SIGNATURE, which the key's holder answers
    challenge: SimChallenge | None = None  # for AnswerKind.SIM_CHALLENGE


def then(step: Callable[[], bytes | Ask], wrap: Callable[[bytes], bytes]) -> bytes | Ask:
    """What a step answers, put into the words of the next layer: now, when the user has answered, or at the end."""
    try:
        outcome = step()
    except EapFailed as failure:
        raise failure.saying(wrap) from None
    if isinstance(outcome, Ask):
        return replace(outcome, resume=lambda said: then(lambda: outcome.resume(said), wrap))
    return wrap(outcome)


class Method(Protocol):
    """One run of one EAP method on the peer's side.

    A method enforces its own order: what comes in a state that does not expect it raises `EapFailed`.
    """

    TYPE: ClassVar[EapType]

    @property
    def is_done(self) -> bool:
        """Whether an EAP-Success may come now, by the method's own rules (RFC 3748 section 4.2)."""
        ...

    @property
    def msk(self) -> Secret | None:
        """The master session key, at least 64 octets, once done; always None for a method without a key."""
        ...

    def answer(self, request: EapPacket) -> bytes | Ask:
        """Type data of the response to a request; `EapFailed` or `ProtocolError` otherwise."""
        ...


@runtime_checkable
class Tunnel(Protocol):
    """A method that carries another one inside."""

    @property
    def is_open(self) -> bool:
        """Whether the one inside may have begun."""
        ...


@runtime_checkable
class Remarking(Protocol):
    """A method that may have something to say to the user about a login that goes on."""

    @property
    def remark(self) -> str:
        """It, or nothing."""
        ...
