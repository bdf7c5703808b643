"""Handshake messages of TLS 1.2 and 1.3, as a client writes and reads them.

    type (1) | length (3) | body

What does not parse raises `InvalidSyntax`, what parses and may not be raises `Fault`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from ..buffer import Reader, Writer
from ..errors import InvalidSyntax
from .faults import Alert, Fault
from .suites import GROUPS, SCHEMES, SUITES, TLS_1_2, TLS_1_3, Suite

HEADER_SIZE = 4
LARGEST = 65536  # octets of a message: a long chain of certificates has a tenth of that
LARGEST_COOKIE = 16384  # octets that we say again: with them a hello must stay within its own limits
LARGEST_SESSION = 32
RANDOM_SIZE = 32
RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446 section 4.1.3)."""
NO_RENEGOTIATION = 0x00FF  # a suite that is none: we know RFC 5746, and never renegotiate
_NAMED_CURVE = 3
_OCSP = 1


class HandshakeType(IntEnum):
    """What a message is."""

    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    NEW_SESSION_TICKET = 4
    ENCRYPTED_EXTENSIONS = 8
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20
    CERTIFICATE_STATUS = 22
    KEY_UPDATE = 24
    MESSAGE_HASH = 254
    CHANGE_CIPHER_SPEC = 256  # no message, but TLS 1.2 has it in their order


class Extension(IntEnum):
    """Extensions that we send."""

    STATUS_REQUEST = 5
    SUPPORTED_GROUPS = 10
    EC_POINT_FORMATS = 11
    SIGNATURE_ALGORITHMS = 13
    EXTENDED_MASTER_SECRET = 23
    SUPPORTED_VERSIONS = 43
    COOKIE = 44
    KEY_SHARE = 51
    RENEGOTIATION_INFO = 0xFF01


Extensions = Mapping[int, bytes]


@dataclass(frozen=True, slots=True)
class Message:
    """One message; `octets` are all of it, as the transcript has them."""

    type: int
    body: bytes = field(repr=False)

    @property
    def octets(self) -> bytes:
        """With its header."""
        return Writer().uint(self.type, 1).uint(len(self.body), 3).write(self.body).bytes()


def _vector(octets: bytes, size: int) -> bytes:
    """Octets behind their number."""
    return len(octets).to_bytes(size) + octets


def _numbers(values: Iterable[int], size: int = 2) -> bytes:
    return _vector(b"".join(value.to_bytes(2) for value in values), size)


def pull_numbers(reader: Reader) -> tuple[int, ...]:
    """A list of numbers of two octets."""
    block = reader.block(reader.uint(2))
    found = []
    while block.remaining:
        found.append(block.uint(2))
    return tuple(found)


def pull_extensions(reader: Reader, allowed: Iterable[int]) -> dict[int, bytes]:
    """All that are left of a message; `Fault` for what we have not asked for (RFC 8446 section 4.2)."""
    found: dict[int, bytes] = {}
    if not reader.remaining:  # TLS 1.2 may leave out even their number
        return found
    block = reader.block(reader.uint(2))
    reader.finish()
    while block.remaining:
        kind = block.uint(2)
        if kind in found:
            raise Fault(Alert.ILLEGAL_PARAMETER, f"two extensions {kind} in one message of TLS")
        if kind not in allowed:
            raise Fault(Alert.UNSUPPORTED_EXTENSION, f"an extension {kind} in TLS that was not asked for")
        found[kind] = block.take(block.uint(2))
    return found


@dataclass(frozen=True, slots=True)
class ClientHello:
    """What we offer; `versions` best first."""

    random: bytes
    versions: tuple[int, ...]
    shares: tuple[tuple[int, bytes], ...]
    cookie: bytes | None = None

    def message(self) -> Message:
        """RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2."""
        suites = [suite.id for suite in SUITES.values() if suite.version in self.versions]
        writer = Writer().uint(TLS_1_2, 2).write(self.random)
        writer.uint(0, 1)  # no session to resume; EAP has no middlebox that would want one
        writer.write(_numbers([*suites, NO_RENEGOTIATION])).write(b"\x01\0")
        extensions = b"".join(kind.to_bytes(2) + _vector(body, 2) for kind, body in self._extensions())
        return Message(HandshakeType.CLIENT_HELLO, writer.write(_vector(extensions, 2)).bytes())

    def _extensions(self) -> Iterable[tuple[Extension, bytes]]:
        yield Extension.SUPPORTED_GROUPS, _numbers(GROUPS)
        yield Extension.SIGNATURE_ALGORITHMS, _numbers(SCHEMES)
        yield Extension.STATUS_REQUEST, bytes([_OCSP, 0, 0, 0, 0])
        if TLS_1_2 in self.versions:
            yield Extension.EC_POINT_FORMATS, b"\x01\0"
            yield Extension.EXTENDED_MASTER_SECRET, b""
        if TLS_1_3 in self.versions:
            yield Extension.SUPPORTED_VERSIONS, _numbers(self.versions, 1)
            shares = b"".join(group.to_bytes(2) + _vector(public, 2) for group, public in self.shares)
            yield Extension.KEY_SHARE, _vector(shares, 2)
        if self.cookie is not None:
            yield Extension.COOKIE, self.cookie


