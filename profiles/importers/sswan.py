"""Profiles of strongSwan's Android client (.sswan): JSON.

Its reader takes "true" for true and "4500" for 4500, and so do we.
"""

from __future__ import annotations

import json
import re

from . import algorithms
from .bundle import inside
from .common import addresses, anchor, clamped, host, leftovers, networks, system_trust
from .draft import Draft, Imported
from .errors import ImportRefused
from .fields import Fields, is_table
from .intake import Intake
from .limits import text_of

KIND = "a profile of strongSwan's Android client"
_ROUNDS: dict[str, tuple[tuple[str, tuple[str, ...]], ...]] = {
    "ikev2-eap": (("eap", ("mschapv2",)),),
    "ikev2-cert": (("cert", ()),),
    "ikev2-cert-eap": (("cert", ()), ("eap", ("mschapv2",))),
    "ikev2-eap-tls": (("eap", ("tls",)),),
}
_NO_APPS = "Roam carries the traffic of the whole machine, not of single apps."
_REASONS = {
    "apps": _NO_APPS,
    "excluded-apps": _NO_APPS,
    "proxy": "Roam sets no proxy.",
    "ipv6-transport": "Roam uses IPv6 outside wherever the gateway has an address of it.",
}


def recognises(octets: bytes) -> bool:
    """Whether it is a JSON table with the keys that the client insists on."""
    return bool(re.match(rb"(\xef\xbb\xbf)?\s*\{", octets)) and b'"remote"' in octets


def read(intake: Intake) -> list[Imported]:
    """The one profile in it."""
    top = Fields(_json(intake.octets))
    kind = top.text("type")
    if kind not in _ROUNDS:
        raise ImportRefused("type", f'"{kind[:40]}" is no login that Roam has for such a file')
    draft = intake.draft(KIND, top.text("name") or top.text("uuid"))
    top.skip("uuid")
    remote, local = top.table("remote"), top.table("local")
    _gateway(draft, remote)
    _login(draft, top, local, intake.user)
    _trust(draft, remote)
    _crypto(draft, top)
    _network(draft, top)
    for fields in (remote, local, top):
        leftovers(draft, fields, _REASONS)
    return [draft.finish()]


def _json(octets: bytes) -> dict[str, object]:
    text = text_of(octets)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ImportRefused("", "is no JSON that can be read") from None
    if not is_table(found):
        raise ImportRefused("", "is no JSON table")
    return found


def _gateway(draft: Draft, remote: Fields) -> None:
    source = remote.path("addr")
    draft.keep(source, "gateway.addresses", [host(remote.text("addr"), source)])
    if (port := remote.number("port")) is not None:
        if 1 <= port <= 65535:
            draft.keep(remote.path("port"), "gateway.port", port)
        else:
            draft.ignore(remote.path("port"), "No port: the client takes 500 then, and so does Roam.")
    if name := remote.text("id"):
        draft.keep(remote.path("id"), "identity.remote", name)
        draft.put("identity.match", "strict")


def _login(draft: Draft, top: Fields, local: Fields, user: str) -> None:
    kind = top.text("type")
    if name := local.text("id"):
        draft.keep(local.path("id"), "identity.local", name)
    rounds = _ROUNDS[kind]
    for n, (method, words) in enumerate(rounds):
        path = f"auth.local[{n}]"
        draft.put(f"{path}.method", method)
        if method == "cert" or words == ("tls",):
            _own_certificate(draft, local, path)
        if method == "eap":
            draft.put(f"{path}.eap_methods", list(words))
            _user(draft, local, path, user, needs_password=words != ("tls",))
    draft.honoured("type", f"{kind}: {len(rounds)} round{'s' if len(rounds) > 1 else ''}.", "auth.local")
    if (pss := local.flag("rsa-pss")) is not None:
        text = (
            "Roam signs by PSS where the gateway announces it."
            if pss
            else "Roam signs by PSS all the same, where announced."
        )
        (draft.honoured if pss else draft.differs)(local.path("rsa-pss"), text)


