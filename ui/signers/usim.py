"""What is said to a USIM (3GPP TS 31.102 on ETSI TS 102 221): find it, unlock it, read whose it is, authenticate.

    SELECT MF, READ EF_ICCID            which card this is; free to read
    SELECT EF_DIR, READ RECORD …        the application that is a USIM
    SELECT by AID                       which PIN guards it
    READ EF_IMSI                        6982 where a PIN is wanted
    VERIFY                              once, and never again after 63CX
    READ EF_IMSI, EF_AD                 the subscriber, and how long the network's code is
    AUTHENTICATE RAND, AUTN             DB: RES, CK, IK; DC: AUTS; 9862: the network is an impostor

Dialogues only: nothing here knows a reader.
"""

from __future__ import annotations

from dataclasses import dataclass

from .apdu import (
    AUTHENTICATE,
    BLOCKED,
    DONE,
    MAC_WRONG,
    NO_RECORD,
    NOT_ALLOWED,
    READ_BINARY,
    READ_RECORD,
    SELECT,
    VERIFY,
    Command,
    Dialogue,
    Reply,
    converse,
    find_tlv,
    refused,
    require,
    tlvs,
)
from .sim_plugin import Auts, Impostor, Judgement, PinRefused, SimError, Subscriber, Vectors

USIM = bytes.fromhex(
    "a0000000871002"
)  # how the identifiers of all USIM applications begin (TS 101 220 annex E)
MF, EF_DIR, EF_ICCID, EF_IMSI, EF_AD = 0x3F00, 0x2F00, 0x2FE2, 0x6F07, 0x6FAD
MOST_RECORDS = 32  # of EF_DIR
PIN_SIZES = range(4, 9)
_PIN_FIELD = 8  # octets, filled with FF (TS 102 221 section 9.5.1)
_FIRST_PIN = 0x01  # the reference of PIN1 where the application names none (TS 102 221 section 9.5.1)
_LOCAL = 0x80  # from here on: second PINs, which guard nothing that we read
_BY_FILE, _BY_NAME = 0x00, 0x04
_FCP, _QUIETLY = 0x04, 0x0C  # whether a selection brings the file's description (TS 102 221 section 11.1.1.2)
_VECTORS, _AUTS = 0xDB, 0xDC
_CONTEXT_3G = 0x81  # TS 31.102 section 7.1.2.1


