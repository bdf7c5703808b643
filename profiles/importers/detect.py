"""Which format a file has, by its content and never by its name; and the import itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..errors import ProfileError
from . import (
    azure,
    bundle,
    ipsec_conf,
    mobileconfig,
    networkmanager,
    powershell,
    profilexml,
    provider,
    rasphone,
    sswan,
    swanctl,
)
from .draft import Imported
from .errors import ImportRefused
from .intake import Intake
from .limits import LARGEST, LARGEST_ARCHIVE


@dataclass(frozen=True, slots=True)
class Format:
    """One importer; `beside` are names of files that belong to such a one."""

    word: str
    text: str
    recognises: Callable[[bytes], bool]
    read: Callable[[Intake], list[Imported]]
    beside: tuple[str, ...] = ()
    folders: tuple[str, ...] = ()  # where files lie that such a file names


FORMATS: tuple[Format, ...] = (
    Format("azure", "Azure point-to-site package (zip)", azure.recognises, azure.read),
    Format("pkcs12", "PKCS #12 bundle (.p12, .pfx)", bundle.recognises, bundle.read),
    Format(
        "mobileconfig",
        "Apple configuration profile, plain or signed",
        mobileconfig.recognises,
        mobileconfig.read,
    ),
    Format("profilexml", "Windows ProfileXML, also inside SyncML", profilexml.recognises, profilexml.read),
    Format("sswan", "strongSwan for Android (.sswan)", sswan.recognises, sswan.read),
    Format(
        "networkmanager",
        "NetworkManager keyfile (.nmconnection)",
        networkmanager.recognises,
        networkmanager.read,
    ),
    Format("rasphone", "Windows phone book (rasphone.pbk)", rasphone.recognises, rasphone.read),
    Format(
        "swanctl",
        "strongSwan's swanctl.conf",
        swanctl.recognises,
        swanctl.read,
        folders=("x509ca", "x509", "private", "pkcs8", "rsa", "ecdsa", "pkcs12"),
    ),
    Format(
        "ipsec",
        "ipsec.conf with ipsec.secrets",
        ipsec_conf.recognises,
        ipsec_conf.read,
        (ipsec_conf.SECRETS,),
        ("ipsec.d/cacerts", "ipsec.d/certs", "ipsec.d/private"),
    ),
    Format("powershell", "PowerShell script with Add-VpnConnection", powershell.recognises, powershell.read),
    Format("provider", "text of a provider's page", provider.recognises, provider.read),
)
"""In the order in which they are tried: what is surest to be itself comes first."""

_REFUSALS = (
    (b"client\nremote ", "is for OpenVPN"),
    (b"<AzVpnProfile", "is for OpenVPN with Microsoft Entra sign-in, which has no client for Linux any more"),
    (b"[Interface]", "is for WireGuard"),
    (b"-----BEGIN CERTIFICATE", "is a certificate alone: name it in [trust] ca of a profile"),
    (b"-----BEGIN ", "is a key or certificate alone: name it in a profile"),
)


def format_of(octets: bytes) -> Format:
    """The format of a file; `ImportRefused` where it is none."""
    if not octets.strip():
        raise ImportRefused("", "is empty")
    most = LARGEST_ARCHIVE if azure.recognises(octets) else LARGEST
    if len(octets) > most:
        raise ImportRefused("", f"is larger than {most} octets")
    for entry in FORMATS:
        if entry.recognises(octets):
            return entry
    for sign, reason in _REFUSALS:
        if sign in octets[:65536].replace(b"\r", b""):
            raise ImportRefused("", reason)
    raise ImportRefused("", "is in no format that Roam imports", "docs/import.md lists them.")


def load(intake: Intake) -> list[Imported]:
    """Every profile in a file; `ProfileError` is all that it raises."""
    try:
        return format_of(intake.octets).read(intake)
    except ProfileError:
        raise
    except (RecursionError, MemoryError):
        raise ImportRefused("", "is nested or grown beyond reason") from None
