"""Which Child SA carries a packet."""

from __future__ import annotations

import pytest

from client.esp.rejected import EspRejected, Reason
from client.esp.table import SaTable
from client.ike.events import ChildSa
from tests.esp.children import child_pair, counting_rng, selectors
from tests.esp.packets import udp_packet


def child(number: int, remote: str = "0.0.0.0/0") -> ChildSa:
    return child_pair(spis=(number, number + 0x1000), seed=str(number), remote=selectors(remote))[0]


def sender_of(table: SaTable, destination: str = "10.77.0.1") -> int:
    return table.sender(udp_packet("10.0.0.1", destination)).inbound.spi


def test_the_newest_outbound_sa_sends() -> None:
    table = SaTable(counting_rng())
    table.install(child(0x100), outbound=True)
    table.install(child(0x200), outbound=True)
    assert sender_of(table) == 0x200


def test_an_inbound_only_sa_sends_when_it_is_told_to() -> None:
    table = SaTable(counting_rng())
    table.install(child(0x100), outbound=True)
    table.install(child(0x200), outbound=False)
    assert sender_of(table) == 0x100
    table.use_outbound(0x200)
    assert sender_of(table) == 0x200


def test_an_older_sa_carries_what_only_it_covers() -> None:
    table = SaTable(counting_rng())
    table.install(child(0x100), outbound=True)
    table.install(child(0x200, "10.78.0.0/16"), outbound=True)
    assert sender_of(table, "10.78.0.1") == 0x200
    assert sender_of(table, "10.77.0.1") == 0x100


def test_nothing_sends_what_no_selector_covers() -> None:
    table = SaTable(counting_rng())
    table.install(child(0x200, "10.78.0.0/16"), outbound=True)
    with pytest.raises(EspRejected) as rejected:
        sender_of(table)
    assert rejected.value.reason is Reason.SELECTOR


def test_receivers_are_found_by_spi_until_they_are_removed() -> None:
    table = SaTable(counting_rng())
    table.install(child(0x100), outbound=True)
    assert table.receiver(b"\0\0\1\0") is not None
    table.remove(0x100)
    table.remove(0x100)
    assert table.receiver(b"\0\0\1\0") is None
    assert table.pairs == ()
    with pytest.raises(EspRejected):
        sender_of(table)


def test_the_same_keys_are_refused_even_after_removal() -> None:
    table = SaTable(counting_rng())
    table.install(child(0x100), outbound=True)
    table.remove(0x100)
    with pytest.raises(ValueError, match="in use before"):
        table.install(child(0x100), outbound=True)


def test_a_taken_spi_and_an_unknown_one_are_refused() -> None:
    table = SaTable(counting_rng())
    table.install(child(0x100), outbound=True)
    with pytest.raises(ValueError, match="00000100 is taken"):
        table.install(child_pair(spis=(0x100, 0x2000), seed="other")[0], outbound=True)
    with pytest.raises(ValueError, match="00000300 is unknown"):
        table.use_outbound(0x300)
