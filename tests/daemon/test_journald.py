"""What is logged for systemd's journal: octet by octet against a socket of the test's, and by a real journald."""

from __future__ import annotations

import array
import json
import logging
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.daemon.journal import Subject, about
from client.daemon.journald import JournaldHandler, encode, leads_to_journal
from client.lab.laptop import wait_for
from client.lab.namespaces import Account
from client.lab.topology import topology
from tests.netns.office import Shared, office
from tests.netns.peers.releases import PeerUnavailable
from tests.system.resolver.workstation import ROAM_UID, Workstation, unpacked


class Lines(logging.Handler):
    """What the journal does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "socket"))
        made.settimeout(10)
        yield made


@pytest.fixture
def otherwise() -> Lines:
    return Lines()


@pytest.fixture
def log(tmp_path: Path, otherwise: Lines) -> Iterator[logging.Logger]:
    logger = logging.Logger("roam.tunnel")
    handler = JournaldHandler(otherwise, tmp_path / "socket")
    logger.addHandler(handler)
    yield logger
    handler.close()


def entry(octets: bytes) -> dict[str, str]:
    """Read the native protocol back."""
    found = {}
    while octets:
        line, _, rest = octets.partition(b"\n")
        name, is_short, value = line.partition(b"=")
        if not is_short:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        found[name.decode()] = value.decode()
        octets = rest
    return found


def test_a_record_becomes_fields(journal: socket.socket, log: logging.Logger) -> None:
    log.warning("%s is blocked", "office", extra={"roam_state": "blocked", "roam_kind": "auth.rejected"})
    found = entry(journal.recv(65536))
    assert int(found.pop("CODE_LINE")) > 0
    assert found == {
        "MESSAGE": "office is blocked",
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "roamd",
        "ROAM_SOURCE": "roam.tunnel",
        "CODE_FILE": __file__,
        "CODE_FUNC": "test_a_record_becomes_fields",
        "ROAM_STATE": "blocked",
        "ROAM_KIND": "auth.rejected",
    }


@pytest.mark.parametrize(
    ("level", "priority"),
    [(logging.DEBUG, "7"), (logging.INFO, "6"), (logging.WARNING, "4"), (logging.ERROR, "3"), (50, "2")],
)
def test_levels_are_syslogs(journal: socket.socket, log: logging.Logger, level: int, priority: str) -> None:
    log.log(level, "something")
    assert entry(journal.recv(65536))["PRIORITY"] == priority


def test_what_a_tunnels_task_says_bears_its_name(journal: socket.socket, log: logging.Logger) -> None:
    about(Subject("office", 1000, shared=False)).run(log.info, "up")
    found = entry(journal.recv(65536))
    assert (found["ROAM_TUNNEL"], found["ROAM_OWNER"]) == ("office", "1000")
    log.info("the machine")
    assert "ROAM_TUNNEL" not in entry(journal.recv(65536))


def test_nobody_can_add_a_field_by_a_line_break(journal: socket.socket, log: logging.Logger) -> None:
    log.info("the gateway says: %s", "hello\nROAM_TUNNEL=other\nPRIORITY=0")
    found = entry(journal.recv(65536))
    assert found["MESSAGE"] == "the gateway says: hello\nROAM_TUNNEL=other\nPRIORITY=0"
    assert (found["PRIORITY"], "ROAM_TUNNEL" in found) == ("6", False)


def test_a_fault_comes_with_its_traceback(journal: socket.socket, log: logging.Logger) -> None:
    try:
        raise ValueError("impossible")
    except ValueError:
        log.exception("a request failed")
    message = entry(journal.recv(65536))["MESSAGE"]
    assert message.startswith("a request failed\nTraceback ")
    assert message.endswith("ValueError: impossible")


def test_what_is_too_long_for_a_datagram_comes_in_a_file(journal: socket.socket, log: logging.Logger) -> None:
    log.info("%s", "x" * 1_000_000)
    size = array.array("i").itemsize
    data, ancillary, _, _ = journal.recvmsg(1, socket.CMSG_SPACE(size))
    ((_, _, octets),) = ancillary
    (descriptor,) = array.array("i", octets[:size])
    with os.fdopen(descriptor, "rb") as file:
        file.seek(0)
        found = entry(file.read())
        with pytest.raises(OSError):
            os.write(file.fileno(), b"more")
    assert (data, found["MESSAGE"]) == (b"", "x" * 1_000_000)


def test_where_nobody_listens_lines_are_written(log: logging.Logger, otherwise: Lines) -> None:
    log.info("hello")
    assert otherwise.told == ["hello"]


def test_the_stream_is_known_by_its_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        found = os.fstat(stream.fileno())
        assert leads_to_journal(stream.fileno(), f"{found.st_dev}:{found.st_ino}")
        for other in ("", "8:1", f"{found.st_dev}:{found.st_ino + 1}", "nonsense"):
            assert not leads_to_journal(stream.fileno(), other)
    assert not leads_to_journal(999, "8:1")


def test_a_value_is_short_or_has_its_length_before_it() -> None:
    assert encode(iter([("A", "b=c"), ("D", "e\n")])) == b"A=b=c\nD\n" + (2).to_bytes(8, "little") + b"e\n\n"


class Journalled(Shared):
    """A machine on which stderr of its daemon leads to the journal."""

    def __init__(self, place: Path, log: Path) -> None:
        super().__init__(place)
        self._log = log

    @property
    def environment(self) -> dict[str, str]:
        self._log.touch()
        found = self._log.stat()
        return {**super().environment, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}


@pytest.mark.netns
@pytest.mark.slow
def test_a_real_journal_finds_a_tunnel_by_its_fields(tmp_path: Path) -> None:
    try:
        distribution = unpacked("trixie")
    except PeerUnavailable as error:
        pytest.skip(str(error))
    with topology() as lab, Workstation(distribution, lab.laptop) as daemons:
        settings = daemons.place / "etc/systemd/journald.conf.d/lab.conf"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=\n")
        (daemons.place / "run/log/journal").mkdir(parents=True)
        (daemons.place / "etc/resolv.conf").write_text("nameserver 192.168.1.1\n")
        daemons.start("journal")
        etc = Shared(daemons.place)
        with office(lab, etc, Account(ROAM_UID, ROAM_UID)) as made:
            made.laptop.etc = Journalled(daemons.place, made.laptop.log)
            made.laptop.start()
            made.laptop.roam("up", "office")

            def entries(*matches: str) -> list[dict[str, str]]:
                said = daemons.run("/usr/bin/journalctl", "--output=json", *matches)
                return [json.loads(line) for line in said.splitlines()]

            wait_for(lambda: entries("ROAM_TUNNEL=office", "ROAM_STATE=up"), "nothing in the journal")
            (found,) = entries("ROAM_TUNNEL=office", "ROAM_STATE=up")
            assert found["MESSAGE"] == "office: up"
            assert (found["_UID"], found["SYSLOG_IDENTIFIER"]) == (str(ROAM_UID), "roamd")
            (made.laptop.profiles / "password").write_text("a wrong password")
            made.laptop.roam("down")
            assert made.laptop.run("up", "office").returncode != 0
            assert entries("ROAM_KIND=auth.rejected")
            assert made.laptop.log.read_text() == ""
