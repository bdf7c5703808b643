"""The daemon is an ordinary user with CAP_NET_ADMIN: what polkit permits it, and what `roam-dns` does for it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from client.lab.namespaces import Account, Surroundings
from client.system.resolver.choice import Choice, Kind, Way
from tests.system.resolver.scene import AtHome
from tests.system.resolver.workstation import ROAM_UID, Workstation

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
RULE = ROOT / "packaging/polkit/50-roam.rules"
ROAM = Account(ROAM_UID, ROAM_UID)
CHOICE = "systemd-resolved: /etc/resolv.conf leads to its stub"
REFUSED = Choice(Kind.RESOLVED, Way.NOBODY, "").hindrance
HELPED = "systemd-resolved through roam-dns: /etc/resolv.conf leads to its stub"


def act(workstation: Workstation, verb: str, account: Account | None = ROAM) -> str:
    """What the daemon with these rights says."""
    state = workstation.place / "state"
    state.mkdir(exist_ok=True)
    if account is not None:
        os.chown(state, account.uid, account.gid)
    reading, writing = os.pipe()
    with os.fdopen(reading) as output:
        around = Surroundings(account, environment=environment(), output=writing)
        process = workstation.namespace.start([*command(workstation), state, verb], around)
        os.close(writing)
        said = output.read().strip()
    workstation.namespace.stop(process)
    return said


def start_helper(workstation: Workstation) -> None:
    """`roam-dns`, as root."""
    state = workstation.place / "helper-state"
    reading, writing = os.pipe()
    with os.fdopen(reading) as output:
        workstation.namespace.start(
            [*command(workstation), state, "helper", str(ROAM_UID)],
            Surroundings(environment=environment(), output=writing),
        )
        os.close(writing)
        assert output.readline() == "listening\n"


def command(workstation: Workstation) -> list[str]:
    program = [sys.executable, "-m", "tests.system.resolver.acting"]
    return [*program, str(workstation.place), workstation.bus_address]


def environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "PATH": "/usr/bin:/bin"}


def install_rule(workstation: Workstation) -> None:
    shutil.copy(RULE, workstation.place / "etc/polkit-1/rules.d")


def who_is_asked(laptop: AtHome, name: str) -> set[str]:
    return laptop.run(lambda: laptop.who_is_asked(name))


def test_without_polkit_nothing_is_permitted(laptop: AtHome) -> None:
    assert act(laptop.workstation, "full").splitlines()[0] == REFUSED
    assert who_is_asked(laptop, "public.example") == {"home"}
    assert act(laptop.workstation, "restore") == ""


def test_without_the_rule_polkit_refuses(laptop: AtHome) -> None:
    laptop.workstation.start("polkit")
    assert act(laptop.workstation, "full").splitlines()[0] == REFUSED
    assert who_is_asked(laptop, "public.example") == {"home"}


def test_the_rule_that_is_shipped_permits_what_is_needed(laptop: AtHome) -> None:
    install_rule(laptop.workstation)
    laptop.workstation.start("polkit")
    assert act(laptop.workstation, "full") == CHOICE
    assert who_is_asked(laptop, "public.example") == {"inside"}
    assert act(laptop.workstation, "restore") == ""
    assert who_is_asked(laptop, "public.example") == {"home"}


def test_the_rule_is_for_the_daemons_user_alone(laptop: AtHome) -> None:
    install_rule(laptop.workstation)
    laptop.workstation.start("polkit")
    assert act(laptop.workstation, "full", Account(65534, 65534)).splitlines()[0] == REFUSED


def test_where_polkit_is_absent_the_helper_does_it(laptop: AtHome) -> None:
    start_helper(laptop.workstation)
    assert act(laptop.workstation, "full") == HELPED
    assert who_is_asked(laptop, "public.example") == {"inside"}
    assert act(laptop.workstation, "split") == HELPED
    assert who_is_asked(laptop, "public.example") == {"home"}
    assert act(laptop.workstation, "restore") == ""
    assert who_is_asked(laptop, "host.corp.example") == {"home"}
    assert list((laptop.workstation.place / "helper-state").iterdir()) == []


def test_the_helper_answers_the_daemons_user_alone(laptop: AtHome) -> None:
    start_helper(laptop.workstation)
    said = act(laptop.workstation, "full", Account(65534, 65534))
    assert said.endswith("refused: user 65534 may not ask roam-dns")
    assert who_is_asked(laptop, "public.example") == {"home"}


def test_the_file_is_changed_by_the_helper(laptop: AtHome) -> None:
    path = laptop.workstation.place / "etc/resolv.conf"
    path.unlink()
    path.write_text("nameserver 192.168.1.1\n")
    start_helper(laptop.workstation)
    assert act(laptop.workstation, "full") == "file through roam-dns: no program manages /etc/resolv.conf"
    assert "nameserver 10.77.0.1\n" in path.read_text()
    assert act(laptop.workstation, "restore") == ""
    assert path.read_text() == "nameserver 192.168.1.1\n"


def test_without_the_helper_the_file_stays(laptop: AtHome) -> None:
    path = laptop.workstation.place / "etc/resolv.conf"
    path.unlink()
    path.write_text("nameserver 192.168.1.1\n")
    said = act(laptop.workstation, "full")
    assert said.splitlines()[0] == Choice(Kind.FILE, Way.NOBODY, "").hindrance
    assert path.read_text() == "nameserver 192.168.1.1\n"


def test_a_link_of_its_own_is_all_that_root_needs_no_helper_for(laptop: AtHome) -> None:
    assert act(laptop.workstation, "full", None) == CHOICE
    assert who_is_asked(laptop, "public.example") == {"inside"}
