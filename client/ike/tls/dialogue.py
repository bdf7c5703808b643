"""What the flights of both versions share: messages awaited, the server's proof, and our signature.

A handshake is a generator.  It yields what it waits for, `MESSAGE` or the `SignatureWanted`, and is sent it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

from ..authentication import signature_in
from ..events import Kind, Rng, SignatureWanted
from ..inquest import Memory
from ..keys import Secret
from ..options import DistantIdentity
from ..refusal import Refusal
from ..signatures import PublicKey
from ..trust import Trust, verify_login_server
from .faults import Alert, Fault
from .messages import Message, ServerCertificate, Signed
from .records import ContentType, Wire
from .suites import Suite, scheme_of, ways_for

T = TypeVar("T")


class Awaited:
    """The next message of the server's."""


MESSAGE = Awaited()
Steps = Generator[Awaited | SignatureWanted, Message | Secret, T]


class Exporter(Protocol):
    """Keying material for others."""

    def export(self, label: bytes, size: int, context: bytes | None) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Agreed:
    """What a handshake ends in."""

    suite: Suite
    exporter: Exporter


@dataclass(slots=True)
class Dialogue:
    """One handshake's records and transcript, and what we know and believe."""

    trust: Trust
    wall: datetime
    identity: DistantIdentity
    rng: Rng
    memory: Memory
    wire: Wire = field(default_factory=Wire)
    transcript: bytes = b""
    is_1_3: bool = False  # the server's choice, once it is known
    remark: str = ""  # what is not known of the server's certificate, which is accepted
    _flight: bytes = b""

    def say(self, message: Message) -> None:
        """Put a message of ours into the transcript and the flight."""
        self.transcript += message.octets
        self._flight += message.octets

    def flush(self) -> None:
        """Send the flight, which is whole only when our signature is in it."""
        self.wire.write(ContentType.HANDSHAKE, self._flight)
        self._flight = b""

    def expect(self, *types: int) -> Steps[Message]:
        """The server's next message, which must be of these types."""
        message = yield MESSAGE
        if not isinstance(message, Message):
            raise AssertionError("a message was awaited")
        if message.type not in types:
            raise Fault(
                Alert.UNEXPECTED_MESSAGE, f"the server's messages in TLS are out of order: {message.type}"
            )
        if message.type < 256:
            self.transcript += message.octets
        return message

    def judge(self, shown: ServerCertificate) -> PublicKey:
        """The server's key, if it is the one to log in at and not revoked as far as can be known; or `Refusal`."""
        vouched = verify_login_server(self.trust, shown.chain, self.wall)
        inquest = self.trust.inquest(vouched.path, self.memory, self.wall)
        inquest.offer([shown.staple] if shown.staple else (), "the login server")
        self.remark = inquest.conclude()
        return vouched.key

    def sign(self, version: int, accepted: tuple[int, ...], octets: bytes) -> Steps[Message]:
        """Our CertificateVerify over `octets`, by the first scheme that the key's holder can."""
        identity = self.identity
        ways = ways_for(identity.public, version, accepted)
        if not ways:
            evidence = f"the login server takes no signature that {identity.key} can make"
            raise Refusal(Kind.AUTH_METHOD, evidence)
        answer = yield SignatureWanted(identity.key, tuple(ways), octets)
        if not isinstance(answer, Secret):
            raise AssertionError("a signature was awaited")
        schemes = {name: scheme for name, (_, scheme) in ways.items()}
        name, signature = signature_in(answer, identity.key, schemes, identity.public, octets)
        return Signed(ways[name][0], signature).verify_message()


def check_signature(key: PublicKey, version: int, signed: Signed, octets: bytes) -> None:
    """Whether the server has signed with its certificate's key, in a way that we have offered."""
    scheme = scheme_of(signed.scheme, version, key)
    if scheme is None:
        raise Fault(Alert.ILLEGAL_PARAMETER, "the server signs in a way that is not on offer")
    try:
        scheme.verify(key, signed.signature, octets)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError):
        raise Fault(Alert.DECRYPT_ERROR, "the server's signature does not fit its certificate") from None
