"""Whom names ought to be asked of, and what is made of whom they were."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from client.daemon.dns_trial import Heard, Seen, Trial, judge, trials
from client.ike.events import Address
from client.system.resolver.choice import Kind
from client.system.resolver.model import DnsConfig

INSIDE, SECOND, HOME = map(ip_address, ("10.77.0.1", "10.78.0.1", "192.168.1.1"))
SPLIT = DnsConfig("roam0", (INSIDE,), ("corp.example",), ("other.example",), default_route=False)
FULL = DnsConfig("roam1", (SECOND,))


def test_without_a_tunnel_one_name_is_asked_of_whoever_there_is() -> None:
    assert list(trials([])) == [Trial("dns.outside", "example.com", None)]


def test_a_split_tunnels_domains_are_its_own_and_nothing_else_is() -> None:
    own = frozenset({INSIDE})
    assert list(trials([SPLIT])) == [
        Trial("dns.corp.example", "corp.example", own, tunnel="roam0"),
        Trial("dns.other.example", "other.example", own, tunnel="roam0"),
        Trial("dns.outside", "example.com", None, must_not=own),
    ]


def test_beside_a_full_tunnel_everything_else_is_that_ones() -> None:
    *_, last = trials([SPLIT, FULL])
    assert last == Trial("dns.everything", "example.com", frozenset({SECOND}), tunnel="roam1")


def test_of_many_domains_a_few_are_tried() -> None:
    many = DnsConfig("roam0", (INSIDE,), tuple(f"d{n}.example" for n in range(9)), default_route=False)
    assert [trial.label for trial in trials([many])][-2:] == ["dns.d2.example", "dns.outside"]


CORP, EVERYTHING = next(iter(trials([SPLIT]))), list(trials([FULL]))[-1]
OUTSIDE = list(trials([SPLIT]))[-1]


def seen(*servers: Address, heard: Heard = Heard.ANSWER) -> Seen:
    links = {INSIDE: "roam0", SECOND: "roam1", HOME: "wlan0"}
    return Seen(frozenset((server, links[server]) for server in servers), heard)


@pytest.mark.parametrize(
    ("trial", "what", "kind", "level", "words"),
    [
        (CORP, seen(INSIDE), Kind.RESOLVED, "ok", "asked of 10.77.0.1 over roam0, and of nobody else"),
        (CORP, seen(INSIDE, HOME), Kind.RESOLVED, "fail", "192.168.1.1 should not see it"),
        (CORP, seen(HOME), Kind.FILE, "fail", "192.168.1.1 should not see it"),
        (CORP, seen(INSIDE, heard=Heard.NOTHING), Kind.RESOLVED, "fail", "which did not answer"),
        (CORP, seen(), Kind.RESOLVED, "warn", "no question was seen to leave"),
        (CORP, seen(heard=Heard.NOTHING), Kind.FILE, "fail", "no question was seen to leave"),
        (EVERYTHING, seen(SECOND), Kind.FILE, "ok", "and of nobody else"),
        (EVERYTHING, seen(SECOND, HOME), Kind.RESOLVED, "fail", "192.168.1.1 should not see it"),
        (OUTSIDE, seen(HOME), Kind.RESOLVED, "ok", "192.168.1.1 over wlan0"),
        (OUTSIDE, seen(INSIDE), Kind.RESOLVED, "fail", "a tunnel's server sees names outside of it"),
        (OUTSIDE, seen(INSIDE), Kind.FILE, "warn", "cannot split by domain"),
        (OUTSIDE, seen(HOME, heard=Heard.NOTHING), Kind.RESOLVED, "fail", "which did not answer"),
    ],
)
def test_whoever_was_asked_is_judged(trial: Trial, what: Seen, kind: Kind, level: str, words: str) -> None:
    finding = judge(trial, what, kind)
    assert (finding.name, finding.level) == (trial.label, level)
    assert words in f"{finding.evidence} {finding.hint}"
    assert finding.hint or level == "ok"


@pytest.mark.parametrize("kind", Kind)
def test_a_leak_is_told_with_a_way_to_find_its_cause_for_every_resolver(kind: Kind) -> None:
    assert "see " in judge(CORP, seen(HOME), kind).hint
