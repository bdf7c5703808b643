"""What a gateway and a profile may make of name resolution, and what they may not."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.ike.events import Assigned
from client.system.resolver.model import MOST_DOMAINS, DnsConfig, domain, wanted
from client.system.resolver.resolv_conf import entry, render
from client.tunnel.model import OverTls


@dataclass(frozen=True)
class Row:
    name: str
    config: str | None
    full: bool = True
    dns: str = "10.77.0.1 fd77::1"
    domains: str = ""
    servers: str = ""
    search: str = ""
    route_only: str = ""
    remarks: list[str] = field(default_factory=list)


NO_DOMAINS = "the gateway names servers but no domains: name them in `search` or `route_only` of [dns]"
ROWS = [
    Row("full: everything is asked of the gateway's servers", "roam0: 10.77.0.1 fd77::1 ~."),
    Row(
        "full: the gateway's domains are asked, not searched",
        "roam0: 10.77.0.1 fd77::1 ~corp.example ~.",
        domains="Corp.Example.",
    ),
    Row(
        "full: the profile's are searched", "roam0: 10.77.0.1 fd77::1 corp.example ~.", search="corp.example"
    ),
    Row(
        "split: the gateway's domains alone (RFC 8598)",
        "roam0: 10.77.0.1 fd77::1 ~corp.example",
        full=False,
        domains="corp.example",
    ),
    Row(
        "split: searched and routed are kept apart",
        "roam0: 10.77.0.1 fd77::1 a.example ~b.example ~c.example",
        full=False,
        search="a.example",
        route_only="b.example",
        domains="c.example a.example b.example",
    ),
    Row("split: a gateway without domains is not asked", None, full=False, remarks=[NO_DOMAINS]),
    Row(
        "split: the profile's servers without domains are asked everything",
        "roam0: 9.9.9.10 ~.",
        full=False,
        servers="9.9.9.10",
    ),
    Row("the profile's servers take the place of the gateway's", "roam0: 9.9.9.10 ~.", servers="9.9.9.10"),
    Row("nothing is given", None, dns=""),
    Row("domains without servers", None, dns="", domains="corp.example", remarks=["no name server is given"]),
    Row("each server once", "roam0: 10.77.0.1 ~.", dns="10.77.0.1 10.77.0.1"),
    Row(
        "no more servers than are used",
        "roam0: 10.0.0.1 10.0.0.2 10.0.0.3 fd77::1 ~.",
        dns="10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 fd77::1",
        remarks=["5 name servers with IPv4 addresses: 3 are used"],
    ),
    Row(
        "addresses that no server has",
        "roam0: 10.77.0.1 ~.",
        dns="0.0.0.0 127.0.0.1 224.0.0.251 255.255.255.255 :: ::1 ff02::fb ::ffff:127.0.0.1 10.77.0.1",
        remarks=[
            "0.0.0.0 is no name server's address",
            "127.0.0.1 is no name server's address",
            "224.0.0.251 is no name server's address",
            "and 5 more like these",
        ],
    ),
    Row(
        "a server on the local link",
        None,
        dns="fe80::1",
        remarks=["the name server fe80::1 is on the local link, not behind the tunnel"],
    ),
    Row(
        "a gateway that wants the names of the local network",
        "roam0: 10.77.0.1 fd77::1 ~.",
        domains="local",
        remarks=["'local' is not a domain that servers are asked for"],
    ),
    Row("names below it are asked", "roam0: 10.77.0.1 fd77::1 ~corp.local ~.", domains="corp.local"),
    Row("an umlaut", "roam0: 10.77.0.1 fd77::1 xn--bcher-kva.example ~.", search="bücher.example"),
]


def addresses(text: str) -> tuple[IPv4Address | IPv6Address, ...]:
    return tuple(map(ip_address, text.split()))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_wanted_is(row: Row) -> None:
    result = wanted(
        "roam0",
        Assigned(dns=addresses(row.dns), domains=tuple(row.domains.split())),
        full=row.full,
        servers=addresses(row.servers),
        search=row.search.split(),
        route_only=row.route_only.split(),
    )
    assert (result.config and str(result.config)) == row.config
    assert list(result.remarks) == row.remarks


@pytest.mark.parametrize(
    ("word", "servers", "over_tls"),
    [
        ("auto", "", "no"),
        ("auto", "9.9.9.10", ""),
        ("system", "", ""),
        ("yes", "", "yes"),
        ("opportunistic", "9.9.9.10", "opportunistic"),
        ("no", "9.9.9.10", "no"),
    ],
)
def test_tls_is_asked_for(word: OverTls, servers: str, over_tls: str) -> None:
    """Not of the gateway's servers, unless somebody says so."""
    assigned = Assigned(dns=addresses("10.77.0.1"))
    made = wanted("roam0", assigned, full=True, servers=addresses(servers), over_tls=word).config
    assert made is not None
    assert made.over_tls == over_tls


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a..b",
        ".example",
        "corp.example\nnameserver 6.6.6.6",
        "corp.example nameserver",
        "corp.example\0",
        "corp.example;reboot",
        "$(reboot).example",
        "`reboot`.example",
        "../etc/passwd",
        "~corp.example",
        "-x.example",
        "a" * 64 + ".example",
        ".".join(["abcdefgh"] * 29),
        "192.0.2.1",
        "bücher\u2028.example",
        "\ud800.example",
        "onion",
        "x.onion",
        "localhost",
        "#.example",
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a domain"):
        domain(text)


