"""Tests that let a secret out, one for each way and form: they run apart from all others, and each must fail.

`test_scanner.py` copies this file into a directory of its own.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from textual.app import App, ComposeResult
from textual.widgets import Static

from client.control.handlers import Access, Caller
from client.control.messages import SecretCancel, SecretNeeded, SimChallenge
from client.control.server import Connection
from client.control.wire import ControlError, SecretText
from client.ike.authentication import KeySigner
from client.ike.events import Failure, Kind
from client.ike.keys import Secret
from client.ike.refusal import Refusal
from client.ike.trace import TraceEvent
from client.lab import pki
from profiles.errors import ProfileError
from tests.secrecy.private import private_octets
from tests.secrecy.scanner import octets_of
from ui.signers.holder import reply
from ui.signers.sim_plugin import SimError, Vectors

PASSWORD = "planted-Swallow-3344"
LASTING = Secret(b"planted-Kestrel-5566")
KINDS: tuple[pki.KeyKind, ...] = ("ecdsa", "ed25519", "rsa", "mldsa44")


def dump(octets: bytes, separator: str) -> str:
    return octets.hex(separator).upper()


FORMS: dict[str, Callable[[bytes], str]] = {
    "raw": lambda octets: f"it is {octets.decode()}!",
    "in the middle": lambda octets: f"xx{octets.decode()}xx",
    "hex": lambda octets: octets.hex(),
    "HEX": lambda octets: octets.hex().upper(),
    "hex with colons": lambda octets: dump(octets, ":"),
    "hex with spaces": lambda octets: dump(octets, " "),
    "hex with hyphens": lambda octets: dump(octets, "-"),
    "base64": lambda octets: base64.b64encode(octets).decode(),
    "base64 after one octet": lambda octets: base64.b64encode(b"x" + octets + b"yz").decode(),
    "base64 after two octets": lambda octets: base64.b64encode(b"xx" + octets + b"y").decode(),
    "base64 in lines": lambda octets: base64.encodebytes(bytes(50) + octets + bytes(50)).decode(),
    "base64 for addresses": lambda octets: base64.urlsafe_b64encode(b"\xff\xfe\xfb" + octets).decode(),
    "UTF-16": lambda octets: octets.decode().encode("utf-16-le").decode("latin-1"),
}


def write_file(text: str, directory: Path, name: str = "state.json") -> None:
    (directory / "deep").mkdir()
    (directory / "deep" / name).write_text(text, "latin-1")


def write_temporary_file(text: str, _: Path) -> None:
    with tempfile.TemporaryDirectory() as directory:
        write_file(text, Path(directory))


def run(*words: str, **environment: str) -> None:
    done = subprocess.run(words, env={**os.environ, **environment}, capture_output=True, check=True)
    assert not done.stderr


def tell_client(text: str, _: Path) -> None:
    class Writer:
        def is_closing(self) -> bool:
            return True

    connection = Connection(None, Caller(0, Access.ADMIN), Writer())  # type: ignore[arg-type]
    connection._write(text.encode())


def log(text: str, level: int) -> None:
    logging.getLogger("roam.ike").log(level, "it is %s", text)


CHANNELS: dict[str, Callable[[str, Path], object]] = {
    "stdout": lambda text, _: print(text),
    "stderr": lambda text, _: print(text, file=sys.stderr),
    "descriptor 1": lambda text, _: os.write(1, text.encode("latin-1")),
    "a child's descriptor": lambda text, _: subprocess.run(
        ["/bin/cat"], input=text.encode("latin-1"), check=True
    ),
    "log": lambda text, _: log(text, logging.WARNING),
    "log for the curious": lambda text, _: log(text, logging.DEBUG),
    "trace": lambda text, _: TraceEvent(0.0, "sent", text),
    "failure": lambda text, _: Failure(Kind.AUTH_REJECTED, text),
    "refusal": lambda text, _: Refusal(Kind.AUTH_REJECTED, text),
    "error of the protocol": lambda text, _: ControlError("rpc.params", text),
    "hint": lambda text, _: ControlError("rpc.params", "no", text),
    "error of a profile": lambda text, _: ProfileError("auth.local[0]", text),
    "error of a SIM": lambda text, _: SimError(text),
    "control socket": tell_client,
    "file": write_file,
    "file in a temporary directory": write_temporary_file,
    "argument": lambda text, _: run("/bin/true", text),
    "environment": lambda text, _: run("/bin/true", ROAM=text),
    "output of a program": lambda text, _: run("/bin/echo", "--", text),
}


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("form", FORMS)
def test_leak(channel: str, form: str, tmp_path: Path) -> None:
    text = FORMS[form](Secret(PASSWORD.encode()).reveal())
    if "\0" in text and channel in {"argument", "environment", "output of a program"}:
        text = PASSWORD  # no program can be given that
    CHANNELS[channel](text, tmp_path)


def test_leak_of_text() -> None:
    print(SecretText("planted-Bunting-7788").reveal())


@pytest.mark.parametrize("part", ["res", "ck", "ik"])
def test_leak_of_what_a_sim_answers(part: str) -> None:
    vectors = Vectors(b"planted-Siskin-1", b"planted-Siskin-2", b"planted-Siskin-3")
    needed = SecretNeeded("7", "office", "sim-challenge", "", 0.0, challenge=SimChallenge("sim:", b"", b""))
    why = octets_of(vectors)[("res", "ck", "ik").index(part)].hex()
    assert reply(needed, {"sim:": Sim(vectors, why)}) == SecretCancel("7", why)


class Sim:
    """It tells in its error what it has answered."""

    def __init__(self, vectors: Vectors, why: str) -> None:
        self.vectors, self.why = vectors, why

    def shown(self) -> bytes:
        return b""

    def authenticate(self, rand: bytes, autn: bytes) -> Vectors:
        raise ControlError("auth.needs_signer", self.why)


def test_leak_of_a_constant() -> None:
    print(LASTING.reveal().decode())


def test_leak_before_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        print(Secret(PASSWORD.encode()).reveal(), 1 / 0)
    with pytest.raises(ProfileError):
        raise ProfileError("auth.local[0]", PASSWORD)


def test_leak_in_a_picture() -> None:
    class Screen(App[None]):
        def compose(self) -> ComposeResult:
            yield Static(Secret(PASSWORD.encode()).reveal().decode())

    async def show() -> None:
        app = Screen()
        async with app.run_test() as pilot:
            await pilot.pause()
            app.export_screenshot()

    asyncio.run(show())


@pytest.mark.parametrize("kind", KINDS)
def test_leak_of_a_key_that_signs(kind: pki.KeyKind) -> None:
    key = pki.make_key(kind)
    KeySigner(key)
    print(private_octets(key).hex())


@pytest.mark.parametrize("kind", KINDS)
def test_leak_of_a_key_in_pem(kind: pki.KeyKind, tmp_path: Path) -> None:
    issued = pki.make_authority("Nobody").issue("CN=nobody", key=kind)
    write_file(pki.pem(issued.key), tmp_path, "gateway.pem")


def test_nothing() -> None:
    Secret(PASSWORD.encode())
    print("planted-Nobody-0000", repr(LASTING), repr(SecretText(PASSWORD)))


def test_nothing_of_a_sim() -> None:
    vectors = Vectors(b"planted-Linnet-1", b"planted-Linnet-2", b"planted-Linnet-3")
    needed = SecretNeeded("7", "office", "sim-challenge", "", 0.0, challenge=SimChallenge("sim:", b"", b""))
    print(vectors, reply(needed, {"sim:": Answering(vectors, "")}))


class Answering(Sim):
    def authenticate(self, rand: bytes, autn: bytes) -> Vectors:
        return self.vectors


def test_nothing_of_another_test() -> None:
    print(PASSWORD)


def test_nothing_where_secrets_belong(tmp_path: Path) -> None:
    Secret(PASSWORD.encode())
    write_file(PASSWORD, tmp_path, "password")


def test_nothing_by_chance() -> None:
    Secret(b"short")
    Secret(bytes(32))
    print("short", bytes(32))
