"""One sample of everything that a payload can be, with its octets written out by the figures of RFC 7296.

Also the deterministic ways to spoil octets that the payload and message tests share.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from client.ike.events import Selector
from client.ike.payloads import (
    Attribute,
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Delete,
    Eap,
    IdInitiator,
    IdResponder,
    KeyExchange,
    Nonce,
    Notify,
    Payload,
    Proposal,
    SecurityAssociation,
    Transform,
    TsInitiator,
    TsResponder,
    VendorId,
)
from client.ike.registry import (
    AuthMethod,
    CertEncoding,
    CfgAttribute,
    CfgType,
    Encr,
    IdType,
    Integ,
    Kex,
    NotifyType,
    Prf,
    ProtocolId,
    Sn,
    TransformType,
)

ENCR, PRF, INTEG, KE, SN = (
    TransformType.ENCR,
    TransformType.PRF,
    TransformType.INTEG,
    TransformType.KE,
    TransformType.SN,
)

AES_CBC_256 = Transform(ENCR, Encr.AES_CBC, 256)
PRF_SHA256 = Transform(PRF, Prf.HMAC_SHA2_256)
INTEG_SHA256 = Transform(INTEG, Integ.HMAC_SHA2_256_128)
MODP_2048 = Transform(KE, Kex.MODP_2048)
AES_GCM_256 = Transform(ENCR, Encr.AES_GCM_16, 256)
CHACHA20 = Transform(ENCR, Encr.CHACHA20_POLY1305)
NO_ESN = Transform(SN, Sn.SEQUENTIAL_32)
ESN = Transform(SN, Sn.ESN)

SPI = bytes.fromhex("c1c2c3c4")
OTHER_SPI = bytes.fromhex("d1d2d3d4")
IKE_SPI = bytes.fromhex("a1a2a3a4a5a6a7a8")


class Sample(NamedTuple):
    """A payload and the octets of its body, in hexadecimal."""

    name: str
    payload: Payload
    octets: str


SAMPLES = (
    Sample(  # figures 6, 7, 8 and 9: section 3.3
        "SA with one IKE proposal",
        SecurityAssociation(
            (Proposal(1, ProtocolId.IKE, b"", (AES_CBC_256, PRF_SHA256, INTEG_SHA256, MODP_2048)),)
        ),
        "0000002c 010100040300000c 0100000c 800e010003000008 0200000503000008 0300000c00000008 0400000e",
    ),
    Sample(
        "SA with two ESP proposals",
        SecurityAssociation(
            (
                Proposal(1, ProtocolId.ESP, SPI, (AES_GCM_256, NO_ESN)),
                Proposal(2, ProtocolId.ESP, SPI, (CHACHA20, ESN, NO_ESN)),
            )
        ),
        "02000020 01030402 c1c2c3c4"
        "0300000c 01000014 800e0100"
        "00000008 05000000"
        "00000024 02030403 c1c2c3c4"
        "03000008 0100001c"
        "03000008 05000001"
        "00000008 05000000",
    ),
    Sample(
        "SA of an IKE rekey",
        SecurityAssociation((Proposal(1, ProtocolId.IKE, IKE_SPI, (AES_GCM_256, PRF_SHA256, MODP_2048)),)),
        "0000002c 01010803 a1a2a3a4a5a6a7a80300000c 01000014 800e010003000008 0200000500000008 0400000e",
    ),
    Sample(  # figure 10
        "KE",
        KeyExchange(Kex.X25519, bytes(range(32))),
        "001f0000 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
    ),
    Sample(  # figure 11
        "IDi FQDN", IdInitiator(IdType.FQDN, b"laptop.example"), "02000000 6c6170746f702e6578616d706c65"
    ),
    Sample("IDr IPv4", IdResponder(IdType.IPV4_ADDR, bytes([192, 0, 2, 1])), "01000000 c0000201"),
    Sample(
        "IDr with RESERVED octets",
        IdResponder(IdType.KEY_ID, b"key", reserved=b"\x01\x02\x03"),
        "0b010203 6b6579",
    ),
    Sample(  # figure 12
        "CERT", Certificate(CertEncoding.X509_SIGNATURE, bytes.fromhex("3003020101")), "04 3003020101"
    ),
    Sample(  # figure 13
        "CERTREQ of two authorities",
        CertificateRequest(CertEncoding.X509_SIGNATURE, (b"\xaa" * 20, b"\xbb" * 20)),
        "04" + "aa" * 20 + "bb" * 20,
    ),
    Sample("CERTREQ of none", CertificateRequest(CertEncoding.X509_SIGNATURE), "04"),
    Sample(  # figure 14
        "AUTH", Authentication(AuthMethod.SHARED_KEY_MIC, bytes.fromhex("0011223344")), "02000000 0011223344"
    ),
    Sample("Nonce", Nonce(bytes(range(16))), "000102030405060708090a0b0c0d0e0f"),  # figure 15
    Sample(  # figure 16
        "Notify without SPI", Notify(NotifyType.COOKIE, b"\xc0\xc1\xc2"), "00004006 c0c1c2"
    ),
    Sample(
        "Notify with SPI", Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=SPI), "03044009 c1c2c3c4"
    ),
    Sample(  # figure 17
        "Delete of two ESP SAs", Delete(ProtocolId.ESP, (SPI, OTHER_SPI)), "03040002 c1c2c3c4 d1d2d3d4"
    ),
    Sample("Delete of the IKE SA", Delete(ProtocolId.IKE), "01000000"),
    Sample("Vendor ID", VendorId(b"roam"), "726f616d"),  # figure 18
    Sample(  # figures 19 and 20
        "TSi of both families",
        TsInitiator(
            (
                Selector(IPv4Address("0.0.0.0"), IPv4Address("255.255.255.255")),
                Selector(IPv6Address("2001:db8::"), IPv6Address("2001:db8::ff"), 17, 53, 53),
            )
        ),
        "02000000"
        "07000010 0000ffff 00000000 ffffffff"
        "08110028 00350035 20010db8000000000000000000000000 20010db80000000000000000000000ff",
    ),
    Sample(
        "TSr with ICMP and OPAQUE ports",
        TsResponder(
            (
                Selector(IPv4Address("10.77.0.1"), IPv4Address("10.77.0.1"), 1, 0x0800, 0x0800),
                Selector(IPv4Address("10.77.0.0"), IPv4Address("10.77.0.255"), 132, 65535, 0),
            )
        ),
        "02000000 07010010 08000800 0a4d0001 0a4d0001 07840010 ffff0000 0a4d0000 0a4d00ff",
    ),
    Sample(  # figure 22 and 23
        "CP request",
        Configuration(
            CfgType.REQUEST,
            (Attribute(CfgAttribute.INTERNAL_IP4_ADDRESS), Attribute(CfgAttribute.INTERNAL_IP6_ADDRESS)),
        ),
        "01000000 00010000 00080000",
    ),
    Sample(
        "CP reply",
        Configuration(
            CfgType.REPLY,
            (
                Attribute(CfgAttribute.INTERNAL_IP4_ADDRESS, bytes([10, 77, 0, 9])),
                Attribute(CfgAttribute.INTERNAL_DNS_DOMAIN, b"corp"),
            ),
        ),
        "02000000 00010004 0a4d0009 00190004 636f7270",
    ),
    Sample("EAP", Eap(bytes.fromhex("0101000501")), "0101000501"),  # figure 24
)


def spoiled(octets: bytes) -> Iterator[bytes]:
    """Every truncation, octets too many, every bit flipped, and every octet and every pair of octets set to
    0, to its maximum, and to one more and one less: so every length and count field is among them.
    """
    for size in range(len(octets)):
        yield octets[:size]
    yield octets + b"\x00"
    yield octets + octets
    for position in range(len(octets)):
        for bit in range(8):
            yield _replaced(octets, position, octets[position] ^ 1 << bit, 1)
    for size in (1, 2):
        for position in range(len(octets) + 1 - size):
            value = int.from_bytes(octets[position : position + size])
            limit = 1 << 8 * size
            for new in {0, limit - 1, (value + 1) % limit, (value - 1) % limit} - {value}:
                yield _replaced(octets, position, new, size)


def _replaced(octets: bytes, position: int, value: int, size: int) -> bytes:
    return octets[:position] + value.to_bytes(size) + octets[position + size :]
