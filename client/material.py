"""What a profile refers to, in the caller's hands: file contents and secrets become keys and certificates.  Pure.

The caller has read the files and fetched the secrets; both come keyed by the reference as the profile writes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from profiles import containers
from profiles.errors import ProfileError
from profiles.model import LocalRound

from .ike.authentication import PrivateKey, PublicKey
from .ike.distinguished import quoted
from .ike.identity import Identity
from .ike.keys import OneTimeCode, Secret
from .ike.revocation import Unusable, load_list

MOST_CHOICES = 9  # certificates that a question names

T = TypeVar("T")
Anchors = tuple[x509.Certificate, ...]


class SecretMissing(Exception):
    """The profile's reference `text` has no value yet: the user must be asked.

    `kind` is one of the control protocol's kinds of secret, or "key": a private key, which only another
    `up` can bring.  `why` is said where there was one that will not do.
    """

    def __init__(self, text: str, path: str, kind: str, why: str = "") -> None:
        super().__init__(f"{path} needs the secret {text}")
        self.text = text
        self.path = path
        self.kind = kind
        self.why = why


@dataclass(frozen=True, slots=True)
class Material:
    """File contents and secrets, by reference; codes that serve once, apart."""

    files: Mapping[str, bytes]
    secrets: Mapping[str, Secret]
    system_authorities: bytes = b""  # PEM bundle of the system's trust store
    codes: Mapping[str, OneTimeCode] = field(default_factory=dict)
    pins: frozenset[str] = frozenset()  # fingerprint of the gateway's key that the user has confirmed

    def file(self, reference: str, path: str) -> bytes:
        """The octets of a file; `ProfileError` where the caller did not hand them over."""
        try:
            return self.files[reference]
        except KeyError:
            raise ProfileError(path, f'"{reference}" was not handed over with the profile') from None

    def key(self, reference: str, path: str) -> bytes:
        """The octets of a file with a private key, which the daemon never stores."""
        try:
            return self.files[reference]
        except KeyError:
            raise SecretMissing(reference, path, "key") from None

    def code(self, reference: str, path: str) -> OneTimeCode:
        """A code, spent or not; `SecretMissing` where nobody has given any yet."""
        try:
            return self.codes[reference]
        except KeyError:
            raise SecretMissing(reference, path, "otp") from None

    def secret(self, reference: str, path: str, kind: str = "password") -> Secret:
        """A secret; `SecretMissing` where nobody has given it yet."""
        try:
            return self.secrets[reference]
        except KeyError:
            raise SecretMissing(reference, path, kind) from None


def at(path: str, make: Callable[[], T]) -> T:
    """What `make` makes; its ValueError becomes the profile's error at `path`."""
    try:
        return make()
    except ProfileError:
        raise
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ProfileError(path, str(error)) from None


@dataclass(frozen=True, slots=True)
class KeyElsewhere:
    """A private key that its holder keeps: what the profile calls it, and its public half."""

    reference: str
    public: PublicKey = field(repr=False)

    def public_key(self) -> PublicKey:
        """As of a private key."""
        return self.public

    @property
    def signs_pss(self) -> bool:
        """Whether its holder may know RSA-PSS where it needs to: an SSH agent does not."""
        return not (self.reference.startswith("agent:") and isinstance(self.public, rsa.RSAPublicKey))


@dataclass(frozen=True, slots=True)
class OwnKey:
    """Our private key with its certificates in DER, ours first; and who that makes us."""

    key: PrivateKey | KeyElsewhere = field(repr=False)
    chain: tuple[bytes, ...]
    subject: Identity | None  # None without a certificate

    @property
    def public(self) -> bytes:
        """The SubjectPublicKeyInfo."""
        return self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


_SUBSCRIBER = re.compile(r"[0-9]{6,15}@[a-z0-9-]+(\.[a-z0-9-]+)*")


