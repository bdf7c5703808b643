"""What the tests of EAP with TLS share: an authority, a login server, logins, and a dialogue between the two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TypedDict

from OpenSSL import SSL

from client.ike.buffer import Reader
from client.ike.eap.method import EapFailed
from client.ike.eap.packet import EapPacket
from client.ike.eap.peer import EapPeer
from client.ike.eap.tls_framing import TlsPacket
from client.ike.events import Kind
from client.ike.identity import Identity
from client.ike.keys import OneTimeCode, Secret
from client.ike.options import EapLogin, Inner, TlsIdentity, TlsOptions
from client.ike.registry import EapCode, EapType
from client.ike.signatures import TlsPrivateKey
from client.ike.trust import Trust
from client.lab.eap_methods import Accounts, Outcome, ServerMethod
from client.lab.eap_server import EapServer
from client.lab.eap_tls import TlsServer, TlsService
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
    assert isinstance(issued.key, TlsPrivateKey)
    return TlsIdentity(issued.chain, issued.key)


IDENTITY = identity_of(CLIENT)
OPTIONS = TlsOptions(Trust((AUTHORITY.certificate,), Identity.parse(NAME)), IDENTITY)
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


class Scripted(TlsServer):
    """A server that says inside what the test wants, whatever it hears; then it claims success."""

    def __init__(self, kind: EapType, says: Iterable[bytes], service: TlsService = SERVICE) -> None:
        self.kind = kind
        self.says = list(says)
        self.heard: list[bytes] = []
        super().__init__(Accounts({}, tls=service), USER, seeded("server"))

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        packet = TlsPacket.pull(response.data)
        is_over = self._begun and not self.says and not self._framing.is_sending
        return Outcome.SUCCESS if is_over and packet.is_empty else super().judge(response, identifier)

    def _open(self) -> bytes:
        return self.says.pop(0) if self.kind is not EapType.TTLS and self.says else b""

    def _reply(self, plaintext: bytes) -> bytes | Outcome:
        self.heard.append(plaintext)
        return self.says.pop(0) if self.says else Outcome.SUCCESS


def drive(peer: EapPeer, kind: EapType, there: ServerMethod) -> list[bytes]:
    """Our responses to a method's server, to the end; what the peer raises passes."""
    responses, identifier = [], 1
    answer: bytes | Outcome = there.begin(identifier)
    while isinstance(answer, bytes):
        outcome = peer.handle(EapPacket(EapCode.REQUEST, identifier, kind, answer).push())
        assert isinstance(outcome, bytes)
        responses.append(outcome)
        identifier += 1
        answer = there.judge(EapPacket.pull(outcome), identifier)
    code = EapCode.SUCCESS if answer is Outcome.SUCCESS else EapCode.FAILURE
    assert peer.handle(EapPacket(code, identifier).push()) is None
    return responses


def scripted(client: EapLogin, *says: bytes, service: TlsService = SERVICE) -> list[bytes]:
    """What we have said inside to a server that says these."""
    (kind,) = client.methods
    there = Scripted(kind, says, service)
    drive(EapPeer(client, seeded("peer"), WALL), kind, there)
    return there.heard


def records(responses: Iterable[bytes]) -> list[int]:
    """Content types of the TLS records that we have sent (RFC 8446 section 5.1)."""
    stream = b"".join(
        TlsPacket.pull(packet.data).data
        for packet in map(EapPacket.pull, responses)
        if packet.type in TLS_METHODS
    )
    reader, found = Reader(stream), []
    while reader.remaining:
        found.append(reader.uint(1))
        reader.take(2)
        reader.take(reader.uint(2))
    return found


def kind_of(error: EapFailed) -> Kind:
    assert error.failure is not None
    return error.failure.kind


def response_types(there: Dialogue) -> list[int | None]:
    return [EapPacket.pull(packet).type for packet in there.responses]


def success(identifier: int = 9) -> bytes:
    return EapPacket(EapCode.SUCCESS, identifier).push()
