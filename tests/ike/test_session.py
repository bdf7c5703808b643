"""The session against the lab's responder: connecting, in every way that this landing knows."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from client.ike.events import Channel, Endpoint, Path
from client.ike.options import SessionConfig
from client.lab.responder import GatewayConfig
from tests.network import assert_agreement
from tests.pair import (
    WALL,
    Pair,
    cert_client,
    client_config,
    eap_client,
    fit,
    gateway_config,
    path_from,
)

LOGINS = {
    "psk": (client_config(), gateway_config()),
    "cert": (cert_client(), replace(gateway_config(), clients="cert", proof="cert")),
    "eap": (eap_client(), replace(gateway_config(), clients="eap", proof="cert")),
}


@pytest.fixture(params=LOGINS)
def login(request: pytest.FixtureRequest) -> tuple[SessionConfig, GatewayConfig]:
    return LOGINS[request.param]


def test_every_login_establishes_a_child_sa_that_both_ends_can_use(
    login: tuple[SessionConfig, GatewayConfig],
) -> None:
    pair = Pair(*login)
    assert pair.connect(), pair.closed
    assert fit(pair.client.children[0], pair.gateway.children[0])
    assert pair.established.assigned.addresses == (ip_interface("10.99.0.10/32"), ip_interface("fd99::a/128"))
    assert pair.established.assigned.dns == (ip_address("10.77.0.53"),)
    assert pair.established.mobike
    assert not pair.client.encapsulate


def test_a_gateway_with_a_port_of_its_own_gets_everything_there_and_marked() -> None:
    pair = Pair()
    local, remote = ip_address("192.168.1.10"), ip_address("192.0.2.1")
    path = Path("wifi", Endpoint(local, 40500), Endpoint(remote, 8443))
    pair.client.initiate(path, pair.now, WALL)
    pair.settle()
    pair.client.rekey_ike(pair.now)
    pair.gateway.rekey_child(pair.now)
    pair.settle()
    pair.client.move(replace(path, local_natt=Endpoint(ip_address("10.64.0.10"), 40500)), pair.now)
    pair.run(20)
    assert_agreement(pair)
    assert {flight.channel for flight in pair.sent} == {Channel.NATT}
    assert {flight.target.port for flight in pair.sent if flight.to_gateway} == {8443}
    for flight in pair.sent:
        pair.client.handle_datagram(flight.data, Channel.INIT, flight.source, pair.now)
    assert list(pair.client.outputs()) == []


def test_ipv6_outside_works_like_ipv4() -> None:
    pair = Pair()
    pair.client.initiate(path_from("2001:db8::10", gateway="2001:db8::1"), pair.now, WALL)
    pair.settle()
    pair.client.move(path_from("2001:db8:1::10", gateway="2001:db8::1"), pair.now)
    pair.run(20)
    pair.client.move(path_from("192.168.1.10"), pair.now)  # to the other family, and back in the end
    pair.run(20)
    assert_agreement(pair)
    assert not pair.client.encapsulate
