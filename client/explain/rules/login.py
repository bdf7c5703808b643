"""What the gateway, or the login server behind it, has against us."""

from __future__ import annotations

from datetime import UTC, datetime

from ..clues import day, ended, expects_proof, logs_in_by, moment, notified
from ..rule import Clue, Rule
from ..sources import Source
from ..view import AUTH, INIT, View
from .eap import REFUSED


def _no_eap_yet(view: View) -> str:
    """The refusal came as the answer to the very first request of the login."""
    answers = view.answers(AUTH)
    if not answers or any(entry.eap for entry in view.eap(sent=False)):
        return ""
    return "the gateway refused before it asked for anything" if answers[0].notifies else ""


def _own_expired(view: View) -> str:
    own = view.offer.own_certificate
    until = moment(own.not_after) if own is not None else None
    if own is None or until is None or not view.clock:
        return ""
    if until >= datetime.fromtimestamp(view.clock, UTC):
        return ""
    return f"our own certificate {own.subject} ended on {until.date()}, today is {day(view.clock)}"


def _own_valid(view: View) -> str:
    own = view.offer.own_certificate
    until = moment(own.not_after) if own is not None else None
    if own is None or until is None or until < datetime.fromtimestamp(view.clock, UTC):
        return ""
    return f"our own certificate {own.subject} is valid until {until.date()}"


def _clock(view: View) -> str:
    return f"this computer's date is {day(view.clock)}" if view.clock else ""


def _unwanted_issuer(view: View) -> str:
    wanted, own = _authorities(view)
    if not wanted or not own or own & wanted:
        return ""
    issuer = view.offer.own_certificate.issuer if view.offer.own_certificate is not None else "?"
    return f"the gateway names the authorities whose certificates it accepts, and {issuer} is none of them"


def _wanted_issuer(view: View) -> str:
    wanted, own = _authorities(view)
    return "the gateway accepts certificates of our authority" if own & wanted else ""


def _authorities(view: View) -> tuple[set[str], set[str]]:
    wanted = set(view.opened.authorities) if view.opened is not None else set()
    return wanted, set(view.offer.own_authorities)


def _unknown_issuer(view: View) -> str:
    wanted, own = _authorities(view)
    if not wanted or own:
        return ""
    return (
        f"the gateway names {len(wanted)} whose certificates it accepts; whether ours is among them "
        "cannot be told, for the profile does not hold its certificate"
    )


def _asks_for_none(view: View) -> str:
    opened = view.opened
    if opened is None or not opened.payloads or "CERTREQ" in opened.payloads:
        return ""
    return "the gateway's first answer asks for no certificate"


def _identity_elsewhere(view: View) -> str:
    own = view.offer.own_certificate
    if own is None or not view.offer.identity or view.offer.id_type == "DER_ASN1_DN":
        return ""
    names = {name.lower() for name in (*own.names, own.subject)}
    if view.offer.identity.lower() in names:
        return ""
    return f"we call ourselves {view.offer.identity}, our certificate bears {', '.join((own.subject, *own.names))}"


def _identity_there(view: View) -> str:
    own = view.offer.own_certificate
    if own is None or _identity_elsewhere(view):
        return ""
    return f"our certificate bears the name {view.offer.identity}"


def _shared_proof(view: View) -> str:
    shown = [entry.auth for entry in view.answers(AUTH) if entry.auth]
    return "the gateway proves itself by a pre-shared key" if shown[:1] == ["SHARED_KEY_MIC"] else ""


_WINDOWS = {
    "13801": "the gateway does not accept our certificate, or has none itself that suits (13801)",
    "13806": "the gateway finds no certificate to prove itself with (13806)",
    "13816": "the gateway cannot work with what it was offered (13816)",
    "13834": "the gateway does not understand whom we call ourselves (13834)",
    "13863": "the gateway lost the order of things after an address change (13863)",
    "13868": "the gateway accepts none of the algorithms, or its policy forbids it (13868)",
    "87": "the gateway considers what it was sent invalid (87)",
}
"""Win32 error codes inside N(MS_STATUS), [MS-IKEE] section 2.2.7."""


def _windows(view: View) -> str:
    entry = view.notify(AUTH, "MS_STATUS")
    if entry is None:
        return ""
    return _WINDOWS.get(
        entry.detail, f"Windows error {entry.detail}: 'net helpmsg {entry.detail}' on Windows tells"
    )


_BY_CERT = (notified(AUTH, REFUSED), logs_in_by("cert"))

