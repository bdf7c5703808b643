"""Roam's own side of a `Road`: the profile that a user would write for that gateway."""

from __future__ import annotations

from client.lab import pki
from client.lab.topology import GATEWAY, GATEWAY_V6
from tests.netns.peers.roadwarrior import GATEWAY_NAME, PASSWORD, PROTECTED, SHARED_KEY, USER, Method, Road

NAME = "office"


def profile(
    road: Road, *sections: str, trust: str = 'ca = ["file:ca.pem"]'
) -> tuple[str, dict[str, str | bytes]]:
    """The profile's text and the files beside it; `sections` are added at its end."""
    included = ", ".join(f'"{network}"' for network in PROTECTED)
    text = f"""\
schema = 1
id = "{NAME}"

[gateway]
addresses = ["{GATEWAY_V6 if road.ipv6 else GATEWAY}"]

[identity]
local = "{USER}"
remote = "{GATEWAY_NAME}"
match = "strict"

[[auth.local]]
{_login(road)}

[auth.remote]
method = "{"psk" if road.method is Method.PSK else "cert"}"

[trust]
{trust if road.credentials else ""}

[routing]
mode = "split"
include = [{included}]

"""
    return text + "\n".join(sections), _files(road)


def _login(road: Road) -> str:
    match road.method:
        case Method.PSK:
            return 'method = "psk"\nsecret = "file:psk"'
        case Method.CERTIFICATE:
            return 'method = "cert"\ncert = "file:user.pem"\nkey = "file:key.pem"'
        case _:
            word = road.method.value.removeprefix("eap-")
            return f'method = "eap"\nidentity = "{USER}"\nsecret = "file:password"\neap_methods = ["{word}"]'


def _files(road: Road) -> dict[str, str | bytes]:
    files: dict[str, str | bytes] = {}
    if road.method is Method.PSK:
        files["psk"] = SHARED_KEY
    if road.method.is_eap:
        files["password"] = PASSWORD
    if (credentials := road.credentials) is not None:
        files["ca.pem"] = pki.pem(credentials.authority.certificate)
        files["user.pem"] = pki.pem(credentials.user.certificate)
        files["key.pem"] = pki.pem(credentials.user.key)
    return files
