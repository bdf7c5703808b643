"""Socket activation as systemd does it: `python -m tests.netns.activator SOCKET UID PROGRAM…`.

Listens at SOCKET, which only UID may open, and starts PROGRAM with the listener whenever somebody connects.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from select import select

_FIRST_DESCRIPTOR = 3


def main() -> None:
    """Until killed."""
    path, uid, *program = sys.argv[1:]
    os.umask(0o177)
    mode = 0o077  # of the service: UMask= of roam-dns.service
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        os.chown(path, int(uid), 0)
        listener.listen()
        os.umask(mode)
        Path(f"{path}.ready").touch()
        while True:
            select([listener], [], [])
            if (pid := os.fork()) == 0:
                os.dup2(listener.fileno(), _FIRST_DESCRIPTOR)
                activated = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
                os.set_inheritable(_FIRST_DESCRIPTOR, True)
                os.execvpe(program[0], program, {**os.environ, **activated})  # noqa: S606
            os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
