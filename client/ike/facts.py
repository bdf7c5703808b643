"""What the engine tells of the messages that went by, in plain values: names and sizes, never keys or secrets.

A trace event carries them, so that whoever explains a failure later need not understand octets.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NotifyFacts:
    """A notify: its name in the registry, and what its data says where that is worth knowing."""

    name: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """A certificate of the peer's, in words; dates as ISO 8601."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    not_before: str
    not_after: str
    key: str  # "rsa 2048", "ec 256", "ed25519", …
    pin: str = ""  # of the key, as [trust] pin of a profile has it


@dataclass(frozen=True, slots=True)
class MessageFacts:
    """One IKE message, whole: of a fragmented one `packets` says how many, `octets` is their sum.

    `id_type` and `identity` are of the IDi or IDr that the sender claims for itself; `wants` is the IDr that we
    ask for.  `eap` is "request EAP-MSCHAPv2", "success", …
    """

    sent: bool
    exchange: str
    message_id: int
    is_response: bool
    channel: str = ""  # "init" or "natt"; empty where that is not known
    octets: int = 0
    packets: int = 1
    attempt: int = 1  # 2: a request of ours sent for the second time
    protected: bool = False
    payloads: tuple[str, ...] = ()
    notifies: tuple[NotifyFacts, ...] = ()
    vendors: tuple[str, ...] = ()  # hexadecimal
    proposals: tuple[str, ...] = ()  # in the words of a profile
    group: str = ""  # of the Key Exchange payload
    id_type: str = ""
    identity: str = ""
    wants: str = ""
    auth: str = ""  # method of the AUTH payload
    certificates: tuple[CertificateFacts, ...] = ()
    authorities: tuple[str, ...] = ()  # key hashes of CERTREQ, hexadecimal
    eap: str = ""
    eap_detail: str = ""  # "E=691" of MSCHAPv2
    attributes: tuple[str, ...] = ()  # of the configuration payload, with addresses
    selectors: tuple[str, ...] = ()  # TSi, then TSr
