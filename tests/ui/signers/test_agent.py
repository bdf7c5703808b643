"""Keys in an SSH agent: a real one, and some that lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from client.control.messages import ControlError
from client.ike.authentication import DistantSigner, Errand, PrivateKey, PublicKey
from client.ike.errors import AuthenticationFailed
from client.ike.registry import SignatureHash
from client.lab.pki import KeyKind, make_authority, make_key, pem
from profiles import public_keys
from tests.ui.signers.agents import add_key, lying_agent, message, missing, ssh_agent, string
from tests.ui.signers.errands import answered
from ui.signers.agent import AgentKey, find

KINDS: tuple[KeyKind, ...] = ("rsa", "ecdsa", "ecdsa384", "ecdsa521", "ed25519")
HASHES = frozenset(
    {SignatureHash.SHA2_256, SignatureHash.SHA2_384, SignatureHash.SHA2_512, SignatureHash.IDENTITY}
)


@pytest.fixture(scope="module")
def keys() -> dict[KeyKind, PrivateKey]:
    return {kind: make_key(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def agent(keys: dict[KeyKind, PrivateKey]) -> Iterator[Path]:
    """A real agent with a key of each kind."""
    if why := missing():
        pytest.skip(why)
    with ssh_agent() as path:
        for kind, key in keys.items():
            add_key(path, key, f"{kind} of alice")
        yield path


@pytest.fixture(autouse=True)
def session(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The agent of the user's session, where the test wants the real one."""
    if "agent" in request.fixturenames:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(request.getfixturevalue("agent")))


def errand(key: PrivateKey, hashes: frozenset[int] = HASHES) -> Errand:
    return DistantSigner("agent:", key.public_key()).sign(b"what AUTH covers", hashes)


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_real_agent_signs_makes_auth(
    agent: Path, keys: dict[KeyKind, PrivateKey], kind: KeyKind
) -> None:
    holder = find(f"{kind} of alice", None)
    assert load_pem_public_key(holder.shown()) == keys[kind].public_key()
    wanted = errand(keys[kind])
    assert wanted.finish(answered(holder, wanted)).data


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_is_found_by_fingerprint_and_by_its_certificate(
    agent: Path, keys: dict[KeyKind, PrivateKey], kind: KeyKind
) -> None:
    blob = find(f"{kind} of alice", None).blob
    assert find(public_keys.fingerprint(blob), None).blob == blob
    public = public_keys.from_ssh(blob)
    assert public is not None
    assert find("", public_keys.pem_of(public)).blob == blob


def test_an_rsa_key_signs_by_pkcs1_with_the_hash_that_both_know(
    agent: Path, keys: dict[KeyKind, PrivateKey]
) -> None:
    holder = find("rsa of alice", None)
    for hash_id, name in ((SignatureHash.SHA2_256, "sha256"), (SignatureHash.SHA2_512, "sha512")):
        wanted = errand(keys["rsa"], frozenset({hash_id}))
        assert answered(holder, wanted).reveal().startswith(f"rsa-pkcs1-{name} ".encode())
        wanted.finish(answered(holder, wanted))
    with pytest.raises(ControlError, match="cannot sign by rsa-pss-sha384, rsa-pkcs1-sha384"):
        answered(holder, errand(keys["rsa"], frozenset({SignatureHash.SHA2_384})))


def test_a_key_that_is_not_there_is_said_with_those_that_are(agent: Path) -> None:
    for target, certificate in (
        ("SHA256:nothing", None),
        ("", pem(make_authority("Other").certificate).encode()),
    ):
        with pytest.raises(ControlError, match=r"SHA256:\S+ \(ed25519 of alice\)") as error:
            find(target, certificate)
        assert error.value.kind == "auth.needs_signer"


def test_without_an_agent_the_reason_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    with pytest.raises(ControlError, match="no SSH agent in this session"):
        find("x", None)
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "gone"))
    with pytest.raises(ControlError, match="cannot be reached: No such file"):
        find("x", None)


SIGNATURE = string(string(b"ssh-ed25519") + string(bytes(64)))
LIES = {
    "nothing": b"",
    "a failure": message(5, b""),
    "a size beyond all measure": (1 << 30).to_bytes(4) + b"\x0e",
    "a size of zero": bytes(4),
    "half a message": message(14, SIGNATURE)[:-9],
    "no strings": message(14, b"\xff\xff\xff\xff"),
    "one string where two are due": message(14, string(string(b"ssh-ed25519"))),
    "three strings": message(14, string(string(b"ssh-ed25519") + string(b"a") + string(b"b"))),
    "a signature of another kind": message(14, string(string(b"ssh-rsa") + string(b"a"))),
    "an empty one": message(14, b""),
}


def ed25519() -> tuple[bytes, PublicKey]:
    key = make_key("ed25519").public_key()
    raw = key.public_bytes_raw() if hasattr(key, "public_bytes_raw") else b""
    return string(b"ssh-ed25519") + string(raw), key


@pytest.mark.parametrize("lie", LIES)
def test_an_agent_that_does_not_sign_is_no_signature(lie: str) -> None:
    blob, _key = ed25519()
    with lying_agent(LIES[lie]) as path, pytest.raises(ControlError) as error:
        AgentKey(str(path), blob, "liar").sign(("ed25519",), b"octets")
    assert error.value.kind == "auth.needs_signer"


def test_a_signature_that_is_none_is_refused_before_it_leaves() -> None:
    blob, key = ed25519()
    wanted = DistantSigner("agent:", key).sign(b"octets", HASHES)
    with lying_agent(message(14, SIGNATURE)) as path:
        made = answered(AgentKey(str(path), blob, "liar"), wanted)
    with pytest.raises(AuthenticationFailed, match="does not fit our certificate or public key"):
        wanted.finish(made)


@pytest.mark.parametrize("list_of_keys", [message(12, (9).to_bytes(4) + b"\xff" * 8), message(5, b""), b""])
def test_a_list_of_keys_that_is_none_is_an_error_in_words(
    monkeypatch: pytest.MonkeyPatch, list_of_keys: bytes
) -> None:
    with lying_agent(list_of_keys) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        with pytest.raises(ControlError):
            find("x", None)


def test_keys_of_unknown_kinds_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = string(b"sk-ssh-ed25519@openssh.com") + string(bytes(32)) + string(b"ssh:")
    listing = (1).to_bytes(4) + string(odd) + string(b"key\x1b[2J")
    with lying_agent(message(12, listing), message(12, listing)) as path:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(path))
        with pytest.raises(ControlError) as error:
            find("", pem(make_authority("Other").certificate).encode())
        assert "\x1b" not in error.value.evidence
        with pytest.raises(ControlError, match="which IKEv2 cannot use"):
            find("key\N{REPLACEMENT CHARACTER}[2J", None).shown()


def test_leading_zeros_of_an_rsa_signature_are_put_back() -> None:
    modulus = bytes([0, 0xC0]) + bytes(255)
    blob = string(b"ssh-rsa") + string(b"\x01\x00\x01") + string(modulus)
    short = string(string(b"rsa-sha2-256") + string(b"\x07" * 254))
    with lying_agent(message(14, short)) as path:
        name, made = AgentKey(str(path), blob, "short").sign(
            ("rsa-pss-sha256", "rsa-pkcs1-sha256"), b"octets"
        )
    assert (name, made) == ("rsa-pkcs1-sha256", bytes(2) + b"\x07" * 254)
