"""What ended a tunnel that stood."""

from __future__ import annotations

from ..clues import duration, ended, notified, stood, unanswered
from ..rule import Clue, Rule
from ..sources import Source
from ..view import AUTH, CHILD, INFO, View

_SAME = 0.03
"""Two lives are the same length where they differ by less than this share."""
_LEAST_LIFE = 60.0
_FRESH = 15.0
"""Seconds in which a packet counts as having just come in."""


def _lives(view: View) -> list[float]:
    """The lengths of connections that ended without the user's doing."""
    return [
        entry.standing.seconds
        for entry in view.attempts
        if entry.standing is not None and entry.ended and entry.ended != "user.down"
    ]


def _regular(view: View) -> str:
    lives = _lives(view)[-2:]
    if len(lives) < 2 or min(lives) < _LEAST_LIFE or max(lives) - min(lives) > _SAME * max(lives):
        return ""
    return (
        f"the last two connections stood {duration(lives[0])} and {duration(lives[1])}: a limit, not chance"
    )


def _announced(view: View) -> str:
    entry = view.notify(AUTH, "AUTH_LIFETIME") or view.notify(INFO, "AUTH_LIFETIME")
    return f"the gateway announced that a login holds for {entry.detail}" if entry is not None else ""


def _once(view: View) -> bool:
    return len(_lives(view)) == 1


def _unannounced(view: View) -> str:
    """Positively: the gateway's notifies were noted, and this was none of them."""
    known = view.opened is not None and bool(view.opened.notifies)
    return "the gateway has announced no end of the login" if known and not _announced(view) else ""


def _delete(view: View) -> str:
    asked = any("DELETE" in entry.payloads and not entry.is_response for entry in view.received(INFO))
    return "the gateway sent a Delete" if asked else ""


def _forgotten(view: View) -> str:
    said = view.dropped("INVALID_IKE_SPI")
    return "the gateway answered that it does not know the connection (INVALID_IKE_SPI)" if said else ""


def _was_silent(view: View) -> str:
    return "it did not answer when asked whether it is there" if view.attempt.doubted else ""


def _nothing_came(view: View) -> bool:
    standing = view.standing
    return standing is not None and standing.inbound_age is not None and standing.inbound_age > _FRESH


def _still_came(view: View) -> bool:
    standing = view.standing
    return standing is not None and standing.inbound_age is not None and standing.inbound_age <= _FRESH


def _refused_move(view: View) -> str:
    return "the gateway refused the new address" if view.attempt.moves[-1:] == ("refused",) else ""


RULES: tuple[Rule, ...] = (
    Rule(
        "life.lifetime",
        "The gateway ends every login after a fixed time.",
        ("Roam logs in again by itself; ask the administrator for a longer time (session timeout).",),
        (
            ended("peer.deleted"),
            stood("a session that stood", lambda view: view.standing is not None),
            Clue(Source.NOTIFIES, "AUTH_LIFETIME", _announced),
        ),
        unlike=("life.regular", "life.deleted"),
    ),
    Rule(
        "life.regular",
        "The connection ends after the same time, again and again.",
        (
            "The gateway limits sessions, or the renewal of keys fails then: 'roam rekey' tries that at once.",
            "If it works, ask the administrator for the limit (session timeout, lifetime).",
        ),
        (Clue(Source.STANDING, "two connections of the same length", _regular), ended("peer.deleted")),
        likely=True,
        unlike=("life.lifetime", "life.deleted", "crypto.pfs_group"),
    ),
    Rule(
        "life.deleted",
        "The gateway ended the connection.",
        (
            "Once is no pattern: its administrator may have ended it, or it was restarted in order.",
            "'roam explain' after the next time compares how long both stood.",
        ),
        (
            ended("peer.deleted"),
            Clue(Source.ANSWERS, "a Delete of the gateway", _delete),
            stood("a single session that stood", _once),
            Clue(Source.NOTIFIES, "no AUTH_LIFETIME", _unannounced),
        ),
        likely=True,
        unlike=("life.regular", "life.lifetime", "life.forgotten"),
    ),
    Rule(
        "life.no_rekey",
        "The gateway does not let keys be renewed; it wants a new login instead.",
        (
            "Nothing: Roam logs in again, beside the old connection. Shorter lifetimes make that more frequent.",
        ),
        (notified(CHILD, "NO_ADDITIONAL_SAS"),),
        unlike=("crypto.pfs_group", "life.lifetime"),
    ),
    Rule(
        "life.forgotten",
        "The gateway has forgotten the connection: it was restarted, or another one took over.",
        ("Nothing: Roam connects again by itself. If it happens often, tell the administrator.",),
        (Clue(Source.DROPPED, "INVALID_IKE_SPI", _forgotten),),
        unlike=("life.silent", "life.deleted"),
    ),
    Rule(
        "life.silent",
        "The gateway, or the way to it, went silent.",
        (
            "If other things work on this network, the gateway is at fault; Roam tries again by itself.",
            "If they do not, the network went away: 'roam status' shows when it is back.",
        ),
        (
            unanswered(INFO),
            Clue(Source.DOUBT, "a gateway that was asked in vain", _was_silent),
            stood("a session into which nothing came any more", _nothing_came),
        ),
        likely=True,
        unlike=("life.one_way", "life.forgotten"),
    ),
    Rule(
        "life.one_way",
        "Traffic still came in, but the gateway did not answer: what we send gets lost.",
        (
            "A firewall or NAT on the way may have changed: Roam opens a new connection by itself.",
            "If it comes again, try nat_keepalive = 10 in [mobility].",
        ),
        (
            unanswered(INFO),
            Clue(Source.DOUBT, "a gateway that was asked in vain", _was_silent),
            stood("a session into which packets still came", _still_came),
        ),
        likely=True,
        unlike=("life.silent", "life.forgotten"),
    ),
    Rule(
        "life.move_refused",
        "The gateway does not accept the address of the new network.",
        ("Roam goes back to the other network, or connects anew; ask the administrator about MOBIKE.",),
        (
            notified(INFO, "UNACCEPTABLE_ADDRESSES", "UNEXPECTED_NAT_DETECTED"),
            Clue(Source.MOVES, "a move that was refused", _refused_move),
        ),
        unlike=("life.silent", "life.forgotten"),
    ),
)
