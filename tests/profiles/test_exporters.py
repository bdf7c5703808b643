"""Profiles for other programs: what comes back from there is what went, but for what the reports say."""

from __future__ import annotations

import json
import plistlib
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import pytest

from client.ike.proposals import parse_offer
from client.ike.registry import ProtocolId
from profiles.errors import ProfileError
from profiles.exporters import EXPORTERS, Exported
from profiles.importers.detect import load
from profiles.importers.draft import Imported
from profiles.importers.intake import Intake
from profiles.importers.report import Outcome
from profiles.importers.strongswan_conf import parse
from profiles.model import Crypto, Gateway, LocalRound, Profile
from profiles.store import load_text

SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(
    path.name
    for path in SAMPLES.iterdir()
    if path.name not in ("11-ipsec.secrets", "14-profile-schema1.toml")
)


def sample(name: str) -> tuple[Profile, dict[str, bytes]]:
    """A profile as a person has it, with the files that it refers to."""
    (entry,) = load(Intake((SAMPLES / name).read_bytes(), server="vpn.example.com", user="alice"))
    authority = next(iter(imported("01-mobileconfig-eap.mobileconfig").files.values()))
    wanted = {f"file:{lack.name}": lack for lack in entry.lacking}
    bundle = (SAMPLES / "06-client-modern.p12").read_bytes()
    found = {reference: bundle if reference.endswith("p12") else authority for reference in wanted}
    elsewhere = dict.fromkeys(entry.profile.trust.ca, authority)
    return entry.profile, {
        **elsewhere,
        **found,
        **{f"file:{name}": octets for name, octets in entry.files.items()},
    }


def imported(name: str) -> Imported:
    return load(Intake((SAMPLES / name).read_bytes()))[0]


def differences(before: object, after: object, path: str = "") -> set[str]:
    """Paths at which two profiles differ."""
    if is_dataclass(before) and is_dataclass(after) and type(before) is type(after):
        below = {
            entry.name: (getattr(before, entry.name), getattr(after, entry.name)) for entry in fields(before)
        }
        return {
            found
            for name, (a, b) in below.items()
            for found in differences(a, b, f"{path}.{name}".lstrip("."))
        }
    if (
        path == "auth.local"
        and isinstance(before, tuple)
        and isinstance(after, tuple)
        and len(before) == len(after)
    ):
        pairs = enumerate(zip(before, after, strict=True))
        return {found for n, (a, b) in pairs for found in differences(a, b, f"{path}[{n}]")}
    return set() if before == after else {path}


def told(exported: Exported, back: Imported) -> set[str]:
    """Keys that either report calls more than honoured."""
    out = {row.source for row in exported.report.rows if row.outcome is not Outcome.HONOURED}
    inside = {row.target for row in back.report.rows if row.outcome is not Outcome.HONOURED}
    return out | inside


# What a file of the other program always says, so that a default of ours comes back as words: equal in effect.
SPELT_OUT = {
    "mobileconfig": {"identity.remote", "routing.use_ts_from_gateway", "dns.search"},
    "sswan": {"identity.match"},
    "swanctl": {
        "identity.remote",
        "identity.send_idr",
        "identity.match",
        "address.request",
        "trust.system_store",
    },
}
# Names of files and of keyring entries are made anew.
RENAMED = {
    "auth.local[0].cert",
    "auth.local[0].key",
    "auth.local[0].secret",
    "trust.ca",
    "auth.remote.secret",
}
# What is compared as it works out, because a default of ours may come back as words.
IN_EFFECT = {"auth.remote.method"}


@pytest.mark.parametrize("word", EXPORTERS)
@pytest.mark.parametrize("name", NAMES)
def test_what_comes_back_differs_only_in_what_was_told(name: str, word: str) -> None:
    profile, files = sample(name)
    try:
        exported = EXPORTERS[word](profile, files)
    except ProfileError as refusal:
        message = str(refusal)
    else:
        message = ""
        compare(profile, exported, word)
    assert message in REFUSED


def compare(profile: Profile, exported: Exported, word: str) -> None:
    """What comes back is what went, but for what was told."""
    back = load(Intake(exported.octets, name=profile.id))[0]
    known = told(exported, back) | SPELT_OUT[word]
    assert back.profile.auth.proof == profile.auth.proof
    assert differences(profile, back.profile) - known - RENAMED - IN_EFFECT == set()


REFUSED = {
    "",
    "gateway.port: Apple's devices dial port 500 alone",
    "auth.local[0].cert: Apple's devices take a .p12 alone",
}


def test_every_key_of_a_profile_is_told_of() -> None:
    profile, files = sample("04-eap.sswan")
    for word in ("sswan", "swanctl"):
        rows = EXPORTERS[word](profile, files).report.rows
        sources = [row.source for row in rows]
        assert len(sources) == len(set(sources))
        assert {"gateway.addresses", "crypto.ike", "routing.exclude", "dns.servers"} <= set(sources)


def test_no_secret_is_exported_and_each_is_called_missing() -> None:
    profile, files = sample("12-office.nmconnection")
    exported = EXPORTERS["swanctl"](profile, files)
    assert exported.report.count(Outcome.MISSING) == 1
    assert "secrets" not in parse(exported.octets.decode()).sections
    assert b"#     id = alice" in exported.octets


