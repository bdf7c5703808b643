"""What the virtual machines have in common."""

from __future__ import annotations

import platform

import pytest

from tests.netns.peers.releases import PeerUnavailable

from .machine import Kernel, hypervisor, kernel

_OLDEST = "bookworm"


@pytest.fixture(scope="session")
def distribution(request: pytest.FixtureRequest) -> Kernel:
    """The kernel that `--peer` chooses, and what runs it."""
    if platform.machine() != "x86_64":
        pytest.skip("the virtual machine is made for x86-64")
    try:
        hypervisor()
        return kernel(request.config.getoption("--peer") or _OLDEST)
    except PeerUnavailable as error:
        pytest.skip(f"no virtual machine: {error}")
