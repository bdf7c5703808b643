"""The peers themselves: strongSwan against strongSwan in the lab, so that a later failure is known to be ours."""

from __future__ import annotations

import pytest

from client.lab.echo import ping
from client.lab.topology import GATEWAY, SERVER, SERVER_V6, Topology
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import CONNECTION, USER, Method, Road, dial, make_credentials, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.peers.vici import ViciError

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ROADS = {
    "psk": lambda: Road(),
    "rsa": lambda: Road(Method.CERTIFICATE, make_credentials("rsa")),
    "ecdsa": lambda: Road(Method.CERTIFICATE, make_credentials("ecdsa")),
    "eap": lambda: Road(Method.EAP, make_credentials("ecdsa")),
    "psk over IPv6": lambda: Road(ipv6=True),
}


@pytest.mark.parametrize("name", ROADS)
def test_client_reaches_the_server_through_the_tunnel(strongswan: Release, lab: Topology, name: str) -> None:
    road = ROADS[name]()
    with StrongSwan(strongswan, lab.gateway) as gateway, StrongSwan(strongswan, lab.laptop) as client:
        serve(gateway, road)
        dial(client, road)
        client.initiate(CONNECTION)
        assert lab.laptop.run(lambda: ping(SERVER)) is not None
        assert lab.laptop.run(lambda: ping(SERVER_V6)) is not None
        (sa,) = gateway.ike_sas()
        assert sa.state == "ESTABLISHED"
        assert USER in (sa.remote_id, sa.remote_eap_id)
        assert sa.virtual_ips == ("10.99.0.1", "fd99::1")
        assert sa.remote.startswith("2001:db8:1::23" if road.ipv6 else "198.51.100.2")
        (child,) = sa.children
        assert child.encapsulated
        assert child.packets_in == child.packets_out == 2


def test_gateway_restarts_and_rekeys_as_told(strongswan: Release, lab: Topology) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway, StrongSwan(strongswan, lab.laptop) as client:
        gateway.vici.register("ike-updown", "ike-rekey", "child-rekey")
        serve(gateway, Road())
        dial(client, Road())
        client.initiate(CONNECTION)
        events = gateway.vici.events()
        assert next(events).name == "ike-updown"
        gateway.rekey(child="net")
        assert next(events).name == "child-rekey"
        gateway.rekey(ike=CONNECTION)
        assert next(events).name == "ike-rekey"
        gateway.restart(silently=True)
        assert gateway.ike_sas() == ()
        assert client.ike_sas() != ()  # nobody told it


def test_gateway_that_is_stopped_says_goodbye(strongswan: Release, lab: Topology) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway, StrongSwan(strongswan, lab.laptop) as client:
        client.vici.register("ike-updown")
        serve(gateway, Road())
        dial(client, Road())
        client.initiate(CONNECTION)
        gateway.restart()
        events = client.vici.events()
        assert "up" in next(events).body
        assert "up" not in next(events).body
        client.initiate(CONNECTION)
        assert len(gateway.ike_sas()) == 1
        client.terminate(ike=CONNECTION)
        assert gateway.ike_sas() == ()


def test_refusal_is_reported_with_charons_words(strongswan: Release, lab: Topology) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway, StrongSwan(strongswan, lab.laptop) as client:
        serve(gateway, Road())
        dial(client, Road(connection={"proposals": ["aes128-sha256-ecp521"]}))
        with pytest.raises(ViciError, match="failed"):
            client.initiate(CONNECTION)
        assert "NO_PROPOSAL_CHOSEN" in client.log


def test_stopping_leaves_no_process_and_no_file(strongswan: Release, lab: Topology) -> None:
    with StrongSwan(strongswan, lab.gateway) as gateway:
        assert gateway.version == {"bookworm": "5.9.8", "trixie": "6.0.1"}[strongswan.suite]
        directory = gateway.directory
        assert directory.exists()
    assert not directory.exists()
    assert lab.laptop.run(lambda: ping(GATEWAY)) is not None