def test_a_mobileconfig_is_one_by_apples_documentation() -> None:
    profile, files = sample("02-mobileconfig-cert.mobileconfig")
    top = plistlib.loads(EXPORTERS["mobileconfig"](profile, files).octets)
    assert top["PayloadType"] == "Configuration"
    payloads = [top, *top["PayloadContent"]]
    required = {"PayloadType", "PayloadVersion", "PayloadIdentifier", "PayloadUUID"}
    assert all(required <= payload.keys() for payload in payloads)
    assert len({payload["PayloadUUID"] for payload in payloads}) == len(payloads)
    vpn, bundle, authority = top["PayloadContent"]
    assert vpn["VPNType"] == "IKEv2"
    ike = vpn["IKEv2"]
    assert {"RemoteAddress", "RemoteIdentifier", "LocalIdentifier", "AuthenticationMethod"} <= ike.keys()
    assert ike["AuthenticationMethod"] in ("None", "SharedSecret", "Certificate")
    assert ike["PayloadCertificateUUID"] == bundle["PayloadUUID"]
    assert authority["PayloadType"] == "com.apple.security.root"
    assert {type(value) for value in ike.values()} <= {str, int, dict}
    for name in ("IKESecurityAssociationParameters", "ChildSecurityAssociationParameters"):
        assert ike[name]["EncryptionAlgorithm"] == "AES-256-GCM"
        assert 10 <= ike[name]["LifeTimeInMinutes"] <= 1440


def test_what_the_android_client_insists_on_is_there() -> None:
    profile, files = sample("05-cert.sswan")
    table = json.loads(EXPORTERS["sswan"](profile, files).octets)
    assert {"uuid", "name", "type", "remote", "local"} <= table.keys()
    assert table["local"]["p12"] == json.loads((SAMPLES / "05-cert.sswan").read_text())["local"][
        "p12"
    ].replace("\n", "")


def test_a_swanctl_conf_names_the_files_that_go_with_it() -> None:
    profile, files = sample("01-mobileconfig-eap.mobileconfig")
    exported = EXPORTERS["swanctl"](profile, files)
    assert list(exported.files) == ["x509ca/office-ca-1.der"]
    assert b"cacerts = office-ca-1.der" in exported.octets


def test_pfs_is_what_the_proposals_say() -> None:
    profile, files = sample("01-mobileconfig-eap.mobileconfig")
    for word, line in (
        ("off", b"= aes256gcm16\n"),
        ("offer", b"= aes256gcm16-ecp384-none\n"),
        ("require", b"16-ecp384\n"),
    ):
        crypto = replace(profile.crypto, pfs=word)  # type: ignore[arg-type]
        assert line in EXPORTERS["swanctl"](replace(profile, crypto=crypto), files).octets


@pytest.mark.parametrize(
    ("word", "changes", "path"),
    [
        ("sswan", {"method": "psk"}, "auth.local"),
        ("sswan", {"method": "eap", "eap_methods": ("ttls",)}, "auth.local"),
        ("mobileconfig", {"method": "eap", "eap_methods": ("ttls",)}, "auth.local[0].eap_methods"),
        ("swanctl", {"method": "eap", "eap_methods": ("otp",)}, "auth.local[0].eap_methods"),
    ],
)
def test_a_login_that_the_other_program_lacks_is_refused(
    word: str, changes: dict[str, object], path: str
) -> None:
    profile, files = sample("04-eap.sswan")
    entry = LocalRound(**{"method": "eap", "identity": "alice", **changes})  # type: ignore[arg-type]
    changed = replace(profile, gateway=Gateway(("a.example",)), auth=replace(profile.auth, local=(entry,)))
    with pytest.raises(ProfileError) as caught:
        EXPORTERS[word](changed, files)
    assert caught.value.path == path


def test_a_key_that_is_in_no_file_is_not_exported() -> None:
    profile, files = sample("12-office.nmconnection")
    entry = LocalRound("cert", cert="file:me.pem", key="file:me.key")
    changed = replace(profile, auth=replace(profile.auth, local=(entry,)))
    with pytest.raises(ProfileError, match="cannot be handed on"):
        EXPORTERS["swanctl"](changed, files)


def test_a_sim_is_exported_with_the_word_that_it_takes_more() -> None:
    profile, files = sample("04-eap.sswan")
    entry = LocalRound("eap", eap_methods=("aka",), key="sim:")
    exported = EXPORTERS["swanctl"](replace(profile, auth=replace(profile.auth, local=(entry,))), files)
    assert b"auth = eap-aka\n" in exported.octets
    (row,) = [row for row in exported.report.rows if row.source == "auth.local[0].key"]
    assert row.outcome is Outcome.APPROXIMATED


def test_a_name_that_needs_quotes_gets_them() -> None:
    profile, files = sample("04-eap.sswan")
    entry = replace(profile.auth.local[0], identity='DOMAIN\\al "x"')
    changed = replace(profile, auth=replace(profile.auth, local=(entry,)))
    section = parse(EXPORTERS["swanctl"](changed, files).octets.decode())
    login = section.sections["connections"].sections["example-office-eap"].sections["local-1"]
    assert login.keys["eap_id"] == 'DOMAIN\\al "x"'


def test_proposals_of_imports_are_those_that_the_engine_has() -> None:
    for name in NAMES:
        crypto = sample(name)[0].crypto
        for protocol, words in ((ProtocolId.IKE, crypto.ike), (ProtocolId.ESP, crypto.esp)):
            if words:
                parse_offer(protocol, words, allow_legacy=crypto.allow_legacy)
    assert Crypto() != load_text(imported("04-eap.sswan").text).crypto
