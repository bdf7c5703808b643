"""The text that goes into /etc/resolv.conf."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from client.system.resolver.model import DnsConfig
from client.system.resolver.resolv_conf import entry, render, searched, servers_of

BEFORE = (
    "# home\nnameserver 192.168.1.1\nnameserver rubbish\nsearch home.lan\noptions edns0 trust-ad timeout:2\n"
)


def config(link: str, servers: str, *search: str, full: bool = True) -> DnsConfig:
    return DnsConfig(link, tuple(map(ip_address, servers.split())), search, (), full)


FULL = config("roam0", "10.77.0.1 fd77::1")
SPLIT = config("roam1", "10.78.0.1", "corp.example", full=False)
MANY = config("roam2", "10.0.0.1 10.0.0.2 10.0.0.3 fd00::1 fd00::2 fd00::3")
HEADER = "# Made by Roam for {}; what stood here before comes back on `roam down` or `roam cleanup`."


@pytest.mark.parametrize(
    ("name", "configs", "before", "lines"),
    [
        (
            "full: its servers alone",
            [FULL],
            BEFORE,
            ["nameserver 10.77.0.1", "nameserver fd77::1", "search home.lan", "options edns0 timeout:2"],
        ),
        (
            "split: the others stand behind",
            [SPLIT],
            BEFORE,
            [
                "nameserver 10.78.0.1",
                "nameserver 192.168.1.1",
                "search corp.example",
                "options edns0 timeout:2",
            ],
        ),
        (
            "the full tunnel's first",
            [SPLIT, FULL],
            "",
            ["nameserver 10.77.0.1", "nameserver fd77::1", "nameserver 10.78.0.1", "search corp.example"],
        ),
        (
            "the families by turns",
            [MANY],
            "",
            ["nameserver 10.0.0.1", "nameserver fd00::1", "nameserver 10.0.0.2"],
        ),
        ("nothing before", [FULL], "", ["nameserver 10.77.0.1", "nameserver fd77::1"]),
        (
            "`domain` is an old word for `search`",
            [FULL],
            "domain home.lan\n",
            ["nameserver 10.77.0.1", "nameserver fd77::1", "search home.lan"],
        ),
    ],
)
def test_text_is(name: str, configs: list[DnsConfig], before: str, lines: list[str]) -> None:
    links = ", ".join(config.link for config in configs)
    assert render(configs, before).splitlines() == [HEADER.format(links), *lines]


def test_an_entry_is_one_tunnels() -> None:
    assert entry(SPLIT) == "nameserver 10.78.0.1\nsearch corp.example\n"


def test_servers_and_domains_of_all_tunnels_are_few() -> None:
    configs = [
        config(f"roam{n}", f"10.0.{n}.1 10.0.{n}.2", f"a{n}.example", f"b{n}.example") for n in range(9)
    ]
    assert len(servers_of(configs)) == 3
    assert len(searched(configs)) == 6
