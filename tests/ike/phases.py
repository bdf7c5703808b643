"""Sessions stopped at each phase of their life, and messages made with the keys that the peer has there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address

from client.ike.events import Channel, Endpoint, Failure, Kind, Transmit
from client.ike.message import Message, encode_clear, encode_protected
from client.ike.payloads import Payload
from client.ike.sa import IkeSa
from tests.pair import WALL, Pair, eap_client, gateway_config, path_from

GATEWAY = Endpoint(ip_address("192.0.2.1"), 4500)
WRONG_KEYS = b"\x5a" * 64  # as good as any ciphertext under keys that the client does not have


@dataclass(frozen=True)
class Letter:
    """What the header of a message says; `from_initiator` None is what this peer's messages really carry."""

    exchange: int
    message_id: int
    is_response: bool
    payloads: tuple[Payload, ...] = ()
    from_initiator: bool | None = None


@dataclass
class Scene:
    """A pair with the two ends of the IKE SA that messages to the client are about."""

    pair: Pair
    ours: IkeSa | None
    theirs: IkeSa | None

    def message(self, letter: Letter) -> Message:
        """The letter on this IKE SA; before there is one, on the SPI that the client has chosen."""
        spi_i, spi_r, initiated = self._names()
        flag = (not initiated) if letter.from_initiator is None else letter.from_initiator
        return Message(
            spi_i, spi_r, letter.exchange, letter.message_id, letter.payloads, flag, letter.is_response
        )

    def _names(self) -> tuple[bytes, bytes, bool]:
        if self.ours is not None:
            return self.ours.spi_i, self.ours.spi_r, self.ours.initiated
        spis = self.pair.client.local_spis
        return (spis[0] if spis else bytes(8)), b"\x77" * 8, True

    def authentic(self, letter: Letter) -> bytes:
        """Sealed with the peer's keys."""
        assert self.theirs is not None
        (packet,) = encode_protected(self.message(letter), self.theirs.sealer)
        return packet

    def forged(self, letter: Letter) -> bytes:
        """Protected by keys that are not those of this IKE SA."""
        message = self.message(replace(letter, payloads=()))
        header = bytearray(encode_clear(message))
        header[16] = 46  # an Encrypted payload follows
        body = bytes([0, 0]) + (4 + len(WRONG_KEYS)).to_bytes(2) + WRONG_KEYS
        header[24:28] = (len(header) + len(body)).to_bytes(4)
        return bytes(header) + body

    def clear(self, letter: Letter) -> bytes:
        """Not protected at all."""
        return encode_clear(self.message(letter))

    def hear(self, data: bytes) -> list[Transmit]:
        """What the client sends because of a datagram; its other outputs go to the pair's list."""
        pair = self.pair
        pair.client.handle_datagram(data, Channel.NATT, GATEWAY, pair.now)
        outputs = list(pair.client.outputs())
        pair.client_events += [output for output in outputs if not isinstance(output, Transmit)]
        return [output for output in outputs if isinstance(output, Transmit)]


def _sas_of_gateway(pair: Pair) -> list[IkeSa]:
    sas = [sa for session in pair.responder.sessions.values() for sa in session._core.sas.values()]
    return [*sas, *(acceptance.opened.sa for acceptance in pair.responder._half_open.values())]


def scene(pair: Pair, ours: IkeSa) -> Scene:
    """The scene around one IKE SA of the client."""
    theirs = next(sa for sa in _sas_of_gateway(pair) if (sa.spi_i, sa.spi_r) == (ours.spi_i, ours.spi_r))
    return Scene(pair, ours, theirs)


def _current(pair: Pair) -> Scene:
    pair.drain()
    assert pair.client._core.current is not None
    return scene(pair, pair.client._core.current)


def idle() -> Scene:
    return Scene(Pair(), None, None)


def init_sent() -> Scene:
    pair = Pair()
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    pair.drain()
    return Scene(pair, None, None)


def auth_sent() -> Scene:
    """IKE_AUTH is under way, and the gateway has not proven anything."""
    pair = init_sent().pair
    pair.step()
    pair.step()
    (ours,) = pair.client._core.sas.values()
    return scene(pair, ours)


def in_eap() -> Scene:
    """The gateway has proven who it is, we have not."""
    pair = Pair(eap_client(), replace(gateway_config(), clients="eap", proof="cert"))
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    while pair.client._core.peer_identity == "":
        pair.step()
    (ours,) = pair.client._core.sas.values()
    return scene(pair, ours)


def established() -> Scene:
    pair = Pair()
    assert pair.connect()
    return _current(pair)


def _asking(ask: Callable[[Pair], None]) -> Callable[[], Scene]:
    def make() -> Scene:
        pair = established().pair
        ask(pair)
        return _current(pair)

    return make


def answered_once() -> Scene:
    """The gateway has had an answer, so that there is one to repeat."""
    pair = established().pair
    pair.gateway.probe(pair.now)
    pair.settle()
    return _current(pair)


def replaced() -> Scene:
    """An IKE SA with a successor, its Delete under way."""
    pair = established().pair
    old = pair.client._core.current
    assert old is not None
    pair.client.rekey_ike(pair.now)
    while pair.client._core.current is old:
        pair.step()
    return scene(pair, old)


def closed() -> Scene:
    before = established()
    before.pair.client._core.close(Failure(Kind.USER_DOWN, "over"))
    list(before.pair.client.outputs())
    return before


PHASES: dict[str, Callable[[], Scene]] = {
    "idle": idle,
    "IKE_SA_INIT sent": init_sent,
    "IKE_AUTH sent": auth_sent,
    "in EAP": in_eap,
    "established": established,
    "answered once": answered_once,
    "rekeying a child": _asking(lambda pair: pair.client.rekey_child(pair.now)),
    "rekeying": _asking(lambda pair: pair.client.rekey_ike(pair.now)),
    "moving": _asking(lambda pair: pair.client.move(path_from("10.64.0.10"), pair.now)),
    "replaced": replaced,
    "closing": _asking(lambda pair: pair.client.close(pair.now)),
    "closed": closed,
}
