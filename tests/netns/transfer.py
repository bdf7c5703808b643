"""A TCP transfer through the lab whose octets are compared by their checksum."""

from __future__ import annotations

import hashlib
import socket
import threading
from collections.abc import Iterator
from typing import Self

from client.ike.events import Address
from client.lab.namespaces import Namespace

MEGABYTE = 1_000_000
CHUNK = 1 << 16
PATIENCE = 90.0  # seconds for one operation on a socket: more than any gap that a test makes
PORT = 5201


def octets(size: int) -> Iterator[bytes]:
    """A sequence that no two places of share: each chunk starts with its number."""
    for start in range(0, size, CHUNK):
        yield (start.to_bytes(8) * (CHUNK // 8))[: min(CHUNK, size - start)]


class Transfer:
    """The server sends `size` octets to the client; both ends hash what passes."""

    def __init__(self, client: Namespace, server: Namespace, address: Address, size: int) -> None:
        self.received = 0
        self.size = size
        self._client = client
        self._address = address
        self._sent_digest = hashlib.sha256()
        self._received_digest = hashlib.sha256()
        self._listener = server.run(lambda: _listening(address))
        self._threads = [threading.Thread(target=part, daemon=True) for part in (self._serve, self._fetch)]
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._listener.close()

    def finish(self) -> bool:
        """Wait for the end; whether everything arrived as it was sent."""
        for thread in self._threads:
            thread.join(PATIENCE)
        if self._failure is not None:
            raise self._failure
        complete = self.received == self.size
        return complete and self._sent_digest.digest() == self._received_digest.digest()

    def _serve(self) -> None:
        try:
            connection, _ = self._listener.accept()
            connection.settimeout(PATIENCE)
            with connection:
                for chunk in octets(self.size):
                    self._sent_digest.update(chunk)
                    connection.sendall(chunk)
        except OSError as error:
            self._failure = error

    def _fetch(self) -> None:
        try:
            connection = self._client.run(lambda: _connected(self._address))
            with connection:
                while data := connection.recv(CHUNK):
                    self._received_digest.update(data)
                    self.received += len(data)
        except OSError as error:
            self._failure = error


def _family(address: Address) -> socket.AddressFamily:
    return socket.AF_INET if address.version == 4 else socket.AF_INET6


def _listening(address: Address) -> socket.socket:
    listener = socket.create_server((str(address), PORT), family=_family(address))
    listener.settimeout(PATIENCE)
    return listener


def _connected(address: Address) -> socket.socket:
    return socket.create_connection((str(address), PORT), timeout=PATIENCE)
