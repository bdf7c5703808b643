"""The machine as it is and as it should be in, the text of the steps out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_interface, ip_network

import pytest

from client.system.plan import Actual, Step, filter_settings, loosened, missing_links, plan, plan_sweep
from client.tunnel.model import LinkEntry, RouteEntry, RuleEntry, SystemConfig
from client.tunnel.ruleset import Chain, Leaves, Rule, RuleSet


def rule(text: str) -> RuleEntry:
    family, priority = text.split(":")
    return RuleEntry(int(family), int(priority), 29440, mark=0x7300, mark_mask=0xFF00, unmarked=True)


def route(text: str) -> RouteEntry:
    destination, metric, *link = text.split()
    return RouteEntry(ip_network(destination), link[0] if link else None, int(metric))


def link(text: str) -> LinkEntry:
    name, mtu, *addresses = text.split()
    return LinkEntry(name, int(mtu), tuple(ip_interface(address) for address in addresses))


def config(links: str = "", rules: str = "", routes: str = "", sysctls: str = "") -> SystemConfig:
    return SystemConfig(
        links=tuple(link(text) for text in links.split(",") if text),
        rules=tuple(rule(text) for text in rules.split()),
        routes=tuple(route(text) for text in routes.split(",") if text),
        sysctls=tuple((key, value) for key, value in (text.split("=") for text in sysctls.split())),
    )


def actual(links: str = "", rules: str = "", routes: str = "", sysctls: str = "", down: str = "") -> Actual:
    there = config(links, rules, routes, sysctls)
    return Actual(there.links, frozenset(down.split()), there.rules, there.routes, dict(there.sysctls))


@dataclass(frozen=True)
class Row:
    name: str
    actual: Actual
    desired: SystemConfig
    steps: list[str]
    originals: str = ""


GUARDED = config(rules="4:7301 6:7301", routes="0.0.0.0/0 2000,::/0 2000")
STANDING = config(
    "roam0 1400 10.8.0.2/32 fd01::2/128",
    "4:7301 6:7301",
    "0.0.0.0/0 100 roam0,::/0 100 roam0,192.168.1.0/24 500 wlan0,0.0.0.0/0 2000,::/0 2000",
)
FILTER = RuleSet((Rule(Chain.POSTROUTING, (Leaves("wlan0"),), False, "nothing leaves"),))
OTHER_FILTER = RuleSet((*FILTER.rules, *FILTER.rules))
RULE = "not fwmark 0x7300/0xff00 lookup 29440"

ROWS = [
    Row("nothing wanted, nothing there", actual(), SystemConfig(), []),
    Row(
        "the guard closes: rules before routes",
        actual(),
        GUARDED,
        [
            f"rule add IPv4 7301: {RULE}",
            f"rule add IPv6 7301: {RULE}",
            "route replace blackhole 0.0.0.0/0 metric 2000",
            "route replace blackhole ::/0 metric 2000",
        ],
    ),
    Row(
        "the filter before everything else",
        actual(sysctls="net/a=0"),
        replace(config(rules="4:7301", routes="0.0.0.0/0 2000", sysctls="net/a=1"), guard=FILTER),
        [
            "filter set, 1 rules",
            "sysctl net/a = 1",
            f"rule add IPv4 7301: {RULE}",
            "route replace blackhole 0.0.0.0/0 metric 2000",
        ],
    ),
    Row(
        "another filter in place of the one that stands",
        replace(actual(), guard=FILTER),
        replace(config(), guard=OTHER_FILTER),
        ["filter set, 2 rules"],
    ),
    Row("a filter that is as wanted", replace(actual(), guard=FILTER), replace(config(), guard=FILTER), []),
    Row(
        "the filter after everything else",
        replace(actual(rules="4:7301", routes="0.0.0.0/0 2000"), guard=FILTER),
        SystemConfig(),
        ["route del blackhole 0.0.0.0/0 metric 2000", f"rule del IPv4 7301: {RULE}", "filter del"],
    ),
    Row(
        "the tunnel stands: link, routes, addresses",
        actual("roam0 1500", "4:7301 6:7301", "0.0.0.0/0 2000,::/0 2000", down="roam0"),
        STANDING,
        [
            "route replace 192.168.1.0/24 dev wlan0 metric 500",
            "link set roam0 mtu 1400 up",
            "route replace 0.0.0.0/0 dev roam0 metric 100",
            "route replace ::/0 dev roam0 metric 100",
            "address add 10.8.0.2/32 dev roam0",
            "address add fd01::2/128 dev roam0",
        ],
    ),
    Row(
        "applied twice",
        actual(
            "roam0 1400 10.8.0.2/32 fd01::2/128",
            "4:7301 6:7301",
            "0.0.0.0/0 100 roam0,::/0 100 roam0,192.168.1.0/24 500 wlan0,0.0.0.0/0 2000,::/0 2000",
        ),
        STANDING,
        [],
    ),
    Row(
        "the order of what is there does not matter",
        actual(rules="6:7301 4:7301", routes="::/0 2000,0.0.0.0/0 2000"),
        GUARDED,
        [],
    ),
    Row(
        "a link that does not exist gets nothing, its blackholes stand",
        actual(),
        config("roam0 1400 10.8.0.2/32", "4:7301", "0.0.0.0/0 100 roam0,0.0.0.0/0 2000"),
        [f"rule add IPv4 7301: {RULE}", "route replace blackhole 0.0.0.0/0 metric 2000"],
    ),
    Row(
        "a link that was set down gets its routes back",
        actual("roam0 1400 10.8.0.2/32", "4:7301", "0.0.0.0/0 2000", down="roam0"),
        config("roam0 1400 10.8.0.2/32", "4:7301", "0.0.0.0/0 100 roam0,0.0.0.0/0 2000"),
        ["link set roam0 mtu 1400 up", "route replace 0.0.0.0/0 dev roam0 metric 100"],
    ),
    Row(
        "another path with less room",
        actual("roam0 1400 10.8.0.2/32"),
        config("roam0 1342 10.8.0.2/32"),
        ["link set roam0 mtu 1342 up"],
    ),
    Row(
        "another inside address: the new one before the old one goes",
        actual("roam0 1400 10.8.0.2/32"),
        config("roam0 1400 10.8.0.3/32"),
        ["address add 10.8.0.3/32 dev roam0", "address del 10.8.0.2/32 dev roam0"],
    ),
    Row(
        "a route on another link is replaced in one step",
        actual("roam0 1400,roam1 1400", routes="0.0.0.0/0 100 roam0"),
        config("roam1 1400", routes="0.0.0.0/0 100 roam1"),
        ["route replace 0.0.0.0/0 dev roam1 metric 100"],
    ),
    Row(
        "the tunnel ends and the guard stays",
        actual("roam0 1400 10.8.0.2/32", "4:7301 6:7301", "0.0.0.0/0 100 roam0,0.0.0.0/0 2000,::/0 2000"),
        GUARDED,
        ["address del 10.8.0.2/32 dev roam0", "route del 0.0.0.0/0 dev roam0 metric 100"],
    ),
    Row(
        "everything ends: addresses, routes over links, blackholes, rules last",
        actual("roam0 1400 10.8.0.2/32", "4:7301 6:7301", "0.0.0.0/0 2000,0.0.0.0/0 100 roam0"),
        SystemConfig(),
        [
            "address del 10.8.0.2/32 dev roam0",
            "route del 0.0.0.0/0 dev roam0 metric 100",
            "route del blackhole 0.0.0.0/0 metric 2000",
            f"rule del IPv6 7301: {RULE}",
            f"rule del IPv4 7301: {RULE}",
        ],
    ),
    Row(
        "settings first",
        actual(sysctls="net/a=0"),
        config(rules="4:7301", sysctls="net/a=1"),
        ["sysctl net/a = 1", f"rule add IPv4 7301: {RULE}"],
    ),
    Row("a setting that is as wanted", actual(sysctls="net/a=1"), config(sysctls="net/a=1"), [], "net/a=0"),
    Row(
        "a setting that is not wanted any more is as before",
        actual(rules="4:7301", sysctls="net/a=1"),
        SystemConfig(),
        [f"rule del IPv4 7301: {RULE}", "sysctl net/a = 0"],
        "net/a=0",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_steps_are(row: Row) -> None:
    originals = dict(config(sysctls=row.originals).sysctls)
    assert texts(plan(row.actual, row.desired, originals)) == row.steps


def texts(steps: list[Step]) -> list[str]:
    return [str(step) for step in steps]


def test_links_that_do_not_exist_are_named() -> None:
    assert missing_links(actual("roam0 1400"), config("roam0 1400,roam1 1400")) == ("roam1",)


def test_sweep_takes_the_links_away_too() -> None:
    there = actual("roam0 1400 10.8.0.2/32", "4:7301", "0.0.0.0/0 100 roam0", "net/a=1")
    assert texts(plan_sweep(there, {"net/a": "0"})) == [
        "address del 10.8.0.2/32 dev roam0",
        "route del 0.0.0.0/0 dev roam0 metric 100",
        f"rule del IPv4 7301: {RULE}",
        "sysctl net/a = 0",
        "link del roam0",
    ]


def test_sweep_opens_last() -> None:
    there = replace(actual("roam0 1400", "4:7301"), guard=FILTER)
    assert texts(plan_sweep(there, {})) == [f"rule del IPv4 7301: {RULE}", "link del roam0", "filter del"]


def test_sweep_keeps_what_is_to_stay_and_puts_it_there_first() -> None:
    kept = replace(GUARDED, guard=FILTER)
    there = replace(actual("roam0 1400 10.8.0.2/32", "4:7301", "0.0.0.0/0 100 roam0"), guard=OTHER_FILTER)
    assert texts(plan_sweep(there, {}, kept)) == [
        "filter set, 1 rules",
        f"rule add IPv6 7301: {RULE}",
        "route replace blackhole 0.0.0.0/0 metric 2000",
        "route replace blackhole ::/0 metric 2000",
        "address del 10.8.0.2/32 dev roam0",
        "route del 0.0.0.0/0 dev roam0 metric 100",
        "link del roam0",
    ]


ALL, WLAN0 = "net/ipv4/conf/all/rp_filter", "net/ipv4/conf/wlan0/rp_filter"


@pytest.mark.parametrize(
    ("everywhere", "own", "original", "wanted"),
    [
        ("0", "0", None, ()),  # off stays off
        ("1", "0", None, ((WLAN0, "2"),)),
        ("0", "1", None, ((WLAN0, "2"),)),
        ("1", "1", None, ((WLAN0, "2"),)),
        ("2", "1", None, ()),  # loose already: the larger value counts
        ("1", "2", None, ()),
        ("0", "2", "1", ((WLAN0, "2"),)),  # ours, and still needed
        ("1", "2", "0", ((WLAN0, "2"),)),
        ("0", "2", "0", ()),  # somebody has turned the other one off: ours goes back
        ("", "1", None, ((WLAN0, "2"),)),
        ("1", None, None, ()),  # the link has gone
    ],
)
def test_a_strict_reverse_path_filter_is_loosened_where_answers_come_in(
    everywhere: str, own: str | None, original: str | None, wanted: tuple[tuple[str, str], ...]
) -> None:
    sysctls = {ALL: everywhere, **({WLAN0: own} if own is not None else {})}
    originals = {WLAN0: original} if original is not None else {}
    assert loosened(["wlan0"], sysctls, originals) == wanted


def test_the_filters_of_all_tunnels_uplinks_are_loosened_each_once() -> None:
    sysctls = {ALL: "1", WLAN0: "0", "net/ipv4/conf/lte0/rp_filter": "0"}
    keys = [key for key, _ in loosened(["wlan0", "lte0", "wlan0"], sysctls, {})]
    assert keys == [WLAN0, "net/ipv4/conf/lte0/rp_filter"]
    assert filter_settings(["wlan0", "lte0"]) == {ALL, *keys}
    assert filter_settings([]) == frozenset()


def test_a_setting_whose_link_is_gone_is_not_restored() -> None:
    assert texts(plan(actual(), SystemConfig(), {WLAN0: "1"})) == []
    assert texts(plan(actual(sysctls=f"{WLAN0}=2"), SystemConfig(), {WLAN0: "1"})) == [f"sysctl {WLAN0} = 1"]
    assert texts(plan(actual(sysctls=f"{WLAN0}=1"), SystemConfig(), {WLAN0: "1"})) == []
