"""A real `ssh-agent` for a test, and agents that lie."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from client.ike.authentication import PrivateKey

_ADD_IDENTITY, _SUCCESS = 17, 6


def missing() -> str:
    """Why there can be no real agent here; empty where there can."""
    return "" if shutil.which("ssh-agent") else "ssh-agent of OpenSSH is not installed"


@contextmanager
def ssh_agent() -> Iterator[Path]:
    """The socket of a fresh agent."""
    with TemporaryDirectory(prefix="roam-agent-") as name:
        path = Path(name) / "agent"
        process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
        try:
            _wait_for(path, process)
            yield path
        finally:
            process.terminate()
            process.wait(10)


def _wait_for(path: Path, process: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                if process.poll() is not None:
                    break
            else:
                return
        threading.Event().wait(0.02)
    raise AssertionError("ssh-agent did not start")


def add_key(path: Path, key: PrivateKey, comment: str) -> None:
    """Have the agent hold a key, which never touches a disk (draft-miller-ssh-agent section 3.2)."""
    with socket.socket(socket.AF_UNIX) as agent:
        agent.settimeout(20)
        agent.connect(str(path))
        agent.sendall(message(_ADD_IDENTITY, _private(key) + string(comment.encode())))
        assert agent.recv(64) == message(_SUCCESS, b"")


def _private(key: PrivateKey) -> bytes:
    match key:
        case ed25519.Ed25519PrivateKey():
            public = key.public_key().public_bytes_raw()
            return string(b"ssh-ed25519") + string(public) + string(key.private_bytes_raw() + public)
        case ec.EllipticCurvePrivateKey():
            curve = f"nistp{key.key_size}".encode()
            point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            value = number(key.private_numbers().private_value)
            return string(b"ecdsa-sha2-" + curve) + string(curve) + string(point) + value
        case rsa.RSAPrivateKey():
            own = key.private_numbers()
            parts = (own.public_numbers.n, own.public_numbers.e, own.d, own.iqmp, own.p, own.q)
            return string(b"ssh-rsa") + b"".join(map(number, parts))
        case _:
            raise AssertionError("agents know no such key")


@contextmanager
def lying_agent(*answers: bytes) -> Iterator[Path]:
    """An agent that gives these answers, one to each connection, whatever it is asked."""
    with TemporaryDirectory(prefix="roam-agent-") as name:
        path = Path(name) / "agent"
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen()
            listener.settimeout(20)

            def serve() -> None:
                for answer in answers:
                    accepted, _ = listener.accept()
                    with accepted:
                        accepted.recv(1 << 16)
                        accepted.sendall(answer)

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            yield path
            thread.join(20)


def message(kind: int, body: bytes) -> bytes:
    """One message of an agent."""
    return (1 + len(body)).to_bytes(4) + bytes([kind]) + body


def number(value: int) -> bytes:
    """An mpint: with a zero in front where the first bit would be a sign."""
    return string(value.to_bytes(value.bit_length() // 8 + 1))


def string(octets: bytes) -> bytes:
    """An SSH string."""
    return len(octets).to_bytes(4) + octets
