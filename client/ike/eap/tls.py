"""TLS inside EAP: OpenSSL between two byte strings, and the judgement of the server's certificate.

This is the one impure module of the engine: OpenSSL brings a random source of its own.  Its clock is the caller's,
set through the certificate store.  It is imported only where a profile uses such a method.

The judgement falls inside the handshake, before anything of ours that depends on a credential: both OpenSSL and
`client.ike.trust` must be content, and `proven` says that they were asked at all.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from OpenSSL import SSL, crypto

from ..events import Kind
from ..inquest import Inquest, Memory
from ..keys import Secret
from ..options import TlsIdentity
from ..refusal import Refusal
from ..tls.faults import TlsFailed as TlsFailed
from ..trust import Trust, TrustError, verify_login_server

OP_LEGACY_SERVER_CONNECT = 0x4
"""Speak TLS 1.2 with servers that do not know RFC 5746 (strongSwan): we do not renegotiate, whatever they do."""

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:DHE+AES:!aNULL:@SECLEVEL=2"
"""TLS 1.2: forward secrecy, 112 bits at least.  TLS 1.3 has no others."""

OPTIONS = SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | OP_LEGACY_SERVER_CONNECT
DEPTH = 6  # authorities above the server's certificate
TLS_1_3 = "TLSv1.3"
_RECORD = 16384


class TlsEnd:
    """One end of a connection, of either role."""

    def __init__(self, connection: SSL.Connection) -> None:
        self._connection = connection
        self.established = False
        self.closed = False  # by the other end, in good order

    @property
    def version(self) -> str:
        """Such as "TLSv1.3"."""
        return self._connection.get_protocol_version_name()

    @property
    def is_1_3(self) -> bool:
        """Whether the rules of TLS 1.3 apply."""
        return self.version == TLS_1_3

    def receive(self, records: bytes) -> bytes:
        """Take records of the other end (none to begin with) and return the plaintext in them."""
        try:
            if records:
                self._connection.bio_write(records)
            if not self.established:
                self._connection.do_handshake()
                self.established = True
            return self._read()
        except SSL.WantReadError:
            return b""
        except SSL.Error as error:
            raise TlsFailed(_reason(error)) from None

    def _read(self) -> bytes:
        plaintext = bytearray()
        try:
            while True:
                plaintext += self._connection.recv(_RECORD)
        except SSL.WantReadError:
            return bytes(plaintext)
        except SSL.ZeroReturnError:
            self.closed = True
            return bytes(plaintext)

    def send(self, plaintext: bytes) -> None:
        """Seal octets into records, once established."""
        self._connection.sendall(plaintext)

    def take(self) -> bytes:
        """The records that are to go to the other end, possibly none."""
        records = bytearray()
        try:
            while True:
                records += self._connection.bio_read(_RECORD)
        except SSL.WantReadError:
            return bytes(records)

    def export(self, label: bytes, size: int, context: bytes | None = None) -> Secret:
        """Keying material (RFC 5705, RFC 8446 section 7.5).

        In TLS 1.2 and without context it is PRF(master secret, label, client random | server random), which is what
        the EAP methods prescribe.
        """
        return Secret(self._connection.export_keying_material(label, size, context))


class TlsClient(TlsEnd):
    """Our end; `refusal` says why the server's certificate will not do."""

    def __init__(
        self, trust: Trust, wall: datetime, identity: TlsIdentity | None, memory: Memory | None = None
    ) -> None:
        self._judge = _Judge(trust, wall, memory)
        connection = SSL.Connection(_client_context(trust, wall, identity, self._judge), None)
        connection.set_connect_state()
        connection.request_ocsp()
        super().__init__(connection)

    @property
    def refusal(self) -> Refusal | None:
        """Why the server is not trusted, once that is clear."""
        return self._judge.refusal

    @property
    def remark(self) -> str:
        """What the user should know of a server that is trusted all the same; empty for nothing."""
        return self._judge.remark

    @property
    def proven(self) -> bool:
        """Whether the server has shown a certificate that is trusted and was not revoked, and holds its key."""
        return self.established and self._judge.content and self._judge.holds


