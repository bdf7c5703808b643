"""SAs, selectors and certificates of a tunnel."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text
from textual.widgets import Static

from client.control.details import CertificateDetails, ChildDetails, TunnelDetails
from client.control.messages import TunnelStatus

from ... import render


class TunnelKeys(Static):
    """What stands between this machine and the gateway, to the last SPI."""

    def show(self, entry: TunnelStatus | None, details: TunnelDetails | None) -> None:
        """Draw one tunnel."""
        if entry is None:
            self.update(Text("no tunnel is wanted"))
            return
        if details is None or details.name != entry.name:
            self.update(Text("nothing is known of it yet"))
            return
        self.update(Text("\n".join(lines(entry, details))))


def lines(entry: TunnelStatus, details: TunnelDetails) -> Iterator[str]:
    """Everything in words."""
    if not details.ike_spis:
        yield "there is no IKE SA"
    else:
        yield f"IKE SA {' / '.join(details.ike_spis)}, {render.printable(details.ike_suite)}"
    for child in details.children:
        yield from _child(child, details.esp_suite)
    if entry.state == "up" and not details.certificates:
        yield "the gateway has proven itself without a certificate"
    for number, certificate in enumerate(details.certificates):
        yield from _certificate(certificate, "gateway's certificate" if number == 0 else "issued by")


def _child(child: ChildDetails, suite: str) -> Iterator[str]:
    form = "ESP in UDP" if child.encapsulated else "plain ESP"
    yield f"Child SA {child.spi_in} in, {child.spi_out} out, {render.printable(suite)}, {form}"
    yield f"  from  {render.some(child.local)}"
    yield f"  to    {render.some(child.remote)}"


def _certificate(certificate: CertificateDetails, role: str) -> Iterator[str]:
    yield f"{role}: {render.printable(certificate.subject)}, {render.printable(certificate.key)}"
    if certificate.names:
        yield f"  names   {render.some(certificate.names)}"
    yield f"  issuer  {render.printable(certificate.issuer)}"
    yield f"  valid   {certificate.not_before[:10]} to {certificate.not_after[:10]}"
    yield f"  SHA-256 {certificate.fingerprint}"
