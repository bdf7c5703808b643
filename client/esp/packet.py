"""ESP packets in tunnel mode (RFC 4303): one object for each direction of a Child SA.

Theory of operation.  `OutboundSa` and `InboundSa` are the kernel's SA entries made of plain Python: each owns
its cryptography, its sequence counter or replay window, and its counters; the pair shares one `Policy`.  They
touch no socket and no clock.  Octets in, octets out, or `EspRejected`.

There are two doors to each: `encapsulate` and `decapsulate` for one packet as `bytes`, and `seal_into` and
`open_into` for a data path that keeps its own buffers and has looked at the inner packet already.

An SA starts with sequence number 1 and cannot be restored: under one key a nonce never repeats, because a key
never meets a second `OutboundSa` (`table.py` sees to that) and the counter of one only grows.
"""

from __future__ import annotations

import struct

from ..ike.events import ChildSa, Rng
from .inner import IPV4, IPV6, NO_NEXT_HEADER, ip_size, mark_congestion, next_header_of
from .policy import Policy
from .protection import Octets, make_protection
from .rejected import EspRejected, Reason
from .replay import ReplayWindow

REPLAY_WINDOW = 1024
TRAILER_SIZE = 2  # Pad Length and Next Header

_sequence_of = struct.Struct(">I").unpack_from
_PADDING = bytes(range(1, 256))  # 1, 2, 3, … (RFC 4303 section 2.4)
_LAST_SEQUENCE = {False: (1 << 32) - 1, True: (1 << 64) - 1}


class OutboundSa:
    """What we send on: the peer's SPI, our direction's keys."""

    __slots__ = (
        "_alignment",
        "_last",
        "_protection",
        "_sequence",
        "_soft_limit",
        "octets",
        "overhead",
        "packets",
        "policy",
        "spi",
    )

    def __init__(self, child: ChildSa, policy: Policy, rng: Rng) -> None:
        algorithms, keys = child.algorithms, child.keys
        self.spi = child.spi_out
        self.policy = policy
        self.packets = 0
        self.octets = 0  # of inner packets
        self._protection = make_protection(child.spi_out, algorithms, keys.encr_out, keys.integ_out, rng)
        self._alignment = self._protection.alignment
        self._sequence = 0
        self._last = _LAST_SEQUENCE[algorithms.esn]
        self._soft_limit = self._last - (self._last >> 2)
        self.overhead = self._protection.prefix + self._protection.icv_size

    @property
    def sequence(self) -> int:
        """The last sequence number used; 0 before the first packet."""
        return self._sequence

    @property
    def runs_low(self) -> bool:
        """Whether three quarters of the sequence numbers are used: time to rekey (RFC 4303 section 3.3.3)."""
        return self._sequence > self._soft_limit

    def trailer(self, size: int, next_header: int) -> bytes:
        """Padding, Pad Length and Next Header after a payload of `size` octets."""
        pad = -(size + TRAILER_SIZE) % self._alignment
        return _PADDING[:pad] + bytes((pad, next_header))

    def encapsulate(self, packet: bytes) -> bytes:
        """The ESP packet around a whole IP packet that the selectors permit."""
        if ip_size(packet) != len(packet):
            raise EspRejected(Reason.INNER)
        if not self.policy.permits_outbound(packet):
            raise EspRejected(Reason.SELECTOR)
        sequence = self._next_sequence(len(packet))
        return self._protection.protect(sequence, packet + self.trailer(len(packet), next_header_of(packet)))

    def seal_into(self, size: int, plaintext: Octets, packet: memoryview) -> None:
        """The same for a packet of `size` octets already looked at, its trailer behind it in `plaintext`.

        `packet` has room for `overhead` octets more than `plaintext`.
        """
        self._protection.protect_into(self._next_sequence(size), plaintext, packet)

    def _next_sequence(self, size: int) -> int:
        """Sequence numbers never wrap: where they are used up nothing is sent any more (section 3.3.3)."""
        if self._sequence >= self._last:
            raise EspRejected(Reason.EXHAUSTED)
        self._sequence += 1
        self.packets += 1
        self.octets += size
        return self._sequence


