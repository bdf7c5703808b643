"""What `roam-dns` is told and what it answers: one JSON document each.  Pure.

The request is a list of {link, servers, domains, over_tls}, which is how it should be from now on, or the word
"restore"; `over_tls` may be left out.
Domains are written as resolvectl(1) writes them: `corp.example` is searched, `~corp.example` is not, `~.` is all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any

from .choice import Choice, Kind, Way
from .model import EVERYTHING, MOST_LINKS, DnsConfig
from .outcome import Outcome

LARGEST_REQUEST = 64 * 1024
"""Octets; sixteen links with all that a `DnsConfig` may hold need less."""

_RESTORE = "restore"
_KEYS = {"link", "servers", "domains"}
_OVER_TLS = "over_tls"
_ROUTED = "~"


def encode_request(configs: Sequence[DnsConfig] | None) -> bytes:
    """None asks for what was there before."""
    return json.dumps(_RESTORE if configs is None else [_entry(config) for config in configs]).encode()


def decode_request_untrusted(data: bytes) -> tuple[DnsConfig, ...] | None:
    """The configurations, or None for "restore"; `ValueError` for anything else."""
    if len(data) > LARGEST_REQUEST:
        raise ValueError("the request is too long")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("the request is not a JSON document") from None
    if document == _RESTORE:
        return None
    if not isinstance(document, list) or len(document) > MOST_LINKS:
        raise ValueError(f"the request is neither {_RESTORE!r} nor a list of at most {MOST_LINKS} links")
    configs = tuple(map(_config, document))
    if len({config.link for config in configs}) != len(configs):
        raise ValueError("a link stands twice in the request")
    return configs


def encode_outcome(outcome: Outcome) -> bytes:
    """For whoever asked."""
    choice = outcome.choice
    return json.dumps(
        {
            "kind": None if choice is None else choice.kind,
            "reason": "" if choice is None else choice.reason,
            "problems": outcome.problems,
            "steps": outcome.steps,
        }
    ).encode()


def decode_outcome(data: bytes) -> Outcome:
    """`ValueError` if this is not what `roam-dns` answers."""
    try:
        document = json.loads(data)
        kind, problems = document["kind"], _strings(document["problems"])
        steps = tuple(_strings(document.get("steps", [])))
        choice = None if kind is None else Choice(Kind(kind), Way.HELPER, str(document["reason"]))
        return Outcome(choice, tuple(problems), steps=steps)
    except (KeyError, TypeError) as error:
        raise ValueError("roam-dns gave an unreadable answer") from error


def _entry(config: DnsConfig) -> Mapping[str, object]:
    domains = [*config.search, *(_ROUTED + name for name in config.route_only)]
    if config.default_route:
        domains.append(_ROUTED + EVERYTHING)
    entry = {"link": config.link, "servers": [str(server) for server in config.servers], "domains": domains}
    return {**entry, _OVER_TLS: config.over_tls} if config.over_tls else entry


def _config(entry: Any) -> DnsConfig:  # noqa: ANN401 - whatever JSON can hold
    if not isinstance(entry, dict) or entry.keys() - {_OVER_TLS} != _KEYS:
        raise ValueError("an entry of the request has other keys than link, servers, domains and over_tls")
    link, servers, domains = entry["link"], _strings(entry["servers"]), _strings(entry["domains"])
    over_tls = entry.get(_OVER_TLS, "")
    if not isinstance(link, str) or not isinstance(over_tls, str):
        raise ValueError("a link, or its way to use TLS, is not named by a string")
    routed = [name.removeprefix(_ROUTED) for name in domains if name.startswith(_ROUTED)]
    return DnsConfig(
        link,
        tuple(map(ip_address, servers)),
        tuple(name for name in domains if not name.startswith(_ROUTED)),
        tuple(name for name in routed if name != EVERYTHING),
        EVERYTHING in routed,
        over_tls,
    )


def _strings(value: object) -> list[str]:
    if not isinstance(value, list):
        raise ValueError("what should be a list is none")
    if not all(isinstance(item, str) for item in value):
        raise ValueError("what should be a string is none")
    return value
