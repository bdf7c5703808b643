"""`roam-dns` as systemd starts it, with friendly and hostile requests on its real socket."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.lab.namespaces import Namespace
from client.system.resolver import helper
from client.system.resolver.detect import Places
from client.system.resolver.direct import Direct
from client.system.resolver.document import LARGEST_REQUEST, encode_request
from client.system.resolver.helper import serve
from client.system.resolver.remote import ask
from tests.system.resolver.private_etc import HOME, in_private_etc
from tests.system.resolver.scene import FULL

ROOT = Path(__file__).resolve().parents[3]
UNIT = ROOT / "packaging/systemd/roam-dns.service"
SOCKET_UNIT = ROOT / "packaging/systemd/roam-dns.socket"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    (directory / "resolv.conf").write_text(HOME)
    return directory


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as made:
        made.bind(str(tmp_path / "helper"))
        made.listen()
        yield made


def talk(
    tmp_path: Path,
    listener: socket.socket,
    *requests: bytes,
    allowed: frozenset[int] = frozenset({os.getuid()}),
) -> list[bytes]:
    """What the helper answers to each."""
    places = Places(tmp_path, f"unix:path={tmp_path}/no-bus")

    async def main() -> list[bytes]:
        serving = asyncio.create_task(serve(listener, Direct(tmp_path / "state", places), allowed, idle=0.1))
        answers = [await exchange(tmp_path / "helper", request) for request in requests]
        await serving
        return answers

    return asyncio.run(main())


async def exchange(path: Path, request: bytes) -> bytes:
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(request)
        writer.write_eof()
        return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


@pytest.mark.skipif(os.getuid() != 0, reason="only root changes files by itself")
def test_a_request_changes_the_file_and_restore_puts_it_back(
    tmp_path: Path, etc: Path, listener: socket.socket
) -> None:
    (answer,) = talk(tmp_path, listener, encode_request([FULL]))
    assert json.loads(answer) == {
        "kind": "file",
        "reason": "no program manages /etc/resolv.conf",
        "problems": [],
        "steps": [],
    }
    assert "nameserver 10.77.0.1\n" in (etc / "resolv.conf").read_text()
    talk(tmp_path, listener, encode_request(None))
    assert (etc / "resolv.conf").read_text() == HOME


HOSTILE = {
    "nothing": b"",
    "no json": b"link=roam0",
    "a path": b'[{"link": "roam0", "servers": ["10.0.0.1"], "domains": [], "path": "/etc/shadow"}]',
    "a path for a link": b'[{"link": "../../etc/shadow", "servers": ["10.0.0.1"], "domains": []}]',
    "a line more": b'[{"link": "roam0", "servers": ["10.0.0.1"], "domains": ["x\\nnameserver 6.6.6.6"]}]',
    "a command": b'[{"link": "roam0", "servers": ["$(reboot)"], "domains": []}]',
    "another one's link": b'[{"link": "eth0", "servers": ["10.0.0.1"], "domains": []}]',
    "too much": b" " * (4 * LARGEST_REQUEST),
    "too deep": b"[" * LARGEST_REQUEST,
    "thousands of servers": json.dumps(
        [{"link": "roam0", "servers": [f"10.0.{n // 256}.{n % 256}" for n in range(3000)], "domains": []}]
    ).encode(),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_changes_nothing_and_the_next_one_is_served(
    tmp_path: Path, etc: Path, listener: socket.socket, name: str
) -> None:
    first, second = talk(tmp_path, listener, HOSTILE[name], b"again")
    assert not first or json.loads(first)["problems"][0].startswith("refused: ")
    assert json.loads(second)["problems"] == ["refused: the request is not a JSON document"]
    assert (etc / "resolv.conf").read_text() == HOME
    assert not (tmp_path / "state").exists()


def test_whoever_is_not_allowed_is_refused_whatever_he_says(
    tmp_path: Path, etc: Path, listener: socket.socket
) -> None:
    (answer,) = talk(tmp_path, listener, encode_request([FULL]), allowed=frozenset({12345}))
    assert json.loads(answer)["problems"] == [f"refused: user {os.getuid()} may not ask roam-dns"]
    assert (etc / "resolv.conf").read_text() == HOME


def test_a_silent_caller_does_not_keep_the_next_one_waiting_for_long(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(helper, "_PATIENCE", 0.05)
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(tmp_path / "helper"))
        silent.sendall(b'"rest')
        (answer,) = talk(tmp_path, listener, b"{}")
        assert b"refused: the request did not come" in silent.recv(4096)
    assert b"refused: " in answer


def test_a_caller_that_leaves_is_no_harm(tmp_path: Path, listener: socket.socket) -> None:
    for request in (b"", b'"rest', b"{}"):
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(str(tmp_path / "helper"))
            rude.sendall(request)
    (answer,) = talk(tmp_path, listener, b"{}")
    assert b"refused: " in answer


def test_without_a_helper_the_daemon_says_so(tmp_path: Path) -> None:
    outcome = asyncio.run(ask(tmp_path / "nobody", [FULL]))
    assert outcome.problems == ("roam-dns: [Errno 2] No such file or directory",)


# --- the program


START = """
import os, socket, sys
listener = socket.socket(socket.AF_UNIX)
listener.bind("/run/roam-dns.sock")
listener.listen()
os.dup2(listener.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
print("listening", flush=True)
os.execv(sys.executable, [sys.executable, "-m", "client.system.resolver.helper", *sys.argv[1:]])
"""


@pytest.mark.netns
@pytest.mark.slow
def test_started_by_its_socket_it_serves_root_on_the_real_files(tmp_path: Path) -> None:
    namespace = Namespace.create("laptop")

    def body() -> None:
        command = [sys.executable, "-c", START, "--user", "nobody", "--state-dir", "/run/roam-dns"]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            assert process.stdout.readline() == "listening\n"
            outcome = asyncio.run(ask(Path("/run/roam-dns.sock"), [FULL]))
            assert outcome.problems == ()
            assert "nameserver 10.77.0.1\n" in Path("/etc/resolv.conf").read_text()
            assert asyncio.run(ask(Path("/run/roam-dns.sock"), None)).problems == ()
            assert Path("/etc/resolv.conf").read_text() == HOME
            process.terminate()
            assert process.stderr.read().splitlines() == [
                "file: no program manages /etc/resolv.conf",
                "restored",
            ]

    try:
        in_private_etc(namespace, tmp_path / "layers", body)
    finally:
        namespace.close()


def test_started_by_hand_it_says_how_it_is_meant_to_be() -> None:
    command = [sys.executable, "-m", "client.system.resolver.helper"]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert answer.returncode == 2
    assert "it is started by systemd" in answer.stderr


def test_the_units_let_the_daemons_user_alone_in() -> None:
    lines = SOCKET_UNIT.read_text().splitlines()
    assert {"ListenStream=/run/roam-dns.sock", "SocketUser=roam", "SocketMode=0600"} <= set(lines)
    service = UNIT.read_text().splitlines()
    assert "NoNewPrivileges=yes" in service
    assert not [line for line in service if line.startswith("User=")]
