"""A USIM in software, from the card's side: what ETSI TS 102 221 and 3GPP TS 31.102 say that it does.

It shares with the program under test nothing but MILENAGE, which published vectors prove.
"""

from __future__ import annotations

from client.ike.eap.usim import Answer, Resynchronise, SoftwareUsim
from client.ike.keys import Secret

ATR_T0 = bytes.fromhex("3b9f96801fc78031a073be21136743200718000001a5")
ATR_T1 = bytes.fromhex("3b800181")
AID = bytes.fromhex("a0000000871002ff44ff1289")
ISIM = bytes.fromhex("a0000000871004ff44ff1289")
RECORD = 32  # octets of a record of EF_DIR
MASTER, DIRECTORY, NUMBER, SUBSCRIBER, COUNTS = 0x3F00, 0x2F00, 0x2FE2, 0x6F07, 0x6FAD
_PIN = 0x01
_MOST_TRIES = 3


def tlv(tag: int, value: bytes) -> bytes:
    """An object of fewer than 128 octets."""
    return bytes([tag, len(value)]) + value


def digits(text: str) -> bytes:
    """Two digits an octet, the first in its low half."""
    padded = text + "f" * (len(text) % 2)
    return bytes(int(padded[n + 1] + padded[n], 16) for n in range(0, len(padded), 2))


class VirtualUsim:
    """One card; `blocks`: it speaks T=1.  `pin` None: it has none that is enabled."""

    def __init__(
        self,
        key: Secret,
        opc: Secret,
        imsi: str,
        *,
        pin: str | None = None,
        highest_sqn: int = -1,
        iccid: str = "89014103211118510720",
        network_digits: int = 2,
        blocks: bool = False,
    ) -> None:
        self._usim = SoftwareUsim(key, opc, highest_sqn)
        self._pin = pin
        self.tries_left = _MOST_TRIES
        self.blocks = blocks
        self.refused = 0
        """Wrong PINs so far."""
        self.authenticated = 0
        """Challenges so far."""
        parity = "9" if len(imsi) % 2 else "1"
        coded = digits(parity + imsi)
        self._files = {
            NUMBER: digits(iccid),
            SUBSCRIBER: (bytes([len(coded)]) + coded).ljust(9, b"\xff"),
            COUNTS: bytes([0, 0, 0, network_digits]),
        }
        self._records = [
            tlv(0x61, tlv(0x4F, name) + tlv(0x50, label)).ljust(RECORD, b"\xff")
            for name, label in ((ISIM, b"ISIM"), (AID, b"USIM"))
        ]
        self.reset()

    @property
    def atr(self) -> bytes:
        """What it says when it gets power."""
        return ATR_T1 if self.blocks else ATR_T0

    def reset(self) -> None:
        """The reader has reset it: it is locked again."""
        self._is_open = self._pin is None
        self._in_usim = False
        self._file = MASTER
        self._waiting = b""

    def process(self, command: bytes) -> bytes:
        """What it answers to a command."""
        cla, ins, p1, p2 = command[:4]
        if cla != 0:
            return b"\x6e\x00"
        body = command[5:]
        match ins:
            case 0xC0:
                return self._more(command[4])
            case 0xA4:
                return self._bring(self._select(p1, p2, body[: command[4]]))
            case 0xB0:
                return self._cut(self._read(), command)
            case 0xB2:
                return self._cut(self._record(p1), command)
            case 0x20:
                return self._verify(p2, body[:8] if len(command) > 5 else b"")
            case 0x88:
                return self._bring(self._authenticate(p2, body[: command[4]]))
            case _:
                return b"\x6d\x00"

    # Answers as the protocol has them: with T=0 what follows data sent is fetched, and lengths must be right

    def _bring(self, answer: bytes | int) -> bytes:
        if isinstance(answer, int):
            return answer.to_bytes(2)
        if self.blocks:
            return answer + b"\x90\x00"
        self._waiting = answer
        return bytes([0x61, len(answer)])

    def _more(self, wanted: int) -> bytes:
        if wanted != len(self._waiting):
            return bytes([0x6C, len(self._waiting)])
        answer, self._waiting = self._waiting, b""
        return answer + b"\x90\x00"

    def _cut(self, answer: bytes | int, command: bytes) -> bytes:
        if isinstance(answer, int):
            return answer.to_bytes(2)
        wanted = command[4] or len(answer)
        return bytes([0x6C, len(answer)]) if wanted > len(answer) else answer[:wanted] + b"\x90\x00"

    # Files

    def _select(self, how: int, wanted: int, name: bytes) -> bytes | int:
        if how == 0x04:
            self._in_usim = AID.startswith(name) and len(name) >= 7
            return self._description() if self._in_usim else 0x6A82
        file = int.from_bytes(name)
        here = {MASTER, DIRECTORY, NUMBER} | ({SUBSCRIBER, COUNTS} if self._in_usim else set())
        if file not in here:
            return 0x6A82
        self._file = file
        if wanted == 0x0C:
            return 0x9000
        if file == DIRECTORY:
            kind = tlv(0x82, bytes([0x42, 0x21, 0, RECORD, len(self._records)]))
            return tlv(0x62, kind + tlv(0x83, name))
        return tlv(0x62, tlv(0x82, b"\x41\x21") + tlv(0x83, name))

    def _description(self) -> bytes:
        """Of the application: its PIN1 is enabled or not, its universal PIN is not."""
        enabled = 0x80 if self._pin is not None else 0x00
        status = (
            tlv(0x90, bytes([enabled])) + tlv(0x83, bytes([_PIN])) + tlv(0x95, b"\x08") + tlv(0x83, b"\x11")
        )
        return tlv(0x62, tlv(0x82, b"\x78\x21") + tlv(0x84, AID) + tlv(0xC6, status))

    def _read(self) -> bytes | int:
        if self._file not in self._files:
            return 0x6981
        if self._file == SUBSCRIBER and not self._is_open:
            return 0x6982
        return self._files[self._file]

    def _record(self, number: int) -> bytes | int:
        return self._records[number - 1] if 1 <= number <= len(self._records) else 0x6A83

    # The PIN, and the algorithm

    def _verify(self, reference: int, given: bytes) -> bytes:
        if reference != _PIN or self._pin is None:
            return b"\x6a\x88"
        if self.tries_left and given == self._pin.encode().ljust(8, b"\xff"):
            self._is_open, self.tries_left = True, _MOST_TRIES
            return b"\x90\x00"
        if given and self.tries_left:
            self._is_open = False
            self.tries_left -= 1
            self.refused += 1
        return bytes([0x63, 0xC0 | self.tries_left]) if self.tries_left else b"\x69\x83"

    def _authenticate(self, context: int, data: bytes) -> bytes | int:
        if not self._in_usim or not self._is_open:
            return 0x6982
        if context != 0x81 or len(data) != 34:
            return 0x6A86
        self.authenticated += 1
        match self._usim.authenticate(data[1:17], data[18:34]):
            case None:
                return 0x9862
            case Resynchronise(auts):
                return tlv(0xDC, auts)
            case Answer(res, ck, ik):
                parts = [res.reveal(), ck.reveal(), ik.reveal(), bytes(8)]
                return b"\xdb" + b"".join(bytes([len(part)]) + part for part in parts)
