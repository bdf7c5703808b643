"""Every state of the EAP peer × every type × every code: what is answered, what ends it, and nothing else.

The expectation is worked out here from RFC 3748 alone, apart from the code that it judges.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from client.ike.eap.method import Ask, EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.errors import InvalidSyntax, ProtocolError
from client.ike.events import Kind
from client.ike.keys import Secret
from client.ike.options import EapLogin
from client.ike.registry import EapCode, EapType
from tests.ike.eap.dialogue import failure, request, seeded
from tests.ike.eap.states import EAP_MD5, challenged, convinced, finished, fresh, naked, named


def refused() -> EapPeer:
    """The server has refused the password for good."""
    there = challenged()
    with pytest.raises(EapFailed):
        there.handle(failure("E=691 R=0"))
    return there


def retrying() -> EapPeer:
    """The user is asked for another password."""
    there = challenged()
    assert isinstance(there.handle(failure("E=691 R=1 C=" + "00" * 16 + " V=3")), Ask)
    return there


def asking() -> EapPeer:
    """The user is asked for a code."""
    there = EapPeer(EapLogin("anna", Secret(b"x"), (EapType.OTP,)), seeded("asking"))
    assert isinstance(there.handle(request(EapType.OTP, b"otp-md5 487 dog2")), Ask)
    return there


State = Callable[[], EapPeer]
BEFORE_METHOD: tuple[State, ...] = (fresh, named, naked)
WAITING: tuple[State, ...] = (retrying, asking)
STATES: tuple[State, ...] = (*BEFORE_METHOD, challenged, convinced, finished, refused, *WAITING)
TYPES = (0, *range(1, 7), 13, 18, 21, 23, 25, 26, 33, 43, 50, 52, 55, 254, 255)
CODES = (0, 1, 2, 3, 4, 5, 255)
OWN = {asking: EapType.OTP}


def packet_of(code: int, kind: int) -> bytes:
    """One packet of the cell; Success and Failure carry no type (RFC 3748 section 4.2)."""
    body = b"" if code in (3, 4) else bytes([kind]) + bytes(9)
    return bytes([code, 77]) + (4 + len(body)).to_bytes(2) + body


def expected(state: State, code: int, kind: int) -> object:
    """The type of the response, None for the end that is a success, or what is raised."""
    if code not in (1, 2, 3, 4):
        return InvalidSyntax
    if state is finished or code == EapCode.RESPONSE:
        return Kind.PEER_PROTOCOL
    if code == EapCode.SUCCESS:
        return None if state is convinced else Kind.PEER_PROTOCOL
    if code == EapCode.FAILURE:
        return Kind.AUTH_METHOD if state is naked else Kind.AUTH_REJECTED
    if state in WAITING:
        return Kind.PEER_PROTOCOL  # nothing is due before the user has answered
    if kind == EapType.NOTIFICATION:
        return EapType.NOTIFICATION
    if state not in BEFORE_METHOD:
        return ProtocolError if kind == OWN.get(state, EapType.MSCHAPV2) else Kind.PEER_PROTOCOL
    if kind == EapType.IDENTITY:
        return EapType.IDENTITY
    if kind == EapType.MSCHAPV2:
        return ProtocolError  # ten zero octets are no challenge
    if state is naked and kind == EAP_MD5:
        return Kind.AUTH_METHOD
    return EapType.EXPANDED if kind == EapType.EXPANDED else EapType.NAK


CELLS = list(product(STATES, TYPES, CODES))


def test_the_table_is_as_large_as_it_says() -> None:
    assert len(CELLS) >= 600
    assert len({(state, kind, code) for state, kind, code in CELLS}) == len(CELLS)


def outcome_of(there: EapPeer, packet: bytes) -> object:
    """The type of the response, None, the kind of an `EapFailed`, or the class of what else was raised."""
    try:
        outcome = there.handle(packet)
    except EapFailed as error:
        return error.failure.kind if error.failure is not None else EapFailed
    except ProtocolError as error:
        return type(error)
    return EapPacket.pull(outcome).type if isinstance(outcome, bytes) else outcome


@pytest.mark.parametrize("state", STATES)
def test_every_cell_of_the_table(state: State) -> None:
    for kind, code in product(TYPES, CODES):
        there, cell = state(), f"{state.__name__}, type {kind}, code {code}"
        wanted, outcome = expected(state, code, kind), outcome_of(there, packet_of(code, kind))
        if wanted is ProtocolError:  # what a method makes of octets that are none of its packets
            assert outcome in (InvalidSyntax, Kind.PEER_PROTOCOL), cell
        else:
            assert outcome == wanted, cell
        is_over = state is finished or (state is convinced and code == EapCode.SUCCESS)
        assert there.finished is is_over, cell
