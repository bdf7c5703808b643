"""From profiles to logins by EAP, and to several rounds."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

from client.config import AUTO, Material, SecretMissing, session_config
from client.ike.eap.usim import DistantUsim
from client.ike.identity import Identity
from client.ike.keys import OneTimeCode, Secret
from client.ike.options import (
    CertLogin,
    CertProof,
    DistantIdentity,
    EapLogin,
    EapProof,
    Inner,
    PskProof,
    SessionConfig,
    TlsOptions,
)
from client.ike.registry import EapType
from client.lab.pki import KeyKind, make_authority, pem
from profiles.errors import ProfileError
from profiles.references import secrets_of
from profiles.store import load_text
from tests.configured import CA, CERT, CERTIFICATE, EAP, FILES, KEY, SECRETS, configure


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


NAME = "001010123456789@nai.epc.mnc001.mcc001.3gppnetwork.org"
SIM = EAP.replace('identity = "alice"\nsecret = "ask:"\n', 'eap_methods = ["aka"]\nkey = "sim:"\n')


@pytest.mark.parametrize(
    ("words", "name"),
    [('"aka"', "0" + NAME), ('"aka-prime"', "6" + NAME), ('"aka-prime", "aka"', "6" + NAME)],
)
def test_a_sim_says_whose_it_is_and_is_asked_in_the_course_of_a_login(words: str, name: str) -> None:
    config = configure(SIM.replace('"aka"', words), files={**FILES, "sim:": NAME.encode()}, secrets={})
    assert isinstance(config.login, EapLogin)
    assert isinstance(config.login.usim, DistantUsim)
    assert config.login.identity == name
    assert config.local_id == Identity.parse(name)


@pytest.mark.parametrize("where", ["identity", "local"])
def test_a_profile_may_say_better_than_the_sim_who_we_are(where: str) -> None:
    text = SIM.replace("[trust]", '[identity]\nlocal = "alice@example.com"\n[trust]')
    if where == "identity":
        text = SIM.replace('key = "sim:"\n', 'key = "sim:"\nidentity = "alice@example.com"\n')
    config = configure(text, secrets={})  # not even asked who it is
    assert isinstance(config.login, EapLogin)
    assert config.login.identity == "alice@example.com"
    assert config.local_id == Identity.parse("alice@example.com")


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (SIM.replace('eap_methods = ["aka"]\n', ""), "key", "proves nothing in this way"),
        (
            SIM.replace('eap_methods = ["aka"]', 'eap_methods = ["tls"]\ncert = "file:laptop.pem"'),
            "key",
            "nothing",
        ),
        (CERT.replace("file:laptop.key", "sim:"), "key", "proves nothing in this way"),
        (SIM.replace('key = "sim:"', 'key = "sim:"\ncert = "file:laptop.pem"'), "cert", "nothing with a SIM"),
        (SIM.replace('"aka"', '"aka", "gtc"'), "eap_methods", "do not go with other methods"),
        (SIM.replace('key = "sim:"', 'key = "agent:alice"'), "key", "means nothing"),
        (SIM.replace('key = "sim:"', 'key = "sim:"\nsecret = "sim:"'), "secret", "no reference that fits"),
    ],
)
def test_a_sim_has_its_place(text: str, path: str, words: str) -> None:
    with pytest.raises(ProfileError, match=words) as error:
        load_text(text)
    assert error.value.path == f"auth.local[0].{path}"


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
        ('["tls"]', '["tls"]\npeap_binding = "required"', "auth.local[0].peap_binding"),
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


AGENT = TLS.replace('key = "file:laptop.key"', 'key = "agent:alice"')
CARD = TLS.replace('key = "file:laptop.key"', 'key = "pkcs11:token=alice"')


def held(kind: KeyKind, text: str = CARD) -> TlsOptions:
    """The options of a profile whose key is elsewhere."""
    issued = CA.issue("CN=laptop", server=False, key=kind)
    shown = issued.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    files = {**FILES, "file:laptop.pem": pem(issued.certificate).encode()}
    return tls_of(configure(text, {**files, "agent:alice": shown, "pkcs11:token=alice": shown}, {}))


@pytest.mark.parametrize(("text", "key"), [(AGENT, "agent:alice"), (CARD, "pkcs11:token=alice")])
def test_a_key_elsewhere_serves_for_eap_tls(text: str, key: str) -> None:
    identity = held("ecdsa", text).identity
    assert isinstance(identity, DistantIdentity)
    assert identity.key == key
    assert len(identity.chain) == 1


@pytest.mark.parametrize(
    ("text", "kind", "signs"),
    [(AGENT, "rsa", False), (AGENT, "ed25519", True), (CARD, "rsa", True), (CARD, "ecdsa", True)],
)
def test_an_agent_has_no_pss_and_so_no_rsa_in_tls_1_3(text: str, kind: KeyKind, signs: bool) -> None:
    identity = held(kind, text).identity
    assert isinstance(identity, DistantIdentity)
    assert identity.signs_pss is signs


def test_a_key_elsewhere_of_a_kind_that_tls_has_not_is_an_error() -> None:
    with pytest.raises(ProfileError, match="of a kind that EAP with TLS cannot use"):
        held("mldsa65")


def test_one_secret_is_not_both_a_pin_and_a_password() -> None:
    with pytest.raises(ProfileError, match="the PIN of a card") as raised:
        held("ecdsa", CARD.replace('["tls"]', '["tls", "mschapv2"]'))
    assert raised.value.path == "auth.local[0].secret"


def test_a_password_is_asked_for_beside_a_key_in_an_agent() -> None:
    profile = load_text(AGENT.replace('["tls"]', '["tls", "mschapv2"]'))
    assert [reference.text for reference in secrets_of(profile, FILES)] == ["ask:"]
    assert secrets_of(load_text(AGENT), FILES) == ()
    assert secrets_of(load_text(CARD), FILES) == ()