class _Judge:
    """OpenSSL calls it for each certificate of the path, and once more for whatever it does not like."""

    def __init__(self, trust: Trust, wall: datetime, memory: Memory | None) -> None:
        self._trust = trust
        self._wall = wall
        self._memory = memory or Memory()
        self._inquest: Inquest | None = None
        self.content = False
        self.holds = False  # the certificate was not revoked, as far as the profile wants to know
        self.refusal: Refusal | None = None
        self.remark = ""  # what is not known of a certificate that is accepted

    def __call__(
        self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, accepted: int
    ) -> bool:
        """Whether the handshake may go on; the server's own certificate (depth 0) is the last to be asked about."""
        if accepted and depth:
            return True
        try:
            self._verify(connection, error)
        except Refusal as refusal:
            self.refusal = refusal
            return False
        self.content = True
        return True

    def _verify(self, connection: SSL.Connection, error: int) -> None:
        # As octets: OpenSSL reads certificates that `cryptography` does not.
        sent = [
            crypto.dump_certificate(crypto.FILETYPE_ASN1, it) for it in connection.get_peer_cert_chain() or []
        ]
        vouched = verify_login_server(self._trust, sent, self._wall)
        if error:
            reason = f"the login server's certificate is refused by OpenSSL: {_name_of(error)}"
            raise TrustError(Kind.TRUST_NO_PROOF, reason)
        self._inquest = self._trust.inquest(vouched.path, self._memory, self._wall)

    def hear_staple(self, _connection: SSL.Connection, staple: bytes, _data: object) -> bool:
        """OpenSSL calls it once the server has or has not sent an OCSP response (RFC 6066 section 8).

        Nobody can be asked in the course of TLS: what is not at hand by now is not known.
        """
        if self._inquest is None:
            return False
        try:
            self._inquest.offer([staple] if staple else (), "the login server")
            self.remark = self._inquest.conclude()
        except Refusal as refusal:
            self.refusal = refusal
            return False
        self.holds = True
        return True


def _client_context(trust: Trust, wall: datetime, identity: TlsIdentity | None, judge: _Judge) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    prepare(context, trust.anchors, wall)
    context.set_verify(SSL.VERIFY_PEER, judge)
    context.set_ocsp_client_callback(judge.hear_staple)
    if identity is not None:
        show(context, identity)
    return context


def prepare(context: SSL.Context, anchors: tuple[x509.Certificate, ...], wall: datetime) -> None:
    """What both roles have in common: versions, algorithms, whom to believe and what time it is."""
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(OPTIONS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify_depth(DEPTH)
    store = context.get_cert_store()
    if store is None:
        raise AssertionError("a context has a store")
    for anchor in anchors:
        store.add_cert(crypto.X509.from_cryptography(anchor))
    store.set_flags(
        crypto.X509StoreFlags.PARTIAL_CHAIN
    )  # whatever the profile names is an anchor, root or not
    store.set_time(wall)


def show(context: SSL.Context, identity: TlsIdentity) -> None:
    """Prove ourselves with a certificate where the other end asks for one."""
    first, *others = [x509.load_der_x509_certificate(der) for der in identity.chain]
    context.use_certificate(first)
    for certificate in others:
        context.add_extra_chain_cert(certificate)
    context.use_privatekey(identity.key)


def _name_of(error: int) -> str:
    names = {
        number: name for name, number in vars(SSL.X509VerificationCodes).items() if isinstance(number, int)
    }
    return names.get(error, f"error {error}")


def _reason(error: SSL.Error) -> str:
    """OpenSSL's words for the last thing that went wrong."""
    entries = error.args[0] if error.args and isinstance(error.args[0], list) else []
    return str(entries[-1][2]) if entries else "TLS broke off"
