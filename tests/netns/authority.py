"""An authority's servers in the lab: OpenSSL's OCSP responder, and a revocation list over HTTP."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from client.lab.laptop import wait_for
from client.lab.namespaces import Namespace, Surroundings
from client.lab.pki import Authority, pem

RESPONDER_PORT = 2560
LIST_PORT = 2561
HOUR = timedelta(hours=1)
REASON = "keyCompromise"


def places(*, responder: str = "", revocation_list: str = "") -> list[tuple[x509.ExtensionType, bool]]:
    """What a certificate says of where to ask: hosts of the two servers."""
    found: list[tuple[x509.ExtensionType, bool]] = []
    if responder:
        url = x509.UniformResourceIdentifier(f"http://{responder}:{RESPONDER_PORT}/")
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, url)
        found.append((x509.AuthorityInformationAccess([access]), False))
    if revocation_list:
        url = x509.UniformResourceIdentifier(f"http://{revocation_list}:{LIST_PORT}/root.crl")
        found.append((x509.CRLDistributionPoints([x509.DistributionPoint([url], None, None, None)]), False))
    return found


@contextmanager
def ocsp_responder(
    namespace: Namespace,
    directory: Path,
    authority: Authority,
    good: Sequence[x509.Certificate] = (),
    revoked: Sequence[x509.Certificate] = (),
) -> Iterator[None]:
    """`openssl ocsp` on all addresses of the namespace; what is in neither list it does not know."""
    directory.mkdir(exist_ok=True)
    (directory / "ca.pem").write_text(pem(authority.certificate))
    (directory / "ca.key").write_text(pem(authority.key))
    (directory / "index.txt").write_text(_index(good, revoked))
    log = directory / "responder.log"
    files = {"-index": "index.txt", "-CA": "ca.pem", "-rsigner": "ca.pem", "-rkey": "ca.key"}
    words = [word for option, name in files.items() for word in (option, str(directory / name))]
    with log.open("wb") as output:
        command = ["openssl", "ocsp", "-port", str(RESPONDER_PORT), "-nmin", "30", *words]
        process = namespace.start(command, Surroundings(output=output))
    try:
        wait_for(lambda: b"waiting for OCSP" in log.read_bytes(), "no OCSP responder", log)
        yield
    finally:
        namespace.stop(process)


def _index(good: Iterable[x509.Certificate], revoked: Iterable[x509.Certificate]) -> str:
    """The text database of `openssl ca`."""
    when = f"{_date(datetime.now(UTC) - HOUR)},{REASON}"
    rows = [("V", "", certificate) for certificate in good] + [("R", when, entry) for entry in revoked]
    return "".join(
        f"{state}\t{_date(it.not_valid_after_utc)}\t{at}\t{_serial(it)}\tunknown\t/CN=somebody\n"
        for state, at, it in rows
    )


def _date(at: datetime) -> str:
    return f"{at:%y%m%d%H%M%SZ}"


def _serial(certificate: x509.Certificate) -> str:
    """Hexadecimal, of an even number of digits."""
    digits = f"{certificate.serial_number:X}"
    return digits.zfill(len(digits) + len(digits) % 2)


def make_list(authority: Authority, revoked: Iterable[x509.Certificate]) -> bytes:
    """A list that is valid now, DER."""
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(authority.certificate.subject)
    builder = builder.last_update(now - HOUR).next_update(now + HOUR)
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        entry = entry.revocation_date(now - HOUR)
        entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.superseded), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    return builder.sign(authority.key, hashes.SHA256()).public_bytes(Encoding.DER)


@contextmanager
def list_server(namespace: Namespace, published: bytes) -> Iterator[list[str]]:
    """A web server with nothing but the list; who has asked is noted."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(str(self.client_address[0]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(published)))
            self.end_headers()
            self.wfile.write(published)

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = namespace.run(lambda: HTTPServer(("0.0.0.0", LIST_PORT), Handler))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
