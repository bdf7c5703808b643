"""SUPPORTED_AUTH_METHODS (RFC 9593): each end says by what the other may prove itself.

The responder says it in IKE_SA_INIT, where we look only for what is better to sign with: an end that has announced
too little is asked all the same.  We say it in IKE_AUTH, to gateways that have said it themselves (section 3.1).
Announcements of responders that come in IKE_INTERMEDIATE are not had, since we do not know that exchange.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from . import signatures
from .buffer import Reader
from .errors import InvalidSyntax
from .options import CertProof, EapProof, Proof, PskProof
from .payloads import Notify
from .registry import AuthMethod, NotifyType
from .signatures import Scheme

ANY_AUTHORITY = 0  # cert link: the announcement is for no authority of CERTREQ in particular (section 3.2.2)


@dataclass(frozen=True, slots=True)
class Announced:
    """What a peer takes: methods that stand by themselves, and the schemes of method 14 that we know."""

    methods: frozenset[int]
    schemes: frozenset[Scheme]

    def takes(self, method: int, scheme: Scheme) -> bool:
        """Whether a signature of this kind is among them."""
        return scheme in self.schemes if method == AuthMethod.DIGITAL_SIGNATURE else method in self.methods


def parse_announcements(data: bytes) -> Announced | None:
    """What the notification says; what is unknown in it is passed over, and one that does not read says nothing."""
    methods, schemes = set(), set()
    reader = Reader(data)
    try:
        while reader.remaining:
            size = reader.uint(1)
            if size < 2:
                return None
            method, rest = reader.uint(1), reader.take(size - 2)
            if method != AuthMethod.DIGITAL_SIGNATURE:
                methods.add(method)
            elif (scheme := signatures.ALGORITHMS.get(rest[1:])) is not None:
                schemes.add(scheme)
    except InvalidSyntax:
        return None
    return Announced(frozenset(methods), frozenset(schemes))


def announce(proof: Proof) -> tuple[Notify, ...]:
    """By what the gateway may prove itself to us; nothing where only EAP proves it."""
    data = b"".join(_announcements(proof))
    return (Notify(NotifyType.SUPPORTED_AUTH_METHODS, data),) if data else ()


def _announcements(proof: Proof) -> Iterator[bytes]:
    match proof:
        case PskProof():
            yield _announcement(AuthMethod.SHARED_KEY_MIC)
        case CertProof(trust) | EapProof(trust) if trust is not None:
            for algorithm in signatures.own_identifiers():
                yield _announcement(AuthMethod.DIGITAL_SIGNATURE, bytes([ANY_AUTHORITY]) + algorithm)
            for method in signatures.CURVES:
                yield _announcement(method, bytes([ANY_AUTHORITY]))
            if trust.allow_sha1:
                yield _announcement(AuthMethod.RSA_SIGNATURE, bytes([ANY_AUTHORITY]))
        case _:
            return


def _announcement(method: int, rest: bytes = b"") -> bytes:
    return bytes([2 + len(rest), method]) + rest
