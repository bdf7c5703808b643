"""What a tunnel rests on that is weak stands in its status, in the words of what was agreed on."""

from __future__ import annotations

from dataclasses import replace

from client.daemon.driver import Driver
from client.ike.proposals import Offer, parse_offer
from client.ike.registry import ProtocolId
from tests.daemon.virtual_loop import run
from tests.daemon.world import Internet, Machine, driven, wish
from tests.pair import client_config, gateway_config

STRONG, WEAK = "aes256-sha256-modp2048", "aes256-sha1-modp1024"


def weak(protocol: ProtocolId, *words: str) -> Offer:
    return parse_offer(protocol, words, allow_legacy=True)


def remarks_at(*theirs: str) -> tuple[str, ...]:
    """Of a tunnel to a gateway that has these proposals, under a profile that allows both."""
    gateway = replace(
        gateway_config(),
        ike_offer=weak(ProtocolId.IKE, *theirs),
        esp_offer=weak(ProtocolId.ESP, "aes256-sha1" if WEAK in theirs else "aes256-sha256"),
    )
    session = replace(
        client_config(),
        ike_offer=weak(ProtocolId.IKE, STRONG, WEAK),
        esp_offer=weak(ProtocolId.ESP, "aes256-sha256", "aes256-sha1"),
    )
    machine = Machine(Internet(gateway))

    async def body() -> None:
        async with driven(machine) as driver:
            await scene(driver)

    async def scene(driver: Driver) -> None:
        await driver.want(wish(session))
        await machine.until_state("up", 5)

    run(body)
    return machine.status.remarks


def test_a_gateway_that_has_nothing_better_is_warned_about() -> None:
    group, integrity = remarks_at(WEAK)
    assert (
        group
        == "MODP-1024 is breakable by a well-funded attacker; ask the administrator for group 14 or better"
    )
    assert integrity.startswith("HMAC-SHA1 is no longer recommended")


def test_what_was_allowed_and_not_chosen_is_not() -> None:
    assert remarks_at(STRONG) == ()
