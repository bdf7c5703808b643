"""What the tests of EAP with TLS share: an authority, a login server, logins, and a dialogue between the two."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypedDict

from OpenSSL import SSL

from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.identity import Identity
from client.ike.keys import OneTimeCode, Secret
from client.ike.options import EapLogin, Inner, TlsIdentity, TlsOptions
from client.ike.registry import EapCode, EapType
from client.ike.trust import Trust
from client.lab.eap_methods import Accounts
from client.lab.eap_server import EapServer
from client.lab.eap_tls import TlsService
from client.lab.pki import Authority, Issued, make_authority
from tests.ike.eap.dialogue import seeded


class Validity(TypedDict):
    """From when to when the certificates of these tests are valid."""

    not_before: datetime
    not_after: datetime


VALID: Validity = {
    "not_before": datetime(2026, 1, 1, tzinfo=UTC),
    "not_after": datetime(2026, 12, 1, tzinfo=UTC),
}
WALL = datetime(2026, 6, 1, tzinfo=UTC)
NAME = "aaa.example.org"
USER = "anna"
PASSWORD = Secret("Übermut 😀".encode())
CODE = Secret(b"471108")
AUTHORITY: Authority = make_authority("CN=Login Root", **VALID)
BETWEEN: Authority = AUTHORITY.subordinate("CN=Login Between", **VALID)
STRANGERS: Authority = make_authority("CN=Strangers", **VALID)
SERVER: Issued = BETWEEN.issue(f"CN={NAME}", dns=[NAME], **VALID)
CLIENT: Issued = AUTHORITY.issue("CN=anna", server=False, **VALID)
STRANGER: Issued = STRANGERS.issue("CN=anna", server=False, **VALID)
TLS_METHODS = (EapType.TLS, EapType.TTLS, EapType.PEAP)
VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}


def identity_of(issued: Issued) -> TlsIdentity:
    return TlsIdentity(issued.chain, issued.key)


OPTIONS = TlsOptions(Trust((AUTHORITY.certificate,), Identity.parse(NAME)), identity_of(CLIENT))
SERVICE = TlsService(identity_of(SERVER), WALL, (AUTHORITY.certificate,))


def login(
    *methods: EapType,
    inner: tuple[Inner, ...] = (Inner.MSCHAPV2,),
    password: Secret | OneTimeCode = PASSWORD,
    options: TlsOptions = OPTIONS,
) -> EapLogin:
    return EapLogin(USER, password, methods, replace(options, inner=inner))


def server(*methods: EapType, service: TlsService = SERVICE) -> EapServer:
    accounts = Accounts({USER: PASSWORD}, {USER: CODE}, tls=service)
    return EapServer(accounts, seeded("server"), methods)


@dataclass
class Dialogue:
    """Every packet of one dialogue, both ways, in order."""

    peer: EapPeer
    server: EapServer
    requests: list[bytes] = field(default_factory=list)
    responses: list[bytes] = field(default_factory=list)

    def run(self) -> Dialogue:
        """Until EAP-Success; what the peer raises passes."""
        packet = self.server.start()
        while True:
            self.requests.append(packet)
            outcome = self.peer.handle(packet)
            if outcome is None:
                return self
            assert isinstance(outcome, bytes)
            self.responses.append(outcome)
            packet = self.server.handle(outcome)

    @property
    def largest(self) -> int:
        """Octets of our largest packet."""
        return max(map(len, self.responses))


def dialogue(client: EapLogin, service: TlsService = SERVICE, *methods: EapType) -> Dialogue:
    return Dialogue(
        EapPeer(client, seeded("peer"), WALL), server(*(methods or client.methods), service=service)
    )


def response_types(there: Dialogue) -> list[int | None]:
    return [EapPacket.pull(packet).type for packet in there.responses]


def success(identifier: int = 9) -> bytes:
    return EapPacket(EapCode.SUCCESS, identifier).push()
