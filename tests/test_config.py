"""From profiles to typed values: what each key becomes, and where the error points when it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_interface, ip_network
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from client.config import AUTO, NEVER, Material, SecretMissing, session_config, tunnel_config
from client.ike.errors import AuthenticationFailed
from client.ike.events import Selector
from client.ike.identity import Identity
from client.ike.keys import OneTimeCode, Secret
from client.ike.options import (
    CertLogin,
    CertProof,
    EapLogin,
    EapProof,
    Inner,
    PskLogin,
    PskProof,
    SessionConfig,
    TlsOptions,
)
from client.ike.registry import AuthMethod, EapType, Kex, TransformType
from client.ike.selectors import ANY_IPV4, ANY_IPV6
from client.lab.pki import make_authority, pem
from profiles.errors import ProfileError
from profiles.store import load_text

SAMPLE = Path(__file__).parent / "profiles" / "samples" / "14-profile-schema1.toml"
CA = make_authority("Office CA")
LAPTOP = CA.issue("CN=laptop,O=Example", dns=["laptop.example.com"], server=False)
CERTIFICATE, KEY = LAPTOP.certificate, LAPTOP.key

PSK = """
schema = 1
id = "site"
[gateway]
addresses = ["192.0.2.1"]
[identity]
local = "laptop.example.com"
[[auth.local]]
method = "psk"
secret = "keyring:site"
"""
EAP = """
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com", "192.0.2.1"]
[[auth.local]]
method = "eap"
identity = "alice"
secret = "ask:"
[trust]
ca = ["file:ca.pem"]
"""
CERT = """
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "cert"
cert = "file:laptop.pem"
key = "file:laptop.key"
secret = "ask:passphrase"
[trust]
ca = ["file:ca.pem"]
"""
FILES = {
    "file:ca.pem": pem(CA.certificate).encode(),
    "file:laptop.pem": pem(CERTIFICATE).encode(),
    "file:laptop.key": pem(KEY).encode(),
}
SECRETS = {"keyring:site": Secret(b"a key"), "ask:": Secret(b"a password")}


def configure(
    text: str,
    files: Mapping[str, bytes] = FILES,
    secrets: Mapping[str, Secret] = SECRETS,
    *,
    authorities: bytes = b"",
) -> SessionConfig:
    """The session that a profile describes."""
    return session_config(load_text(text), Material(files, secrets, authorities))


def test_a_pre_shared_key_proves_both_ends() -> None:
    config = configure(PSK)
    assert config.login == PskLogin(Secret(b"a key"))
    assert config.proof == PskProof(Secret(b"a key"))
    assert config.local_id == Identity.parse("laptop.example.com")
    assert config.remote_id == Identity.parse("192.0.2.1")
    assert not config.send_idr


def test_eap_names_its_user_and_the_gateway_shows_a_certificate() -> None:
    config = configure(EAP)
    assert config.login == EapLogin("alice", Secret(b"a password"), (EapType.MSCHAPV2,))
    assert isinstance(config.proof, CertProof)
    assert config.proof.trust.expected == Identity.parse("vpn.example.com")
    assert config.proof.trust.anchors == (CA.certificate,)
    assert config.local_id == Identity.parse("alice")


@pytest.mark.parametrize(
    ("words", "once", "methods"),
    [
        ('"mschapv2"', False, (EapType.MSCHAPV2,)),
        ('"gtc"', True, (EapType.GTC,)),
        ('"gtc", "mschapv2"', False, (EapType.GTC, EapType.MSCHAPV2)),
        ('"md5", "auto"', False, (EapType.MD5, *AUTO)),
        ('"gtc"]\none_time = false #', False, (EapType.GTC,)),
        ('"mschapv2"]\none_time = true #', True, (EapType.MSCHAPV2,)),
    ],
)
def test_eap_methods_and_whether_their_secret_serves_once(
    words: str, once: bool, methods: tuple[EapType, ...]
) -> None:
    text = EAP.replace('secret = "ask:"\n', f'secret = "ask:"\neap_methods = [{words}]\n')
    profile = load_text(text)
    code = OneTimeCode(Secret(b"123456"))
    material = Material(FILES, SECRETS, codes={"ask:": code})
    login = session_config(profile, material).login
    assert isinstance(login, EapLogin)
    assert login.methods == methods
    assert (login.password is code) is once
    if once:
        with pytest.raises(SecretMissing) as missing:
            session_config(profile, Material(FILES, SECRETS))
        assert missing.value.kind == "otp"


@pytest.mark.parametrize("words", ['"aka"', '"aka-prime", "aka"'])
def test_a_subscription_is_read_from_the_secret(words: str) -> None:
    text = EAP.replace('secret = "ask:"\n', f'secret = "ask:"\neap_methods = [{words}]\n')
    config = configure(text, secrets={"ask:": Secret(f"{'01' * 16}:{'02' * 16}".encode())})
    assert isinstance(config.login, EapLogin)
    assert config.login.usim is not None
    assert "0101" not in repr(config)
    with pytest.raises(ProfileError, match="32 hexadecimal digits") as error:
        configure(text)
    assert error.value.path == "auth.local[0].secret"
    with pytest.raises(ProfileError, match="do not go with other methods"):
        configure(text.replace(words, f'{words}, "gtc"'))


def test_a_calculator_is_asked_when_the_challenge_is_there() -> None:
    config = configure(EAP.replace('secret = "ask:"\n', 'eap_methods = ["otp"]\n'), secrets={})
    assert isinstance(config.login, EapLogin)
    assert config.login.asks_in_course
    assert not config.lacks_code


TLS = EAP.replace(
    'secret = "ask:"\n',
    'secret = "ask:"\ncert = "file:laptop.pem"\nkey = "file:laptop.key"\neap_methods = ["tls"]\n',
)
PEAP = EAP.replace('secret = "ask:"\n', 'secret = "ask:"\neap_methods = ["peap", "ttls"]\n')


def tls_of(config: SessionConfig) -> TlsOptions:
    assert isinstance(config.login, EapLogin)
    assert config.login.tls is not None
    return config.login.tls


def test_eap_tls_shows_our_certificate_and_needs_no_password() -> None:
    config = configure(TLS, secrets={})
    assert isinstance(config.login, EapLogin)
    assert config.login.methods == (EapType.TLS,)
    identity = tls_of(config).identity
    assert identity is not None
    assert identity.chain == (CERTIFICATE.public_bytes(Encoding.DER),)


def test_the_passphrase_of_the_key_is_asked_for_eap_tls_too() -> None:
    encrypted = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    files = {**FILES, "file:laptop.key": encrypted}
    with pytest.raises(SecretMissing) as missing:
        configure(TLS, files, {})
    assert missing.value.kind == "passphrase"
    assert tls_of(configure(TLS, files, {"ask:": Secret(b"open sesame")})).identity is not None
    both = TLS.replace('["tls"]', '["tls", "mschapv2"]')
    with pytest.raises(ProfileError, match="both a password and the passphrase"):
        configure(both, files, {"ask:": Secret(b"open sesame")})


def test_the_login_server_is_the_gateway_unless_told_otherwise() -> None:
    config = configure(PEAP)
    assert isinstance(config.proof, CertProof)
    assert tls_of(config).trust == config.proof.trust
    assert tls_of(config).identity is None
    assert tls_of(config).inner == (Inner.MSCHAPV2,)


def test_the_login_server_has_a_name_and_an_authority_of_its_own() -> None:
    other = make_authority("Login CA")
    text = PEAP + '[auth.remote]\naaa_name = "aaa.example.com"\naaa_ca = ["file:aaa.pem"]\n'
    trust = tls_of(configure(text, {**FILES, "file:aaa.pem": pem(other.certificate).encode()})).trust
    assert trust.expected == Identity.parse("aaa.example.com")
    assert trust.anchors == (other.certificate,)


def test_what_is_said_inside_and_outside_is_chosen() -> None:
    text = PEAP.replace(
        '["peap", "ttls"]', '["ttls"]\ninner = ["pap", "eap-gtc"]\nouter_identity = "@example.com"'
    )
    options = tls_of(configure(text))
    assert options.inner == (Inner.PAP, Inner.EAP_GTC)
    assert options.outer_identity == "@example.com"


def test_auto_follows_the_credentials() -> None:
    auto = TLS.replace('["tls"]', '["auto"]')
    login = configure(auto, secrets={}).login
    assert isinstance(login, EapLogin)
    assert login.methods == (EapType.TLS,)


@pytest.mark.parametrize(
    ("old", "new", "path"),
    [
        ('cert = "file:laptop.pem"\n', "", "auth.local[0].cert"),
        ('["tls"]', '["mschapv2"]', "auth.local[0].cert"),
        ('["tls"]', '["tls"]\ninner = ["pap"]', "auth.local[0].inner"),
        ('["tls"]', '["tls", "peap"]\ninner = ["pap"]', "auth.local[0].inner"),
        ('["tls"]', '["tls", "peap"]\ninner = []', "auth.local[0].inner"),
        ('["tls"]', '["tls", "mschapv2"]\nouter_identity = "x"', "auth.local[0].outer_identity"),
    ],
)
def test_keys_that_do_not_fit_the_methods_are_errors(old: str, new: str, path: str) -> None:
    with pytest.raises(ProfileError) as raised:
        configure(TLS.replace(old, new))
    assert raised.value.path == path


def test_somebody_must_vouch_for_the_login_server() -> None:
    text = PEAP.replace(
        '[trust]\nca = ["file:ca.pem"]\n', '[auth.remote]\nmethod = "psk"\nsecret = "file:psk"\n'
    )
    with pytest.raises(ProfileError) as raised:
        configure(text)
    assert raised.value.path == "auth.remote.aaa_ca"


@pytest.mark.parametrize("name", ['aaa_name = "aaa.example.com"', 'aaa_ca = ["file:aaa.pem"]'])
def test_a_login_server_without_tls_is_an_error(name: str) -> None:
    with pytest.raises(ProfileError) as raised:
        configure(f"{EAP}[auth.remote]\n{name}\n")
    assert raised.value.path == f"auth.remote.{name.split()[0]}"


ROUNDS = CERT.replace(
    "[trust]",
    """[[auth.local]]
