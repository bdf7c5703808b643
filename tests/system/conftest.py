"""The scene of the tests that change a namespace."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.scene import Scene, furnish_gateway_more, furnish_laptop_more, played


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with played(tmp_path / "state") as scene:
        yield scene


@pytest.fixture
def wire(scene: Scene) -> Scene:
    """The scene with IPv6 on both ends, a local network in both families, and ping for everybody."""
    scene.gateway.run(furnish_gateway_more)
    furnish_laptop_more()
    return scene
