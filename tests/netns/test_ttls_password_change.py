"""The AVPs by which MS-CHAPv2 inside TTLS changes a password (RFC 5281 section 11.2.4), judged by a real server.

FreeRADIUS tells nothing of it through its own TTLS.  Here our TTLS server ends TLS and hands on what comes inside,
as attributes of RADIUS, which is what they are (RFC 2548): so FreeRADIUS is the AAA/H of the RFC.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from client.ike.buffer import Reader, Writer
from client.ike.eap.avp import MICROSOFT, Avp, AvpCode, MicrosoftCode, pull_avps
from client.ike.eap.method import Ask, EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.events import AnswerKind
from client.ike.keys import Secret
from client.ike.options import EapLogin, Inner
from client.ike.registry import EapCode, EapType
from client.lab.accounts import Accounts, Outcome
from client.lab.eap_tls import TtlsServer
from client.lab.namespaces import Namespace
from client.lab.topology import topology
from tests.ike.eap.tls_dialogue import OPTIONS, SERVICE, WALL
from tests.netns.peers.password_server import EXPIRED, Account, PasswordServer
from tests.netns.peers.radius import PORT, LoginService, radius_release
from tests.netns.peers.releases import PeerUnavailable
from tests.netns.tls_gateways import Papers
from tests.secrecy.scanner import kept_secret

pytestmark = [pytest.mark.netns, pytest.mark.slow]

OLD, NEW, SHORT = (kept_secret(text) for text in ("brisk-Heron-0815", "looking-Glass-4711", "tiny-One"))
ACCESS_REQUEST, VENDOR_SPECIFIC = 1, 26
PATIENCE = 5.0  # seconds


@dataclass(frozen=True)
class Forwarding:
    """Speaks RADIUS (RFC 2865) for whoever ends TLS."""

    network: Namespace
    user: str

    def ask(self, avps: tuple[Avp, ...]) -> tuple[Avp, ...]:
        """The server's AVPs for the client's: a proof, or an error."""
        body = _attribute(AvpCode.USER_NAME, self.user.encode())
        for avp in avps:
            if avp.vendor == MICROSOFT:
                vendor = Writer().uint(MICROSOFT, 4).uint(avp.code, 1).uint(2 + len(avp.data), 1)
                body += _attribute(VENDOR_SPECIFIC, vendor.write(avp.data).bytes())
        head = Writer().uint(ACCESS_REQUEST, 1).uint(7, 1).uint(20 + len(body), 2).write(os.urandom(16))
        return _microsoft(self.network.run(lambda: _exchange(head.write(body).bytes())))


def _attribute(code: int, value: bytes) -> bytes:
    return Writer().uint(code, 1).uint(2 + len(value), 1).write(value).bytes()


def _exchange(request: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(PATIENCE)
        udp.sendto(request, ("127.0.0.1", PORT))
        return udp.recv(4096)


def _microsoft(answer: bytes) -> tuple[Avp, ...]:
    """What of an answer goes back through the tunnel."""
    reader, found = Reader(answer[20:]), []
    while reader.remaining:
        code, length = reader.uint(1), reader.uint(1)
        value = Reader(reader.take(length - 2))
        if code == VENDOR_SPECIFIC and value.uint(4) == MICROSOFT:
            kind, size = value.uint(1), value.uint(1)
            if kind in (MicrosoftCode.CHAP_ERROR, MicrosoftCode.CHAP2_SUCCESS):
                found.append(Avp(kind, value.take(size - 2), MICROSOFT))
    return tuple(found)


class Proxy(TtlsServer):
    """Ends TLS, and believes FreeRADIUS."""

    forwarding: ClassVar[Forwarding]

    def _reply(self, plaintext: bytes) -> bytes | Outcome:
        avps = self.forwarding.ask(pull_avps(plaintext))
        if any(avp.code == MicrosoftCode.CHAP2_SUCCESS for avp in avps):
            self._accept()
        return b"".join(avp.push() for avp in avps) or Outcome.FAILURE


@pytest.fixture(scope="module")
def server() -> Iterator[PasswordServer]:
    papers = Papers()
    service = LoginService(papers.login_server(), papers.logins, {}, "mschapv2")
    accounts = {name: Account(OLD, EXPIRED) for name in ("anna", "berta")}
    with topology() as lab:
        try:
            with PasswordServer(radius_release("trixie"), lab.gateway, service, accounts) as started:
                yield started
        except PeerUnavailable as error:
            pytest.skip(str(error).partition("\n")[0])


def login(server: PasswordServer, user: str, password: str, new: str = "") -> EapPeer:
    """A login, with the new password as the answer to what is asked; what the peer raises passes."""
    proxy = type("Proxy", (Proxy,), {"forwarding": Forwarding(server.namespace, user)})
    there = proxy(Accounts({}, tls=SERVICE), user, os.urandom)
    options = replace(OPTIONS, identity=None, inner=(Inner.MSCHAPV2,))
    peer = EapPeer(EapLogin(user, Secret(password.encode()), (EapType.TTLS,), options), os.urandom, WALL)
    answer: bytes | Outcome = there.begin(1)
    for identifier in range(1, 60):
        if isinstance(answer, Outcome):
            code = EapCode.SUCCESS if answer is Outcome.SUCCESS else EapCode.FAILURE
            assert peer.handle(EapPacket(code, identifier).push()) is None
            return peer
        outcome = peer.handle(EapPacket(EapCode.REQUEST, identifier, EapType.TTLS, answer).push())
        if isinstance(outcome, Ask):
            assert outcome.kind is AnswerKind.NEW_PASSWORD
            outcome = peer.resume(Secret(new.encode()))
        assert isinstance(outcome, bytes)
        answer = there.judge(EapPacket.pull(outcome), identifier + 1)
    raise AssertionError("the login has no end")


def test_a_password_is_changed_inside_ttls_without_eap(server: PasswordServer) -> None:
    assert login(server, "anna", OLD, NEW).finished
    assert server.keeps("anna", NEW)
    assert login(server, "anna", NEW).finished
    with pytest.raises(EapFailed, match=r"wrong \(E=691\)"):
        login(server, "anna", OLD)


def test_a_new_password_against_the_policy_is_not_taken(server: PasswordServer) -> None:
    with pytest.raises(EapFailed, match=r"could not be changed \(E=709\)"):
        login(server, "berta", OLD, SHORT)
    assert not server.keeps("berta", SHORT)
