"""The octets of a private key that nobody else may have."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from client.ike.signatures import PrivateKey


def private_octets(key: PrivateKey) -> bytes:
    """A number that makes the key private, as long as its encodings have it."""
    match key:
        case rsa.RSAPrivateKey():
            prime = key.private_numbers().p
            return prime.to_bytes((prime.bit_length() + 7) // 8)
        case ec.EllipticCurvePrivateKey():
            return key.private_numbers().private_value.to_bytes((key.key_size + 7) // 8)
        case _:
            return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
