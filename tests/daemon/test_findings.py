"""What the doctor makes of facts: in each table the facts, the finding's level, and words that must stand in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from ipaddress import ip_interface

import pytest

from client.control.diagnosis import LEVELS, Finding
from client.daemon.findings import (
    ClockFacts,
    ForwardingFacts,
    KernelFacts,
    RightsFacts,
    judge_clock,
    judge_filters,
    judge_forwarding,
    judge_interfaces,
    judge_kernel,
    judge_resolver,
    judge_rights,
    judge_vpns,
)
from client.system.choice import Choice as DataPath
from client.system.choice import DataPathKind
from client.system.features import Feature
from client.system.others import OtherFilter, OtherLink, OtherRule, Others
from client.system.resolver.choice import Choice, Kind, Way
from client.tunnel.model import Link, LinkAddress, NetworkState

THERE, GONE, HIDDEN = (
    Feature(present=True),
    Feature(present=False, why="no such device"),
    Feature(None, "denied"),
)
BY_KERNEL = DataPath(DataPathKind.XFRM, "it has ESP")
BY_PROCESS = DataPath(DataPathKind.USERSPACE, "the kernel has no ESP")
GOOD = KernelFacts(THERE, THERE, THERE, BY_KERNEL)


def only(findings: Iterable[Finding], name: str) -> Finding:
    (found,) = [finding for finding in findings if finding.name == name]
    assert found.level in LEVELS
    assert bool(found.hint) or found.level == "ok", "whoever reads of a problem is told what to do"
    return found


def check(findings: Iterable[Finding], name: str, level: str, words: str) -> None:
    found = only(findings, name)
    assert (found.level, words in f"{found.evidence} {found.hint}") == (level, True), found


@pytest.mark.parametrize(
    ("facts", "name", "level", "words"),
    [
        (GOOD, "kernel.esp", "ok", "carried by the kernel: it has ESP"),
        (
            replace(GOOD, data_path=BY_PROCESS),
            "kernel.esp",
            "warn",
            "a process of Roam's: the kernel has no ESP",
        ),
        (replace(GOOD, data_path=None), "kernel.esp", "warn", "only root can find out"),
        (GOOD, "kernel.xfrm_interface", "ok", "has xfrm interfaces"),
        (replace(GOOD, xfrm_interface=GONE), "kernel.xfrm_interface", "warn", "modprobe xfrm_interface"),
        (replace(GOOD, xfrm_interface=HIDDEN), "kernel.xfrm_interface", "warn", "sudo"),
        (GOOD, "kernel.tun", "ok", "can be made"),
        (replace(GOOD, tun=GONE), "kernel.tun", "ok", "not needed"),
        (replace(GOOD, tun=GONE, data_path=BY_PROCESS), "kernel.tun", "fail", "sudo modprobe tun"),
        (replace(GOOD, tun=HIDDEN, data_path=BY_PROCESS), "kernel.tun", "warn", "denied"),
        (GOOD, "kernel.migrate", "ok", "moves SAs"),
        (replace(GOOD, migrate=GONE), "kernel.migrate", "warn", "replaces the SAs"),
        (replace(GOOD, migrate=GONE, data_path=BY_PROCESS), "kernel.migrate", "ok", "not needed"),
        (replace(GOOD, migrate=HIDDEN), "kernel.migrate", "warn", "sudo"),
        (GOOD, "kernel.nftables", "ok", "packet filter"),
        (replace(GOOD, nftables=GONE), "kernel.nftables", "warn", "routing alone"),
        (replace(GOOD, nftables=HIDDEN), "kernel.nftables", "warn", "sudo"),
    ],
)
def test_the_kernel(facts: KernelFacts, name: str, level: str, words: str) -> None:
    check(judge_kernel(facts), name, level, words)


@pytest.mark.parametrize(
    ("choice", "problems", "level", "words"),
    [
        (Choice(Kind.RESOLVED, Way.DIRECT, "its stub"), (), "ok", "systemd-resolved: its stub"),
        (Choice(Kind.RESOLVED, Way.HELPER, "its stub"), (), "ok", "through roam-dns"),
        (Choice(Kind.FILE, Way.DIRECT, "nobody's"), (), "ok", "cannot split by domain"),
        (Choice(Kind.FILE, Way.NOBODY, "nobody's"), (), "fail", "systemctl enable --now roam-dns.socket"),
        (Choice(Kind.RESOLVED, Way.DIRECT, "its stub"), ("it hangs",), "fail", "it hangs"),
    ],
)
def test_who_is_told_of_name_servers(
    choice: Choice, problems: tuple[str, ...], level: str, words: str
) -> None:
    check(judge_resolver(choice, problems), "resolver", level, words)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (ForwardingFacts(), "forwards nothing"),
        (ForwardingFacts((4,)), "forwards IPv4 for others"),
        (
            ForwardingFacts((4, 6), ("docker0", "virbr0")),
            "IPv4 and IPv6 for others, for example from docker0, virbr0",
        ),
    ],
)
def test_what_is_forwarded_follows_the_profile(facts: ForwardingFacts, words: str) -> None:
    check(judge_forwarding(facts), "forwarding", "ok", words)


CLOCK = ClockFacts(1_800_000_000.0, 1_790_000_000.0, True, 140, 139)


@pytest.mark.parametrize(
    ("facts", "level", "words"),
    [
        (CLOCK, "ok", "it is 2027-01-15 08:00 UTC; 139 of 140 trusted authorities are valid"),
        (replace(CLOCK, trusted=0, valid=0), "ok", "it is 2027-01-15"),
        (
            replace(CLOCK, now=0.0),
            "fail",
            "1970-01-01 00:00 UTC by this machine's clock, but Roam was installed on",
        ),
        (replace(CLOCK, now=CLOCK.installed - 3600), "ok", "it is"),  # a clock may be set a little back
        (replace(CLOCK, valid=12), "fail", "only 12 of the 140 authorities"),
        (replace(CLOCK, trusted=3, valid=0), "ok", "0 of 3"),  # a few of somebody's own say nothing
        (replace(CLOCK, synchronized=False), "warn", "no time service has set"),
        (replace(CLOCK, synchronized=None), "ok", "it is"),
    ],
)
def test_the_clock(facts: ClockFacts, level: str, words: str) -> None:
    check(judge_clock(facts), "clock", level, words)


@pytest.mark.parametrize(
    ("others", "level", "words"),
    [
        (Others(), "ok", "no other program"),
        (Others(filters=None), "warn", "not to be seen"),
        (
            Others(filters=(OtherFilter("inet filter", ("input", "forward")),)),
            "ok",
            "tables of others: inet filter",
        ),
        (Others(filters=(OtherFilter("ip mullvad", ("output",)),)), "warn", "table ip mullvad"),
        (Others(filters=tuple(OtherFilter(f"ip t{n}") for n in range(9))), "ok", "and 3 more"),
    ],
)
def test_other_programs_packet_filters(others: Others, level: str, words: str) -> None:
    check(judge_filters(others), "firewall", level, words)


WG_QUICK = OtherRule(4, 32764, 51820, 0xCA6C, 0xFFFFFFFF, inverted=True)
TAILSCALE = OtherRule(4, 5210, 254, 0x80000, 0xFF0000)
WG0 = OtherLink("wg0", "wireguard", up=True)


@pytest.mark.parametrize(
    ("others", "level", "words"),
    [
        (Others(), "ok", "no other VPN"),
        (Others(links=(OtherLink("wg0", "wireguard", up=False),)), "ok", "no other VPN"),
        (Others(links=(WG0,)), "ok", "other tunnels are up: wg0 (wireguard)"),
        (Others(rules=(TAILSCALE,)), "ok", "rules of others: IPv4 5210: fwmark 0x80000/0xff0000 lookup 254"),
        (
            Others(links=(WG0,), rules=(WG_QUICK,)),
            "warn",
            "these rules take Roam's own packets: IPv4 32764: not fwmark 0xca6c/0xffffffff lookup 51820",
        ),
        (Others(policies=3), "warn", "another program has 3 IPsec policies"),
        (Others(policies=None), "ok", "no other VPN"),
        (
            Others(listeners=(500, 4500)),
            "ok",
            "another program listens on UDP 500 and 4500, which Roam does not need",
        ),
    ],
)
def test_other_vpns(others: Others, level: str, words: str) -> None:
    check(judge_vpns(others), "vpns", level, words)


@pytest.mark.parametrize(
    ("rule", "takes"),
    [
        (
            OtherRule(4, 100, 52),
            False,
        ),  # everything goes there, whatever its mark: that is for its routes to say
        (OtherRule(4, 100, 52, 0x7300, 0xFF00), True),
        (OtherRule(4, 100, 52, 0x7300), True),
        (OtherRule(4, 100, 52, 0x7301), False),
        (OtherRule(4, 100, 52, 0x7300, 0xFF00, inverted=True), False),
        (OtherRule(4, 100, 52, 0x0, 0xFF0000), True),
        (TAILSCALE, False),
        (WG_QUICK, True),
    ],
)
def test_whether_a_rule_takes_packets_with_our_mark(rule: OtherRule, takes: bool) -> None:
    assert rule.takes_ours() is takes


def network(*addresses: str) -> NetworkState:
    links = (Link(1, "lo", up=True), Link(2, "wlan0", up=True))
    entries = [LinkAddress(1 if text.startswith("127") else 2, ip_interface(text)) for text in addresses]
    return NetworkState(links, tuple(entries))


@pytest.mark.parametrize(
    ("by_netlink", "by_netifaces", "level", "words"),
    [
        (
            ("127.0.0.1/8", "192.0.2.7/24"),
            ("127.0.0.1/8", "192.0.2.7/24"),
            "ok",
            "agree on 2 addresses of 2 interfaces",
        ),
        (
            ("192.0.2.7/24",),
            ("192.0.2.7/24", "fe80::7/64"),
            "ok",
            "not usable yet, or not any more: wlan0 fe80::7",
        ),
        (("192.0.2.7/24", "192.0.2.8/24"), ("192.0.2.7/24",), "warn", "not by netifaces: wlan0 192.0.2.8"),
        (("127.0.0.1/8",), ("127.0.0.1/8",), "warn", "no interface has a usable address"),
    ],
)
def test_interfaces_by_two_readers(
    by_netlink: tuple[str, ...], by_netifaces: tuple[str, ...], level: str, words: str
) -> None:
    check(judge_interfaces(network(*by_netlink), network(*by_netifaces)), "interfaces", level, words)


DAEMON = RightsFacts(990, net_admin=True, standalone=False, secrets_mode=0o700, state_mode=0o700)


@pytest.mark.parametrize(
    ("facts", "name", "level", "words"),
    [
        (DAEMON, "rights", "ok", "runs as uid 990 with CAP_NET_ADMIN"),
        (replace(DAEMON, net_admin=False), "rights", "fail", "without CAP_NET_ADMIN"),
        (replace(DAEMON, uid=0, standalone=True), "rights", "ok", "as root, who may change the network"),
        (replace(DAEMON, net_admin=False, standalone=True), "rights", "ok", "may not change"),
        (DAEMON, "group", "ok", "members of the group 'roam'"),
        (replace(DAEMON, group=False), "group", "warn", "groupadd"),
        (DAEMON, "secrets", "ok", "0700"),
        (replace(DAEMON, secrets_mode=0o750), "secrets", "fail", "0750"),
        (replace(DAEMON, state_mode=0o755), "state", "fail", "chmod 0700"),
    ],
)
def test_rights(facts: RightsFacts, name: str, level: str, words: str) -> None:
    check(judge_rights(facts), name, level, words)


def test_a_directory_that_is_not_there_is_nobodys() -> None:
    names = {finding.name for finding in judge_rights(replace(DAEMON, secrets_mode=None, state_mode=None))}
    assert names == {"rights", "group"}
