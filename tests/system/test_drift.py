"""What is not as it should be, in words: one line for each object, and nothing where a repair had nothing to do."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_interface, ip_network

import pytest

from client.system.drift import deviations
from client.system.plan import Actual, plan
from client.tunnel.model import LinkEntry, RouteEntry, RuleEntry, SystemConfig
from client.tunnel.ruleset import Chain, Rule, RuleSet

EVERYTHING = ip_network("0.0.0.0/0")
RULE = RuleEntry(4, 7301, 29440)
BLACKHOLE, WAY = RouteEntry(EVERYTHING, None, 2000), RouteEntry(EVERYTHING, "roam0", 100)
GUARD = RuleSet((Rule(Chain.POSTROUTING, (), False, "nothing leaves"),))
INSIDE = ip_interface("10.8.0.2/32")
WANTED = SystemConfig(
    links=(LinkEntry("roam0", 1400, (INSIDE,)),),
    rules=(RULE,),
    routes=(WAY, BLACKHOLE),
    sysctls=(("net/ipv4/conf/wlan0/rp_filter", "2"),),
    guard=GUARD,
)
AS_WANTED = Actual(WANTED.links, frozenset(), WANTED.rules, WANTED.routes, dict(WANTED.sysctls), WANTED.guard)
OTHER_LINK = replace(WANTED.links[0], mtu=1500)

ROWS = [
    ("all is well", AS_WANTED, []),
    ("rule", replace(AS_WANTED, rules=()), ["rule IPv4 7301: lookup 29440: missing, should be present"]),
    (
        "another rule",
        replace(AS_WANTED, rules=(RULE, RuleEntry(6, 7301, 29440))),
        ["rule IPv6 7301: lookup 29440: present, should be absent"],
    ),
    (
        "route",
        replace(AS_WANTED, routes=(BLACKHOLE,)),
        ["route 0.0.0.0/0 dev roam0 metric 100: missing, should be present"],
    ),
    (
        "another way",
        replace(AS_WANTED, routes=(replace(WAY, link="wlan0"), BLACKHOLE)),
        ["route 0.0.0.0/0 dev roam0 metric 100: 0.0.0.0/0 dev wlan0 metric 100, should be present"],
    ),
    (
        "blackhole",
        replace(AS_WANTED, routes=(WAY,)),
        ["route blackhole 0.0.0.0/0 metric 2000: missing, should be present"],
    ),
    (
        "address",
        replace(AS_WANTED, links=(replace(WANTED.links[0], addresses=()),)),
        ["address 10.8.0.2/32 on roam0: missing, should be present"],
    ),
    (
        "another address",
        replace(
            AS_WANTED, links=(replace(WANTED.links[0], addresses=(INSIDE, ip_interface("10.9.9.9/32"))),)
        ),
        ["address 10.9.9.9/32 on roam0: present, should be absent"],
    ),
    (
        "link down",
        replace(AS_WANTED, down=frozenset({"roam0"})),
        ["link roam0: mtu 1400, down, should be mtu 1400, up"],
    ),
    ("mtu", replace(AS_WANTED, links=(OTHER_LINK,)), ["link roam0: mtu 1500, up, should be mtu 1400, up"]),
    ("link", replace(AS_WANTED, links=()), ["link roam0: missing, should be present"]),
    ("no filter", replace(AS_WANTED, guard=None), ["packet filter: missing, should be 1 rules of ours"]),
    (
        "another filter",
        replace(AS_WANTED, guard=RuleSet(())),
        ["packet filter: other rules, should be 1 rules of ours"],
    ),
    (
        "setting",
        replace(AS_WANTED, sysctls={"net/ipv4/conf/wlan0/rp_filter": "1"}),
        ["setting net/ipv4/conf/wlan0/rp_filter: 1, should be 2"],
    ),
    (
        "setting that cannot be read",
        replace(AS_WANTED, sysctls={}),
        ["setting net/ipv4/conf/wlan0/rp_filter: unreadable, should be 2"],
    ),
]


@pytest.mark.parametrize(("name", "actual", "lines"), ROWS, ids=[row[0] for row in ROWS])
def test_a_deviation_is_told(name: str, actual: Actual, lines: list[str]) -> None:
    assert [str(each) for each in deviations(actual, WANTED, {})] == lines, name
    assert bool(plan(actual, WANTED)) == bool(lines and name != "link")


def test_what_nobody_wants_any_more_deviates_by_being_there() -> None:
    told = [
        str(each) for each in deviations(AS_WANTED, SystemConfig(), {"net/ipv4/conf/wlan0/rp_filter": "0"})
    ]
    assert told == [
        "address 10.8.0.2/32 on roam0: present, should be absent",
        "route 0.0.0.0/0 dev roam0 metric 100: present, should be absent",
        "route blackhole 0.0.0.0/0 metric 2000: present, should be absent",
        "rule IPv4 7301: lookup 29440: present, should be absent",
        "setting net/ipv4/conf/wlan0/rp_filter: 2, should be 0",
        "packet filter: present, should be absent",
    ]
