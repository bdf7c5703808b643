"""Protected messages: SK and SKF on the wire, forged octets, and the peer's own bad ones."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.ike.buffer import Writer
from client.ike.errors import InvalidSyntax, UnsupportedCriticalPayload
from client.ike.fragments import Reassembly
from client.ike.message import (
    Decoded,
    Fragment,
    Header,
    ProtectedError,
    Rejected,
    decode,
    decode_assembled,
    encode_protected,
)
from client.ike.payloads import PAYLOADS, Notify, Payload, UnknownPayload, VendorId
from client.ike.registry import NotifyType, PayloadType
from client.ike.seal import Opener
from client.ike.transforms import IkeSuite
from tests.ike.messages import (
    COOKIE,
    SPI_I,
    SPI_R,
    auth,
    decoded,
    every_suite,
    init,
    one,
    protection,
    relabelled,
    with_octet,
)
from tests.ike.strategies import PAYLOADS_OF_ANY_KIND
from tests.ike.suites import SUITES
from tests.ike.wire import SAMPLES, Sample, spoiled


def body(payload: Payload) -> bytes:
    writer = Writer()
    payload.push(writer)
    return writer.bytes()


@every_suite
@pytest.mark.parametrize("payloads", [(), (COOKIE,), (VendorId(bytes(3000)), COOKIE)])
def test_what_is_sealed_is_opened(suite: IkeSuite, payloads: tuple[Payload, ...]) -> None:
    sealer, opener = protection(suite)
    data = one(encode_protected(auth(*payloads), sealer))
    outcome = decoded(data, opener)
    assert outcome.message == auth(*payloads)
    assert outcome.protected
    assert outcome.header.length == len(data)


class PlainSealer:
    """Protects nothing, but shows what it is given; its own opener checks that the same is associated."""

    def __init__(self) -> None:
        self.associated: list[bytes] = []

    def seal(self, associated: bytes, plaintext: bytes) -> bytes:
        self.associated.append(associated)
        return b"IV" + plaintext + b"ICV"

    def sealed_size(self, plaintext_size: int) -> int:
        return plaintext_size + 5

    def open(self, associated: bytes, sealed: bytes) -> bytes:
        assert associated == self.associated.pop(0)
        return sealed[2:-3]


def test_a_protected_message_is_written_as_its_figure_has_it() -> None:
    plain = PlainSealer()
    data = one(encode_protected(auth(Notify(NotifyType.INITIAL_CONTACT)), plain))
    associated = bytes.fromhex(
        "1112131415161718 2122232425262728 2e 20 23 20 00000001 0000002d"  # header, next: SK
        "29 00 0011"  # SK; next is the first payload inside
    )
    assert plain.associated == [associated]
    assert data == associated + b"IV" + bytes.fromhex("00 00 0008 00 00 4000") + b"ICV"
    assert decoded(data, plain).message == auth(Notify(NotifyType.INITIAL_CONTACT))


def test_a_fragment_is_written_as_its_figure_has_it() -> None:
    plain = PlainSealer()
    data = encode_protected(auth(Notify(NotifyType.INITIAL_CONTACT)), plain, fragment_size=44)
    first = bytes.fromhex(
        "1112131415161718 2122232425262728 35 20 23 20 00000001 0000002c"  # header, next: SKF
        "29 00 0010 0001 0003"  # SKF, number 1 of 3
    )
    last = bytes.fromhex(
        "1112131415161718 2122232425262728 35 20 23 20 00000001 0000002b 00 00 000f 0003 0003"
    )
    assert data[0] == first + b"IV" + bytes.fromhex("000000") + b"ICV"
    assert data[2] == last + b"IV" + bytes.fromhex("4000") + b"ICV"
    outcome = decode(data[0], plain)
    assert outcome == Fragment(Header.pull(data[0]), 1, 3, PayloadType.NOTIFY, bytes(3))


@every_suite
def test_every_flipped_bit_of_a_protected_message_rejects_it(suite: IkeSuite) -> None:
    sealer, opener = protection(suite)
    for payloads in ((), (COOKIE,)):
        data = one(encode_protected(auth(*payloads), sealer))
        assert_every_flip_is_rejected(data, opener)


@every_suite
def test_every_flipped_bit_of_a_fragment_rejects_it(suite: IkeSuite) -> None:
    sealer, opener = protection(suite)
    for data in encode_protected(auth(VendorId(bytes(120))), sealer, fragment_size=140):
        assert isinstance(decode(data, opener), Fragment)
        assert_every_flip_is_rejected(data, opener)


def assert_every_flip_is_rejected(data: bytes, opener: Opener) -> None:
    for position, bit in itertools.product(range(len(data)), range(8)):
        flipped = with_octet(data, position, data[position] ^ 1 << bit)
        assert isinstance(decode(flipped, opener), Rejected), f"bit {bit} of octet {position}"


@every_suite
def test_every_truncation_of_a_protected_message_is_rejected(suite: IkeSuite) -> None:
    sealer, opener = protection(suite)
    data = one(encode_protected(auth(COOKIE), sealer))
    for size in range(len(data)):
        assert isinstance(decode(data[:size], opener), Rejected)
        if size >= 32:  # the lengths made to fit: the octets are still no longer authentic
            cut = data[:30] + (size - 28).to_bytes(2) + data[32:size]
            assert isinstance(decode(relabelled(cut), opener), Rejected)


def test_a_message_sealed_with_other_keys_is_rejected() -> None:
    sealer, _ = protection()
    _, opener = protection(SUITES[-1])
    assert isinstance(decode(one(encode_protected(auth(COOKIE), sealer)), opener), Rejected)


def test_a_protected_message_is_rejected_while_there_are_no_keys() -> None:
    sealer, _ = protection()
    assert isinstance(decode(one(encode_protected(auth(COOKIE), sealer)), None), Rejected)


def test_ike_sa_init_is_never_protected() -> None:
    sealer, opener = protection()
    assert isinstance(decode(one(encode_protected(init(COOKIE), sealer)), opener), Rejected)


SMALL = [sample for sample in SAMPLES if len(sample.octets) < 100]


@pytest.mark.parametrize("sample", SMALL, ids=lambda sample: sample.name)
def test_spoiled_octets_of_the_peer_are_decoded_or_its_fault(sample: Sample) -> None:
    assert not isinstance(sample.payload, UnknownPayload)
    sealer, _ = protection()
    octets = body(sample.payload)
    chain = bytes([0, 0]) + (4 + len(octets)).to_bytes(2) + octets
    header = Header.pull(one(encode_protected(auth(sample.payload), sealer)))
    assert decode_assembled(header, sample.payload.TYPE, chain) == Decoded(header, auth(sample.payload), True)
    for spoiled_chain in spoiled(chain):
        outcome = decode_assembled(header, sample.payload.TYPE, spoiled_chain)
        assert isinstance(outcome, Decoded | ProtectedError)


def sealed_chain(
    next_payload: int,
    chain: bytes,
    *,
    in_front: bytes = b"",
    first: int = PayloadType.SK,
    numbers: bytes = b"",
) -> bytes:
    """A genuine message whose Encrypted payload holds these octets, whatever they are."""
    sealer, _ = protection()
    size = 4 + len(numbers) + sealer.sealed_size(len(chain))
    total = 28 + len(in_front) + size
    associated = SPI_I + SPI_R + bytes([first, 0x20, 35, 0x20]) + (1).to_bytes(4) + total.to_bytes(4)
    associated += in_front + bytes([next_payload, 0]) + size.to_bytes(2) + numbers
    return associated + sealer.seal(associated, chain)


NESTED = [(PayloadType.SK, b"sealed"), (PayloadType.SKF, bytes.fromhex("00010001") + b"sealed")]


@pytest.mark.parametrize(("kind", "content"), NESTED)
def test_an_encrypted_payload_inside_another_is_the_peers_fault(kind: int, content: bytes) -> None:
    chain = bytes([0, 0]) + (4 + len(content)).to_bytes(2) + content
    outcome = decode(sealed_chain(kind, chain), protection()[1])
    assert isinstance(outcome, ProtectedError)
    assert isinstance(outcome.error, InvalidSyntax)


def test_octets_behind_the_inner_chain_are_the_peers_fault() -> None:
    assert isinstance(decode(sealed_chain(0, b"\x00"), protection()[1]), ProtectedError)


def test_nonsense_padding_of_the_peer_is_its_fault() -> None:
    class BadPadding:
        def open(self, associated: bytes, sealed: bytes) -> bytes:
            raise InvalidSyntax("Pad Length exceeds the decrypted octets")

    assert isinstance(decode(sealed_chain(0, b""), BadPadding()), ProtectedError)


def test_octets_behind_the_encrypted_payload_are_rejected() -> None:
    data = sealed_chain(PayloadType.NONE, b"")
    assert isinstance(decode(data, protection()[1]), Decoded)
    follower = bytes.fromhex("00 00 0004")
    assert isinstance(decode(relabelled(data + follower), protection()[1]), Rejected)


NUMBERS = {PayloadType.SK: b"", PayloadType.SKF: bytes.fromhex("00010001")}


@pytest.mark.parametrize("encrypted", NUMBERS)
class TestPayloadsInFrontOfTheEncryptedOne:
    def message(self, kind: int, encrypted: PayloadType, *, critical: bool = False) -> bytes:
        in_front = bytes([encrypted, critical * 0x80]) + bytes.fromhex("0008 00004000")
        return sealed_chain(PayloadType.NONE, b"", in_front=in_front, first=kind, numbers=NUMBERS[encrypted])

    def test_an_unknown_one_is_skipped(self, encrypted: PayloadType) -> None:
        outcome = decode(self.message(200, encrypted), protection()[1])
        assert isinstance(outcome, Decoded if encrypted == PayloadType.SK else Fragment)

    def test_a_critical_one_is_the_peers_fault(self, encrypted: PayloadType) -> None:
        outcome = decode(self.message(200, encrypted, critical=True), protection()[1])
        assert isinstance(outcome, ProtectedError)
        assert isinstance(outcome.error, UnsupportedCriticalPayload)

    def test_a_known_one_is_not_believed(self, encrypted: PayloadType) -> None:
        outcome = decode(self.message(PayloadType.NOTIFY, encrypted), protection()[1])
        assert isinstance(outcome, ProtectedError)

    def test_it_is_authenticated_too(self, encrypted: PayloadType) -> None:
        assert_every_flip_is_rejected(self.message(200, encrypted), protection()[1])


@pytest.mark.parametrize(("number", "total"), [(0, 0), (0, 1), (2, 1), (1, 0), (65535, 64)])
def test_a_fragment_with_impossible_numbers_is_rejected_unopened(number: int, total: int) -> None:
    content = number.to_bytes(2) + total.to_bytes(2) + b"sealed"
    assert isinstance(decode(unsealed_fragment(content), PlainSealer()), Rejected)


def test_a_fragment_without_numbers_is_rejected() -> None:
    assert isinstance(decode(unsealed_fragment(bytes(3)), PlainSealer()), Rejected)


def unsealed_fragment(content: bytes) -> bytes:
    """A message with an SKF payload of these octets."""
    header = SPI_I + SPI_R + bytes([PayloadType.SKF, 0x20, 35, 0x20]) + bytes(8)
    return relabelled(header + bytes(2) + (4 + len(content)).to_bytes(2) + content)


# --- fragments on the sending side


@every_suite
def test_a_message_that_fits_is_not_fragmented(suite: IkeSuite) -> None:
    sealer, _ = protection(suite)
    message = auth(VendorId(bytes(500)))
    whole = one(encode_protected(message, sealer))
    assert Header.pull(whole).next_payload == PayloadType.SK
    assert len(encode_protected(message, sealer, fragment_size=len(whole))) == 1
    assert len(encode_protected(message, sealer, fragment_size=len(whole) - 1)) == 2


@every_suite
@pytest.mark.parametrize("fragment_size", [100, 576, 1232])
def test_fragments_fill_their_size_and_never_exceed_it(suite: IkeSuite, fragment_size: int) -> None:
    sealer, opener = protection(suite)
    fragments = encode_protected(auth(VendorId(bytes(5000))), sealer, fragment_size=fragment_size)
    sizes = [len(fragment) for fragment in fragments]
    assert max(sizes) <= fragment_size
    assert all(fragment_size - size < 16 for size in sizes[:-1])  # less than a block is left
    for number, fragment in enumerate(fragments, start=1):
        outcome = decode(fragment, opener)
        assert isinstance(outcome, Fragment)
        assert (outcome.number, outcome.total) == (number, len(fragments))
        assert outcome.first_payload == (PayloadType.VENDOR if number == 1 else PayloadType.NONE)


def test_a_fragment_size_without_room_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(AssertionError):
        encode_protected(auth(COOKIE), protection()[0], fragment_size=60)


@st.composite
def chains(draw: st.DrawFn) -> tuple[Payload, ...]:
    """Payloads of any kind, those that must not be repeated at most once."""
    drawn = draw(st.lists(PAYLOADS_OF_ANY_KIND, max_size=6))
    payloads: dict[object, Payload] = {}
    for position, payload in enumerate(drawn):
        assert not isinstance(payload, UnknownPayload)
        repeatable = PAYLOADS[payload.TYPE].repeatable
        payloads.setdefault(position if repeatable else payload.TYPE.name, payload)
    return tuple(payloads.values())


@settings(max_examples=100)
@given(payloads=chains(), suite=st.sampled_from(SUITES), fragment_size=st.integers(120, 400), data=st.data())
def test_any_message_survives_protection_and_fragments_in_any_order(
    payloads: tuple[Payload, ...], suite: IkeSuite, fragment_size: int, data: st.DataObject
) -> None:
    sealer, opener = protection(suite)
    message = auth(*payloads)
    datagrams = encode_protected(message, sealer, fragment_size=fragment_size)
    if len(datagrams) == 1:
        assert decoded(datagrams[0], opener).message == message
        return
    reassembly = Reassembly()
    results = []
    for datagram in data.draw(st.permutations(datagrams)):
        outcome = decode(datagram, opener)
        assert isinstance(outcome, Fragment)
        results.append(reassembly.add(outcome))
    assert results[:-1] == [None] * (len(datagrams) - 1)
    assert isinstance(results[-1], Decoded)
    assert results[-1].message == message


@settings(max_examples=300)
@given(data=st.binary(max_size=200))
def test_random_octets_are_rejected_or_a_clear_message(data: bytes) -> None:
    _, opener = protection()
    assert isinstance(decode(data, opener), Rejected)
    tail = SPI_I + SPI_R + bytes([PayloadType.NOTIFY, 0x20, 34, 0x20]) + bytes(8) + data
    assert isinstance(decode(relabelled(tail), opener), Decoded | Rejected)
