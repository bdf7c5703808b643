"""Keys on smart cards and tokens, by whatever PKCS #11 module the user has (OpenSC, a vendor's, SoftHSM).

A card counts wrong PINs and locks itself for ever.  So a PIN is tried once: one that was stored is not even tried
where the card remembers a wrong one already, and one that was refused never again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from client.control.messages import ControlError, SecretText
from profiles import public_keys

from .holder import cannot
from .pin import AskPin as AskPin
from .pin import Pin as Pin
from .uri import TokenUri

if TYPE_CHECKING:
    from pkcs11 import Session, Token

MODULES = ("p11-kit-proxy.so", "opensc-pkcs11.so")
"""Without a module in the reference: all that p11-kit knows, else OpenSC."""
_PLACES = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
_INSTALL = "Install it beside Roam: pipx inject roam-vpn python-pkcs11, or pip install 'roam-vpn[pkcs11]'."

_DIGEST_INFO = {  # RFC 8017 section 9.2, note 1
    "sha1": bytes.fromhex("3021300906052b0e03021a05000414"),
    "sha256": bytes.fromhex("3031300d060960864801650304020105000420"),
    "sha384": bytes.fromhex("3041300d060960864801650304020205000430"),
    "sha512": bytes.fromhex("3051300d060960864801650304020305000440"),
}


class Card:
    """A key on a token, to be used for as long as the program runs; a `KeyHolder`.

    The PIN that has proven right is kept, since the card may be taken out and come back, and some keys want it for
    each signature.
    """

    def __init__(self, uri: TokenUri, ask_pin: AskPin) -> None:
        self._uri = uri
        self._ask_pin = ask_pin
        self._pin: SecretText | None = None
        self._serial: bytes | None = None
        self._session: Session | None = None

    def shown(self) -> bytes:
        """PEM of the certificate beside the key, else of the public key; without a PIN where the card allows."""
        with _told(), _token(self._uri).open() as session:
            found = self._shown_in(session)
        if found is not None:
            return found
        self.unlock()
        with _told():
            found = self._shown_in(self._open())
        if found is None:
            raise cannot(f"the card has neither a certificate nor a public key {self._wanted}")
        return found

    def unlock(self) -> None:
        """Log in to the card, once; `ControlError` of kind `secret.wrong` for a PIN that it refuses."""
        if self._session is not None:
            return
        import pkcs11

        with _told():
            token = _token(self._uri)
            if self._serial is not None and token.serial != self._serial:
                raise cannot("another card has been inserted")
            if pkcs11.TokenFlag.LOGIN_REQUIRED not in token.flags:
                self._session = token.open()
            elif pkcs11.TokenFlag.PROTECTED_AUTHENTICATION_PATH in token.flags:
                self._session = token.open(user_pin=pkcs11.types.PROTECTED_AUTH)
            else:
                self._log_in(token)
            self._serial = token.serial

    def _log_in(self, token: Token) -> None:
        import pkcs11

        pin, self._pin = self._pin or self._fresh_pin(token), None  # it is not tried again, whatever happens
        try:
            self._session = token.open(user_pin=pin.reveal())
        except pkcs11.UserAlreadyLoggedIn:  # another key of the profile is on the same card
            self._session = token.open()
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange):
            hint = "Mind that a card locks itself after a few wrong PINs; 'roam up --ask' asks for it."
            raise ControlError(
                "secret.wrong", f"{_name(token)} refuses the PIN; it is not tried again", hint
            ) from None
        self._pin = pin

    def _fresh_pin(self, token: Token) -> SecretText:
        import pkcs11

        if pkcs11.TokenFlag.USER_PIN_LOCKED in token.flags:
            raise cannot(f"{_name(token)} is locked after too many wrong PINs", "Its PUK unlocks it.")
        warning = ""
        if pkcs11.TokenFlag.USER_PIN_FINAL_TRY in token.flags:
            warning = "a last try before the card locks itself"
        elif pkcs11.TokenFlag.USER_PIN_COUNT_LOW in token.flags:
            warning = "a wrong PIN was given before"
        pin = self._ask_pin(warning)
        if warning and not pin.typed:
            hint = "'roam up --ask' lets you type it."
            raise cannot(f"{_name(token)} says: {warning}; a stored PIN is not tried then", hint)
        return pin.value

    def sign(self, algorithms: tuple[str, ...], octets: bytes) -> tuple[str, bytes]:
        """Have the card sign; a card that was taken out meanwhile and is back is logged in to again."""
        import pkcs11

        gone = (
            pkcs11.DeviceRemoved,
            pkcs11.DeviceError,
            pkcs11.SessionHandleInvalid,
            pkcs11.SessionClosed,
            pkcs11.TokenNotPresent,
            pkcs11.UserNotLoggedIn,
        )
        try:
            with _told(besides=gone):
                return self._sign(algorithms, octets)
        except gone:
            self._session = None
        with _told():
            return self._sign(algorithms, octets)

    def _sign(self, algorithms: tuple[str, ...], octets: bytes) -> tuple[str, bytes]:
        import pkcs11

        session = self._open()
        key = self._only(self._objects(session, pkcs11.ObjectClass.PRIVATE_KEY), "private key")
        known = session.token.slot.get_mechanisms()
        for name in algorithms:
            way = _way(key.key_type, name, octets)
            if way is not None and way.mechanism in known:
                made = key.sign(
                    way.octets, mechanism=way.mechanism, mechanism_param=way.parameter, **self._again(key)
                )
                return name, _ecdsa(made) if name.startswith("ecdsa-") else made
        raise cannot(f"{_name(session.token)} can sign by none of {', '.join(algorithms)} with this key")

    def _again(self, key: Any) -> dict[str, str]:  # noqa: ANN401 - an object of the library's
        """The PIN once more, for keys that want it with each signature."""
        import pkcs11

        try:
            always = key[pkcs11.Attribute.ALWAYS_AUTHENTICATE]
        except pkcs11.PKCS11Error:
            return {}
        return {"pin": self._pin.reveal()} if always and self._pin is not None else {}

    def _open(self) -> Session:
        self.unlock()
        if self._session is None:
            raise AssertionError("a card is open or says why it is not")
        return self._session

    def _objects(self, session: Session, kind: Any) -> list[Any]:  # noqa: ANN401
        import pkcs11

        wanted: dict[Any, Any] = {pkcs11.Attribute.CLASS: kind}
        if self._uri.label is not None:
            wanted[pkcs11.Attribute.LABEL] = self._uri.label
        if self._uri.id is not None:
            wanted[pkcs11.Attribute.ID] = self._uri.id
        return list(session.get_objects(wanted))

    def _only(self, found: list[Any], what: str) -> Any:  # noqa: ANN401
        if len(found) == 1:
            return found[0]
        if found:
            raise cannot(
                f"the card has {len(found)} keys {self._wanted}", "Name object= or id= in the reference."
            )
        raise cannot(f"the card has no {what} {self._wanted}")

    @property
    def _wanted(self) -> str:
        parts = [f'called "{self._uri.label}"'] if self._uri.label is not None else []
        parts += [f"with id {self._uri.id.hex()}"] if self._uri.id is not None else []
        return " ".join(parts) or "that can be told from others"

    def _shown_in(self, session: Session) -> bytes | None:
        import pkcs11

        certificates = self._objects(session, pkcs11.ObjectClass.CERTIFICATE)
        if certificates:
            return public_keys.certificate_pem(
                self._only(certificates, "certificate")[pkcs11.Attribute.VALUE]
            )
        keys = self._objects(session, pkcs11.ObjectClass.PUBLIC_KEY)
        return public_keys.pem_of(_public(self._only(keys, "public key"))) if keys else None


@dataclass(frozen=True, slots=True)
class _Way:
    """How a token is asked for a signature."""

    mechanism: Any
    octets: bytes
    parameter: Any = None


def _way(kind: Any, name: str, octets: bytes) -> _Way | None:  # noqa: ANN401
    """The raw mechanisms, which cards have where they have any; hashing is ours."""
    from pkcs11 import MGF, KeyType, Mechanism

    word, _, hash_name = name.rpartition("-")
    digest = hashlib.new(hash_name, octets).digest() if hash_name in _DIGEST_INFO else b""
    if kind == KeyType.RSA and word == "rsa-pkcs1":
        return _Way(Mechanism.RSA_PKCS, _DIGEST_INFO[hash_name] + digest)
    if kind == KeyType.RSA and word == "rsa-pss":
        number = hash_name.upper()
        hash_mechanism = Mechanism["SHA_1" if number == "SHA1" else number]
        return _Way(Mechanism.RSA_PKCS_PSS, digest, (hash_mechanism, MGF[number], len(digest)))
    if kind == KeyType.EC and word == "ecdsa":
        return _Way(Mechanism.ECDSA, digest)
    if kind == KeyType.EC_EDWARDS and name in {"ed25519", "ed448"}:
        return _Way(Mechanism.EDDSA, octets)
    return None


def _ecdsa(made: bytes) -> bytes:
    """DER of r and s of the same size, as PKCS #11 has them."""
    half = len(made) // 2
    return public_keys.der_signature(int.from_bytes(made[:half]), int.from_bytes(made[half:]))


