"""ESP packets from one end to the other, and everything that must not get through."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from client.esp.inner import CE, ECT_0, traffic_class
from client.esp.packet import InboundSa, OutboundSa, make_pair
from client.esp.policy import Policy
from client.esp.protection import make_protection
from client.esp.rejected import EspRejected, Reason
from client.ike.events import ChildKeys, EspAlgorithms
from client.ike.keys import Secret
from tests.esp.children import (
    AES_CBC,
    AES_GCM,
    AES_GCM_ESN,
    ALL_ALGORITHMS,
    CHACHA20,
    child_pair,
    counting_rng,
    selectors,
)
from tests.esp.packets import ip_packet, tcp_packet, udp_packet


def sender_and_receiver(algorithms: EspAlgorithms = AES_GCM) -> tuple[OutboundSa, InboundSa]:
    ours, theirs = child_pair(algorithms)
    return make_pair(ours, counting_rng())[1], make_pair(theirs, counting_rng())[0]


def reason_of(receiver: InboundSa, packet: bytes, ecn: int = 0) -> Reason:
    with pytest.raises(EspRejected) as rejected:
        receiver.decapsulate(packet, ecn)
    return rejected.value.reason


def outcome(receiver: InboundSa, packet: bytes, ecn: int) -> Reason | None:
    """Why a packet was rejected; None where it was passed on."""
    try:
        receiver.decapsulate(packet, ecn)
    except EspRejected as rejected:
        return rejected.reason
    return None


def protect(algorithms: EspAlgorithms, plaintext: bytes, sequence: int = 1) -> bytes:
    """An authentic packet of any plaintext, as only the peer could make it."""
    ours, _ = child_pair(algorithms)
    keys = ours.keys
    protection = make_protection(ours.spi_out, algorithms, keys.encr_out, keys.integ_out, counting_rng())
    return protection.protect(sequence, plaintext)


def test_published_packet_is_decapsulated() -> None:
    path = Path(__file__).parent / "vectors" / "rfc7634.toml"
    vector = tomllib.loads(path.read_text())  # RFC 7634 appendix A
    key = Secret(bytes.fromhex(vector["key"] + vector["salt"]))
    child = replace(
        child_pair(CHACHA20)[0],
        spi_in=vector["spi"],
        keys=ChildKeys(key, Secret(b""), key, Secret(b"")),
        local_selectors=selectors("192.0.2.5/32"),
        remote_selectors=selectors("198.51.100.0/24"),
    )
    inbound, _ = make_pair(child, counting_rng())
    packet = bytes.fromhex(vector["packet"])
    assert inbound.decapsulate(packet) == bytes.fromhex(vector["inner"])
    assert reason_of(inbound, packet) is Reason.REPLAYED


@pytest.mark.parametrize("algorithms", ALL_ALGORITHMS)
@pytest.mark.parametrize("ends", [("10.0.0.1", "10.77.0.1"), ("fd07::1", "fd77::1")])
def test_packets_of_every_size_come_out_as_they_went_in(
    algorithms: EspAlgorithms, ends: tuple[str, str]
) -> None:
    sender, receiver = sender_and_receiver(algorithms)
    for size in range(70):
        packet = udp_packet(*ends, data=bytes(range(size)))
        sealed = sender.encapsulate(packet)
        assert (len(sealed) - sender.overhead) % (16 if algorithms.integ else 4) == 0
        assert receiver.decapsulate(sealed) == packet
    assert sender.packets == receiver.packets == sender.sequence == 70
    assert sender.octets == receiver.octets
    assert receiver.dropped == 0


@pytest.mark.parametrize("algorithms", ALL_ALGORITHMS)
def test_every_flipped_bit_is_rejected_and_changes_nothing(algorithms: EspAlgorithms) -> None:
    sender, receiver = sender_and_receiver(algorithms)
    sealed = sender.encapsulate(udp_packet())
    for bit in range(len(sealed) * 8):
        flipped = bytearray(sealed)
        flipped[bit // 8] ^= 1 << bit % 8
        assert reason_of(receiver, bytes(flipped)) in (Reason.FORGED, Reason.REPLAYED)
    assert receiver.window.edge == receiver.packets == 0
    assert receiver.decapsulate(sealed) == udp_packet()


@pytest.mark.parametrize("algorithms", ALL_ALGORITHMS)
def test_every_truncation_is_rejected(algorithms: EspAlgorithms) -> None:
    sender, receiver = sender_and_receiver(algorithms)
    sealed = sender.encapsulate(udp_packet())
    for size in range(len(sealed)):
        assert reason_of(receiver, sealed[:size]) in (Reason.FORGED, Reason.TOO_SHORT)
    assert receiver.window.edge == 0


def test_replays_are_rejected_and_counted() -> None:
    sender, receiver = sender_and_receiver()
    sealed = [sender.encapsulate(udp_packet()) for _ in range(3)]
    for packet in (sealed[2], sealed[0], sealed[1]):
        receiver.decapsulate(packet)
    for packet in sealed:
        assert reason_of(receiver, packet) is Reason.REPLAYED
    assert receiver.dropped == 3


def test_a_nonce_never_repeats() -> None:
    sender, _ = sender_and_receiver()
    ivs = {sender.encapsulate(udp_packet())[8:16] for _ in range(1000)}
    assert len(ivs) == 1000


def test_sequence_numbers_end_without_a_wrap() -> None:
    sender, _ = sender_and_receiver()
    sender._sequence = (1 << 32) - 2
    assert sender.runs_low
    assert sender.encapsulate(udp_packet())[4:8] == b"\xff\xff\xff\xff"
    with pytest.raises(EspRejected) as rejected:
        sender.encapsulate(udp_packet())
    assert rejected.value.reason is Reason.EXHAUSTED


def test_esn_goes_on_beyond_32_bits() -> None:
    sender, receiver = sender_and_receiver(AES_GCM_ESN)
    sender._sequence = (1 << 32) - 3
    receiver.window.accept((1 << 32) - 3)
    for _ in range(5):
        assert receiver.decapsulate(sender.encapsulate(udp_packet())) == udp_packet()
    assert receiver.window.edge == (1 << 32) + 2


def test_numbers_run_low_after_three_quarters() -> None:
    sender, _ = sender_and_receiver()
    assert not sender.runs_low
    sender._sequence = 3 << 30
    sender.encapsulate(udp_packet())
    assert sender.runs_low


@pytest.mark.parametrize("algorithms", [AES_GCM, AES_CBC])
def test_tfc_padding_is_stripped(algorithms: EspAlgorithms) -> None:
    _, receiver = sender_and_receiver(algorithms)
    packet = udp_packet(data=b"x" * 20)
    plaintext = packet + bytes(494 - len(packet)) + b"\0\x04"
    assert len(plaintext) % 16 == 0
    assert receiver.decapsulate(protect(algorithms, plaintext)) == packet


def test_dummy_packets_are_dropped_and_are_a_sign_of_life() -> None:
    _, receiver = sender_and_receiver()
    with pytest.raises(EspRejected) as rejected:
        receiver.decapsulate(protect(AES_GCM, bytes(30) + b"\0\x3b"))
    assert rejected.value.reason is Reason.DUMMY
    assert rejected.value.authentic
    assert receiver.packets == 1


@pytest.mark.parametrize(
    ("plaintext", "reason"),
    [
        (udp_packet() + b"\x01\x02\x04\x03\x04", Reason.PADDING),
        (udp_packet() + b"\xff\x04", Reason.PADDING),
        (b"\x02\x04", Reason.PADDING),
        (b"\0\x04", Reason.INNER),
        (udp_packet() + b"\0\x06", Reason.NEXT_HEADER),
        (udp_packet() + b"\0\x29", Reason.INNER),
        (udp_packet("fd07::1", "fd77::1") + b"\0\x04", Reason.INNER),
        (udp_packet()[:-1] + b"\0\x04", Reason.INNER),
    ],
)
def test_authentic_nonsense_is_rejected_with_its_reason(plaintext: bytes, reason: Reason) -> None:
    _, receiver = sender_and_receiver()
    sealed = protect(AES_GCM, plaintext)
    assert reason_of(receiver, sealed) is reason
    assert reason_of(receiver, sealed) is Reason.REPLAYED


def test_authentic_mutations_raise_the_one_family() -> None:
    chance = random.Random(2)
    _, receiver = sender_and_receiver()
    original = tcp_packet(data=bytes(30)) + b"\x01\x02\x02\x04"
    reasons = set[Reason | None]()
    for sequence in range(1, 5000):
        mutated = bytearray(
            original[chance.randrange(len(original)) :] if chance.random() < 0.3 else original
        )
        for _ in range(chance.randrange(1, 4)):
            mutated[chance.randrange(len(mutated))] = chance.choice((0, 1, 0x7F, 0xFF, chance.randrange(256)))
        sealed = protect(AES_GCM, bytes(mutated) + bytes(max(2 - len(mutated), 0)), sequence)
        reasons.add(outcome(receiver, sealed, chance.randrange(4)))
    assert {None, Reason.PADDING, Reason.INNER, Reason.NEXT_HEADER, Reason.CONGESTION} <= reasons
    assert not reasons & {Reason.TOO_SHORT, Reason.REPLAYED, Reason.FORGED, Reason.EXHAUSTED}


def test_noise_is_rejected_before_anything_else() -> None:
    chance = random.Random(3)
    _, receiver = sender_and_receiver()
    for _ in range(3000):
        with pytest.raises(EspRejected) as rejected:
            receiver.decapsulate(chance.randbytes(chance.randrange(120)))
        assert not rejected.value.authentic


def test_foreign_packets_are_dropped_both_ways() -> None:
    ours, theirs = child_pair(local=selectors("10.0.0.1/32"), remote=selectors("10.77.0.0/24"))
    _, sender = make_pair(ours, counting_rng())
    with pytest.raises(EspRejected) as rejected:
        sender.encapsulate(udp_packet("10.0.0.1", "10.78.0.1"))
    assert rejected.value.reason is Reason.SELECTOR
    assert sender.sequence == 0
    _, peer = make_pair(child_pair()[1], counting_rng())  # a peer that sends what it likes
    receiver, _ = make_pair(ours, counting_rng())
    foreign = peer.encapsulate(udp_packet("10.78.0.1", "10.0.0.1"))
    assert reason_of(receiver, foreign) is Reason.SELECTOR
    inside = peer.encapsulate(udp_packet("10.77.0.1", "10.0.0.1"))
    assert receiver.decapsulate(inside) == udp_packet("10.77.0.1", "10.0.0.1")
    assert theirs.local_selectors == ours.remote_selectors


@pytest.mark.parametrize("packet", [b"", b"E", udp_packet()[:-1], udp_packet() + b"x", b"\x00" * 40])
def test_what_is_no_ip_packet_is_not_sent(packet: bytes) -> None:
    sender, _ = sender_and_receiver()
    with pytest.raises(EspRejected) as rejected:
        sender.encapsulate(packet)
    assert rejected.value.reason is Reason.INNER
    assert sender.sequence == 0


def test_outer_congestion_marks_reach_the_inner_packet() -> None:
    sender, receiver = sender_and_receiver()
    marked = receiver.decapsulate(sender.encapsulate(udp_packet(traffic_class=ECT_0)), CE)
    assert traffic_class(marked) == CE
    assert reason_of(receiver, sender.encapsulate(udp_packet()), CE) is Reason.CONGESTION


def test_buffers_of_the_data_path_hold_the_same_packets() -> None:
    sender, receiver = sender_and_receiver()
    packet = ip_packet("10.0.0.1", "10.77.0.1", 17, bytes(33))
    plaintext = packet + sender.trailer(len(packet), 4)
    sealed = bytearray(len(plaintext) + sender.overhead)
    sender.seal_into(len(packet), plaintext, memoryview(sealed))
    opened = bytearray(len(plaintext))
    receiver.open_into(memoryview(sealed), memoryview(opened))
    size = receiver.payload_size(opened)
    assert opened[:size] == packet
    receiver.admit(opened[:size])
    assert (receiver.packets, receiver.octets) == (sender.packets, sender.octets) == (1, len(packet))


def test_policy_is_shared_by_both_directions() -> None:
    inbound, outbound = make_pair(child_pair()[0], counting_rng())
    assert isinstance(inbound.policy, Policy)
    assert inbound.policy is outbound.policy
