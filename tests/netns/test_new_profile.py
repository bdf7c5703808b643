"""As a new user does it: from `roam new` to traffic through the embedded gateway, with nothing written by hand."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from client.lab.demo_scene import NAME, USER, Scene
from client.lab.echo import ping
from client.lab.topology import GATEWAY, SERVER, topology
from profiles.store import load_text

pytestmark = [pytest.mark.netns, pytest.mark.slow]


def test_from_new_to_traffic() -> None:
    with tempfile.TemporaryDirectory(prefix="roam-test-") as directory, topology() as lab:
        scene = Scene(lab, Path(directory))
        scene.prepare()
        profiles = scene.laptop.profiles
        (profiles / "demo.toml").unlink()
        authority, password = profiles / "ca.pem", profiles / "password"
        scene.start_gateway()
        scene.laptop.start()
        try:
            scene.laptop.roam(
                *("new", "work", "--server", str(GATEWAY), "--user", USER, "--ca", str(authority)),
                *("--network", "10.77.0.0/24", "--yes"),
            )
            # the laptop has no keyring, and dials an address that the certificate does not bear
            changes = (f"identity.remote={NAME}", "auth.local[0].secret=file:password")
            scene.laptop.roam("profiles", "work", *(word for change in changes for word in ("--set", change)))
            assert password.exists()
            assert load_text((profiles / "work.toml").read_text()).auth.local[0].identity == USER
            scene.laptop.roam("profiles", "work", "--check")
            scene.laptop.roam("up", "work")
            assert scene.laptop.status("work")["state"] == "up"
            assert lab.laptop.run(lambda: ping(SERVER)) is not None
            scene.laptop.roam("down", "work")
        finally:
            scene.laptop.stop()
            scene.kill_gateway()
