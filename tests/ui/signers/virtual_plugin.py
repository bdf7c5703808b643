"""A plugin for SIMs, as somebody else would write it, and one that goes wrong in every way."""

from __future__ import annotations

import hashlib

from ui.signers.sim_plugin import (
    AskPin,
    Auts,
    Choice,
    Judgement,
    PinRefused,
    Sim,
    SimError,
    Subscriber,
    Vectors,
)

IMSI = "001010123456789"
PIN_PROMPTS: list[str] = []


def answer_to(rand: bytes) -> Vectors:
    """What this SIM makes of a challenge."""
    octets = hashlib.sha512(rand).digest()
    return Vectors(octets[:8], octets[8:24], octets[24:40])


class Modem:
    """A SIM in a modem: what it answers depends on the last octet of RAND."""

    def subscriber(self) -> Subscriber:
        return Subscriber(IMSI, 2)

    def authenticate(self, rand: bytes, autn: bytes) -> Judgement:
        match rand[-1]:
            case 0:
                return answer_to(rand)
            case 1:
                return Auts(bytes(14))
            case 2:
                raise SimError("the modem is asleep", "Wake it.")
            case 3:
                raise RuntimeError(f"never to be seen: {rand!r}")
            case 4:
                return Vectors(b"", autn, rand)
            case _:
                return Auts(bytes(13))


class Nobody(Modem):
    """Of no subscriber."""

    def subscriber(self) -> Subscriber:
        return Subscriber("none", 2)


def open_sim(choice: Choice, ask_pin: AskPin) -> Sim:
    """With a PIN that is asked for; by the reader's name in the ways that go wrong."""
    match choice.reader:
        case "":
            PIN_PROMPTS.append(repr(ask_pin("two tries are left").value))
            return Modem()
        case "locked":
            raise PinRefused("the modem refuses the PIN", "Type it.")
        case "nobody":
            return Nobody()
        case _:
            raise OSError(choice.reader)
