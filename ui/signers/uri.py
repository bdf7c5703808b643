"""How a profile names a card: PKCS #11 URIs (RFC 7512), as far as they name a key, and likewise SIMs.

`pkcs11:token=My%20Card;object=vpn;id=%01`, `sim:reader=Alcor;imsi=001010123456789`
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote, unquote_to_bytes

from profiles.errors import ProfileError, nearest

_TOKEN = ("token", "serial", "manufacturer", "model")
_OBJECT = ("object", "id", "type")
_QUERY = ("module-path", "module-name")
_SIM = ("reader", "imsi", "plugin")


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What must fit: of the token by its attributes, of the key by label and id; None fits all."""

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    label: str | None = None
    id: bytes | None = None
    module_path: str | None = None
    module_name: str | None = None


def parse_uri(target: str, path: str) -> TokenUri:
    """What follows `pkcs11:`; `ProfileError` at `path` names an attribute that does not belong there."""
    where, _, query = target.partition("?")
    attributes = _attributes(where, ";", (*_TOKEN, *_OBJECT), path)
    options = _attributes(query, "&", _QUERY, path)
    return TokenUri(
        **{name: unquote(attributes[name]) for name in _TOKEN if name in attributes},
        label=unquote(attributes["object"]) if "object" in attributes else None,
        id=unquote_to_bytes(attributes["id"]) if "id" in attributes else None,
        module_path=unquote(options["module-path"]) if "module-path" in options else None,
        module_name=unquote(options["module-name"]) if "module-name" in options else None,
    )


@dataclass(frozen=True, slots=True)
class SimUri:
    """What must fit: a part of the reader's name, the IMSI; and the plugin that reaches it."""

    reader: str = ""
    imsi: str = ""
    plugin: str = "pcsc"


def parse_sim(target: str, path: str) -> SimUri:
    """What follows `sim:`, nothing where any SIM will do; `ProfileError` at `path` as with `parse_uri`."""
    attributes = _attributes(target.strip(), ";", _SIM, path, "sim:")
    return SimUri(**{name: unquote(value) for name, value in attributes.items()})


def _attributes(
    text: str, separator: str, known: tuple[str, ...], path: str, scheme: str = "pkcs11:"
) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, text.split(separator)):
        name, equals, value = part.partition("=")
        if not equals or name not in known:
            words = f'"{name}" is nothing that a {scheme} reference can name ({", ".join(known)})'
            raise ProfileError(path, words, nearest(name, known))
        if name in found:
            raise ProfileError(path, f'"{name}" stands there twice')
        found[name] = value
    return found
