"""Change a resolv.conf and be killed just before the Nth system call that Python tells its auditors of.

`python killed.py DIRECTORY apply|restore N`: exits with 0 if there is no Nth one, and is killed otherwise.
"""

from __future__ import annotations

import os
import signal
import sys
from ipaddress import ip_address
from itertools import count
from pathlib import Path

from client.system.resolver.file import File
from client.system.resolver.model import DnsConfig

FULL = DnsConfig("roam0", (ip_address("10.77.0.1"), ip_address("fd77::1")))
WATCHED = ("open", "os.")


def main() -> None:
    """Act until killed."""
    directory, verb, moment = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    numbers = count()

    def audit(event: str, _arguments: tuple[object, ...]) -> None:
        if event.startswith(WATCHED) and next(numbers) == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    file = File(directory)
    sys.addaudithook(audit)
    if verb == "apply":
        file.apply([FULL])
    else:
        file.restore()


if __name__ == "__main__":
    main()
