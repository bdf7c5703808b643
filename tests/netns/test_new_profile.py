"""As a new user does it: from `roam new`, or from an administrator's file, to traffic; nothing is written by hand.

The laptop of the lab has no keyring, and dials an address that the certificate does not bear: that much is
changed by `roam profiles --set`.
"""

from __future__ import annotations

import json
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from client.lab.demo_scene import NAME, USER, Scene
from client.lab.echo import ping
from client.lab.topology import GATEWAY, SERVER, topology
from profiles.store import load_text

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.xdist_group("new")]
SECRET = "auth.local[0].secret=file:password"


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    """A gateway and a daemon, and a user with his password and the gateway's CA, but without a profile."""
    with tempfile.TemporaryDirectory(prefix="roam-test-") as directory, topology() as lab:
        scene = Scene(lab, Path(directory))
        scene.prepare()
        (scene.laptop.profiles / "demo.toml").unlink()
        scene.start_gateway()
        scene.laptop.start()
        try:
            yield scene
        finally:
            scene.laptop.stop()
            scene.kill_gateway()


def connects(scene: Scene, name: str) -> None:
    """Up, traffic, down."""
    scene.laptop.roam("profiles", name, "--check")
    scene.laptop.roam("up", name)
    assert scene.laptop.status(name)["state"] == "up"
    assert scene.lab.laptop.run(lambda: ping(SERVER)) is not None
    scene.laptop.roam("down", name)


def test_from_new_to_traffic(scene: Scene) -> None:
    authority = scene.laptop.profiles / "ca.pem"
    done = scene.laptop.run(
        *("new", "work", "--server", str(GATEWAY), "--user", USER, "--ca", str(authority)),
        *("--network", "10.77.0.0/24", "--yes"),
    )
    assert done.returncode == 0, done.stderr
    assert f"certificate of CN={NAME}" in done.stderr
    scene.laptop.roam("profiles", "work", "--set", f"identity.remote={NAME}", "--set", SECRET)
    assert load_text((scene.laptop.profiles / "work.toml").read_text()).auth.local[0].identity == USER
    connects(scene, "work")


def test_from_a_file_to_traffic(scene: Scene) -> None:
    authority = x509.load_pem_x509_certificate((scene.laptop.profiles / "ca.pem").read_bytes())
    handed_out = {
        "uuid": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeee09",
        "name": "Office",
        "type": "ikev2-eap",
        "remote": {
            "addr": str(GATEWAY),
            "id": NAME,
            "cert": b64encode(authority.public_bytes(Encoding.DER)).decode(),
        },
        "local": {"eap_id": USER, "id": f"{USER}@example.com"},
        "ike-proposal": "aes256gcm16-prfsha384-ecp384",
        "esp-proposal": "aes256gcm16",
        "split-tunneling": {"subnets": ["10.77.0.0/24"]},
    }
    file = scene.laptop.directory / "office.sswan"
    file.write_text(json.dumps(handed_out))
    assert "missing secret" in scene.laptop.roam("import", str(file))
    scene.laptop.roam("profiles", "office", "--set", SECRET)
    connects(scene, "office")
