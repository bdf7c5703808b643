"""Servers' flights that are spoilt: one family of errors, no login, bounded memory."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from random import Random

import pytest

from client.ike.eap.tls import TlsEnd, TlsFailed
from client.ike.keys import Secret
from client.ike.tls.client import DistantTls
from client.ike.tls.messages import Message
from client.ike.tls.records import ContentType, Wire, record
from tests.ike.eap.dialogue import seeded
from tests.ike.eap.test_tls import accepting, server_context
from tests.ike.eap.tls_dialogue import OPTIONS, VERSIONS, WALL
from tests.ike.test_distant_signers import answer
from tests.ike.tls.holding import client, identity, user

MUTANTS = 700
NOISE = 120


class Recording(DistantTls):
    """Remembers the server's messages as they are inside their records."""

    def __init__(self) -> None:
        super().__init__(OPTIONS.trust, WALL, identity(user()), seeded("client"))
        self.heard: list[bytes] = []

    def _go_on(self, gift: Message | Secret | None) -> None:
        if isinstance(gift, Message) and gift.type < 256:
            self.heard.append(gift.octets)
        super()._go_on(gift)


def genuine(version: str) -> list[bytes]:
    """The server's first flight, message by message."""
    here, there = Recording(), TlsEnd(accepting(server_context(version=VERSIONS[version])))
    here.receive(b"")
    there.receive(here.take())
    here.receive(there.take())
    assert here.wanted is not None
    return here.heard


def deliver(here: DistantTls, messages: Sequence[bytes]) -> None:
    """Say these to the client, sealed with the keys that it expects at each."""
    for octets in messages:
        there = Wire()
        there.writing = copy.copy(here._wire.reading)
        there.write(ContentType.HANDSHAKE, octets)
        here.receive(there.take())


def spoilt(messages: Sequence[bytes], random: Random) -> list[bytes]:
    """The same with one thing wrong."""
    mutant = list(messages)
    at = random.randrange(len(mutant))
    octets = bytearray(mutant[at])
    spot = random.randrange(len(octets))
    match random.randrange(8):
        case 0:
            octets[spot] ^= 1 << random.randrange(8)
        case 1:
            octets[spot] = random.choice([0, 1, 0x7F, 0x80, 0xFF])
        case 2:
            del octets[spot : spot + random.randrange(1, 40)]
        case 3:
            octets[spot:spot] = random.randbytes(random.randrange(1, 40))
        case 4:  # with the length outside right again
            octets[1:4] = (len(octets) - 4).to_bytes(3)
            del octets[max(4, spot) :]
            octets[1:4] = (len(octets) - 4).to_bytes(3)
        case 5:
            del mutant[at]
            return mutant
        case 6:
            mutant.insert(random.randrange(len(mutant)), mutant[at])
            return mutant
        case _:
            other = random.randrange(len(mutant))
            mutant[at], mutant[other] = mutant[other], mutant[at]
            return mutant
    mutant[at] = bytes(octets)
    return mutant


def mutants(version: str) -> Iterator[list[bytes]]:
    messages, random = genuine(version), Random(f"hostile {version}")
    made = 0
    while made < MUTANTS:
        mutant = spoilt(messages, random)
        if not b"".join(mutant).startswith(b"".join(messages)):
            made += 1
            yield mutant


def test_the_genuine_flight_is_taken_as_it_was_recorded() -> None:
    for version in VERSIONS:
        here = client(user())
        here.receive(b"")
        deliver(here, genuine(version))
        assert here.wanted is not None


def test_no_spoilt_flight_of_tls_1_3_gets_a_signature() -> None:
    ends = 0
    for mutant in mutants("1.3"):
        here = client(user())
        here.receive(b"")
        here.take()
        try:
            deliver(here, mutant)
        except TlsFailed:
            ends += 1
            assert 0 < len(here.take()) < 40  # an alert, and nothing else
        assert here.wanted is None
        assert not here.established
    assert ends > MUTANTS * 0.9  # the others wait for more


def test_no_spoilt_flight_of_tls_1_2_leads_to_a_login() -> None:
    """The server's Finished comes after our signature: what is wrong in between is known only then."""
    ends = signed = 0
    for mutant in mutants("1.2"):
        here = client(user())
        here.receive(b"")
        here.take()
        try:
            deliver(here, mutant)
            if here.wanted is not None:
                signed += 1
                here.resume(answer(user().key, here.wanted))
                here.receive(record(ContentType.CHANGE_CIPHER_SPEC, b"\x01"))
                deliver(here, [Message(20, bytes(12)).octets])
        except TlsFailed:
            ends += 1
        assert not here.established
    assert ends > MUTANTS * 0.8
    assert signed < MUTANTS / 4  # our certificate's request alone may be spoilt so far


@pytest.mark.parametrize("version", VERSIONS)
def test_records_of_noise_end_the_connection(version: str) -> None:
    random = Random(version)
    for _ in range(NOISE):
        here = client(user())
        here.receive(b"")
        there = TlsEnd(accepting(server_context(version=VERSIONS[version])))
        there.receive(here.take())
        flight = bytearray(there.take())
        for _ in range(random.randrange(1, 4)):
            flight[random.randrange(len(flight))] ^= random.randrange(1, 256)
        try:
            here.receive(bytes(flight))
            here.receive(random.randbytes(random.randrange(300)))
        except TlsFailed:
            assert len(here.take()) < 40
        assert not here.established


ALONE = {
    "nothing but a header": b"\x16\x03\x03\x00\x00",
    "an empty message in clear, over and over": b"\x14\x03\x03\x00\x01\x01" * 3,
    "a huge record": b"\x16\x03\x03\xff\xff",
    "no TLS": b"HTTP/1.1 400 Bad Request",
    "a huge message": record(22, b"\x02\xff\xff\xff"),
    "data in clear": record(23, b"hello"),
    "half an end": record(21, b"\x02"),
    "an unknown record": record(24, b"\x01"),
    "an end in the middle of a message": record(22, b"\x02\0") + record(21, b"\x02\x28"),
    "the client's own message": record(22, Message(1, bytes(40)).octets),
}


@pytest.mark.parametrize("what", ALONE)
def test_what_is_no_flight_ends_the_connection(what: str) -> None:
    here = client(user())
    here.receive(b"")
    with pytest.raises(TlsFailed):
        here.receive(ALONE[what])
    with pytest.raises(TlsFailed):
        here.receive(b"")


def test_no_message_reaches_across_a_change_of_keys() -> None:
    messages = genuine("1.3")
    here = client(user())
    here.receive(b"")
    with pytest.raises(TlsFailed, match="across a change of keys"):
        here.receive(record(22, messages[0] + messages[1]))
    here = client(user())
    here.receive(b"")
    deliver(here, messages[:-1])
    with pytest.raises(TlsFailed, match="across a change of keys"):
        deliver(here, [messages[-1] + Message(4, b"ticket").octets])


def test_no_more_is_kept_than_a_message_and_a_record() -> None:
    here = client(user())
    here.receive(b"")
    part = record(22, bytes(16384))
    here.receive(record(22, b"\x02\x01\x00\x00"))  # the largest message that there may be
    for _ in range(3):
        here.receive(part)
    assert len(here._messages) + len(here._wire._received) <= 65536 + 4
    with pytest.raises(TlsFailed):  # the message is whole, and it is none
        here.receive(part + part)
