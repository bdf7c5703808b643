"""What producers write beside the usual: each row a file, and what must come of it."""

from __future__ import annotations

import json
import plistlib
import struct
from pathlib import Path
from typing import Any

import pytest

from profiles.errors import ProfileError
from profiles.exporters import EXPORTERS
from profiles.importers.detect import load
from profiles.importers.draft import Imported
from profiles.importers.intake import Intake
from profiles.importers.report import Outcome
from profiles.model import Name

SAMPLES = Path(__file__).parent / "samples"
IKE: dict[str, Any] = {"RemoteAddress": "vpn.example.com", "RemoteIdentifier": "vpn.example.com"}
EAP: dict[str, Any] = {**IKE, "AuthenticationMethod": "None", "ExtendedAuthEnabled": 1, "AuthName": "alice"}


def only(octets: bytes, **more: Any) -> Imported:  # noqa: ANN401 - fields of an intake
    (entry,) = load(Intake(octets, **more))
    return entry


def apple(*tunnels: dict[str, Any], **top: Any) -> bytes:  # noqa: ANN401 - a plist's values
    payloads = [
        {
            "PayloadType": "com.apple.vpn.managed",
            "VPNType": "IKEv2",
            "UserDefinedName": "Office",
            "IKEv2": ike,
            **top,
        }
        for ike in tunnels
    ]
    return plistlib.dumps({"PayloadType": "Configuration", "PayloadContent": payloads})


def outcome(entry: Imported, source: str) -> Outcome:
    return next(row.outcome for row in entry.report.rows if row.source.endswith(source))


def sswan(kind: str, **changes: Any) -> bytes:  # noqa: ANN401 - JSON's values
    base = {"uuid": "x", "name": "Office", "type": kind, "remote": {"addr": "vpn.example.com"}, "local": {}}
    return json.dumps(base | changes).encode()


def keyfile(**vpn: str) -> bytes:
    base = {
        "service-type": "org.freedesktop.NetworkManager.strongswan",
        "address": "vpn.example.com",
        "method": "eap",
    }
    lines = "\n".join(
        f"{key.replace('_', '-')}={value}" for key, value in {**base, "user": "alice", **vpn}.items()
    )
    return f"[connection]\nid=Office\ntype=vpn\n\n[vpn]\n{lines}\n".encode()


def connection(text: str) -> bytes:
    return f"conn office\n{text}".encode()


# Apple


def test_several_tunnels_in_one_file_get_names_of_their_own() -> None:
    found = load(Intake(apple(EAP, {**EAP, "RemoteAddress": "b.example.com"})))
    assert [entry.profile.id for entry in found] == ["office", "office-2"]
    assert [entry.profile.auth.local[0].secret for entry in found] == ["keyring:office", "keyring:office-2"]


def test_a_binary_plist_is_the_same_as_xml() -> None:
    tree = plistlib.loads((SAMPLES / "01-mobileconfig-eap.mobileconfig").read_bytes())
    binary = only(plistlib.dumps(tree, fmt=plistlib.FMT_BINARY))
    assert binary.profile == only((SAMPLES / "01-mobileconfig-eap.mobileconfig").read_bytes()).profile


def test_a_shared_secret_is_known_to_both_sides() -> None:
    ike = {
        **IKE,
        "AuthenticationMethod": "SharedSecret",
        "SharedSecret": "hush",
        "LocalIdentifier": "alice@example.com",
    }
    entry = only(apple(ike))
    assert entry.profile.auth.proof == "psk"
    assert [secret.value for secret in entry.secrets] == ["hush"]
    assert not entry.profile.trust.system_store
    back = only(EXPORTERS["mobileconfig"](entry.profile, {}).octets)
    assert back.profile.auth.proof == "psk"
    assert back.profile.identity.local == Name("alice@example.com")


def test_a_certificate_and_extended_authentication_is_eap_tls() -> None:
    entry = only(apple({**EAP, "AuthenticationMethod": "Certificate", "PayloadCertificateUUID": "gone"}))
    assert entry.profile.auth.local[0].eap_methods == ("tls",)
    assert [lack.name for lack in entry.lacking] == ["office-client.p12"]


