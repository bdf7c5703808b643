"""From profiles to typed values: what each key becomes, and where the error points when it cannot."""

from __future__ import annotations

from ipaddress import ip_address, ip_interface, ip_network

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
)

from client.config import NEVER, SecretMissing, tunnel_config
from client.ike.events import Selector
from client.ike.identity import Identity
from client.ike.keys import Secret
from client.ike.options import (
    CertProof,
    EapLogin,
    PskLogin,
    PskProof,
)
from client.ike.registry import EapType, Kex, TransformType
from client.ike.selectors import ANY_IPV4, ANY_IPV6
from client.lab.pki import make_authority, pem
from profiles.errors import ProfileError
from profiles.store import load_text
from tests.configured import CA, CERT, EAP, FILES, PSK, SAMPLE, configure


def test_a_pre_shared_key_proves_both_ends() -> None:
    config = configure(PSK)
    assert config.login == PskLogin(Secret(b"a key"))
    assert config.proof == PskProof(Secret(b"a key"))
    assert config.local_id == Identity.parse("laptop.example.com")
    assert config.remote_id == Identity.parse("192.0.2.1")
    assert not config.send_idr


def test_eap_names_its_user_and_the_gateway_shows_a_certificate() -> None:
    config = configure(EAP)
    assert config.login == EapLogin("alice", Secret(b"hollow-Cedar-2266"), (EapType.MSCHAPV2,))
    assert isinstance(config.proof, CertProof)
    assert config.proof.trust.expected == Identity.parse("vpn.example.com")
    assert config.proof.trust.anchors == (CA.certificate,)
    assert config.local_id == Identity.parse("alice")


def test_a_missing_secret_says_what_to_ask_for() -> None:
    with pytest.raises(SecretMissing) as missing:
        configure(PSK, secrets={})
    assert (missing.value.text, missing.value.kind) == ("keyring:site", "password")


def test_a_private_key_that_was_not_handed_over_is_a_secret_too() -> None:
    with pytest.raises(SecretMissing) as missing:
        configure(CERT, {name: octets for name, octets in FILES.items() if name != "file:laptop.key"})
    assert missing.value.kind == "key"


def test_secrets_stand_in_no_representation() -> None:
    assert "hollow-Cedar" not in repr(configure(EAP))
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