method = "eap"
identity = "alice@example.com"
secret = "ask:Code"
eap_methods = ["gtc"]
[trust]""",
)


def test_rounds_follow_one_another_each_as_somebody() -> None:
    profile = load_text(ROUNDS)
    config = session_config(profile, Material(FILES, {}, codes={"ask:Code": OneTimeCode(Secret(b"1"))}))
    assert isinstance(config.login, CertLogin)
    assert config.local_id == Identity.subject_of(CERTIFICATE)
    (second,) = config.further
    assert isinstance(second.login, EapLogin)
    assert second.identity == Identity.parse("alice@example.com")
    assert not config.lacks_code
    with pytest.raises(SecretMissing) as missing:
        session_config(profile, Material(FILES, {}))
    assert (missing.value.path, missing.value.kind) == ("auth.local[1].secret", "otp")


def test_the_gateway_may_prove_itself_by_a_key_that_we_do_not_use() -> None:
    text = EAP + '[auth.remote]\nmethod = "psk"\nsecret = "keyring:site"\n'
    config = configure(text)
    assert isinstance(config.login, EapLogin)
    assert config.proof == PskProof(Secret(b"a key"))


@pytest.mark.parametrize("authorities", [True, False])
def test_the_gateway_may_prove_itself_inside_eap(authorities: bool) -> None:
    text = EAP.replace('secret = "ask:"\n', 'secret = "ask:"\neap_methods = ["ttls"]\n').replace(
        "[trust]", '[auth.remote]\nmethod = "eap"\naaa_ca = ["file:ca.pem"]\n[trust]'
    )
    config = configure(text if authorities else text.replace('\nca = ["file:ca.pem"]\n', "\n"))
    assert isinstance(config.proof, EapProof)
    assert (config.proof.trust is not None) is authorities


def test_a_certificate_is_our_identity() -> None:
    config = configure(CERT)
    assert isinstance(config.login, CertLogin)
    assert config.login.chain == (CERTIFICATE.public_bytes(Encoding.DER),)
    assert config.local_id == Identity.subject_of(CERTIFICATE)


def test_an_encrypted_key_is_opened_with_its_passphrase() -> None:
    encrypted = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"open sesame"))
    files = {**FILES, "file:laptop.key": encrypted}
    config = configure(CERT, files, {"ask:passphrase": Secret(b"open sesame")})
    assert isinstance(config.login, CertLogin)
    with pytest.raises(SecretMissing) as missing:
        configure(CERT, files, {})
    assert missing.value.kind == "passphrase"
    with pytest.raises(SecretMissing) as wrong:  # ask again
        configure(CERT, files, {"ask:passphrase": Secret(b"wrong")})
    assert (wrong.value.kind, wrong.value.why) == ("passphrase", "this passphrase does not open it")


CONTAINERS = Path(__file__).parent / "profiles" / "containers"
BUNDLE = CERT.replace('cert = "file:laptop.pem"\nkey = "file:laptop.key"', 'cert = "file:me.p12"')


@pytest.mark.parametrize("name", ["legacy.p12", "modern.p12", "rc2.p12", "empty.p12"])
def test_a_bundle_holds_our_key_with_its_chain(name: str) -> None:
    files = {**FILES, "file:me.p12": (CONTAINERS / name).read_bytes()}
    config = configure(BUNDLE, files, {"ask:passphrase": Secret(b"sesame")})
    assert isinstance(config.login, CertLogin)
    assert len(config.login.chain) == 2  # the root stays at home
    assert str(config.local_id) == "CN=anna, O=Example"


def test_a_bundle_that_is_locked_or_not_there_says_what_is_missing() -> None:
    files = {**FILES, "file:me.p12": (CONTAINERS / "modern.p12").read_bytes()}
    for secrets, kind, why in (
        ({}, "passphrase", ""),
        ({"ask:passphrase": Secret(b"wrong")}, "passphrase", "this passphrase does not open it"),
    ):
        with pytest.raises(SecretMissing) as missing:
            configure(BUNDLE, files, secrets)
        assert (missing.value.kind, missing.value.why) == (kind, why)
    with pytest.raises(SecretMissing) as missing:
        configure(BUNDLE, FILES, {})
    assert missing.value.kind == "key"


def test_the_authorities_in_our_bundle_can_be_trusted_and_nothing_else_of_it() -> None:
    text = BUNDLE.replace('ca = ["file:ca.pem"]', 'ca = ["file:me.p12"]')
    files = {"file:me.p12": (CONTAINERS / "empty.p12").read_bytes()}
    config = configure(text, files, {})
    assert isinstance(config.proof, CertProof)
    names = [anchor.subject.rfc4514_string() for anchor in config.proof.trust.anchors]
    assert names == ["CN=Container Root"]


@pytest.mark.parametrize(
    ("cert", "key", "path", "words"),
    [
        (b"nothing", None, "auth.local[0].cert", "cannot be read"),
        (pem(CERTIFICATE).encode(), None, "auth.local[0].cert", "no private key"),
        (pem(KEY).encode(), None, "auth.local[0].cert", "no certificate"),
        (pem(CERTIFICATE).encode(), pem(CERTIFICATE).encode(), "auth.local[0].key", "no private key"),
        (pem(KEY).encode(), pem(KEY).encode(), "auth.local[0].cert", "no certificate"),
    ],
)
def test_files_that_hold_something_else_are_said_so(
    cert: bytes, key: bytes | None, path: str, words: str
) -> None:
    files = {**FILES, "file:me.p12": cert, "file:laptop.pem": cert, "file:laptop.key": key or b""}
    with pytest.raises(ProfileError, match=words) as error:
        configure(BUNDLE if key is None else CERT, files)
    assert error.value.path == path


@pytest.mark.parametrize("legacy", [True, False])
def test_sha1_signatures_are_for_profiles_that_allow_legacy_algorithms(legacy: bool) -> None:
    authority = make_authority("RSA", key="rsa")
    issued = authority.issue("CN=laptop", key="rsa", server=False)
    files = {
        "file:ca.pem": pem(authority.certificate).encode(),
        "file:laptop.pem": pem(issued.certificate).encode(),
        "file:laptop.key": pem(issued.key).encode(),
    }
    config = configure(CERT + f"[crypto]\nallow_legacy = {str(legacy).lower()}\n", files)
    assert isinstance(config.login, CertLogin)
    assert isinstance(config.proof, CertProof)
    assert config.proof.trust.allow_sha1 is legacy
    if legacy:
        assert config.login.signer.sign(b"octets", frozenset()).method == AuthMethod.RSA_SIGNATURE
    else:
        with pytest.raises(AuthenticationFailed, match="SHA-1"):
            config.login.signer.sign(b"octets", frozenset())


def test_a_key_of_another_certificate_is_refused() -> None:
    other = CA.issue("CN=other", server=False).key
    with pytest.raises(ProfileError, match="does not belong") as error:
        configure(CERT, {**FILES, "file:laptop.key": pem(other).encode()})
    assert error.value.path == "auth.local[0].key"


def test_a_missing_secret_says_what_to_ask_for() -> None:
    with pytest.raises(SecretMissing) as missing:
        configure(PSK, secrets={})
    assert (missing.value.text, missing.value.kind) == ("keyring:site", "password")


def test_a_private_key_that_was_not_handed_over_is_a_secret_too() -> None:
    with pytest.raises(SecretMissing) as missing:
        configure(CERT, {name: octets for name, octets in FILES.items() if name != "file:laptop.key"})
    assert missing.value.kind == "key"


def test_secrets_stand_in_no_representation() -> None:
    assert "a password" not in repr(configure(EAP))
    assert "a key" not in repr(configure(PSK))


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (PSK.replace('local = "laptop.example.com"\n', ""), "identity.local"),
        (PSK.replace("laptop.example.com", "%any"), "identity.local"),
        (PSK + '[crypto]\nike = ["aes256gcm16-prfsha384-x25518"]\n', "crypto.ike"),
        (PSK + '[crypto]\nike = ["aes256gcm16-prfsha384"]\n', "crypto.ike"),
        (PSK + '[crypto]\nesp = ["3des-md5"]\n', "crypto.esp"),
        (PSK + '[crypto]\nesp = ["aes256gcm16"]\npfs = "require"\n', "crypto.esp"),
        (EAP.replace('"file:ca.pem"', '"file:other.pem"'), "trust.ca[0]"),
        (PSK + "[address]\nnone = true\n", "address.none"),
    ],
)
def test_errors_point_at_the_key(text: str, path: str) -> None:
    with pytest.raises(ProfileError) as error:
        configure(text)
    assert error.value.path == path


def test_what_is_no_certificate_is_said_so() -> None:
    for octets in (b"nothing", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ProfileError) as error:
            configure(EAP, {"file:ca.pem": octets})
        assert str(error.value) == "trust.ca[0]: holds no certificate that can be read"
        assert "BEGIN CERTIFICATE" in error.value.hint


def test_a_certificate_may_be_der() -> None:
    config = configure(EAP, {"file:ca.pem": CA.certificate.public_bytes(Encoding.DER)})
    assert isinstance(config.proof, CertProof)
    assert config.proof.trust.anchors == (CA.certificate,)


def test_the_system_store_adds_its_authorities() -> None:
    other = make_authority("Public CA")
    text = EAP.replace('ca = ["file:ca.pem"]', 'ca = ["file:ca.pem"]\nsystem_store = true')
    config = configure(text, authorities=pem(other.certificate).encode())
    assert isinstance(config.proof, CertProof)
    assert config.proof.trust.anchors == (CA.certificate, other.certificate)


@pytest.mark.parametrize(
    ("words", "sends"),
    [
        ("", False),
        ('remote = "vpn.example.com"\n', True),
        ('remote = "vpn.example.com"\nsend_idr = "never"\n', False),
        ('send_idr = "always"\n', True),
    ],
)
def test_the_wanted_identity_is_sent_as_the_profile_says(words: str, sends: bool) -> None:
    text = PSK.replace("[identity]\n", f"[identity]\n{words}")
    assert configure(text).send_idr is sends


def test_a_full_tunnel_asks_for_everything() -> None:
    config = configure(PSK)
    assert config.local_selectors == config.remote_selectors == (ANY_IPV4, ANY_IPV6)


def test_a_family_that_is_not_requested_is_not_selected() -> None:
    config = configure(PSK + '[address]\nrequest = ["ipv4"]\n')
    assert (config.request_ipv4, config.request_ipv6) == (True, False)
    assert config.local_selectors == config.remote_selectors == (ANY_IPV4,)


def test_a_split_tunnel_by_the_profile_alone_asks_for_its_networks() -> None:
    routing = '[routing]\nmode = "split"\ninclude = ["198.51.100.0/24"]\nuse_ts_from_gateway = false\n'
    network = Selector(ip_address("198.51.100.0"), ip_address("198.51.100.255"))
    assert configure(PSK + routing).remote_selectors == (network,)


def test_a_split_tunnel_lets_the_gateway_name_its_networks() -> None:
    routing = '[routing]\nmode = "split"\ninclude = ["198.51.100.0/24"]\n'
    assert configure(PSK + routing).remote_selectors == (ANY_IPV4, ANY_IPV6)


def test_static_addresses_are_not_asked_for() -> None:
    config = configure(PSK + '[address]\nstatic = ["169.254.6.2/30"]\n')
    assert (config.request_ipv4, config.request_ipv6) == (False, False)
    assert config.static_addresses == (ip_interface("169.254.6.2/30"),)
    assert config.remote_selectors == (ANY_IPV4,)


def test_forward_secrecy_is_off_offered_or_required() -> None:
    def methods(word: str) -> list[bool]:
        offer = configure(PSK + f'[crypto]\npfs = "{word}"\n').esp_offer
        return [len(proposal.ids(TransformType.KE)) > 0 for proposal in offer.proposals]

    assert not any(methods("off"))
    assert any(methods("offer"))
    assert not all(methods("offer"))
    assert all(methods("require"))


def test_own_proposals_replace_the_preset() -> None:
    config = configure(PSK + '[crypto]\nike = ["aes128-sha256-ecp256"]\n')
    assert config.ike_offer.kex_methods == (Kex.ECP_256,)


def test_mobility_becomes_timing() -> None:
    text = PSK + "[mobility]\nmobike = false\nforce_encap = true\ndpd = 30\nnat_keepalive = 0\n"
    config = configure(text)
    assert (config.mobike, config.force_encapsulation) == (False, True)
    assert (config.patience.idle_liveness, config.patience.keepalive) == (30.0, NEVER)


def test_the_sample_becomes_a_split_tunnel() -> None:
    config = tunnel_config(load_text(SAMPLE.read_text()))
    assert config.name == "office"
    assert config.gateways == ("vpn.example.com",)
    assert not config.full
    assert config.include == (ip_network("198.51.100.0/24"),)
    assert config.guard
    assert config.forward == "tunnelled"
