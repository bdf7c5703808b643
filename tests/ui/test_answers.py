"""Questions of the daemon on the command line, and containers that are opened before anything is handed over."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from client.control.messages import Fault, SecretAnswer, SecretNeeded, TunnelStatus, Up
from tests.control.fake import FakeDaemon
from tests.ui.conftest import EAP
from ui.cli import main

CODE = SecretNeeded("7", "office", "otp", "Code of the day", 0.0)
OTHER = SecretNeeded("8", "home", "password", "Password", 0.0)
CONTAINERS = Path(__file__).parents[1] / "profiles" / "containers"
UP = TunnelStatus("office", "up", serial=1)
CERT = EAP.replace(
    'method = "eap"\nidentity = "alice"\nsecret = "keyring:office/eap"',
    'method = "cert"\ncert = "file:me.p12"\nsecret = "ask:"',
)


class Typing(io.StringIO):
    """What a program writes into our stdin."""

    def isatty(self) -> bool:
        return False


def type_in(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", Typing(text))


# roam answer


@pytest.mark.parametrize("arguments", [["answer"], ["answer", "7"], ["answer", "office"]])
def test_a_program_answers_through_stdin(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    daemon.secrets = (CODE,) if len(arguments) == 1 else (CODE, OTHER)
    type_in(monkeypatch, "123456\n")
    assert main(arguments) == 0
    (_method, answer) = daemon.calls[0]
    assert isinstance(answer, SecretAnswer)
    assert (answer.id, answer.value.reveal()) == ("7", "123456")


def test_an_answer_stands_in_no_output(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.secrets = (CODE,)
    type_in(monkeypatch, "123456\n")
    main(["answer"])
    output = capsys.readouterr()
    assert output.out == "office: answered\n"
    assert "123456" not in output.out + output.err


def test_a_question_can_be_declined(daemon: FakeDaemon) -> None:
    daemon.secrets = (CODE,)
    assert main(["answer", "--cancel"]) == 0
    assert daemon.calls == [("cancel", "7")]


def test_nothing_to_answer_and_several_are_told(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    type_in(monkeypatch, "123456\n")
    assert main(["answer"]) == 1
    daemon.secrets = (CODE, OTHER)
    assert main(["answer", "nobody"]) == 1
    assert main(["answer"]) == 2
    assert "7 (office: Code of the day), 8 (home: Password)" in capsys.readouterr().err
    assert daemon.calls == []


# roam up


def test_a_tunnel_that_waits_for_its_user_is_not_the_end(
    daemon: FakeDaemon, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system profile's secret is asked for by the daemon; without a terminal the question is declined."""
    (directory / "office.toml").write_text(
        EAP.replace('secret = "keyring:office/eap"', 'eap_methods = ["otp"]')
    )
    waiting = TunnelStatus(
        "office", "blocked", serial=1, asking=True, failure=Fault("auth.needs_secret", "a code is needed")
    )
    daemon.script = [waiting, CODE, UP]
    type_in(monkeypatch, "")
    assert main(["up"]) == 9
    assert [name for name, _request in daemon.calls] == ["up", "cancel", "down"]


UNCONFIRMED = Fault("trust.unconfirmed", "vpn.example.com shows a key that nobody has confirmed")


TRUST_IT = ("confirm-fingerprint", "The key sha256 00:11. Trust it? [yes/no]")
WHICH_ONE = ("choose-certificate", "Certificate for office, by its number (1: “CN=anna”; 2: “CN=berta”)")


@pytest.mark.parametrize(
    ("asked", "typed", "end", "code"),
    [(TRUST_IT, "yes", UP, 0), (TRUST_IT, "no", None, 8), (WHICH_ONE, "2", UP, 0)],
)
def test_what_is_no_secret_is_asked_for_and_the_answer_stays_readable(
    daemon: FakeDaemon,
    directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    asked: tuple[str, str],
    typed: str,
    end: TunnelStatus | None,
    code: int,
) -> None:
    """A fingerprint that is confirmed, or the number of a certificate: it is echoed."""
    (directory / "office.toml").write_text(
        EAP.replace('secret = "keyring:office/eap"', 'eap_methods = ["otp"]')
    )
    question = SecretNeeded("9", "office", *asked, 0.0)
    given_up = TunnelStatus("office", "blocked", serial=1, failure=UNCONFIRMED)
    waiting = TunnelStatus("office", "blocked", serial=1, asking=True, failure=UNCONFIRMED)
    daemon.script = [waiting, question, end or given_up]
    type_in(monkeypatch, f"{typed}\n")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    assert main(["up"]) == code
    assert asked[1] in capsys.readouterr().err
    (answer,) = [request for name, request in daemon.calls if name == "answer"]
    assert isinstance(answer, SecretAnswer)
    assert answer.value.reveal() == typed


