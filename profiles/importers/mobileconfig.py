"""Apple's configuration profiles (.mobileconfig): plists, binary or XML, plain or signed (CMS, DER or BER).

Keys as Apple's device management documentation has them for `com.apple.vpn.managed` with `IKEv2`.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator
from xml.parsers.expat import ExpatError

from . import cms
from .apple_ike import tunnel
from .common import leftovers
from .draft import Draft, Imported
from .errors import ImportRefused
from .fields import Fields, is_table
from .intake import Intake
from .limits import LARGEST, MOST_ENTRIES, text_of

KIND = "an Apple configuration profile"
_DOCTYPE = re.compile(
    rb"<!DOCTYPE\s+plist\s+(PUBLIC|SYSTEM)\s+[\"'][^\"'\[\]>]*[\"']\s*([\"'][^\"'\[\]>]*[\"']\s*)?>"
)
_PLAIN = ("PayloadUUID", "PayloadIdentifier", "PayloadVersion", "PayloadType", "PayloadDisplayName")
_NOT_IKE = {
    "L2TP": "L2TP",
    "PPTP": "PPTP",
    "IPSec": "IKEv1",
    "VPN": "the app of a provider",
    "TransparentProxy": "the app of a provider",
}
_ENROLLED = ("com.apple.security.scep", "com.apple.security.acme")


def recognises(octets: bytes) -> bool:
    """Whether it is a plist, or a signed message."""
    head = octets[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return octets.startswith(b"bplist") or b"<plist" in head or cms.kind_of(octets) in _CMS


_CMS = (cms.SIGNED_DATA, cms.ENVELOPED_DATA)


def read(intake: Intake) -> list[Imported]:
    """One profile for each IKEv2 payload."""
    octets, signers = _unsigned(intake.octets)
    top = Fields(_plist(octets))
    title = top.text("PayloadDisplayName")
    payloads = list(_payloads(top))
    found = [fields for fields in payloads if fields.text("PayloadType") == "com.apple.vpn.managed"]
    tunnels = [entry for fields in found for entry in _tunnels(fields)]
    if not tunnels:
        raise ImportRefused("PayloadContent", _none(found))
    imported = []
    for fields, ike in tunnels:
        draft = intake.draft(
            KIND, fields.text("UserDefinedName") or fields.text("PayloadDisplayName") or title
        )
        if signers:
            draft.honoured("signature", f"Signed by {signers[0]}, as it says; that makes nobody trusted.")
        tunnel(draft, fields, ike, payloads, intake.user)
        _others(draft, payloads, fields)
        fields.skip(*_PLAIN, "VPNType", "VPNSubType", "PayloadOrganization", "PayloadDescription", "AlwaysOn")
        leftovers(draft, fields, _REASONS)
        imported.append(draft.finish())
    return imported


_REASONS = {
    "Proxies": "Roam sets no proxy.",
    "VendorConfig": "It is for the app of a provider.",
    "VPN": "It is for the app of a provider.",
    "OnDemandMatchAppEnabled": "Roam does not choose by app.",
}


def _unsigned(octets: bytes) -> tuple[bytes, tuple[str, ...]]:
    kind = cms.kind_of(octets)
    if kind == cms.ENVELOPED_DATA:
        raise ImportRefused("", "is encrypted for one device", "Ask the administrator for one that is not.")
    return cms.content(octets) if kind == cms.SIGNED_DATA else (octets, ())


def _plist(octets: bytes) -> dict[str, object]:
    """The top table; no entity, no other document type, no depth can get through."""
    if len(octets) > LARGEST:
        raise ImportRefused("", f"is larger than {LARGEST} octets")
    is_binary = octets.startswith(b"bplist")
    try:
        if is_binary:
            found = plistlib.loads(octets, fmt=plistlib.FMT_BINARY)
        else:
            found = plistlib.loads(_harmless(octets), fmt=plistlib.FMT_XML)
    except ImportRefused:
        raise
    except (ExpatError, plistlib.InvalidFileException, ValueError, TypeError, AttributeError) as error:
        raise ImportRefused("", f"is no plist that can be read ({type(error).__name__})") from None
    except (LookupError, OverflowError, RecursionError, MemoryError, AssertionError):
        raise ImportRefused("", "is a plist with numbers or nesting that make no sense") from None
    if not is_table(found):
        raise ImportRefused("", "is a plist without a table")
    return found


def _harmless(octets: bytes) -> bytes:
    """XML in UTF-8 whose only declaration is the one of plists."""
    text = text_of(octets).lstrip().encode()
    bare = _DOCTYPE.sub(b"", text[:4096], count=1) + text[4096:]
    if b"<!" in bare.replace(b"<!--", b"").replace(b"<![CDATA[", b""):
        raise ImportRefused("", "declares entities or a document type of its own, which no profile needs")
    if bare.count(b"<") > 40 * MOST_ENTRIES:
        raise ImportRefused("", "has too many elements")
    return re.sub(rb"^<\?xml[^>]*\?>", b"", bare).lstrip()


def _payloads(top: Fields) -> Iterator[Fields]:
    if "EncryptedPayloadContent" in top:
        reason = "is encrypted for one device"
        raise ImportRefused("EncryptedPayloadContent", reason, "Ask the administrator for one that is not.")
    for fields in top.tables("PayloadContent"):
        fields.text("PayloadType")
        yield fields


def _tunnels(fields: Fields) -> Iterator[tuple[Fields, Fields]]:
    kind = fields.text("VPNType")
    if kind == "IKEv2":
        yield fields, fields.table("IKEv2")
    elif kind == "AlwaysOn":
        for entry in fields.table("AlwaysOn").tables("TunnelConfigurations"):
            if entry.text("ProtocolType") in ("", "IKEv2"):
                yield fields, entry


def _none(found: list[Fields]) -> str:
    kinds = [_NOT_IKE.get(fields.text("VPNType"), fields.text("VPNType")[:40]) for fields in found]
    return f"has a VPN by {', '.join(kinds[:4])} and none by IKEv2" if kinds else "has no VPN in it"


def _others(draft: Draft, payloads: list[Fields], own: Fields) -> None:
    """Say of every other payload what became of it."""
    for fields in payloads:
        kind = fields.text("PayloadType")
        if fields is own or kind.startswith(("com.apple.security.", "com.apple.vpn.managed")):
            if kind in _ENROLLED:
                draft.ignore(
                    kind, "The device would fetch a certificate: ask the administrator for a .p12 file."
                )
            continue
        draft.ignore(kind or fields.path("PayloadType"), "It is about the device, and not about a tunnel.")
