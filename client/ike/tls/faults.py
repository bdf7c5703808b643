"""How TLS ends before its time: alerts (RFC 8446 section 6), and the errors that lead to them."""

from __future__ import annotations

import re
from enum import IntEnum

CLOSED = "close notify"  # OpenSSL has no words for it where it comes as a fatal alert, as from strongSwan
_ALERT = re.compile(r"alert (.+)")


class Alert(IntEnum):
    """Descriptions of alerts."""

    CLOSE_NOTIFY = 0
    UNEXPECTED_MESSAGE = 10
    BAD_RECORD_MAC = 20
    RECORD_OVERFLOW = 22
    HANDSHAKE_FAILURE = 40
    BAD_CERTIFICATE = 42
    UNSUPPORTED_CERTIFICATE = 43
    CERTIFICATE_REVOKED = 44
    CERTIFICATE_EXPIRED = 45
    CERTIFICATE_UNKNOWN = 46
    ILLEGAL_PARAMETER = 47
    UNKNOWN_CA = 48
    ACCESS_DENIED = 49
    DECODE_ERROR = 50
    DECRYPT_ERROR = 51
    PROTOCOL_VERSION = 70
    INSUFFICIENT_SECURITY = 71
    INTERNAL_ERROR = 80
    USER_CANCELED = 90
    MISSING_EXTENSION = 109
    UNSUPPORTED_EXTENSION = 110
    CERTIFICATE_REQUIRED = 116


def name_of(description: int) -> str:
    """Such as "unknown ca"."""
    try:
        return Alert(description).name.lower().replace("_", " ")
    except ValueError:
        return f"number {description}"


class TlsFailed(Exception):
    """TLS has ended; `alert` is what the other end gave as its reason, None where the fault was found here.

    What is left to be sent, an alert of ours, can still be taken.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason or CLOSED)
        found = _ALERT.search(reason)
        self.alert = found[1] if found else None if reason else CLOSED


class Fault(Exception):
    """The server has broken the protocol: the alert that it gets, and what we say ourselves."""

    def __init__(self, alert: Alert, why: str) -> None:
        super().__init__(why)
        self.alert = alert