def test_what_nobody_asks_for_is_the_end(daemon: FakeDaemon, directory: Path) -> None:
    (directory / "office.toml").write_text(
        EAP.replace('secret = "keyring:office/eap"', 'eap_methods = ["otp"]')
    )
    daemon.script = [
        TunnelStatus("office", "blocked", serial=1, failure=Fault("auth.needs_secret", "it was not answered"))
    ]
    assert main(["up"]) == 9


def test_no_password_is_asked_for_before_a_challenge_is_there(daemon: FakeDaemon, directory: Path) -> None:
    (directory / "office.toml").write_text(
        EAP.replace('secret = "keyring:office/eap"', 'eap_methods = ["otp"]')
    )
    daemon.script = [UP]
    assert main(["up"]) == 0
    (_method, request) = daemon.calls[0]
    assert isinstance(request, Up)
    assert request.secrets == {}


# Containers


def handed_over(daemon: FakeDaemon) -> Up:
    (_method, request) = daemon.calls[0]
    assert isinstance(request, Up)
    return request


@pytest.mark.parametrize("name", ["legacy.p12", "modern.p12"])
def test_a_bundle_is_opened_here_and_the_passphrase_stays(
    daemon: FakeDaemon, directory: Path, name: str
) -> None:
    (directory / "office.toml").write_text(CERT.replace('"ask:"', '"file:passphrase"'))
    (directory / "me.p12").write_bytes((CONTAINERS / name).read_bytes())
    (directory / "passphrase").touch(0o600)
    (directory / "passphrase").write_text("sesame\n")
    daemon.script = [UP]
    assert main(["up"]) == 0
    request = handed_over(daemon)
    assert request.secrets == {}
    assert request.files["file:me.p12"].startswith(b"-----BEGIN PRIVATE KEY-----")
    assert request.files["file:me.p12"].count(b"-----BEGIN CERTIFICATE-----") == 3


def test_a_key_in_a_file_of_its_own_is_opened_too(daemon: FakeDaemon, directory: Path) -> None:
    text = CERT.replace('cert = "file:me.p12"', 'cert = "file:me.pem"\nkey = "file:pkcs8.pem"')
    (directory / "office.toml").write_text(text.replace('"ask:"', '"file:passphrase"'))
    for name in ("me.pem", "pkcs8.pem"):
        (directory / name).write_bytes((CONTAINERS / name).read_bytes())
    (directory / "passphrase").touch(0o600)
    (directory / "passphrase").write_text("sesame\n")
    daemon.script = [UP]
    assert main(["up"]) == 0
    assert b"ENCRYPTED" not in handed_over(daemon).files["file:pkcs8.pem"]


def test_a_stored_passphrase_that_does_not_fit_is_told(
    daemon: FakeDaemon, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "office.toml").write_text(CERT.replace('"ask:"', '"file:passphrase"'))
    (directory / "me.p12").write_bytes((CONTAINERS / "modern.p12").read_bytes())
    (directory / "passphrase").touch(0o600)
    (directory / "passphrase").write_text("not it")
    assert main(["up"]) == 2
    words = capsys.readouterr().err
    assert "auth.local[0].cert: this passphrase does not open it" in words
    assert "not it" not in words
    assert daemon.calls == []


def test_a_key_that_is_damaged_is_told_by_its_place(
    daemon: FakeDaemon, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "office.toml").write_text(CERT)
    (directory / "me.p12").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    assert main(["up"]) == 2
    assert "auth.local[0].cert: it cannot be read" in capsys.readouterr().err
    assert daemon.calls == []


def test_a_file_that_is_no_container_is_left_to_the_daemon(daemon: FakeDaemon, directory: Path) -> None:
    (directory / "office.toml").write_text(CERT)
    (directory / "me.p12").write_bytes(b"no bundle")
    daemon.script = [UP]
    assert main(["up"]) == 0
    assert handed_over(daemon).files["file:me.p12"] == b"no bundle"


def test_a_person_who_mistypes_a_passphrase_is_asked_again(daemon: FakeDaemon, directory: Path) -> None:
    from tests.ui.test_up import in_a_terminal

    (directory / "office.toml").write_text(CERT)
    (directory / "me.p12").write_bytes((CONTAINERS / "modern.p12").read_bytes())
    daemon.script = [UP]
    first, second = (
        b"Passphrase of the key of office (vpn.example.com): ",
        b"(this passphrase does not open it): ",
    )
    seen = in_a_terminal(["up"], [(first, b"seasme\n"), (second, b"sesame\n")])
    assert b"sesame" not in seen
    assert b"ENCRYPTED" not in handed_over(daemon).files["file:me.p12"]