class InboundSa:
    """What we receive on: our SPI, the peer's direction's keys."""

    __slots__ = (
        "_protection",
        "_smallest",
        "dropped",
        "octets",
        "overhead",
        "packets",
        "policy",
        "spi",
        "window",
    )

    def __init__(self, child: ChildSa, policy: Policy, rng: Rng) -> None:
        algorithms, keys = child.algorithms, child.keys
        self.spi = child.spi_in
        self.policy = policy
        self.window = ReplayWindow(REPLAY_WINDOW, esn=algorithms.esn)
        self.packets = 0  # authentic ones
        self.octets = 0  # of inner packets passed on
        self.dropped = 0
        self._protection = make_protection(child.spi_in, algorithms, keys.encr_in, keys.integ_in, rng)
        self.overhead = self._protection.prefix + self._protection.icv_size
        self._smallest = self.overhead + TRAILER_SIZE

    def decapsulate(self, packet: Octets, outer_ecn: int = 0) -> bytes:
        """The inner IP packet, without TFC padding; `outer_ecn` is the ECN field of the outer header.

        Replay, integrity, trailer, selectors, ECN: the order of RFC 4303 section 3.4 and RFC 4301 section
        5.2.
        """
        try:
            inner = self._strip(self._open(packet))
            self.admit(inner)
            return self._with_ecn(inner, outer_ecn)
        except EspRejected:
            self.dropped += 1
            raise

    def open_into(self, packet: memoryview, plaintext: memoryview) -> None:
        """Replay check, integrity and decryption; `plaintext` has `overhead` octets less than `packet`.

        The inner packet is still to be looked at: `payload_size`, then `admit`.
        """
        if len(packet) < self._smallest:
            raise EspRejected(Reason.TOO_SHORT)
        sequence = self.window.infer(_sequence_of(packet, 4)[0])
        self._protection.open_into(sequence, packet, plaintext)
        self.window.accept(sequence)
        self.packets += 1

    def payload_size(self, plaintext: Octets) -> int:
        """Check the trailer (RFC 4303 section 2.4) and the inner header; the size of the inner packet."""
        pad, next_header = plaintext[-2], plaintext[-1]
        end = len(plaintext) - TRAILER_SIZE
        if pad > end or plaintext[end - pad : end] != _PADDING[:pad]:
            raise EspRejected(Reason.PADDING)
        if next_header == NO_NEXT_HEADER:
            raise EspRejected(Reason.DUMMY)
        if next_header not in (IPV4, IPV6):
            raise EspRejected(Reason.NEXT_HEADER)
        size = ip_size(plaintext[: end - pad])
        if next_header_of(plaintext) != next_header:
            raise EspRejected(Reason.INNER)
        return size

    def admit(self, inner: Octets) -> None:
        """Count an inner packet that the selectors permit; `EspRejected` for any other."""
        if not self.policy.permits_inbound(inner):
            raise EspRejected(Reason.SELECTOR)
        self.octets += len(inner)

    def _open(self, packet: Octets) -> bytes:
        if len(packet) < self._smallest:
            raise EspRejected(Reason.TOO_SHORT)
        sequence = self.window.infer(_sequence_of(packet, 4)[0])
        plaintext = self._protection.open(sequence, packet)
        self.window.accept(sequence)
        self.packets += 1
        return plaintext

    def _strip(self, plaintext: bytes) -> bytes:
        return plaintext[: self.payload_size(plaintext)]

    def _with_ecn(self, inner: bytes, outer_ecn: int) -> bytes:
        if not outer_ecn:
            return inner
        marked = bytearray(inner)
        mark_congestion(marked, outer_ecn)
        return bytes(marked)


def make_pair(child: ChildSa, rng: Rng) -> tuple[InboundSa, OutboundSa]:
    """Both directions of a Child SA; `ValueError` for algorithms or key sizes that the registry lacks."""
    policy = Policy(child.local_selectors, child.remote_selectors)
    return InboundSa(child, policy, rng), OutboundSa(child, policy, rng)
