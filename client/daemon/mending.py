"""What is told of the data paths' repairs: each in the log, and a fight with another program as a warning."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ..net.processes import process_of
from ..system.datapath import PoliciesMended
from ..system.feud import Feud

log = logging.getLogger("roam.applier")


class Mending:
    """Input: `hear`; getter: `fight`."""

    def __init__(self, warn: Callable[[str], None], name_of: Callable[[int], str]) -> None:
        """`warn` hears of a fight; `name_of` tells how a process is called, if it can."""
        self._warn = warn
        self._name_of = name_of
        self._feud = Feud()

    def hear(self, event: PoliciesMended, now: float) -> None:
        """Something of ours was put back."""
        for step in event.steps:
            log.info("somebody had changed it, put back: %s", step)
        before = self._feud.is_on(now)
        suspects = [process for port in event.by if (process := process_of(port))]
        self._feud = self._feud.repaired(event.steps, suspects, now)
        if not before and (told := self.fight(now)):
            self._warn(told)

    def fight(self, now: float) -> str:
        """Who keeps undoing what the data path puts back, and what to do about it; "" where nobody does."""
        return self._feud.told(now, self._name_of)
