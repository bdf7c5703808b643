"""With a real systemd-resolved: who is asked what, by real queries; and what is left afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from client.lab.links import set_link
from client.system.resolver import direct
from client.system.resolver.choice import Kind
from client.system.resolver.detect import Places
from client.system.resolver.model import DnsConfig
from client.system.resolver.resolver import Resolver
from tests.system.resolver.scene import (
    FULL,
    SPLIT,
    AtHome,
    add_tunnel,
    eventually,
    query,
    remove_tunnel,
    tunnel_up,
)
from tests.system.resolver.workstation import Workstation

pytestmark = [pytest.mark.netns, pytest.mark.slow]

Body = Callable[[Resolver], Awaitable[None]]
CHOICE = "systemd-resolved: /etc/resolv.conf leads to its stub"


def places(workstation: Workstation) -> Places:
    return Places(workstation.place, workstation.bus_address, workstation.place / "run/roam-dns.sock")


def using(laptop: AtHome, state_dir: Path, body: Body) -> None:
    async def main() -> None:
        await body(Resolver(state_dir, places(laptop.workstation)))

    laptop.run(main)


def test_a_full_tunnel_takes_every_name(laptop: AtHome, tmp_path: Path) -> None:
    async def body(resolver: Resolver) -> None:
        assert await laptop.who_is_asked("public.example") == {"home"}
        outcome = await resolver.apply([FULL])
        assert (str(outcome.choice), outcome.problems) == (CHOICE, ())
        for name in ("public.example", "host.corp.example", "unknown.example"):
            assert await laptop.who_is_asked(name) == {"inside"}

    using(laptop, tmp_path, body)


def test_nobody_behind_the_tunnel_is_asked_as_a_neighbour(laptop: AtHome, tmp_path: Path) -> None:
    """And what the machine's owner has said of DNSSEC and DNS over TLS stays, if nobody says otherwise."""
    before = settings(laptop)
    assert before["LLMNR"] == "yes"

    async def body(resolver: Resolver) -> None:
        await resolver.apply([SPLIT])
        assert settings(laptop) == {**before, "LLMNR": "no", "MulticastDNS": "no"}
        await asyncio.to_thread(laptop.workstation.run, "/usr/bin/resolvectl", "llmnr", "roam0", "yes")
        await resolver.repair()
        assert settings(laptop)["LLMNR"] == "no"
        await resolver.restore()

    using(laptop, tmp_path, body)
    assert settings(laptop) == before


@pytest.mark.parametrize("config", [replace(FULL, over_tls="no"), replace(SPLIT, over_tls="no")], ids=str)
def test_a_machine_that_insists_on_tls_asks_the_tunnels_servers_all_the_same(
    laptop: AtHome, tmp_path: Path, config: DnsConfig
) -> None:
    insist(laptop, "DNSOverTLS=yes")

    async def body(resolver: Resolver) -> None:
        assert (await resolver.apply([replace(config, over_tls="")])).problems == ()
        assert await query(INSIDE_NAME) == (), "the control: they speak no TLS"
        assert (await resolver.apply([config])).problems == ()
        assert await query(INSIDE_NAME) != ()
        assert settings(laptop)["DNSOverTLS"] == "no"
        await asyncio.to_thread(laptop.workstation.run, "/usr/bin/resolvectl", "dnsovertls", "roam0", "yes")
        await resolver.repair()
        assert settings(laptop)["DNSOverTLS"] == "no"
        await resolver.restore()

    using(laptop, tmp_path, body)
    assert settings(laptop)["DNSOverTLS"] == "yes"


def test_a_machine_that_insists_on_proofs_takes_the_tunnels_own_domains_without(
    laptop: AtHome, tmp_path: Path
) -> None:
    insist(laptop, "DNSSEC=yes")

    async def body(resolver: Resolver) -> None:
        await resolver.apply([FULL])
        assert await query(INSIDE_NAME) == (), "the control: there is no proof"
        assert (await resolver.apply([SPLIT])).problems == ()
        assert await query(INSIDE_NAME) != ()
        assert settings(laptop)["DNSSEC"] == "yes"
        assert await resolver.holds()

    using(laptop, tmp_path, body)


INSIDE_NAME = "host.corp.example"


