"""The session against the lab's responder: connecting, in every way that this landing knows."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address, ip_interface

import pytest

from client.ike.options import SessionConfig
from client.lab.responder import GatewayConfig
from tests.pair import (
    Pair,
    cert_client,
    client_config,
    eap_client,
    fit,
    gateway_config,
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
