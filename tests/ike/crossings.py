"""The gateway's side of requests that cross, made with its keys: what it says and when is up to the test."""

from __future__ import annotations

from client.ike.exchanges.delete import DeleteChild
from client.ike.message import Decoded, Message, decode
from client.ike.payloads import (
    Delete,
    KeyExchange,
    Nonce,
    Notify,
    Payload,
    SecurityAssociation,
    TsInitiator,
    TsResponder,
)
from client.ike.registry import ExchangeType, Kex, NotifyType, ProtocolId
from tests.ike.phases import PHASES, Letter, Scene, established, scene
from tests.pair import Pair

CREATE, INFORMATIONAL = ExchangeType.CREATE_CHILD_SA, ExchangeType.INFORMATIONAL
NEW_SPI = bytes.fromhex("c0ffee01")


def asked(at: Scene, exchange: ExchangeType, payloads: tuple[Payload, ...]) -> Message:
    """The client's answer to the gateway's next request."""
    assert at.ours is not None
    letter = Letter(exchange, at.ours.window.expected_request_id, is_response=False, payloads=payloads)
    (answer,) = [sent for sent in at.hear(at.authentic(letter)) if sent.data[19] & 0x20]
    return opened(at, answer.data)


def opened(at: Scene, data: bytes) -> Message:
    assert at.theirs is not None
    outcome = decode(data, at.theirs.opener)
    assert isinstance(outcome, Decoded)
    return outcome.message


def spi_of_gateway(at: Scene) -> bytes:
    """By what the gateway calls the first Child SA."""
    return next(iter(at.pair.client._core.children.values())).sa.spi_out.to_bytes(4)


def rekey_child(at: Scene, spi: bytes | None = None) -> tuple[Payload, ...]:
    """The gateway's request to replace a Child SA."""
    child = next(iter(at.pair.client._core.children.values())).sa
    offer = at.pair.config.esp_offer.proposals_with_spi(NEW_SPI, kex=False)
    return (
        Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=spi or spi_of_gateway(at)),
        SecurityAssociation(offer),
        Nonce(bytes(range(32))),
        TsInitiator(child.remote_selectors),
        TsResponder(child.local_selectors),
    )


def rekey_ike(at: Scene) -> tuple[Payload, ...]:
    """The gateway's request to replace the IKE SA."""
    offer = at.pair.config.ike_offer.proposals_with_spi(b"gateway!")
    return (SecurityAssociation(offer), Nonce(bytes(range(32))), KeyExchange(Kex.X25519, b"\x09" + bytes(31)))


def delete_child(spi: bytes) -> tuple[Payload, ...]:
    return (Delete(ProtocolId.ESP, (spi,)),)


DELETE_IKE: tuple[Payload, ...] = (Delete(ProtocolId.IKE),)


def closing_child() -> Scene:
    """The client has replaced its Child SA and is about to delete the old one."""
    pair = established().pair
    pair.client.rekey_child(pair.now)
    while not any(isinstance(exchange, DeleteChild) for exchange in outstanding(pair)):
        pair.step()
    pair.drain()
    assert pair.client._core.current is not None
    return scene(pair, pair.client._core.current)


def outstanding(pair: Pair) -> list[object]:
    return [sa.window.outstanding[1] for sa in pair.client._core.sas.values() if sa.window.outstanding]


def error_of(message: Message) -> int | None:
    error = message.error()
    return None if error is None else error.type


REKEYING_CHILD, REKEYING, CLOSING = (PHASES[name] for name in ("rekeying a child", "rekeying", "closing"))
TEMPORARY = NotifyType.TEMPORARY_FAILURE


def refuse(at: Scene, error: NotifyType, data: bytes = b"") -> list[Message]:
    """Answer the client's outstanding request with an error; what it asks next."""
    assert at.ours is not None
    assert at.ours.window.outstanding is not None
    request = at.ours.window.outstanding[0]
    letter = Letter(request.exchange_type, request.message_id, True, (Notify(error, data),))
    at.pair.flights.clear()
    return [opened(at, sent.data) for sent in at.hear(at.authentic(letter))]
