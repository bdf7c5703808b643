"""Files as administrators hand them out: what becomes of every field of each sample is written down."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from profiles.containers import certificates
from profiles.importers.detect import FORMATS, format_of, load
from profiles.importers.draft import Imported
from profiles.importers.intake import Intake
from profiles.importers.report import Outcome
from profiles.model import Name
from profiles.references import files_of
from profiles.store import load_text

ROOT = Path(__file__).parents[2]
SAMPLES = Path(__file__).parent / "samples"
SCRIPT = ROOT / "packaging" / "dev" / "describe_formats.py"


def imported(sample: str, **more: str) -> Imported:
    """The one profile of a sample."""
    beside = {"ipsec.secrets": (SAMPLES / "11-ipsec.secrets").read_bytes()}
    (only,) = load(Intake((SAMPLES / sample).read_bytes(), beside=beside, **more))
    return only


def test_pages_and_reports_are_what_the_importers_say() -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--check"], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("01-mobileconfig-eap.mobileconfig", "mobileconfig"),
        ("02-mobileconfig-cert.mobileconfig", "mobileconfig"),
        ("03-signed-der.mobileconfig", "mobileconfig"),
        ("03-signed-ber.mobileconfig", "mobileconfig"),
        ("04-eap.sswan", "sswan"),
        ("05-cert.sswan", "sswan"),
        ("06-client-modern.p12", "pkcs12"),
        ("07-azure-vpnclient.zip", "azure"),
        ("08-rasphone.pbk", "rasphone"),
        ("09-ProfileXML.xml", "profilexml"),
        ("10-swanctl.conf", "swanctl"),
        ("11-ipsec.conf", "ipsec"),
        ("12-office.nmconnection", "networkmanager"),
        ("13-provider-plain.txt", "provider"),
        ("15-add-vpnconnection.ps1", "powershell"),
    ],
)
def test_the_format_is_told_by_the_content(name: str, word: str) -> None:
    octets = (SAMPLES / name).read_bytes()
    assert format_of(octets).word == word
    assert next(entry.word for entry in FORMATS if entry.recognises(octets)) == word


OTHERS = ("11-ipsec.secrets", "14-profile-schema1.toml")
EVERY = sorted(path.name for path in SAMPLES.iterdir() if path.name not in OTHERS)


@pytest.mark.parametrize("name", EVERY)
def test_what_is_written_is_the_profile_that_was_shown(name: str) -> None:
    entry = imported(name, server="vpn.example.com", user="alice")
    assert not entry.lacks_user
    assert load_text(entry.text) == entry.profile
    named = {
        reference.target for reference in files_of(entry.profile) if not reference.target.startswith("/")
    }
    assert named == {*entry.files, *(lack.name for lack in entry.lacking)}
    assert all(row.text.endswith(".") and row.source for row in entry.report.rows)


@pytest.mark.parametrize("name", EVERY)
def test_no_secret_stands_in_a_profile_or_a_report(name: str) -> None:
    entry = imported(name, server="vpn.example.com")
    told = entry.text + "".join(row.text for row in entry.report.rows) + repr(entry)
    for secret in entry.secrets:
        assert secret.value is None or f'"{secret.value}"' not in told
    assert "not a real secret" not in told


def test_signed_profiles_are_those_that_were_signed() -> None:
    plain = imported("01-mobileconfig-eap.mobileconfig")
    for name in ("03-signed-der.mobileconfig", "03-signed-ber.mobileconfig"):
        signed = imported(name)
        assert signed.profile == plain.profile
        assert signed.report.rows[0].text.startswith("Signed by Example Profile Signer")


def test_a_password_in_the_file_is_found_and_waits_for_the_keyring() -> None:
    entry = imported("12-office.nmconnection")
    (secret,) = entry.secrets
    assert (secret.value, secret.keyring_name) == ("not a real secret", "office")
    assert entry.report.count(Outcome.MISSING) == 1
    stored = entry.with_stored(secret)
    assert stored.report.count(Outcome.MISSING) == 0
    assert stored.profile.auth.local[0].secret == "keyring:office"


def test_secrets_of_ipsec_secrets_are_those_of_the_user() -> None:
    (secret,) = imported("11-ipsec.conf").secrets
    assert secret.value == "not a real secret"


def test_both_roots_of_an_azure_package_are_trusted() -> None:
    entry = imported("07-azure-vpnclient.zip")
    assert [len(certificates(octets)) for octets in entry.files.values()] == [1]  # both are the same
    assert [row.source for row in entry.report.rows if row.target == "trust.ca"] == [
        "Generic/VpnServerRoot.cer",
        "Generic/VpnServerRoot.cer_0",
    ]
    assert entry.profile.crypto.pfs == "off"
    assert entry.profile.routing.mtu == 1400
    assert entry.profile.preset == "azure-p2s"


def test_a_bundle_shows_its_authority_with_the_passphrase() -> None:
    closed = imported("06-client-modern.p12", server="vpn.example.com")
    assert closed.profile.trust.system_store
    opened = imported("06-client-modern.p12", server="vpn.example.com", passphrase="secret")
    assert opened.profile.trust.ca == ("file:vpn.example.com-ca.pem",)
    assert not opened.profile.trust.system_store
    assert opened.secrets[0].value == "secret"


def test_the_name_of_the_profile_may_be_chosen() -> None:
    entry = imported("04-eap.sswan", name="work")
    assert entry.profile.id == "work"
    assert entry.profile.auth.local[0].secret == "keyring:work"
    assert list(entry.files) == ["work-ca.pem"]


def test_identities_keep_their_meaning() -> None:
    assert imported("11-ipsec.conf").profile.identity.send_idr == "never"
    assert imported("10-swanctl.conf").profile.identity.match == "strict"
    assert imported("08-rasphone.pbk", user="alice").profile.identity.match == "loose"
    assert imported("04-eap.sswan").profile.identity.local == Name("alice@vpn.example.com")
