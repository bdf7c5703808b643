"""What several formats say in the same way: names, certificates, networks, name servers, times."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network, summarize_address_range

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from .. import containers
from .draft import Draft
from .errors import ImportRefused
from .fields import Fields
from .limits import bounded

Network = IPv4Network | IPv6Network
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_MOST_NETWORKS = 512


def looks_like_dn(text: str) -> bool:
    """Whether a name is written as a distinguished name."""
    return "=" in text and not text.startswith("@")


def host(text: str, where: str) -> str:
    """A host name or an address; anything else is refused."""
    name = bounded(text.strip(), where)
    plain = name.removeprefix("[").removesuffix("]")
    if not name or len(plain) > 253 or any(sign in plain for sign in " /\\\"'@?#<>;,&|$`"):
        raise ImportRefused(where, f'"{name[:60]}" is neither a host name nor an address')
    try:
        return str(ip_address(plain))
    except ValueError:
        if ":" in plain or not plain.isascii():
            raise ImportRefused(where, f'"{name[:60]}" is neither a host name nor an address') from None
        return plain


def addresses(texts: Sequence[str], where: str) -> list[str]:
    """Addresses of name servers."""
    try:
        return [str(ip_address(text.strip())) for text in texts if text.strip()]
    except ValueError as error:
        raise ImportRefused(where, str(error)[:120]) from None


def networks(texts: Sequence[str], where: str) -> list[Network]:
    """Networks from CIDR, single addresses and ranges (first-last); host bits are taken away."""
    found: list[Network] = []
    for text in texts:
        found += _network(text.strip(), where)
        if len(found) > _MOST_NETWORKS:
            raise ImportRefused(where, f"comes to more than {_MOST_NETWORKS} networks")
    return list(dict.fromkeys(found))


def _network(text: str, where: str) -> list[Network]:
    first, dash, last = text.partition("-")
    try:
        if dash:
            low, high = ip_address(first.strip()), ip_address(last.strip())
            return list(summarize_address_range(low, high))
        return [ip_network(text.partition("[")[0], strict=False)]
    except (ValueError, TypeError):
        raise ImportRefused(where, f'"{text[:60]}" is no network') from None


def is_everything(network: Network) -> bool:
    """Whether a network is all there is of its family."""
    return network.prefixlen == 0


def route(draft: Draft, source: str, wanted: Sequence[Network]) -> None:
    """Full where everything is wanted, else split with these networks."""
    if any(is_everything(network) for network in wanted):
        draft.keep(source, "routing.mode", "full", "Everything goes through the tunnel.")
        return
    draft.put("routing.mode", "split")
    draft.keep(source, "routing.include", [str(network) for network in wanted])


def seconds(text: str, where: str) -> int | None:
    """A time such as 30s, 4h or 600; None where it is none."""
    text = text.strip().lower()
    unit = _UNITS.get(text[-1:], 0)
    number = text[:-1] if unit else text
    if not number.isdecimal() or len(number) > 9:
        raise ImportRefused(where, f'"{text[:40]}" is no time')
    return int(number) * (unit or 1)


def clamped(
    draft: Draft, source: str, path: str, value: int, least: int, most: int, unit: str = "seconds"
) -> None:
    """A number, moved into the range that Roam has for it."""
    if least <= value <= most:
        draft.keep(source, path, value)
        return
    near = min(max(value, least), most)
    draft.bend(source, path, near, f"{value} becomes {near}: Roam takes {least} to {most} {unit}.")


def certificate(octets: bytes, where: str) -> list[x509.Certificate]:
    """The certificates in some octets; a refusal where there is none."""
    try:
        found = containers.certificates(octets)
        for entry in found:  # which parses them to the end
            _ = (entry.subject, entry.issuer, entry.not_valid_after_utc, entry.public_bytes(Encoding.PEM))
    except containers.UNREADABLE:
        raise ImportRefused(where, "is no certificate") from None
    if not found or len(found) > 64:
        raise ImportRefused(where, "is no certificate" if not found else "holds more than 64 certificates")
    return found


def anchor(draft: Draft, source: str, octets: bytes) -> None:
    """A certificate to trust: an authority into trust.ca, the gateway's own as the pin of its key."""
    for found in certificate(octets, source):
        if containers.is_authority(found) or found.issuer == found.subject:
            pem = found.public_bytes(Encoding.PEM)
            if draft.has_file(pem):
                draft.honoured(source, "The same certificate once more.", "trust.ca")
                continue
            draft.file(
                source,
                "trust.ca",
                "ca.pem",
                pem,
                "Kept beside the profile: Roam trusts it for this gateway alone.",
            )
        else:
            pins = draft.value("trust.pin")
            known = pins if isinstance(pins, list) else []
            draft.keep(
                source,
                "trust.pin",
                [*known, fingerprint(found)],
                "The gateway's own certificate: its key is pinned.",
            )


def fingerprint(found: x509.Certificate) -> str:
    """The pin of a certificate's key."""
    try:
        octets = found.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except containers.UNREADABLE:
        raise ImportRefused("", "holds a certificate with a key of no known kind") from None
    return f"sha256:{hashlib.sha256(octets).hexdigest()}"


def common_name(found: x509.Certificate) -> str:
    """The CN of its subject, "" without."""
    try:
        names = found.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    except containers.UNREADABLE:
        return ""
    return str(names[0].value) if names else ""


def system_trust(draft: Draft, source: str, text: str) -> None:
    """No authority in the file: the system's store, as the other program has it."""
    if draft.value("trust.ca") is None and draft.value("trust.pin") is None:
        draft.put("trust.system_store", True)
        draft.honoured(source, text, "trust.system_store")


def leftovers(draft: Draft, fields: Fields, reasons: dict[str, str] | None = None) -> None:
    """Report every key that nobody has asked for."""
    for key in fields.rest():
        sentence = (reasons or {}).get(key, "Roam does not know this key.")
        draft.ignore(fields.path(bounded(key, "key")), sentence)
