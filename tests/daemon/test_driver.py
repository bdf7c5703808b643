"""Whole tunnels in virtual time: a real session, a real gateway, and everything that can happen between them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

from client.daemon.driver import Driver
from client.daemon.inbox import RekeyAsked
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.options import PskLogin, PskProof
from client.lab.eap_methods import Accounts
from client.lab.responder import GatewayConfig
from client.system.datapath import PathCarries
from client.system.reconcile import Problem
from client.tunnel.events import Slept
from client.tunnel.model import SystemConfig
from tests.daemon.virtual_loop import now, run
from tests.daemon.world import CONFIG, LTE, WIFI, Internet, Machine, driven, wish
from tests.pair import client_config, eap_client, gateway_config, with_personality

Scene = Callable[[Machine, Driver], Awaitable[None]]


def play(scene: Scene, gateway: GatewayConfig | None = None) -> None:
    """Play a scene on a laptop with Wi-Fi and LTE."""

    async def body() -> None:
        machine = Machine(Internet(gateway))
        async with driven(machine) as driver:
            await scene(machine, driver)

    run(body)


async def bring_up(machine: Machine, driver: Driver) -> None:
    await driver.want(wish())
    await machine.until_state("up", 5)


def test_up_sets_the_guard_first_and_then_address_and_routes() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        assert machine.states == ["connecting", "up"]
        guard, *_, up = machine.system.configs
        assert guard.links == ()
        assert {route.link for route in guard.routes} == {None}
        assert [link.name for link in up.links] == ["roam0"]
        assert [str(address) for address in up.links[0].addresses] == ["10.99.0.10/32", "fd99::a/128"]
        assert machine.data_path.outbound in machine.data_path.children

    play(scene)


def test_status_tells_everything() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        status = driver.status
        assert status.identity == "vpn.example.com"
        assert status.path is not None
        assert (status.path.interface, status.path.remote) == ("wifi0", "192.0.2.1:4500")
        assert status.addresses == ("10.99.0.10/32", "fd99::a/128")
        assert status.dns == ("10.77.0.53",)
        assert status.domains == ()  # it is a full tunnel: every name
        assert (status.resolver, status.resolver_reason) == ("file", "as a test has it")
        assert status.ike_suite.startswith("AES_GCM_16-256")
        assert status.esp_suite.startswith("AES_GCM_16-256")
        assert status.mobike is True
        assert status.guard is True
        assert status.data_path == "userspace"
        assert status.serial == 1
        assert status.ike_rekey_at is not None
        assert status.child_rekey_at is not None
        assert status.ike_rekey_at > status.child_rekey_at > 1_700_000_000.0 + now()

    play(scene)


def test_down_tells_the_gateway_and_leaves_nothing() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        await driver.unwant()
        assert driver.status.state == "off"
        assert machine.internet.gateway.sessions == {}
        assert machine.system.config == SystemConfig()
        assert machine.data_path.is_closed
        assert machine.internet.sockets == {}
        assert machine.in_use == frozenset()

    play(scene)


def test_down_of_a_dead_gateway_is_over_within_three_seconds() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.internet.is_gateway_up = False
        began = now()
        await driver.unwant()
        assert now() - began < 3.0
        assert machine.system.config == SystemConfig()

    play(scene)


def test_down_by_force_does_not_wait_but_sends_the_delete() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        await asyncio.sleep(1)  # no request is on its way
        began = now()
        await driver.unwant(force=True)
        assert now() - began < 0.01
        await asyncio.sleep(1)
        assert machine.internet.gateway.sessions == {}

    play(scene)


def test_down_while_the_gateway_does_not_answer_leaves_nothing() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.internet.is_gateway_up = False
        await driver.want(wish())
        await asyncio.sleep(20)
        assert driver.status.state == "connecting"
        await driver.unwant()
        assert machine.system.config == SystemConfig()
        assert machine.internet.sockets == {}

    play(scene)


def test_a_lost_uplink_moves_the_session_without_a_new_login() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.plug(driver, LTE)
        await machine.until_state("moving", 1)
        took = await machine.until_state("up", 2)
        assert took < 0.5
        assert machine.sessions == 1
        assert machine.data_path.path is not None
        assert str(machine.data_path.path.local) == LTE
        assert driver.status.handover is not None
        assert driver.status.handover.new == f"lte0 {LTE}"

    play(scene)


def test_a_move_does_not_end_the_time_that_the_tunnel_is_up() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        since = driver.status.since
        await asyncio.sleep(30)
        machine.plug(driver, LTE)
        await machine.until_state("moving", 1)
        assert driver.status.since == since
        await machine.until_state("up", 2)
        assert driver.status.since == since

    play(scene)


def test_the_gap_of_a_move_is_told_when_traffic_has_shown_it() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.plug(driver, LTE)
        await asyncio.sleep(0.2)
        machine.data_path.queue.put_nowait(PathCarries(now() - 0.25, now(), now() - 0.1))
        await asyncio.sleep(0.1)
        handover = driver.status.handover
        assert handover is not None
        assert handover.gap_ms == 250

    play(scene)


def test_a_move_without_traffic_has_no_gap() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.plug(driver, LTE)
        await asyncio.sleep(60)
        machine.data_path.queue.put_nowait(PathCarries(now() - 60.0, now(), now() - 61.0))
        await asyncio.sleep(0.1)
        assert driver.status.handover is not None
        assert driver.status.handover.gap_ms is None

    play(scene)


def test_the_uplink_comes_back_and_is_used_again() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.plug(driver, LTE)
        await bring_up(machine, driver)
        machine.plug(driver, WIFI, LTE)
        await machine.until(lambda: str(driver.status.path and driver.status.path.local).startswith(WIFI), 2)
        await machine.until_state("up", 2)
        assert machine.sessions == 1

    play(scene)


def test_without_mobike_a_new_session_takes_over_on_the_new_uplink() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.plug(driver, LTE)
        await machine.until_state("moving", 1)
        await machine.until_state("up", 5)
        assert machine.sessions == 2
        await asyncio.sleep(5)
        assert len(machine.data_path.children) == 1
        assert "connecting" not in machine.states[1:]
        assert not any(config == SystemConfig() for config in machine.system.configs)

    play(scene, with_personality(mobike=False))


def test_without_a_network_nothing_is_sent_and_nothing_given_up() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.plug(driver)
        await machine.until_state("waiting", 1)
        guarded = machine.system.config
        sent = len(machine.internet.sent)
        await asyncio.sleep(1800)
        assert len(machine.internet.sent) == sent
        assert driver.status.state == "waiting"
        assert machine.system.config.routes == guarded.routes
        machine.plug(driver, WIFI)
        assert await machine.until_state("up", 30) < 30

    play(scene)


def test_a_short_loss_of_the_network_keeps_the_session() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.plug(driver)
        await asyncio.sleep(30)
        machine.plug(driver, LTE)
        await machine.until_state("up", 2)
        assert machine.sessions == 1

    play(scene)


def test_a_restarted_gateway_is_noticed_by_traffic_and_replaced() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.internet.restart_gateway()
        machine.data_path.sends()
        assert await machine.until(lambda: machine.sessions == 2, 15) < 12
        await machine.until(lambda: len(machine.internet.gateway.sessions) == 1, 2)
        await machine.until_state("up", 5)
        assert not any(config.routes == () for config in machine.system.configs)

    play(scene)


def test_a_gateway_that_comes_back_after_an_hour_is_used_again() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.internet.is_gateway_up = False
        machine.data_path.sends()
        await asyncio.sleep(3600)
        assert driver.status.state in {"waiting", "connecting"}
        machine.internet.restart_gateway()
        machine.internet.is_gateway_up = True
        assert await machine.until_state("up", 200) < 150

    play(scene)


def test_a_deleted_session_is_made_anew_at_once() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        await asyncio.sleep(60)
        (session,) = machine.internet.gateway.sessions.values()
        session.close(now())
        machine.internet.turn()
        await machine.until(lambda: machine.sessions == 2, 1)
        await machine.until_state("up", 2)
        assert len(machine.data_path.children) == 1

    play(scene)


def test_a_gateway_that_deletes_every_session_is_not_hammered() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)

        async def deletes() -> None:
            while True:
                for session in machine.internet.gateway.sessions.values():
                    session.close(now())
                machine.internet.turn()
                await asyncio.sleep(0.2)

        task = asyncio.create_task(deletes())
        await asyncio.sleep(300)
        task.cancel()
        assert machine.sessions < 15

    play(scene)


def test_a_wrong_key_is_tried_twice_and_leaves_nothing_behind() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        wrong = Secret(b"wrong")
        await driver.want(wish(replace(client_config(), login=PskLogin(wrong), proof=PskProof(wrong))))
        await machine.until_state("blocked", 10)
        assert machine.sessions == 2
        status = driver.status
        assert status.failure is not None
        assert status.failure.kind in {"auth.rejected", "trust.no_proof"}
        assert status.failure.hint
        assert machine.system.config == SystemConfig()
        assert machine.data_path.is_closed
        await asyncio.sleep(3600)
        assert machine.sessions == 2
        assert not driver.wanted

    play(scene)


def test_after_a_refusal_the_other_way_to_log_in_is_tried_and_kept() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        wrong = replace(client_config(), login=PskLogin(Secret(b"wrong")))
        await driver.want(replace(wish(wrong), after_refusal=client_config()))
        await machine.until_state("up", 10)
        assert machine.sessions == 2
        machine.data_path.die()
        await machine.until(lambda: machine.sessions == 3 and driver.status.state == "up", 10)

    play(scene)


def eap_gateway() -> GatewayConfig:
    return replace(gateway_config(), clients="eap", proof="cert")


def test_a_wrong_password_is_sent_once() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await driver.want(wish(eap_client(b"looking glass")))
        await machine.until_state("blocked", 10)
        assert machine.sessions == 1
        assert driver.status.failure is not None
        assert driver.status.failure.kind == "auth.rejected"

    play(scene, eap_gateway())


def test_a_password_that_is_refused_later_is_asked_for_behind_the_guard() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await driver.want(wish(eap_client()))
        await machine.until_state("up", 5)
        accounts = Accounts({"alice": Secret(b"changed")})
        machine.internet.config = replace(machine.internet.config, accounts=accounts)
        machine.internet.restart_gateway()
        machine.data_path.sends()
        await machine.until_state("blocked", 60)
        assert [failure.kind for failure in machine.asked] == [Kind.AUTH_REJECTED]
        assert driver.wanted
        assert {route.link for route in machine.system.config.routes} >= {None}
        await driver.want(wish(eap_client(b"changed"), serial=2), renew=True)
        await machine.until_state("up", 5)

    play(scene, eap_gateway())


def test_an_unknown_authority_blocks_at_once() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await driver.want(wish(eap_client(name="other.example.com")))
        await machine.until_state("blocked", 5)
        assert machine.sessions == 1
        assert driver.status.failure is not None
        assert driver.status.failure.kind == "trust.name_mismatch"
        assert machine.system.config == SystemConfig()

    play(scene, eap_gateway())


def test_addresses_of_the_gateway_need_nobody_to_be_asked() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.names = {}
        await driver.want(wish(config=replace(CONFIG, gateways=("192.0.2.1", "192.0.2.1"))))
        assert driver.status.detail.startswith("waiting for an answer from 192.0.2.1")
        await machine.until_state("up", 5)

    play(scene)


def test_a_name_that_does_not_exist_is_tried_again() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        names, machine.names = machine.names, {}
        await driver.want(wish())
        await machine.until_state("waiting", 1)
        assert driver.status.failure is not None
        assert driver.status.failure.kind == "net.name_not_resolved"
        assert driver.status.retry_at is not None
        machine.names = names
        await machine.until_state("up", 5)

    play(scene)


def test_a_dead_pump_costs_a_new_session_and_a_new_link() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.data_path.die()
        await machine.until(lambda: machine.sessions == 2, 2)
        await machine.until_state("up", 5)
        assert len(machine.data_paths) == 2
        assert machine.data_paths[0].is_closed
        assert machine.data_path.children
        assert {route.link for route in machine.system.configs[-2].routes} >= {None}

    play(scene)


def test_a_machine_that_cannot_be_changed_is_a_failure_of_up() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.system.problem = Problem("add rule", "Operation not permitted")
        await driver.want(wish())
        await machine.until_state("blocked", 10)
        assert driver.status.failure is not None
        assert driver.status.failure.kind == "local.fault"
        assert "Operation not permitted" in driver.status.failure.evidence

    play(scene)


def test_a_rekey_replaces_the_child_without_a_moment_without_one() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        before = machine.data_path.outbound
        driver.tell(RekeyAsked(ike=False))
        await machine.until(lambda: machine.data_path.outbound != before, 2)
        driver.tell(RekeyAsked(ike=True))
        await asyncio.sleep(10)
        assert len(machine.data_path.children) == 1
        assert machine.sessions == 1
        assert driver.status.state == "up"

    play(scene)


def test_after_sleep_the_gateway_is_asked_at_once() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        sent = len(machine.internet.sent)
        driver.tell(Slept(3600.0))
        await asyncio.sleep(0.1)
        assert len(machine.internet.sent) == sent + 1
        assert driver.status.state == "up"

    play(scene)


def test_up_again_after_a_failure_starts_anew() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        wrong = Secret(b"wrong")
        await driver.want(wish(replace(client_config(), login=PskLogin(wrong), proof=PskProof(wrong))))
        await machine.until_state("blocked", 10)
        await driver.want(wish(serial=2), renew=True)
        assert driver.status.state == "connecting"
        assert driver.status.serial == 2
        await machine.until_state("up", 5)

    play(scene)


def test_up_during_down_wins() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        ending = asyncio.create_task(driver.unwant())
        await asyncio.sleep(0)
        await driver.want(wish(serial=2))
        await ending
        await machine.until(lambda: machine.sessions == 2 and driver.status.state == "up", 5)

    play(scene)


def test_a_dead_best_path_makes_room_for_the_next_within_seconds() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.internet.dead = {WIFI}
        await driver.want(wish())
        assert await machine.until_state("up", 10) < 5
        assert driver.status.path is not None
        assert driver.status.path.interface == "lte0"

    play(scene)


def test_a_better_path_that_does_not_carry_is_left_again() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.plug(driver, LTE)
        await bring_up(machine, driver)
        machine.internet.dead = {WIFI}
        machine.plug(driver, WIFI, LTE)
        await machine.until_state("moving", 2)
        await machine.until_state("up", 6)
        assert driver.status.path is not None
        assert driver.status.path.local.startswith(LTE)
        await asyncio.sleep(60)
        assert machine.sessions == 1

    play(scene)


def test_a_guard_that_cannot_be_made_is_not_claimed_and_the_user_is_told_what_to_do() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        machine.system.refuses = lambda desired: desired != SystemConfig()
        await driver.want(wish())
        await machine.until_state("blocked", 60)
        status = machine.status
        assert (status.guard, machine.system.config) == (False, SystemConfig())
        assert status.failure is not None
        assert status.failure.evidence == "rule add: No space left on device"
        assert status.failure.hint == "Free memory."
        waiting = [told for told in machine.statuses if told.state == "waiting"]
        assert waiting, "it is tried once more by itself"
        assert not any(told.guard for told in waiting)

    play(scene)


def test_a_tunnel_whose_move_cannot_be_made_keeps_its_guard_and_comes_back() -> None:
    async def scene(machine: Machine, driver: Driver) -> None:
        await bring_up(machine, driver)
        machine.system.refuses = lambda desired: "lte0" in desired.loose
        machine.plug(driver, LTE)
        await machine.until(lambda: machine.status.failure is not None, 60)
        assert machine.status.guard
        machine.system.refuses = lambda _desired: False
        await machine.until_state("up", 60)

    play(scene)
