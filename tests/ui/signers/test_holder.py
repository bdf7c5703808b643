"""What a holder signs, and what it refuses, whoever asks."""

from __future__ import annotations

import base64

import pytest

from client.control.messages import SecretAnswer, SecretCancel, SecretNeeded, SignatureWanted
from tests.ui.signers.logins import LOGIN
from ui.signers.holder import IKE, TLS, Form, KeyHolder, Trustee, cannot, is_login, is_tls_login, reply

KEY = "agent:alice"


class Holder:
    """Signs everything, and remembers it."""

    def __init__(self, why: str = "") -> None:
        self.signed: list[bytes] = []
        self._why = why

    def shown(self) -> bytes:
        return b""

    def sign(self, algorithms: tuple[str, ...], octets: bytes) -> tuple[str, bytes]:
        if self._why:
            raise cannot(self._why)
        self.signed.append(octets)
        return algorithms[-1], b"made"


def needed(octets: bytes = LOGIN, key: str = KEY) -> SecretNeeded:
    return SecretNeeded("7", "office", "signature", "", 0.0, 0, SignatureWanted(key, ("a", "b"), octets))


def trusted(holder: KeyHolder, *forms: Form) -> dict[str, Trustee]:
    return {KEY: Trustee(holder, forms or (IKE,))}


def test_a_login_is_signed() -> None:
    holder = Holder()
    answer = reply(needed(), trusted(holder))
    assert isinstance(answer, SecretAnswer)
    assert answer.value.reveal() == f"b {base64.b64encode(b'made').decode()}"
    assert holder.signed == [LOGIN]


def test_what_concerns_no_key_of_ours_is_left_to_others() -> None:
    assert reply(needed(key="agent:bob"), trusted(Holder())) is None
    assert reply(SecretNeeded("7", "office", "otp", "Code", 0.0), trusted(Holder())) is None


def test_a_holder_that_cannot_sign_says_why() -> None:
    answer = reply(needed(), trusted(Holder("the card is not there")))
    assert answer == SecretCancel("7", "the card is not there")


SSH_LOGIN = (32).to_bytes(4) + bytes(range(32)) + b"\x32" + b"\0\0\0\x05alice" + bytes(200)
TLS_PROOF = b" " * 64 + b"TLS 1.3, client CertificateVerify\0" + bytes(48)
NO_LOGINS = {
    "nothing": b"",
    "a login by SSH": SSH_LOGIN,
    "a login by TLS 1.3": TLS_PROOF,
    "a document": b"I owe Mallory a million. " * 20,
    "a response": LOGIN[:19] + b"\x20" + LOGIN[20:],
    "another exchange": LOGIN[:18] + b"\x23" + LOGIN[19:],
    "another version": LOGIN[:17] + b"\x10" + LOGIN[18:],
    "a later message": LOGIN[:20] + b"\0\0\0\x01" + LOGIN[24:],
    "a gateway's SPI": LOGIN[:8] + b"\x01" + LOGIN[9:],
    "no SPI of ours": bytes(8) + LOGIN[8:],
    "a message longer than what there is": LOGIN[:24] + b"\0\1\0\0" + LOGIN[28:],
    "a message without payloads": LOGIN[:24] + (28).to_bytes(4) + LOGIN[28:],
}


@pytest.mark.parametrize("what", NO_LOGINS)
def test_nothing_but_a_login_by_ikev2_is_ever_signed_with_its_key(what: str) -> None:
    holder = Holder()
    assert not is_login(NO_LOGINS[what])
    answer = reply(needed(NO_LOGINS[what]), trusted(holder))
    assert isinstance(answer, SecretCancel)
    assert holder.signed == []


def messages(*types: int) -> bytes:
    """Messages of TLS, as a transcript has them."""
    return b"".join(bytes([kind]) + (5).to_bytes(3) + b"inner" for kind in types)


TLS_LOGINS = {
    "TLS 1.3, SHA-384": TLS_PROOF,
    "TLS 1.3, SHA-256": TLS_PROOF[:-16],
    "TLS 1.2": messages(1, 2, 11, 12, 13, 14, 11, 16),
    "TLS 1.2 with a staple": messages(1, 2, 11, 22, 12, 13, 14, 11, 16),
}
NO_TLS_LOGINS = {
    "nothing": b"",
    "a login by SSH": SSH_LOGIN,
    "a login by IKEv2": LOGIN,
    "a document": b"I owe Mallory a million. " * 20,
    "a server's proof": TLS_PROOF.replace(b"client", b"server"),
    "no hash": TLS_PROOF[:-1],
    "another hash": TLS_PROOF + b"more",
    "half a transcript": messages(1, 2, 11, 12, 13, 14, 11, 16)[:-1],
    "a server's transcript": messages(1, 2, 11, 12),
    "a transcript with more behind it": messages(1, 2, 11, 12, 13, 14, 11, 16, 20),
    "a transcript without our certificate": messages(1, 2, 11, 12, 14, 16),
}


@pytest.mark.parametrize("what", TLS_LOGINS)
def test_a_login_by_tls_is_signed_with_a_key_for_eap(what: str) -> None:
    holder = Holder()
    assert isinstance(reply(needed(TLS_LOGINS[what]), trusted(holder, TLS)), SecretAnswer)
    assert holder.signed == [TLS_LOGINS[what]]
    assert isinstance(reply(needed(TLS_LOGINS[what]), trusted(Holder())), SecretCancel)


@pytest.mark.parametrize("what", NO_TLS_LOGINS)
def test_nothing_but_a_login_by_tls_is_signed_with_a_key_for_eap(what: str) -> None:
    holder = Holder()
    assert not is_tls_login(NO_TLS_LOGINS[what])
    answer = reply(needed(NO_TLS_LOGINS[what]), trusted(holder, TLS))
    assert answer == SecretCancel("7", "what was to be signed is no login by TLS inside EAP")
    assert holder.signed == []


def test_a_key_for_both_signs_both() -> None:
    holder = Holder()
    for octets in (LOGIN, TLS_PROOF):
        assert isinstance(reply(needed(octets), trusted(holder, IKE, TLS)), SecretAnswer)
    answer = reply(needed(SSH_LOGIN), trusted(holder, IKE, TLS))
    assert answer == SecretCancel("7", "what was to be signed is no login by IKEv2 or TLS inside EAP")
