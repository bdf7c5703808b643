"""A SIM in a card reader, and what must not happen to its PIN; the readers are virtual, as are their cards."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Event

import pytest

from client.control.messages import SecretText
from tests.ike.eap.test_usim import RAND, SET, autn
from tests.ui.signers.test_card import Owner
from tests.ui.signers.test_usim import IMSI, PIN, WRONG_PIN, virtual
from tests.ui.signers.virtual_usim import VirtualUsim
from ui.signers import pcsc, winscard
from ui.signers.pcsc import open_sim
from ui.signers.sim_plugin import Choice, PinRefused, SimError, Vectors
from ui.signers.winscard import PcscError

READER = "Alcor Micro AU9540 00 00"
VECTORS = Vectors(SET.octets("f2"), SET.octets("f3"), SET.octets("f4"))


class Connected:
    """A card as `winscard` has it."""

    def __init__(self, card: VirtualUsim) -> None:
        self._card = card
        self.is_unlocked = False
        self.blocks = card.blocks

    def transmit(self, command: bytes) -> bytes:
        return self._card.process(command)


class Desk:
    """Readers with cards, or without; `resets` are those that a program left unlocked no longer."""

    def __init__(self) -> None:
        self.slots: dict[str, VirtualUsim | int] = {}
        self.resets = 0

    def readers(self) -> list[str]:
        return list(self.slots)

    @contextmanager
    def connected(self, reader: str) -> Iterator[Connected]:
        card = self.slots[reader]
        if isinstance(card, int):
            raise PcscError(card)
        made = Connected(card)
        try:
            yield made
        finally:
            if made.is_unlocked:
                card.reset()
                self.resets += 1


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk()
    monkeypatch.setattr(pcsc, "readers", made.readers)
    monkeypatch.setattr(pcsc, "connected", made.connected)
    return made


NO_CARD, MUTE = 0x8010000C, 0x80100066


def test_a_sim_is_opened_once_and_answers_as_often_as_it_is_asked(desk: Desk) -> None:
    card, owner = virtual(), Owner(PIN)
    desk.slots = {"Empty 00 00": NO_CARD, READER: card}
    sim = open_sim(Choice(), owner)
    assert sim.subscriber().imsi == IMSI
    assert sim.authenticate(RAND, autn(SET)) == VECTORS
    sim.authenticate(RAND, autn(SET))
    assert owner.warnings == [""]
    assert card.refused == 0
    assert desk.resets == 3  # nobody else finds it open


def test_a_sim_without_a_pin_is_used_and_nobody_asked(desk: Desk) -> None:
    desk.slots = {READER: virtual(None)}
    sim = open_sim(Choice(), Owner())
    assert sim.authenticate(RAND, autn(SET)) == VECTORS
    assert desk.resets == 0


def test_a_wrong_pin_is_tried_once(desk: Desk) -> None:
    card, owner = virtual(), Owner(WRONG_PIN)
    desk.slots = {READER: card}
    with pytest.raises(PinRefused, match="2 tries are left"):
        open_sim(Choice(), owner)
    assert (card.refused, owner.pins) == (1, [])


def test_a_stored_pin_is_not_tried_where_the_sim_remembers_a_wrong_one(desk: Desk) -> None:
    card, owner = virtual(), Owner(PIN, typed=False)
    card.tries_left = 2
    desk.slots = {READER: card}
    with pytest.raises(SimError, match="a stored one is not tried") as error:
        open_sim(Choice(), owner)
    assert not isinstance(error.value, PinRefused)
    assert card.tries_left == 2


def test_who_types_the_pin_is_told_that_it_is_the_last_try(desk: Desk) -> None:
    card, owner = virtual(), Owner(PIN)
    card.tries_left = 1
    desk.slots = {READER: card}
    open_sim(Choice(), owner)
    assert owner.warnings == ["one try is left before the SIM locks itself"]
    assert card.tries_left == 3


def test_a_locked_sim_takes_no_pin(desk: Desk) -> None:
    card = virtual()
    card.tries_left = 0
    desk.slots = {READER: card}
    with pytest.raises(SimError, match="locked after too many wrong PINs"):
        open_sim(Choice(), Owner())


def test_a_pin_that_was_right_once_goes_to_no_other_card_and_is_not_tried_twice(desk: Desk) -> None:
    card, other = virtual(), virtual()
    desk.slots = {READER: card}
    sim = open_sim(Choice(), Owner(PIN))
    other._files[0x2FE2] = bytes(10)
    desk.slots = {READER: other}
    with pytest.raises(SimError, match="another card"):
        sim.authenticate(RAND, autn(SET))
    desk.slots = {READER: card}
    assert sim.authenticate(RAND, autn(SET)) == VECTORS  # the right one is back
    card._pin = WRONG_PIN  # somebody has changed it
    with pytest.raises(PinRefused):
        sim.authenticate(RAND, autn(SET))
    with pytest.raises(SimError, match="not at hand"):
        sim.authenticate(RAND, autn(SET))
    assert (card.refused, other.refused) == (1, 0)


def test_a_card_that_is_taken_out_says_so_and_serves_again_when_it_is_back(desk: Desk) -> None:
    card = virtual()
    desk.slots = {READER: card}
    sim = open_sim(Choice(), Owner(PIN))
    desk.slots = {READER: NO_CARD}
    with pytest.raises(SimError, match="no card is in the reader"):
        sim.authenticate(RAND, autn(SET))
    desk.slots = {READER: card}
    assert sim.authenticate(RAND, autn(SET)) == VECTORS


def test_of_several_sims_the_profile_must_name_one(desk: Desk) -> None:
    desk.slots = {"Alcor 00 00": virtual(), "Gemalto 00 00": virtual()}
    with pytest.raises(SimError, match="several SIMs, in Alcor 00 00, Gemalto 00 00"):
        open_sim(Choice(), Owner(PIN))
    assert open_sim(Choice(reader="gemalto"), Owner(PIN)).subscriber().imsi == IMSI


@pytest.mark.parametrize(
    ("slots", "choice", "words"),
    [
        ({}, Choice(), "there is no card reader"),
        ({READER: NO_CARD}, Choice(), f"no SIM is in {READER}"),
        ({READER: MUTE}, Choice(), "the card does not answer"),
        ({READER: NO_CARD}, Choice(reader="Gemalto"), "no card reader is called Gemalto"),
    ],
)
def test_where_there_is_no_sim_the_reason_is_said(
    desk: Desk, slots: dict[str, VirtualUsim | int], choice: Choice, words: str
) -> None:
    desk.slots = slots
    with pytest.raises(SimError, match=words):
        open_sim(choice, Owner())


def test_a_sim_of_another_subscriber_is_not_used(desk: Desk) -> None:
    desk.slots = {READER: virtual()}
    with pytest.raises(SimError, match="not that of IMSI 001010000000001"):
        open_sim(Choice(imsi="001010000000001"), Owner(PIN))
    assert open_sim(Choice(imsi=IMSI), Owner(PIN)).subscriber().imsi == IMSI


def test_without_the_library_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(winscard, "LIBRARY", "libnowhere.so.1")
    winscard._load.cache_clear()
    try:
        with pytest.raises(SimError, match=r"needs libnowhere.so.1, which is not installed") as error:
            winscard.readers()
        assert "apt install pcscd libpcsclite1" in error.value.hint
    finally:
        winscard._load.cache_clear()


def test_a_card_that_comes_too_late_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever had it may be done with it after we have given up: then nobody may have to wait for us."""
    monkeypatch.setattr(winscard, "PATIENCE", 0.01)
    free, given_back = Event(), Event()
    with ExitStack() as stack:
        stack.callback(given_back.set)
        with pytest.raises(PcscError, match="another program has the card"):
            winscard._patiently(lambda: 0 if free.wait(60) else 1, stack)
    assert not given_back.is_set()  # whatever else is called would wait too
    free.set()
    assert given_back.wait(60)


def test_an_unknown_failure_of_the_reader_has_its_number() -> None:
    assert str(PcscError(0x80100099)) == "the card reader has failed (PC/SC error 80100099)"


def test_the_library_is_loaded_for_nobody_else() -> None:
    """The command line loads the plugin's modules for profiles with a SIM alone."""
    code = (
        "import sys, ui.cli, ui.commands.up; print('ui.signers.pcsc' in sys.modules, 'ctypes' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.split()[0] == "False"


def test_a_pin_is_kept_where_nobody_sees_it(desk: Desk) -> None:
    desk.slots = {READER: virtual()}
    sim = open_sim(Choice(), Owner(PIN))
    assert isinstance(sim._pin, SecretText)
    assert PIN not in repr(vars(sim))
    assert "f2" not in repr(VECTORS)
    assert repr(VECTORS) == "Vectors()"
