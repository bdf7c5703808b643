"""How long to wait between attempts, and which failures deserve another one: both as data (DESIGN 8)."""

from __future__ import annotations

from dataclasses import dataclass

from ..ike.events import Kind

DELAYS = (1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
"""Seconds before the attempt after the n-th failure in a row; the last one repeats."""

UNJUDGED = 15 * 60.0
"""Seconds between logins by password to which no answer comes, from the second on: who counts them as wrong, such
as a directory behind the gateway, usually forgets within that time."""

JITTER = 0.25
"""Share of a delay that chance may take off: a restarted gateway should not meet all its clients at once."""


def delay(failures: int, chance: float) -> float:
    """Seconds to wait after `failures` (≥ 1) failed attempts in a row; `chance` is from [0, 1)."""
    whole = DELAYS[min(failures, len(DELAYS)) - 1]
    return whole * (1 - JITTER * chance)


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a failure leads to: automatic retries in a row before the tunnel is blocked; None: without end.

    `first` counts for a tunnel that has never stood since the user's `up` (a person is watching and can mend
    it), `later` for one that has: it was right once, so what refuses it now may pass.
    """

    first: int | None
    later: int | None
    new_path: bool = False  # a new path lifts the block


ENDLESS = Treatment(None, None)

TREATMENTS: dict[Kind, Treatment] = {
    # One retry: a datagram of IKE_SA_INIT that was changed on its way shows itself only as a refusal later.
    Kind.AUTH_REJECTED: Treatment(1, 1),
    Kind.AUTH_NEEDS_SECRET: Treatment(0, 0),
    Kind.AUTH_NEEDS_SIGNER: Treatment(0, 0),
    Kind.AUTH_METHOD: Treatment(0, 1),
    Kind.CRYPTO_NO_PROPOSAL: Treatment(0, None),
    Kind.NET_NO_RESPONSE: ENDLESS,
    Kind.NET_NO_PATH: ENDLESS,
    Kind.NET_NAME: ENDLESS,
    Kind.PEER_DELETED: Treatment(2, None),
    Kind.PEER_PROTOCOL: Treatment(1, None),
    # Another gateway may answer on another network (a captive portal, a lying resolver).
    Kind.TRUST_EXPIRED: Treatment(0, 0, new_path=True),
    Kind.TRUST_NAME: Treatment(0, 0, new_path=True),
    Kind.TRUST_NO_PROOF: Treatment(1, 1, new_path=True),
    Kind.TRUST_PIN: Treatment(0, 0, new_path=True),
    Kind.TRUST_REVOKED: Treatment(0, 0, new_path=True),
    Kind.TRUST_REVOCATION_UNKNOWN: Treatment(1, None, new_path=True),  # whoever knows may be reached later
    Kind.TRUST_UNCONFIRMED: Treatment(0, 0, new_path=True),
    Kind.TRUST_UNKNOWN_CA: Treatment(0, 0, new_path=True),
    Kind.TRUST_WEAK: Treatment(0, 0, new_path=True),
    Kind.TS_UNACCEPTABLE: Treatment(0, None),
    Kind.ADDRESS_NONE: Treatment(1, None),
    Kind.CONFLICT_FULL_TUNNEL: Treatment(0, 0),
    Kind.LOCAL_FAULT: Treatment(1, None),
    Kind.PROFILE_INVALID: Treatment(0, 0),
    Kind.USER_DOWN: Treatment(0, 0),
}


def retries_left(kind: Kind, earlier: int, *, steadfast: bool) -> bool:
    """Whether a failure by `kind`, after `earlier` ones in a row, may be followed by another attempt."""
    treatment = TREATMENTS[kind]
    allowed = treatment.later if steadfast else treatment.first
    return allowed is None or earlier < allowed
