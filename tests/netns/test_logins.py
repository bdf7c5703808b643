"""Every way to log in that a real gateway can show: with the right credentials, and with wrong ones.

What passes here is what docs/authentication.md says; `make docs-tables` writes it down.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from client.ike.authentication import PrivateKey
from client.lab import pki
from client.lab.echo import ping
from client.lab.laptop import Laptop
from client.lab.topology import SERVER, Topology
from tests.netns.conftest import Logins
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import (
    GATEWAY_NAME,
    PASSWORD,
    SHARED_KEY,
    USER,
    Method,
    Road,
    make_credentials,
    serve,
)
from tests.netns.peers.strongswan import Settings, StrongSwan
from tests.netns.peers.vici import Value
from tests.netns.profiles import NAME, profile

pytestmark = [pytest.mark.netns, pytest.mark.slow]

Files = dict[str, str | bytes]
Change = Callable[[str, Files], tuple[str, Files]]
WRONG = "not-the-secret-of-anybody"
LEGACY = "[crypto]\nallow_legacy = true\n"
CLASSIC = {"signature_authentication": "no"}  # a gateway that does not know RFC 7427
PSS = {"rsa_pss": "yes"}
PSS_TRAILER = {**PSS, "rsa_pss_trailerfield": "yes"}  # as FortiGate encodes it


def as_it_is(text: str, files: Files) -> tuple[str, Files]:
    return text, files


def other_file(name: str, content: str = WRONG) -> Change:
    return lambda text, files: (text, {**files, name: content})


def stranger(text: str, files: Files) -> tuple[str, Files]:
    """A certificate of somebody whom the gateway does not know, of the same name."""
    issued = pki.make_authority("Somebody Else").issue(f"CN={USER}", emails=[USER], server=False)
    return text, {**files, "user.pem": pki.pem(issued.certificate), "key.pem": pki.pem(issued.key)}


def bundled(text: str, files: Files) -> tuple[str, Files]:
    """The certificate and its key in one PKCS #12 file with a passphrase."""
    certificate = x509.load_pem_x509_certificate(octets(files["user.pem"]))
    key = load_pem_private_key(octets(files["key.pem"]), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    bundle = serialize_key_and_certificates(
        b"user", key, certificate, None, BestAvailableEncryption(PASSWORD.encode())
    )
    text = text.replace(
        'cert = "file:user.pem"\nkey = "file:key.pem"', 'cert = "file:user.p12"\nsecret = "file:password"'
    )
    rest = {name: content for name, content in files.items() if name not in {"user.pem", "key.pem"}}
    return text, {**rest, "user.p12": bundle, "password": PASSWORD}


def octets(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content


@dataclass(frozen=True)
class Login:
    """One way to log in, and how to do it wrongly; `options` are the gateway's."""

    road: Callable[[], Road]
    wrong: Change
    exit_code: int = 5
    change: Change = as_it_is
    sections: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)
    tls: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        return Settings(self.options, tls=self.tls)

    def profile(self, road: Road) -> tuple[str, Files]:
        text, files = profile(road, *self.sections)
        if road.credentials is not None:
            files["gateway.pub"] = public(road.credentials.gateway.key, Encoding.PEM)
        return self.change(text, files)


def by_eap(method: Method) -> Callable[[], Road]:
    return lambda: Road(method, make_credentials("ecdsa"))


def by_certificate(key: pki.KeyKind) -> Callable[[], Road]:
    return lambda: Road(Method.CERTIFICATE, make_credentials(key))


def without_legacy(text: str, files: Files) -> tuple[str, Files]:
    return text.replace(LEGACY, ""), files


SECOND_ROUND = f"""
[[auth.local]]
method = "eap"
identity = "{USER}"
secret = "file:password"

[auth.remote]"""


def with_second_round(text: str, files: Files) -> tuple[str, Files]:
    return text.replace("\n[auth.remote]", SECOND_ROUND), {**files, "password": PASSWORD}


def proven_by_psk(text: str, files: Files) -> tuple[str, Files]:
    text = text.replace(
        '[auth.remote]\nmethod = "cert"', '[auth.remote]\nmethod = "psk"\nsecret = "file:psk"'
    )
    return text, {**files, "psk": SHARED_KEY}


def rounds() -> Road:
    """First the certificate, then the password (RFC 4739)."""
    second = {"auth": "eap-mschapv2", "eap_id": USER}
    credentials = make_credentials("ecdsa")
    return Road(Method.CERTIFICATE, credentials, passwords=True, connection={"remote-2": second})


def split() -> Road:
    """The gateway by pre-shared key, the user by password."""
    proof = {"auth": "psk", "id": GATEWAY_NAME}
    return Road(Method.EAP, make_credentials("ecdsa"), shared_key=True, connection={"local-1": proof})


def eap_only() -> Road:
    """Both ends prove themselves inside EAP-TLS, and nowhere else (RFC 5998)."""
    credentials = make_credentials("ecdsa")
    certificate = [pki.der(credentials.gateway.certificate)]
    return Road(
        Method.CERTIFICATE,
        credentials,
        connection={
            "local-1": {"auth": "eap-tls", "id": GATEWAY_NAME, "certs": certificate},
            "remote-1": {"auth": "eap-tls", "eap_id": USER},
        },
    )


def inside_eap(text: str, files: Files) -> tuple[str, Files]:
    text = text.replace(
        'method = "cert"\ncert', f'method = "eap"\nidentity = "{USER}"\neap_methods = ["tls"]\ncert'
    )
    return text.replace('[auth.remote]\nmethod = "cert"', '[auth.remote]\nmethod = "eap"'), files


def eap_only_with_a_password() -> Road:
    """The gateway proves itself inside EAP-TTLS, and nowhere else; the user has a password."""
    credentials = make_credentials("ecdsa")
    certificate = [pki.der(credentials.gateway.certificate)]
    return Road(
        Method.CERTIFICATE,
        credentials,
        passwords=True,
        connection={
            "local-1": {"auth": "eap-ttls", "id": GATEWAY_NAME, "certs": certificate},
            "remote-1": {"auth": "eap-ttls", "eap_id": USER},
        },
    )


def inside_ttls(text: str, files: Files) -> tuple[str, Files]:
    text = text.replace(
        'method = "cert"\ncert = "file:user.pem"\nkey = "file:key.pem"',
        f'method = "eap"\nidentity = "{USER}"\neap_methods = ["ttls"]\ninner = ["eap-md5"]\n'
        'secret = "file:password"',
    )
    text = text.replace('[auth.remote]\nmethod = "cert"', '[auth.remote]\nmethod = "eap"')
    return text, {**files, "password": PASSWORD}


def public(key: PrivateKey, form: Encoding = Encoding.DER) -> bytes:
    return key.public_key().public_bytes(form, PublicFormat.SubjectPublicKeyInfo)


def bare_keys(kind: pki.KeyKind) -> Callable[[], Road]:
    """Neither end has a certificate: each knows the other's key (RFC 7670)."""

    def road() -> Road:
        credentials = make_credentials(kind)
        proofs: dict[str, Value] = {
            "local-1": {"auth": "pubkey", "id": GATEWAY_NAME, "pubkeys": [public(credentials.gateway.key)]},
            "remote-1": {"auth": "pubkey", "id": USER, "pubkeys": [public(credentials.user.key)]},
        }
        return Road(Method.CERTIFICATE, credentials, connection=proofs)

    return road


def known_keys(text: str, files: Files) -> tuple[str, Files]:
    text = text.replace('cert = "file:user.pem"\n', "")
    return text.replace('ca = ["file:ca.pem"]', 'keys = ["file:gateway.pub"]'), files


def pinned(text: str, files: Files) -> tuple[str, Files]:
    """No authority at all: the gateway's certificate is nothing but a way to show its key."""
    key = load_pem_public_key(octets(files["gateway.pub"]))
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    mark = hashlib.sha256(spki).hexdigest()
    return text.replace('ca = ["file:ca.pem"]', f'pin = ["sha256:{mark}"]'), files


def other_pin(text: str, files: Files) -> tuple[str, Files]:
    return re.sub("sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", text), files


def other_key(text: str, files: Files) -> tuple[str, Files]:
    """A key of ours that the gateway does not know."""
    return text, {**files, "key.pem": pki.pem(pki.make_key("ecdsa"))}


LOGINS = {
    "PSK": Login(Road, other_file("psk")),
    "certificate, RSA": Login(by_certificate("rsa"), stranger),
    "certificate, RSA, gateway signs with PSS": Login(by_certificate("rsa"), stranger, options=PSS),
    "certificate, RSA, PSS with explicit trailer": Login(
        by_certificate("rsa"), stranger, options=PSS_TRAILER
    ),
    "certificate, RSA with SHA-1 (allow_legacy)": Login(
        by_certificate("rsa"), without_legacy, sections=(LEGACY,), options=CLASSIC
    ),
    "certificate, ECDSA P-256": Login(by_certificate("ecdsa"), stranger),
    "certificate, ECDSA P-384": Login(by_certificate("ecdsa384"), stranger),
    "certificate, ECDSA P-521": Login(by_certificate("ecdsa521"), stranger),
    "certificate, ECDSA P-256 (RFC 4754)": Login(by_certificate("ecdsa"), stranger, options=CLASSIC),
    "certificate, Ed25519": Login(by_certificate("ed25519"), stranger),
    "certificate, Ed448": Login(by_certificate("ed448"), stranger),
    "raw public keys (RFC 7670), ECDSA P-256": Login(bare_keys("ecdsa"), other_key, change=known_keys),
    "raw public keys (RFC 7670), RSA": Login(bare_keys("rsa"), other_key, change=known_keys),
    "raw public keys (RFC 7670), Ed25519": Login(bare_keys("ed25519"), other_key, change=known_keys),
    "certificate, gateway by pinned key": Login(
        by_certificate("ecdsa"), other_pin, exit_code=8, change=pinned
    ),
    "certificate in PKCS #12": Login(
        by_certificate("ecdsa"), other_file("password"), exit_code=2, change=bundled
    ),
    "EAP-MSCHAPv2": Login(by_eap(Method.EAP), other_file("password")),
    "EAP-MD5": Login(by_eap(Method.EAP_MD5), other_file("password")),
    "EAP-GTC": Login(by_eap(Method.EAP_GTC), other_file("password")),
    "certificate, then EAP-MSCHAPv2": Login(rounds, other_file("password"), change=with_second_round),
    "EAP-TLS, EAP-only": Login(eap_only, stranger, change=inside_eap, tls={"version_max": "1.2"}),
    "EAP-TTLS with EAP-MD5, EAP-only": Login(
        eap_only_with_a_password, other_file("password"), change=inside_ttls, tls={"version_max": "1.2"}
    ),
    "EAP-MSCHAPv2, gateway by PSK": Login(split, other_file("password"), change=proven_by_psk),
}


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="roam-") as name:
        yield Path(name)


