"""NAT detection: the hashes, and who stands behind what."""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from itertools import product

import pytest

from client.ike.events import Endpoint
from client.ike.natd import NatVerdict, address_hash, detection_notifies, judge_nat
from client.ike.payloads import Notify
from client.ike.registry import NotifyType
from tests.rng import SeededRng

SPI_I, SPI_R = bytes(range(8)), bytes(range(8, 16))
US, GATEWAY = Endpoint(ip_address("192.168.1.10"), 40500), Endpoint(ip_address("192.0.2.1"), 4500)
OUTSIDE = Endpoint(ip_address("198.51.100.7"), 1024)
SOURCE, DESTINATION = NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP


def sent_by_gateway(source: Endpoint, destination: Endpoint) -> tuple[Notify, ...]:
    """What the gateway says of the ends of its packet."""
    return detection_notifies(SPI_I, SPI_R, source, destination)


@pytest.mark.parametrize(
    ("endpoint", "octets"),
    [
        (Endpoint(ip_address("192.0.2.1"), 500), bytes([192, 0, 2, 1, 1, 0xF4])),
        (Endpoint(ip_address("2001:db8::1"), 4500), bytes.fromhex("20010db80000000000000000000000011194")),
    ],
)
def test_the_hash_covers_spis_address_and_port(endpoint: Endpoint, octets: bytes) -> None:
    assert address_hash(SPI_I, SPI_R, endpoint) == hashlib.sha1(SPI_I + SPI_R + octets).digest()


def test_both_notifies_speak_of_the_ends_of_the_packet_that_carries_them() -> None:
    source, destination = detection_notifies(SPI_I, bytes(8), US, GATEWAY)
    assert source == Notify(SOURCE, address_hash(SPI_I, bytes(8), US))
    assert destination == Notify(DESTINATION, address_hash(SPI_I, bytes(8), GATEWAY))


@pytest.mark.parametrize(("local", "remote"), list(product((False, True), repeat=2)))
def test_the_four_positions_of_nats_are_told_apart(local: bool, remote: bool) -> None:
    notifies = sent_by_gateway(OUTSIDE if remote else GATEWAY, OUTSIDE if local else US)
    verdict = judge_nat(notifies, SPI_I, SPI_R, US, GATEWAY)
    assert verdict == NatVerdict(supported=True, local=local, remote=remote)
    assert verdict.any is (local or remote)


def test_a_changed_port_is_a_nat_too() -> None:
    notifies = sent_by_gateway(GATEWAY, Endpoint(US.address, US.port + 1))
    assert judge_nat(notifies, SPI_I, SPI_R, US, GATEWAY).local


def test_one_of_several_source_hashes_is_enough() -> None:
    others = tuple(Notify(SOURCE, bytes([number]) * 20) for number in range(3))
    notifies = (*others, *sent_by_gateway(GATEWAY, US), *others)
    assert judge_nat(notifies, SPI_I, SPI_R, US, GATEWAY) == NatVerdict(supported=True)


@pytest.mark.parametrize("missing", [SOURCE, DESTINATION, None])
def test_without_both_notifies_the_peer_does_not_support_detection(missing: NotifyType | None) -> None:
    notifies = [notify for notify in sent_by_gateway(OUTSIDE, OUTSIDE) if missing and notify.type != missing]
    assert judge_nat(notifies, SPI_I, SPI_R, US, GATEWAY) == NatVerdict()


@pytest.mark.parametrize("data", [b"", bytes(19), bytes(20), bytes(21), bytes(1000)])
def test_a_senseless_hash_is_a_nat_and_no_error(data: bytes) -> None:
    verdict = judge_nat((Notify(SOURCE, data), Notify(DESTINATION, data)), SPI_I, SPI_R, US, GATEWAY)
    assert verdict == NatVerdict(supported=True, local=True, remote=True)


def test_hashes_of_other_spis_do_not_match() -> None:
    notifies = detection_notifies(SPI_I, bytes(8), GATEWAY, US)
    assert judge_nat(notifies, SPI_I, SPI_R, US, GATEWAY) == NatVerdict(True, True, True)


def test_a_disguised_source_matches_nothing_and_the_destination_stays_true() -> None:
    source, destination = detection_notifies(SPI_I, SPI_R, US, GATEWAY, disguise=SeededRng(1))
    assert len(source.data) == 20
    assert source.data != address_hash(SPI_I, SPI_R, US)
    assert destination.data == address_hash(SPI_I, SPI_R, GATEWAY)
    # The peer sees a NAT in front of us, and none in front of itself: it encapsulates, we send no keepalives.
    assert judge_nat((source, destination), SPI_I, SPI_R, GATEWAY, US) == NatVerdict(True, False, True)
