"""Identities and secrets as strongSwan's files write them."""

from __future__ import annotations

from base64 import b64decode

from .draft import Draft
from .errors import ImportRefused

_ANYBODY = ("", "%any", "%any4", "%any6", "0.0.0.0", "::", "%", "%%", "%group")
EAP_WORDS = {
    "eap-mschapv2": ("mschapv2",),
    "eap-tls": ("tls",),
    "eap-ttls": ("ttls",),
    "eap-peap": ("peap",),
    "eap-gtc": ("gtc",),
    "eap-md5": ("md5",),
    "eap-aka": ("aka",),
    "eap-dynamic": ("auto",),
    "eap": ("auto",),
}


def is_anybody(text: str) -> bool:
    """Whether an identity stands for no particular peer."""
    return text.strip() in _ANYBODY


def remote(draft: Draft, source: str, text: str, *, is_shared: bool = False) -> None:
    """Who the gateway must be; a leading "%" is strongSwan's way to say that its certificate is enough."""
    name = text.strip()
    if is_anybody(name):
        draft.differs(
            source, "Anybody: here the certificate must bear the name that is dialled.", "identity.remote"
        )
    elif name.startswith("%"):
        draft.keep(
            source,
            "identity.remote",
            name[1:],
            "Kept: the certificate must bear it, whatever the gateway says.",
        )
        draft.put("identity.send_idr", "never")
    else:
        draft.keep(source, "identity.remote", name)
        draft.put("identity.match", "strict")


def secret_value(text: str, where: str) -> str:
    """A secret: plain, hexadecimal after 0x, base64 after 0s."""
    try:
        if text.startswith("0x"):
            return bytes.fromhex(text[2:]).decode()
        if text.startswith("0s"):
            return b64decode(text[2:], validate=True).decode()
    except UnicodeDecodeError:
        return text if text.startswith("0x") else f"0x{b64decode(text[2:]).hex()}"
    except ValueError:
        raise ImportRefused(where, "is a secret in no form that can be read") from None
    return text


def eap_round(draft: Draft, source: str, path: str, word: str) -> None:
    """The EAP methods that an auth word stands for."""
    parts = word.split(":")[0]
    methods = EAP_WORDS.get(parts)
    if methods is None:
        raise ImportRefused(source, f'"{word[:40]}" is no login that Roam has')
    draft.put(f"{path}.method", "eap")
    draft.keep(source, f"{path}.eap_methods", list(methods))
