"""The socket in the file system: private, replaced when stale, never taken from a running daemon."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from client.control.listener import listen
from client.control.messages import ControlError


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_socket_is_open_to_its_group_and_closed_to_others(path: Path) -> None:
    with listen(path, os.getegid()):
        assert mode(path) == 0o660


def test_without_a_group_the_socket_is_the_owners(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with listen(path, None):
        assert mode(path) == 0o600
    assert "only root" in caplog.text
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_socket_that_nobody_answers_on_is_replaced(path: Path) -> None:
    listen(path, None).close()
    with listen(path, None), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_a_running_daemon_keeps_its_socket(path: Path) -> None:
    with listen(path, None):
        with pytest.raises(ControlError) as caught:
            listen(path, None)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
    assert caught.value.kind == "daemon.running"


def test_a_file_in_the_way_is_not_removed(path: Path) -> None:
    path.write_text("mine")
    with pytest.raises(ControlError):
        listen(path, None)
    assert path.read_text() == "mine"


def test_a_path_too_long_for_the_kernel_is_named(path: Path) -> None:
    with pytest.raises(ControlError, match="too long for the kernel"):
        listen(path.with_name("x" * 120), None)


def test_a_missing_directory_is_named(path: Path) -> None:
    with pytest.raises(ControlError, match="No such file or directory"):
        listen(path.parent / "absent" / "control.sock", None)