@dataclass(frozen=True, slots=True)
class ServerHello:
    """What the server has chosen."""

    random: bytes
    suite: Suite
    version: int
    extensions: Extensions = field(repr=False)

    @classmethod
    def pull(cls, message: Message, offered: ClientHello) -> ServerHello:
        """Parse it; `Fault` for what was not on offer."""
        reader = Reader(message.body)
        legacy, random = reader.uint(2), reader.take(RANDOM_SIZE)
        session = reader.take(reader.uint(1))
        number, compression = reader.uint(2), reader.uint(1)
        extensions = pull_extensions(reader, _ANSWERS)
        version = _version(legacy, extensions)
        if version not in offered.versions or legacy != TLS_1_2:
            raise Fault(Alert.PROTOCOL_VERSION, "the server speaks no version of TLS that we offer")
        suite = SUITES.get(number)
        if suite is None or suite.version != version or compression:
            raise Fault(Alert.ILLEGAL_PARAMETER, "the server chose a cipher suite that is not on offer")
        if len(session) > (LARGEST_SESSION if version == TLS_1_2 else 0):
            raise Fault(Alert.ILLEGAL_PARAMETER, "the server resumes a session that there is not")
        _check_downgrade(version, random, offered)
        hello = cls(random, suite, version, extensions)
        hello._check_places()
        return hello

    def _check_places(self) -> None:
        """Each extension has its messages (RFC 8446 section 4.2): those of one version say nothing in the other."""
        if misplaced := set(self.extensions) - (_IN_RETRY if self.wants_another else _IN_HELLO[self.version]):
            raise Fault(
                Alert.ILLEGAL_PARAMETER, f"extensions {sorted(misplaced)} in a hello of TLS without place"
            )

    @property
    def wants_another(self) -> bool:
        """Whether this is a HelloRetryRequest."""
        return self.version == TLS_1_3 and self.random == RETRY


_IN_HELLO: Mapping[int, frozenset[Extension]] = {
    TLS_1_2: frozenset(
        {
            Extension.STATUS_REQUEST,
            Extension.EC_POINT_FORMATS,
            Extension.EXTENDED_MASTER_SECRET,
            Extension.RENEGOTIATION_INFO,
        }
    ),
    TLS_1_3: frozenset({Extension.SUPPORTED_VERSIONS, Extension.KEY_SHARE}),
}
_IN_RETRY = _IN_HELLO[TLS_1_3] | {Extension.COOKIE}
_ANSWERS = _IN_HELLO[TLS_1_2] | _IN_RETRY
_DOWNGRADES = (b"DOWNGRD\x01", b"DOWNGRD\0")  # to TLS 1.2, and to what is older


def _version(legacy: int, extensions: Extensions) -> int:
    """The version chosen; the extension is for those after 1.2 alone (RFC 8446 section 4.2.1)."""
    chosen = extensions.get(Extension.SUPPORTED_VERSIONS)
    if chosen is None:
        return legacy
    if chosen != TLS_1_3.to_bytes(2):
        raise Fault(Alert.ILLEGAL_PARAMETER, "the server chose a version of TLS that is not on offer")
    return TLS_1_3


def _check_downgrade(version: int, random: bytes, offered: ClientHello) -> None:
    """Somebody in between may have taken TLS 1.3 out of our offer (RFC 8446 section 4.1.3)."""
    if version == TLS_1_2 and TLS_1_3 in offered.versions and random[24:] in _DOWNGRADES:
        raise Fault(Alert.ILLEGAL_PARAMETER, "somebody in between has removed TLS 1.3 from the offer")


def pull_cookie(body: bytes) -> bytes:
    """What a HelloRetryRequest wants to hear again, as it stands (RFC 8446 section 4.2.2)."""
    reader = Reader(body)
    size = len(reader.take(reader.uint(2)))
    reader.finish()
    if not 0 < size <= LARGEST_COOKIE:
        raise Fault(Alert.ILLEGAL_PARAMETER, f"a cookie of {size} octets in TLS")
    return body


