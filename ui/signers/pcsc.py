"""A SIM in a card reader (PC/SC): the plugin that Roam brings along; see `sim_plugin` for what it is to do.

A SIM counts wrong PINs and locks itself after three.  So a PIN is tried once: one that was stored is not even tried
where the SIM remembers a wrong one already, and one that was refused never again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from client.control.messages import SecretText

from .apdu import drive
from .sim_plugin import AskPin, Choice, Judgement, PinRefused, SimError, Subscriber
from .usim import Look, authenticate, look, subscriber, tries, unlock
from .winscard import NO_CARD, NO_READERS, Card, PcscError, connected, readers

ALL_TRIES = 3
"""Wrong PINs that lock a SIM (TS 102 221 section 9.5.1)."""


class SimInReader:
    """A USIM; it is unlocked for each challenge with the PIN that has proven right, and left locked."""

    def __init__(self, reader: str, seen: Look, pin: SecretText | None) -> None:
        self._reader = reader
        self._seen = seen
        self._pin = pin
        with self._unlocked() as card:
            self._subscriber = drive(subscriber(), card.transmit, blocks=card.blocks)

    def subscriber(self) -> Subscriber:
        """Whose it is, as it has said once it was unlocked."""
        return self._subscriber

    def authenticate(self, rand: bytes, autn: bytes) -> Judgement:
        """Have it answer; a card that was taken out meanwhile and is back is opened anew."""
        with self._unlocked() as card:
            return drive(authenticate(rand, autn), card.transmit, blocks=card.blocks)

    @contextmanager
    def _unlocked(self) -> Iterator[Card]:
        with connected(self._reader) as card:
            pin, self._pin = self._pin, None  # what is refused is not tried again, whatever happens
            card.is_unlocked = pin is not None
            dialogue = unlock(self._seen, None if pin is None else pin.reveal())
            try:
                drive(dialogue, card.transmit, blocks=card.blocks)
            except PinRefused:
                raise
            except SimError:
                self._pin = pin
                raise
            self._pin = pin
            yield card


def open_sim(choice: Choice, ask_pin: AskPin) -> SimInReader:
    """The one SIM in a reader that fits, unlocked; `SimError` where there are none or several."""
    reader, seen = _find(choice)
    sim = SimInReader(reader, seen, _pin(seen, ask_pin))
    if choice.imsi not in {"", sim.subscriber().imsi}:
        raise SimError(f"the SIM in {reader} is not that of IMSI {choice.imsi}", "Insert the right one.")
    return sim


def _find(choice: Choice) -> tuple[str, Look]:
    known = readers()
    if not known:
        raise PcscError(NO_READERS)
    wanted = [name for name in known if choice.reader.casefold() in name.casefold()]
    if not wanted:
        raise SimError(f"no card reader is called {choice.reader} (there are: {', '.join(known)})")
    found, troubles = [], []
    for name in wanted:
        try:
            with connected(name) as card:
                found.append((name, drive(look(), card.transmit, blocks=card.blocks)))
        except SimError as error:
            if not (isinstance(error, PcscError) and error.code in NO_CARD):
                troubles.append(error)
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(name for name, _ in found)
        raise SimError(f"there are several SIMs, in {names}", 'Name a part of one: key = "sim:reader=…".')
    raise next(iter(troubles), SimError(f"no SIM is in {', '.join(wanted)}", "Insert it."))


def _pin(seen: Look, ask_pin: AskPin) -> SecretText | None:
    if seen.lock is None:
        return None
    left = seen.lock.tries_left
    if left == 0:
        raise SimError("the SIM is locked after too many wrong PINs", "Its PUK unlocks it, in a telephone.")
    warning = tries(left) if left < ALL_TRIES else ""
    if left == 1:
        warning += " before the SIM locks itself"
    pin = ask_pin(warning)
    if warning and not pin.typed:
        raise SimError(f"of the SIM's PIN {warning}: a stored one is not tried then", "'roam up --ask' asks.")
    return pin.value
