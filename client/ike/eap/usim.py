"""What EAP-AKA asks of a USIM: a card that somebody else holds, or one in software.

The secret of a subscription never leaves a real card; software, MILENAGE (3GPP TS 35.206) with a key that somebody
knows, serves test networks, and private ones whose operator hands the key out.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ..keys import Secret

RAND_SIZE = AUTN_SIZE = 16
KEY_SIZE = 16
SQN_SIZE = 6
AUTS_SIZE = SQN_SIZE + 8
RES_SIZES = range(4, 17)
IMPOSTOR = "impostor"  # the answer of a card whose network has not proven itself
_RESYNC_AMF = bytes(2)  # TS 33.102 section 6.3.3


@dataclass(frozen=True, slots=True)
class Answer:
    """The network has proven itself; what the card answers and derives."""

    res: Secret
    ck: Secret
    ik: Secret


@dataclass(frozen=True, slots=True)
class Resynchronise:
    """The network is genuine, but counts otherwise than the card: AUTS tells it how far the card is."""

    auts: bytes


Judgement = Answer | Resynchronise | None
"""What a card says to a challenge (TS 33.102 section 6.3.3); None where the network is an impostor."""


@dataclass(frozen=True, slots=True)
class Errand:
    """The card must be asked by whoever holds it; `finish` reads the answer.  `key`: the profile's word for it."""

    key: str

    def finish(self, answer: Secret) -> Judgement:
        """From `RES CK IK` or `AUTS` in hexadecimal, or `impostor`; ValueError, not quoting it, otherwise."""
        words = answer.reveal().decode("ascii", errors="replace").split()
        if words == [IMPOSTOR]:
            return None
        try:
            octets = [bytes.fromhex(word) for word in words]
        except ValueError:
            octets = []
        match [len(part) for part in octets]:
            case [int(size), 16, 16] if size in RES_SIZES:
                return Answer(*(Secret(part) for part in octets))
            case [size] if size == AUTS_SIZE:
                return Resynchronise(octets[0])
            case _:
                raise ValueError(f"the answer of the SIM {self.key} does not read")


class Usim(Protocol):
    """A card, or what stands for one."""

    def authenticate(self, rand: bytes, autn: bytes) -> Judgement | Errand:
        """The answer to a challenge, or what to ask the card's holder for."""
        ...


class DistantUsim:
    """A card in the user's hands; `key` is the profile's reference to it."""

    def __init__(self, key: str) -> None:
        self._errand = Errand(key)

    def authenticate(self, rand: bytes, autn: bytes) -> Errand:
        """Always an errand."""
        return self._errand


class SoftwareUsim:
    """MILENAGE with its usual constants; sequence numbers must grow while this object lives."""

    def __init__(self, key: Secret, opc: Secret, highest_sqn: int = -1) -> None:
        self._functions = Milenage(key, opc)
        self._highest = highest_sqn

    @classmethod
    def parse(cls, text: Secret) -> SoftwareUsim:
        """From K and OPc in hexadecimal with a colon between; ValueError without quoting them."""
        parts = text.reveal().decode("ascii", errors="replace").strip().split(":")
        try:
            octets = [bytes.fromhex(part) for part in parts]
        except ValueError:
            octets = []
        if [len(part) for part in octets] != [KEY_SIZE, KEY_SIZE]:
            raise ValueError("is not K:OPc, each of 32 hexadecimal digits")
        return cls(Secret(octets[0]), Secret(octets[1]))

    def authenticate(self, rand: bytes, autn: bytes) -> Judgement:
        """As the protocol says."""
        functions = self._functions
        hidden, amf, mac = autn[:SQN_SIZE], autn[SQN_SIZE:8], autn[8:]
        answer, anonymity = functions.f2345(rand)
        sqn = _xor(hidden, anonymity)
        if not hmac.compare_digest(mac, functions.f1(rand, sqn, amf)):
            return None
        number = int.from_bytes(sqn)
        if number <= self._highest:
            own = self._highest.to_bytes(SQN_SIZE)
            return Resynchronise(
                _xor(own, functions.f5_star(rand)) + functions.f1_star(rand, own, _RESYNC_AMF)
            )
        self._highest = number
        return answer

    def __repr__(self) -> str:
        return "SoftwareUsim(…)"


class Milenage:
    """The functions f1 to f5* (TS 35.206 section 4.1)."""

    def __init__(self, key: Secret, opc: Secret) -> None:
        self._cipher = Cipher(algorithms.AES(key.reveal()), modes.ECB())  # noqa: S305 - one block, as prescribed
        self._opc = opc.reveal()

    def f1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-A, by which the network proves itself."""
        return self._out1(rand, sqn, amf)[:8]

    def f1_star(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        """MAC-S, by which the card asks to resynchronise."""
        return self._out1(rand, sqn, amf)[8:]

    def f2345(self, rand: bytes) -> tuple[Answer, bytes]:
        """RES, CK and IK, and the anonymity key that hides the sequence number."""
        second = self._out(rand, 0, 1)
        answer = Answer(Secret(second[8:]), Secret(self._out(rand, 4, 2)), Secret(self._out(rand, 8, 4)))
        return answer, second[:SQN_SIZE]

    def f5_star(self, rand: bytes) -> bytes:
        """The anonymity key of a resynchronisation."""
        return self._out(rand, 12, 8)[:SQN_SIZE]

    def _temp(self, rand: bytes) -> bytes:
        return self._encrypt(_xor(rand, self._opc))

    def _out1(self, rand: bytes, sqn: bytes, amf: bytes) -> bytes:
        masked = _xor((sqn + amf) * 2, self._opc)
        rotated = masked[8:] + masked[:8]
        return _xor(self._encrypt(_xor(self._temp(rand), rotated)), self._opc)

    def _out(self, rand: bytes, octets: int, constant: int) -> bytes:
        """OUT2 to OUT5: rotation by so many octets, then the constant in the last one."""
        masked = _xor(self._temp(rand), self._opc)
        rotated = bytearray(masked[octets:] + masked[:octets])
        rotated[-1] ^= constant
        return _xor(self._encrypt(bytes(rotated)), self._opc)

    def _encrypt(self, block: bytes) -> bytes:
        encryptor = self._cipher.encryptor()
        return encryptor.update(block) + encryptor.finalize()


def opc_of(key: Secret, operator: Secret) -> Secret:
    """OPc from the operator's OP (TS 35.206 section 4.1)."""
    encryptor = Cipher(algorithms.AES(key.reveal()), modes.ECB()).encryptor()  # noqa: S305
    return Secret(_xor(encryptor.update(operator.reveal()), operator.reveal()))


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
