"""The daemon's log for systemd's journal: fields beside the words, so that `journalctl ROAM_TUNNEL=work` finds it.

Written in the journal's native protocol (systemd's JOURNAL_NATIVE_PROTOCOL.md): one datagram an entry, one field
after the other; a value with a line break is preceded by its length.  What is too long for a datagram is in a file
in memory, of which the descriptor is sent.  Used where systemd has connected our stderr to the journal, and says so
in $JOURNAL_STREAM; everywhere else the log is lines on stderr.
"""

from __future__ import annotations

import array
import errno
import fcntl
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from .journal import current_subject

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "roamd"

_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7
_TOO_LONG = frozenset({errno.EMSGSIZE, errno.ENOBUFS})
_F_ADD_SEALS = 1033
_ALL_SEALS = 0xF  # nobody changes the file while the journal reads it
_EXTRA = {"roam_state": "ROAM_STATE", "roam_kind": "ROAM_KIND"}
"""What callers say beside the words (`extra=`): the tunnel's new state, and the kind of its failure."""


def leads_to_journal(descriptor: int, announced: str) -> bool:
    """Whether `descriptor` is the stream that systemd has announced in $JOURNAL_STREAM, as DEVICE:INODE."""
    try:
        found = os.fstat(descriptor)
    except OSError:
        return False
    return announced == f"{found.st_dev}:{found.st_ino}"


class JournaldHandler(logging.Handler):
    """Sends each record to the journal; to `otherwise` what it does not take."""

    def __init__(self, otherwise: logging.Handler, path: Path = SOCKET) -> None:
        super().__init__()
        self._path = str(path)
        self._otherwise = otherwise
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def close(self) -> None:
        """Nothing more is sent."""
        self._socket.close()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Send an entry; the handler's lock is held."""
        try:
            entry = encode(fields(record, self.format(record)))
        except Exception:
            self.handleError(record)
            return
        try:
            self._send(entry)
        except OSError:  # the journal restarts, or is full
            self._otherwise.handle(record)

    def _send(self, entry: bytes) -> None:
        try:
            self._socket.sendto(entry, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, self._path)
        except OSError as error:
            if error.errno not in _TOO_LONG:
                raise
            self._send_file(entry)

    def _send_file(self, entry: bytes) -> None:
        descriptor = os.memfd_create("roam-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.write(descriptor, entry)
            fcntl.fcntl(descriptor, _F_ADD_SEALS, _ALL_SEALS)
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [descriptor]))
            self._socket.sendmsg([], [rights], socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL, self._path)
        finally:
            os.close(descriptor)


def fields(record: logging.LogRecord, text: str) -> Iterator[tuple[str, str]]:
    """What an entry has; `text` is the record's message, with a traceback if it has one."""
    yield "MESSAGE", text
    yield "PRIORITY", str(next((number for level, number in _PRIORITIES if record.levelno >= level), _DEBUG))
    yield "SYSLOG_IDENTIFIER", IDENTIFIER
    yield "ROAM_SOURCE", record.name
    yield "CODE_FILE", record.pathname
    yield "CODE_LINE", str(record.lineno)
    yield "CODE_FUNC", record.funcName or ""
    if (subject := current_subject()) is not None:
        yield "ROAM_TUNNEL", subject.tunnel
        yield "ROAM_OWNER", str(subject.owner)
    for attribute, name in _EXTRA.items():
        if value := getattr(record, attribute, ""):
            yield name, str(value)


def encode(entry: Iterator[tuple[str, str]]) -> bytes:
    """In the journal's native protocol."""
    return b"".join(_field(name.encode(), value.encode(errors="replace")) for name, value in entry)


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" in value:
        return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
    return name + b"=" + value + b"\n"
