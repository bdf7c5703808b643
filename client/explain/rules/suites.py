"""What both ends cannot agree on before anybody has logged in, and the renewal of keys."""

from __future__ import annotations

from ..clues import ended, notified
from ..rule import Clue, Rule
from ..sources import Source
from ..view import AUTH, CHILD, INIT, View

_LOOP = 3
_WEAK_GROUPS = ("group 1", "modp1024", "modp1536", "group 22")


def _offered(which: str) -> Clue:
    def find(view: View) -> str:
        words = view.offer.ike if which == "ike" else view.offer.esp
        return f"the profile offers {', '.join(words)}" if words else ""

    return Clue(Source.OFFER, f"what the profile offers in [crypto] {which}", find)


def _foreign_group(view: View) -> str:
    entry = view.notify(INIT, "INVALID_KE_PAYLOAD")
    groups = view.offer.groups
    if entry is None or not groups or entry.detail in groups:
        return ""
    return f"the gateway wants {entry.detail}, the profile offers {', '.join(groups)}"


def _weak_group(view: View) -> str:
    entry = view.notify(INIT, "INVALID_KE_PAYLOAD")
    weak = entry is not None and entry.detail in _WEAK_GROUPS
    return f"{entry.detail} is weak (RFC 8247 section 2.4)" if entry is not None and weak else ""


def _rekey_group(view: View) -> str:
    return "the connection itself needed no group: only the renewal of keys does" if view.offer.pfs else ""


def _rekey_without_group(view: View) -> str:
    offered = view.offer.esp
    return "the profile renews keys without a group" if offered and not view.offer.pfs else ""


def _old_version(view: View) -> str:
    said = view.dropped("IKE version 1")
    return "an answer of IKE version 1 came, of which version 2 cannot make use" if said else ""


def _cookies(view: View) -> str:
    count = sum(entry.name == "COOKIE" for message in view.answers(INIT) for entry in message.notifies)
    return f"the gateway answered {count} times with another COOKIE" if count >= _LOOP else ""


def _foreign_choice(view: View) -> str:
    chosen = view.opened
    if chosen is None or len(chosen.proposals) != 1 or not view.offer.ike:
        return ""
    wanted = set(chosen.proposals[0].split("-"))
    if any(wanted <= set(words.split("-")) for words in view.offer.ike):
        return ""
    return f"the gateway chose {chosen.proposals[0]}"


