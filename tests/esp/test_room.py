"""Sizes of protected packets: what is computed is what the packet codec makes."""

from __future__ import annotations

import pytest

from client.esp.packet import make_pair
from client.esp.room import Wrapping
from client.ike.events import EspAlgorithms
from tests.esp.children import ALL_ALGORITHMS, child_pair

IP_AND_UDP = {(4, True): 28, (4, False): 20, (6, True): 48, (6, False): 40}


def packet(size: int) -> bytes:
    return (
        bytes([0x45, 0]) + size.to_bytes(2) + bytes(8) + bytes([10, 7, 0, 1, 10, 7, 0, 2]) + bytes(size - 20)
    )


@pytest.mark.parametrize("algorithms", ALL_ALGORITHMS, ids=str)
@pytest.mark.parametrize(("version", "encapsulate"), IP_AND_UDP)
def test_computed_sizes_are_those_of_real_packets(
    algorithms: EspAlgorithms, version: int, encapsulate: bool
) -> None:
    wrapping = Wrapping(algorithms, version, encapsulate)
    child, _ = child_pair(algorithms)
    _, outbound = make_pair(child, bytes)
    for size in range(1280, 1312):
        real = len(outbound.encapsulate(packet(size))) + IP_AND_UDP[version, encapsulate]
        assert wrapping.outer(size) == real
        largest = wrapping.inner(real)
        assert wrapping.outer(largest) == real
        assert wrapping.outer(largest + 1) > real
        assert largest >= size


def test_an_unknown_cipher_has_no_size() -> None:
    with pytest.raises(ValueError, match="encryption 999 is unknown"):
        Wrapping(EspAlgorithms(999, 0, 0, esn=False), 4, encapsulate=True).outer(1280)
