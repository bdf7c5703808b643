"""`roam up`, `roam signer` and the terminal UI with a key in a real SSH agent."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from textual.pilot import Pilot

from client.control.messages import (
    EventData,
    Fault,
    SecretAnswer,
    SecretNeeded,
    SignatureWanted,
    TunnelStatus,
    Up,
)
from client.lab.pki import pem
from profiles.store import default_store
from tests.control.fake import FakeDaemon
from tests.pair import CLIENT_CERT
from tests.ui.driving import see
from tests.ui.signers.agents import add_key, missing, ssh_agent
from tests.ui.signers.logins import LOGIN
from tests.ui.test_tui import play, shown
from ui.cli import main
from ui.commands.signer import serve
from ui.credentials import Terminal
from ui.preparation import prepare
from ui.signers.holder import IKE, TLS, Form, Holder, Trustee
from ui.tui.app import RoamApp
from ui.tui.control import Control
from ui.tui.screens.ask import AskScreen

KEY = "agent:alice"
PROFILE = f"""
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "cert"
cert = "file:me.pem"
key = "{KEY}"
[trust]
ca = ["file:ca.pem"]
"""
UP = TunnelStatus("office", "up", serial=1, addresses=("10.77.0.5/32",))
STUCK = TunnelStatus("office", "blocked", failure=Fault("auth.needs_signer", "nobody has signed"))


@pytest.fixture(scope="module")
def agent() -> Iterator[Path]:
    if why := missing():
        pytest.skip(why)
    with ssh_agent() as path:
        add_key(path, CLIENT_CERT.key, "alice")
        yield path


@pytest.fixture
def office(directory: Path, agent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A profile whose key is in the agent of this session, and nobody at the terminal."""
    (directory / "office.toml").write_text(PROFILE)
    (directory / "me.pem").write_text(pem(CLIENT_CERT.certificate))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False)


def wanted(number: str = "7", octets: bytes = LOGIN, tunnel: str = "office") -> SecretNeeded:
    signature = SignatureWanted(KEY, ("ecdsa-sha384", "ecdsa-sha256"), octets)
    return SecretNeeded(number, tunnel, "signature", "office needs a signature", 0.0, 0, signature)


def check(answer: object, number: str = "7") -> None:
    """It is our key's signature."""
    assert isinstance(answer, SecretAnswer)
    assert answer.id == number
    name, _, made = answer.value.reveal().partition(" ")
    assert name == "ecdsa-sha256"
    key = CLIENT_CERT.key.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    key.verify(base64.b64decode(made), LOGIN, ec.ECDSA(SHA256()))