def test_ten_thousand_domains_are_cut() -> None:
    many = tuple(f"d{number}.example" for number in range(10_000))
    result = wanted("roam0", Assigned(dns=addresses("10.77.0.1"), domains=many), full=True)
    assert result.config is not None
    assert len(result.config.route_only) == MOST_DOMAINS
    assert result.remarks == (f"10000 domains: {MOST_DOMAINS} are used",)


@pytest.mark.parametrize(
    "link",
    ["", "eth0", "roam0\n", "roam0 wlan0", "roam/0", "roam" + "0" * 12, "../roam0", "-x", "roam0.1", "ROAM0"],
)
def test_only_links_of_ours_are_configured(link: str) -> None:
    with pytest.raises(ValueError, match="is not a link of ours"):
        DnsConfig(link, addresses("10.77.0.1"))


@pytest.mark.parametrize(
    ("servers", "search", "route_only"),
    [
        ("", "", ""),
        ("127.0.0.53", "", ""),
        ("10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4", "", ""),
        ("10.0.0.1", "Corp.Example", ""),
        ("10.0.0.1", "", "corp.example."),
        ("10.0.0.1", " ".join(f"d{number}.example" for number in range(MOST_DOMAINS + 1)), ""),
    ],
)
def test_a_configuration_cannot_be_wrong(servers: str, search: str, route_only: str) -> None:
    with pytest.raises(ValueError):
        DnsConfig("roam0", addresses(servers), tuple(search.split()), tuple(route_only.split()))


def test_a_zone_is_no_part_of_a_servers_address() -> None:
    with pytest.raises(ValueError, match="on the local link"):
        DnsConfig("roam0", (IPv6Address("2001:db8::1%x\nnameserver 6.6.6.6"),))


@given(
    st.lists(st.ip_addresses(), max_size=40),
    st.lists(st.text(max_size=80) | st.from_regex(r"[a-z]{1,9}\.example"), max_size=40),
    st.booleans(),
)
def test_whatever_a_gateway_says_a_file_has_our_lines_only(
    dns: list[IPv4Address | IPv6Address], domains: list[str], full: bool
) -> None:
    for search, assigned in (((), tuple(domains)), (tuple(domains), ())):
        made = wanted("roam0", Assigned(dns=tuple(dns), domains=assigned), full=full, search=search)
        if made.config is None:
            continue
        header, *lines = (render([made.config], "") + entry(made.config)).splitlines()
        assert header.startswith("# Made by Roam for roam0;")
        for line in lines:
            keyword, *values = line.split(" ")
            if keyword == "nameserver":
                assert ip_address(values[0]) in dns
            else:
                assert keyword == "search"
                assert all(domain(value) == value for value in values)