RULES: tuple[Rule, ...] = (
    Rule(
        "login.session_limit",
        "The gateway takes no further session: a limit or licence is used up.",
        ("End the same account's other sessions, or ask the administrator about the limit.",),
        (notified(AUTH, "NO_ADDITIONAL_SAS"),),
        unlike=("login.after_eap", "address.pool_empty"),
    ),
    Rule(
        "login.own_certificate_expired",
        "Our own certificate has expired.",
        ("Ask for a new certificate, and name it in cert in [[auth.local]].",),
        (
            *_BY_CERT,
            Clue(Source.CLOCK, "a date", _clock),
            Clue(Source.OFFER, "an own certificate whose time is over", _own_expired),
        ),
        unlike=("login.issuer_unwanted", "login.certificate"),
    ),
    Rule(
        "login.issuer_unwanted",
        "The gateway does not accept certificates of the authority that made ours.",
        (
            "Ask the administrator to add the authority to the gateway (Azure: upload the root certificate).",
            "Or use a certificate of one of the authorities that it names.",
        ),
        (
            *_BY_CERT,
            Clue(Source.AUTHORITIES, "a list of authorities without ours", _unwanted_issuer),
        ),
        unlike=("login.certificate", "login.own_certificate_expired", "login.identity"),
    ),
    Rule(
        "login.identity",
        "We call ourselves by a name that our certificate does not bear.",
        (
            "Set [identity] local to a name in the certificate, or leave it out: then the certificate decides.",
        ),
        (
            *_BY_CERT,
            Clue(Source.OFFER, "an identity that is not in the own certificate", _identity_elsewhere),
        ),
        unlike=("login.issuer_unwanted", "login.own_certificate_expired"),
    ),
    Rule(
        "login.certificate",
        "The gateway refuses our certificate, though it accepts others of the same authority.",
        (
            "It may be revoked, or the account behind it unknown: ask the administrator what the log says.",
            "Some gateways want the purpose 'client authentication' in it.",
        ),
        (
            *_BY_CERT,
            Clue(Source.AUTHORITIES, "a list of authorities with ours in it", _wanted_issuer),
            Clue(Source.CLOCK, "a date", _clock),
            Clue(Source.OFFER, "an own certificate that is valid", _own_valid),
            Clue(Source.OFFER, "an identity that is in the own certificate", _identity_there),
        ),
        likely=True,
        unlike=("login.issuer_unwanted", "login.own_certificate_expired", "login.identity"),
    ),
    Rule(
        "login.certificate_refused",
        "The gateway refuses our certificate.",
        (
            "Ask the administrator whether the gateway trusts the authority that made it, and knows the user.",
            "With the authority's certificate behind ours in cert, the next verdict is more exact.",
        ),
        (*_BY_CERT, Clue(Source.AUTHORITIES, "a list of authorities, and ours unknown", _unknown_issuer)),
        likely=True,
        unlike=("login.issuer_unwanted", "login.certificate", "login.own_certificate_expired"),
    ),
    Rule(
        "login.wants_no_certificate",
        "The gateway does not take certificates from its clients, or does not know our authority.",
        ('Ask the administrator how clients log in; many want a user name and a password: method = "eap".',),
        (
            *_BY_CERT,
            Clue(Source.AUTHORITIES, "a first answer without a request for certificates", _asks_for_none),
        ),
        likely=True,
        unlike=("login.issuer_unwanted", "login.certificate"),
    ),
    Rule(
        "login.postquantum_key",
        "The gateway wants a postquantum pre-shared key (RFC 8784) beside the login.",
        (
            "Roam does not know such keys: ask the administrator to let you in without one (RFC 8784 allows it).",
        ),
        (notified(INIT, "USE_PPK"), notified(AUTH, REFUSED)),
        likely=True,
        unlike=("login.key_or_name", "login.certificate"),
    ),
    Rule(
        "login.key_or_name",
        "The gateway refuses the pre-shared key, or does not know the name that we give.",
        (
            "Compare the key character by character: a space or a line's end at its end counts.",
            "Compare [identity] local with what the gateway expects, its type included (fqdn:, email:, keyid:).",
        ),
        (notified(AUTH, REFUSED), logs_in_by("psk")),
        likely=True,
        unlike=("login.gateway_key", "login.certificate", "peer.silent"),
    ),
    Rule(
        "login.gateway_key",
        "The gateway uses another pre-shared key than the profile.",
        ("Compare the key character by character; the gateway has one, and it is not this one.",),
        (
            ended("trust.no_proof"),
            expects_proof("psk"),
            Clue(Source.ANSWERS, "a proof by pre-shared key", _shared_proof),
        ),
        unlike=("login.key_or_name", "trust.no_certificate"),
    ),
    Rule(
        "login.key_form",
        "The gateway could not read the login: most often its pre-shared key is another one.",
        ("Check how the key is written: hexadecimal (0x…) and base64 (0s…) are not plain text.",),
        (notified(AUTH, "INVALID_SYNTAX"), logs_in_by("psk")),
        likely=True,
        unlike=("login.key_or_name", "login.gateway_key"),
    ),
    Rule(
        "login.not_by_eap",
        "The gateway logs nobody in by EAP under the names that were used.",
        (
            "Ask the administrator how clients log in: by pre-shared key or certificate, perhaps.",
            'Check [identity] remote: gateways with several set-ups choose one by it (send_idr = "never").',
        ),
        (
            notified(AUTH, REFUSED),
            logs_in_by("eap"),
            Clue(Source.ANSWERS, "a refusal before any EAP", _no_eap_yet),
        ),
        likely=True,
        unlike=("login.user_unknown", "login.eap_method"),
    ),
    Rule(
        "login.asks_nothing",
        "The gateway does not ask for a login by EAP.",
        ('Set method = "psk" or "cert" in [[auth.local]], whichever the administrator says.',),
        (ended("auth.method", "does not ask for a login by EAP"), logs_in_by("eap")),
        unlike=("login.not_by_eap", "login.eap_method"),
    ),
    Rule(
        "login.unsafe_method",
        "The way to log in needs a gateway that shows a certificate, and this one does not.",
        ("Ask the administrator for a certificate at the gateway, or use EAP-TLS or MSCHAPv2.",),
        (ended("auth.method", "needs a gateway that shows a certificate"),),
        unlike=("login.eap_method", "trust.no_certificate"),
    ),
    Rule(
        "login.windows",
        "A Windows gateway refused the login with an error of its own.",
        ("Look the number up in the administrator's event log (System, source RemoteAccess).",),
        (Clue(Source.NOTIFIES, "a Windows error in the answer to IKE_AUTH", _windows),),
        unlike=("login.certificate", "crypto.esp_proposal"),
    ),
)
