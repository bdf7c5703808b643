"""With both programs called resolvconf, Debian's and openresolv, from their packages."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from client.lab.namespaces import Namespace
from client.system.resolver.choice import Flavour
from client.system.resolver.detect import Places
from client.system.resolver.outcome import Unable
from client.system.resolver.resolvconf import Resolvconf
from client.system.resolver.resolver import Resolver
from client.system.resolver.uplinks import uplink_servers
from tests.conftest import PEERS
from tests.netns.peers.releases import PeerUnavailable, release
from tests.system.resolver.private_etc import HOME, in_private_etc
from tests.system.resolver.scene import FULL, SPLIT, Scene, asked_by_a_program, scene

pytestmark = [pytest.mark.netns, pytest.mark.slow]

PROGRAM = "/sbin/resolvconf"
FLAVOURS = {"resolvconf": Flavour.DEBIAN, "openresolv": Flavour.OPENRESOLV}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "flavour" in metafunc.fixturenames:
        chosen = metafunc.config.getoption("--peer")
        suites = [chosen] if chosen else PEERS
        metafunc.parametrize("flavour", FLAVOURS)
        metafunc.parametrize("suite", suites)


Run = Callable[[Callable[[], None]], None]


@pytest.fixture
def laptop() -> Iterator[Scene]:
    namespace = Namespace.create("laptop")
    with scene(namespace) as made:
        yield made
    namespace.close()


@pytest.fixture
def run(laptop: Scene, flavour: str, suite: str, tmp_path: Path) -> Run:
    """Runs a body where this resolvconf is installed and knows the home network."""
    try:
        package = release(suite, (flavour,), flavour).root
    except PeerUnavailable as error:
        pytest.skip(str(error))

    def inside(body: Callable[[], None]) -> None:
        if flavour == "resolvconf":  # what its maintainer scripts and its unit do
            Path("/run/resolvconf/interface").mkdir(parents=True)
            Path("/run/resolvconf/enable-updates").touch()
            Path("/etc/resolv.conf").unlink()
            Path("/etc/resolv.conf").symlink_to("/run/resolvconf/resolv.conf")
        subprocess.run([PROGRAM, "-a", "wlan0.dhclient"], input=HOME, text=True, check=True)
        body()

    def run(body: Callable[[], None]) -> None:
        in_private_etc(laptop.laptop, tmp_path / "layers", lambda: inside(body), package=package)

    return run


def apply(state: Path, *configs: object) -> str:
    """As the daemon does; the line of the log."""

    async def main() -> str:
        resolver = Resolver(state, Places(bus="unix:path=/nonexistent"))
        outcome = await resolver.apply([config for config in (FULL, SPLIT) if config in configs])
        assert outcome.problems == ()
        return str(outcome.choice)

    return asyncio.run(main())


def look() -> dict[str, str]:
    files = [Path("/etc/resolv.conf"), *sorted(Path("/run/resolvconf").rglob("*"))]
    return {str(path): path.read_text() for path in files if path.is_file()}


def test_programs_ask_the_tunnels_servers_and_then_as_before(
    run: Run, laptop: Scene, flavour: str, tmp_path: Path
) -> None:
    def body() -> None:
        before = look()
        assert apply(tmp_path / "state", FULL) == f"resolvconf: {FLAVOURS[flavour]} makes /etc/resolv.conf"
        assert asked_by_a_program(laptop, "public.example") == {"inside"}
        apply(tmp_path / "state")
        assert asked_by_a_program(laptop, "public.example") == {"home"}
        assert look() == before
        assert list((tmp_path / "state").iterdir()) == []

    run(body)


def test_the_uplinks_servers_stand_behind_only_where_they_may(run: Run, flavour: str, tmp_path: Path) -> None:
    """Debian's program cannot leave them out."""

    def body() -> None:
        for config in (SPLIT, FULL, SPLIT):
            apply(tmp_path / "state", config)
            servers = [
                line.split()[1]
                for line in Path("/etc/resolv.conf").read_text().splitlines()
                if line.startswith("nameserver")
            ]
            assert servers[:2] == ["10.77.0.1", "fd77::1"]
            is_alone = config is FULL and flavour == "openresolv"
            assert servers[2:] == ([] if is_alone else ["192.168.1.1"])

    run(body)


def test_another_network_comes_behind_the_tunnel(run: Run, laptop: Scene, tmp_path: Path) -> None:
    def body() -> None:
        apply(tmp_path / "state", FULL)
        subprocess.run(
            [PROGRAM, "-a", "eth0.dhclient"], input="nameserver 172.16.0.1\n", text=True, check=True
        )
        assert asked_by_a_program(laptop, "public.example") == {"inside"}

    run(body)


def test_whom_the_uplinks_ask_is_known_also_where_it_is_left_out(run: Run, tmp_path: Path) -> None:
    """For the gateway's name."""

    def body() -> None:
        apply(tmp_path / "state", FULL)
        assert uplinks() == ["192.168.1.1"]
        there = "nameserver 172.16.0.1\nnameserver 127.0.0.1\n"
        subprocess.run([PROGRAM, "-a", "eth0.dhclient"], input=there, text=True, check=True)
        subprocess.run([PROGRAM, "-d", "wlan0.dhclient"], check=True)
        assert uplinks() == ["172.16.0.1"]

    run(body)


def uplinks() -> list[str]:
    return [str(server) for server in asyncio.run(uplink_servers(Places(bus="unix:path=/nonexistent")))]


def test_a_crash_is_swept_with_or_without_the_note(run: Run, tmp_path: Path) -> None:
    def body() -> None:
        before = look()
        for lost in (False, True):
            apply(tmp_path / "state", FULL)
            if lost:
                (tmp_path / "state/resolver.json").unlink()
            apply(tmp_path / "state")
            assert look() == before

    run(body)


def test_applying_twice_runs_the_program_once(run: Run, flavour: str) -> None:
    whose = FLAVOURS[flavour]

    def body() -> None:
        entries = Resolvconf(Path(PROGRAM), whose)
        for config in (FULL, SPLIT, FULL):
            entries.apply([config])
            assert entries.holds([config])
            Resolvconf(Path("/nonexistent/resolvconf"), whose).apply([config])
        with pytest.raises(OSError, match="nonexistent"):
            Resolvconf(Path("/nonexistent/resolvconf"), whose).apply([SPLIT])

    run(body)


@pytest.mark.parametrize("status", [1, 127])
def test_a_program_that_fails_is_a_problem(tmp_path: Path, status: int) -> None:
    program = tmp_path / "resolvconf"
    program.write_text(f"#!/bin/sh\necho it is broken >&2\nexit {status}\n")
    program.chmod(0o755)
    with pytest.raises(Unable, match="it is broken"):
        Resolvconf(program, Flavour.DEBIAN, tmp_path).apply([FULL])