def subscriber_name(entry: LocalRound, material: Material, path: str) -> str:
    """Who a SIM says that it is: the digit that tells the method wanted, before the IMSI and its network's realm.

    3GPP TS 23.003 section 19.3.2; RFC 4187 section 4.1.1.6, RFC 9048 section 3.
    """
    shown = material.file(entry.sim or "", f"{path}.key").decode("ascii", errors="replace")
    if not _SUBSCRIBER.fullmatch(shown):
        hint = 'Write identity = "…" as the gateway knows the subscription.'
        raise ProfileError(f"{path}.key", "does not say whose subscription it is", hint)
    return ("0" if entry.eap_methods[0] == "aka" else "6") + shown


def own_key(entry: LocalRound, material: Material, path: str) -> OwnKey:
    """What a round's `cert` and `key` say; `SecretMissing` for a passphrase that is not there, or is wrong."""
    if entry.key_is_elsewhere:
        return _key_elsewhere(entry, material, path)
    bundle = _bundle(entry, material, path)
    where = f"{path}.{'key' if entry.key is not None else 'cert'}"
    if bundle.key is None:
        raise ProfileError(where, "holds no private key", "Name the file with the private key in key.")
    if not isinstance(bundle.key, PrivateKey):
        raise ProfileError(where, "is of a kind that IKEv2 cannot sign with")
    if entry.shows_bare_key:
        return OwnKey(bundle.key, (), None)
    if not bundle.chain:
        raise ProfileError(f"{path}.cert", "holds no certificate")
    if bundle.key.public_key() != bundle.chain[0].public_key():
        raise ProfileError(where, "does not belong to the certificate", "Put our certificate first.")
    chain = tuple(certificate.public_bytes(Encoding.DER) for certificate in bundle.chain)
    return OwnKey(bundle.key, chain, Identity.subject_of(bundle.chain[0]))


def _key_elsewhere(entry: LocalRound, material: Material, path: str) -> OwnKey:
    """The certificate, or the public key, of a key that stays where it is."""
    where = f"{path}.{'key' if entry.key is not None else 'cert'}"
    reference = entry.key_file or ""
    shown = material.file(reference, where)
    if entry.cert is None:
        return OwnKey(KeyElsewhere(reference, _public_key(shown, where)), (), None)
    chain = _certificates(material.file(entry.cert, f"{path}.cert"), f"{path}.cert")
    key = chain[0].public_key()
    if key != at(where, lambda: containers.public_key(shown)):
        raise ProfileError(where, "does not belong to the certificate", "Put our certificate first.")
    if not isinstance(key, PublicKey):
        raise ProfileError(where, "is of a kind that IKEv2 cannot sign with")
    octets = tuple(certificate.public_bytes(Encoding.DER) for certificate in chain)
    return OwnKey(KeyElsewhere(reference, key), octets, Identity.subject_of(chain[0]))


def _public_key(octets: bytes, path: str) -> PublicKey:
    key = at(path, lambda: containers.public_key(octets))
    if not isinstance(key, PublicKey):
        raise ProfileError(path, "is of a kind that IKEv2 cannot sign with")
    return key


def _bundle(entry: LocalRound, material: Material, path: str) -> containers.Bundle:
    """Key and chain: from two files, or from one that holds both."""
    if entry.cert is None:
        if entry.key is None:
            raise AssertionError("the profile was not checked")
        where = f"{path}.key"
        return _open(material.key(entry.key, where), entry, material, path, where)
    if entry.key is None:
        where = f"{path}.cert"
        octets = material.key(entry.cert, where)
        first = _open(octets, entry, material, path, where)
        return _chosen(octets, entry, material, where) or first
    where = f"{path}.key"
    chain = _certificates(material.file(entry.cert, f"{path}.cert"), f"{path}.cert")
    found = _open(material.key(entry.key, where), entry, material, path, where)
    return containers.Bundle(found.key, tuple(chain) or found.chain)


