"""`roam import`, `roam export` and `roam profiles` as people and scripts use them."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from pathlib import Path

import pytest

from profiles.errors import ProfileError
from profiles.store import load_text
from tests.ui.conftest import MemoryKeyring
from ui.cli import _parser, main
from ui.commands.importing import _import

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "tests" / "profiles" / "samples"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user without profiles; the folder where they will lie."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "config" / "roam" / "profiles"


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_an_import_writes_profile_and_files_closed_to_others(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "import", str(SAMPLES / "07-azure-vpnclient.zip"), "--name", "work")
    assert code == 0
    assert {path.name for path in home.iterdir()} == {"work.toml", "work-ca.pem"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert "trusts" in out
    assert "SHA-256 e1:b7:b8" in out
    first, second = out.partition("SHA-256 ")[2].splitlines()[:2]
    assert len(f"{first}{second.strip()}".split(":")) == 32, "two lines that fit on any screen"
    assert max(len(first), len(second)) < 62
    assert f"to bring: {home / 'work-client.p12'}" in out
    assert load_text((home / "work.toml").read_text()).id == "work"


def test_a_dry_run_writes_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "import", str(SAMPLES / "04-eap.sswan"), "--dry-run")
    assert code == 0
    assert 'id = "example-office-eap"' in out
    assert not home.exists()


def test_nothing_is_overwritten_without_force(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = str(SAMPLES / "04-eap.sswan")
    assert run(capsys, "import", sample, "--name", "work")[0] == 0
    (home / "work.toml").write_text("mine")
    code, _, err = run(capsys, "import", sample, "--name", "work")
    assert code == 2
    assert "exists already" in err
    assert (home / "work.toml").read_text() == "mine"
    assert run(capsys, "import", sample, "--name", "work", "--force")[0] == 0
    assert (home / "work.toml").read_text() != "mine"


def test_secrets_of_the_file_go_to_the_keyring_if_wanted(
    home: Path, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    sample = str(SAMPLES / "12-office.nmconnection")
    _, out, _ = run(capsys, "import", sample, "--json")
    (entry,) = json.loads(out)["data"]["profiles"]
    assert entry["counts"]["missing secret"] == 1
    assert ring.entries == {}
    _, out, _ = run(capsys, "import", sample, "--json", "--force", "--keep-secrets")
    (entry,) = json.loads(out)["data"]["profiles"]
    assert entry["counts"]["missing secret"] == 0
    assert ring.entries == {("roam", "office"): "not a real secret"}
    assert "not a real secret" not in out


def test_a_closed_keyring_leaves_the_secret_missing(
    home: Path, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    ring.locked = True
    code, _, err = run(capsys, "import", str(SAMPLES / "12-office.nmconnection"), "--keep-secrets")
    assert code == 0
    assert "the keyring did not take office" in err


def test_files_beside_a_swanctl_conf_are_found_and_others_left_alone(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "etc"
    (folder / "x509ca").mkdir(parents=True)
    (folder / "swanctl.conf").write_bytes((SAMPLES / "10-swanctl.conf").read_bytes())
    authority = (Path(__file__).parents[1] / "profiles" / "containers" / "above.pem").read_bytes()
    (folder / "x509ca" / "office-ca.pem").write_bytes(b"no certificate at all")
    run(capsys, "import", str(folder / "swanctl.conf"), "--name", "first")
    assert not (home / "first-ca.pem").exists()
    (folder / "x509ca" / "office-ca.pem").write_bytes(authority)
    run(capsys, "import", str(folder / "swanctl.conf"), "--name", "second")
    assert (home / "second-ca.pem").read_bytes() == authority


def test_secrets_beside_an_ipsec_conf_are_read(
    home: Path, ring: MemoryKeyring, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("ipsec.conf", "ipsec.secrets"):
        (tmp_path / name).write_bytes((SAMPLES / f"11-{name}").read_bytes())
    assert run(capsys, "import", str(tmp_path / "ipsec.conf"), "--keep-secrets")[0] == 0
    assert ring.entries == {("roam", "office"): "not a real secret"}


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"client\nremote a 1194\n"])
def test_what_cannot_be_imported_is_a_sentence_with_the_file(
    home: Path, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x").write_bytes(content)
    code, _, err = run(capsys, "import", "x")
    assert code == 2
    assert "seen: x: is " in err
    assert run(capsys, "import", "nowhere")[0] == 2


def test_a_file_that_names_no_user_can_be_told_one(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = str(SAMPLES / "15-add-vpnconnection.ps1")
    run(capsys, "import", sample, "--name", "one")
    code, out, _ = run(capsys, "profiles", "one", "--check")
    assert code == 2
    assert "identity" in out
    run(capsys, "import", sample, "--name", "two", "--user", "OFFICE\\alice")
    assert load_text((home / "two.toml").read_text()).auth.local[0].identity == "OFFICE\\alice"
    assert run(capsys, "profiles", "two", "--check")[0] == 0


def test_a_check_warns_of_what_is_weak_and_allowed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sample = str(SAMPLES / "15-add-vpnconnection.ps1")
    run(capsys, "import", sample, "--name", "old", "--user", "OFFICE\\alice")
    text = (home / "old.toml").read_text()
    weak = 'allow_legacy = true\nike = ["aes256-sha256-modp1024"]'
    (home / "old.toml").write_text(text.replace('ike = ["aes256-sha384-ecp384"]', weak, 1))
    code, out, _ = run(capsys, "profiles", "old", "--check")
    assert code == 0
    assert "old: right; MODP-1024 is breakable by a well-funded attacker" in out
    _, out, _ = run(capsys, "profiles", "old", "--check", "--json")
    assert "group 14 or better" in out


@pytest.mark.parametrize(("word", "suffix"), [("mobileconfig", "mobileconfig"), ("swanctl", "conf")])
def test_an_export_goes_to_a_file_and_not_over_another(
    home: Path, tmp_path: Path, word: str, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, "import", str(SAMPLES / "01-mobileconfig-eap.mobileconfig"))
    code, out, err = run(capsys, "export", "office", "--to", word)
    assert (code, out) == (0, "")
    assert "missing secret  auth.local[0].secret" in err
    assert (tmp_path / f"office.{suffix}").stat().st_size > 500
    assert run(capsys, "export", "office", "--to", word)[0] == 2
    assert run(capsys, "export", "office", "--to", word, "--force")[0] == 0


def test_an_export_to_stdout_is_the_file_alone(home: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["import", str(SAMPLES / "04-eap.sswan"), "--name", "work"]) == 0
    capfdbinary.readouterr()
    assert main(["export", "work", "--to", "sswan", "--output", "-"]) == 0
    assert json.loads(capfdbinary.readouterr().out)["local"]["eap_id"] == "alice"
    assert main(["export", "work", "--to", "swanctl", "--output", "-"]) == 2


def test_every_value_says_where_it_comes_from(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", str(SAMPLES / "07-azure-vpnclient.zip"), "--name", "work")
    _, out, _ = run(capsys, "profiles", "work", "--show", "--json")
    rows = {row["path"]: row for row in json.loads(out)["data"]}
    assert rows["gateway.addresses"]["source"] == "profile"
    assert rows["routing.mtu"]["source"] == "preset azure-p2s"
    assert "1400" in rows["routing.mtu"]["fact"]
    assert rows["mobility.dpd"]["source"] == "default"


def test_a_change_keeps_the_comments(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "import", str(SAMPLES / "04-eap.sswan"), "--name", "work")
    path = home / "work.toml"
    path.write_text(path.read_text().replace("mtu = 1400", "mtu = 1400  # the DSL line at home"))
    code, _, _ = run(capsys, "profiles", "work", "--set", "routing.mtu=1300", "--set", "dns.servers=")
    assert code == 0
    text = path.read_text()
    assert "mtu = 1300  # the DSL line at home" in text
    assert "servers" not in text
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    for wrong in ("routing.mtu=fast", "routing.mtv=1300", "auth.local[7].secret=ask:", "nonsense"):
        assert run(capsys, "profiles", "work", "--set", wrong)[0] == 2
    assert path.read_text() == text


def examples(page: str) -> list[str]:
    """The lines of a page's first block that speaks of importing, and what its sentences say of export and show."""
    text = (ROOT / page).read_text()
    block = next(block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "roam import" in block)
    sentences = re.findall(r"`(roam (?:export|profiles) office [^`]*)`", text)
    return [line for line in [*block.splitlines(), *sentences] if "roam up" not in line]


