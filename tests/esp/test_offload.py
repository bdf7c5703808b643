"""Segments joined for the TUN interface: what the kernel gets, taken apart again, is what came in."""

from __future__ import annotations

import random
import struct
from ipaddress import ip_address

import pytest

from client.esp.offload import NO_OFFLOAD, TcpRun
from tests.esp.packets import checksum, tcp_packet, udp_packet

V4 = ("10.0.0.1", "10.77.0.1")
V6 = ("fd07::1", "fd77::1")
TIMESTAMP = b"\x01\x01\x08\x0a" + bytes(8)


def segment(
    number: int,
    ends: tuple[str, str] = V4,
    *,
    size: int = 100,
    flags: int = 0x10,
    options: bytes = b"",
    traffic_class: int = 0,
) -> bytes:
    """Segment `number` of a stream of segments of 100 octets."""
    data = bytes((number % 256,)) * size
    return tcp_packet(
        1 + 100 * number,
        data,
        source=ends[0],
        destination=ends[1],
        flags=flags,
        options=options,
        traffic_class=traffic_class,
    )


def plaintext(packet: bytes) -> memoryview:
    """The packet with an ESP trailer, in a buffer of its own."""
    pad = -(len(packet) + 2) % 4
    trailer = bytes(range(1, pad + 1)) + bytes((pad, 4 if packet[0] >> 4 == 4 else 41))
    return memoryview(bytearray(packet + trailer))


def join(packets: list[bytes]) -> list[bytes]:
    """What is written for these packets, one string for each write, as `Ingress` does it."""
    run, written = TcpRun(), list[bytes]()
    for packet in packets:
        opened = plaintext(packet)
        if run.follows(opened) or run.ends_with(opened, len(packet)):
            continue
        if run:
            written.append(b"".join(run.finish()))
        run.begin(opened, len(packet))
    return [*written, b"".join(run.finish())]


def take_apart(written: bytes) -> list[bytes]:
    """Segment as the kernel does, checksums included."""
    flags, kind, head, size, start, offset = struct.unpack("<BBHHHH", written[:10])
    packet = written[10:]
    if not flags:
        assert written[:10] == NO_OFFLOAD
        return [packet]
    version = packet[0] >> 4
    assert (flags, kind, offset) == (1, {4: 1, 6: 4}[version], 16)
    assert start == {4: 20, 6: 40}[version]
    assert_partial_checksum(packet, start)
    payload = packet[head:]
    starts = range(0, len(payload), size)
    return [resegment(packet[:head], payload[at : at + size], at, at == starts[-1]) for at in starts]


def pseudo_header(packet: bytes, tcp: int, length: int) -> bytes:
    addresses = packet[12:20] if packet[0] >> 4 == 4 else packet[8:40]
    return addresses + length.to_bytes(4) + (6).to_bytes(4)


def assert_partial_checksum(packet: bytes, tcp: int) -> None:
    if tcp == 20:
        assert int.from_bytes(packet[2:4]) == len(packet)
        assert checksum(packet[:20]) == 0
    else:
        assert int.from_bytes(packet[4:6]) == len(packet) - 40
    pseudo = pseudo_header(packet, tcp, len(packet) - tcp)
    assert int.from_bytes(packet[tcp + 16 : tcp + 18]) == checksum(pseudo) ^ 0xFFFF


def resegment(head: bytes, payload: bytes, at: int, last: bool) -> bytes:
    tcp = 20 if head[0] >> 4 == 4 else 40
    new = bytearray(head + payload)
    new[tcp + 4 : tcp + 8] = (int.from_bytes(head[tcp + 4 : tcp + 8]) + at).to_bytes(4)
    if not last:
        new[tcp + 13] &= ~0x08  # PSH stays on the last
    if tcp == 20:
        new[2:4] = len(new).to_bytes(2)
        new[10:12] = bytes(2)
        new[10:12] = checksum(bytes(new[:20])).to_bytes(2)
    else:
        new[4:6] = (len(new) - 40).to_bytes(2)
    new[tcp + 16 : tcp + 18] = bytes(2)
    summed = checksum(pseudo_header(bytes(new), tcp, len(new) - tcp) + new[tcp:])
    new[tcp + 16 : tcp + 18] = summed.to_bytes(2)
    return bytes(new)


def assert_unchanged(packets: list[bytes], writes: int) -> None:
    written = join(packets)
    assert [packet for one in written for packet in take_apart(one)] == packets
    assert len(written) == writes


@pytest.mark.parametrize("ends", [V4, V6])
@pytest.mark.parametrize("options", [b"", TIMESTAMP])
def test_segments_in_order_are_one_write(ends: tuple[str, str], options: bytes) -> None:
    packets = [segment(number, ends, options=options) for number in range(10)]
    assert_unchanged([*packets, segment(10, ends, size=7, options=options, flags=0x18)], writes=1)


