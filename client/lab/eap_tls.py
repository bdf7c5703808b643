"""The servers' side of EAP-TLS, EAP-TTLS and PEAP, for the embedded gateway and the tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from cryptography import x509
from OpenSSL import SSL

from ..ike.eap import mschapv2
from ..ike.eap.avp import Avp, AvpCode, pull_avps
from ..ike.eap.compound import NONCE_SIZE, CompoundKeys, CryptoBinding, SubType
from ..ike.eap.packet import HEADER_SIZE, EapPacket
from ..ike.eap.peap import EXTENSIONS, pull_tlvs, push_result, push_tlv
from ..ike.eap.peap import Outcome as Result
from ..ike.eap.tls import TlsEnd, TlsFailed, prepare, show
from ..ike.eap.tls_framing import ACKNOWLEDGEMENT, FRAGMENT, START, Framing, TlsPacket
from ..ike.eap.tls_method import MSK_SIZE, key_material
from ..ike.events import Rng
from ..ike.keys import Secret
from ..ike.options import TlsIdentity
from ..ike.registry import EapCode, EapType
from .eap_methods import Accounts, Outcome
from .eap_server import EapServer
from .ttls_chap import Chap

TTLS_CHALLENGE = b"ttls challenge"
COMMITMENT = b"\0"


@dataclass(frozen=True, slots=True)
class TlsService:
    """How the server speaks TLS: its certificate, whom it lets in by one, and what it does differently.

    `inner` are its EAP methods inside TTLS and PEAP; `commitment` is what it says at the end of EAP-TLS 1.3.
    """

    identity: TlsIdentity
    wall: datetime
    client_anchors: tuple[x509.Certificate, ...] = ()
    newest: int = SSL.TLS1_3_VERSION
    fragment: int = FRAGMENT
    inner: tuple[EapType, ...] = (EapType.MSCHAPV2,)
    binding: bool = True
    commitment: bytes = COMMITMENT


class TlsServer:
    """One run; subclasses say what happens inside."""

    TYPE: ClassVar[EapType]
    ASKS_CERTIFICATE: ClassVar[bool] = False

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        if accounts.tls is None:
            raise AssertionError("a server without a certificate")
        self._accounts = accounts
        self._service = accounts.tls
        self._rng = rng
        self._tls = TlsEnd(_server(self._service, asks=self.ASKS_CERTIFICATE))
        self._framing = Framing(self._service.fragment)
        self._begun = False
        self._failed = False
        self._ending: Outcome | None = None
        self._key: Secret | None = None

    @property
    def msk(self) -> Secret | None:
        """Once the last word is said."""
        return self._key if self._ending is Outcome.SUCCESS else None

    def begin(self, identifier: int) -> bytes:
        """Ask for a ClientHello."""
        return TlsPacket(START).push()

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        """Go on, fragment by fragment."""
        packet = TlsPacket.pull(response.data)
        if self._failed:
            return Outcome.FAILURE
        if self._framing.is_sending:
            return self._framing.next_fragment() if packet.is_empty else Outcome.FAILURE
        if self._ending is not None and packet.is_empty:
            return self._ending
        message = self._framing.receive(packet)
        return ACKNOWLEDGEMENT if message is None else self._take(message)

    def _take(self, message: bytes) -> bytes | Outcome:
        try:
            plaintext = self._tls.receive(message)
        except TlsFailed:
            self._failed = True
            return self._framing.send(self._tls.take())
        reply: bytes | Outcome = b""
        if self._tls.established and not self._begun:
            self._begun = True
            reply = self._open()
        if plaintext:
            reply = self._reply(plaintext)
        if isinstance(reply, Outcome):
            self._ending = reply
            return reply
        if reply:
            self._tls.send(reply)
        return self._framing.send(self._tls.take())

    def _open(self) -> bytes:
        """What to say inside as soon as TLS stands."""
        return b""

    def _reply(self, plaintext: bytes) -> bytes | Outcome:
        """What follows what the client says inside."""
        return Outcome.FAILURE

    def _material(self) -> Secret:
        return key_material(self._tls, self.TYPE)

    def _accept(self, key: Secret | None = None) -> None:
        """Remember how this ends once the client has answered."""
        self._ending = Outcome.SUCCESS
        self._key = key or Secret(self._material().reveal()[:MSK_SIZE])


class EapTlsServer(TlsServer):
    """EAP-TLS."""

    TYPE: ClassVar[EapType] = EapType.TLS
    ASKS_CERTIFICATE: ClassVar[bool] = True

    def _open(self) -> bytes:
        self._accept()
        return self._service.commitment if self._tls.is_1_3 else b""


class TtlsServer(TlsServer):
    """EAP-TTLS: PAP, MS-CHAPv2 and EAP, whichever the client begins."""

    TYPE: ClassVar[EapType] = EapType.TTLS

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        super().__init__(accounts, identity, rng)
        self._inner: EapServer | None = None
        self._chaps: Chap | None = None

    def _reply(self, plaintext: bytes) -> bytes | Outcome:
        avps = pull_avps(plaintext)
        found = {(avp.vendor, avp.code): avp.data for avp in avps}
        if (0, AvpCode.EAP_MESSAGE) in found:
            return self._eap(found[0, AvpCode.EAP_MESSAGE])
        user = found.get((0, AvpCode.USER_NAME), b"").decode()
        if (0, AvpCode.USER_PASSWORD) in found:
            return self._pap(user, Secret(found[0, AvpCode.USER_PASSWORD].rstrip(b"\0")))
        return self._chap(user, avps)

    def _pap(self, user: str, said: Secret) -> Outcome:
        if said != self._accounts.passwords.get(user):
            return Outcome.FAILURE
        self._accept()
        return Outcome.SUCCESS

    def _chap(self, user: str, avps: tuple[Avp, ...]) -> bytes | Outcome:
        if self._chaps is None:
            material = self._tls.export(TTLS_CHALLENGE, mschapv2.CHALLENGE_SIZE + 1).reveal()
            self._chaps = Chap(self._accounts, user, material[:-1], material[-1], self._rng)
        reply = self._chaps.judge(avps)
        if self._chaps.accepted:
            self._accept()
        elif not self._chaps.waits:
            self._ending = Outcome.FAILURE
        return reply

    def _eap(self, packet: bytes) -> bytes | Outcome:
        if self._inner is None:
            self._inner = EapServer(self._accounts, self._rng, self._service.inner)
            asked = EapPacket.pull(self._inner.start())
            response = EapPacket.pull(packet)
            packet = EapPacket(EapCode.RESPONSE, asked.identifier, response.type, response.data).push()
        answer = self._inner.handle(packet)
        if self._inner.failed:
            return Outcome.FAILURE
        if self._inner.succeeded:
            self._accept()
            return Outcome.SUCCESS
        return Avp(AvpCode.EAP_MESSAGE, answer).push()


class PeapServer(TlsServer):
    """PEAP version 0, with cryptobinding unless told otherwise."""

    TYPE: ClassVar[EapType] = EapType.PEAP

    def __init__(self, accounts: Accounts, identity: str, rng: Rng) -> None:
        super().__init__(accounts, identity, rng)
        self._inner = EapServer(accounts, rng, self._service.inner)
        self._asked = 0  # identifier of the inner request under way
        self._keys: CompoundKeys | None = None
        self._told = False

    def _open(self) -> bytes:
        if self._tls.is_1_3:
            return self._bare(self._inner.start())
        return b""  # our Finished is under way: the client acknowledges it first

    def judge(self, response: EapPacket, identifier: int) -> bytes | Outcome:
        """The same, and the first request inside after the acknowledgement of our Finished."""
        packet = TlsPacket.pull(response.data)
        if self._begun and not self._asked and packet.is_empty and not self._framing.is_sending:
            self._tls.send(self._bare(self._inner.start()))
            return self._framing.send(self._tls.take())
        return super().judge(response, identifier)

    def _bare(self, packet: bytes) -> bytes:
        self._asked = EapPacket.pull(packet).identifier
        return packet[HEADER_SIZE:]

    def _reply(self, plaintext: bytes) -> bytes | Outcome:
        if self._told:
            return self._confirmed(EapPacket.pull(plaintext))
        response = EapPacket(EapCode.RESPONSE, self._asked, plaintext[0], plaintext[1:])
        answer = self._inner.handle(response.push())
        if not self._inner.succeeded and not self._inner.failed:
            return self._bare(answer)
        self._told = True
        tlvs = push_result(Result.SUCCESS if self._inner.succeeded else Result.FAILURE)
        if self._inner.succeeded and self._service.binding:
            self._keys = CompoundKeys.derive(self._material(), self._inner.msk)
            request = CryptoBinding(SubType.REQUEST, self._rng(NONCE_SIZE)).sealed(self._keys)
            tlvs += push_tlv(CryptoBinding.TYPE, request.push())
        return EapPacket(EapCode.REQUEST, self._asked, EXTENSIONS, tlvs).push()

    def _confirmed(self, response: EapPacket) -> Outcome:
        tlvs = pull_tlvs(response.data)
        if tlvs != {**tlvs, 3: Result.SUCCESS.to_bytes(2)} or not self._inner.succeeded:
            return Outcome.FAILURE
        if self._keys is not None:
            binding = CryptoBinding.pull(tlvs.get(CryptoBinding.TYPE, b""))
            if binding.subtype != SubType.RESPONSE or not binding.is_proven(self._keys):
                return Outcome.FAILURE
        self._accept(self._keys.msk() if self._keys is not None else None)
        return Outcome.SUCCESS


def _server(service: TlsService, *, asks: bool) -> SSL.Connection:
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    prepare(context, service.client_anchors, service.wall)
    context.set_max_proto_version(service.newest)
    show(context, service.identity)
    if asks:
        context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, None)
    connection = SSL.Connection(context, None)
    connection.set_accept_state()
    return connection
