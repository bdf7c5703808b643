"""MILENAGE and the generator of FIPS 186-2 against what their makers publish, and a software card's behaviour."""

from __future__ import annotations

import pytest

from client.ike.eap.fips186 import generate
from client.ike.eap.usim import Answer, Milenage, Resynchronise, SoftwareUsim, opc_of
from client.ike.keys import Secret
from tests.ike.published import Vector, load, source

MILENAGE = load("milenage")
SET = MILENAGE[17]  # test set 19
RAND, AMF = SET.octets("rand"), SET.octets("amf")


def functions(vector: Vector) -> Milenage:
    return Milenage(Secret(vector.octets("k")), Secret(vector.octets("opc")))


def autn(vector: Vector, sqn: bytes | None = None) -> bytes:
    """What the network sends with `rand`."""
    number = vector.octets("sqn") if sqn is None else sqn
    mac = functions(vector).f1(vector.octets("rand"), number, vector.octets("amf"))
    hidden = bytes(a ^ b for a, b in zip(number, vector.octets("f5"), strict=True))
    return hidden + vector.octets("amf") + mac


def card(highest: int = -1) -> SoftwareUsim:
    return SoftwareUsim(Secret(SET.octets("k")), Secret(SET.octets("opc")), highest)


@pytest.mark.parametrize("vector", MILENAGE, ids=source)
def test_every_function_gives_the_published_value(vector: Vector) -> None:
    rand, sqn, amf = (vector.octets(name) for name in ("rand", "sqn", "amf"))
    milenage = functions(vector)
    answer, anonymity = milenage.f2345(rand)
    assert opc_of(Secret(vector.octets("k")), Secret(vector.octets("op"))).reveal() == vector.octets("opc")
    assert milenage.f1(rand, sqn, amf) == vector.octets("f1")
    assert milenage.f1_star(rand, sqn, amf) == vector.octets("f1_star")
    assert answer.res.reveal() == vector.octets("f2")
    assert answer.ck.reveal() == vector.octets("f3")
    assert answer.ik.reveal() == vector.octets("f4")
    assert anonymity == vector.octets("f5")
    assert milenage.f5_star(rand) == vector.octets("f5_star")


@pytest.mark.parametrize("vector", load("fips186"), ids=source)
def test_the_generator_gives_the_published_octets(vector: Vector) -> None:
    assert generate(vector.octets("seed"), 160) == vector.octets("output")
    assert generate(vector.octets("seed"), 21) == vector.octets("output")[:21]


@pytest.mark.parametrize("vector", MILENAGE, ids=source)
def test_a_card_answers_a_genuine_network(vector: Vector) -> None:
    usim = SoftwareUsim(Secret(vector.octets("k")), Secret(vector.octets("opc")))
    answer = usim.authenticate(vector.octets("rand"), autn(vector))
    assert isinstance(answer, Answer)
    assert answer.res.reveal() == vector.octets("f2")


def test_a_card_answers_no_impostor() -> None:
    for position in range(16):
        forged = bytearray(autn(SET))
        forged[position] ^= 0x10
        assert card().authenticate(RAND, bytes(forged)) is None
    other = SoftwareUsim(Secret(bytes(16)), Secret(SET.octets("opc")))
    assert other.authenticate(RAND, autn(SET)) is None


def test_a_challenge_that_was_heard_before_asks_to_resynchronise() -> None:
    usim = card()
    assert isinstance(usim.authenticate(RAND, autn(SET)), Answer)
    again = usim.authenticate(RAND, autn(SET))
    assert isinstance(again, Resynchronise)
    own = bytes(a ^ b for a, b in zip(again.auts[:6], SET.octets("f5_star"), strict=True))
    assert own == SET.octets("sqn")
    assert again.auts[6:] == functions(SET).f1_star(RAND, own, bytes(2))
    later = (int.from_bytes(own) + 1).to_bytes(6)
    assert isinstance(usim.authenticate(RAND, autn(SET, later)), Answer)


def test_a_card_is_written_as_two_hexadecimal_numbers() -> None:
    text = f"{SET.text('k')}:{SET.text('opc')}\n"
    usim = SoftwareUsim.parse(Secret(text.encode()))
    assert isinstance(usim.authenticate(RAND, autn(SET)), Answer)
    assert SET.text("k") not in repr(usim)


@pytest.mark.parametrize(
    "text", ["", ":", "00", "zz:zz", "00" * 16, f"{'00' * 16}:{'00' * 15}", "00" * 16 + ":" * 3]
)
def test_what_is_no_card_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(ValueError, match="32 hexadecimal digits") as raised:
        SoftwareUsim.parse(Secret(text.encode()))
    assert len(text) < 3 or text not in str(raised.value)
