"""What keeps datagrams from the gateway, or its answers from us."""

from __future__ import annotations

from ..clues import answered, checked, reported, stood, unanswered
from ..rule import Clue, Rule
from ..sources import Source
from ..view import AUTH, INFO, INIT, View

SMALL = 1280 - 48
"""Octets of a message that fit every path: IPv6's smallest, less the headers."""

_LEAST_SECONDS, _LEAST_SENT = 5.0, 10
"""What must have been sent in vain before the way through a tunnel is called in question."""

_AFTER_INIT = (answered(INIT), unanswered(AUTH))


def _large(view: View) -> str:
    last = view.sent(AUTH)[-1:]
    if not last or last[0].packets != 1 or last[0].octets <= SMALL:
        return ""
    return f"the unanswered IKE_AUTH is one message of {last[0].octets} octets, which IP has to fragment"


def _small(view: View) -> str:
    last = view.sent(AUTH)[-1:]
    if not last or not last[0].packets or last[0].octets > SMALL * last[0].packets:
        return ""
    parts = f" in {last[0].packets} parts" if last[0].packets > 1 else ""
    return f"the unanswered IKE_AUTH has {last[0].octets} octets{parts}, which need no IP fragments"


def _partial(view: View) -> str:
    parts = view.attempt.fragments
    return f"of the answer to IKE_AUTH came {', '.join(parts)}" if parts else ""


def _undisturbed(view: View) -> str:
    """Positively: it was looked for other VPNs, and none has the default route."""
    others = view.others
    if others is None or any(link.name in others and link.default_route for link in view.links):
        return ""
    return "no other VPN has the default route"


def _no_part(view: View) -> str:
    return "no part of an answer came in" if view.attempt.fragments == () else ""


def _plain_esp(view: View) -> bool:
    standing = view.standing
    return standing is not None and not standing.encapsulated and _sends_in_vain(view)


def _udp_esp(view: View) -> bool:
    standing = view.standing
    return standing is not None and standing.encapsulated and _sends_in_vain(view)


def _sends_in_vain(view: View) -> bool:
    """More than a system sends into every new link by itself, and for longer than an answer takes."""
    standing = view.standing
    if standing is None or standing.packets_in != 0 or standing.seconds < _LEAST_SECONDS:
        return False
    return (standing.packets_out or 0) >= _LEAST_SENT


def _size_limit(view: View) -> str:
    """Small packets pass through the tunnel, larger ones do not."""
    sizes = {
        int(entry.what.split()[1]): entry.outcome
        for entry in view.attempt.checks
        if entry.what.startswith("inside ")
    }
    passing = [size for size, outcome in sizes.items() if outcome == "answered"]
    lost = [size for size, outcome in sizes.items() if outcome == "silent"]
    if not passing or not lost or max(passing) >= min(lost):
        return ""
    return f"packets of {max(passing)} octets get through to the gateway, those of {min(lost)} vanish"


def _too_large(view: View) -> str:
    mtu = view.standing.mtu if view.standing is not None and view.is_up else 0
    return f"the tunnel lets packets of {mtu} octets out" if 0 < view.passing < mtu else ""


def _made_to_fit(view: View) -> str:
    mtu = view.standing.mtu if view.standing is not None and view.is_up else 0
    return f"the tunnel lets packets of {mtu} octets out, no larger ones" if 0 < mtu <= view.passing else ""


def _stands(view: View) -> bool:
    return view.standing is not None


_SIZE_LIMIT = Clue(Source.CHECKS, "small packets that pass, and large ones that do not", _size_limit)

