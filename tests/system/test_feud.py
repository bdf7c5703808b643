"""When a repair is made, and what is said of those who make it necessary."""

from __future__ import annotations

from ipaddress import ip_interface, ip_network

import pytest

from client.system.feud import FREE, NETWORKD, PAUSES, WITHIN, Feud
from client.system.plan import PutAddress, PutGuard, PutRoute, PutRule, SetLink, Step
from client.tunnel.model import RouteEntry, RuleEntry
from client.tunnel.ruleset import RuleSet

RULE = PutRule(RuleEntry(4, 7301, 29440))
ROUTE = PutRoute(RouteEntry(ip_network("0.0.0.0/0"), "roam0", 100))
NAMES = {7: "stubborn", 8: NETWORKD}


def fought(*times: float, steps: tuple[Step, ...] = (RULE,), by: tuple[int, ...] = ()) -> Feud:
    feud = Feud()
    for at in times:
        feud = feud.repaired(steps, by, at)
    return feud


def name_of(process: int) -> str:
    return NAMES.get(process, "")


@pytest.mark.parametrize(
    ("times", "due"),
    [
        ((), float("-inf")),
        ((10.0,), 10.0),
        ((10.0, 10.1, 10.2, 10.3), 10.3),  # some at once
        ((10.0, 10.1, 10.2, 10.3, 10.4), 10.4 + PAUSES[0]),
        ((10.0, 10.1, 10.2, 10.3, 10.4, 10.9), 10.9 + PAUSES[1]),
        (tuple(10.0 + n for n in range(30)), 39.0 + PAUSES[-1]),  # never longer
        ((0.0, 20.0, 40.0, 60.0, 80.0, 100.0), 100.0),  # an accident now and then is none
    ],
)
def test_a_repair_is_due(times: tuple[float, ...], due: float) -> None:
    assert fought(*times).due_at() == due


def test_a_look_that_finds_nothing_to_do_counts_for_nothing() -> None:
    feud = fought(1.0)
    for n in range(100):
        feud = feud.repaired((), (), 1.0 + n / 100)
    assert feud.due_at() == 1.0


def test_the_pauses_keep_a_fight_a_fight_until_the_other_one_has_given_up() -> None:
    feud, now = Feud(), 0.0
    for _ in range(50):
        now = max(now, feud.due_at())
        feud = feud.repaired([RULE], [7], now)
    assert feud.is_on(now)
    assert now > 3 * WITHIN
    assert len(feud.repairs) <= WITHIN / PAUSES[-1] + 1
    assert feud.told(now + WITHIN, name_of) == ""
    assert feud.repaired([RULE], [], now + WITHIN) == Feud(((now + WITHIN, (RULE,)),))


TIMES = tuple(float(n) for n in range(FREE))
TOLD = [
    (fought(*TIMES[:-1]), ""),
    (fought(*TIMES), "another program keeps undoing 'rule add IPv4 7301: lookup 29440': repaired 5 times"),
    (fought(*TIMES, by=(7,)), "stubborn (process 7) keeps undoing 'rule add"),
    (fought(*TIMES, by=(9,)), "process 9 keeps undoing 'rule add"),
    (fought(*TIMES, by=(7, 9)), "stubborn (process 7), process 9 keeps undoing"),
    (fought(*TIMES, steps=(RULE, ROUTE)), "7301: lookup 29440' and 1 more: repaired"),
    (fought(*TIMES, by=(8,)), "ManageForeignRoutingPolicyRules=no"),
    (fought(*TIMES), "leave the rules 7300 to 7309 and the routes of table 29440 alone"),
    (fought(*TIMES, steps=(PutGuard(RuleSet(())),)), "the nftables table 'inet roam' alone"),
    (fought(*TIMES, steps=(SetLink("roam0", 1400),)), "links alone whose names begin with 'roam'"),
    (fought(*TIMES, steps=(PutAddress("roam0", ip_interface("10.8.0.2/32")),)), "address add 10.8.0.2/32"),
    (fought(*TIMES), "what is guarded stays guarded"),
]


@pytest.mark.parametrize(("feud", "text"), TOLD, ids=range(len(TOLD)))
def test_it_is_told_who_fights_what_and_what_to_do(feud: Feud, text: str) -> None:
    told = feud.told(5.0, name_of)
    assert text in told
    assert bool(told) == bool(text)


def test_several_things_taken_away_once_are_no_fight() -> None:
    feud = Feud()
    for number in range(40):
        feud = feud.repaired([PutRule(RuleEntry(4, number, 29440))], [7], float(number))
    assert feud.due_at() == 39.0
    assert not feud.is_on(39.0)