RULES: tuple[Rule, ...] = (
    Rule(
        "crypto.ike_proposal",
        "The gateway accepts none of the algorithms that the profile offers for IKE.",
        (
            "Run 'roam probe HOST': it finds what the gateway accepts. Then set ike in [crypto] to it.",
            'Or try preset = "compatible" in [crypto].',
            "A gateway with weak algorithms alone (group 2 or 5, SHA-1) needs allow_legacy = true there as well.",
        ),
        (notified(INIT, "NO_PROPOSAL_CHOSEN"), _offered("ike")),
        unlike=("crypto.group", "peer.ikev1", "crypto.esp_proposal"),
    ),
    Rule(
        "crypto.group",
        "The gateway wants a key exchange group that the profile does not offer.",
        ("Add the group that it wants to ike in [crypto].",),
        (
            notified(INIT, "INVALID_KE_PAYLOAD"),
            Clue(Source.OFFER, "a group that is not offered", _foreign_group),
        ),
        unlike=("crypto.ike_proposal", "crypto.group_legacy"),
    ),
    Rule(
        "crypto.group_legacy",
        "The gateway wants a key exchange group that is weak, and that the profile does not offer.",
        (
            "Ask the gateway's administrator for group 14 (modp2048) or a better one.",
            "Until then: allow_legacy = true in [crypto], and the group in ike; 'roam status' reminds you of it.",
        ),
        (
            notified(INIT, "INVALID_KE_PAYLOAD"),
            Clue(Source.OFFER, "a group that is not offered", _foreign_group),
            Clue(Source.NOTIFIES, "a weak group that is asked for", _weak_group),
        ),
        unlike=("crypto.group", "crypto.ike_proposal"),
    ),
    Rule(
        "crypto.esp_proposal",
        "The login worked; the gateway accepts none of the algorithms offered for the traffic (ESP).",
        (
            'Set esp in [crypto] to what the gateway has, or try preset = "compatible".',
            "If it has nothing but SHA-1, allow_legacy = true in [crypto] is needed as well.",
        ),
        (notified(AUTH, "NO_PROPOSAL_CHOSEN"), _offered("esp")),
        unlike=("crypto.ike_proposal", "crypto.pfs_group"),
    ),
    Rule(
        "crypto.pfs_group",
        "The tunnel died when its keys were to be renewed: the gateway wants another group for that, or none.",
        (
            "Set pfs = \"off\" in [crypto], or put the gateway's group into esp; 'roam rekey' tries it at once.",
            "A weak group there (modp1024, as MikroTik has it by default) needs allow_legacy = true as well.",
        ),
        (
            notified(CHILD, "NO_PROPOSAL_CHOSEN", "INVALID_KE_PAYLOAD"),
            Clue(Source.OFFER, "a profile that renews keys with a group", _rekey_group),
        ),
        unlike=("life.no_rekey", "life.lifetime"),
    ),
    Rule(
        "crypto.pfs_wanted",
        "The tunnel died when its keys were to be renewed: the gateway insists on a group for that (PFS).",
        ("Set pfs = \"require\" in [crypto]; 'roam rekey' tries it at once.",),
        (
            notified(CHILD, "NO_PROPOSAL_CHOSEN", "INVALID_KE_PAYLOAD"),
            Clue(Source.OFFER, "a profile that renews keys without a group", _rekey_without_group),
        ),
        unlike=("life.no_rekey", "crypto.pfs_group"),
    ),
    Rule(
        "crypto.foreign_choice",
        "The gateway chose algorithms that nobody offered it.",
        ("That is a fault of the gateway: report it to its administrator together with this.",),
        (
            Clue(Source.PROPOSALS, "a choice that was not offered", _foreign_choice),
            ended("crypto.no_proposal"),
        ),
        unlike=("crypto.ike_proposal",),
    ),
    Rule(
        "peer.ikev1",
        "The gateway speaks only version 1 of IKE, which Roam does not.",
        (
            "Ask the administrator to switch IKEv2 on; IKEv1 has been obsolete since 2005 (RFC 4306, RFC 9395).",
        ),
        (Clue(Source.DROPPED, "an answer of IKE version 1", _old_version),),
        unlike=("crypto.ike_proposal", "net.gateway_silent"),
    ),
    Rule(
        "peer.version",
        "The gateway does not speak version 2 of IKE.",
        ("Ask the administrator to switch IKEv2 on.",),
        (notified(INIT, "INVALID_MAJOR_VERSION"),),
        unlike=("peer.ikev1",),
    ),
    Rule(
        "peer.cookie_loop",
        "The gateway asks for one cookie after the other and never goes on.",
        (
            "Several gateways may share the address without sharing their cookie key: tell the administrator.",
            "If your address changes while you connect (several uplinks), use one network only.",
        ),
        (Clue(Source.NOTIFIES, "three or more COOKIE answers", _cookies),),
        unlike=("net.udp4500_blocked", "peer.redirect"),
    ),
    Rule(
        "peer.redirect",
        "The gateway sends its clients to another one.",
        ("Put the gateway that it names into [gateway] addresses, if you trust it.",),
        (notified(INIT, "REDIRECT"),),
        unlike=("peer.cookie_loop",),
    ),
    Rule(
        "peer.redirect_login",
        "The gateway sends its clients to another one.",
        ("Put the gateway that it names into [gateway] addresses, if you trust it.",),
        (notified(AUTH, "REDIRECT"),),
        unlike=("peer.redirect", "login.session_limit"),
    ),
    Rule(
        "peer.protocol",
        "The gateway said something that the protocol does not allow.",
        ("Report it together with the evidence ('roam report').",),
        (
            ended(
                "peer.protocol",
                "nonsense",
                "lacks the Child SA",
                "broke off",
                "came back",
                "in the middle",
                "COOKIE2",
            ),
        ),
        likely=True,
        strength=-1,
    ),
    Rule(
        "peer.critical",
        "The gateway does not know something that it was sent, and may not ignore it.",
        ("Report it together with the evidence: Roam sends nothing critical of its own accord.",),
        (notified(AUTH, "UNSUPPORTED_CRITICAL_PAYLOAD"),),
    ),
)