@pytest.mark.usefixtures("office")
def test_up_hands_over_the_public_half_and_signs(
    daemon: FakeDaemon, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.script = [wanted(), UP]
    assert main(["up"]) == 0
    (_, request), (method, answer) = daemon.calls
    assert isinstance(request, Up)
    assert set(request.files) == {"file:ca.pem", "file:me.pem", KEY}
    assert load_pem_public_key(request.files[KEY]) == CLIENT_CERT.key.public_key()
    assert request.secrets == {}
    assert method == "answer"
    check(answer)
    assert "'roam signer office' stays for it" in capsys.readouterr().err


@pytest.mark.usefixtures("office")
def test_up_signs_no_other_tunnels_login_and_nothing_that_is_none(daemon: FakeDaemon) -> None:
    daemon.secrets = (wanted("6", tunnel="other"),)
    daemon.script = [wanted("7", b"something else")]
    assert main(["up", "--timeout", "1"]) == 6
    assert daemon.calls[1] == ("cancel", "7")
    assert [method for method, _ in daemon.calls] == ["up", "cancel", "down"]


def test_up_without_the_agent_asks_the_daemon_for_nothing(
    daemon: FakeDaemon, office: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK")
    assert main(["up"]) == 9
    assert "no SSH agent in this session" in capsys.readouterr().err
    assert daemon.calls == []


class Over(Exception):
    """The daemon of the test is gone."""


def end(_seconds: float) -> None:
    raise Over


def attend(path: Path) -> threading.Thread:
    """`roam signer` in a thread, until the daemon goes away."""
    prepared = prepare(default_store().find("office"), Terminal())

    def run() -> None:
        with pytest.raises(Over):
            serve(str(path), "office", prepared, end)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def until(condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen within five seconds")


@pytest.mark.usefixtures("office")
def test_signer_answers_what_waits_and_what_comes(daemon: FakeDaemon, path: Path) -> None:
    daemon.secrets = (wanted("1"), wanted("2", tunnel="other"))
    events: list[EventData] = [wanted("3"), SecretNeeded("4", "office", "otp", "Code", 0.0), wanted("5")]
    daemon.on_subscribe = list(events)
    attend(path)
    until(lambda: len(daemon.calls) == 3)
    for (method, answer), number in zip(daemon.calls, ("1", "3", "5"), strict=True):
        assert method == "answer"
        check(answer, number)


@pytest.mark.usefixtures("office")
def test_signer_brings_on_a_tunnel_that_stood_still_for_want_of_it(daemon: FakeDaemon, path: Path) -> None:
    daemon.tunnels["office"] = STUCK
    daemon.script = [wanted()]
    attend(path)
    until(lambda: len(daemon.calls) == 2)
    assert [method for method, _ in daemon.calls] == ["up", "answer"]


def test_signer_is_for_profiles_that_need_it(
    daemon: FakeDaemon, directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (directory / "office.toml").write_text(PROFILE.replace(f'key = "{KEY}"', 'key = "file:me.key"'))
    (directory / "me.pem").write_text(pem(CLIENT_CERT.certificate))
    (directory / "me.key").write_text(pem(CLIENT_CERT.key))
    assert main(["signer"]) == 2
    assert "needs nobody to sign for it" in capsys.readouterr().err


@pytest.mark.usefixtures("office")
@pytest.mark.parametrize(
    ("method", "forms"),
    [
        ('"cert"', (IKE,)),
        ('"eap"\nidentity = "alice"\neap_methods = ["tls"]', (TLS,)),
    ],
)
def test_a_key_signs_for_what_the_profile_uses_it(
    directory: Path, method: str, forms: tuple[Form, ...]
) -> None:
    (directory / "office.toml").write_text(PROFILE.replace('"cert"', method))
    prepared = prepare(default_store().find("office"), Terminal())
    holder = prepared.holders[KEY]
    assert isinstance(holder, Trustee)
    assert holder.forms == forms


def prepared_before(monkeypatch: pytest.MonkeyPatch, holders: Mapping[str, Holder]) -> None:
    """The terminal UI has brought a tunnel up with these."""
    begin = Control.__init__

    def begun(self: Control, *arguments: Any) -> None:  # noqa: ANN401 - whatever it takes
        begin(self, *arguments)
        self.holders.update(holders)

    monkeypatch.setattr(Control, "__init__", begun)


def play_without_a_word(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: SecretNeeded,
    second: SecretNeeded,
    check: Callable[[object, str], None],
) -> None:
    """The terminal UI is asked for what it cannot give, and for what it can; it asks nobody."""
    fake = FakeDaemon()
    fake.secrets = (first,)

    async def scene(app: RoamApp, pilot: Pilot[None], daemon: FakeDaemon) -> None:
        await see(pilot, lambda: len(daemon.calls) == 1)
        daemon.change(second)
        await see(pilot, lambda: len(daemon.calls) == 2)
        assert daemon.calls[0] == ("cancel", first.id)
        check(daemon.calls[1][1], second.id)
        assert not shown(app, AskScreen)

    prepared_before(monkeypatch, prepare(default_store().find("office"), Terminal()).holders)
    play(path, fake, scene)


@pytest.mark.usefixtures("office")
def test_the_terminal_ui_signs_without_a_word(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play_without_a_word(path, monkeypatch, wanted("7", octets=b"something else"), wanted("8"), check)