@pytest.mark.parametrize("page", ["README.md", "docs/import.md"])
def test_what_the_documents_say_of_files_can_be_typed(
    home: Path, tmp_path: Path, page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "office.mobileconfig").write_bytes(
        (SAMPLES / "01-mobileconfig-eap.mobileconfig").read_bytes()
    )
    (tmp_path / "office.p12").write_bytes((SAMPLES / "06-client-modern.p12").read_bytes())
    lines = examples(page)
    assert lines
    for line in lines:
        code, _, err = run(capsys, *shlex.split(line, comments=True)[1:])
        assert code == 0, f"{line}\n{err}"


def test_a_bundle_goes_where_a_profile_waits_for_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle = SAMPLES / "06-client-modern.p12"
    run(capsys, "import", str(SAMPLES / "07-azure-vpnclient.zip"), "--name", "work")
    assert run(capsys, "profiles", "work", "--check")[0] == 2
    code, out, _ = run(capsys, "import", str(bundle), "--name", "work")
    assert (code, out.splitlines()[0]) == (0, f"written: {home / 'work-client.p12'}")
    assert (home / "work-client.p12").read_bytes() == bundle.read_bytes()
    assert run(capsys, "profiles", "work", "--check")[0] == 0
    assert run(capsys, "import", str(bundle), "--name", "work")[0] == 2
    run(capsys, "import", str(SAMPLES / "04-eap.sswan"), "--name", "other")
    code, _, err = run(capsys, "import", str(bundle), "--name", "other")
    assert (code, "logs in without a bundle" in err) == (2, True)


