"""Peers brought into each state of a dialogue, by the packets of a server that behaves."""

from __future__ import annotations

from client.ike.eap.peer import EapPeer
from client.ike.registry import EapType
from tests.ike.eap.dialogue import SUCCESS, answered, challenge, peer, request, success

EAP_MD5 = 4  # which these peers have not been allowed


def fresh() -> EapPeer:
    """Has heard nothing."""
    return peer()


def named() -> EapPeer:
    """Has told its identity."""
    there = peer()
    answered(there, request(EapType.IDENTITY))
    return there


def naked() -> EapPeer:
    """Has refused a method."""
    there = peer()
    answered(there, request(EAP_MD5, bytes(17)))
    return there


def challenged() -> EapPeer:
    """Has answered the challenge."""
    there = named()
    answered(there, challenge())
    return there


def convinced() -> EapPeer:
    """Has accepted the server's proof."""
    there = named()
    answered(there, success(answered(there, challenge())))
    return there


def finished() -> EapPeer:
    """Has been told that it is in."""
    there = convinced()
    assert there.handle(SUCCESS) is None
    return there