@pytest.mark.parametrize("method", LOGINS)
def test_wrong_credentials_are_refused_once_and_the_right_ones_log_in(
    strongswan: Release, lab: Topology, directory: Path, logins: Logins, method: str
) -> None:
    login = LOGINS[method]
    road = login.road()
    with StrongSwan(strongswan, lab.gateway, login.settings) as gateway:
        serve(gateway, road)
        laptop = Laptop(lab.laptop, directory, None)
        laptop.start()
        laptop.write_profile(NAME, *login.wrong(*login.profile(road)))
        done = laptop.run("up", NAME)
        assert done.returncode == login.exit_code, done.stderr
        said = done.stderr + done.stdout + laptop.log.read_text()
        for secret in (PASSWORD, SHARED_KEY, WRONG):
            assert secret not in said
        assert all(sa.state != "ESTABLISHED" for sa in gateway.ike_sas())
        assert gateway.logins <= 2  # one retry at most
        laptop.write_profile(NAME, *login.profile(road))
        laptop.roam("up", NAME)
        assert lab.laptop.run(lambda: ping(SERVER, 2.0)) is not None
        assert [sa.state for sa in gateway.ike_sas()].count("ESTABLISHED") == 1
        laptop.roam("down", NAME)
        laptop.stop()
        logins.shown(method, f"strongSwan {gateway.version}")
