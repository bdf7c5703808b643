"""Identities of IKE peers: text as users write it, the ID payload, and the names in a certificate.

The guess at a type follows what strongSwan documents, so that an identity copied from its configuration
means the same here.  Matching follows RFC 4945 section 3.1: an identity counts only where the certificate
carries it in the field meant for its type; a common name proves nothing.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

from cryptography import x509

from . import distinguished
from .events import Address, Network
from .payloads import Identification
from .refusal import printable
from .registry import IdType


@dataclass(frozen=True, slots=True)
class Identity:
    """Type and data of an identification payload (RFC 7296 section 3.5).

    `type` is a plain number where the peer uses one that we do not know; such an identity matches nothing.
    """

    type: int
    data: bytes

    @classmethod
    def parse(cls, text: str, type: str | None = None) -> Self:  # noqa: A002 - the RFC's word
        """The identity that `text` names; ValueError says what is wrong with it.

        `type` is "fqdn", "email", "ipv4", "ipv6", "dn" or "keyid".  Without it the text may start with such
        a word and a colon; else an equals sign makes a distinguished name, an at-sign inside an e-mail
        address, an address literal an address, `@#` a hexadecimal key identifier, and anything else a domain
        name, which a leading at-sign asserts.
        """
        if not text.strip() or not text.isprintable():
            raise ValueError(f"{text!r} is no identity")
        if text in _WILDCARDS:
            raise ValueError(f"{text!r} stands for anybody; name the one that is meant")
        if type is None:
            type, text = _guess(text)  # noqa: A001
        if type not in _PARSERS:
            raise ValueError(f"unknown type of identity {type!r}, known are {', '.join(_PARSERS)}")
        id_type, parser = _PARSERS[type]
        return cls(id_type, parser(text))

    @classmethod
    def of(cls, payload: Identification) -> Self:
        """The identity in a payload, whatever its type."""
        return cls(payload.id_type, payload.data)

    @classmethod
    def subject_of(cls, certificate: x509.Certificate) -> Self:
        """The distinguished name of a certificate, octet by octet."""
        return cls(IdType.DER_ASN1_DN, certificate.subject.public_bytes())

    def payload_fields(self) -> tuple[int, bytes]:
        """ID Type and Identification Data."""
        return self.type, self.data

    def same_as(self, other: Identity) -> bool:
        """True where both name the same peer: letters' case counts only in key identifiers."""
        if self.type != other.type:
            return False
        if self.type == IdType.DER_ASN1_DN:
            return distinguished.same(self.data, other.data)
        if self.type in (IdType.FQDN, IdType.RFC822_ADDR):
            return _fold(self.data) == _fold(other.data)
        return self.data == other.data

    def __str__(self) -> str:
        return _shown(self)


def matches_certificate(identity: Identity, certificate: x509.Certificate) -> bool:
    """True where the certificate carries the identity.

    A domain name needs a dNSName (a wildcard may stand for the one left-most label), an address an iPAddress,
    an e-mail address an rfc822Name, a distinguished name the whole subject.  Other types never match.
    """
    if identity.type == IdType.DER_ASN1_DN:
        return distinguished.same(identity.data, certificate.subject.public_bytes())
    names = alternative_names(certificate)
    text = _fold(identity.data)
    match identity.type:
        case IdType.FQDN:
            return any(_covers(name, text) for name in names.get_values_for_type(x509.DNSName))
        case IdType.RFC822_ADDR:
            return text in [_fold(name.encode()) for name in names.get_values_for_type(x509.RFC822Name)]
        case IdType.IPV4_ADDR | IdType.IPV6_ADDR:
            return identity.data in [_packed(name) for name in names.get_values_for_type(x509.IPAddress)]
        case _:
            return False


def names_of(certificate: x509.Certificate) -> tuple[str, ...]:
    """What the certificate calls its owner, subject first: evidence for the user."""
    subject = distinguished.shown(certificate.subject.public_bytes())
    present = alternative_names(certificate)
    others = [str(name.value) for name in present if not isinstance(name, x509.OtherName)]
    return tuple(printable(name) for name in (subject, *others) if name)


def alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    """The subject alternative names, none where the extension is missing; the library's errors pass."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _covers(pattern: str, name: str) -> bool:
    """RFC 6125 section 6.4.3, at its strictest: `*.example.org` covers one label and no part of one."""
    wanted = _fold(pattern.encode())
    if not wanted.startswith("*."):
        return wanted == name
    label, _, parent = name.partition(".")
    return bool(label) and "." in parent and wanted[2:] == parent


def _fold(data: bytes) -> str:
    """For comparing names: ASCII letters in lower case, no dot of the root."""
    return data.decode("latin-1").removesuffix(".").translate(_LOWER)


_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


def _packed(name: Address | Network) -> bytes:
    """An iPAddress as the payload has it; a network, which belongs in name constraints, is no address."""
    return b"" if isinstance(name, Network) else name.packed


# Text to identity


def _guess(text: str) -> tuple[str, str]:
    """Type word and remaining text."""
    word, colon, rest = text.partition(":")
    if colon and _SYNONYMS.get(word, word) in _PARSERS:
        return _SYNONYMS.get(word, word), rest
    if text.startswith("@#"):
        return "keyid", f"#{text[2:]}"
    if text.startswith("@@"):
        return "email", text[2:]
    if text.startswith("@"):
        return "fqdn", text[1:]
    if "=" in text:
        return "dn", text
    if "@" in text:
        return "email", text
    return _guess_host(text), text


def _guess_host(text: str) -> str:
    try:
        return f"ipv{ipaddress.ip_address(text).version}"
    except ValueError:
        return "fqdn"


def _name(text: str) -> bytes:
    """A domain name or an e-mail address: ASCII without blanks (RFC 7296 section 3.5)."""
    if not text or not text.isascii() or " " in text:
        raise ValueError(f"{text!r} is no name: ASCII without blanks is wanted")
    return text.encode()


def _email(text: str) -> bytes:
    if "@" not in text:
        raise ValueError(f"{text!r} is no e-mail address")
    return _name(text)


def _key_id(text: str) -> bytes:
    """Octets as they are, or hexadecimal after `#`."""
    return bytes.fromhex(text[1:]) if text.startswith("#") else text.encode()


_PARSERS: Mapping[str, tuple[IdType, Callable[[str], bytes]]] = {
    "fqdn": (IdType.FQDN, _name),
    "email": (IdType.RFC822_ADDR, _email),
    "ipv4": (IdType.IPV4_ADDR, lambda text: ipaddress.IPv4Address(text).packed),
    "ipv6": (IdType.IPV6_ADDR, lambda text: ipaddress.IPv6Address(text).packed),
    "dn": (IdType.DER_ASN1_DN, distinguished.parse),
    "keyid": (IdType.KEY_ID, _key_id),
}
_WILDCARDS = ("%any", "%any4", "%any6", "*", "0.0.0.0", "::")
_SYNONYMS = {"dns": "fqdn", "rfc822": "email", "userfqdn": "email", "asn1dn": "dn"}


# Identity to text


def _shown(identity: Identity) -> str:
    """For people; identities come from the network, so nothing unprintable gets through."""
    match identity.type, len(identity.data):
        case (IdType.IPV4_ADDR, 4) | (IdType.IPV6_ADDR, 16):
            return str(ipaddress.ip_address(identity.data))
        case (IdType.DER_ASN1_DN, _):
            return printable(distinguished.shown(identity.data)) or "(empty name)"
        case (IdType.FQDN | IdType.RFC822_ADDR, _):
            return printable(identity.data.decode(errors="replace"))
        case _:
            return _shown_octets(identity)


def _shown_octets(identity: Identity) -> str:
    """A key identifier that reads as text, or a number and hexadecimal octets."""
    text = identity.data.decode("ascii", errors="replace")
    if identity.type == IdType.KEY_ID and text and text.isprintable() and text.isascii():
        return printable(text)
    return f"({identity.type}) {printable(identity.data.hex())}"
