"""Keys in the user's SSH agent (draft-miller-ssh-agent): the two requests that a signer needs.

An agent hashes by itself: RSA as the flags say, always PKCS #1 v1.5; ECDSA with the hash of the curve's size.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

from client.control.messages import ControlError
from profiles import public_keys

from .holder import cannot

ANSWER_TIME = 20.0
"""Seconds for an agent to answer: it may ask a person first, and the gateway does not wait for ever."""
LONGEST = 1 << 18  # octets of an answer; OpenSSH's own limit

_REQUEST_IDENTITIES, _IDENTITIES = 11, 12
_SIGN, _SIGNED = 13, 14
_RSA_FLAGS = {"rsa-pkcs1-sha1": 0, "rsa-pkcs1-sha256": 2, "rsa-pkcs1-sha512": 4}
_RSA_NAMES = {
    "rsa-pkcs1-sha1": b"ssh-rsa",
    "rsa-pkcs1-sha256": b"rsa-sha2-256",
    "rsa-pkcs1-sha512": b"rsa-sha2-512",
}
_WHOLE = {
    b"ecdsa-sha2-nistp256": "ecdsa-sha256",
    b"ecdsa-sha2-nistp384": "ecdsa-sha384",
    b"ecdsa-sha2-nistp521": "ecdsa-sha512",
    b"ssh-ed25519": "ed25519",
}
"""kind of key -> the one algorithm that an agent has for it"""


@dataclass(frozen=True, slots=True)
class AgentKey:
    """One key of an agent, by what the agent knows it by; a `KeyHolder`."""

    path: str
    blob: bytes = field(repr=False)
    comment: str

    @property
    def kind(self) -> bytes:
        """SSH's name for the kind of key."""
        return public_keys.ssh_kind(self.blob)

    def shown(self) -> bytes:
        """The public key as PEM."""
        return public_keys.pem_of(self._public)

    @property
    def _public(self) -> public_keys.PublicKey:
        key = public_keys.from_ssh(self.blob)
        if key is None:
            raise cannot(f"the agent's key {self.comment} is {_text(self.kind)}, which IKEv2 cannot use")
        return key

    def sign(self, algorithms: tuple[str, ...], octets: bytes) -> tuple[str, bytes]:
        """Have the agent sign."""
        if self.kind == b"ssh-rsa":
            return self._sign_rsa(algorithms, octets)
        name = _WHOLE.get(self.kind, "")
        if name not in algorithms:
            raise self._no_common(algorithms)
        made = self._ask(octets, 0, self.kind)
        return name, made if name == "ed25519" else _ecdsa(made)

    def _sign_rsa(self, algorithms: tuple[str, ...], octets: bytes) -> tuple[str, bytes]:
        name = next((name for name in algorithms if name in _RSA_FLAGS), None)
        if name is None:
            raise self._no_common(algorithms)
        made = self._ask(octets, _RSA_FLAGS[name], _RSA_NAMES[name])
        size = public_keys.size_of_signature(self._public)
        return name, made.rjust(size, b"\0")  # leading zeros may be left out (RFC 8332 section 3)

    def _ask(self, octets: bytes, flags: int, wanted: bytes) -> bytes:
        request = _string(self.blob) + _string(octets) + flags.to_bytes(4)
        answer = _exchange(self.path, _SIGN, request)
        if answer is None or answer[0] != _SIGNED:
            raise cannot(f"the SSH agent does not sign with {self.comment}")
        try:
            (signature,) = _strings(answer[1:])
            name, made = _strings(signature)
        except ValueError:
            raise cannot("the SSH agent's answer does not read") from None
        if name != wanted:
            raise cannot(f"the SSH agent signed by {_text(name)} instead of {_text(wanted)}")
        return made

    def _no_common(self, algorithms: tuple[str, ...]) -> ControlError:
        wanted = ", ".join(algorithms)
        return cannot(
            f"an SSH agent cannot sign by {wanted}, which the gateway wants, with {_text(self.kind)}"
        )


def find(target: str, certificate: bytes | None) -> AgentKey:
    """The agent's key by fingerprint or comment; without either, the one of `certificate` (PEM or DER)."""
    path = os.environ.get("SSH_AUTH_SOCK")
    if not path:
        raise cannot("there is no SSH agent in this session ($SSH_AUTH_SOCK is not set)")
    keys = _keys(path)
    found = [key for key in keys if _is_meant(key, target, certificate)]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{public_keys.fingerprint(key.blob)} ({key.comment})" for key in keys) or "none"
    which = target or "the certificate's"
    how_many = "holds several keys like" if found else "does not hold the key"
    raise cannot(f"the SSH agent {how_many} {which}; its keys: {known}", "'ssh-add FILE' adds a key.")


def _is_meant(key: AgentKey, target: str, certificate: bytes | None) -> bool:
    if target:
        return target in {public_keys.fingerprint(key.blob), key.comment}
    public = public_keys.from_ssh(key.blob)
    if public is None or certificate is None:
        return False
    return public_keys.spki(public_keys.pem_of(public)) == public_keys.spki(certificate)


def _keys(path: str) -> list[AgentKey]:
    answer = _exchange(path, _REQUEST_IDENTITIES, b"")
    if answer is None or answer[0] != _IDENTITIES:
        raise cannot("the SSH agent does not tell its keys")
    try:
        entries = list(_strings(answer[5:]))
    except ValueError:
        raise cannot("the SSH agent's list of keys does not read") from None
    pairs = zip(entries[::2], entries[1::2], strict=False)
    return [AgentKey(path, blob, _text(comment)) for blob, comment in pairs if blob]


def _exchange(path: str, kind: int, body: bytes) -> bytes | None:
    """One request and its answer, its type first; None where the agent says nothing."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as agent:
            agent.settimeout(ANSWER_TIME)
            agent.connect(path)
            agent.sendall(_string(bytes([kind]) + body))
            size = int.from_bytes(_receive(agent, 4))
            return _receive(agent, size) if 0 < size <= LONGEST else None
    except OSError as error:
        raise cannot(f"the SSH agent at {path} cannot be reached: {error.strerror or error}") from None


def _receive(agent: socket.socket, size: int) -> bytes:
    octets = b""
    while len(octets) < size:
        more = agent.recv(size - len(octets))
        if not more:
            raise OSError("it closed the connection")
        octets += more
    return octets


def _string(octets: bytes) -> bytes:
    return len(octets).to_bytes(4) + octets


def _strings(octets: bytes) -> Iterator[bytes]:
    """SSH strings in a row; ValueError where one does not end."""
    at = 0
    while at < len(octets):
        size = int.from_bytes(octets[at : at + 4])
        if at + 4 + size > len(octets):
            raise ValueError("a string is longer than what there is of it")
        yield octets[at + 4 : at + 4 + size]
        at += 4 + size


def _ecdsa(made: bytes) -> bytes:
    """DER of `mpint r, mpint s` (RFC 5656 section 3.1.2)."""
    try:
        r, s = (int.from_bytes(part, signed=True) for part in _strings(made))
        return public_keys.der_signature(r, s)
    except ValueError:
        raise cannot("the SSH agent's signature does not read") from None


def _text(octets: bytes) -> str:
    """For people; the agent's client may have written anything there."""
    return "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for char in octets.decode(errors="replace")
    )
