"""Moves: SAs keep their sequence numbers, windows and counters, and no packet leaves in clear."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field

from client.ike.events import EspAlgorithms
from client.system.datapath import PathCarries
from tests.esp.children import AES_CBC, AES_GCM, AES_GCM_ESN
from tests.esp.tunnel import INNER, OUTER, SPARE, udp_echo

from .cases import case
from .ends import PATIENCE, End, tunnel
from .ledger import Ledger


@dataclass
class Lab:
    """A tunnel with a ledger of what leaves the first end, and what was said about moves."""

    one: End
    other: End
    ledger: Ledger
    said: list[str] = field(default_factory=list)

    async def both_move(self, addresses: tuple[str, str], *, encapsulate: bool | None = None) -> None:
        """Both ends go to other addresses."""
        for end, address in zip((self.one, self.other), addresses, strict=True):
            end.leave_for(address)
            end.encapsulate = end.encapsulate if encapsulate is None else encapsulate
        await asyncio.gather(self.one.point_at(self.other.local), self.other.point_at(self.one.local))

    async def numbers_go_on(self, *, echo: bool = True) -> str:
        """Traffic flows; every number was used once, and every packet that came was counted."""
        assert not echo or await udp_echo(self.one, self.other, 4), "no traffic"
        theirs = await self.other.row()
        verdict = self.ledger.check(theirs.spi_in)
        assert theirs.dropped == 0, f"{theirs.dropped} packets were dropped"
        await self._counted_is_seen(theirs.spi_in)
        return verdict

    async def _counted_is_seen(self, spi: int) -> None:
        """Sooner or later: one that has just been counted may be on its way to the tap."""
        deadline = time.monotonic() + PATIENCE
        while True:
            counted = (await self.one.row()).packets_out
            seen = sum(packet.spi == spi for packet in self.ledger.read())
            if counted == seen:
                return
            assert time.monotonic() < deadline, f"{counted} counted, {seen} seen"
            await asyncio.sleep(0.05)


class _Listener(logging.Handler):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self._said = said

    def emit(self, record: logging.LogRecord) -> None:
        self._said.append(record.getMessage())


@asynccontextmanager
async def lab(
    algorithms: EspAlgorithms = AES_GCM, *, encapsulate: bool = True, migrate: bool = True, kinds: str = "kk"
) -> AsyncIterator[Lab]:
    log = logging.getLogger("client.system.xfrm_tunnel")
    log.setLevel(logging.INFO)
    async with tunnel(kinds, 4, algorithms, encapsulate=encapsulate, migrate=migrate) as (one, other):
        ledger = Ledger(one.namespace)
        built = Lab(one, other, ledger)
        handler = _Listener(built.said)
        log.addHandler(handler)
        try:
            assert await udp_echo(one, other, 4)
            yield built
        finally:
            log.removeHandler(handler)
            ledger.close()


@asynccontextmanager
async def stream(one: End, other: End) -> AsyncIterator[None]:
    """A packet each millisecond or so, meanwhile, whether it comes through or not."""
    client = one.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)

    async def send() -> None:
        while True:
            with suppress(OSError):  # for the time of a move nothing may go out
                client.sendto(bytes(100), (INNER[4][other.number], 9))
            await asyncio.sleep(0.001)

    with closing(client):
        sending = asyncio.create_task(send())
        try:
            await asyncio.sleep(0.05)
            yield
            await asyncio.sleep(0.05)
        finally:
            sending.cancel()


async def moves_under_traffic(algorithms: EspAlgorithms, *, encapsulate: bool, migrate: bool) -> str:
    async with lab(algorithms, encapsulate=encapsulate, migrate=migrate) as it:
        async with stream(it.one, it.other):
            for addresses in (SPARE, OUTER[4], SPARE):  # there, back, and there again
                await it.both_move(addresses)
                await asyncio.sleep(0.05)
        verdict = await it.numbers_go_on()
        assert not (migrate and it.said), it.said
        return verdict


@case
async def migrated_in_udp() -> str:
    return await moves_under_traffic(AES_GCM, encapsulate=True, migrate=True)


@case
async def migrated_as_bare_esp_with_esn() -> str:
    return await moves_under_traffic(AES_GCM_ESN, encapsulate=False, migrate=True)


@case
async def carried_by_hand_in_udp() -> str:
    return await moves_under_traffic(AES_GCM, encapsulate=True, migrate=False)


@case
async def carried_by_hand_with_esn_and_cbc() -> str:
    first = await moves_under_traffic(AES_GCM_ESN, encapsulate=False, migrate=False)
    return f"{first}; {await moves_under_traffic(AES_CBC, encapsulate=True, migrate=False)}"


@case
async def encapsulation_ends_and_begins() -> str:
    async with lab() as it:
        async with stream(it.one, it.other):
            for encapsulate in (False, True):
                await it.both_move(OUTER[4], encapsulate=encapsulate)
                assert await udp_echo(it.one, it.other, 4), f"no traffic with encapsulate={encapsulate}"
        return await it.numbers_go_on()


@case
async def another_port_of_the_same_address() -> str:
    async with lab() as it:
        await it.both_move(OUTER[4])
        return await it.numbers_go_on()


@case
async def from_one_family_to_the_other_and_back() -> str:
    async with lab() as it:
        for addresses in (OUTER[6], SPARE):
            await it.both_move(addresses)
            verdict = await it.numbers_go_on()
        return verdict


@case
async def a_replay_is_dropped_after_a_move() -> str:
    outcomes = []
    for migrate in (True, False):
        async with lab(migrate=migrate) as it:
            old = it.ledger.read()[0]
            await it.both_move(SPARE)
            before = await it.other.row()
            target = str(it.other.local.address), it.other.local.port
            it.one.natt.sendto(old.packet, target)
            assert await udp_echo(it.one, it.other, 4)
            after = await it.other.row()
            assert after.dropped == before.dropped + 1, (before, after)
            outcomes.append(f"migrate={migrate}: {after.dropped} dropped")
    return "; ".join(outcomes)


@case
async def a_move_tells_how_long_it_was_felt() -> str:
    async with lab() as it:
        await it.both_move(SPARE)
        assert await udp_echo(it.one, it.other, 4)
        told = await it.one.next(PathCarries)
        assert 0 < told.before < told.first
        return f"{told.first - told.before:.3f} s"


@case
async def the_other_end_in_userspace_moves_too() -> str:
    async with lab(kinds="ku") as it:
        async with stream(it.one, it.other):
            await it.both_move(SPARE)
        return await it.numbers_go_on()