def _user(draft: Draft, local: Fields, path: str, user: str, *, needs_password: bool) -> None:
    draft.user(local.path("eap_id"), f"{path}.identity", local.text("eap_id") or user)
    if needs_password:
        secret = local.text("shared_secret") or None
        draft.secret(local.path("shared_secret"), f"{path}.secret", "password", secret)


def _own_certificate(draft: Draft, local: Fields, path: str) -> None:
    octets = local.octets("p12")
    if octets:
        draft.file(local.path("p12"), f"{path}.cert", "client.p12", inside(octets, local.path("p12")))
        draft.secret("(passphrase)", f"{path}.secret", "passphrase")
    else:
        draft.lack(
            local.path("p12"), f"{path}.cert", "client.p12", "", "your certificate with its key (.p12)"
        )
        draft.put(f"{path}.secret", f"keyring:{draft.id}/passphrase")


def _trust(draft: Draft, remote: Fields) -> None:
    if octets := remote.octets("cert"):
        anchor(draft, remote.path("cert"), octets)
    else:
        system_trust(
            draft, remote.path("cert"), "No certificate in the file: the system's authorities are trusted."
        )
    revocation = remote.table("revocation")
    flags = [revocation.flag(key) for key in ("crl", "ocsp", "strict")]
    if any(flag is not None for flag in flags):
        word = (
            "strict" if flags[2] else "relaxed" if flags[0] is not False or flags[1] is not False else "off"
        )
        draft.keep(remote.path("revocation"), "trust.revocation", word)
    if (asks := remote.flag("certreq")) is not None:
        if asks:
            draft.honoured(remote.path("certreq"), "Roam asks for a certificate of its authorities.")
        else:
            draft.ignore(
                remote.path("certreq"), "Roam asks for a certificate of its authorities all the same."
            )


def _crypto(draft: Draft, top: Fields) -> None:
    for key in ("ike", "esp"):
        if text := top.text(f"{key}-proposal"):
            proposals = text.replace(",", " ").split()
            algorithms.offer(draft, f"{key}-proposal", key, proposals)
            if key == "esp":
                algorithms.perfect_secrecy(draft, proposals)


def _network(draft: Draft, top: Fields) -> None:
    if (mtu := top.number("mtu")) is not None:
        clamped(draft, "mtu", "routing.mtu", mtu, 1280, 1500, "octets")
    if (interval := top.number("nat-keepalive")) is not None:
        clamped(draft, "nat-keepalive", "mobility.nat_keepalive", interval, 10, 120)
    if servers := top.words("dns-servers"):
        draft.keep("dns-servers", "dns.servers", addresses(servers, "dns-servers"))
    split = top.table("split-tunneling")
    source = split.path("subnets")
    wanted = networks(split.words("subnets"), source)
    if wanted:
        draft.put("routing.mode", "split")
        draft.put("routing.use_ts_from_gateway", False)
        draft.keep(source, "routing.include", [str(network) for network in wanted])
    if excluded := networks(split.words("excluded"), split.path("excluded")):
        draft.keep(split.path("excluded"), "routing.exclude", [str(network) for network in excluded])
    _blocking(draft, split, is_split=bool(wanted))
    leftovers(draft, split)


def _blocking(draft: Draft, split: Fields, *, is_split: bool) -> None:
    """What is not in the tunnel shall not go beside it either, by family."""
    for family in ("ipv4", "ipv6"):
        key = f"block-{family}"
        if (blocks := split.flag(key)) is None:
            continue
        if not blocks:
            draft.honoured(split.path(key), "What the tunnel does not take goes beside it.")
        elif is_split:
            draft.ignore(
                split.path(key),
                f"A split tunnel leaves other {family} traffic alone; 'roam lockdown on' blocks it.",
            )
        else:
            draft.keep(split.path(key), "routing.block_other_families", True)