def pull_share(body: bytes) -> tuple[int, bytes]:
    """The server's key_share: group and public value."""
    reader = Reader(body)
    group, public = reader.uint(2), reader.take(reader.uint(2))
    reader.finish()
    return group, public


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """The server's chain, its own certificate first, and the OCSP response that it staples to that one."""

    chain: tuple[bytes, ...] = field(repr=False)
    staple: bytes = field(default=b"", repr=False)

    @classmethod
    def pull12(cls, body: bytes) -> ServerCertificate:
        """RFC 5246 section 7.4.2."""
        reader = Reader(body)
        block = reader.block(reader.uint(3))
        reader.finish()
        chain = []
        while block.remaining:
            chain.append(block.take(block.uint(3)))
        return cls(tuple(chain))

    @classmethod
    def pull13(cls, body: bytes) -> ServerCertificate:
        """RFC 8446 section 4.4.2."""
        reader = Reader(body)
        if reader.uint(1):
            raise Fault(Alert.ILLEGAL_PARAMETER, "the server's certificate answers a request of ours")
        block = reader.block(reader.uint(3))
        reader.finish()
        chain, staple = [], b""
        while block.remaining:
            chain.append(block.take(block.uint(3)))
            entry = block.block(block.uint(2))
            extensions = pull_extensions(Reader(_vector(entry.rest(), 2)), {Extension.STATUS_REQUEST})
            if len(chain) == 1 and Extension.STATUS_REQUEST in extensions:
                staple = pull_status(extensions[Extension.STATUS_REQUEST])
        return cls(tuple(chain), staple)


def pull_status(body: bytes) -> bytes:
    """An OCSP response (RFC 6066 section 8)."""
    reader = Reader(body)
    if reader.uint(1) != _OCSP:
        raise InvalidSyntax("a certificate status that is no OCSP response")
    response = reader.take(reader.uint(3))
    reader.finish()
    return response


def push_certificate(chain: Iterable[bytes], version: int) -> Message:
    """Our chain; in TLS 1.3 with an empty context in front, and no extensions to an entry."""
    before, after = (b"\0", bytes(2)) if version == TLS_1_3 else (b"", b"")
    entries = b"".join(_vector(der, 3) + after for der in chain)
    return Message(HandshakeType.CERTIFICATE, before + _vector(entries, 3))


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """The server wants to see our certificate; by which signature schemes."""

    schemes: tuple[int, ...]

    @classmethod
    def pull12(cls, body: bytes) -> CertificateRequest:
        """RFC 5246 section 7.4.4; whose certificates it likes is for the user to know."""
        reader = Reader(body)
        reader.take(reader.uint(1))
        schemes = pull_numbers(reader)
        reader.take(reader.uint(2))
        reader.finish()
        return cls(schemes)

    @classmethod
    def pull13(cls, body: bytes) -> CertificateRequest:
        """RFC 8446 section 4.3.2; extensions that we do not know are no fault here."""
        reader = Reader(body)
        if reader.uint(1):
            raise Fault(Alert.ILLEGAL_PARAMETER, "a request after the handshake in the middle of it")
        extensions = pull_extensions(reader, range(0x10000))
        if Extension.SIGNATURE_ALGORITHMS not in extensions:
            raise Fault(Alert.MISSING_EXTENSION, "the server does not say what signatures it takes")
        schemes = Reader(extensions[Extension.SIGNATURE_ALGORITHMS])
        request = cls(pull_numbers(schemes))
        schemes.finish()
        return request


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature and its scheme: CertificateVerify, and the end of ServerKeyExchange."""

    scheme: int
    signature: bytes = field(repr=False)

    @classmethod
    def pull(cls, reader: Reader) -> Signed:
        """RFC 8446 section 4.4.3."""
        signed = cls(reader.uint(2), reader.take(reader.uint(2)))
        reader.finish()
        return signed

    def verify_message(self) -> Message:
        """Our CertificateVerify."""
        body = self.scheme.to_bytes(2) + _vector(self.signature, 2)
        return Message(HandshakeType.CERTIFICATE_VERIFY, body)


@dataclass(frozen=True, slots=True)
class ServerKeyExchange:
    """The server's half of the key agreement in TLS 1.2 (RFC 8422 section 5.4); `parameters` is what it signs."""

    group: int
    public: bytes
    parameters: bytes
    signed: Signed

    @classmethod
    def pull(cls, body: bytes) -> ServerKeyExchange:
        """Named curves alone."""
        reader = Reader(body)
        if reader.uint(1) != _NAMED_CURVE:
            raise Fault(Alert.HANDSHAKE_FAILURE, "the server made up a curve of its own")
        group, public = reader.uint(2), reader.take(reader.uint(1))
        parameters = body[: len(body) - reader.remaining]
        return cls(group, public, parameters, Signed.pull(reader))


def push_key_exchange(public: bytes) -> Message:
    """Our half in TLS 1.2 (RFC 8422 section 5.7)."""
    return Message(HandshakeType.CLIENT_KEY_EXCHANGE, _vector(public, 1))
