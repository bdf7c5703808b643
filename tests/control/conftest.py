"""The socket of a fake daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.control.fake import socket_directory


@pytest.fixture
def path() -> Iterator[Path]:
    with socket_directory() as directory:
        yield directory / "control.sock"
