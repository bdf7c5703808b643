"""Gateways that ask by EAP with TLS, and profiles for them: strongSwan alone, and with a login server behind it.

strongSwan alone shows the gateway's certificate inside EAP too; a login server has one of its own, by an authority
of its own, with a name of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives import serialization

from client.lab import pki
from client.lab.namespaces import Namespace
from client.lab.topology import GATEWAY
from tests.netns.peers.radius import (
    SHARED_SECRET,
    FreeRadius,
    Hostapd,
    LoginServer,
    LoginService,
    radius_release,
)
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import (
    CONNECTION,
    ESP_PROPOSALS,
    GATEWAY_NAME,
    IKE_PROPOSALS,
    PASSWORD,
    POOLS,
    PROTECTED,
    USER,
)
from tests.netns.peers.strongswan import Settings, StrongSwan
from tests.netns.profiles import NAME

AAA_NAME = "aaa.example"
WRONG_PASSWORD = "not-the-password"


@dataclass(frozen=True)
class Papers:
    """Two authorities, of the gateway and of the login server; the latter issues the user's certificate."""

    gateways: pki.Authority = field(default_factory=lambda: pki.make_authority("Lab Root"))
    logins: pki.Authority = field(default_factory=lambda: pki.make_authority("Login Root"))

    def gateway(self) -> pki.Issued:
        return self.gateways.issue(f"CN={GATEWAY_NAME}", dns=[GATEWAY_NAME])

    def login_server(self) -> pki.Issued:
        return self.logins.subordinate("Login Between").issue(f"CN={AAA_NAME}", dns=[AAA_NAME], key="rsa")

    def user(self) -> pki.Issued:
        return self.logins.issue(f"CN={USER}", emails=[USER], server=False)


@dataclass(frozen=True)
class Case:
    """One way to log in: by which server (None: strongSwan itself), by which method, and with which TLS.

    `inner` is the profile's word, `asks` what the server begins with inside.
    """

    server: type[LoginServer] | None
    method: str
    inner: str = ""
    asks: str = "mschapv2"
    version: str = "1.3"

    @property
    def title(self) -> str:
        """As the page of ways to log in names it."""
        outside = {"tls": "EAP-TLS", "ttls": "EAP-TTLS", "peap": "PEAP"}[self.method]
        inside = f" with {self.inner.upper().replace('MSCHAPV2', 'MSCHAPv2')}" if self.inner else ""
        return f"{outside}{inside}, TLS {self.version}"

    @property
    def shows_certificate(self) -> bool:
        """Whether the user has a certificate instead of a password."""
        return self.method == "tls" or self.inner == "eap-tls"


@dataclass(frozen=True)
class Running:
    """A gateway, and how it is called."""

    gateway: StrongSwan
    peer: str


@contextmanager
def serving(strongswan: Release, namespace: Namespace, case: Case, papers: Papers) -> Iterator[Running]:
    """The gateway of a case, with its login server."""
    if case.server is None:
        with StrongSwan(strongswan, namespace, _own_settings(case)) as gateway:
            load(gateway, papers, {"auth": f"eap-{case.method}", "eap_id": USER})
            gateway.secret("EAP", PASSWORD, [USER])
            gateway.authority(pki.der(papers.logins.certificate))
            yield Running(gateway, f"strongSwan {gateway.version}")
        return
    service = LoginService(
        papers.login_server(), papers.logins, {USER: PASSWORD}, case.method, case.asks, case.version
    )
    with (
        case.server(radius_release(strongswan.suite), namespace, service) as login,
        StrongSwan(strongswan, namespace, radius_settings()) as gateway,
    ):
        load(gateway, papers, {"auth": "eap-radius", "eap_id": "%any"})
        yield Running(gateway, f"{login.NAME} {login.version} behind strongSwan {gateway.version}")


def _own_settings(case: Case) -> Settings:
    inner = {"eap-ttls": {"phase2_method": case.asks, "max_message_count": "64"}}
    return Settings(plugin_options=inner, tls={"version_min": case.version, "version_max": case.version})


def radius_settings() -> Settings:
    server = {"server": "127.0.0.1", "secret": SHARED_SECRET}
    return Settings(plugin_options={"eap-radius": server})


