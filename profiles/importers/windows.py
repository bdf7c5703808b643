"""Words that Windows' files have in common: its cryptography, its EAP types, its default proposals."""

from __future__ import annotations

from dataclasses import dataclass

from . import algorithms
from .draft import Draft
from .errors import ImportRefused

EAP_TYPES: dict[int, tuple[tuple[str, ...], tuple[str, ...]]] = {
    13: (("tls",), ()),
    21: (("ttls",), ("pap", "mschapv2")),
    25: (("peap",), ("mschapv2",)),
    26: (("mschapv2",), ()),
}
"""EAP type -> eap_methods, inner."""

_INTEGRITY = {
    "MD5": "md5",
    "MD596": "md5",
    "SHA1": "sha1",
    "SHA196": "sha1",
    "SHA256": "sha256",
    "SHA256128": "sha256",
    "SHA384": "sha384",
    "None": "",
}
_CIPHER = {
    "DES": "des",
    "DES3": "3des",
    "AES128": "aes128",
    "AES192": "aes192",
    "AES256": "aes256",
    "AES_GCM_128": "aes128gcm16",
    "AES_GCM_256": "aes256gcm16",
    "GCMAES128": "aes128gcm16",
    "GCMAES192": "aes192gcm16",
    "GCMAES256": "aes256gcm16",
    "None": "",
}
_GROUP = {
    "None": "",
    "Group1": "modp768",
    "Group2": "modp1024",
    "Group14": "modp2048",
    "Group24": "modp2048s256",
    "ECP256": "ecp256",
    "ECP384": "ecp384",
    "PFS1": "modp768",
    "PFS2": "modp1024",
    "PFS2048": "modp2048",
    "PFS24": "modp2048s256",
    "PFSMM": "",
}


@dataclass(frozen=True, slots=True)
class Suite:
    """The one combination of a custom policy, in Windows' words; "" where the file says nothing."""

    integrity: str = ""
    encryption: str = ""
    group: str = ""
    authentication: str = ""
    cipher: str = ""
    pfs: str = ""

    def apply(self, draft: Draft, source: str) -> None:
        """The proposals that say the same."""
        encryption, integrity = (
            _word(_CIPHER, self.encryption, source),
            _word(_INTEGRITY, self.integrity, source),
        )
        group, pfs = _word(_GROUP, self.group, source), _word(_GROUP, self.pfs, source)
        prf = f"prf{integrity or 'sha256'}" if "gcm" in encryption else integrity or "sha256"
        if encryption:
            algorithms.offer(draft, f"{source} (IKE)", "ike", [f"{encryption}-{prf}-{group or 'modp2048'}"])
        if cipher := _word(_CIPHER, self.cipher, source):
            hash_word = "" if "gcm" in cipher else _word(_INTEGRITY, self.authentication, source) or "sha1"
            words = "-".join(word for word in (cipher, hash_word, pfs) if word)
            algorithms.offer(draft, f"{source} (ESP)", "esp", [words])
            is_known = draft.value("crypto.esp") is not None
            draft.put("crypto.pfs", "require" if pfs and is_known and pfs in algorithms.GROUPS else "off")


def _word(table: dict[str, str], word: str, source: str) -> str:
    if word == "":
        return ""
    found = next((value for key, value in table.items() if key.lower() == word.lower()), None)
    if found is None:
        raise ImportRefused(source, f'"{word[:40]}" is no algorithm of Windows\' VPN')
    return found


def defaults(draft: Draft, source: str) -> None:
    """No policy: what Windows would offer by itself is weak, and Roam offers the better half of it."""
    text = "Windows' own defaults end in 3DES, SHA-1 and group 2; Roam offers AES, SHA-2 and group 14. "
    text += "Where that is refused, crypto.allow_legacy admits SHA-1 and group 2."
    draft.bend(source, "preset", "windows-rras", text)


def eap(draft: Draft, source: str, number: int, path: str = "auth.local[0]") -> None:
    """The round that an EAP type stands for."""
    row = EAP_TYPES.get(number)
    if row is None:
        raise ImportRefused(source, f"{number} is no EAP type that Roam has")
    draft.put(f"{path}.method", "eap")
    draft.keep(source, f"{path}.eap_methods", list(row[0]))
    if row[1]:
        draft.put(f"{path}.inner", list(row[1]))


def login(draft: Draft, user: str, *, needs_certificate: bool, path: str = "auth.local[0]") -> None:
    """Name and password, or certificate: what Windows keeps elsewhere, and no file has."""
    if draft.value(f"{path}.method") == "eap":
        draft.user("(user)", f"{path}.identity", user)
    if needs_certificate:
        draft.lack("(certificate)", f"{path}.cert", "client.p12", "", "your certificate with its key (.p12)")
        draft.put(f"{path}.secret", f"keyring:{draft.id}/passphrase")
    else:
        draft.secret("(password)", f"{path}.secret", "password")


def trust(draft: Draft, source: str) -> None:
    """Windows trusts the machine's store."""
    draft.put("trust.system_store", True)
    draft.honoured(
        source,
        "Windows trusts the machine's authorities; for a company's own, name its CA in trust.ca.",
        "trust.system_store",
    )
    draft.put("identity.match", "loose")