@dataclass(frozen=True, slots=True)
class Lock:
    """A PIN that is wanted: its reference, and the tries that are left."""

    reference: int
    tries_left: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a card shows by itself: its number, the name of its USIM, and the lock before everything else.

    `lock` None: it is open.
    """

    iccid: bytes
    usim: bytes
    lock: Lock | None


def look() -> Dialogue[Look]:
    """Find the USIM on a card; `SimError` where there is none."""
    iccid = yield from _read_iccid()
    name = yield from _usim_name()
    description = yield from _open(name)
    if not (yield from _is_locked()):
        return Look(iccid, name, None)
    reference = _pin_of(description)
    return Look(iccid, name, Lock(reference, (yield from _tries_left(reference))))


def unlock(seen: Look, pin: str | None) -> Dialogue[None]:
    """Open the USIM of the card that was seen before.

    `PinRefused` where it refuses the PIN; it is not sent to another card, nor where none is wanted.
    """
    if (yield from _read_iccid()) != seen.iccid:
        raise SimError("another card has been inserted")
    description = yield from _open(seen.usim)
    if (yield from _is_locked()):
        if pin is None:
            raise SimError("the card wants its PIN, which is not at hand")
        yield from _verify(_pin_of(description), pin)


def subscriber() -> Dialogue[Subscriber]:
    """Whose it is, after `unlock`."""
    reply = yield from _read_imsi()
    if reply.status != DONE:
        raise SimError(f"the card does not say whose it is: {reply.meaning}")
    yield from _select(EF_AD, "how its network counts")
    counts = yield from converse(Command(READ_BINARY, 0, 0, "read how its network counts", expected=4))
    digits = counts.data[3] & 0x0F if counts.status == DONE and len(counts.data) > 3 else 0
    return Subscriber(imsi_of(reply.data), digits if digits in {2, 3} else 2)


def authenticate(rand: bytes, autn: bytes) -> Dialogue[Judgement]:
    """Run the 3G algorithm (TS 31.102 section 7.1.2.1), after `unlock`."""
    data = bytes([len(rand)]) + rand + bytes([len(autn)]) + autn
    command = Command(AUTHENTICATE, 0, _CONTEXT_3G, "authenticate", data, expected=0)
    reply = yield from converse(command)
    if reply.status == MAC_WRONG:
        return Impostor()
    if reply.status != DONE:
        raise refused(command, reply)
    return _judgement(reply)


# Files


def _select(file: int, what: str) -> Dialogue[None]:
    yield from require(Command(SELECT, _BY_FILE, _QUIETLY, f"find {what}", file.to_bytes(2)))


def _read_iccid() -> Dialogue[bytes]:
    yield from _select(MF, "its own files")
    yield from _select(EF_ICCID, "its number")
    return (yield from require(Command(READ_BINARY, 0, 0, "read its number", expected=10)))


def _open(name: bytes) -> Dialogue[bytes]:
    """What the card says of the application, which is the one in use from now on."""
    described = yield from require(Command(SELECT, _BY_NAME, _FCP, "open its USIM", name, expected=0))
    return find_tlv(described, 0x62) or b""


def _usim_name() -> Dialogue[bytes]:
    yield from _select(MF, "its own files")
    command = Command(SELECT, _BY_FILE, _FCP, "find its applications", EF_DIR.to_bytes(2), expected=0)
    description = find_tlv((yield from require(command)), 0x62) or b""
    kind = find_tlv(description, 0x82) or b""
    size = int.from_bytes(kind[2:4]) % 256  # of a record (TS 102 221 section 11.1.1.4.3); 0: as long as it is
    for number in range(1, MOST_RECORDS + 1):
        command = Command(READ_RECORD, number, 0x04, "list its applications", expected=size)
        reply = yield from converse(command)
        if reply.status == NO_RECORD:
            break
        if reply.status != DONE:
            raise refused(command, reply)
        name = find_tlv(find_tlv(reply.data, 0x61) or b"", 0x4F) or b""
        if name.startswith(USIM) and len(name) <= 16:
            return name
    raise SimError("the card is no SIM of a mobile network (it has no USIM)")


def _read_imsi() -> Dialogue[Reply]:
    yield from _select(EF_IMSI, "its subscriber")
    return (yield from converse(Command(READ_BINARY, 0, 0, "read its subscriber", expected=9)))


def _is_locked() -> Dialogue[bool]:
    return (yield from _read_imsi()).status == NOT_ALLOWED


def imsi_of(octets: bytes) -> str:
    """Of EF_IMSI (TS 31.102 section 4.2.2): length, then a half octet of parity, and digits by their low halves."""
    size = octets[0] if octets else 0
    halves = [half for octet in octets[1 : 1 + size] for half in (octet & 0x0F, octet >> 4)][1:]
    if halves and halves[-1] == 0x0F:
        halves.pop()
    if not 6 <= len(halves) <= 15 or max(halves) > 9 or len(octets) < 1 + size:
        raise SimError("the card does not say whose it is: its IMSI does not read")
    return "".join(str(half) for half in halves)


# The PIN


def _pin_of(description: bytes) -> int:
    """Which PIN opens the application: the first that is enabled (TS 102 221 section 11.1.1.4.10)."""
    status = find_tlv(description, 0xC6) or b""
    enabled = find_tlv(status, 0x90) or b""
    bits = [bool(octet >> bit & 1) for octet in enabled for bit in reversed(range(8))]
    references = [value[0] for tag, value in tlvs(status) if tag == 0x83 and value]
    pairs = zip(references, bits, strict=False)
    return next((reference for reference, bit in pairs if bit and reference < _LOCAL), _FIRST_PIN)


def _tries_left(reference: int) -> Dialogue[int]:
    """Asked without a PIN, which costs no try (TS 102 221 section 11.1.9)."""
    command = Command(VERIFY, 0, reference, "say how many tries its PIN has")
    reply = yield from converse(command)
    if (left := reply.tries_left) is None:
        raise refused(command, reply)
    return left


def _verify(reference: int, pin: str) -> Dialogue[None]:
    if not (pin.isascii() and pin.isdigit() and len(pin) in PIN_SIZES):
        raise PinRefused("a SIM's PIN has four to eight digits; it was not tried")
    data = pin.encode().ljust(_PIN_FIELD, b"\xff")
    command = Command(VERIFY, 0, reference, "take its PIN", data)
    reply = yield from converse(command)
    if reply.status == DONE:
        return
    left = reply.tries_left
    if left == 0 or reply.status == BLOCKED:
        raise PinRefused("the SIM refuses the PIN and is locked now", "Its PUK unlocks it, in a telephone.")
    if left is None:
        raise refused(command, reply)
    hint = "Mind that a SIM locks itself after three wrong PINs; 'roam up --ask' asks for it."
    raise PinRefused(f"the SIM refuses the PIN; it is not tried again ({tries(left)})", hint)


def tries(left: int) -> str:
    """For people."""
    return "one try is left" if left == 1 else f"{left} tries are left"


# The answer


def _judgement(reply: Reply) -> Judgement:
    tag, rest = (reply.data[0], reply.data[1:]) if reply.data else (0, b"")
    parts = list(_parts(rest))
    match tag, [len(part) for part in parts[:3]]:
        case (0xDB, [int(size), 16, 16]) if 4 <= size <= 16:
            return Vectors(parts[0], parts[1], parts[2])
        case (0xDC, [14, *_]):
            return Auts(parts[0])
        case _:
            raise SimError("the card's answer to the challenge does not read")


def _parts(octets: bytes) -> list[bytes]:
    """Values, each behind its length; what a value lacks ends them."""
    parts = []
    at = 0
    while at < len(octets) and at + 1 + octets[at] <= len(octets):
        parts.append(octets[at + 1 : at + 1 + octets[at]])
        at += 1 + octets[at]
    return parts
