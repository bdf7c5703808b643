"""From the wire to the TUN interface and to the parent."""

from __future__ import annotations

import errno
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address

import pytest

from client.esp import ipc
from client.esp.inner import CE, ECT_0, traffic_class
from client.esp.offload import NO_OFFLOAD
from client.esp.packet import make_pair
from client.ike.events import Endpoint, EspAlgorithms
from tests.esp.children import ALL_ALGORITHMS, child_pair, counting_rng, selectors
from tests.esp.packets import tcp_packet, udp_packet
from tests.esp.test_offload import take_apart
from tests.esp.turning import LOCAL, REMOTE, Turning, origin, turning

BACK = ("10.77.0.1", "10.0.0.1")


def packet(number: int = 0, size: int = 100) -> bytes:
    return udp_packet(*BACK, data=bytes((number,)) * size)


def stream(count: int) -> list[bytes]:
    return [
        tcp_packet(1 + 1000 * n, bytes((n,)) * 1000, source=BACK[0], destination=BACK[1])
        for n in range(count)
    ]


def passed_on(end: Turning) -> list[bytes]:
    return [one for written in end.written() for one in take_apart(written)]


def test_single_datagrams_are_passed_on() -> None:
    packets = [packet(n, 100 + n) for n in range(5)]
    with turning() as end:
        assert end.arrive(*((end.peer_out.encapsulate(one), origin()) for one in packets))
        assert end.written() == [NO_OFFLOAD + one for one in packets]


@pytest.mark.parametrize("algorithms", ALL_ALGORITHMS)
def test_a_train_of_one_stream_is_one_write(algorithms: EspAlgorithms) -> None:
    packets = stream(20)
    with turning(child_pair(algorithms)) as end:
        sealed = [end.peer_out.encapsulate(one) for one in packets]
        assert end.arrive((b"".join(sealed), origin(part=len(sealed[0]))))
        written = end.written()
        assert len(written) == 1
        assert take_apart(written[0]) == packets
        tally = end.table.pairs[0].inbound
        assert (tally.packets, tally.octets) == (20, sum(map(len, packets)))


def test_single_datagrams_of_one_stream_are_joined_too() -> None:
    packets = stream(20)
    with turning() as end:
        end.arrive(*((end.peer_out.encapsulate(one), origin()) for one in packets))
        written = end.written()
        assert len(written) == 1
        assert take_apart(written[0]) == packets


def test_the_last_of_a_train_may_be_shorter() -> None:
    packets = [*(packet(n) for n in range(3)), packet(3, 50)]
    with turning() as end:
        sealed = [end.peer_out.encapsulate(one) for one in packets]
        end.arrive((b"".join(sealed), origin(part=len(sealed[0]))))
        assert passed_on(end) == packets


def test_more_than_fits_the_buffer_is_passed_on_in_pieces() -> None:
    packets = [udp_packet(*BACK, data=bytes((n,)) * 60_000) for n in range(3)]
    with turning() as end:
        end.arrive(*((end.peer_out.encapsulate(one), origin()) for one in packets))
        assert passed_on(end) == packets


@pytest.mark.parametrize("damaged", range(5))
def test_a_forged_packet_within_a_stream_is_missing_and_nothing_else(damaged: int) -> None:
    packets = stream(5)
    with turning() as end:
        sealed = [bytearray(end.peer_out.encapsulate(one)) for one in packets]
        sealed[damaged][40] ^= 1
        end.arrive((b"".join(sealed), origin(part=len(sealed[0]))))
        del packets[damaged]
        assert passed_on(end) == packets
        assert end.table.pairs[0].inbound.dropped == 1


def test_a_replay_within_a_stream_is_missing() -> None:
    packets = stream(3)
    with turning() as end:
        sealed = [end.peer_out.encapsulate(one) for one in packets]
        end.arrive((b"".join((*sealed, sealed[1])), origin(part=len(sealed[0]))))
        assert passed_on(end) == packets
        assert not end.arrive((sealed[2], origin()))


