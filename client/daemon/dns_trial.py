"""`roam doctor dns`: ask for names as programs do, and see which servers that makes somebody ask.

Each question has a name that nobody has ever asked for, so that no cache can answer and no other program's question
be taken for ours.  A tunnel's domains are asked for, and one name outside of them.  Who ought to be asked, and what
to make of who was, are pure functions.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import sys
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum

from ..control.diagnosis import Finding
from ..ike.events import Address
from ..system.dns_witness import DnsWitness
from ..system.resolver.choice import Kind
from ..system.resolver.model import DnsConfig
from .findings import FAIL, OK, WARN

OUTSIDE = "example.com"
"""RFC 2606 section 3: it exists, for examples."""
MOST_DOMAINS = 3  # of one tunnel

_PATIENCE = 12.0  # seconds for one question: the C library asks three servers, or asks again
_LABEL_DIGITS = 15  # no letters: some resolvers play with their case
_ASK = (
    "import socket, sys\n"
    "try: socket.getaddrinfo(sys.argv[1], 443)\n"
    "except socket.gaierror as error: print(error.errno)\n"
    "else: print(0)\n"
)
_ANSWERED = frozenset({0, socket.EAI_NONAME, socket.EAI_NODATA})


@dataclass(frozen=True, slots=True)
class Trial:
    """A question: below which domain, and whose servers may be asked.  `may` None: anybody's but `must_not`."""

    label: str  # of the finding
    domain: str
    may: frozenset[Address] | None
    must_not: frozenset[Address] = frozenset()
    tunnel: str = ""  # whose link, where it is a tunnel's name


class Heard(Enum):
    """What came back."""

    ANSWER = "an answer"
    NOTHING = "no answer"


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of a question: the servers that were asked, over which links, and whether one answered."""

    servers: frozenset[tuple[Address, str]]
    heard: Heard


def trials(configs: Sequence[DnsConfig]) -> Iterator[Trial]:
    """What to ask for while the tunnels' name resolution is so."""
    tunnels = frozenset(server for config in configs for server in config.servers)
    for config in configs:
        for domain in (*config.search, *config.route_only)[:MOST_DOMAINS]:
            yield Trial(f"dns.{domain}", domain, frozenset(config.servers), tunnel=config.link)
    full = [config for config in configs if config.default_route]
    if full:
        servers = frozenset(server for config in full for server in config.servers)
        yield Trial("dns.everything", OUTSIDE, servers, tunnel=full[0].link)
    else:
        yield Trial("dns.outside", OUTSIDE, None, must_not=tunnels)


def judge(trial: Trial, seen: Seen, kind: Kind) -> Finding:
    """Whether the right servers were asked, and no other."""
    servers = {server for server, _ in seen.servers}
    whom = ", ".join(sorted(f"{server} over {link}" for server, link in seen.servers))
    asked = f"a name in {trial.domain} was asked of {whom}"
    if not servers:
        return _unseen(trial, seen)
    if trial.may is not None and (strange := servers - trial.may):
        return Finding(trial.label, FAIL, f"{asked}; {_named(strange)} should not see it", _LEAK[kind])
    if servers & trial.must_not:
        return _unsplit(trial, asked, kind)
    if seen.heard is Heard.NOTHING:
        hint = "Ask the gateway's administrator." if trial.tunnel else "Reconnect to this network."
        return Finding(trial.label, FAIL, f"{asked}, which did not answer", hint)
    return Finding(trial.label, OK, f"{asked}, and of nobody else")


_LEAK = {
    Kind.RESOLVED: "Another link claims this domain, or all names ('~.'): see 'resolvectl domain'.",
    Kind.NETWORKMANAGER: "Another program asks beside NetworkManager: see /etc/resolv.conf and /etc/nsswitch.conf.",
    Kind.RESOLVCONF: "Another entry is asked first: see 'resolvconf -l', and interface-order(5).",
    Kind.FILE: "A resolver on this machine is asked beside /etc/resolv.conf: see /etc/nsswitch.conf.",
}


def _unseen(trial: Trial, seen: Seen) -> Finding:
    evidence = f"for a name in {trial.domain} no question was seen to leave; there was {seen.heard.value}"
    if seen.heard is Heard.NOTHING:
        hint = "See whether /etc/resolv.conf names a server, and whether that one runs."
        return Finding(trial.label, FAIL, evidence, hint)
    hint = "Nothing to do if your resolver asks over TLS (DNSOverTLS=, DoH) or answers from files."
    return Finding(trial.label, WARN, evidence, hint)


def _unsplit(trial: Trial, asked: str, kind: Kind) -> Finding:
    if kind is Kind.RESOLVED:
        hint = "See 'resolvectl status': the tunnel's link should not have 'Default Route: yes'."
        return Finding(trial.label, FAIL, f"{asked}: a tunnel's server sees names outside of it", hint)
    hint = "As expected: this resolver cannot split by domain. systemd-resolved could."
    return Finding(trial.label, WARN, f"{asked}: a tunnel's server sees names outside of it", hint)


def _named(servers: Collection[Address]) -> str:
    return " and ".join(sorted(map(str, servers)))


async def examine(configs: Sequence[DnsConfig], kind: Kind) -> list[Finding]:
    """Ask, look, and judge; takes a second, or some more where nobody answers."""
    try:
        witness = await asyncio.to_thread(DnsWitness)
    except OSError as error:
        reason = error.strerror or str(error)
        hint = "It needs root or the daemon, Linux 5.12, nf_tables and nfnetlink_log."
        return [Finding("dns", WARN, f"which servers are asked cannot be seen here: {reason}", hint)]
    with witness:
        return [judge(trial, await _ask(trial, witness), kind) for trial in trials(configs)]


async def _ask(trial: Trial, witness: DnsWitness) -> Seen:
    label = "".join(secrets.choice("0123456789") for _ in range(_LABEL_DIGITS))
    name = f"{label}.{trial.domain}"
    heard = await _resolve(f"{name}.")
    asked = {(entry.server, _link(entry.link)) for entry in witness.take() if entry.name == name}
    return Seen(frozenset(entry for entry in asked if not entry[0].is_loopback), heard)


async def _resolve(name: str) -> Heard:
    """As any program does, in a process of its own: who hangs in the C library cannot be called back."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-c", _ASK, name),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said = b""
    try:
        async with asyncio.timeout(_PATIENCE):
            said, _ = await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    is_answer = said.strip().removeprefix(b"-").isdigit() and int(said) in _ANSWERED
    return Heard.ANSWER if is_answer else Heard.NOTHING


def _link(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:  # gone by now
        return f"link {index}"
