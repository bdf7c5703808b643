"""What fails on this computer, or on the network right in front of it."""

from __future__ import annotations

from ..clues import ended, unanswered
from ..rule import Clue, Rule
from ..sources import Source
from ..view import INIT, View


def _no_network(view: View) -> str:
    links = view.links
    if not links or any(link.up and link.families for link in links):
        return ""
    return "no interface has a network: " + ", ".join(
        f"{link.name} is {'up, without an address' if link.up else 'down'}" for link in links
    )


def _families(view: View) -> set[str]:
    return {family for link in view.links if link.up for family in link.families}


def _other_family(view: View) -> str:
    """The lookup's addresses are all of a family that no interface has."""
    lookup, here = view.evidence.lookup, _families(view)
    if lookup is None or not lookup.addresses or not here:
        return ""
    theirs = {"ipv6" if ":" in address else "ipv4" for address in lookup.addresses}
    if theirs & here:
        return ""
    return f"{', '.join(lookup.names)} has only {_list(theirs)} addresses ({', '.join(lookup.addresses)})"


def _list(words: set[str]) -> str:
    return " and ".join({"ipv4": "IPv4", "ipv6": "IPv6"}.get(word, word) for word in sorted(words))


def _own_family(view: View) -> str:
    here = _families(view)
    return f"this network gives only {_list(here)}" if len(here) == 1 else ""


def _lookup_says(*words: str) -> Clue:
    def find(view: View) -> str:
        lookup = view.evidence.lookup
        if lookup is None or not any(word in lookup.error for word in words):
            return ""
        return f"looking up {', '.join(lookup.names)}: {lookup.error}"

    return Clue(Source.LOOKUP, f'a look-up that ends with "{words[0]}"', find)


def _others(view: View) -> str:
    others = view.others or ()
    return f"another VPN is active: {', '.join(others)}" if others else ""


def _other_default(view: View) -> str:
    others = view.others or ()
    taken = [link.name for link in view.links if link.name in others and link.default_route]
    return f"the default route leads into {taken[0]}" if taken else ""


def _cut_off(view: View) -> str:
    lookup = view.evidence.lookup
    failed = f"looking up the gateway failed: {lookup.error}" if lookup is not None and lookup.error else ""
    return unanswered(INIT).find(view) or failed


def _portal(view: View) -> str:
    local = view.evidence.local
    return "this network answers web requests with a login page" if local and local.portal == "login" else ""


RULES: tuple[Rule, ...] = (
    Rule(
        "net.no_network",
        "This computer has no network.",
        ("Connect to a network; a wanted tunnel comes up by itself then.",),
        (Clue(Source.LINKS, "interfaces without a network", _no_network),),
        strength=4,
        unlike=("net.portal", "net.no_name_server"),
    ),
    Rule(
        "net.other_family",
        "This network and the gateway have no IP version in common.",
        (
            "Use another network, or ask the gateway's administrator for an address of the other IP version.",
            "A network with IPv6 alone can reach IPv4 by NAT64: ask whoever runs it.",
        ),
        (
            Clue(Source.LOOKUP, "addresses of one IP version alone", _other_family),
            Clue(Source.LINKS, "interfaces with the other IP version alone", _own_family),
        ),
        unlike=("net.no_network", "net.name_unknown"),
    ),
    Rule(
        "net.portal",
        "This network wants you to log in on a web page first.",
        ("Run 'roam portal', log in with the browser, and it goes on by itself.",),
        (
            Clue(Source.PORTAL, "a network that answers web requests with a login page", _portal),
            Clue(Source.SENT, "nothing that gets through", _cut_off),
        ),
        strength=3,
        unlike=("net.udp500_blocked", "net.gateway_silent"),
    ),
    Rule(
        "net.name_unknown",
        "The gateway's name does not exist.",
        ("Check the spelling of [gateway] addresses in the profile.",),
        (_lookup_says("does not exist", "has no address"),),
        unlike=("net.no_name_server", "net.other_family"),
    ),
    Rule(
        "net.no_name_server",
        "This network's name servers do not answer.",
        (
            "Check whether other names resolve; if not, this network is at fault: use another one.",
            "Or write the gateway's address instead of its name into [gateway] addresses.",
        ),
        (_lookup_says("did not answer", "no name server is configured", "could not be resolved"),),
        unlike=("net.name_unknown", "net.no_network"),
    ),
    Rule(
        "local.other_vpn",
        "Another VPN takes the traffic to the gateway.",
        ("End the other VPN, or leave the gateway's address out of what it carries.",),
        (
            Clue(Source.OTHERS, "another VPN that is active", _others),
            Clue(Source.LINKS, "a default route into it", _other_default),
            unanswered(INIT),
        ),
        likely=True,
        strength=1,
        unlike=("net.gateway_silent", "net.udp500_blocked"),
    ),
    Rule(
        "local.fault",
        "Something failed on this computer.",
        ("'roam doctor' checks this computer; 'journalctl -u roamd' has the details.",),
        (ended("local.fault"),),
    ),
    Rule(
        "conflict.full_tunnel",
        "Another tunnel carries all traffic already.",
        ("Take it down first: 'roam down NAME'.",),
        (ended("conflict.full_tunnel"),),
    ),
    Rule(
        "login.secret_missing",
        "A password, code or key was missing.",
        ("Run 'roam up' in a terminal to be asked, or name a keyring: or file: reference in the profile.",),
        (ended("auth.needs_secret"),),
    ),
    Rule(
        "login.signer_missing",
        "The key of the login is held by a program that is not there: a card, a SIM, or the SSH agent.",
        ("Insert the card or start the agent; 'roam signer NAME' stays and signs for later logins.",),
        (ended("auth.needs_signer"),),
    ),
    Rule(
        "profile.invalid",
        "The profile cannot be used.",
        ("'roam profiles NAME --check' names the place.",),
        (ended("profile.invalid"),),
    ),
    Rule(
        "user.down",
        "The tunnel was taken down.",
        ("'roam up NAME' starts it again.",),
        (ended("user.down"),),
    ),
)
