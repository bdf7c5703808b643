"""`roamd` with every way to resolve names, as root and as an ordinary user: a tunnel's whole life, and its crashes.

Each test is one machine: a back-end, and by what right the daemon changes it.  systemd-resolved, NetworkManager,
polkitd, both programs called resolvconf and `roam-dns` are the real ones.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from client.lab.laptop import daemon_account, program_environment, wait_for
from client.lab.namespaces import Account, Surroundings
from client.lab.snapshot import Snapshot, difference
from client.lab.topology import SERVER, topology
from tests.conftest import Record
from tests.evidence import RESOLVERS
from tests.netns.office import OFFERED, Office, Shared, office, with_resolvconf
from tests.netns.peers.releases import PeerUnavailable, release
from tests.system.resolver.test_rights import RULE
from tests.system.resolver.workstation import ROAM_UID, Workstation, unpacked

pytestmark = [pytest.mark.netns, pytest.mark.slow]

ROAM = Account(ROAM_UID, ROAM_UID)
AT_HOME = "nameserver 192.168.1.1\nsearch home.lan\n"
NM_SETTINGS = "[main]\nrc-manager=file\nno-auto-default=*\n[connectivity]\nenabled=false\n"
CONNECTION = (
    "connection add type ethernet con-name home ifname wlan0 ipv4.method manual ipv4.addresses 192.168.1.23/24 "
    "ipv4.gateway 192.168.1.1 ipv4.dns 192.168.1.1 ipv4.dns-search home.lan ipv6.method disabled"
)
_READ_AS_ANYBODY = "import os; os.setuid(12345); open('/etc/resolv.conf').read()"
INSIDE, OUTSIDE = "corp.example.com", "public.example"


@dataclass
class Machine:
    """An office, by whose resolver names are resolved, and what takes our configuration from that."""

    office: Office
    resolver: str  # as status names it
    forget: Callable[[], object]
    restart: Callable[[], object] | None = None
    splits: bool = False
    flavour: str = ""  # which of the programs of that name it is
    connection: Callable[[str], object] | None = None  # "up" and "down", where somebody manages the network

    def leave_home(self) -> None:
        if self.connection is not None:
            self.connection("down")
        else:
            self.office.lab.wifi.down()

    def come_home(self) -> None:
        if self.connection is not None:
            self.connection("up")
        else:
            self.office.lab.wifi.up()

    @property
    def slept(self) -> Path:
        return self.office.laptop.directory / "slept"

    def start(self) -> None:
        self.slept.write_text("0")
        self.office.laptop.start()

    def sleep(self) -> None:
        """A file that is replaced is never half written."""
        fresh = self.slept.with_suffix(".new")
        fresh.write_text(str(float(self.slept.read_text()) + 3600))
        fresh.replace(self.slept)

    def resolves_inside(self) -> bool:
        return self.office.who_is_asked(INSIDE) == {"inside"}

    def mended(self) -> None:
        laptop = self.office.laptop
        wait_for(self.resolves_inside, f"not told again: {laptop.status('office')}", laptop.log)


def suite(request: pytest.FixtureRequest) -> str:
    """One release is enough here: tests/system/resolver meets both."""
    return str(request.config.getoption("--peer") or "trixie")


BY_ANY_RIGHT = pytest.mark.parametrize("right", ["root", "polkit", "helper"], indirect=True)
WITHOUT_A_BUS = pytest.mark.parametrize("right", ["root", "helper"], indirect=True)


@pytest.fixture
def right(request: pytest.FixtureRequest) -> str:
    if request.param != "root" and daemon_account() is None:
        pytest.skip("no other uid can be had here")
    return str(request.param)


@contextmanager
def workstation(request: pytest.FixtureRequest, right: str) -> Iterator[tuple[Office, Workstation]]:
    """With a system bus, and by right of polkit, with polkitd and the rule that is shipped."""
    try:
        distribution = unpacked(suite(request))
    except PeerUnavailable as error:
        pytest.skip(str(error))
    with topology() as lab, Workstation(distribution, lab.laptop) as daemons:
        daemons.start("bus")
        if right == "polkit":
            (daemons.place / "etc/polkit-1/rules.d/50-roam.rules").write_bytes(RULE.read_bytes())
            daemons.start("polkit")
        with office(lab, Shared(daemons.place), account(right)) as made, helping(made, right):
            yield made, daemons


def account(right: str) -> Account | None:
    return None if right == "root" else ROAM


@contextmanager
def helping(made: Office, right: str) -> Iterator[None]:
    """`roam-dns`, started by a connection to its socket."""
    etc, laptop = made.laptop.etc, made.laptop
    laptop.daemon_command = lambda: sleepy(made)  # type: ignore[method-assign]
    if right != "helper":
        yield
        return
    command = [sys.executable, "-m", "tests.netns.activator", "/run/roam-dns.sock", str(ROAM_UID)]
    helper = [sys.executable, "-m", "client.system.resolver.helper", "--state-dir", "/run/roam-dns"]
    with (laptop.directory / "helper.log").open("wb") as log:
        around = Surroundings(
            files=etc.files,
            prepare=etc.prepare,
            environment={**program_environment(), **etc.environment},
            output=log,
        )
        process = laptop.namespace.start([*command, *helper], around)
    ready = etc.resolv_conf.parents[1] / "run/roam-dns.sock.ready"
    wait_for(ready.exists, "no helper", laptop.directory / "helper.log")
    yield
    laptop.namespace.stop(process)


def sleepy(made: Office) -> list[str]:
    """`roamd` with this laptop's directories and sleep."""
    directory = made.laptop.directory
    places = {"socket": made.laptop.socket, "state-dir": directory / "state", "run-dir": directory / "run"}
    options = [word for name, path in places.items() for word in (f"--{name}", str(path))]
    return [sys.executable, "-m", "tests.netns.sleepy", str(directory / "slept"), *options]


