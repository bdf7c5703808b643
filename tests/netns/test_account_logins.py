"""What MSCHAPv2 says of an account (RFC 2759 section 6), by a real login server: expired, locked, not allowed.

FreeRADIUS judges, with `mschap` and accounts in a database, behind strongSwan's eap-radius.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from client.control.client import Client
from client.control.messages import SecretAnswer, SecretNeeded, SecretText, Subscribe
from client.ike.eap.mschap_errors import VERDICTS
from client.lab import pki
from client.lab.echo import ping
from client.lab.laptop import Laptop, wait_for
from client.lab.namespaces import Namespace
from client.lab.topology import GATEWAY, SERVER, topology
from tests.netns.conftest import Logins
from tests.netns.peers.password_server import (
    DISABLED,
    EXPIRED,
    LOCKED,
    Account,
    PasswordServer,
)
from tests.netns.peers.radius import LoginService, radius_release
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.netns.peers.roadwarrior import GATEWAY_NAME, PROTECTED
from tests.netns.peers.strongswan import StrongSwan
from tests.netns.profiles import NAME
from tests.netns.tls_gateways import AAA_NAME, Papers, load, radius_settings
from tests.secrecy.scanner import kept_secret

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.xdist_group("accounts")]

OLD, NEW, WRONG, SHORT = (
    kept_secret(text) for text in ("brisk-Heron-0815", "looking-Glass-4711", "not-Anybodys-1234", "tiny-One")
)

WAYS = {
    "EAP-MSCHAPv2": ("direct", 'eap_methods = ["mschapv2"]'),
    "PEAP with MSCHAPv2": ("peap", 'eap_methods = ["peap"]'),
    "EAP-TTLS with EAP-MSCHAPv2": ("ttls", 'eap_methods = ["ttls"]\ninner = ["eap-mschapv2"]'),
}
"""A way to log in, the user who has an expired password there, and the profile's words."""

REFUSED = {
    646: Account(OLD, refusal="E=646 R=0"),
    647: Account(OLD, LOCKED),
    649: Account(OLD, refusal="E=649 R=0"),
    691: Account(OLD, DISABLED),
}
ACCOUNTS = {
    **{user: Account(OLD, EXPIRED) for user, _ in WAYS.values()},
    **{f"refused-{code}": account for code, account in REFUSED.items()},
    **{f"locked-{user}": Account(OLD, LOCKED) for user, _ in WAYS.values()},
    "stubborn": Account(OLD, EXPIRED),
    "silent": Account(OLD, EXPIRED),
    "mortal": Account(OLD),
}


@dataclass
class Scene:
    """A login server with its accounts behind a gateway, and a laptop."""

    server: PasswordServer
    gateway: StrongSwan
    laptop: Laptop
    papers: Papers
    network: Namespace
    peer: str = field(init=False)

    def __post_init__(self) -> None:
        self.peer = f"FreeRADIUS {self.server.version} behind strongSwan {self.gateway.version}"

    def prepare(self, user: str, words: str, password: str) -> None:
        """The user's profile."""
        files = {
            "ca.pem": pki.pem(self.papers.gateways.certificate),
            "aaa.pem": pki.pem(self.papers.logins.certificate),
            "password": password,
        }
        self.laptop.write_profile(NAME, _profile(user, words), files)

    def question(self, client: Client) -> SecretNeeded:
        """What the daemon asks, once it does."""

        def asked() -> tuple[SecretNeeded, ...]:
            return client.subscribe(Subscribe(("secret",))).secrets

        wait_for(asked, "nothing was asked", self.laptop.log)
        (needed,) = asked()
        return needed

    def change(self, user: str, words: str, new: str) -> SecretNeeded:
        """A login with the old password, and the new one as the answer to what is asked."""
        self.prepare(user, words, OLD)
        self.laptop.roam("up", "--no-wait", NAME)
        with Client(str(self.laptop.socket)) as client:
            needed = self.question(client)
            client.answer_secret(SecretAnswer(needed.id, SecretText(new)))
        return needed

    def outcome(self) -> str:
        """What becomes of a login: "up" or "blocked"."""

        def state() -> str:
            return str(self.laptop.status(NAME)["state"])

        wait_for(lambda: state() in {"up", "blocked"}, "the login has no end", self.laptop.log)
        return state()

    def refused(self, user: str, words: str, password: str) -> str:
        """What the user reads when a login does not succeed; exit code 5."""
        self.prepare(user, words, password)
        done = self.laptop.run("up", NAME)
        assert done.returncode == 5, done.stderr
        self.laptop.run("down", NAME)
        return done.stderr

    def logs_in(self, user: str, words: str, password: str) -> None:
        """Traffic goes."""
        self.prepare(user, words, password)
        self.laptop.roam("up", NAME)
        self.has_traffic()

    def has_traffic(self) -> None:
        """And the tunnel goes down again."""
        assert self.network.run(lambda: ping(SERVER, 2.0)) is not None
        self.laptop.roam("down", NAME)


def unfolded(said: str) -> str:
    """Without the line breaks of a terminal's width."""
    return " ".join(said.split())


def assert_told(said: str, code: int) -> None:
    """The sentence of a code, and its advice."""
    verdict = VERDICTS[code]
    assert f"{verdict.meaning} (E={code})" in unfolded(said)
    assert verdict.hint in unfolded(said)


def can_change(scene: Scene) -> None:
    """Skip where the server itself cannot."""
    if scene.server.version == "3.2.1":
        pytest.skip("FreeRADIUS 3.2.1 crashes in every change of a password (3.2.5 does not)")


