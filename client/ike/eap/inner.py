"""A whole EAP dialogue inside TLS, as TTLS and PEAP carry it.

It is the same peer as outside, with the methods that the profile allows inside.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from ..events import Rng
from ..keys import Secret
from ..options import EapLogin, Inner
from ..registry import EapCode, EapType
from .method import Ask, then
from .packet import HEADER_SIZE, EapPacket
from .peer import EapPeer
from .tls_framing import INNER_FRAGMENT
from .tls_method import options_of

METHODS: dict[Inner, EapType] = {
    Inner.MSCHAPV2: EapType.MSCHAPV2,
    Inner.EAP_MSCHAPV2: EapType.MSCHAPV2,
    Inner.EAP_GTC: EapType.GTC,
    Inner.EAP_MD5: EapType.MD5,
    Inner.EAP_TLS: EapType.TLS,
}


class InnerEap:
    """The dialogue, packet by packet."""

    def __init__(self, login: EapLogin, words: tuple[Inner, ...], rng: Rng, wall: datetime) -> None:
        self.methods = tuple(dict.fromkeys(METHODS[word] for word in words if word in METHODS))
        # FreeRADIUS counts on one outer packet for each inner one.
        options = replace(options_of(login), outer_identity="", fragment=INNER_FRAGMENT)
        self._peer = EapPeer(replace(login, methods=self.methods, tls=options), rng, wall)

    @property
    def is_done(self) -> bool:
        """Whether the server may say now that all is well."""
        return self._peer.is_ready

    def conclude(self) -> Secret | None:
        """Take the server's word that all is well; the key of the inner method, None where it has none."""
        self._peer.handle(EapPacket(EapCode.SUCCESS, 0).push())
        return self._peer.msk

    def identify(self) -> bytes | Ask:
        """Our name, which TTLS wants to hear unasked (RFC 5281 section 11.2.1)."""
        return self.answer(EapPacket(EapCode.REQUEST, 0, EapType.IDENTITY).push())

    def answer(self, packet: bytes) -> bytes | Ask:
        """The answer to a whole packet, none after success; failures as from the peer."""
        return self._turn(self._peer.handle(packet))

    def answer_bare(self, body: bytes, identifier: int) -> bytes | Ask:
        """The same for requests without header: they have the outer packet's identifier (and get none back)."""
        packet = EapPacket(EapCode.REQUEST, identifier, body[0], body[1:])
        return then(lambda: self.answer(packet.push()), lambda response: response[HEADER_SIZE:])

    def _turn(self, outcome: bytes | Ask | None) -> bytes | Ask:
        if isinstance(outcome, Ask):
            return replace(outcome, resume=lambda said: self._turn(self._peer.resume(said)))
        return outcome or b""