def live(machine: Machine, right: str, note: Record) -> None:
    """Up, what is lost comes back, down; and what a killed daemon leaves is taken back by the next, and by hand."""
    laptop = machine.office.laptop
    machine.start()
    before = laptop.snapshot()
    assert machine.office.who_is_asked(INSIDE) == {"home"}
    through = " through roam-dns" if right == "helper" else ""
    assert findings(machine)["resolver"]["evidence"].startswith(f"{machine.resolver}{through}: ")
    status = stand(machine, right)
    lose_and_mend(machine)
    laptop.roam("down")
    gone(machine, before)
    # By hand it is root who does it, or `roam-dns` for him: polkit is not asked.
    cleaners = (by_the_next_daemon,) if right == "polkit" else (by_the_next_daemon, by_hand)
    for put_right in cleaners:
        laptop.roam("up", "office")
        machine.mended()
        laptop.kill()
        put_right(machine)
        gone(machine, before)
    shown = ("down", *(f"kill -9 and {put_right.__name__.replace('_', ' ')}" for put_right in cleaners))
    others = "others by the uplink" if machine.splits else "all names by the tunnel"
    told = "after sleep" + ("" if machine.restart is None else " and its restart")
    note(
        RESOLVERS,
        (
            status["resolver"],
            f"by right of {right}",
            others,
            f"told again {told}",
            f"as before: {', '.join(shown)}",
        ),
    )


def stand(machine: Machine, right: str) -> dict[str, Any]:
    """Up, asked on two networks; what status says meanwhile."""
    laptop = machine.office.laptop
    laptop.roam("up", "office")
    status = laptop.status("office")
    through = " through roam-dns" if right == "helper" else ""
    assert (status["resolver"], status["remarks"]) == (f"{machine.resolver}{through}", [])
    assert status["dns"] == [str(SERVER)]
    assert machine.office.on_laptop(sys.executable, "-I", "-c", _READ_AS_ANYBODY) == 0
    assert status["domains"] == [INSIDE, OFFERED]
    for domain in (INSIDE, OFFERED):
        assert machine.office.who_is_asked(domain) == {"inside"}
    assert machine.office.who_is_asked(OUTSIDE) == {"home" if machine.splits else "inside"}
    examine(machine)
    machine.leave_home()
    wait_for(machine.resolves_inside, "no names after a move", laptop.log)
    machine.come_home()
    return status


def examine(machine: Machine) -> None:
    """`roam doctor dns` finds the same as the servers themselves tell."""
    found = findings(machine, "dns")
    for domain in (INSIDE, OFFERED):
        asked = f"a name in {domain} was asked of {SERVER} over roam0, and of nobody else"
        assert (found[f"dns.{domain}"]["level"], found[f"dns.{domain}"]["evidence"]) == ("ok", asked)
    outside = found["dns.outside"]
    if machine.splits:
        assert (outside["level"], outside["evidence"]) == (
            "ok",
            "a name in example.com was asked of 192.168.1.1 over wlan0, and of nobody else",
        )
    else:
        assert outside["level"] == "warn"
        assert "a tunnel's server sees names outside of it" in outside["evidence"]
    assert found["resolver"]["level"] == "ok"


def findings(machine: Machine, *topic: str) -> dict[str, dict[str, str]]:
    """What `roam doctor` finds, by name."""
    data = json.loads(machine.office.laptop.run("--json", "doctor", *topic).stdout)["data"]
    return {finding["name"]: finding for finding in data["findings"]}


def lose_and_mend(machine: Machine) -> None:
    machine.forget()
    machine.sleep()
    machine.mended()
    if machine.restart is not None:
        machine.restart()
        machine.mended()


def by_the_next_daemon(machine: Machine) -> None:
    """Its user's password died with the last one: the tunnel waits, and names are resolved as before."""
    laptop = machine.office.laptop
    laptop.socket.unlink()
    machine.start()
    wait_for(lambda: machine.office.who_is_asked(INSIDE) == {"home"}, "not taken back", laptop.log)
    laptop.roam("down")


