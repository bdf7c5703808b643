"""From the TUN interface to the wire."""

from __future__ import annotations

from client.esp.offload import NO_OFFLOAD
from client.ike.registry import Integ
from tests.esp.children import AES_CBC, child_pair, selectors
from tests.esp.packets import udp_packet
from tests.esp.turning import FakeOuter, Turning, turning


def put(end: Turning, *packets: bytes) -> None:
    for packet in packets:
        end.kernel.send(NO_OFFLOAD + packet)


def opened(end: Turning) -> list[bytes]:
    return [end.peer_in.decapsulate(packet) for packet in end.outer.packets()]


def test_equal_packets_leave_as_one_train() -> None:
    packets = [udp_packet(data=bytes((n,)) * 500) for n in range(8)]
    with turning() as end:
        put(end, *packets)
        assert end.egress.drain()
        assert opened(end) == packets
        assert len(end.outer.sent) == 1


def test_a_shorter_packet_ends_a_train_and_a_longer_one_begins_another() -> None:
    packets = [udp_packet(data=bytes(size)) for size in (500, 500, 400, 500, 600, 600, 100)]
    with turning() as end:
        put(end, *packets)
        assert end.egress.drain()
        assert opened(end) == packets
        assert [len(train) // size for train, size, _ in end.outer.sent] == [2, 1, 2]


def test_traffic_classes_go_apart_and_are_copied() -> None:
    packets = [udp_packet(traffic_class=traffic) for traffic in (0, 0, 0xB8, 0xB8, 2)]
    with turning() as end:
        put(end, *packets)
        assert end.egress.drain()
        assert opened(end) == packets
        assert [traffic for _, _, traffic in end.outer.sent] == [0, 0xB8, 2]


def test_both_families_and_cbc_go_through() -> None:
    packets = [udp_packet(data=bytes(n)) for n in range(40)]
    packets += [udp_packet("fd07::1", "fd77::1", data=bytes(n)) for n in range(40)]
    with turning(child_pair(AES_CBC)) as end:
        assert end.ours.algorithms.integ != Integ.NONE
        for start in range(0, 80, 8):
            put(end, *packets[start : start + 8])
            assert end.egress.drain()
        assert opened(end) == packets


def test_foreign_packets_and_nonsense_do_not_leave() -> None:
    children = child_pair(local=selectors("10.0.0.1/32"), remote=selectors("10.77.0.0/24"))
    with turning(children) as end:
        put(end, udp_packet(destination="10.78.0.1"), b"", b"\x45", udp_packet()[:-1], udp_packet() + b"x")
        put(end, udp_packet("fd07::1", "fd77::1"), b"\x60" * 60, b"\0" * 60)
        assert not end.egress.drain()
        assert end.outer.sent == []
        assert end.egress.dropped == 8
        assert end.table.pairs[0].outbound.sequence == 0


def test_a_remembered_route_does_not_outlive_its_sa() -> None:
    with turning() as end:
        put(end, udp_packet())
        assert end.egress.drain()
        end.table.remove(end.ours.spi_in)
        put(end, udp_packet())
        assert not end.egress.drain()
        assert len(end.outer.sent) == 1


def test_a_remembered_route_is_not_taken_for_a_packet_of_another_length() -> None:
    with turning() as end:
        put(end, udp_packet(), udp_packet() + b"x", udp_packet()[:-1])
        assert end.egress.drain()
        assert opened(end) == [udp_packet()]
        assert end.egress.dropped == 2


def test_nothing_leaves_without_a_path_and_nothing_stale_later() -> None:
    with turning() as end:
        outer, end.egress.outer = end.outer, None
        put(end, udp_packet(data=b"stale"))
        assert not end.egress.drain()
        end.egress.outer = outer
        put(end, udp_packet(data=b"fresh"))
        assert end.egress.drain()
        assert opened(end) == [udp_packet(data=b"fresh")]


def test_a_full_socket_stops_the_reading_and_nothing_is_sent_twice() -> None:
    packets = [udp_packet(data=bytes((n,)) * 500) for n in range(10)]
    with turning() as end:
        put(end, *packets[:5])
        end.outer.room = 1300
        assert end.egress.drain()
        assert end.egress.blocked
        put(end, *packets[5:])
        assert not end.egress.drain()
        assert len(opened(end)) == 2
        end.outer.room = 1 << 30
        assert end.egress.drain()
        sent = end.outer.packets()
        assert len(set(sent)) == len(sent) == 10
        assert [end.peer_in.decapsulate(packet) for packet in sent[2:]] == packets[2:]


def test_what_waits_goes_over_the_next_path() -> None:
    with turning() as end:
        put(end, udp_packet())
        end.outer.room = 10
        end.egress.drain()
        assert end.egress.blocked
        end.egress.outer = end.outer = FakeOuter()
        end.egress.drain()
        assert opened(end) == [udp_packet()]


def test_sequence_numbers_that_run_out_stop_the_traffic() -> None:
    with turning() as end:
        end.table.pairs[0].outbound._sequence = (1 << 32) - 3
        put(end, *[udp_packet(data=bytes((n,))) for n in range(4)])
        assert end.egress.drain()
        assert len(end.outer.packets()) == 2
        assert end.egress.dropped == 2


def test_packets_too_large_for_a_datagram_are_dropped() -> None:
    with turning() as end:
        put(end, udp_packet(data=bytes(65490)))
        assert not end.egress.drain()
        assert end.egress.dropped == 1