def _public(key: Any) -> public_keys.PublicKey:  # noqa: ANN401
    from pkcs11 import Attribute, KeyType

    match key.key_type:
        case KeyType.RSA:
            modulus, exponent = key[Attribute.MODULUS], key[Attribute.PUBLIC_EXPONENT]
            return public_keys.rsa_key(int.from_bytes(modulus), int.from_bytes(exponent))
        case KeyType.EC:
            return public_keys.ec_key(key[Attribute.EC_PARAMS], key[Attribute.EC_POINT])
        case KeyType.EC_EDWARDS:
            return public_keys.ed_key(key[Attribute.EC_POINT])
        case other:
            raise cannot(f"the card's key is {other}, which IKEv2 cannot use")


# Modules and tokens


def _token(uri: TokenUri) -> Token:
    """The one token that fits; `ControlError` names those that there are."""
    try:
        import pkcs11
    except ImportError:
        raise cannot("keys on cards need python-pkcs11, which is not installed", _INSTALL) from None
    library = pkcs11.lib(str(_module(uri)))
    tokens = [slot.get_token() for slot in library.get_slots(token_present=True)]
    present = [token for token in tokens if pkcs11.TokenFlag.TOKEN_INITIALIZED in token.flags]
    fitting = [token for token in present if _fits(token, uri)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(map(_name, present)) or "none"
    if fitting:
        raise cannot(f"several cards fit: {known}", "Name token= or serial= in the reference.")
    raise cannot(
        f"the card is not there; cards that are: {known}", "Insert the card, and run 'roam up' again."
    )


def _fits(token: Token, uri: TokenUri) -> bool:
    serial = token.serial.decode(errors="replace").strip()
    seen = {
        "token": token.label.strip(),
        "serial": serial,
        "manufacturer": token.manufacturer_id.strip(),
        "model": token.model.strip(),
    }
    return all(getattr(uri, name) in (None, value) for name, value in seen.items())


def _name(token: Token) -> str:
    return f'the card "{token.label.strip()}"'


def _module(uri: TokenUri) -> Path:
    """The file of the module: code that will run with the user's rights, so nobody else may have written it."""
    if uri.module_path is not None:
        found = Path(uri.module_path)
        if not found.is_absolute() or not found.is_file():
            raise cannot(f"there is no module {found}", "Write the whole path of a file in module-path.")
    else:
        names = (
            MODULES if uri.module_name is None else (f"{uri.module_name}.so", f"{uri.module_name}-pkcs11.so")
        )
        candidates = (path for name in names for path in _places(name))
        first = next(candidates, None)
        if first is None:
            hint = "Install OpenSC or p11-kit, or write ?module-path=/… behind the reference."
            raise cannot(f"no PKCS #11 module is installed ({', '.join(names)})", hint)
        found = first
    status = found.stat()
    if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
        raise ControlError("secret.unsafe", f"others may write {found}, so it is not loaded")
    return found


def _places(name: str) -> Iterator[Path]:
    for root in map(Path, _PLACES):
        for pattern in (name, f"pkcs11/{name}", f"*/{name}", f"*/pkcs11/{name}"):
            yield from sorted(path for path in root.glob(pattern) if path.is_file())


@contextmanager
def _told(besides: tuple[type[RuntimeError], ...] = ()) -> Iterator[None]:
    """Errors of the module's, `besides` excepted, become ones that a person understands."""
    try:
        yield
    except besides:
        raise
    except RuntimeError as error:  # the library's own are of this kind
        raise cannot(f"the card's module says: {type(error).__name__} {error}".strip()) from None