def test_every_flipped_bit_is_dropped_and_no_sign_of_life() -> None:
    with turning() as end:
        sealed = end.peer_out.encapsulate(packet(size=20))
        for bit in range(len(sealed) * 8):
            flipped = bytearray(sealed)
            flipped[bit // 8] ^= 1 << bit % 8
            assert not end.arrive((bytes(flipped), origin()))
        assert end.written() == []
        assert end.told == []
        assert end.arrive((sealed, origin()))


def test_noise_passes_nothing_on() -> None:
    chance = random.Random(5)
    with turning() as end:
        spi = end.ours.spi_in.to_bytes(4)
        for _ in range(2000):
            noise = chance.choice((spi, b"")) + chance.randbytes(chance.randrange(100))
            part = chance.choice((0, 0, chance.randrange(1, 60)))
            if noise[:4] != bytes(4):
                assert not end.arrive((noise, origin(part=part)))
        assert end.written() == []


def test_ike_is_handed_over_without_its_marker_before_anything_else() -> None:
    with turning() as end:
        esp = end.peer_out.encapsulate(packet())
        elsewhere = Endpoint(ip_address("198.51.100.1"), 500)
        end.arrive((esp, origin()), (bytes(4) + b"message", origin(remote=elsewhere)))
        assert end.told[0] == ipc.IkeReceived(b"message", elsewhere, LOCAL)
        assert passed_on(end) == [packet()]


def test_ike_within_a_train_is_handed_over() -> None:
    with turning() as end:
        esp = end.peer_out.encapsulate(packet())
        ike = bytes(4) + bytes(range(1, len(esp) - 3))
        end.arrive((esp + ike + end.peer_out.encapsulate(packet(1)), origin(part=len(esp))))
        assert ipc.IkeReceived(ike[4:], REMOTE, LOCAL) in end.told
        assert passed_on(end) == [packet(), packet(1)]


@pytest.mark.parametrize(
    "datagram", [b"", b"\xff", b"\0", bytes(4), b"\x11\x11\x11\x11", b"\x11\x11\x11\x11\0\0\0"]
)
def test_keepalives_and_runts_go_nowhere(datagram: bytes) -> None:
    with turning() as end:
        end.ingress._reader.buffer[:16] = end.ours.spi_in.to_bytes(4) * 4  # left over from an earlier one
        assert not end.arrive((datagram, origin()))
        assert end.told == []
        assert end.written() == []


def test_the_first_authentic_packet_and_another_sender_are_told_once() -> None:
    elsewhere = Endpoint(ip_address("198.51.100.1"), 1000)
    with turning() as end:
        for remote in (REMOTE, REMOTE, elsewhere, elsewhere):
            end.arrive((end.peer_out.encapsulate(packet()), origin(remote=remote)))
        assert end.told == [ipc.Notice(ipc.Sign.FIRST_INBOUND, end.ours.spi_in), ipc.PeerSeen(elsewhere)]


def test_a_forged_packet_from_elsewhere_tells_nothing() -> None:
    with turning() as end:
        sealed = bytearray(end.peer_out.encapsulate(packet()))
        sealed[-1] ^= 1
        end.arrive((bytes(sealed), origin(remote=Endpoint(ip_address("198.51.100.1"), 1000))))
        assert end.told == []


def test_foreign_inner_packets_are_dropped_and_noted() -> None:
    ours, theirs = child_pair(local=selectors("10.0.0.1/32"), remote=selectors("10.77.0.0/24"))
    with turning((ours, child_pair()[1])) as end:
        assert theirs.spi_in == ours.spi_out
        foreign = udp_packet("10.78.0.1", "10.0.0.1")
        assert end.arrive((end.peer_out.encapsulate(foreign), origin()))
        assert end.ingress.violations == {ours.spi_in}
        assert end.written() == []
        assert end.table.pairs[0].inbound.dropped == 1


def test_a_stream_does_not_carry_over_to_another_sa() -> None:
    ours, _ = child_pair(seed="2", spis=(0x300, 0x400), remote=selectors("10.99.0.0/24"))
    _, theirs = child_pair(seed="2", spis=(0x300, 0x400))
    with turning() as end:
        end.table.install(ours, outbound=False)
        _, second = make_pair(theirs, counting_rng())
        packets = stream(2)
        end.arrive(
            (end.peer_out.encapsulate(packets[0]), origin()), (second.encapsulate(packets[1]), origin())
        )
        assert passed_on(end) == packets[:1]
        assert end.ingress.violations == {0x300}


def test_congestion_marks_are_carried_over() -> None:
    able, unable = (udp_packet(*BACK, traffic_class=field) for field in (ECT_0, 0))
    with turning() as end:
        end.arrive(
            (end.peer_out.encapsulate(able), origin(ecn=CE)),
            (end.peer_out.encapsulate(unable), origin(ecn=CE)),
        )
        written = passed_on(end)
        assert [traffic_class(one) for one in written] == [CE]


def test_an_interface_that_is_full_loses_packets_only() -> None:
    packets = [udp_packet(*BACK, data=bytes((n,)) * 60_000) for n in range(20)]
    with turning() as end:
        assert end.arrive(*((end.peer_out.encapsulate(one), origin()) for one in packets))
        written = passed_on(end)
        assert written == packets[: len(written)]
        assert end.ingress.dropped == 20 - len(written) > 0
        assert end.arrive((end.peer_out.encapsulate(packets[0]), origin()))
        assert passed_on(end) == packets[:1]


def test_an_interface_that_refuses_super_packets_gets_single_ones() -> None:
    with turning() as end, patched_writev() as refused:
        packets = stream(6)
        for start in (0, 3):
            end.arrive(*((end.peer_out.encapsulate(one), origin()) for one in packets[start : start + 3]))
        assert refused == [4]
        assert not end.ingress.joins
        assert passed_on(end) == packets[3:]


@contextmanager
def patched_writev() -> Iterator[list[int]]:
    """A kernel that takes no more than a virtio-net header and one packet; how many buffers it refused."""
    refused, real = list[int](), os.writev

    def writev(descriptor: int, parts: list[memoryview | bytes]) -> int:
        if len(parts) > 2:
            refused.append(len(parts))
            raise OSError(errno.EINVAL, "Invalid argument")
        return real(descriptor, parts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "writev", writev)
        yield refused
