"""Profiles from TOML: what is read, and how a mistake is told."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path

import pytest

from profiles.errors import ProfileError, ProfileNotFound
from profiles.model import Name
from profiles.store import ProfileFile, Store, load_text, user_directory

SAMPLES = Path(__file__).parent / "samples"

SMALL = """
schema = 1
id = "home"
[gateway]
addresses = ["vpn.example.com"]
[[auth.local]]
method = "psk"
identity = "me@example.com"
secret = "keyring:home"
"""


def refusal(text: str) -> ProfileError:
    with pytest.raises(ProfileError) as caught:
        load_text(text)
    return caught.value


def with_lines(*lines: str) -> str:
    return SMALL + "\n".join(lines) + "\n"


def test_the_sample_of_schema_1_is_read_in_full() -> None:
    profile = load_text((SAMPLES / "14-profile-schema1.toml").read_text())
    assert (profile.id, profile.title) == ("office", "Example Office")
    assert profile.gateway.addresses == ("vpn.example.com",)
    assert profile.identity.local == Name("alice@vpn.example.com", "email")
    assert profile.auth.local[0].secret == "keyring:office/eap"
    assert profile.auth.proof == "cert"
    assert profile.trust.ca == ("file:office-ca.pem",)
    assert profile.routing.include == (ip_network("198.51.100.0/24"),)
    assert profile.address.families == ("ipv4", "ipv6")
    assert (profile.mobility.nat_keepalive, profile.mobility.dpd) == (20, 120)


def test_a_small_profile_gets_the_defaults() -> None:
    profile = load_text(SMALL)
    assert profile.title == "home"
    assert (profile.auth.proof, profile.routing.mode, profile.routing.guard) == ("psk", "full", True)
    assert profile.address.families == ("ipv4", "ipv6")
    assert profile.data_path == "auto"


def test_an_identity_may_be_a_text_or_a_table() -> None:
    profile = load_text(with_lines("[identity]", 'local = "alice"', 'remote = {type = "keyid", value = "7"}'))
    assert (profile.identity.local, profile.identity.remote) == (Name("alice"), Name("7", "keyid"))


def test_static_addresses_replace_the_request() -> None:
    assert load_text(with_lines("[address]", 'static = ["10.0.0.2/30"]')).address.families == ()


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        (with_lines("[gatway]"), "gatway", 'Did you mean "gateway"?'),
        (with_lines("[routing]", 'modus = "full"'), "routing.modus", 'Did you mean "mode"?'),
        (with_lines("[routing]", 'mode = "ful"'), "routing.mode", 'Did you mean "full"?'),
        (with_lines("[routing]", "mode = true"), "routing.mode", "none of full, split"),
        (with_lines("[routing]", 'guard = "off"'), "routing.guard", "true or false"),
        (
            with_lines("[routing]", 'mode = "split"', 'include = ["10.0.0.1/8"]'),
            "routing.include[0]",
            "10.0.0.0/8",
        ),
        (
            with_lines("[routing]", 'mode = "split"', 'include = ["ten"]'),
            "routing.include[0]",
            "network such as",
        ),
        (with_lines("[routing]", 'exclude = "10.0.0.0/8"'), "routing.exclude", "brackets"),
        (with_lines("[routing]", 'include = ["10.0.0.0/8"]'), "routing.include", 'mode = "split"'),
        (with_lines("[routing]", "mtu = 100"), "routing.mtu", "between 576 and 65535 octets"),
        (with_lines("[dns]", 'servers = ["ns.example.com"]'), "dns.servers[0]", "IPv4 or IPv6 address"),
        (with_lines("[mobility]", "dpd = 1.5"), "mobility.dpd", "whole number"),
        (with_lines("[mobility]", "dpd = true"), "mobility.dpd", "whole number"),
        (
            with_lines("[address]", 'request = ["ipv4"]', 'static = ["10.0.0.2/30"]'),
            "address.static",
            "excludes request",
        ),
        (with_lines("[trust]", 'ca = ["-----BEGIN"]'), "trust.ca[0]", "is no reference"),
        (with_lines("[trust]", 'ca = ["keyring:x"]'), "trust.ca[0]", "no reference that fits here"),
        (with_lines("[auth.remote]", 'method = "cert"'), "trust", "system_store = true"),
        (with_lines("[crypto]", 'ppk = "keyring:x"'), "crypto.ppk", "not available in this version"),
        (with_lines("[trust]", 'pin = ["sha256/AAAA"]'), "trust.pin[0]", "64 hexadecimal digits"),
        (with_lines("[trust]", f'pin = ["ask", "{"0" * 63}"]'), "trust.pin[1]", "is no fingerprint"),
        (with_lines("[trust]", 'pin = ["ask"]', "system_store = true"), "trust.pin", "means nothing beside"),
        (with_lines("[trust]", 'keys = ["ask:"]'), "trust.keys[0]", "no reference that fits here"),
        (with_lines("[address]", "none = true"), "address.none", "not available in this version"),
        (SMALL.replace('identity = "me@example.com"', ""), "identity.local", "nothing else says who we are"),
        (with_lines("name = 3"), "auth.local[0].name", "unknown key"),
        (SMALL.replace('id = "home"', 'id = "../x"'), "id", "letters, digits"),
        (SMALL.replace('id = "home"', 'id = ""'), "id", "is empty"),
        (SMALL.replace('id = "home"', ""), "id", "is missing"),
        (SMALL.replace('["vpn.example.com"]', "[]"), "gateway.addresses", "names no gateway"),
        (SMALL.replace("schema = 1", ""), "schema", "is missing"),
        (SMALL.replace("schema = 1", "schema = 2"), "schema", "Update Roam"),
        (SMALL.replace("schema = 1", "schema = true"), "schema", "none of 1"),
        (SMALL.replace('"psk"', '"cert"'), "auth.local[0].cert", "is missing"),
        (
            SMALL.replace('"psk"', '"eap"\neap_methods = ["tls"]\nkey = "file:x"'),
            "auth.local[0].cert",
            "is missing",
        ),
        (
            SMALL.replace('"psk"', '"psk"\nkey = "file:x"'),
            "auth.local[0].key",
            'means nothing with method = "psk"',
        ),
        (
            SMALL.replace('"psk"', '"eap"') + '[auth.remote]\nmethod = "psk"',
            "auth.remote.secret",
            'no round with method = "psk"',
        ),
        (
            SMALL.replace('"psk"', '"eap"\neap_methods = ["gtc"]')
            + '[auth.remote]\nmethod = "psk"\nsecret = "keyring:group"',
            "auth.local[0].eap_methods",
            "certificate",
        ),
        (
            SMALL.replace('"psk"', '"eap"') + '[auth.remote]\nmethod = "eap"',
            "auth.local[0].eap_methods",
            'do not suit method = "eap"',
        ),
        (SMALL + '[auth.remote]\nmethod = "eap"', "auth.remote.method", 'with method = "eap"'),
        (SMALL + '[auth.remote]\nsecret = "keyring:x"\nmethod = "cert"', "trust", "vouch"),
        (
            SMALL + '[auth.remote]\nsecret = "keyring:x"\nmethod = "cert"\n[trust]\nca = ["file:x"]',
            "auth.remote.secret",
            "means nothing",
        ),
        (
            SMALL.replace("keyring:home", "ask:")
            + '[[auth.local]]\nmethod = "psk"\nidentity = "me"\nsecret = "ask:"',
            "auth.local",
            "in the same words",
        ),
        (SMALL.replace("keyring:home", "keyrin:home"), "auth.local[0].secret", 'Did you mean "keyring"?'),
        (SMALL.replace("keyring:home", "keyring:"), "auth.local[0].secret", "nothing follows"),
        (SMALL.replace("keyring:home", "pkcs11:token=x"), "auth.local[0].secret", "pkcs11"),
        (SMALL.replace("keyring:home", "credential:../x"), "auth.local[0].secret", "no slash"),
        ("schema = ", "", "no TOML"),
    ],
)
def test_a_mistake_is_named_by_its_key_with_the_way_out(text: str, path: str, words: str) -> None:
    error = refusal(text)
    assert error.path == path
    assert words in f"{error.reason} {error.hint}"


def test_a_secret_in_the_place_of_a_reference_is_not_quoted() -> None:
    error = refusal(SMALL.replace("keyring:home", "my: hunter2"))
    assert "hunter2" not in f"{error} {error.hint}"


def test_a_section_that_is_no_table_is_named() -> None:
    assert refusal('routing = "full"\n' + SMALL).path == "routing"


def test_the_error_names_the_file() -> None:
    with pytest.raises(ProfileError, match=r"^/etc/x\.toml: id: is missing$"):
        load_text("schema = 1", "/etc/x.toml")


# --- files


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "user", tmp_path / "system")
    for directory, names in ((store.user, ("home", "office")), (store.system, ("office", "lab"))):
        directory.mkdir()
        for name in names:
            (directory / f"{name}.toml").write_text(SMALL.replace('"home"', f'"{name}"'))
    (store.user / "notes.txt").write_text("not a profile")
    return store


def test_a_users_profile_shadows_the_systems_of_the_same_name(store: Store) -> None:
    assert store.names() == ("home", "office", "lab", "system/office")
    assert not store.find("office").is_system
    assert store.find("system/office").is_system
    assert store.find("lab").is_system


def test_an_unknown_name_is_told_with_the_nearest(store: Store) -> None:
    with pytest.raises(ProfileNotFound) as caught:
        store.find("ofice")
    assert caught.value.hint == 'Did you mean "office"?'


@pytest.mark.parametrize("name", ["", "../user/home", "system/../user/home", "system/", "/etc/passwd"])
def test_a_name_never_leads_out_of_the_directories(store: Store, name: str) -> None:
    with pytest.raises(ProfileNotFound):
        store.find(name)


def test_a_path_to_a_file_is_a_profile_too(store: Store) -> None:
    file = store.find(str(store.user / "home.toml"))
    assert (file.load().id, file.is_system) == ("home", False)


def test_an_absent_directory_holds_no_profiles(tmp_path: Path) -> None:
    assert Store(tmp_path / "a", tmp_path / "b").files() == ()


def test_the_id_must_be_the_files_name(tmp_path: Path) -> None:
    path = tmp_path / "other.toml"
    path.write_text(SMALL)
    with pytest.raises(ProfileError, match='"home" is not the file\'s name'):
        ProfileFile("other", path, is_system=False).load()


@pytest.mark.parametrize(
    ("octets", "words"),
    [(b"\xff\xfe", "no UTF-8"), (b"#" * 300_000, "larger than"), (None, "cannot be read: No such file")],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, octets: bytes | None, words: str) -> None:
    path = tmp_path / "x.toml"
    if octets is not None:
        path.write_bytes(octets)
    with pytest.raises(ProfileError, match=words):
        ProfileFile("x", path, is_system=False).load()


def test_the_users_directory_follows_xdg(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert user_directory() == tmp_path / "roam" / "profiles"
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_directory() == tmp_path / ".config" / "roam" / "profiles"