class Person:
    """Somebody at a terminal who answers by the question's first words."""

    def __init__(self, answers: dict[str, str]) -> None:
        self._answers = answers
        self.asked: list[str] = []

    def line(self, prompt: str) -> str:
        self.asked.append(prompt)
        return next(answer for words, answer in self._answers.items() if prompt.startswith(words))

    secret = line


def imported(person: Person, *words: str) -> int:
    """`roam import` with a person at the terminal."""
    return _import(_parser().parse_args(["import", *words]), person, is_terminal=True)


@pytest.mark.parametrize(("answer", "kept"), [("y", True), ("", False)])
def test_a_person_is_asked_before_a_secret_is_kept(
    home: Path, ring: MemoryKeyring, answer: str, kept: bool
) -> None:
    person = Person({"Keep the secrets": answer})
    assert imported(person, str(SAMPLES / "12-office.nmconnection")) == 0
    assert person.asked == ["Keep the secrets of the file in the keyring (office)? [y/N]"]
    assert bool(ring.entries) is kept


def test_a_person_is_asked_for_what_the_file_does_not_say(home: Path) -> None:
    person = Person({"Your user name": "OFFICE\\alice"})
    assert imported(person, str(SAMPLES / "15-add-vpnconnection.ps1")) == 0
    assert load_text((home / "example-office.toml").read_text()).auth.local[0].identity == "OFFICE\\alice"


def test_a_bundle_is_opened_to_show_whom_it_trusts(
    home: Path, ring: MemoryKeyring, capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person({"The gateway's": "vpn.example.com", "Passphrase": "secret", "Keep the secrets": "y"})
    assert imported(person, str(SAMPLES / "06-client-modern.p12"), "--name", "work") == 0
    assert "trusts          CN=Example VPN CA,O=Example" in capsys.readouterr().out
    assert ring.entries == {("roam", "work/passphrase"): "secret"}
    wrong = Person({"The gateway's": "vpn.example.com", "Passphrase": "wrong"})
    with pytest.raises(ProfileError, match="does not open the bundle"):
        imported(wrong, str(SAMPLES / "06-client-modern.p12"), "--name", "other")
