"""Messages to test with, and real protection under keys that are no secret."""

from __future__ import annotations

import pytest

from client.ike.keys import Secret
from client.ike.message import Decoded, Message, decode
from client.ike.payloads import Nonce, Notify, Payload
from client.ike.registry import ExchangeType, NotifyType
from client.ike.seal import Opener, Sealer, make_opener, make_sealer
from client.ike.transforms import IkeSuite
from tests.ike.suites import SUITES

SPI_I = bytes.fromhex("1112131415161718")
SPI_R = bytes.fromhex("2122232425262728")
COOKIE = Notify(NotifyType.COOKIE, b"\xc0\xc1\xc2\xc3")
NONCE = Nonce(bytes(range(16)))

every_suite = pytest.mark.parametrize("suite", SUITES, ids=str)


def protection(suite: IkeSuite = SUITES[0]) -> tuple[Sealer, Opener]:
    """A sealer and the opener for it, with keys that are no secret."""
    sk_e = Secret(bytes(range(suite.encryption.keymat_size)))
    sk_a = Secret(bytes(suite.integrity.key_size if suite.integrity else 0))
    return make_sealer(suite, sk_e, sk_a, lambda size: b"\x5a" * size), make_opener(suite, sk_e, sk_a)


def init(*payloads: Payload, is_response: bool = False) -> Message:
    spi_r = SPI_R if is_response else bytes(8)
    return Message(SPI_I, spi_r, ExchangeType.IKE_SA_INIT, 0, payloads, not is_response, is_response)


def auth(*payloads: Payload, is_response: bool = True) -> Message:
    return Message(SPI_I, SPI_R, ExchangeType.IKE_AUTH, 1, payloads, not is_response, is_response)


def decoded(data: bytes, opener: Opener | None = None) -> Decoded:
    outcome = decode(data, opener)
    assert isinstance(outcome, Decoded), outcome
    return outcome


def one(messages: tuple[bytes, ...]) -> bytes:
    (message,) = messages
    return message


def with_octet(data: bytes, position: int, value: int) -> bytes:
    return data[:position] + bytes([value]) + data[position + 1 :]


def relabelled(data: bytes) -> bytes:
    """The message with the length that it really has."""
    return data[:24] + len(data).to_bytes(4) + data[28:]
