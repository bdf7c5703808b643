"""Files made to hurt whoever imports them: each is refused in one sentence, in bounded time and memory."""

from __future__ import annotations

import io
import json
import plistlib
import resource
import struct
import zipfile
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from profiles.der import children, first
from profiles.errors import ProfileError
from profiles.importers.detect import load
from profiles.importers.intake import Intake

SAMPLES = Path(__file__).parent / "samples"
MEGABYTE = 1024 * 1024


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def zipped(*members: tuple[str, bytes]) -> bytes:
    octets = io.BytesIO()
    with zipfile.ZipFile(octets, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return octets.getvalue()


def lying_zip() -> bytes:
    """The directory says ten octets; there are many more."""
    octets = bytearray(zipped(("Generic/VpnSettings.xml", b"a" * 9000)))
    at = octets.index(b"PK\x01\x02")
    octets[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(octets)


def azure(settings: str, *more: tuple[str, bytes]) -> bytes:
    return zipped(("Generic/VpnSettings.xml", settings.encode()), *more)


def plist(text: str, doctype: str = "") -> bytes:
    return f'<?xml version="1.0"?>{doctype}<plist version="1.0">{text}</plist>'.encode()


def apple(**ike: object) -> bytes:
    payload = {
        "PayloadType": "com.apple.vpn.managed",
        "VPNType": "IKEv2",
        "IKEv2": {
            "RemoteAddress": "vpn.example.com",
            "AuthenticationMethod": "None",
            "ExtendedAuthEnabled": 1,
            **ike,
        },
    }
    return plistlib.dumps({"PayloadType": "Configuration", "PayloadContent": [payload]})


def sswan(**changes: object) -> bytes:
    profile = json.loads(sample("04-eap.sswan"))
    return json.dumps(profile | changes).encode()


def windows(inside: str, before: str = "") -> bytes:
    return f"{before}<VPNProfile><NativeProfile>{inside}</NativeProfile></VPNProfile>".encode()


def keyfile(**vpn: str) -> bytes:
    keys = {
        "service-type": "org.freedesktop.NetworkManager.strongswan",
        "address": "a.example",
        "method": "eap",
        **vpn,
    }
    lines = "\n".join(f"{key}={value}" for key, value in keys.items())
    return f"[connection]\nid=a\ntype=vpn\n[vpn]\n{lines}\n".encode()


def swanctl(inside: str) -> bytes:
    return f"connections {{ a {{ remote_addrs = a.example\n {inside} }} }}\n".encode()


def encoded(tag: int, content: bytes) -> bytes:
    """One element in DER, its length in four octets."""
    return bytes([tag, 0x84]) + len(content).to_bytes(4, "big") + content


def bundle_of_endless_rounds() -> bytes:
    """The sample, but its integrity asks for 2^31 - 1 rounds of hashing (MacData, RFC 7292 section 4)."""
    version, safe, mac = children(first(sample("06-client-modern.p12")))
    digest, salt, _rounds = children(mac)
    parts = [
        encoded(digest.tag, digest.content),
        encoded(salt.tag, salt.content),
        encoded(2, b"\x7f\xff\xff\xff"),
    ]
    whole = (
        bytes([2, 1]) + version.content + encoded(safe.tag, safe.content) + encoded(mac.tag, b"".join(parts))
    )
    return b"\x30\x84" + len(whole).to_bytes(4, "big") + whole


LAUGHS = (
    "<!DOCTYPE l [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;&a;&a;&a;&a;'><!ENTITY c '&b;&b;&b;&b;&b;&b;&b;'>]>"
)
OUTSIDE = "<!DOCTYPE l [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
DEEP_PLIST = "<array>" * 100_000 + "</array>" * 100_000
LOOP = "a : b { remote_addrs = a.example }\n"

HOSTILE: dict[str, Callable[[], bytes]] = {
    # archives
    "zip: a member that grows a thousandfold": lambda: zipped(("Generic/VpnSettings.xml", b"\0" * 900_000)),
    "zip: a member of 20 MB": lambda: zipped(("Generic/VpnSettings.xml", b"\0" * 20 * MEGABYTE)),
    "zip: a member larger than it says": lying_zip,
    "zip: a name with ..": lambda: zipped(("Generic/../../../etc/cron.d/x", b"x")),
    "zip: a name with .. and backslashes": lambda: zipped(("Generic\\..\\..\\x", b"x")),
    "zip: an absolute name": lambda: zipped(("/etc/cron.d/x", b"x")),
    "zip: a drive letter": lambda: zipped(("C:/Windows/x", b"x")),
    "zip: a thousand members": lambda: zipped(*((f"Generic/{n}", b"") for n in range(1000))),
    "zip: nothing inside": lambda: zipped(),
    "zip: truncated": lambda: sample("07-azure-vpnclient.zip")[:1500],
    "zip: only its first octets": lambda: b"PK\x03\x04" + b"\0" * 40,
    "zip: 9 MB of garbage": lambda: b"PK\x03\x04" + b"\xff" * 9 * MEGABYTE,
    "zip: settings with laughing entities": lambda: azure(f"{LAUGHS}<VpnProfile>&c;</VpnProfile>"),
    "zip: settings that name a file of ours": lambda: azure(f"{OUTSIDE}<VpnProfile>&x;</VpnProfile>"),
    "zip: settings in a wrong encoding": lambda: zipped(
        ("Generic/VpnSettings.xml", b"<VpnProfile>\xff\xfe</VpnProfile>")
    ),
    "zip: a root that is no certificate": lambda: azure(
        "<VpnProfile><VpnServer>a.example</VpnServer></VpnProfile>", ("Generic/VpnServerRoot.cer", b"no")
    ),
    "zip: a server that is a command": lambda: azure(
        "<VpnProfile><VpnServer>$(reboot)</VpnServer></VpnProfile>"
    ),
    "zip: routes that are none": lambda: azure(
        "<VpnProfile><VpnServer>a.example</VpnServer><Routes>everything</Routes></VpnProfile>"
    ),
    # plists
    "plist: laughing entities": lambda: plist("<dict><key>a</key><string>&c;</string></dict>", LAUGHS),
    "plist: an entity that names a file of ours": lambda: plist("<string>&x;</string>", OUTSIDE),
    "plist: an entity hidden in Apple's document type": lambda: plist(
        "<string>&x;</string>", "<!DOCTYPE plist PUBLIC 'a' 'b' [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
    ),
    "plist: nested without end": lambda: plist(DEEP_PLIST)[: MEGABYTE - 1],
    "plist: a hundred thousand elements": lambda: plist("<array>" + "<true/>" * 100_000 + "</array>"),
    "plist: 10 MB of text": lambda: plist(f"<string>{'a' * 10 * MEGABYTE}</string>"),
    "plist: a number without end": lambda: plist(
        f"<dict><key>a</key><integer>{'9' * 50_000}</integer></dict>"
    ),
    "plist: truncated": lambda: sample("01-mobileconfig-eap.mobileconfig")[:2000],
    "plist: NUL": lambda: sample("01-mobileconfig-eap.mobileconfig").replace(b"alice", b"al\0ce"),
    "plist: a wrong encoding": lambda: sample("01-mobileconfig-eap.mobileconfig").replace(
        b"alice", b"al\xe9ce"
    ),
    "plist: binary that refers to itself": lambda: (
        b"bplist00\xa1\x00\x08"
        + b"\0" * 5
        + b"\0\x01\x01"
        + b"\0" * 7
        + b"\x01"
        + b"\0" * 8
        + b"\0" * 7
        + b"\x0a"
    ),
    "plist: binary that claims a thousand million objects": lambda: (
        b"bplist00\xaf\x13\x40\0\0\0" + b"\0" * 40
    ),
    "plist: encrypted for one device": lambda: plistlib.dumps({"EncryptedPayloadContent": b"x"}),
    "plist: no payloads": lambda: plistlib.dumps({"PayloadContent": []}),
    "plist: payloads that are texts": lambda: plistlib.dumps({"PayloadContent": "x"}),
    "plist: a gateway with control characters": lambda: apple(RemoteAddress="a\tb"),
    "plist: a gateway of 5,000 characters": lambda: apple(RemoteAddress="a" * 5000),
    "plist: a gateway that is a list": lambda: apple(RemoteAddress=["a"]),
    "plist: a login that nobody knows": lambda: apple(AuthenticationMethod="Telepathy"),
    "plist: a time that is a text": lambda: apple(NATKeepAliveInterval="soon"),
    "cms: no content": lambda: (
        bytes.fromhex("3010 0609 2a864886f70d010702 a003 3001 02".replace(" ", "")) + b"\0"
    ),
    "cms: a length beyond the file": lambda: sample("03-signed-der.mobileconfig")[:3000],
    "cms: an indefinite length without end": lambda: sample("03-signed-ber.mobileconfig")[:3000],
    "cms: nested indefinite lengths": lambda: b"\x30\x80" * 100_000,
    # JSON
    "json: nested without end": lambda: b'{"remote":' + b"[" * 200_000,
    "json: 10 MB of text": lambda: sswan(name="a" * 10 * MEGABYTE),
    "json: a name of 5,000 characters": lambda: sswan(name="a" * 5000),
    "json: a number without end": lambda: sample("04-eap.sswan").replace(
        b'"mtu": 1400', b'"mtu": ' + b"9" * 10_000
    ),
    "json: truncated": lambda: sample("04-eap.sswan")[:900],
    "json: NUL in a name": lambda: sswan(name="a\0b"),
    "json: a wrong encoding": lambda: sample("04-eap.sswan").replace(b"alice", b"al\xe9ce"),
    "json: a certificate that is none": lambda: sswan(remote={"addr": "a.example", "cert": "AAAA"}),
    "json: base64 that is none": lambda: sswan(remote={"addr": "a.example", "cert": "!"}),
    "json: a range of half the Internet": lambda: sswan(
        **{"split-tunneling": {"subnets": ["::1-8000::"] * 50}}
    ),
    "json: a range backwards": lambda: sswan(**{"split-tunneling": {"subnets": ["10.0.0.9-10.0.0.1"]}}),
    "json: a range over both families": lambda: sswan(**{"split-tunneling": {"subnets": ["10.0.0.9-::1"]}}),
    "json: a login that nobody knows": lambda: sswan(type="ikev2-telepathy"),
    "json: name servers that are none": lambda: sswan(**{"dns-servers": ["ns.example"]}),
    # XML
    "xml: laughing entities": lambda: windows("<Servers>&c;</Servers>", LAUGHS),
    "xml: an entity that names a file of ours": lambda: windows("<Servers>&x;</Servers>", OUTSIDE),
    "xml: entities behind HTML's escapes": lambda: (
        windows("", LAUGHS).replace(b"<", b"&lt;").replace(b">", b"&gt;")
    ),
    "xml: nested without end": lambda: windows("<a>" * 100_000),
    "xml: a hundred thousand elements": lambda: windows("<a/>" * 100_000),
    "xml: truncated": lambda: sample("09-ProfileXML.xml")[:700],
    "xml: UTF-16 that breaks off": lambda: (
        b"\xff\xfe" + sample("09-ProfileXML.xml").decode().encode("utf-16-le")[:-1]
    ),
    "xml: an algorithm that nobody knows": lambda: sample("09-ProfileXML.xml").replace(
        b"GCMAES256", b"ROT13"
    ),
    "xml: a route that is none": lambda: sample("09-ProfileXML.xml").replace(b">24<", b">99<"),
    # texts
    "swanctl: nested without end": lambda: b"connections {" + b"a {" * 50_000,
    "swanctl: a quote that is not closed": lambda: swanctl('local { id = "x }'),
    "swanctl: a brace too many": lambda: swanctl("}}}"),
    "swanctl: sections that build upon each other": lambda: (
        b"connections {\n a : connections.a { remote_addrs = a.example } }\n"
    ),
    "swanctl: a base that is not there": lambda: (
        b"connections {\n a : nowhere { remote_addrs = a.example } }\n"
    ),
    "swanctl: a hundred thousand keys": lambda: swanctl("x = y\n" * 100_000),
    "swanctl: a login that nobody knows": lambda: swanctl("local { auth = telepathy }"),
    "swanctl: a time that is none": lambda: swanctl("dpd_delay = soon"),
    "ipsec: also= in a circle": lambda: (
        b"conn a\n right=a.example\n also=b\nconn b\n also=a\nconn c\n also=a\n right=c.example\n"
    ),
    "ipsec: also= that is not there": lambda: b"conn a\n right=a.example\n also=b\n",
    "ipsec: a hundred thousand lines": lambda: b"conn a\n right=a.example\n" + b" x=y\n" * 100_000,
    "ipsec: NUL": lambda: b"conn a\n right=a\0.example\n",
    "keyfile: another kind of VPN": lambda: keyfile(
        **{"service-type": "org.freedesktop.NetworkManager.openvpn"}
    ),
    "keyfile: a key on a card that only it has": lambda: keyfile(method="agent"),
    "keyfile: an address that is a path": lambda: keyfile(address="../../etc"),
    "keyfile: a line that is nothing": lambda: keyfile() + b"what\n",
    "keyfile: a value of 5,000 characters": lambda: keyfile(user="a" * 5000),
    "phone book: no entry by IKEv2": lambda: sample("08-rasphone.pbk").replace(
        b"VpnStrategy=7", b"VpnStrategy=6"
    ),
    "phone book: a policy that is none": lambda: sample("08-rasphone.pbk").replace(
        b"CustomIPSecPolicies=02", b"CustomIPSecPolicies=zz"
    ),
    "phone book: a policy of unknown numbers": lambda: sample("08-rasphone.pbk").replace(
        b"CustomIPSecPolicies=02", b"CustomIPSecPolicies=ff"
    ),
    "script: a server that is a command": lambda: b"Add-VpnConnection -Name a -ServerAddress $(Get-Secret)\n",
    "script: another tunnel": lambda: (
        b"Add-VpnConnection -Name a -ServerAddress a.example -TunnelType Sstp\n"
    ),
    "script: no parameters in sight": lambda: b"# add-vpnconnection is called elsewhere\n",
    "provider: a line of a megabyte": lambda: b"Server: a.example\nUser: " + b"a" * 500_000,
    "provider: a server that is a command": lambda: b"Server: $(reboot)\n",
    "provider: half a certificate": lambda: b"Server: a.example\n-----BEGIN CERTIFICATE-----\nAAAA\n",
    # bundles and the rest
    "bundle: endless hashing": bundle_of_endless_rounds,
    "bundle: endless hashing inside JSON": lambda: sswan(
        type="ikev2-cert", local={"p12": b64encode(bundle_of_endless_rounds()).decode()}
    ),
    "bundle: a text in its place": lambda: sswan(type="ikev2-cert", local={"p12": "AAAA"}),
    "a name that turns the writing": lambda: sswan(name="office\u202etxt.exe"),
    "bundle: no gateway": lambda: sample("06-client-modern.p12"),
    "bundle: truncated": lambda: sample("06-client-modern.p12")[:900],
    "nothing": lambda: b"",
    "blanks": lambda: b" \n" * 1000,
    "10 MB of zeros": lambda: b"\0" * 10 * MEGABYTE,
    "random octets": lambda: bytes(range(256)) * 64,
    "OpenVPN": lambda: b"client\nremote vpn.example.com 1194\n",
    "WireGuard": lambda: b"[Interface]\nPrivateKey = x\n",
    "Entra": lambda: b"<AzVpnProfile></AzVpnProfile>",
    "a certificate alone": lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
}


def test_there_are_enough_of_them() -> None:
    assert len(HOSTILE) >= 60


@pytest.mark.timeout(30)  # none needs a tenth of a second of work
@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_in_one_sentence(name: str) -> None:
    octets = HOSTILE[name]()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(ProfileError) as caught:
        load(Intake(octets, server="" if name == "bundle: no gateway" else "vpn.example.com", user="alice"))
    sentence = str(caught.value)
    assert 5 < len(sentence) < 400, sentence
    assert "\n" not in sentence
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024, "KiB of memory"