def by_hand(machine: Machine) -> None:
    laptop = machine.office.laptop
    said = laptop.roam("cleanup", "--state-dir", str(laptop.directory / "state"))
    assert f"name resolution by {machine.resolver}" in said


def gone(machine: Machine, before: Snapshot) -> None:
    """A resolver gives up what it is asked while it hears of a link that has gone: so once is not enough."""
    laptop = machine.office.laptop
    wait_for(lambda: machine.office.who_is_asked(INSIDE) == {"home"}, "not as before", laptop.log)
    assert difference(before, laptop.snapshot()) == ()


@BY_ANY_RIGHT
def test_by_systemd_resolved(request: pytest.FixtureRequest, right: str, record_property: Record) -> None:
    with workstation(request, right) as (made, daemons):
        daemons.start("resolved")

        def tell_home() -> None:
            daemons.run("/usr/bin/resolvectl", "dns", "wlan0", "192.168.1.1")

        def restart() -> None:
            daemons.kill("resolved")
            for path in (daemons.place / "run/systemd/resolve/netif").iterdir():
                path.unlink()
            daemons.start("resolved")
            tell_home()

        tell_home()
        (daemons.place / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
        machine = Machine(
            made,
            "systemd-resolved",
            lambda: daemons.run("/usr/bin/resolvectl", "revert", "roam0"),
            restart,
            splits=True,
        )
        live(machine, right, record_property)


@BY_ANY_RIGHT
def test_by_networkmanager(request: pytest.FixtureRequest, right: str, record_property: Record) -> None:
    with workstation(request, right) as (made, daemons):
        settings = daemons.place / "etc/NetworkManager/conf.d/lab.conf"
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text(NM_SETTINGS)
        daemons.start("networkmanager")
        daemons.run("/usr/bin/nmcli", *CONNECTION.split())

        def connection(verb: str) -> None:
            daemons.run("/usr/bin/nmcli", "connection", verb, "home")

        def restart() -> None:
            daemons.kill("networkmanager")
            daemons.start("networkmanager")

        connection("up")
        forget = partial(daemons.run, *_FORGET_GLOBAL)
        live(Machine(made, "NetworkManager", forget, restart, connection=connection), right, record_property)


_FORGET_GLOBAL = (
    "/usr/bin/dbus-send",
    "--system",
    "--print-reply",
    "--dest=org.freedesktop.NetworkManager",
    "/org/freedesktop/NetworkManager",
    "org.freedesktop.DBus.Properties.Set",
    "string:org.freedesktop.NetworkManager",
    "string:GlobalDnsConfiguration",
    "variant:dict:string:variant:",
)


@contextmanager
def plain(right: str, make: Callable[[Path], Shared]) -> Iterator[Office]:
    """A machine without a system bus."""
    with tempfile.TemporaryDirectory(prefix="roam-machine-") as name, ExitStack() as stack:
        Path(name).chmod(0o755)
        lab = stack.enter_context(topology())
        made = stack.enter_context(office(lab, make(Path(name)), account(right)))
        stack.enter_context(helping(made, right))
        yield made


@WITHOUT_A_BUS
@pytest.mark.parametrize("flavour", ["resolvconf", "openresolv"])
def test_by_resolvconf(
    request: pytest.FixtureRequest, right: str, flavour: str, record_property: Record
) -> None:
    try:
        package = release(suite(request), (flavour,), flavour).root
    except PeerUnavailable as error:
        pytest.skip(str(error))
    with plain(right, lambda place: with_resolvconf(place, package, ROAM_UID)) as made:
        etc = made.laptop.etc.resolv_conf.parent
        if flavour == "resolvconf":  # what its maintainer scripts and its unit do
            run = etc.parent / "run/resolvconf"
            (run / "interface").mkdir(parents=True)
            (run / "enable-updates").touch()
            (etc / "resolv.conf").unlink()
            (etc / "resolv.conf").symlink_to("/run/resolvconf/resolv.conf")
        prefix = "tun" if flavour == "resolvconf" else "vpn"
        told = f"printf '{AT_HOME}' | /sbin/resolvconf -a wlan0.dhclient"
        assert made.on_laptop("/bin/sh", "-c", told) == 0
        machine = Machine(
            made,
            "resolvconf",
            lambda: made.on_laptop("/sbin/resolvconf", "-d", f"{prefix}.roam0", "-f"),
            flavour=f" ({flavour})",
        )
        live(machine, right, record_property)


@WITHOUT_A_BUS
def test_by_the_file(right: str, record_property: Record) -> None:
    with plain(right, unmanaged) as made:
        resolv_conf = made.laptop.etc.resolv_conf
        live(Machine(made, "file", lambda: os.truncate(resolv_conf, 0)), right, record_property)


def unmanaged(place: Path) -> Shared:
    made = with_resolvconf(place, Path("/nonexistent"), ROAM_UID)
    (place / "etc/resolv.conf").write_text(AT_HOME)
    return made
