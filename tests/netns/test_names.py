"""`roamd` and /etc/resolv.conf: the tunnel's name server while it stands, the very same file as before afterwards.

The gateway is the lab's own, which assigns a name server; the laptop's /etc is its own too.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from client.lab.etc import RESOLV_CONF
from client.lab.laptop import Laptop, daemon_account, wait_for
from client.lab.namespaces import Account
from client.lab.plan import GatewayPlan
from client.lab.snapshot import difference
from client.lab.topology import SERVER, topology
from tests.lab_gateway import enrol, start_gateway
from tests.netns.office import PROFILE

pytestmark = [pytest.mark.netns, pytest.mark.slow]

SERVERS = f"nameserver {SERVER}"


@contextmanager
def office(account: Account | None) -> Iterator[Laptop]:
    """A laptop with a running daemon, and a gateway that it may call."""
    with tempfile.TemporaryDirectory(prefix="roam-") as name, topology() as lab:
        laptop = Laptop(lab.laptop, Path(name), account)
        start_gateway(lab, enrol(laptop, PROFILE, "an invented password", GatewayPlan(dns=(str(SERVER),))))
        laptop.start()
        try:
            yield laptop
        finally:
            laptop.kill()


@pytest.fixture
def as_root() -> Iterator[Laptop]:
    with office(None) as laptop:
        yield laptop


def is_as_before(laptop: Laptop) -> bool:
    """Byte for byte, and nothing lies beside it."""
    first, *others = laptop.etc.watched
    return first.read_text() == RESOLV_CONF and not any(os.path.lexists(path) for path in others)


def test_up_names_the_tunnels_server_and_down_puts_the_file_back(as_root: Laptop) -> None:
    before = as_root.snapshot()
    inode = as_root.etc.resolv_conf.stat().st_ino
    as_root.roam("up", "office")
    assert SERVERS in as_root.etc.resolv_conf.read_text()
    status = as_root.status("office")
    assert (status["dns"], status["domains"]) == ([str(SERVER)], ["corp.example.com"])
    assert status["resolver"] == "file"
    assert status["resolver_reason"] == "no program manages /etc/resolv.conf"
    assert status["remarks"] == []
    as_root.roam("down")
    assert is_as_before(as_root)
    assert as_root.etc.resolv_conf.stat().st_ino == inode
    assert difference(before, as_root.snapshot()) == ()


def test_what_somebody_writes_over_it_is_mended_and_comes_back(as_root: Laptop) -> None:
    theirs = "nameserver 192.168.1.2\n"
    as_root.roam("up", "office")
    as_root.etc.resolv_conf.write_text(theirs)
    wait_for(lambda: SERVERS in as_root.etc.resolv_conf.read_text(), "not mended", as_root.log)
    as_root.roam("down")
    assert as_root.etc.resolv_conf.read_text() == theirs


def test_after_kill_9_cleanup_puts_it_back(as_root: Laptop) -> None:
    before = as_root.snapshot()
    as_root.roam("up", "office")
    as_root.kill()
    assert SERVERS in as_root.etc.resolv_conf.read_text()
    said = as_root.roam("cleanup", "--state-dir", str(as_root.directory / "state"))
    assert "name resolution by file" in said
    assert is_as_before(as_root)
    assert difference(before, as_root.snapshot()) == ()


def test_after_kill_9_the_next_daemon_puts_it_back(as_root: Laptop) -> None:
    as_root.roam("up", "office")
    as_root.kill()
    as_root.start()
    wait_for(lambda: is_as_before(as_root), "not put back", as_root.log)


def test_a_daemon_that_ends_puts_it_back(as_root: Laptop) -> None:
    as_root.roam("up", "office")
    as_root.stop()
    assert is_as_before(as_root)


def test_an_ordinary_daemon_without_its_helper_says_why_names_are_not_resolved() -> None:
    if (account := daemon_account()) is None:
        pytest.skip("no other uid can be had here")
    with office(account) as laptop:
        inode = laptop.etc.resolv_conf.stat().st_ino
        said = laptop.run("up", "office")
        assert said.returncode == 0
        assert "note: the tunnel's name servers are not in use: only root may change" in said.stderr
        status = laptop.status("office")
        (remark,) = status["remarks"]
        assert remark.endswith("'sudo systemctl enable --now roam-dns.socket' starts it")
        assert (status["state"], status["resolver"]) == ("up", "")
        assert is_as_before(laptop)
        laptop.roam("down")
        assert laptop.etc.resolv_conf.stat().st_ino == inode
