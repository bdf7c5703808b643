"""What one tunnel holds of the machine: its share in the applier's work, and what became of the last change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from ..tunnel.events import ApplyFailed, Event
from ..tunnel.model import Underlay
from .applier import Applier, Share
from .inbox import Inbox, SystemAnswer


class Holding:
    """The share of the tunnel `name`, None while it has none; answers carry the generation they belong to."""

    def __init__(self, name: str, applier: Applier, inbox: Inbox) -> None:
        self.share: Share | None = None
        self._name = name
        self._applier = applier
        self._inbox = inbox
        self._generation = 0

    def take(self, share: Share) -> None:
        """Have the machine made what `share` says; the answer comes through the inbox."""
        self.share = share
        self._generation += 1
        self._applier.share(self._name, share, self._answering())

    def release(self) -> None:
        """Have everything taken off the machine; the answer comes through the inbox."""
        self.share = None
        self._generation += 1
        self._applier.withdraw(self._name, self._answering())

    def use(self, underlays: frozenset[Underlay]) -> None:
        """Answers to our datagrams must come in on every path in use."""
        if self.share is not None and self.share.underlays != underlays:
            self.share = replace(self.share, underlays=underlays)
            self._applier.share(self._name, self.share, self._answering(only_failures=True))

    def resize(self, mtu: int | None) -> None:
        """The link is to be as large as what the path carries."""
        if self.share is not None and self.share.up is not None and self.share.mtu != mtu:
            self.share = replace(self.share, mtu=mtu)
            self._applier.share(self._name, self.share)

    def hears(self, answer: SystemAnswer) -> bool:
        """Whether `answer` is about the last change: of earlier ones nothing is of interest any more."""
        if answer.generation != self._generation:
            return False
        if self.share is not None and isinstance(answer.event, ApplyFailed):
            self.share = replace(self.share, up=None)
        return True

    def _answering(self, *, only_failures: bool = False) -> Callable[[Event], None]:
        return partial(self._answer, self._generation, only_failures)

    def _answer(self, generation: int, only_failures: bool, event: Event) -> None:
        """Paths that the machine was not made to let through are of no use; success may say nothing new."""
        if isinstance(event, ApplyFailed) or not only_failures:
            self._inbox.put(SystemAnswer(generation, event))
