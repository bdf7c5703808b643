"""The scene of the tests that change a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from client.lab.links import connect
from client.lab.namespaces import Namespace
from tests.system.scene import (
    Scene,
    furnish_gateway,
    furnish_gateway_more,
    furnish_laptop,
    furnish_laptop_more,
)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        laptop, gateway = Namespace.create("laptop"), Namespace.create("gateway")
        stack.callback(laptop.close)
        stack.callback(gateway.close)
        connect(laptop, "wlan0", gateway, "wan")
        gateway.run(furnish_gateway)
        stack.enter_context(laptop.entered())
        furnish_laptop()
        scene = Scene(laptop, gateway, tmp_path / "state")
        stack.callback(scene.lose_link)
        yield scene


@pytest.fixture
def wire(scene: Scene) -> Scene:
    """The scene with IPv6 on both ends, a local network in both families, and ping for everybody."""
    scene.gateway.run(furnish_gateway_more)
    furnish_laptop_more()
    return scene
