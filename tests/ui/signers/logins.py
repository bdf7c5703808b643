"""Octets as an initiator's AUTH covers them: made by the engine itself."""

from __future__ import annotations

from client.ike.authentication import DistantSigner
from client.ike.events import AnswerNeeded
from client.ike.options import CertLogin, CertProof
from client.ike.trust import Trust
from tests.pair import (
    AUTHORITY,
    CLIENT_CERT,
    GATEWAY_ID,
    WALL,
    Pair,
    client_config,
    gateway_config,
    path_from,
)


def octets_of_a_login() -> bytes:
    """What a session asks a distant signer to sign."""
    signer = DistantSigner("agent:", CLIENT_CERT.key.public_key())
    proof = CertProof(Trust((AUTHORITY.certificate,), GATEWAY_ID))
    pair = Pair(client_config(CertLogin(CLIENT_CERT.chain, signer), proof), gateway_config())
    pair.client.initiate(path_from("192.168.1.10"), pair.now, WALL)
    assert pair.run(30, lambda: bool(pair.events(AnswerNeeded)))
    (asked,) = pair.events(AnswerNeeded)
    assert isinstance(asked, AnswerNeeded)
    assert asked.signature is not None
    return asked.signature.octets


LOGIN = octets_of_a_login()
