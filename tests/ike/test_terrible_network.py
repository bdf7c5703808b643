"""Connecting, rekeying and moving while the network loses, duplicates, delays and reorders; in virtual time."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median

import pytest

from client.ike.authentication import KeySigner
from client.ike.options import CertLogin, SessionConfig
from client.ike.registry import PayloadType
from client.ike.session import Session
from client.ike.states import SessionState
from client.lab.responder import GatewayConfig
from tests.network import TerribleNetwork, assert_agreement, assert_discipline, digest
from tests.pair import (
    AUTHORITY,
    VALID,
    WALL,
    Pair,
    cert_client,
    client_config,
    deliver,
    eap_client,
    gateway_config,
    path_from,
)


def long_chains() -> tuple[SessionConfig, GatewayConfig]:
    """Certificates both ways whose authorities make IKE_AUTH too large for one datagram."""
    authority = AUTHORITY
    for number in range(3):
        authority = authority.subordinate(f"CN=Authority {number} of a company with many of them", **VALID)
    gateway = authority.issue("CN=vpn.example.com", dns=["vpn.example.com"], **VALID)
    person = authority.issue("CN=alice", emails=["alice@example.com"], server=False, **VALID)
    return (
        replace(cert_client(), login=CertLogin(person.chain, KeySigner(person.key)), fragment_size=576),
        replace(
            gateway_config(), clients="cert", proof="cert", chain=gateway.chain, signer=KeySigner(gateway.key)
        ),
    )


LOGINS = {
    "psk": (client_config(), gateway_config()),
    "cert": (cert_client(), replace(gateway_config(), clients="cert", proof="cert")),
    "eap": (eap_client(), replace(gateway_config(), clients="eap", proof="cert")),
    "long chains in fragments": long_chains(),
}
ADDRESSES = ("192.168.1.10", "10.64.0.10", "172.16.0.10")
BAD_TIMES = 60.0  # seconds
RECOVERY = 150.0  # seconds of a good network: longer than any retry or old SA lasts


def connect_through(pair: Pair, seed: int, *, loss: float = 0.3) -> float:
    """Seconds that it takes to connect through a terrible network, which stays."""
    pair.fate = TerribleNetwork(seed, loss=loss)
    began = pair.now
    pair.client.initiate(path_from(ADDRESSES[0]), pair.now, WALL)
    pair.run(200, lambda: pair.client.state is not SessionState.CONNECTING)
    return pair.now - began


def command(pair: Pair, end: Session, name: str, random: Random) -> None:
    """Let one end begin something."""
    if name == "move":
        pair.client.move(path_from(random.choice(ADDRESSES)), pair.now)
    else:
        getattr(end, name)(pair.now)


def live_through(seed: int, commands: tuple[str, ...], count: int, *, loss: float = 0.3) -> Pair:
    """A session whose both ends begin things at random times of a bad minute, and some time afterwards."""
    pair = Pair(seed=seed)
    assert pair.connect()
    pair.fate = TerribleNetwork(seed, loss=loss)
    random = Random(seed)
    began = pair.now
    for at in sorted(random.uniform(0, BAD_TIMES) for _ in range(count)):
        pair.run(began + at - pair.now)
        assert pair.client.state is SessionState.ESTABLISHED, (seed, pair.closed)
        command(pair, random.choice((pair.client, pair.gateway)), random.choice(commands), random)
    pair.run(began + BAD_TIMES - pair.now)
    pair.fate = deliver
    pair.run(RECOVERY)
    assert_discipline(pair)
    return pair


@pytest.mark.slow
@pytest.mark.parametrize("login", LOGINS)
def test_a_hundred_handshakes_succeed_where_three_of_ten_datagrams_are_lost_each_way(login: str) -> None:
    times = []
    for seed in range(100):
        pair = Pair(*LOGINS[login], seed=seed)
        times.append(connect_through(pair, seed))
        assert pair.client.state is SessionState.ESTABLISHED, (seed, pair.closed)
        pair.fate = deliver
        pair.settle()
        assert_agreement(pair)
        assert_discipline(pair)
    print(f"\n{login}: median {median(times):.1f} s, longest {max(times):.1f} s of virtual time")


@pytest.mark.slow
@pytest.mark.parametrize(
    "commands",
    [
        ("rekey_child",),
        ("rekey_ike",),
        ("move",),
        ("rekey_child", "rekey_ike"),
        ("rekey_child", "rekey_ike", "probe", "move"),
    ],
    ids=" ".join,
)
def test_whatever_both_ends_begin_in_bad_times_they_agree_in_the_end(commands: tuple[str, ...]) -> None:
    for seed in range(60):
        assert_agreement(live_through(seed, commands, count=6))


@pytest.mark.slow
def test_a_session_lives_through_storms_of_commands_of_both_ends() -> None:
    for seed in range(40):
        assert_agreement(
            live_through(seed, ("rekey_child", "rekey_ike", "probe", "move"), count=40, loss=0.1)
        )


def test_large_messages_do_come_in_fragments() -> None:
    pair = Pair(*LOGINS["long chains in fragments"])
    assert pair.connect()
    parts = [flight for flight in pair.sent if flight.data[16] == PayloadType.SKF]
    assert {flight.to_gateway for flight in parts} == {True, False}
    assert len(parts) >= 6


def test_half_of_all_datagrams_lost_each_way_only_costs_time() -> None:
    connected = 0
    for seed in range(20):
        pair = Pair(seed=seed)
        connect_through(pair, seed, loss=0.5)
        connected += pair.client.state is SessionState.ESTABLISHED
    assert connected >= 18


def run_of(seed: int) -> str:
    """The trace of one stormy life."""
    return digest(live_through(seed, ("rekey_child", "rekey_ike", "probe", "move"), count=10))


def test_the_same_seed_makes_the_same_trace_and_another_seed_another() -> None:
    assert run_of(7) == run_of(7)
    assert run_of(7) != run_of(8)


@pytest.mark.slow
def test_the_trace_does_not_depend_on_how_this_python_hashes() -> None:
    program = "from tests.ike.test_terrible_network import run_of; print(run_of(7))"
    root = Path(__file__).resolve().parents[2]
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(root)}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        )
        assert done.stdout.strip() == run_of(7)