def _chosen(octets: bytes, entry: LocalRound, material: Material, where: str) -> containers.Bundle | None:
    """The certificate that its owner has chosen of several; None where there is nothing to choose."""
    reference = entry.cert or ""
    passphrase = material.secrets[entry.secret].reveal() if containers.is_locked(octets) else None
    found = at(where, lambda: containers.choices(octets, passphrase))
    if len(found) < 2:
        return found[0] if found else None
    answer = material.secrets.get(reference)
    said = "" if answer is None else answer.reveal().decode(errors="replace").strip()
    if said in map(str, range(1, len(found) + 1)):
        return found[int(said) - 1]
    lines = "; ".join(f"{n}: {_described(bundle)}" for n, bundle in enumerate(found[:MOST_CHOICES], 1))
    wrong = f"there is no {said[:20]!r} among them; " if said else ""
    raise SecretMissing(reference, where, "choose-certificate", f"{wrong}{lines}")


def _described(bundle: containers.Bundle) -> str:
    """What tells one certificate of ours from another."""
    mine = bundle.chain[0]
    until = f"{mine.not_valid_after_utc:%Y-%m-%d}"
    serial = f"{mine.serial_number:x}"[:8]  # enough to tell two apart
    return f"{quoted(mine.subject)} by {quoted(mine.issuer)}, until {until}, serial {serial}…"


def _open(octets: bytes, entry: LocalRound, material: Material, path: str, where: str) -> containers.Bundle:
    passphrase = None
    if containers.is_locked(octets):
        if entry.needs_password:
            hint = "Decrypt the key, or allow methods alone that need no password."
            raise ProfileError(
                f"{path}.secret", "cannot be both a password and the passphrase of the key", hint
            )
        passphrase = material.secret(entry.secret, f"{path}.secret", "passphrase").reveal()
    try:
        return containers.read(octets, passphrase)
    except containers.Locked as locked:
        raise SecretMissing(entry.secret, f"{path}.secret", "passphrase", str(locked)) from None
    except ValueError as error:
        raise ProfileError(where, str(error)) from None


def revocation_lists(
    references: tuple[str, ...], material: Material
) -> tuple[x509.CertificateRevocationList, ...]:
    """The lists that the profile has, as they are: whether one is stale is for the login to find out."""
    found = []
    for n, reference in enumerate(references):
        path = f"trust.crl[{n}]"
        try:
            found.append(load_list(material.file(reference, path)))
        except Unusable as error:
            raise ProfileError(path, str(error)) from None
    return tuple(found)


def anchors(octets: bytes, path: str) -> list[x509.Certificate]:
    """Who a file makes trusted: all its certificates, but of somebody's own bundle the authorities alone."""
    if containers.holds_key(octets):
        return list(at(path, lambda: containers.read(octets)).authorities)
    return _certificates(octets, path)


def named_anchors(references: tuple[str, ...], path: str, material: Material) -> Anchors:
    """Who a list of references makes trusted."""
    return tuple(
        certificate
        for n, reference in enumerate(references)
        for certificate in anchors(material.file(reference, f"{path}[{n}]"), f"{path}[{n}]")
    )


def _certificates(octets: bytes, path: str) -> list[x509.Certificate]:
    hint = "The file must be a certificate in PEM (-----BEGIN CERTIFICATE-----) or DER."
    try:
        found = containers.certificates(octets)
    except containers.UNREADABLE:  # the library's words are about its parser
        raise ProfileError(path, "holds no certificate that can be read", hint) from None
    if not found:
        raise ProfileError(path, "holds no certificate", hint)
    return found


def gateway_key(octets: bytes, path: str) -> PublicKey:
    """A public key of the gateway, as PEM or DER; a certificate serves too."""
    key = at(path, lambda: containers.public_key(octets))
    if not isinstance(key, PublicKey):
        raise ProfileError(path, "is of a kind that IKEv2 cannot verify with")
    return key
