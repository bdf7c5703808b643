"""PC/SC as libpcsclite has it: the few calls that a SIM needs, with Python's types.

The library comes with the system (libpcsclite1, pcsc-lite-libs), as pcscd does, and is loaded when the first reader
is looked for.  No package stands between: none of them ships wheels for Linux.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, byref, c_char_p, c_long, c_ubyte, c_ulong, c_void_p
from functools import cache
from threading import Lock, Thread

from .sim_plugin import SimError

LIBRARY = "libpcsclite.so.1"
PATIENCE = 10.0
"""Seconds for other programs to be done with a card."""
_INSTALL = (
    "Install PC/SC: 'apt install pcscd libpcsclite1', or 'dnf install pcsc-lite'; "
    "then 'systemctl enable --now pcscd.socket'."
)
_RUN = "Start it: 'systemctl enable --now pcscd.socket'."

_SYSTEM, _SHARED, _T0, _T1 = 2, 2, 1, 2
_LEAVE, _RESET = 0, 1
_IO_REQUEST = c_ulong * 2  # SCARD_IO_REQUEST: the protocol, and its own size
_ANSWER = 512  # octets: more than a short answer has
_NAMES = 1 << 16  # octets of the readers' names

_BUSY = 0x8010000B
NO_CARD = frozenset({0x8010000C, 0x80100069})
NO_READERS = 0x8010002E
_FAILURES = {
    _BUSY: ("another program has the card to itself", "End that program, or wait until it is done."),
    0x8010000C: ("no card is in the reader", ""),
    0x8010000F: ("the reader does not speak the card's protocol", ""),
    0x80100009: ("there is no such reader any more", ""),
    0x80100013: (
        "pcscd has hung up",
        "It may have card readers for users at the machine alone: polkit, org.debian.pcsc-lite.",
    ),
    0x80100017: ("the reader is not there any more", ""),
    0x8010001D: ("pcscd, which has the card readers, does not run", _RUN),
    0x8010001E: ("pcscd, which has the card readers, is ending", _RUN),
    NO_READERS: ("there is no card reader", "Plug one in; 'pcsc_scan' lists those that pcscd knows."),
    0x80100066: ("the card does not answer", "Is it the right way round in the reader?"),
    0x80100067: ("the card has no power", ""),
    0x80100068: ("another program has reset the card", ""),
    0x80100069: ("the card was taken out", ""),
    0x8010006A: ("pcscd lets this user have no card", "A polkit rule for org.debian.pcsc-lite may."),
}
"""What a call answers, in words, and what to do."""


class PcscError(SimError):
    """A call has failed with `code`."""

    def __init__(self, code: int) -> None:
        why, hint = _FAILURES.get(code, (f"the card reader has failed (PC/SC error {code:08X})", ""))
        super().__init__(why, hint)
        self.code = code


class Card:
    """A card in a reader, connected; `blocks`: it speaks T=1."""

    def __init__(self, library: ctypes.CDLL, handle: c_long, protocol: int) -> None:
        self._library = library
        self._handle = handle
        self._protocol = protocol
        self.is_unlocked = False  # then it is reset at the end, so that nobody else finds it open

    @property
    def end(self) -> int:
        """What becomes of it when we are done."""
        return _RESET if self.is_unlocked else _LEAVE

    @property
    def blocks(self) -> bool:
        """Which protocol it speaks."""
        return self._protocol == _T1

    def transmit(self, command: bytes) -> bytes:
        """One command, and what the card answers."""
        answer = (c_ubyte * _ANSWER)()
        size = c_ulong(_ANSWER)
        protocol = _IO_REQUEST(self._protocol, ctypes.sizeof(_IO_REQUEST))
        octets = (c_ubyte * len(command)).from_buffer_copy(command)
        try:
            _check(
                self._library.SCardTransmit(
                    self._handle, protocol, octets, c_ulong(len(command)), None, answer, byref(size)
                )
            )
            return bytes(answer[: min(size.value, _ANSWER)])
        finally:  # they may have held a PIN, or keys
            ctypes.memset(octets, 0, len(command))
            ctypes.memset(answer, 0, _ANSWER)


def readers() -> list[str]:
    """The names of all card readers; `PcscError` where nobody knows."""
    library = _load()
    with ExitStack() as stack:
        context = _establish(library, stack)
        names, size = ctypes.create_string_buffer(_NAMES), c_ulong(_NAMES)
        code = _code(library.SCardListReaders(context, None, names, byref(size)))
        if code == NO_READERS:
            return []
        _check(code)
        return [name.decode(errors="replace") for name in names.raw[: size.value].split(b"\0") if name]


@contextmanager
def connected(reader: str) -> Iterator[Card]:
    """The card in a reader, to ourselves for a few commands."""
    library = _load()
    with ExitStack() as stack:
        context = _establish(library, stack)
        handle, protocol, name = c_long(), c_ulong(), reader.encode()
        share, protocols = c_ulong(_SHARED), c_ulong(_T0 | _T1)
        _patiently(
            lambda: library.SCardConnect(context, name, share, protocols, byref(handle), byref(protocol)),
            stack,
        )
        card = Card(library, handle, protocol.value)
        stack.callback(lambda: library.SCardDisconnect(handle, c_ulong(card.end)))  # the transaction too
        _patiently(lambda: library.SCardBeginTransaction(handle), stack)
        yield card


def _patiently(call: Callable[[], int], stack: ExitStack) -> None:
    """A call that waits for whoever else has the card.

    The library does that for ever and deaf to signals; so it does it in a thread, which is left to it when we have
    waited enough, and with it what is on the stack: whatever else is called would wait too.  Should the card be
    ours after all one day, the thread gives it back: nobody else could have it as long as this program runs.
    """
    answers: list[int] = []
    left: list[ExitStack] = []
    turn = Lock()

    def wait() -> None:
        answer = call()
        with turn:
            answers.append(answer)
        for rest in left:
            rest.close()

    thread = Thread(target=wait, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    with turn:
        if not answers:
            left.append(stack.pop_all())
            raise PcscError(_BUSY)
    _check(answers[0])


def _establish(library: ctypes.CDLL, stack: ExitStack) -> c_long:
    """A way to pcscd, until the stack is closed."""
    context = c_long()
    _check(library.SCardEstablishContext(c_ulong(_SYSTEM), None, None, byref(context)))
    stack.callback(lambda: library.SCardReleaseContext(context))
    return context


@cache
def _load() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        raise SimError(f"a SIM in a card reader needs {LIBRARY}, which is not installed", _INSTALL) from None
    words, octets = POINTER(c_ulong), POINTER(c_ubyte)
    for name, arguments in (
        ("SCardEstablishContext", (c_ulong, c_void_p, c_void_p, POINTER(c_long))),
        ("SCardReleaseContext", (c_long,)),
        ("SCardListReaders", (c_long, c_char_p, c_char_p, words)),
        ("SCardConnect", (c_long, c_char_p, c_ulong, c_ulong, POINTER(c_long), words)),
        ("SCardBeginTransaction", (c_long,)),
        ("SCardTransmit", (c_long, words, octets, c_ulong, c_void_p, octets, words)),
        ("SCardDisconnect", (c_long, c_ulong)),
    ):
        function = getattr(library, name)
        function.argtypes, function.restype = arguments, c_long
    return library


def _code(answer: int) -> int:
    return answer & 0xFFFFFFFF


def _check(answer: int) -> None:
    if _code(answer):
        raise PcscError(_code(answer))
