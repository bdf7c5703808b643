"""The registry of EAP methods: one row for each that the peer can use; nothing else knows their properties."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from ..events import Kind, Rng
from ..keys import Secret
from ..options import EapLogin
from ..registry import EapType
from .aka import Aka, AkaPrime
from .method import EapFailed, Method
from .mschapv2 import Mschapv2
from .password import Gtc, Md5, Otp
from .usim import Usim


@dataclass(frozen=True, slots=True)
class Row:
    """One method.

    `keyed`: it derives a key, which binds it to the IKE SA.  `mutual`: the server proves itself by it, against
    dictionary attacks too, so that it may stand for the gateway's certificate (RFC 5998 section 4).
    """

    word: str  # in profiles
    make: Callable[[EapLogin, Rng, datetime], Method]
    keyed: bool
    mutual: bool = False


def password_of(login: EapLogin) -> Secret:
    """What the method cannot begin without."""
    password = login.take_password()
    if password is None:
        raise EapFailed(Kind.AUTH_NEEDS_SECRET, "the one-time code has been used: another one is needed")
    return password


def _tls(login: EapLogin, rng: Rng, wall: datetime) -> Method:
    from .tls_method import EapTls  # OpenSSL is loaded for the profiles that need it alone

    return EapTls(login, rng, wall)


def _ttls(login: EapLogin, rng: Rng, wall: datetime) -> Method:
    from .ttls import Ttls

    return Ttls(login, rng, wall)


def _peap(login: EapLogin, rng: Rng, wall: datetime) -> Method:
    from .peap import Peap

    return Peap(login, rng, wall)


def _aka(login: EapLogin, _rng: Rng, _wall: datetime) -> Method:
    return Aka(login.identity, _usim(login), refuses_downgrade=EapType.AKA_PRIME in login.methods)


def _usim(login: EapLogin) -> Usim:
    if login.usim is None:
        raise AssertionError("EAP-AKA without a card")
    return login.usim


def warm(methods: Iterable[EapType]) -> None:
    """Load now what a login by these would wait for."""
    if not {EapType.TLS, EapType.TTLS, EapType.PEAP}.isdisjoint(methods):
        from . import peap as peap  # it needs all that the others do
        from . import ttls as ttls


METHODS: Mapping[EapType, Row] = {
    EapType.MD5: Row("md5", lambda login, _rng, _wall: Md5(password_of(login)), keyed=False),
    EapType.OTP: Row("otp", lambda _login, _rng, _wall: Otp(None), keyed=False),
    EapType.GTC: Row("gtc", lambda login, _rng, _wall: Gtc(login.take_password()), keyed=False),
    EapType.MSCHAPV2: Row(
        "mschapv2", lambda login, rng, _wall: Mschapv2(login.identity, password_of(login), rng), keyed=True
    ),
    EapType.AKA: Row("aka", _aka, keyed=True, mutual=True),
    EapType.AKA_PRIME: Row(
        "aka-prime",
        lambda login, _rng, _wall: AkaPrime(login.identity, _usim(login)),
        keyed=True,
        mutual=True,
    ),
    EapType.TLS: Row("tls", _tls, keyed=True, mutual=True),
    EapType.TTLS: Row("ttls", _ttls, keyed=True, mutual=True),
    EapType.PEAP: Row("peap", _peap, keyed=True, mutual=True),
}

BY_WORD: Mapping[str, EapType] = {row.word: kind for kind, row in METHODS.items()}
