"""What the EAP tests share: deterministic octets, a login, and the server's packets made by hand."""

from __future__ import annotations

import hashlib

from client.ike.eap.mschapv2 import (
    OpCode,
    Packet,
    Response,
    authenticator_response,
    challenge_hash,
    nt_hash,
    push_challenge,
)
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.events import Rng
from client.ike.keys import Secret
from client.ike.options import EapLogin
from client.ike.registry import EapCode, EapType

USER = "CORP\\anna"
PASSWORD = Secret("Übermut 😀".encode())
CHALLENGE = bytes(range(16))
SUCCESS = bytes([EapCode.SUCCESS, 9, 0, 4])
FAILURE = bytes([EapCode.FAILURE, 9, 0, 4])


def seeded(seed: str) -> Rng:
    """A source of octets that gives the same ones in every run."""
    count = 0

    def rng(size: int) -> bytes:
        nonlocal count
        count += 1
        return hashlib.shake_256(f"{seed} {count}".encode()).digest(size)

    return rng


def peer(seed: str = "peer") -> EapPeer:
    return EapPeer(EapLogin(USER, PASSWORD), seeded(seed))


def request(kind: int, data: bytes = b"", identifier: int = 1) -> bytes:
    return EapPacket(EapCode.REQUEST, identifier, kind, data).push()


def challenge(identifier: int = 2) -> bytes:
    body = push_challenge(CHALLENGE, "nps.example.org")
    return request(EapType.MSCHAPV2, Packet(OpCode.CHALLENGE, identifier, body).push(), identifier)


def success(answer: bytes, identifier: int = 3) -> bytes:
    """The Success request of a server that knows the password, after the peer's `answer`."""
    body = b"S=" + proof_for(answer) + b" M=Welcome"
    return request(EapType.MSCHAPV2, Packet(OpCode.SUCCESS, identifier, body).push(), identifier)


def failure(text: str = "E=691 R=0 C=" + "00" * 16 + " V=3 M=no", identifier: int = 3) -> bytes:
    return request(EapType.MSCHAPV2, Packet(OpCode.FAILURE, identifier, text.encode()).push(), identifier)


def proof_for(answer: bytes, password: Secret = PASSWORD) -> bytes:
    """The authenticator response that fits a Response packet."""
    response = Response.pull(Packet.pull(EapPacket.pull(answer).data).body)
    digest = challenge_hash(response.challenge, CHALLENGE, response.name)
    return authenticator_response(nt_hash(password), response.proof, digest)


def answered(to: EapPeer, packet: bytes) -> bytes:
    """The peer's response, which there must be."""
    response = to.handle(packet)
    assert isinstance(response, bytes)
    return response
