"""Distinguished names (X.501) as identities: text, DER, comparison.

Text has the order of the encoding, country first, as OpenSSL and strongSwan print certificates:
`C=CH, O=Example, CN=gate.example.org` (RFC 4514 writes it the other way round).

DER from the network is read here and not by `x509.Name`, which warns about, or refuses with several kinds of
exception, names that gateways do have, such as a common name of 65 letters.
"""

from __future__ import annotations

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

from .buffer import Reader
from .errors import InvalidSyntax
from .refusal import printable

_WORDS = {
    "CN": NameOID.COMMON_NAME,
    "C": NameOID.COUNTRY_NAME,
    "DC": NameOID.DOMAIN_COMPONENT,
    "E": NameOID.EMAIL_ADDRESS,
    "EMAIL": NameOID.EMAIL_ADDRESS,
    "EMAILADDRESS": NameOID.EMAIL_ADDRESS,
    "G": NameOID.GIVEN_NAME,
    "GN": NameOID.GIVEN_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "S": NameOID.SURNAME,
    "SN": NameOID.SERIAL_NUMBER,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "T": NameOID.TITLE,
    "UID": NameOID.USER_ID,
}
"""Attribute words as strongSwan reads them, in any case of letters."""

_SHOWN = {oid.dotted_string: word for word, oid in reversed(_WORDS.items())}
_PART = re.compile(r"(?:[^,\\]|\\.)+")

_OID, _SEQUENCE, _SET = 0x06, 0x30, 0x31
_STRINGS = {
    0x0C: "utf-8",
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as everybody reads it
    0x16: "ascii",  # IA5String
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}

Attribute = tuple[str, str | bytes]
"""Dotted object identifier and value: text, or the octets of what is no text."""


def parse(text: str) -> bytes:
    """DER of a name written as `C=CH, O=Example, CN=x` or `/C=CH/O=Example/CN=x`; ValueError otherwise."""
    slashed = text.startswith("/")
    parts = text[1:].replace(",", r"\,").split("/") if slashed else _PART.findall(text)
    rdns = [_tidy(part) for part in reversed(parts)]
    if not rdns:
        raise ValueError(f"{text!r} is an empty name")
    try:
        return x509.Name.from_rfc4514_string(",".join(rdns), _WORDS).public_bytes()
    except ValueError as error:
        raise ValueError(f"{text!r} is no distinguished name {error}".rstrip()) from error


def same(first: bytes, second: bytes) -> bool:
    """True where both are names and equal RDN by RDN, letters' case and blanks aside.

    This is RFC 5280 section 7.1.  The empty name, which certificates with alternative names only have, is
    nobody's identity.
    """
    try:
        return _folded(first) == _folded(second) != []
    except InvalidSyntax:
        return False


def shown(der: bytes) -> str:
    """The name for people, hexadecimal octets where it is none; not yet fit for a terminal."""
    try:
        rdns = _pull(Reader(der))
    except InvalidSyntax:
        return der.hex()
    return ", ".join("+".join(_shown_attribute(*attribute) for attribute in rdn) for rdn in rdns)


def quoted(name: x509.Name) -> str:
    """A certificate's subject or issuer in a sentence, safe to show."""
    words = printable(shown(name.public_bytes()))
    return f"“{words}”" if words else "(no name)"


def _tidy(part: str) -> str:
    """One RDN as the library's parser wants it: word in upper case, no blanks around."""
    word, equals, value = part.partition("=")
    return f"{word.strip().upper()}{equals}{value.strip()}"


def _folded(der: bytes) -> list[frozenset[Attribute]]:
    return [frozenset((oid, _fold(value)) for oid, value in rdn) for rdn in _pull(Reader(der))]


def _fold(value: str | bytes) -> str | bytes:
    return value if isinstance(value, bytes) else " ".join(value.split()).casefold()


def _shown_attribute(oid: str, value: str | bytes) -> str:
    return f"{_SHOWN.get(oid, oid)}={value.hex() if isinstance(value, bytes) else value}"


# DER, of which a name needs very little


def _pull(reader: Reader) -> list[list[Attribute]]:
    """RDNs of a Name: SEQUENCE OF SET OF SEQUENCE { OBJECT IDENTIFIER, value } (RFC 5280 section 4.1.2.4)."""
    names = _expect(reader, _SEQUENCE)
    reader.finish()
    rdns: list[list[Attribute]] = []
    while names.remaining:
        rdn = _expect(names, _SET)
        rdns.append([])
        while rdn.remaining:
            rdns[-1].append(_pull_attribute(_expect(rdn, _SEQUENCE)))
    return rdns


def _pull_attribute(reader: Reader) -> Attribute:
    oid = _dotted(_expect(reader, _OID).rest())
    tag, value = _element(reader)
    reader.finish()
    octets = value.rest()
    try:
        return oid, octets.decode(_STRINGS[tag])
    except (KeyError, UnicodeDecodeError):
        return oid, octets


def _expect(reader: Reader, tag: int) -> Reader:
    found, content = _element(reader)
    if found != tag:
        raise InvalidSyntax(f"ASN.1 tag {found} where {tag} is due")
    return content


def _element(reader: Reader) -> tuple[int, Reader]:
    """Tag and content of the next element; lengths above 65535 are none of a name's."""
    tag, length = reader.uint(1), reader.uint(1)
    if length > 0x82 or length == 0x80:
        raise InvalidSyntax(f"ASN.1 length form {length}")
    if length > 0x80:
        length = reader.uint(length - 0x80)
    return tag, reader.block(length)


def _dotted(octets: bytes) -> str:
    """An object identifier in numbers."""
    arcs, arc = [], 0
    for octet in octets:
        arc = arc << 7 | octet & 0x7F
        if octet < 0x80:
            arcs.append(arc)
            arc = 0
    if not arcs or octets[-1] >= 0x80:
        raise InvalidSyntax("a truncated object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))