RULES: tuple[Rule, ...] = (
    Rule(
        "net.port_closed",
        "There is a computer at the gateway's address, but no IKE service on it.",
        ("Check [gateway] addresses and port; or the gateway's service is down: tell its administrator.",),
        (unanswered(INIT), reported("port unreachable")),
        strength=2,
        unlike=("net.gateway_silent", "net.filtered"),
    ),
    Rule(
        "net.filtered",
        "A firewall on the way forbids the traffic to the gateway.",
        ("Use another network, or ask whoever runs this one to let UDP ports 500 and 4500 out.",),
        (unanswered(INIT), reported("administratively prohibited")),
        strength=2,
        unlike=("net.udp500_blocked", "net.port_closed"),
    ),
    Rule(
        "net.unreachable",
        "No router on the way knows how to reach the gateway.",
        ("Check [gateway] addresses; if they are right, this network is not connected to the Internet.",),
        (unanswered(INIT), reported("host unreachable", "network unreachable")),
        strength=2,
        unlike=("net.gateway_silent", "net.other_family"),
    ),
    Rule(
        "net.udp500_blocked",
        "This network does not let UDP port 500 out; port 4500 passes.",
        ("Set port = 4500 in [gateway]: then everything goes over that port from the start.",),
        (unanswered(INIT), checked("udp 500", "silent"), checked("udp 4500", "answered")),
        unlike=("net.gateway_silent", "net.filtered"),
    ),
    Rule(
        "net.gateway_silent",
        "Nothing answers at the gateway's address, neither on port 500 nor on 4500.",
        (
            "Check [gateway] addresses, and whether the gateway is up.",
            "If it is, this network blocks UDP: try another one, such as a phone's.",
        ),
        (
            unanswered(INIT),
            checked("udp 500", "silent"),
            checked("udp 4500", "silent"),
            Clue(Source.OTHERS, "no other VPN with the default route", _undisturbed),
        ),
        likely=True,
        unlike=("local.other_vpn", "net.udp500_blocked", "net.filtered"),
    ),
    Rule(
        "net.udp4500_blocked",
        "This network does not let UDP port 4500 out; port 500 passes.",
        (
            "Use another network, or ask whoever runs this one to let UDP port 4500 out.",
            "The login and all traffic use that port, so there is no way around it.",
        ),
        (*_AFTER_INIT, checked("udp 4500", "silent")),
        unlike=("net.fragments_dropped", "peer.silent"),
    ),
    Rule(
        "net.fragments_dropped",
        "IP fragments do not get through, and the gateway does not announce IKE fragmentation.",
        (
            "Ask the gateway's administrator to switch IKE fragmentation (RFC 7383) on.",
            "Until then a smaller certificate of yours helps: one with an elliptic curve's key, with fewer names.",
        ),
        (
            *_AFTER_INIT,
            Clue(Source.SIZES, "an IKE_AUTH too large for one packet", _large),
            checked("udp 4500", "answered"),
        ),
        likely=True,
        unlike=("net.udp4500_blocked", "peer.silent"),
    ),
    Rule(
        "net.answer_fragments_lost",
        "Only parts of the gateway's answer get through.",
        ("Something on the way drops large packets: set a smaller IKE fragment size at the gateway.",),
        (
            *_AFTER_INIT,
            Clue(Source.FRAGMENTS, "parts of an answer", _partial),
            checked("udp 4500", "answered"),
        ),
        unlike=("net.udp4500_blocked", "net.fragments_dropped", "peer.silent"),
    ),
    Rule(
        "peer.silent",
        "The gateway gets the login and drops it without a word.",
        (
            "It may not know whom you call yourself ([identity] local) or whom you ask for ([identity] remote).",
            'Try send_idr = "never"; ask its administrator what its log says.',
        ),
        (
            *_AFTER_INIT,
            Clue(Source.SIZES, "an IKE_AUTH small enough for one packet", _small),
            Clue(Source.FRAGMENTS, "not even a part of an answer", _no_part),
            checked("udp 4500", "answered"),
        ),
        likely=True,
        unlike=("net.udp4500_blocked", "net.fragments_dropped"),
    ),
    Rule(
        "net.esp_blocked",
        "The login works, but packets of the tunnel (ESP, IP protocol 50) do not come through.",
        ("Set force_encap = true in [mobility]: then they travel in UDP, as the login does.",),
        (stood("plain ESP that goes out while nothing comes in", _plain_esp), answered(INFO)),
        unlike=("peer.no_return_traffic", "net.mtu"),
    ),
    Rule(
        "peer.no_return_traffic",
        "The tunnel stands and the gateway answers, but no traffic comes back through it.",
        (
            "The gateway's firewall or routing is at fault: its administrator must let your inside address pass.",
            "Check [routing] include: what you ask for must be behind the gateway.",
        ),
        (stood("ESP in UDP that goes out while nothing comes in", _udp_esp), answered(INFO)),
        likely=True,
        unlike=("net.esp_blocked", "net.mtu"),
    ),
    Rule(
        "net.mtu",
        "Large packets get lost on the way to the gateway, and the tunnel sends such.",
        (
            "Remove mtu from [routing] in the profile: Roam then finds out what passes, and keeps to it.",
            "Or set it to what passes (see above), 1280 if in doubt.",
        ),
        (_SIZE_LIMIT, Clue(Source.STANDING, "a tunnel that lets larger packets out", _too_large)),
        unlike=("net.mtu_reduced", "peer.no_return_traffic", "net.esp_blocked"),
    ),
    Rule(
        "net.mtu_reduced",
        "The way to the gateway carries smaller packets only; Roam has made the tunnel fit.",
        (
            "Nothing: it works. If large transfers hang all the same, the way back is narrower: set a smaller mtu.",
        ),
        (_SIZE_LIMIT, Clue(Source.STANDING, "a tunnel that keeps to what passes", _made_to_fit)),
        unlike=("net.mtu", "peer.no_return_traffic"),
    ),
    Rule(
        "net.mtu_reported",
        "A router on the way takes smaller packets only.",
        ("If large transfers hang, set mtu in [routing] to the size that it names, less 80.",),
        (stood("a session that stood", _stands), reported("packet too big")),
        likely=True,
        unlike=("net.mtu", "peer.no_return_traffic"),
    ),
)
