"""Whoever a process of the laptop is, the machine's own name resolution is out of its reach."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.lab.etc import RESOLV_CONF, PrivateEtc
from client.lab.laptop import Laptop
from client.lab.namespaces import Namespace, Surroundings
from client.lab.snapshot import difference

pytestmark = pytest.mark.netns


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    namespace = Namespace.create("laptop")
    with tempfile.TemporaryDirectory(prefix="roam-") as directory:
        yield Laptop(namespace, Path(directory), None)
        namespace.close()


def test_a_daemon_of_the_lab_has_an_etc_of_its_own_and_no_system_bus(laptop: Laptop) -> None:
    laptop.start()
    seen = Path(f"/proc/{laptop.pid}/root/etc")
    assert (seen / "resolv.conf").stat().st_ino == laptop.etc.resolv_conf.stat().st_ino
    assert not (seen / "resolv.conf").samefile("/etc/resolv.conf")
    assert not seen.samefile("/etc")
    environment = Path(f"/proc/{laptop.pid}/environ").read_text().split("\0")
    (bus,) = [line for line in environment if line.startswith("DBUS_SYSTEM_BUS_ADDRESS=")]
    assert not Path(bus.partition("unix:path=")[2]).is_socket()


def test_what_is_written_into_etc_stays_with_the_laptop(laptop: Laptop) -> None:
    before = laptop.snapshot()
    program = (
        "from pathlib import Path\n"
        "from client.system.resolver.file import File\n"
        "from client.system.resolver.model import DnsConfig\n"
        "from ipaddress import ip_address\n"
        "File().apply([DnsConfig('roam0', (ip_address('10.77.0.53'),))])\n"
    )
    around = Surroundings(files=laptop.etc.files)
    assert laptop.namespace.start([sys.executable, "-c", program], around).wait() == 0
    assert "nameserver 10.77.0.53" in laptop.etc.resolv_conf.read_text()
    changed = difference(before, laptop.snapshot())
    assert changed
    assert all(str(laptop.directory) in line for line in changed)


def test_everything_else_of_etc_is_the_machines(laptop: Laptop) -> None:
    program = "from pathlib import Path; import sys; sys.exit(Path('/etc/passwd').read_text() != sys.argv[1])"
    process = laptop.namespace.start(
        [sys.executable, "-c", program, Path("/etc/passwd").read_text()], Surroundings(files=laptop.etc.files)
    )
    assert process.wait() == 0


def test_it_starts_with_the_resolver_of_the_network(tmp_path: Path) -> None:
    etc = PrivateEtc(tmp_path)
    assert etc.resolv_conf.read_text() == RESOLV_CONF
    assert not any(path.exists() for path in etc.watched[1:])