def insist(laptop: AtHome, line: str) -> None:
    """What the machine's owner wants of all links."""
    directory = laptop.workstation.place / "etc/systemd/resolved.conf.d"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "strict.conf").write_text(f"[Resolve]\n{line}\n")
    laptop.workstation.stop("resolved")
    laptop.workstation.start("resolved")


def test_names_of_another_links_own_domain_are_still_asked_there(laptop: AtHome, tmp_path: Path) -> None:
    """systemd-resolved: the longest domain wins. What leaves with it is for the guard to judge."""

    async def body(resolver: Resolver) -> None:
        await resolver.apply([FULL])
        assert await laptop.who_is_asked("host.home.lan") == {"home"}

    using(laptop, tmp_path, body)


def test_a_split_tunnel_takes_its_domains_alone(laptop: AtHome, tmp_path: Path) -> None:
    async def body(resolver: Resolver) -> None:
        await resolver.apply([SPLIT])
        assert await laptop.who_is_asked("host.corp.example") == {"inside"}
        assert await laptop.who_is_asked("x.other.example") == {"inside"}
        assert await laptop.who_is_asked("public.example") == {"home"}

    using(laptop, tmp_path, body)


def test_from_split_to_full_and_back(laptop: AtHome, tmp_path: Path) -> None:
    async def body(resolver: Resolver) -> None:
        for config, who in ((SPLIT, "home"), (FULL, "inside"), (SPLIT, "home")):
            assert (await resolver.apply([config])).problems == ()
            assert await laptop.who_is_asked("public.example") == {who}

    using(laptop, tmp_path, body)


def test_restoring_leaves_it_as_it_was(laptop: AtHome, tmp_path: Path) -> None:
    before = status(laptop)

    async def body(resolver: Resolver) -> None:
        await resolver.apply([FULL])
        assert status(laptop) != before
        assert (await resolver.restore()).problems == ()
        assert resolver.choice is None

    using(laptop, tmp_path, body)
    assert status(laptop) == before
    assert list(tmp_path.iterdir()) == []


def test_applying_twice_says_nothing_the_second_time(laptop: AtHome, tmp_path: Path) -> None:
    async def body(resolver: Resolver) -> None:
        await resolver.apply([SPLIT])
        said = changes(laptop)
        assert said > 0
        assert await resolver.repair() == await resolver.apply([SPLIT])
        assert changes(laptop) == said

    using(laptop, tmp_path, body)


def test_a_crash_is_swept_with_or_without_the_note(laptop: AtHome, tmp_path: Path) -> None:
    before = status(laptop)
    for lost in (False, True):

        async def crash(resolver: Resolver) -> None:
            await resolver.apply([FULL])

        using(laptop, tmp_path, crash)
        if lost:
            (tmp_path / "resolver.json").unlink()

        async def sweep(resolver: Resolver) -> None:
            assert (await resolver.restore()).problems == ()

        using(laptop, tmp_path, sweep)
        assert status(laptop) == before


def test_a_restarted_resolver_that_has_forgotten_is_told_again(laptop: AtHome, tmp_path: Path) -> None:
    async def body(resolver: Resolver) -> None:
        await resolver.apply([FULL])
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(resolver.watch())
            await asyncio.to_thread(restart_without_memory, laptop.workstation)
            async with asyncio.timeout(10):
                while await laptop.who_is_asked("public.example") != {"inside"}:
                    pass
            watching.cancel()

    using(laptop, tmp_path, body)


def test_a_reverted_link_is_repaired_after_a_sleep(laptop: AtHome, tmp_path: Path) -> None:
    async def body(resolver: Resolver) -> None:
        await resolver.apply([FULL])
        await asyncio.to_thread(laptop.workstation.run, "/usr/bin/resolvectl", "revert", "roam0")
        assert await laptop.who_is_asked("public.example") == {"home"}
        assert (await resolver.repair()).problems == ()
        assert await laptop.who_is_asked("public.example") == {"inside"}

    using(laptop, tmp_path, body)


def test_a_link_that_is_not_there_is_a_problem_and_a_new_one_gets_its_servers(
    laptop: AtHome, tmp_path: Path
) -> None:
    async def body(resolver: Resolver) -> None:
        outcome = await resolver.apply([FULL, replace(FULL, link="roam9")])
        assert outcome.problems == ("systemd-resolved: there is no link roam9",)
        assert await laptop.who_is_asked("public.example") == {"inside"}
        for _ in range(5):
            remove_tunnel(laptop)
            add_tunnel(laptop)
            assert (await resolver.apply([FULL])).problems == ()
            assert await laptop.who_is_asked("public.example") == {"inside"}

    using(laptop, tmp_path, body)


