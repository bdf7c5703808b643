"""A card reader: the pcscd of Debian with vpcd, whose cards are programs that speak its protocol over TCP.

pcscd runs in a namespace of the lab, in the root file system of its release; programs there reach it by its socket.
"""

from __future__ import annotations

import platform
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Self

from client.lab.namespaces import Namespace, Surroundings
from client.lab.syscalls import MS_BIND, mount
from tests.ui.signers.virtual_usim import VirtualUsim

from .releases import PeerUnavailable, Release, release

PACKAGES = ("pcscd", "libpcsclite1", "vsmartcard-vpcd")
LIBRARY = "libpcsclite.so.1"
PORT = 0x8C7B  # where vpcd listens for a card in its first slot
_START_PATIENCE = 15.0  # seconds
_OFF, _ON, _RESET, _ATR = 0, 1, 2, 4  # what vpcd asks for in one octet


def reader_release() -> Release:
    """pcscd and vpcd of one Debian release; `PeerUnavailable` where they cannot be had, or not used."""
    found = release("bookworm", PACKAGES, "pcsc")
    if not next(iter(found.root.glob(f"usr/lib/*/{LIBRARY}")), None):
        raise PeerUnavailable(f"Debian's libpcsclite1 holds no {LIBRARY} for {platform.machine()}")
    return found


class Slot:
    """The card in vpcd's slot: it answers in a thread until it is taken out."""

    def __init__(self, namespace: Namespace, card: VirtualUsim) -> None:
        self._card = card
        self._socket = namespace.run(lambda: socket.create_connection(("127.0.0.1", PORT), _START_PATIENCE))
        self._socket.settimeout(None)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def take_out(self) -> None:
        """The slot is empty again."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(_START_PATIENCE)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while (message := self._message()) is not None:
                answer = self._answer(message)
                if answer is not None:
                    self._socket.sendall(len(answer).to_bytes(2) + answer)

    def _answer(self, message: bytes) -> bytes | None:
        if len(message) > 1:
            return self._card.process(message)
        if message[0] == _ATR:
            return self._card.atr
        self._card.reset()  # power off, power on, reset
        return None

    def _message(self) -> bytes | None:
        size = self._octets(2)
        return None if size is None else self._octets(int.from_bytes(size))

    def _octets(self, size: int) -> bytes | None:
        octets = b""
        while len(octets) < size:
            # vpcd writes twice for each command: the second waits for our word that the first is here.
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            more = self._socket.recv(size - len(octets))
            if not more:
                return None
            octets += more
        return octets


class Reader:
    """A running pcscd with one virtual reader; use it as a context manager."""

    def __init__(self, namespace: Namespace) -> None:
        self.release = reader_release()
        self.namespace = namespace
        self.directory = Path(tempfile.mkdtemp(prefix="roam-reader-"))
        self.directory.chmod(0o755)
        self._process: subprocess.Popen[bytes] | None = None
        self._slot: Slot | None = None

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.take_out()
        if self._process is not None:
            self.namespace.stop(self._process)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to find the library, and the library to find this pcscd.

        The library alone: whatever else is in its release must not come in the way of the machine's own.
        """
        socket_path = self.directory / "pcscd" / "pcscd.comm"
        return {"LD_LIBRARY_PATH": str(self.directory / "lib"), "PCSCLITE_CSOCK_NAME": str(socket_path)}

    @property
    def log(self) -> str:
        """What pcscd has said."""
        return (self.directory / "output.log").read_text(errors="replace")

    def insert(self, card: VirtualUsim) -> None:
        """Put a card in, in the place of another, and wait until pcscd has seen it."""
        self.take_out()
        seen = self.log.count("Card ATR")
        self._slot = Slot(self.namespace, card)
        self._wait(lambda: self.log.count("Card ATR") > seen, "pcscd has not seen the card")

    def take_out(self) -> None:
        """Leave the slot empty."""
        if self._slot is not None:
            seen = self.log.count("Card Removed")
            self._slot.take_out()
            self._slot = None
            if self._process is not None:
                self._wait(lambda: self.log.count("Card Removed") > seen, "pcscd has not missed the card")

    def _start(self) -> None:
        (self.directory / "pcscd").mkdir()
        (self.directory / "lib").mkdir()
        library = next(iter(self.release.root.glob(f"usr/lib/*/{LIBRARY}")))
        (self.directory / "lib" / LIBRARY).symlink_to(library)
        with (self.directory / "output.log").open("ab") as output:
            around = Surroundings(
                prepare=self._enter, environment={"PATH": "/usr/sbin:/usr/bin"}, output=output.fileno()
            )
            self._process = self.namespace.start(["/usr/sbin/pcscd", "--foreground", "--debug"], around)
        self._wait(lambda: "pcsc-lite" in self.log and "daemon ready" in self.log, "pcscd did not start")

    def _enter(self) -> None:
        self.release.enter(self.directory)
        Path("/run/pcscd").mkdir()
        mount("/run/peer/pcscd", "/run/pcscd", flags=MS_BIND)

    def _wait(self, condition: Callable[[], bool], otherwise: str) -> None:
        deadline = time.monotonic() + _START_PATIENCE
        while not condition():
            if time.monotonic() > deadline or (
                self._process is not None and self._process.poll() is not None
            ):
                raise PeerUnavailable(f"{otherwise}:\n{self.log[-3000:]}")
            time.sleep(0.01)  # there is nothing to wait on: it says so in its log
