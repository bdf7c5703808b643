"""Gateways whose certificate was taken back, or of which nobody knows: strongSwan, an OCSP responder, a list."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import which
from subprocess import CompletedProcess

import pytest

from client.lab.laptop import Laptop
from client.lab.pki import Issued
from client.lab.topology import GATEWAY, Topology
from tests.netns.authority import list_server, make_list, ocsp_responder, places
from tests.netns.conftest import Interop
from tests.netns.peers.releases import Release
from tests.netns.peers.roadwarrior import (
    GATEWAY_NAME,
    Credentials,
    Method,
    Road,
    make_credentials,
    serve,
)
from tests.netns.peers.strongswan import PLUGINS, Settings, StrongSwan
from tests.netns.profiles import NAME, profile

pytestmark = [
    pytest.mark.netns,
    pytest.mark.slow,
    pytest.mark.skipif(which("openssl") is None, reason="needs the openssl program for an OCSP responder"),
]

FETCHING = Settings(plugins=f"{PLUGINS} curl")  # the gateway fetches the answer about itself
REPLIES_SINCE = (6, 0)  # strongSwan that knows RFC 4806


@dataclass
class Scene:
    """A gateway whose certificate changes from one login to the next."""

    lab: Topology
    laptop: Laptop
    gateway: StrongSwan
    credentials: Credentials

    @property
    def files(self) -> Path:
        return self.laptop.directory / "authority"

    def issue(self, **named: str) -> Issued:
        """Another certificate of the gateway, which names servers of the authority."""
        authority = self.credentials.authority
        return authority.issue(f"CN={GATEWAY_NAME}", dns=[GATEWAY_NAME], extensions=places(**named))

    def up(self, shown: Issued, policy: str, *, full: bool = False) -> CompletedProcess[str]:
        """`roam up` at the gateway that shows this certificate."""
        road = Road(Method.EAP, replace(self.credentials, gateway=shown))
        serve(self.gateway, road)
        text, files = profile(road, trust=f'ca = ["file:ca.pem"]\nrevocation = "{policy}"')
        if full:
            text = re.sub(r'mode = "split"\ninclude = .*', 'mode = "full"', text)
        self.laptop.write_profile(NAME, text, files)
        return self.laptop.run("up", NAME, "--timeout", "30")

    def refused(self, shown: Issued, policy: str, *words: str) -> None:
        """The login ends before anything that derives from the password has left."""
        before = self.gateway.log.count("EAP/RES")
        done = self.up(shown, policy)
        self.laptop.run("down", NAME)
        assert done.returncode == 8, done.stderr
        for word in (GATEWAY_NAME, *words):
            assert word in done.stderr
        assert self.gateway.log.count("EAP/RES") == before

    def accepted(self, shown: Issued, policy: str, *remark: str, full: bool = False) -> None:
        """The login succeeds, with or without a remark in the status."""
        done = self.up(shown, policy, full=full)
        assert done.returncode == 0, done.stderr
        told = [text for text in self.laptop.status(NAME)["remarks"] if "revoked" in text]
        assert len(told) == len(remark)
        for word in remark:
            assert word in told[0]
        self.laptop.roam("down", NAME)


@contextmanager
def scene(release: Release, lab: Topology, settings: Settings | None = None) -> Iterator[Scene]:
    with (
        tempfile.TemporaryDirectory(prefix="roam-") as name,
        StrongSwan(release, lab.gateway, settings) as gateway,
    ):
        laptop = Laptop(lab.laptop, Path(name), None)
        laptop.start()
        try:
            yield Scene(lab, laptop, gateway, make_credentials("ecdsa"))
        finally:
            laptop.stop()


def test_a_revoked_gateway_is_refused_by_either_source_and_silence_only_by_the_strict(
    strongswan: Release, lab: Topology, interop: Interop
) -> None:
    with scene(strongswan, lab) as it:
        ca = it.credentials.authority
        good, bad = it.issue(responder=str(GATEWAY)), it.issue(responder=str(GATEWAY))
        listed, unlisted = it.issue(revocation_list=str(GATEWAY)), it.issue(revocation_list=str(GATEWAY))
        with ocsp_responder(lab.gateway, it.files, ca, [good.certificate], [bad.certificate]):
            it.refused(
                bad, "relaxed", "revoked", "key compromise", "Lab Root", f"{bad.certificate.serial_number:#x}"
            )
            it.accepted(good, "strict")
            it.refused(it.issue(responder=str(GATEWAY)), "strict", "does not know the certificate")
        with list_server(lab.gateway, make_list(ca, [listed.certificate])) as asked:
            it.refused(listed, "relaxed", "revoked", "superseded", "revocation list of")
            it.accepted(unlisted, "strict", full=True)  # the guard is closed meanwhile, and lets this out
            assert len(asked) == 2
        it.accepted(it.issue(responder=str(GATEWAY)), "relaxed", "http://192.0.2.1:2560/: Connection refused")
        it.refused(it.issue(responder=str(GATEWAY)), "strict", "http://192.0.2.1:2560/: Connection refused")
        interop.shown(f"strongSwan {it.gateway.version}", "revocation by OCSP and CRL", "refused, or let in")


def test_a_gateway_that_hands_over_the_answer_itself_needs_no_fetch(
    strongswan: Release, lab: Topology, interop: Interop
) -> None:
    with scene(strongswan, lab, FETCHING) as it:
        version = it.gateway.version
        if tuple(int(part) for part in version.split(".")[:2]) < REPLIES_SINCE:
            pytest.skip(f"strongSwan {version} does not know RFC 4806")
        good, bad = it.issue(responder="127.0.0.1"), it.issue(responder="127.0.0.1")  # the gateway's own host
        ca = it.credentials.authority
        with ocsp_responder(lab.gateway, it.files, ca, [good.certificate], [bad.certificate]):
            it.accepted(good, "strict")
            assert "sending OCSP status for certificate" in it.gateway.log
            it.refused(bad, "relaxed", "revoked", "key compromise")
        interop.shown(f"strongSwan {version}", "OCSP in IKE (RFC 4806)", "used without a fetch")