def test_always_on_nests_its_tunnels() -> None:
    payload = {
        "PayloadType": "com.apple.vpn.managed",
        "VPNType": "AlwaysOn",
        "AlwaysOn": {"TunnelConfigurations": [{"ProtocolType": "IKEv2", **EAP}]},
    }
    octets = plistlib.dumps({"PayloadDisplayName": "Always", "PayloadContent": [payload]})
    assert only(octets).profile.gateway.addresses == ("vpn.example.com",)


def test_weak_and_unknown_algorithms_of_apple_are_said() -> None:
    suite = {"EncryptionAlgorithm": "3DES", "IntegrityAlgorithm": "SHA1-96", "DiffieHellmanGroup": 2}
    entry = only(apple({**EAP, "IKESecurityAssociationParameters": suite}))
    assert entry.profile.crypto.ike == ()
    assert outcome(entry, "EncryptionAlgorithm") is Outcome.APPROXIMATED
    weak = {"EncryptionAlgorithm": "AES-256", "IntegrityAlgorithm": "SHA1-96"}
    entry = only(apple({**EAP, "IKESecurityAssociationParameters": weak}))
    assert entry.profile.crypto.ike == ("aes256-sha1-modp2048",)
    assert entry.profile.crypto.allow_legacy


def test_everything_or_nothing_is_the_guard() -> None:
    entry = only(apple({**EAP, "IncludeAllNetworks": True, "ExcludeLocalNetworks": 0}))
    assert (entry.profile.routing.mode, entry.profile.routing.guard) == ("full", True)
    assert not entry.profile.routing.allow_lan


def test_other_kinds_of_vpn_are_named_in_the_refusal() -> None:
    octets = plistlib.dumps(
        {"PayloadContent": [{"PayloadType": "com.apple.vpn.managed", "VPNType": "IPSec"}]}
    )
    with pytest.raises(ProfileError, match="has a VPN by IKEv1 and none by IKEv2"):
        load(Intake(octets))


# strongSwan on Android


def test_two_rounds_are_two_rounds() -> None:
    entry = only(sswan("ikev2-cert-eap", local={"eap_id": "alice", "id": "alice@example.com"}))
    assert [entry.method for entry in entry.profile.auth.local] == ["cert", "eap"]


def test_a_gateways_own_certificate_is_pinned() -> None:
    me = (Path(__file__).parent / "containers" / "me.pem").read_text()
    body = "".join(line for line in me.splitlines() if not line.startswith("-"))
    entry = only(sswan("ikev2-eap", remote={"addr": "vpn.example.com", "cert": body}, local={"eap_id": "a"}))
    assert len(entry.profile.trust.pin) == 1
    assert entry.profile.trust.ca == ()


def test_texts_stand_for_numbers_and_flags() -> None:
    remote = {"addr": "vpn.example.com", "port": "4500", "certreq": "false"}
    entry = only(sswan("ikev2-eap", remote=remote, local={"eap_id": "a", "rsa-pss": "true"}, mtu="1380"))
    assert (entry.profile.gateway.port, entry.profile.routing.mtu) == (4500, 1380)
    assert outcome(entry, "certreq") is Outcome.IGNORED


def test_out_of_range_is_moved_into_it_and_said() -> None:
    entry = only(sswan("ikev2-eap", local={"eap_id": "a"}, mtu=9000))
    assert entry.profile.routing.mtu == 1500
    assert outcome(entry, "mtu") is Outcome.APPROXIMATED


def test_apps_are_ignored_with_the_reason() -> None:
    entry = only(sswan("ikev2-eap", local={"eap_id": "a"}, apps=["com.example"]))
    assert outcome(entry, "apps") is Outcome.IGNORED


# NetworkManager


def test_a_keyfile_with_certificate_and_key_keeps_their_places() -> None:
    entry = only(keyfile(method="cert", usercert="/etc/me.pem", userkey="/etc/me.key"))
    assert (entry.profile.auth.local[0].cert, entry.profile.auth.local[0].key) == (
        "file:/etc/me.pem",
        "file:/etc/me.key",
    )
    assert entry.profile.trust.system_store


