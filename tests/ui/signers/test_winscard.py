"""libpcsclite's calls: what is asked of it, what is given back, and what its answers mean."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from ui.signers import winscard
from ui.signers.winscard import PcscError, connected, readers

READER = "Alcor Micro AU9540 00 00"
T0, T1, LEAVE, RESET = 1, 2, 0, 1


class Library:
    """It answers as libpcsclite does; `failing` are codes by the names of calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing: dict[str, int] = {}
        self.protocol = T0
        self.busy_from = ""  # the call that waits for another program
        self.free = Event()

    def _answer(self, name: str) -> int:
        self.calls.append(name)
        return self.failing.get(name, 0)

    def SCardEstablishContext(self, *_: object) -> int:
        return self._answer("establish")

    def SCardReleaseContext(self, _: object) -> int:
        return self._answer("release")

    def SCardListReaders(self, _context: object, _groups: object, names: Any, size: Any) -> int:  # noqa: ANN401
        octets = READER.encode() + b"\0Gemalto 00 00\0\0"
        ctypes.memmove(names, octets, len(octets))
        size._obj.value = len(octets)
        return self._answer("list")

    def SCardConnect(self, *arguments: Any) -> int:  # noqa: ANN401
        assert arguments[1] == READER.encode()
        arguments[5]._obj.value = self.protocol
        if self.busy_from == "connect":
            self.free.wait(30)
        return self._answer("connect")

    def SCardBeginTransaction(self, _: object) -> int:
        if self.busy_from == "begin":
            self.free.wait(30)
        return self._answer("begin")

    def SCardTransmit(self, *arguments: Any) -> int:  # noqa: ANN401
        assert arguments[1][0] == self.protocol
        answer = bytes(arguments[2][: arguments[3].value])[::-1] + b"\x90\x00"
        ctypes.memmove(arguments[5], answer, len(answer))
        arguments[6]._obj.value = len(answer)
        return self._answer("transmit")

    def SCardDisconnect(self, _: object, end: ctypes.c_ulong) -> int:
        return self._answer(f"disconnect {end.value}")


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Library]:
    made = Library()
    monkeypatch.setattr(winscard, "_load", lambda: made)
    yield made
    made.free.set()


def test_readers_are_named(library: Library) -> None:
    assert readers() == [READER, "Gemalto 00 00"]
    assert library.calls == ["establish", "list", "release"]


def test_no_readers_are_no_failure(library: Library) -> None:
    library.failing = {"list": 0x8010002E}
    assert readers() == []
    assert library.calls[-1] == "release"


@pytest.mark.parametrize("protocol", [T0, T1])
def test_a_card_is_spoken_to_alone_and_left(library: Library, protocol: int) -> None:
    library.protocol = protocol
    with connected(READER) as card:
        assert card.blocks is (protocol == T1)
        assert card.transmit(b"\x00\xb0\x00\x00\x09") == b"\x09\x00\x00\xb0\x00\x90\x00"
    assert library.calls == ["establish", "connect", "begin", "transmit", f"disconnect {LEAVE}", "release"]


def test_a_card_that_was_unlocked_is_reset_whatever_happens(library: Library) -> None:
    def use() -> None:
        with connected(READER) as card:
            card.is_unlocked = True
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        use()
    assert library.calls[-2:] == [f"disconnect {RESET}", "release"]


@pytest.mark.parametrize(
    ("call", "ends"),
    [
        ("establish", []),
        ("connect", ["release"]),
        ("begin", [f"disconnect {LEAVE}", "release"]),
        ("transmit", [f"disconnect {LEAVE}", "release"]),
    ],
)
@pytest.mark.parametrize("code", [*winscard._FAILURES, 0x80100099, -0x7FEFFFF7 & 0xFFFFFFFF])
def test_a_call_that_fails_is_told_and_what_was_opened_is_closed(
    library: Library, call: str, ends: list[str], code: int
) -> None:
    library.failing = {call: code}
    with pytest.raises(PcscError) as error, connected(READER) as card:
        card.transmit(b"\x00")
    assert error.value.code == code
    assert library.calls[library.calls.index(call) + 1 :] == ends


@pytest.mark.parametrize(
    ("call", "before"), [("connect", ["establish"]), ("begin", ["establish", "connect"])]
)
def test_a_card_that_another_program_keeps_is_not_waited_for_for_ever(
    library: Library, monkeypatch: pytest.MonkeyPatch, call: str, before: list[str]
) -> None:
    library.busy_from = call
    monkeypatch.setattr(winscard, "PATIENCE", 0.01)
    with pytest.raises(PcscError, match="another program has the card to itself"), connected(READER):
        raise AssertionError("nobody else has it")
    assert library.calls == before  # every further call would wait with it
