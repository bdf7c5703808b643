"""Peculiarities of gateways that we adapt to: what each is called, which the user has switched, what was learnt.

An adaptation follows evidence alone: something that this gateway has said or done.  Whether it is used or not, its
evidence is told, once in a session (`events.QuirkSeen`).  What a gateway has shown in one login serves the next
(`Habits`), but only where it had proven who it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Quirk(StrEnum):
    """What we do differently; the names are those of the keys in a profile's [quirks]."""

    SMALL_LOGIN = "small_login"
    FIRST_GROUP = "first_group"
    NO_PFS = "no_pfs"
    NEW_LOGIN = "new_login"
    ONE_FAMILY = "one_family"
    UNNAMED_GATEWAY = "unnamed_gateway"
    PSS_TRAILER = "pss_trailer"
    DNS_PREFIX = "dns_prefix"
    SIZE_QUESTIONS = "size_questions"


@dataclass(frozen=True, slots=True)
class QuirkSwitches:
    """What the user has decided: never (`off`), or without waiting for evidence (`on`)."""

    off: frozenset[Quirk] = frozenset()
    on: frozenset[Quirk] = frozenset()


@dataclass(slots=True)
class Habits:
    """What a gateway has shown, for the logins after that."""

    group: int | None = None  # that it asked for, instead of our first one
    one_family: str = ""  # the refusal of inside addresses of both families, in words
    no_pfs: str = field(default="")  # the refusal of a key exchange when a Child SA was replaced, in words


MICROSOFT = (
    bytes.fromhex("1e2b516905991c7d7c96fcbfb587e461"),  # MD5 of "MS NT5 ISAKMPOAKLEY", a version behind it
    bytes.fromhex("fb1de3cdf341b7ea16b7e5be0855f120"),  # MD5 of "MS-Negotiation Discovery Capable"
)
"""How the vendor IDs of Windows and Azure begin."""


def microsoft_vendor(vendors: Iterable[bytes]) -> str:
    """The vendor ID that says Microsoft, in hexadecimal; empty where none does."""
    return next((vendor.hex() for vendor in vendors if vendor.startswith(MICROSOFT)), "")