def test_a_place_that_climbs_is_not_kept() -> None:
    entry = only(keyfile(certificate="/etc/ssl/../../home/me/x.pem"))
    assert entry.profile.trust.ca == ("file:office-ca.pem",)


def test_routes_of_a_keyfile_go_through_the_tunnel() -> None:
    text = (
        keyfile().decode()
        + "[ipv4]\nroute1=10.0.0.0/8,10.1.0.1,50\nroute2=192.0.2.0/24\nnever-default=true\n"
    )
    entry = only(text.encode())
    assert [str(network) for network in entry.profile.routing.include] == ["10.0.0.0/8", "192.0.2.0/24"]


# swanctl and ipsec.conf


def test_an_authority_of_an_ipsec_conf_is_the_one_to_bring() -> None:
    entry = only(
        connection(" left=%any\n leftauth=eap\n eap_identity=a\n right=a.example\n")
        + b"ca office\n cacert=/etc/office.pem\n"
    )
    assert entry.profile.trust.ca == ("file:/etc/office.pem",)


def test_secrets_of_others_are_said_to_be_unused() -> None:
    entry = only((SAMPLES / "10-swanctl.conf").read_bytes())
    assert outcome(entry, "secrets.ike-psk") is Outcome.IGNORED


def test_a_shared_key_beside_eap_is_what_gateways_of_fortinet_want() -> None:
    text = b"""
connections { office { remote_addrs = vpn.example.com
  local { auth = eap-mschapv2
    eap_id = alice }
  remote { auth = psk
    id = keyid:gateway }
  children { net { remote_ts = 10.0.0.0/8 } } } }
secrets { ike-1 { id = keyid:gateway
  secret = 0x68757368 } }
"""
    entry = only(text)
    assert entry.profile.auth.proof == "psk"
    assert entry.profile.auth.local[0].method == "eap"
    assert entry.profile.auth.remote.secret == "keyring:office/psk"
    assert ("keyring:office/psk", "hush") in [(secret.reference, secret.value) for secret in entry.secrets]


def test_a_server_s_own_connections_are_passed_over() -> None:
    text = b"connections { in { remote_addrs = %any\n local { auth = pubkey } } }"
    with pytest.raises(ProfileError, match="none by IKEv2 that dials"):
        load(Intake(text))


def test_the_default_of_strongswan_is_the_preset_of_ours() -> None:
    entry = only(
        b"connections { a { remote_addrs = a.example\n proposals = default\n"
        b" local { auth = eap-tls\n id = me }\n remote { id = %any } } }"
    )
    assert entry.profile.crypto.ike == ()
    assert outcome(entry, "proposals") is Outcome.APPROXIMATED
    assert outcome(entry, "remote.id") is Outcome.APPROXIMATED


def test_scripts_that_a_file_names_are_never_run() -> None:
    entry = only(
        b"connections { a { remote_addrs = a.example\n local { auth = eap\n eap_id = me }\n"
        b" remote { id = a.example\n cacerts = /etc/ca.pem }\n"
        b" children { n { updown = /tmp/evil.sh\n remote_ts = 10.0.0.0/8 } } } }"
    )
    assert outcome(entry, "updown") is Outcome.IGNORED
    assert "evil" not in entry.text


def test_left_may_be_the_gateway() -> None:
    entry = only(
        connection(
            " left=vpn.example.com\n leftid=@vpn.example.com\n leftsubnet=10.0.0.0/8\n right=%defaultroute\n"
            " rightauth=eap-mschapv2\n eap_identity=alice\n rightsourceip=%config\n"
        )
    )
    assert entry.profile.gateway.addresses == ("vpn.example.com",)
    assert entry.profile.identity.remote == Name("@vpn.example.com")
    assert [str(network) for network in entry.profile.routing.include] == ["10.0.0.0/8"]


