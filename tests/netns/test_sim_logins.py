"""Logins by a SIM in a card reader: a real pcscd, a card that is a program, hostapd behind strongSwan."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.ike.keys import Secret
from client.lab.echo import ping
from client.lab.laptop import Laptop, daemon_account, wait_for
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.auc import FIRST_SQN, IMSI, KEY, OPC, CardServer
from tests.netns.peers.radius import radius_release
from tests.netns.peers.readers import Reader
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.netns.peers.roadwarrior import USER, Road, serve
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME, profile
from tests.netns.test_card_logins import SETTINGS, TITLES, road
from tests.secrecy.scanner import kept_secret
from tests.ui.signers.virtual_usim import VirtualUsim

pytestmark = [pytest.mark.netns, pytest.mark.slow]

PIN, WRONG_PIN = kept_secret("48151623"), kept_secret("16234815")
AHEAD = FIRST_SQN + 1000  # further than the network has counted: the first challenge is old
INIT = "parsed IKE_SA_INIT request"


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


def card(key: Secret = KEY) -> VirtualUsim:
    """The subscriber's SIM, or one that the network does not know."""
    return VirtualUsim(key, OPC, IMSI, pin=PIN, highest_sqn=AHEAD)


class Desk:
    """A laptop with a card reader, and a gateway that asks a login server for subscriptions."""

    def __init__(
        self, lab: Topology, gateway: StrongSwan, laptop: Laptop, reader: Reader, method: str, way: Road
    ) -> None:
        self.lab, self.gateway, self.laptop, self.reader = lab, gateway, laptop, reader
        text, files = profile(way)
        text = text.replace('eap_methods = ["mschapv2"]', f'eap_methods = ["{method}"]\nkey = "sim:"')
        self.text = text.replace(f'identity = "{USER}"\n', "").replace(f'local = "{USER}"\n', "")
        self.files = files
        laptop.session.update(reader.environment)
        self.give_pin(PIN)

    def give_pin(self, pin: str) -> None:
        self.laptop.write_profile(NAME, self.text, {**self.files, "password": pin})

    def refused(self, code: int) -> str:
        """What `roam up` says that fails with this exit code."""
        done = self.laptop.run("up", NAME)
        assert done.returncode == code, done.stderr
        return done.stderr

    def traffic(self) -> float | None:
        return self.lab.laptop.run(lambda: ping(SERVER, 2.0))


def another_sim_is_refused(desk: Desk) -> None:
    stranger = card(Secret(bytes(range(16))))
    desk.reader.insert(stranger)
    assert "does not know the subscription" in desk.refused(8)
    assert stranger.authenticated >= 1


def a_wrong_pin_is_tried_once_and_a_stored_one_not_again(desk: Desk) -> None:
    asked = desk.gateway.log.count(INIT)
    theirs = card()
    desk.reader.insert(theirs)
    desk.give_pin(WRONG_PIN)
    assert "2 tries are left" in desk.refused(2)
    assert theirs.refused == 1
    desk.give_pin(PIN)
    assert "a stored one is not tried then" in desk.refused(9)
    assert (theirs.refused, theirs.tries_left) == (1, 2)
    desk.reader.take_out()
    assert "no SIM is in" in desk.refused(9)
    assert desk.gateway.log.count(INIT) == asked  # before the gateway is asked for anything


def the_right_one_logs_in(desk: Desk) -> VirtualUsim:
    ours = card()
    desk.reader.insert(ours)
    desk.laptop.roam("up", NAME)
    assert desk.traffic() is not None
    assert ours.authenticated == 2  # an old challenge, and a new one
    (sa,) = [sa for sa in desk.gateway.ike_sas() if sa.state == "ESTABLISHED"]
    assert sa is not None
    return ours


def after_a_restart_a_signer_has_it_answer(desk: Desk, ours: VirtualUsim) -> None:
    desk.laptop.stop()
    desk.laptop.start()
    wait_for(lambda: desk.laptop.status(NAME)["asking"], "nobody was asked")
    signer = desk.laptop.begin("signer", NAME)
    try:
        wait_for(lambda: desk.laptop.status(NAME)["state"] == "up", "the SIM did not bring it on")
    finally:
        signer.terminate()
        _, said = signer.communicate(timeout=30)
    assert "the SIM has answered a challenge" in said
    assert desk.traffic() is not None
    assert (ours.authenticated, ours.refused) == (3, 0)


@pytest.mark.parametrize("method", TITLES)
def test_a_sim_in_a_card_reader_logs_in_and_another_one_does_not(
    strongswan: Release, lab: Topology, directory: Path, logins: Logins, method: str
) -> None:
    try:
        server = CardServer(radius_release(strongswan.suite), lab.gateway, method)
        reader = Reader(lab.laptop)
    except PeerUnavailable as error:
        pytest.skip(str(error).partition("\n")[0])
    way = road(method, alone=False)
    with server, reader, StrongSwan(strongswan, lab.gateway, SETTINGS) as gateway:
        serve(gateway, way)
        laptop = Laptop(lab.laptop, directory, daemon_account())
        laptop.start()
        desk = Desk(lab, gateway, laptop, reader, method, way)
        another_sim_is_refused(desk)
        ours = the_right_one_logs_in(desk)
        if method == "aka":  # what follows has nothing to do with the method
            after_a_restart_a_signer_has_it_answer(desk, ours)
            laptop.roam("down", NAME)
            a_wrong_pin_is_tried_once_and_a_stored_one_not_again(desk)
        laptop.stop()
        logins.shown(
            f"{TITLES[method]}, SIM in a card reader (PC/SC)",
            f"hostapd {server.version} behind strongSwan {gateway.version}",
        )
