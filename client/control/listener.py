"""The control socket in the file system."""

from __future__ import annotations

import contextlib
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

    It appears when it listens, and not before.  A socket that nobody answers on is replaced; where a daemon
    does: `ControlError("daemon.running")`.
    """
    unready = path.with_name(f".{path.name}.{os.getpid()}")
    if len(os.fsencode(unready)) > SUN_PATH:
        raise ControlError("usage", f"the socket's path is too long for the kernel: {path}")
    _check_free(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        before = os.umask(0o177)  # nobody gets in between bind and chmod
        try:
            listener.bind(str(unready))
        finally:
            os.umask(before)
        _open_to_group(unready, group)
        listener.listen(socket.SOMAXCONN)
        unready.replace(path)
    except OSError as error:
        listener.close()
        with contextlib.suppress(OSError):
            unready.unlink()
        raise ControlError("local.fault", f"cannot listen at {path}: {error.strerror}") from None
    return listener


def _check_free(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:  # also what the kernel says of a file that is no socket
            if not path.is_socket():
                raise ControlError("local.fault", f"{path} is in the way: it is no socket") from None
        except FileNotFoundError:
            pass
        except OSError as error:
            raise ControlError("local.fault", f"{path} is in the way: {error.strerror}") from None
        else:
            raise ControlError("daemon.running", f"a daemon answers at {path}")


def _open_to_group(path: Path, group: int | None) -> None:
    if group is None:
        log.warning("no group may use the control socket: only root and uid %d may", os.getuid())
        return
    try:
        os.chown(path, -1, group)
        path.chmod(0o660)
    except OSError as error:  # e.g. a group that our user namespace does not map
        log.warning("the control socket stays closed to group %d: %s", group, error.strerror)