def test_a_link_that_is_down_keeps_its_servers(laptop: AtHome, tmp_path: Path) -> None:
    """It is configured before it is up, and names wait for it rather than leak."""

    async def body(resolver: Resolver) -> None:
        laptop.workstation.namespace.run(lambda: set_link("roam0", up=False))
        assert (await resolver.apply([FULL])).problems == ()
        laptop.workstation.namespace.run(tunnel_up)
        assert await laptop.who_is_asked("public.example") == {"inside"}

    using(laptop, tmp_path, body)


def test_without_the_bus_the_file_is_used(
    laptop: AtHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stub whose resolver is gone answers nobody."""
    monkeypatch.setattr(direct, "PAUSES", (0.01,))
    laptop.workstation.stop("resolved")
    laptop.workstation.stop("bus")

    async def body(resolver: Resolver) -> None:
        outcome = await resolver.apply([FULL])
        assert outcome.choice is not None
        assert (outcome.choice.kind, outcome.problems) == (Kind.FILE, ())
        assert "nameserver 10.77.0.1" in (laptop.workstation.place / "etc/resolv.conf").read_text()
        assert (await resolver.restore()).problems == ()
        link = laptop.workstation.place / "etc/resolv.conf"
        assert str(link.readlink()) == "../run/systemd/resolve/stub-resolv.conf"

    using(laptop, tmp_path, body)


def test_a_resolver_that_was_away_is_in_charge_again(
    laptop: AtHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = laptop.workstation.place / "etc/resolv.conf"
    monkeypatch.setattr(direct, "PAUSES", (0.01,))

    async def body(resolver: Resolver) -> None:
        await resolver.apply([FULL])
        await asyncio.to_thread(laptop.workstation.kill, "resolved")
        outcome = await resolver.repair()
        assert outcome.choice is not None
        assert (outcome.choice.kind, link.is_symlink()) == (Kind.FILE, False)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(resolver.watch())
            await asyncio.to_thread(laptop.workstation.start, "resolved")
            async with asyncio.timeout(10):
                await eventually(lambda: str(resolver.choice) == CHOICE)
            watching.cancel()
        assert link.is_symlink()
        assert await laptop.who_is_asked("public.example") == {"inside"}

    using(laptop, tmp_path, body)


def test_one_that_restarts_is_waited_for_and_resolv_conf_left_alone(laptop: AtHome, tmp_path: Path) -> None:
    """It would read our servers there, and keep them when they are gone."""

    async def body(resolver: Resolver) -> None:
        await resolver.apply([SPLIT])
        await asyncio.to_thread(laptop.workstation.kill, "resolved")
        mending = asyncio.create_task(resolver.repair())
        await asyncio.to_thread(restart_without_memory, laptop.workstation)
        outcome = await mending
        assert (str(outcome.choice), outcome.problems) == (CHOICE, ())
        assert await laptop.who_is_asked("host.corp.example") == {"inside"}
        assert (await resolver.restore()).problems == ()
        assert await laptop.who_is_asked("host.corp.example") == {"home"}

    using(laptop, tmp_path, body)


def status(laptop: AtHome) -> str:
    return laptop.workstation.run("/usr/bin/resolvectl", "status")


def settings(laptop: AtHome) -> dict[str, str]:
    """How systemd-resolved asks over the tunnel's link."""
    names = {"llmnr": "LLMNR", "mdns": "MulticastDNS", "dnssec": "DNSSEC", "dnsovertls": "DNSOverTLS"}
    said = {
        name: laptop.workstation.run("/usr/bin/resolvectl", verb, "roam0") for verb, name in names.items()
    }
    return {name: line.rpartition(":")[2].strip() for name, line in said.items()}


def changes(laptop: AtHome) -> int:
    """How often systemd-resolved was told something of a link: it logs that."""
    return laptop.workstation.log("resolved").count("roam0: Bus client")


def restart_without_memory(workstation: Workstation) -> None:
    if "resolved" in workstation.running:
        workstation.kill("resolved")
    for path in (workstation.place / "run/systemd/resolve/netif").iterdir():
        path.unlink()
    workstation.start("resolved")
    workstation.run("/usr/bin/resolvectl", "dns", "wlan0", "192.168.1.1")
