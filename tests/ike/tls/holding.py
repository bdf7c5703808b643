"""What the tests of our own TLS share: a client whose key somebody else holds, and OpenSSL as the server."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from OpenSSL import SSL

from client.ike.eap.tls import TlsEnd
from client.ike.options import DistantIdentity
from client.ike.tls.client import DistantTls
from client.ike.trust import Trust
from client.lab.pki import Issued, KeyKind
from tests.ike.eap.dialogue import seeded
from tests.ike.eap.test_tls import accepting, server_context
from tests.ike.eap.tls_dialogue import AUTHORITY, BETWEEN, NAME, OPTIONS, SERVER, VALID, VERSIONS, WALL
from tests.ike.test_distant_signers import answer

CARD = "pkcs11:token=card"


@cache
def user(kind: KeyKind = "ecdsa") -> Issued:
    """A user with a key of a kind."""
    return AUTHORITY.issue("CN=anna", server=False, key=kind, **VALID)


@cache
def server(kind: KeyKind) -> Issued:
    """A login server with a key of a kind."""
    return BETWEEN.issue(f"CN={NAME}", dns=[NAME], key=kind, **VALID)


def identity(issued: Issued, *, signs_pss: bool = True) -> DistantIdentity:
    return DistantIdentity(issued.chain, CARD, issued.key.public_key(), signs_pss)


def client(
    issued: Issued, trust: Trust = OPTIONS.trust, *, signs_pss: bool = True, seed: str = "client"
) -> DistantTls:
    return DistantTls(trust, WALL, identity(issued, signs_pss=signs_pss), seeded(seed))


@dataclass
class Ends:
    """Both ends, and the key that proves who we are."""

    here: DistantTls
    there: TlsEnd
    issued: Issued

    def reach_signature(self) -> None:
        """Until our signature is due."""
        self.here.receive(b"")
        for _ in range(2):  # the second time after a HelloRetryRequest
            if self.here.wanted is None:
                self.there.receive(self.here.take())
                self.here.receive(self.there.take())
        assert self.here.wanted is not None

    def sign(self) -> bytes:
        """Our signature, and what the server has said meanwhile."""
        assert self.here.wanted is not None
        return self.here.resume(answer(self.issued.key, self.here.wanted))

    def shake_hands(self) -> None:
        """The whole handshake."""
        self.reach_signature()
        self.sign()
        self.there.receive(self.here.take())
        self.here.receive(self.there.take())
        assert self.here.established
        assert self.there.established


def ends(
    version: str, issued: Issued | None = None, there: Issued = SERVER, context: SSL.Context | None = None
) -> Ends:
    issued = issued or user()
    listening = context or server_context(there, VERSIONS[version])
    return Ends(client(issued), TlsEnd(accepting(listening)), issued)
