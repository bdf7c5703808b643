"""Limits of SAs, and what other programs do to them."""

from __future__ import annotations

import asyncio

from client.system.datapath import DataPathFailed, SoftLimit
from client.system.xfrm_model import Limits
from tests.esp.tunnel import udp_echo

from .cases import case
from .ends import datagrams, tunnel


@case
async def a_packet_limit_asks_for_a_rekey_once() -> str:
    async with tunnel(limits=Limits(soft_packets=20)) as (one, other):
        await datagrams(one, other, 40)
        told = await one.next(SoftLimit)
        assert told == SoftLimit((await one.row()).spi_in, sequence=False), told
        await asyncio.sleep(0.3)
        assert not [event for event in await one.waiting() if isinstance(event, SoftLimit)]
        assert await udp_echo(one, other, 4)
        return f"{told} after {(await one.row()).packets_out} packets"


@case
async def octets_and_age_ask_for_a_rekey_too() -> str:
    for limits in (Limits(soft_octets=2000), Limits(soft_age=1)):
        async with tunnel(limits=limits) as (one, other):
            await datagrams(one, other, 30)
            await one.next(SoftLimit)
            assert await udp_echo(one, other, 4)
    return "2000 octets; 1 s"


@case
async def at_the_hard_limit_an_sa_carries_nothing_more() -> str:
    async with tunnel(limits=Limits(soft_packets=10, hard_packets=20)) as (one, other):
        received = await datagrams(one, other, 40)
        assert received <= 20, received
        await one.next(SoftLimit)
        await one.next(SoftLimit)
        assert not [event for event in await one.waiting() if isinstance(event, DataPathFailed)]
        return f"{received} of 40 packets"


@case
async def an_sa_that_another_program_removes_is_missed() -> str:
    async with tunnel() as (one, _):
        one.ip("xfrm", "state", "flush")
        failed = await one.next(DataPathFailed)
        return failed.reason


@case
async def a_link_that_another_program_removes_is_missed() -> str:
    async with tunnel() as (one, _):
        one.ip("link", "delete", "roam0")
        failed = await one.next(DataPathFailed)
        return failed.reason
