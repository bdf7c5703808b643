"""What `tunnel.details` tells: everything about one tunnel that its status has no room for."""

from __future__ import annotations

from .messages import Handover
from .wire import Message


class ChildDetails(Message):
    """A Child SA that carries traffic; SPIs in hexadecimal, selectors as "10.0.0.0-10.255.255.255 tcp 80-443"."""

    spi_in: str
    spi_out: str
    local: tuple[str, ...] = ()
    remote: tuple[str, ...] = ()
    encapsulated: bool = True


class CertificateDetails(Message):
    """A certificate that the gateway has shown; dates as ISO 8601, `key` as "ec 256"."""

    subject: str
    issuer: str
    names: tuple[str, ...] = ()
    not_before: str = ""
    not_after: str = ""
    key: str = ""
    fingerprint: str = ""  # SHA-256 of the certificate, hexadecimal


class TunnelDetails(Message):
    """Answer to `tunnel.details`; `handovers` are the latest ones, the last one last."""

    name: str
    ike_spis: tuple[str, ...] = ()  # initiator's and responder's, hexadecimal
    ike_suite: str = ""
    esp_suite: str = ""
    children: tuple[ChildDetails, ...] = ()
    certificates: tuple[CertificateDetails, ...] = ()
    handovers: tuple[Handover, ...] = ()
