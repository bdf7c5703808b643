"""What we have against the gateway: its certificate, its name, its proof."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import ip_address

from ...control.evidence import CertificateRecord
from ..clues import day, ended, expects_proof, moment
from ..rule import Clue, Rule
from ..sources import Source
from ..view import AUTH, View

_ASK = "Ask the gateway's administrator; do not enter a password before that is cleared up."


def _clock(view: View) -> datetime | None:
    return datetime.fromtimestamp(view.clock, UTC) if view.clock else None


def _date(view: View) -> str:
    return f"this computer's date is {day(view.clock)}" if view.clock else ""


def _expired(view: View) -> str:
    now = _clock(view)
    for shown in view.certificates:
        until = moment(shown.not_after)
        if now is not None and until is not None and until < now:
            return f"{shown.subject} was valid until {until.date()}"
    return ""


def _early(view: View) -> str:
    now = _clock(view)
    for shown in view.certificates:
        since = moment(shown.not_before)
        if now is not None and since is not None and since > now:
            return f"{shown.subject} is valid from {since.date()}"
    return ""


def _other_names(view: View) -> str:
    shown = _leaf(view)
    if shown is None or not view.offer.expects:
        return ""
    return f"the certificate bears {', '.join((shown.subject, *shown.names))}; wanted is {view.offer.expects}"


def _leaf(view: View) -> CertificateRecord | None:
    return view.certificates[0] if view.certificates else None


def _by_address(view: View) -> str:
    shown = _leaf(view)
    try:
        ip_address(view.offer.expects)
    except ValueError:
        return ""
    if shown is None or view.offer.expects in shown.names:
        return ""
    return f"the profile knows the gateway by the address {view.offer.expects} alone"


def _other_identity(view: View) -> str:
    claimed = next((entry.identity for entry in view.answers(AUTH) if entry.identity), "")
    expects = view.offer.expects
    if not claimed or not expects or claimed.lower() == expects.lower():
        return ""
    return f"the gateway calls itself {claimed}, the profile expects {expects}"


def _strict(view: View) -> str:
    return (
        'the profile insists on the name (match = "strict", or a pre-shared key)' if view.offer.strict else ""
    )


def _issuer_known(view: View) -> bool:
    issuers = {shown.issuer for shown in view.certificates}
    return bool(issuers & set(view.offer.authorities))


def _foreign_issuer(view: View) -> str:
    if not view.certificates or not view.offer.authorities or _issuer_known(view):
        return ""
    top = view.certificates[-1]
    trusted = ", ".join(view.offer.authorities[:3])
    return f"the gateway's certificate comes from {top.issuer}; the profile trusts {trusted}"


def _same_name(view: View) -> str:
    if not view.certificates or not _issuer_known(view):
        return ""
    issuer = view.certificates[-1].issuer
    return f"an authority called {issuer} is trusted, but its key did not make this certificate"


def _no_authority(view: View) -> str:
    shown = _leaf(view)
    if shown is None or view.offer.authorities or view.offer.proof != "cert":
        return ""
    return f"the profile trusts no authority; the certificate comes from {shown.issuer}"


def _weak(view: View) -> str:
    for shown in view.certificates:
        kind, _, bits = shown.key.partition(" ")
        if (kind == "rsa" and int(bits or 0) < 2048) or (kind == "ec" and int(bits or 0) < 256):
            return f"{shown.subject} has a key of {bits} bits ({kind})"
    return ""


def _none_shown(view: View) -> str:
    answers = [entry for entry in view.answers(AUTH) if entry.auth or entry.identity]
    if not answers or not answers[0].payloads or "CERT" in answers[0].payloads:
        return ""
    return f"the gateway's answer proves by {answers[0].auth or 'nothing'}, without a certificate"


def _some_shown(view: View) -> str:
    shown = _leaf(view)
    return f"it showed {shown.subject} of {shown.issuer}" if shown is not None else ""


_CERTIFICATES = Source.CERTIFICATES

RULES: tuple[Rule, ...] = (
    Rule(
        "trust.expired",
        "The gateway's certificate has expired.",
        ("Check this computer's date. If it is right, the gateway needs a new certificate.",),
        (
            ended("trust.expired"),
            Clue(_CERTIFICATES, "a certificate whose time is over", _expired),
            Clue(Source.CLOCK, "a date", _date),
        ),
        unlike=("trust.not_yet_valid", "trust.unknown_ca"),
    ),
    Rule(
        "trust.not_yet_valid",
        "The gateway's certificate is not valid yet: this computer's clock is probably wrong.",
        ("Set the clock ('timedatectl set-ntp true'); if it is right, the certificate begins later: wait.",),
        (
            ended("trust.expired"),
            Clue(_CERTIFICATES, "a certificate whose time has not begun", _early),
            Clue(Source.CLOCK, "a date", _date),
        ),
        likely=True,
        unlike=("trust.expired", "trust.unknown_ca"),
    ),
    Rule(
        "trust.by_address",
        "The gateway was called by its address, and its certificate bears only names.",
        ("Write the name in the certificate into [gateway] addresses, or into [identity] remote.",),
        (
            ended("trust.name_mismatch"),
            Clue(_CERTIFICATES, "a certificate without that address", _other_names),
            Clue(Source.OFFER, "a gateway known by its address", _by_address),
        ),
        unlike=("trust.name_mismatch", "trust.identity"),
    ),
    Rule(
        "trust.name_mismatch",
        "The gateway's certificate bears another name than the profile expects.",
        (
            "If one of its names is the gateway that you mean, write it into [identity] remote.",
            f"If not: {_ASK}",
        ),
        (ended("trust.name_mismatch"), Clue(_CERTIFICATES, "a certificate with other names", _other_names)),
        unlike=("trust.by_address", "trust.identity", "trust.unknown_ca"),
    ),
    Rule(
        "trust.identity",
        "The gateway calls itself by another name than the profile expects.",
        (
            "Set [identity] remote to the name that it gives, if that is whom you mean.",
            'With a certificate, match = "loose" lets it call itself what it likes.',
        ),
        (
            ended("trust.name_mismatch", "calls itself"),
            Clue(Source.IDENTITIES, "another name of the gateway", _other_identity),
            Clue(Source.OFFER, "a profile that insists on the name", _strict),
        ),
        unlike=("trust.name_mismatch", "login.key_or_name"),
    ),
    Rule(
        "trust.unknown_ca",
        "The gateway's certificate comes from an authority that the profile does not trust.",
        ("Get the authority's certificate from the administrator and name it in [trust] ca.", _ASK),
        (
            ended("trust.unknown_ca"),
            Clue(_CERTIFICATES, "a certificate of another authority", _foreign_issuer),
        ),
        unlike=("trust.rotated_ca", "trust.name_mismatch", "trust.no_authority"),
    ),
    Rule(
        "trust.rotated_ca",
        "The authority's certificate in the profile has the right name and the wrong key: it was renewed.",
        ("Get the authority's new certificate (Azure: download the VPN client package again).",),
        (ended("trust.unknown_ca"), Clue(_CERTIFICATES, "an authority of the same name", _same_name)),
        likely=True,
        unlike=("trust.unknown_ca", "trust.expired"),
    ),
    Rule(
        "trust.no_authority",
        "The profile trusts nobody who could vouch for the gateway.",
        ("Name the authority's certificate in [trust] ca, or set system_store = true.",),
        (
            ended("trust.unknown_ca"),
            Clue(_CERTIFICATES, "a certificate, and no authority trusted", _no_authority),
        ),
        unlike=("trust.unknown_ca",),
    ),
    Rule(
        "trust.revoked",
        "The gateway's certificate was revoked by the authority that made it.",
        (f"It needs a new one; somebody may have stolen its key. {_ASK}",),
        (ended("trust.revoked"), Clue(_CERTIFICATES, "a certificate", _some_shown)),
        unlike=("trust.revocation_unknown", "trust.expired"),
    ),
    Rule(
        "trust.revocation_unknown",
        "Nobody says whether the gateway's certificate was revoked, and the profile insists on knowing.",
        (
            "Try another network: this one may keep the authority's server from us.",
            'Name its list in [trust] crl, or set revocation = "relaxed".',
        ),
        (ended("trust.revocation_unknown"), Clue(_CERTIFICATES, "a certificate", _some_shown)),
        unlike=("trust.revoked", "trust.unknown_ca"),
    ),
    Rule(
        "trust.weak",
        "The gateway's certificate is too weak to trust.",
        ("The gateway needs a certificate with a stronger key or signature: tell its administrator.",),
        (ended("trust.weak"), Clue(_CERTIFICATES, "a short key", _weak)),
        unlike=("trust.weak_signature", "trust.unknown_ca"),
    ),
    Rule(
        "trust.weak_signature",
        "A certificate of the gateway is signed by a method too weak to trust.",
        ("The gateway needs a certificate signed with SHA-256 or better: tell its administrator.",),
        (ended("trust.weak", "signed with"),),
        unlike=("trust.weak",),
    ),
    Rule(
        "trust.no_certificate",
        "The gateway shows no certificate.",
        ('If it proves itself by a pre-shared key, set method = "psk" in [auth.remote].', _ASK),
        (
            ended("trust.no_proof"),
            expects_proof("cert"),
            Clue(Source.ANSWERS, "an answer without a certificate", _none_shown),
        ),
        unlike=("trust.bad_signature", "login.gateway_key"),
    ),
    Rule(
        "trust.purpose",
        "The gateway's certificate is meant for other purposes.",
        ("It needs the purpose 'server authentication': tell the gateway's administrator.",),
        (
            ended("trust.no_proof", "purposes"),
            Clue(_CERTIFICATES, "a certificate", _some_shown),
        ),
        unlike=("trust.bad_signature", "trust.unknown_ca"),
    ),
    Rule(
        "trust.bad_signature",
        "The gateway shows a certificate whose key it does not have.",
        (
            "Somebody may be pretending to be the gateway, or its key and certificate do not belong together.",
            _ASK,
        ),
        (
            ended("trust.no_proof", "does not fit the certificate", "signature"),
            Clue(_CERTIFICATES, "a certificate", _some_shown),
        ),
        unlike=("trust.purpose", "trust.no_certificate"),
    ),
    Rule(
        "trust.unasked_certificate",
        "The gateway proves itself by a certificate, the profile expects the pre-shared key.",
        ('Set method = "cert" in [auth.remote] and name its authority in [trust] ca.',),
        (
            ended("trust.no_proof"),
            expects_proof("psk"),
            Clue(_CERTIFICATES, "a certificate", _some_shown),
        ),
        unlike=("login.gateway_key", "trust.no_certificate"),
    ),
    Rule(
        "trust.pin_mismatch",
        "The gateway has another key than the one pinned in the profile.",
        ("Ask the administrator whether its key has changed; if so, correct pin in [trust].", _ASK),
        (ended("trust.pin_mismatch"),),
        unlike=("trust.unconfirmed", "trust.unknown_ca"),
    ),
    Rule(
        "trust.unconfirmed",
        "Nobody has confirmed the gateway's key yet.",
        ("Compare the fingerprint with what the administrator says; then write it into [trust] pin.",),
        (ended("trust.unconfirmed"),),
        unlike=("trust.pin_mismatch",),
    ),
)