def _profile(user: str, words: str) -> str:
    server = (
        "" if 'eap_methods = ["mschapv2"]' in words else f'aaa_name = "{AAA_NAME}"\naaa_ca = ["file:aaa.pem"]'
    )
    return f"""\
schema = 1
id = "{NAME}"

[gateway]
addresses = ["{GATEWAY}"]

[identity]
local = "{user}"
remote = "{GATEWAY_NAME}"

[[auth.local]]
method = "eap"
{words}
secret = "file:password"

[auth.remote]
{server}

[trust]
ca = ["file:ca.pem"]

[routing]
mode = "split"
include = [{", ".join(f'"{network}"' for network in PROTECTED)}]
"""


@pytest.fixture(scope="module")
def scene(strongswan: Release) -> Iterator[Scene]:
    papers = Papers()
    service = LoginService(papers.login_server(), papers.logins, {}, "mschapv2")
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roam-")))
        lab = stack.enter_context(topology())
        try:
            radius = radius_release(strongswan.suite)
            server = stack.enter_context(PasswordServer(radius, lab.gateway, service, ACCOUNTS))
        except PeerUnavailable as error:
            pytest.skip(str(error).partition("\n")[0])
        gateway = stack.enter_context(StrongSwan(strongswan, lab.gateway, radius_settings()))
        load(gateway, papers, {"auth": "eap-radius", "eap_id": "%any"})
        laptop = Laptop(lab.laptop, directory, None)
        laptop.start()
        yield Scene(server, gateway, laptop, papers, lab.laptop)
        laptop.stop()


@pytest.mark.parametrize("way", WAYS)
def test_an_expired_password_is_changed_at_the_server_in_the_course_of_the_login(
    scene: Scene, way: str, logins: Logins
) -> None:
    can_change(scene)
    user, words = WAYS[way]
    needed = scene.change(user, words, NEW)
    assert (needed.kind, needed.reference) == ("new-password", "file:password")
    assert scene.outcome() == "up"
    scene.has_traffic()
    assert scene.server.keeps(user, NEW)
    assert not scene.server.keeps(user, OLD)
    scene.logs_in(user, words, NEW)
    tries = scene.server.tries(user)
    assert "user name or password is wrong (E=691)" in scene.refused(user, words, OLD)
    assert scene.server.tries(user) == tries + 1
    logins.shown(f"{way}, an expired password is changed", scene.peer)


@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_password_may_be_typed_once_more_where_the_server_allows_it(
    scene: Scene, way: str, logins: Logins
) -> None:
    words = WAYS[way][1]
    scene.prepare("mortal", words, WRONG)
    tries = scene.server.tries("mortal")
    scene.laptop.roam("up", "--no-wait", NAME)
    with Client(str(scene.laptop.socket)) as client:
        needed = scene.question(client)
        assert (needed.kind, needed.reference) == ("password", "file:password")
        client.answer_secret(SecretAnswer(needed.id, SecretText(OLD)))
    assert scene.outcome() == "up"
    scene.has_traffic()
    assert scene.server.tries("mortal") == tries + 2
    logins.shown(f"{way}, another password in the same login", scene.peer)


def test_two_wrong_passwords_are_two_tries(scene: Scene) -> None:
    scene.prepare("mortal", WAYS["EAP-MSCHAPv2"][1], WRONG)
    tries = scene.server.tries("mortal")
    scene.laptop.roam("up", "--no-wait", NAME)
    with Client(str(scene.laptop.socket)) as client:
        client.answer_secret(SecretAnswer(scene.question(client).id, SecretText(NEW)))
    assert scene.outcome() == "blocked"
    scene.laptop.run("down", NAME)
    assert scene.server.tries("mortal") == tries + 2


@pytest.mark.parametrize("code", REFUSED)
def test_an_account_that_is_refused_is_told_so_and_nothing_is_tried_again(scene: Scene, code: int) -> None:
    user, words = f"refused-{code}", WAYS["EAP-MSCHAPv2"][1]
    assert_told(scene.refused(user, words, OLD), code)
    assert scene.server.tries(user) == 1


@pytest.mark.parametrize("way", WAYS)
def test_a_locked_account_is_not_tried_again_whatever_tunnel_says_so(scene: Scene, way: str) -> None:
    user, words = WAYS[way]
    assert_told(scene.refused(f"locked-{user}", words, WRONG), 647)
    assert scene.server.tries(f"locked-{user}") == 1


def test_a_new_password_against_the_servers_policy_is_refused_and_the_old_one_stays(scene: Scene) -> None:
    can_change(scene)
    scene.change("stubborn", WAYS["EAP-MSCHAPv2"][1], SHORT)
    assert scene.outcome() == "blocked"
    failure = scene.laptop.status(NAME)["failure"]
    scene.laptop.run("down", NAME)
    assert_told(f"{failure['evidence']} {failure['hint']}", 709)
    assert not scene.server.keeps("stubborn", SHORT)
    assert scene.change("stubborn", WAYS["EAP-MSCHAPv2"][1], NEW).kind == "new-password"
    assert scene.outcome() == "up"
    scene.has_traffic()


def test_a_server_that_does_not_say_what_is_the_matter_leaves_the_user_with_advice(scene: Scene) -> None:
    said = unfolded(scene.refused("silent", 'eap_methods = ["ttls"]\ninner = ["mschapv2"]', OLD))
    assert "refuses the login" in said
    assert 'inner = ["eap-mschapv2"]' in said
    assert scene.server.tries("silent") == 1