def load(gateway: StrongSwan, papers: Papers, user: dict[str, str]) -> None:
    for name, addresses in POOLS.items():
        gateway.pool(name, addresses)
    own = papers.gateway()
    gateway.authority(pki.der(papers.gateways.certificate))
    form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    gateway.private_key(own.key.private_bytes(*form))
    gateway.connection(
        CONNECTION,
        {
            "version": 2,
            "encap": "yes",
            "proposals": list(IKE_PROPOSALS),
            "rekey_time": 0,
            "local_addrs": [str(GATEWAY)],
            "pools": list(POOLS),
            "send_cert": "always",
            "local-1": {"auth": "pubkey", "id": GATEWAY_NAME, "certs": [pki.der(own.certificate)]},
            "remote-1": user,
            "children": {"net": {"local_ts": list(PROTECTED), "esp_proposals": list(ESP_PROPOSALS)}},
        },
    )


# Roam's side


@dataclass(frozen=True)
class Spoilt:
    """What is wrong with a profile: the user's secret, or what it believes of the login server."""

    password: str = PASSWORD
    user: pki.Issued | None = None
    aaa_name: str = ""
    aaa: pki.Authority | None = None


RIGHT = Spoilt()


def wrong_credentials(case: Case) -> Spoilt:
    """A certificate of a stranger with the right name, or a wrong password."""
    if case.shows_certificate:
        return Spoilt(user=pki.make_authority("Strangers").issue(f"CN={USER}", emails=[USER], server=False))
    return Spoilt(password=WRONG_PASSWORD)


def profile(case: Case, papers: Papers, spoilt: Spoilt = RIGHT) -> tuple[str, dict[str, str]]:
    """The profile's text and the files beside it."""
    text = f"""\
schema = 1
id = "{NAME}"

[gateway]
addresses = ["{GATEWAY}"]

[identity]
local = "{USER}"
remote = "{GATEWAY_NAME}"

[[auth.local]]
method = "eap"
eap_methods = ["{case.method}"]
{_login(case)}

[auth.remote]
{_login_server(case, spoilt)}

[trust]
ca = ["file:ca.pem"]

[routing]
mode = "split"
include = [{", ".join(f'"{network}"' for network in PROTECTED)}]
"""
    user = spoilt.user or papers.user()
    believed = spoilt.aaa or (papers.gateways if case.server is None else papers.logins)
    return text, {
        "ca.pem": pki.pem(papers.gateways.certificate),
        "aaa.pem": pki.pem(believed.certificate),
        "user.pem": pki.pem(user.certificate),
        "key.pem": pki.pem(user.key),
        "password": spoilt.password,
    }


def _login(case: Case) -> str:
    inner = f'inner = ["{case.inner}"]\n' if case.inner else ""
    if case.shows_certificate:
        return f'{inner}cert = "file:user.pem"\nkey = "file:key.pem"'
    return f'{inner}secret = "file:password"'


def _login_server(case: Case, spoilt: Spoilt) -> str:
    """strongSwan itself is the login server unless there is another."""
    if case.server is None and spoilt == replace(spoilt, aaa_name="", aaa=None):
        return ""
    name = spoilt.aaa_name or (GATEWAY_NAME if case.server is None else AAA_NAME)
    return f'aaa_name = "{name}"\naaa_ca = ["file:aaa.pem"]'


def _cases() -> Iterator[Case]:
    for version in ("1.2", "1.3"):
        yield Case(None, "tls", version=version)
        yield Case(None, "ttls", "eap-mschapv2", "mschapv2", version)
        yield Case(None, "ttls", "eap-md5", "md5", version)
        yield Case(FreeRadius, "tls", version=version)
        yield Case(FreeRadius, "ttls", "pap", "md5", version)
        yield Case(FreeRadius, "ttls", "mschapv2", "md5", version)
        yield Case(FreeRadius, "ttls", "eap-mschapv2", "mschapv2", version)
        yield Case(FreeRadius, "peap", "mschapv2", "mschapv2", version)
        yield Case(FreeRadius, "peap", "eap-tls", "tls", version)
        yield Case(Hostapd, "ttls", "mschapv2", "ttls-mschapv2", version)
    # hostapd 2.10 derives the keys of PEAP's cryptobinding otherwise than RFC 9427 where TLS is 1.3.
    yield Case(Hostapd, "peap", "mschapv2", "mschapv2", "1.2")
    yield Case(Hostapd, "peap", "eap-gtc", "gtc", "1.2")


def why_not(case: Case, suite: str) -> str:
    """Why a release cannot show a case, empty where it can."""
    if case.server is None and case.version == "1.3" and suite == "bookworm":
        return "strongSwan 5.9.8 speaks EAP with TLS 1.3 otherwise than RFC 9190 and RFC 9427"
    return ""


CASES = {f"{case.server.NAME if case.server else 'strongSwan'}, {case.title}": case for case in _cases()}
