"""How a tunnel logs in: as its user wants it, or in the other way once the gateway has refused that."""

from __future__ import annotations

from dataclasses import replace

from ..ike.inquest import Memory
from ..ike.keys import Secret
from ..ike.options import SessionConfig
from ..ike.quirks import Habits, Quirk, QuirkSwitches

NO_SWITCHES = QuirkSwitches()


class Logins:
    """What is wanted, and what earlier logins have taught: habits of the gateway, certificates looked after."""

    def __init__(self) -> None:
        self._wanted: SessionConfig | None = None
        self._after_refusal: SessionConfig | None = None
        self._memory = Memory()
        self._habits = Habits()

    def want(self, session: SessionConfig, after_refusal: SessionConfig | None) -> None:
        """What to log in with from now on; habits may have been those of another gateway."""
        self._wanted, self._after_refusal = session, after_refusal
        self._habits = Habits()

    @property
    def wanted(self) -> SessionConfig:
        """What the next login is made with."""
        if self._wanted is None:
            raise AssertionError("a session is started before anybody wants one")
        return self._wanted

    @property
    def config(self) -> SessionConfig:
        """The same with what earlier ones have taught."""
        return replace(self.wanted, memory=self._memory, habits=self._habits)

    @property
    def is_other(self) -> bool:
        """Whether the gateway has refused what was wanted first."""
        return self._wanted is not None and self._wanted is self._after_refusal

    @property
    def quirks(self) -> QuirkSwitches:
        """What the user has decided about peculiar gateways."""
        return NO_SWITCHES if self._wanted is None else self._wanted.quirks

    def is_used(self, quirk: Quirk) -> bool:
        """Whether the user lets us adapt to it."""
        return quirk not in self.quirks.off

    def refuse(self) -> bool:
        """The gateway has refused: go on with the other way, if there is one; False where a switch forbids it."""
        if self._after_refusal is None:
            return True
        if self.is_used(Quirk.UNNAMED_GATEWAY):
            self._wanted = self._after_refusal
            return True
        return False

    def replace_secret(self, was: Secret, now: Secret) -> None:
        """No later login tries the password that was refused."""
        if self._wanted is None:
            return
        is_other = self.is_other
        self._wanted = self._wanted.with_password(was, now)
        if is_other:
            self._after_refusal = self._wanted
        elif self._after_refusal is not None:
            self._after_refusal = self._after_refusal.with_password(was, now)