@pytest.mark.parametrize("ends", [V4, V6])
def test_a_push_ends_a_run(ends: tuple[str, str]) -> None:
    flags = [0x10, 0x10, 0x18, 0x10, 0x10]
    assert_unchanged([segment(n, ends, flags=flag) for n, flag in enumerate(flags)], writes=2)


def test_a_short_segment_ends_a_run() -> None:
    packets = [segment(0), segment(1), segment(2, size=99), segment(3)]
    assert_unchanged(packets, writes=2)


@pytest.mark.parametrize(
    "second",
    [
        segment(2),  # a gap
        segment(0),  # again
        segment(1, flags=0x11),  # FIN
        segment(1, flags=0x50),  # ECE
        segment(1, size=101),  # longer
        segment(1, size=0),  # an acknowledgement
        segment(1, options=TIMESTAMP),
        segment(1, traffic_class=2),
        tcp_packet(101, bytes(100), acknowledged=8),
        tcp_packet(101, bytes(100), window=501),
        tcp_packet(101, bytes(100), ports=(1111, 2223)),
        tcp_packet(101, bytes(100), destination="10.77.0.2"),
        tcp_packet(101, bytes(100), fragment=0x6000),  # more fragments
        udp_packet(data=bytes(112)),
    ],
)
def test_what_is_no_next_segment_is_written_apart(second: bytes) -> None:
    assert_unchanged([segment(0), second], writes=2)


@pytest.mark.parametrize(
    "first",
    [
        segment(0, size=0),
        segment(0, flags=0x02),  # SYN
        segment(0, flags=0x11),
        segment(0, flags=0x18),
        tcp_packet(1, bytes(100), fragment=0),  # may be fragmented: its identification counts
        tcp_packet(1, bytes(100), fragment=0x2000),
        udp_packet(data=bytes(112)),
    ],
)
def test_what_cannot_begin_a_run_is_written_apart(first: bytes) -> None:
    assert_unchanged([first, segment(1)], writes=2)


def test_identification_does_not_matter_where_fragments_are_forbidden() -> None:
    second = bytearray(segment(1))
    second[4:6] = b"\xab\xcd"
    second[10:12] = bytes(2)
    second[10:12] = checksum(bytes(second[:20])).to_bytes(2)
    assert len(join([segment(0), bytes(second)])) == 1


def test_a_length_that_hides_padding_is_looked_at() -> None:
    hidden = segment(1, size=96)
    opened = memoryview(bytearray(hidden + bytes(4) + plaintext(segment(1))[len(segment(1)) :]))
    run = TcpRun()
    first = plaintext(segment(0))
    run.begin(first, len(segment(0)))
    assert len(opened) == len(first)
    assert not run.follows(opened)
    assert run.ends_with(opened, len(hidden))


def test_a_wrong_trailer_is_looked_at() -> None:
    run = TcpRun()
    run.begin(plaintext(segment(0)), len(segment(0)))
    second = plaintext(segment(1))
    second[-1] = 41
    assert not run.follows(second)


def test_sequence_numbers_wrap_between_runs() -> None:
    start = (1 << 32) - 250
    packets = [tcp_packet(start + 100 * n, bytes((n,)) * 100) for n in range(6)]
    assert_unchanged(packets, writes=2)


def test_a_run_never_exceeds_the_largest_packet() -> None:
    packets = [tcp_packet(1 + 1400 * n, bytes(1400)) for n in range(100)]
    written = join(packets)
    assert max(map(len, written)) <= 65535 + 10
    assert [packet for one in written for packet in take_apart(one)] == packets


def test_tiny_segments_do_not_exceed_what_one_write_takes() -> None:
    run = TcpRun()
    opened = plaintext(tcp_packet(0, b"x"))
    run.begin(opened, 41)
    count = 1
    while run.follows(plaintext(tcp_packet(count, b"x"))):
        count += 1
    assert count == 128
    assert len(run.finish()) <= 1024


@pytest.mark.parametrize("seed", range(20))
def test_any_mix_of_streams_comes_out_unchanged(seed: int) -> None:
    chance = random.Random(seed)
    packets = list[bytes]()
    sent = {2222: 0, 3333: 0}
    for _ in range(300):
        port = chance.choice((2222, 2222, 2222, 3333))
        size = chance.choice((100, 100, 100, 100, 60, 0))
        sequence = sent[port] + (100 if chance.random() < 0.05 else 0)
        ends = V6 if port == 3333 else V4
        packets.append(
            tcp_packet(
                sequence,
                chance.randbytes(size),
                source=str(ip_address(ends[0])),
                destination=ends[1],
                ports=(1, port),
                flags=chance.choice((0x10, 0x10, 0x10, 0x18)),
            )
        )
        sent[port] = sequence + size
    written = join(packets)
    assert [packet for one in written for packet in take_apart(one)] == packets
    assert len(written) < len(packets)
