"""Policies that another program has changed: what is found, and what is put back."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network

import pytest

from client.ike.events import Endpoint
from client.system.drift import Deviation
from client.system.xfrm import XfrmRefused
from client.system.xfrm_model import Direction, Flow, Limits, Policy, Template
from client.system.xfrm_plan import Outer
from client.system.xfrm_policies import DropPolicy, PutPolicy
from client.system.xfrm_tunnel import IF_IDS, XfrmTunnel
from tests.esp.children import child_pair

from .faketables import FakeTables

IF_ID = IF_IDS[0]
OUTER = Outer(
    Endpoint(IPv4Address("192.0.2.1"), 61440), Endpoint(IPv4Address("192.0.2.9"), 4500), encapsulate=True
)
CHILD = child_pair(spis=(0xA1, 0xA2))[0]
FOREIGN = Flow(IPv4Network("10.0.0.0/8"), IPv4Network("10.0.0.0/8"), 6)


def standing(*, migrates: bool = True) -> tuple[XfrmTunnel, FakeTables]:
    tables = FakeTables()
    tunnel = XfrmTunnel(tables, IF_ID, Limits(), migrates=migrates)
    tunnel.bind(OUTER)
    tunnel.install(CHILD, outbound=True)
    return tunnel, tables


def outbound(tables: FakeTables) -> tuple[int, Direction, Flow]:
    return next(key for key in tables.rules if key[1] is Direction.OUT)


def flush(tables: FakeTables) -> None:
    tables.rules.clear()


def delete_one(tables: FakeTables) -> None:
    del tables.rules[outbound(tables)]


def block_one(tables: FakeTables) -> None:
    key = outbound(tables)
    tables.rules[key] = replace(tables.rules[key], template=None)


def ask_for_another_sa(tables: FakeTables) -> None:
    key = outbound(tables)
    tables.rules[key] = replace(tables.rules[key], template=Template(reqid=99))


def put_behind(tables: FakeTables) -> None:
    key = outbound(tables)
    tables.rules[key] = replace(tables.rules[key], priority=1)


def add_one(tables: FakeTables) -> None:
    tables.rules[IF_ID, Direction.OUT, FOREIGN] = Policy(FOREIGN, Direction.OUT, IF_ID, 1, Template())


CHANGES = (
    (flush, {"policy put": 6}, "missing"),
    (delete_one, {"policy put": 1}, "missing"),
    (block_one, {"policy put": 1}, "another one"),
    (ask_for_another_sa, {"policy put": 1}, "another one"),
    (put_behind, {"policy put": 1}, "another one"),
    (add_one, {"policy del": 1}, "present"),
)


@pytest.mark.parametrize(("change", "steps", "actual"), CHANGES)
def test_what_somebody_changed_is_found_and_put_back(
    change: Callable[[FakeTables], None], steps: dict[str, int], actual: str
) -> None:
    tunnel, tables = standing()
    before = dict(tables.rules)
    change(tables)
    changed = dict(tables.rules)
    found = tunnel.deviations()
    assert tables.rules == changed, "a look changes nothing"
    assert {deviation.actual for deviation in found} == {actual}
    mended = tunnel.mend()
    assert len(mended) == len(found)
    kinds = [str(step)[:10] for step in mended]
    assert {kind: kinds.count(kind) for kind in kinds} == steps
    assert tables.rules == before
    assert (tunnel.deviations(), tunnel.mend()) == ((), ())


def test_what_comes_in_is_mended_before_what_goes_out() -> None:
    tunnel, tables = standing()
    flush(tables)
    add_one(tables)
    mended = tunnel.mend()
    puts = [step.policy.direction for step in mended if isinstance(step, PutPolicy)]
    assert puts.index(Direction.OUT) == len(puts) - 2
    assert isinstance(mended[-1], DropPolicy)


def test_a_policy_is_named_as_ip_names_it() -> None:
    tunnel, tables = standing()
    add_one(tables)
    assert [str(step) for step in tunnel.mend()] == ["policy del out 10.0.0.0/8 → 10.0.0.0/8 protocol 6"]
    delete_one(tables)
    (deviation,) = tunnel.deviations()
    assert deviation.what.startswith("IPsec policy out ")
    assert deviation == Deviation(deviation.what, "present", "missing")


def test_policies_without_our_number_are_nobodys_business_here() -> None:
    tunnel, tables = standing()
    tables.rules[0, Direction.OUT, FOREIGN] = Policy(FOREIGN, Direction.OUT, 0, 1, None)
    assert (tunnel.deviations(), tunnel.mend()) == ((), ())


def test_a_repair_that_is_refused_says_so_and_is_found_again() -> None:
    tunnel, tables = standing()
    before = dict(tables.rules)
    flush(tables)
    tables.refused, tables.number = len(tables.log) + 3, errno.ENOMEM
    with pytest.raises(XfrmRefused):
        tunnel.mend()
    assert len(tunnel.mend()) == 4
    assert tables.rules == before


def test_during_a_move_that_failed_the_way_out_stays_closed_whatever_is_mended() -> None:
    tunnel, tables = standing(migrates=False)
    tables.refused = len(tables.log) + 3
    with pytest.raises(XfrmRefused):
        tunnel.bind(replace(OUTER, local=Endpoint(IPv4Address("198.51.100.1"), 61441)))
    flush(tables)
    tunnel.mend()
    assert {policy.template for policy in tables.rules.values() if policy.direction is Direction.OUT} == {
        None
    }
