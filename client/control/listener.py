"""The control socket in the file system."""

from __future__ import annotations

import logging
import os
import socket
from pathlib import Path

from .wire import ControlError

log = logging.getLogger("roam.control")

SUN_PATH = 107
"""Octets that fit into sockaddr_un.sun_path, its closing zero left out."""


def listen(path: Path, group: int | None) -> socket.socket:
    """A listening socket at `path`, 0660 for `group` (0600 where that is None or cannot be given).

    A socket that nobody answers on is replaced; where a daemon does: `ControlError("daemon.running")`.
    """
    if len(os.fsencode(path)) > SUN_PATH:
        raise ControlError("usage", f"the socket's path is longer than {SUN_PATH} octets: {path}")
    _remove_stale(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        before = os.umask(0o177)  # nobody gets in between bind and chmod
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        _open_to_group(path, group)
        listener.listen(socket.SOMAXCONN)
    except OSError as error:
        listener.close()
        raise ControlError("local.fault", f"cannot listen at {path}: {error.strerror}") from None
    return listener


def _remove_stale(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:  # also what the kernel says of a file that is no socket
            if not path.is_socket():
                raise ControlError("local.fault", f"{path} is in the way: it is no socket") from None
            path.unlink(missing_ok=True)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ControlError("local.fault", f"{path} is in the way: {error.strerror}") from None
        else:
            raise ControlError("daemon.running", f"a daemon answers at {path}")


def _open_to_group(path: Path, group: int | None) -> None:
    if group is None:
        log.warning("there is no group here that may use %s: only root and uid %d may", path, os.getuid())
        return
    try:
        os.chown(path, -1, group)
        path.chmod(0o660)
    except OSError as error:  # e.g. a group that our user namespace does not map
        log.warning("%s stays closed to the group %d: %s", path, group, error.strerror)
