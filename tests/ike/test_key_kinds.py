"""Certificates with keys of every kind, at both ends of a whole login."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from client.ike.authentication import KeySigner
from client.ike.options import CertLogin, CertProof
from client.ike.trust import Trust
from client.lab.pki import Authority, KeyKind, make_authority
from tests.ike.signed import KINDS
from tests.pair import GATEWAY_ID, VALID, Pair, client_config, gateway_config


@cache
def authority(kind: KeyKind) -> Authority:
    return make_authority(f"CN=Root of {kind}", key=kind, **VALID)


@pytest.mark.parametrize("root", ["ecdsa", "same"])
@pytest.mark.parametrize("kind", KINDS)
def test_both_ends_prove_themselves_by_keys_of_a_kind(kind: KeyKind, root: str) -> None:
    issuer = authority("ecdsa" if root == "ecdsa" else kind)
    theirs = issuer.issue("CN=vpn.example.com", dns=["vpn.example.com"], key=kind, **VALID)
    ours = issuer.issue("CN=alice", emails=["alice@example.com"], key=kind, server=False, **VALID)
    gateway = replace(
        gateway_config(),
        clients="cert",
        proof="cert",
        chain=theirs.chain,
        signer=KeySigner(theirs.key),
        client_anchors=(issuer.certificate,),
    )
    client = client_config(
        CertLogin(ours.chain, KeySigner(ours.key)), CertProof(Trust((issuer.certificate,), GATEWAY_ID))
    )
    pair = Pair(client, gateway)
    assert pair.connect()
    assert len(pair.responder.sessions) == 1