def test_libreswans_dialect_is_read_and_said() -> None:
    entry = only(
        connection(
            " ikev2=insist\n left=%defaultroute\n leftcert=me\n leftmodecfgclient=yes\n right=vpn.example.com\n"
            " rightid=@vpn.example.com\n rightsubnet=0.0.0.0/0\n ike=aes_gcm256-sha2_256;dh19\n"
            " phase2alg=aes_gcm256\n authby=rsasig\n"
        )
    )
    assert entry.profile.crypto.ike == ("aes256gcm16-prfsha256-ecp256",)
    assert entry.profile.crypto.esp == ("aes256gcm16",)
    assert entry.profile.routing.mode == "full"
    assert any("Libreswan" in note for note in entry.notes)


# Windows


def test_a_phone_book_in_utf_16_with_defaults_gets_the_preset() -> None:
    text = (SAMPLES / "08-rasphone.pbk").read_text().replace("NumCustomPolicy=1", "NumCustomPolicy=0")
    entry = only(b"\xff\xfe" + text.encode("utf-16-le"), user="alice")
    assert entry.profile.preset == "windows-rras"
    assert entry.profile.crypto.pfs == "off"


def test_a_policy_of_a_phone_book_is_six_numbers() -> None:
    policy = struct.pack("<6I", 3, 6, 5, 8, 5, 5).hex()
    text = (SAMPLES / "08-rasphone.pbk").read_text()
    before = next(line for line in text.splitlines() if line.startswith("CustomIPSecPolicies="))
    entry = only(text.replace(before, f"CustomIPSecPolicies={policy}").encode(), user="alice")
    assert entry.profile.crypto.ike == ("aes256gcm16-prfsha384-ecp384",)
    assert entry.profile.crypto.esp == ("aes256gcm16-ecp384",)
    assert entry.profile.crypto.pfs == "require"


def test_profilexml_inside_syncml_escaped_is_found() -> None:
    inner = (
        (SAMPLES / "09-ProfileXML.xml")
        .read_text()
        .replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
    )
    wrapped = f"<Add><Item><Data>{inner}</Data></Item></Add>".encode()
    assert (
        only(wrapped, user="alice").profile
        == only((SAMPLES / "09-ProfileXML.xml").read_bytes(), user="alice").profile
    )


def test_peap_with_a_password_inside_needs_no_certificate() -> None:
    text = (
        (SAMPLES / "09-ProfileXML.xml")
        .read_text()
        .replace(">13</Type>", ">25</Type>", 1)
        .replace("<Type>13", "<Type>26")
    )
    entry = only(text.encode(), user="OFFICE\\alice")
    assert entry.profile.auth.local[0].eap_methods == ("peap",)
    assert entry.profile.auth.local[0].identity == "OFFICE\\alice"
    assert entry.lacking
    assert all("client" not in lack.name for lack in entry.lacking)


def test_a_script_of_several_connections_makes_several_profiles() -> None:
    script = b"""
Add-VpnConnection -Name "One" -ServerAddress one.example.com -TunnelType "Ikev2" `
  -AuthenticationMethod MachineCertificate
Add-VpnConnection -Name "Two" -ServerAddress two.example.com -TunnelType Ikev2 -SplitTunneling:$true
Add-VpnConnectionRoute -ConnectionName "Two" -DestinationPrefix 10.0.0.0/8
"""
    one, two = load(Intake(script, user="alice"))
    assert (one.profile.auth.local[0].method, one.profile.routing.mode) == ("cert", "full")
    assert (two.profile.auth.local[0].method, two.profile.routing.mode) == ("eap", "split")
    assert [str(network) for network in two.profile.routing.include] == ["10.0.0.0/8"]


# Providers


def test_a_provider_s_text_may_bring_its_certificate() -> None:
    authority = (Path(__file__).parent / "containers" / "above.pem").read_text()
    entry = only(f"Server: vpn.example.net\nUsername: u\nPassword: p\n\n{authority}".encode())
    assert list(entry.files) == ["vpn-ca.pem", "vpn-ca-2.pem"]
    assert [secret.value for secret in entry.secrets] == ["p"]
    assert entry.profile.preset == "provider"
