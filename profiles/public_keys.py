"""Public keys and signatures in the forms that agents and cards have them, made into those of everybody else."""

from __future__ import annotations

import base64
import hashlib

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_public_key

from .containers import public_key

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

_CURVES: dict[bytes, type[ec.EllipticCurve]] = {  # by the DER of their object identifier
    bytes.fromhex("06082a8648ce3d030107"): ec.SECP256R1,
    bytes.fromhex("06052b81040022"): ec.SECP384R1,
    bytes.fromhex("06052b81040023"): ec.SECP521R1,
}


def spki(octets: bytes) -> bytes:
    """SubjectPublicKeyInfo of the key in a PEM or DER file, or of the certificate in it; ValueError for neither."""
    return public_key(octets).public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(der: bytes) -> bytes:
    """A certificate as PEM; ValueError for what is none."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)


def pem_of(key: PublicKey) -> bytes:
    """As PEM."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def from_ssh(blob: bytes) -> PublicKey | None:
    """The key in SSH's own encoding (RFC 4253 section 6.6, RFC 5656, RFC 8709); None for other kinds.

    Of OpenSSH's own kinds (`…@openssh.com`: security keys, certificates) none signs what it is given alone.
    """
    name = ssh_kind(blob)
    if b"@" in name:
        return None
    try:
        key = load_ssh_public_key(name + b" " + base64.b64encode(blob))
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, PublicKey) else None


def ssh_kind(blob: bytes) -> bytes:
    """SSH's name for the kind of key."""
    return blob[4 : 4 + int.from_bytes(blob[:4])]


def size_of_signature(key: PublicKey) -> int:
    """Octets of an RSA signature; 0 for other keys."""
    return (key.key_size + 7) // 8 if isinstance(key, rsa.RSAPublicKey) else 0


def fingerprint(blob: bytes) -> str:
    """As `ssh-add -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def rsa_key(modulus: int, exponent: int) -> rsa.RSAPublicKey:
    """From its numbers; ValueError for what is none."""
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def ec_key(parameters: bytes, point: bytes) -> ec.EllipticCurvePublicKey:
    """From EC_PARAMS and EC_POINT of PKCS #11, with or without an OCTET STRING; ValueError for other curves."""
    curve = _CURVES.get(parameters)
    if curve is None:
        raise ValueError("its curve is none that IKEv2 signs with")
    return ec.EllipticCurvePublicKey.from_encoded_point(curve(), _unwrapped(point))


def ed_key(point: bytes) -> Ed25519PublicKey | Ed448PublicKey:
    """From EC_POINT of PKCS #11, likewise."""
    bare = _unwrapped(point) if len(point) not in {32, 57} else point
    return (
        Ed25519PublicKey.from_public_bytes(bare)
        if len(bare) == 32
        else Ed448PublicKey.from_public_bytes(bare)
    )


def _unwrapped(point: bytes) -> bytes:
    """Without the header of an OCTET STRING, which some tokens leave out; a bare point begins with 4."""
    if point[:1] != b"\x04" or len(point) < 3:
        return point
    if point[1] == len(point) - 2:
        return point[2:]
    if point[1] == 0x81 and point[2] == len(point) - 3:
        return point[3:]
    return point


def der_signature(r: int, s: int) -> bytes:
    """An ECDSA signature as DER."""
    return encode_dss_signature(r, s)
