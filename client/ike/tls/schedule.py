"""The keys of TLS: the PRF of version 1.2 (RFC 5246 section 5) and the schedule of 1.3 (RFC 8446 section 7.1)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field

from .records import Aead12, Aead13
from .suites import Suite

_MASTER_SIZE = 48
_FINISHED_SIZE = 12


def digest(hash_name: str, octets: bytes) -> bytes:
    """The hash of a transcript."""
    return hashlib.new(hash_name, octets).digest()


# TLS 1.2


def prf(hash_name: str, secret: bytes, seed: bytes, size: int) -> bytes:
    """P_hash; `seed` begins with the label."""
    stream, block = b"", seed
    while len(stream) < size:
        block = hmac.digest(secret, block, hash_name)
        stream += hmac.digest(secret, block + seed, hash_name)
    return stream[:size]


@dataclass(frozen=True, slots=True)
class Keys12:
    """What the master secret of TLS 1.2 gives."""

    suite: Suite
    master: bytes = field(repr=False)
    client_random: bytes
    server_random: bytes

    @classmethod
    def derive(
        cls, suite: Suite, agreed: bytes, client_random: bytes, server_random: bytes, session: bytes | None
    ) -> Keys12:
        """From the agreed secret; `session` is the transcript where both ends bind the master secret to it.

        RFC 7627 section 4; without it RFC 5246 section 8.1.
        """
        seed = b"master secret" + client_random + server_random
        if session is not None:
            seed = b"extended master secret" + digest(suite.hash_name, session)
        master = prf(suite.hash_name, agreed, seed, _MASTER_SIZE)
        return cls(suite, master, client_random, server_random)

    def protections(self) -> tuple[Aead12, Aead12]:
        """Of what we send and of what we receive (section 6.3; AEAD ciphers have no MAC keys)."""
        row = self.suite
        seed = b"key expansion" + self.server_random + self.client_random
        block = prf(row.hash_name, self.master, seed, 2 * (row.key_size + row.fixed_size))
        ours, theirs = block[: row.key_size], block[row.key_size : 2 * row.key_size]
        fixed = block[2 * row.key_size :]
        return Aead12(row, ours, fixed[: row.fixed_size]), Aead12(row, theirs, fixed[row.fixed_size :])

    def finished(self, label: bytes, transcript: bytes) -> bytes:
        """verify_data (section 7.4.9)."""
        name = self.suite.hash_name
        return prf(name, self.master, label + digest(name, transcript), _FINISHED_SIZE)

    def export(self, label: bytes, size: int, context: bytes | None) -> bytes:
        """RFC 5705 section 4."""
        seed = label + self.client_random + self.server_random
        if context is not None:
            seed += len(context).to_bytes(2) + context
        return prf(self.suite.hash_name, self.master, seed, size)


# TLS 1.3


def extract(hash_name: str, salt: bytes, secret: bytes) -> bytes:
    """HKDF-Extract (RFC 5869 section 2.2)."""
    return hmac.digest(salt, secret, hash_name)


def expand_label(hash_name: str, secret: bytes, label: bytes, context: bytes, size: int) -> bytes:
    """HKDF-Expand-Label."""
    full = b"tls13 " + label
    info = size.to_bytes(2) + bytes([len(full)]) + full + bytes([len(context)]) + context
    stream, block, count = b"", b"", 0
    while len(stream) < size:
        count += 1
        block = hmac.digest(secret, block + info + bytes([count]), hash_name)
        stream += block
    return stream[:size]


@dataclass(frozen=True, slots=True)
class Traffic:
    """A traffic secret of TLS 1.3: one direction, one epoch."""

    suite: Suite
    secret: bytes = field(repr=False)

    def protection(self) -> Aead13:
        """Section 7.3."""
        name = self.suite.hash_name
        key = expand_label(name, self.secret, b"key", b"", self.suite.key_size)
        return Aead13(self.suite, key, expand_label(name, self.secret, b"iv", b"", self.suite.fixed_size))

    def finished(self, transcript: bytes) -> bytes:
        """verify_data (section 4.4.4)."""
        name = self.suite.hash_name
        key = expand_label(name, self.secret, b"finished", b"", len(self.secret))
        return hmac.digest(key, digest(name, transcript), name)

    def next(self) -> Traffic:
        """After a KeyUpdate (section 7.2)."""
        name = self.suite.hash_name
        return Traffic(self.suite, expand_label(name, self.secret, b"traffic upd", b"", len(self.secret)))


@dataclass(frozen=True, slots=True)
class Stage:
    """A secret between two extractions, from which others derive."""

    suite: Suite
    secret: bytes = field(repr=False)

    @classmethod
    def early(cls, suite: Suite) -> Stage:
        """Without a shared key from before."""
        zeros = bytes(len(digest(suite.hash_name, b"")))
        return cls(suite, extract(suite.hash_name, zeros, zeros))

    def next(self, secret: bytes | None = None) -> Stage:
        """With what was agreed on; at last with nothing."""
        name = self.suite.hash_name
        return Stage(
            self.suite, extract(name, self.derive(b"derived", b""), secret or bytes(len(self.secret)))
        )

    def derive(self, label: bytes, transcript: bytes) -> bytes:
        """Derive-Secret."""
        name = self.suite.hash_name
        return expand_label(name, self.secret, label, digest(name, transcript), len(self.secret))

    def traffic(self, label: bytes, transcript: bytes) -> Traffic:
        """A traffic secret."""
        return Traffic(self.suite, self.derive(label, transcript))


@dataclass(frozen=True, slots=True)
class Exporter13:
    """The exporter master secret of TLS 1.3."""

    suite: Suite
    secret: bytes = field(repr=False)

    def export(self, label: bytes, size: int, context: bytes | None) -> bytes:
        """Section 7.5: no context is an empty one."""
        name = self.suite.hash_name
        derived = expand_label(name, self.secret, label, digest(name, b""), len(self.secret))
        return expand_label(name, derived, b"exporter", digest(name, context or b""), size)
