"""What `roam-dns` understands, and what it refuses before anything is touched."""

from __future__ import annotations

import json
from contextlib import suppress
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.system.resolver.choice import Choice, Kind, Way
from client.system.resolver.document import (
    LARGEST_REQUEST,
    decode_outcome,
    decode_request_untrusted,
    encode_outcome,
    encode_request,
)
from client.system.resolver.model import MOST_DOMAINS, MOST_LINKS, DnsConfig
from client.system.resolver.outcome import Outcome

SPLIT = DnsConfig(
    "roam0",
    (ip_address("10.77.0.1"), ip_address("fd77::1")),
    ("a.example",),
    ("b.example",),
    default_route=False,
)
FULL = DnsConfig("roam1", (ip_address("10.78.0.1"),))
PLAIN = DnsConfig("roam1", (ip_address("10.78.0.1"),), over_tls="no")


@pytest.mark.parametrize("configs", [(), (SPLIT,), (SPLIT, FULL), (SPLIT, PLAIN), None])
def test_what_is_asked_is_understood(configs: tuple[DnsConfig, ...] | None) -> None:
    assert decode_request_untrusted(encode_request(configs)) == configs


def test_the_notation_is_resolvectls() -> None:
    assert json.loads(encode_request((SPLIT, FULL))) == [
        {"link": "roam0", "servers": ["10.77.0.1", "fd77::1"], "domains": ["a.example", "~b.example"]},
        {"link": "roam1", "servers": ["10.78.0.1"], "domains": ["~."]},
    ]


def test_the_largest_request_is_within_the_limit() -> None:
    name = ".".join(["x" * 60] * 4)
    servers = tuple(
        ip_address(text) for text in ("10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1", "fd00::2", "fd00::3")
    )
    many = tuple(f"d{number:02}.{name}"[:253] for number in range(MOST_DOMAINS))
    configs = tuple(DnsConfig(f"roam{number}", servers, many[:8]) for number in range(MOST_LINKS))
    assert decode_request_untrusted(encode_request(configs)) == configs


def entry(**changes: object) -> list[object]:
    return [{"link": "roam0", "servers": ["10.77.0.1"], "domains": [], **changes}]


@pytest.mark.parametrize(
    "document",
    [
        {},
        "Restore",
        17,
        None,
        True,
        [[]],
        [{}],
        ["restore"],
        entry(path="/etc/passwd"),
        entry(link="eth0"),
        entry(link=None),
        entry(link=["roam0"]),
        entry(link="roam0\nx"),
        entry(servers=[]),
        entry(servers="10.77.0.1"),
        entry(servers=[10]),
        entry(servers=["10.77.0.1\nsearch x"]),
        entry(servers=["127.0.0.1"]),
        entry(servers=["fe80::1%eth0"]),
        entry(servers=["10.77.0.1"] * 5000),
        entry(domains=None),
        entry(domains=[None]),
        entry(domains=["~"]),
        entry(domains=["."]),
        entry(domains=["~~."]),
        entry(domains=["x\nnameserver 6.6.6.6"]),
        entry(domains=[f"d{number}.example" for number in range(MOST_DOMAINS + 1)]),
        entry(over_tls="always"),
        entry(over_tls=None),
        entry(over_tls=["no"]),
        entry() * 2,
        [entry(link=f"roam{number}")[0] for number in range(MOST_LINKS + 1)],
    ],
    ids=repr,
)
def test_anything_else_is_refused(document: object) -> None:
    with pytest.raises(ValueError):
        decode_request_untrusted(json.dumps(document).encode())


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 50_000, b" " * (LARGEST_REQUEST + 1)], ids=len)
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="the request is"):
        decode_request_untrusted(data)


@given(
    st.binary(max_size=300)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(
        lambda value: json.dumps(value).encode()
    )
)
def test_nothing_but_a_value_error_comes_of_any_request(data: bytes) -> None:
    with suppress(ValueError):
        decode_request_untrusted(data)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(),
        Outcome(Choice(Kind.FILE, Way.HELPER, "because")),
        Outcome(Choice(Kind.RESOLVED, Way.HELPER, "because"), ("one", "two")),
    ],
)
def test_the_answer_is_understood(outcome: Outcome) -> None:
    assert decode_outcome(encode_outcome(outcome)) == outcome


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"kind": "x", "reason": "", "problems": []}', b'{"kind": null, "problems": [1]}'],
)
def test_an_unreadable_answer_is_a_value_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode_outcome(data)
