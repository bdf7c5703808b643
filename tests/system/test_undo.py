"""A step of a change fails, with whatever error: what was done before it is taken back, and the user is told.

On paper every step with every error; in a real namespace every call of the wrappers around netlink and nftables,
refused, or carried out and not answered.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from itertools import count, cycle
from pathlib import Path
from typing import Any

import pytest

from client.lab.laptop import wait_for
from client.lab.snapshot import difference, snapshot
from client.rtnetlink import Rtnetlink
from client.system.manifest import Manifest, Owned, Place
from client.system.nft import Conversation, Nftables
from client.system.plan import Actual, PutGuard, Step, plan
from client.system.reconcile import Machine, Outcome, System
from client.system.routes import Kernel
from client.system.undo import advice
from client.tunnel.model import LinkEntry, RouteEntry, RuleEntry, SystemConfig
from client.tunnel.ruleset import Chain, Rule, RuleSet
from tests.conftest import Record
from tests.evidence import REFUSED
from tests.system.life import EXCLUDING, OTHER, has_link_local
from tests.system.scene import FULL, STANDING, Scene
from tests.system.test_leaks import MOVED as ELSEWHERE
from tests.system.test_leaks import SPLIT, config
from tests.system.test_reconcile import Paper

V4, V6 = ip_network("0.0.0.0/0"), ip_network("::/0")
LAN = ip_network("192.168.1.0/24")
STRICT = {"net/ipv4/conf/all/rp_filter": "1", "net/ipv4/conf/wlan0/rp_filter": "0"}
UNTOUCHED = Actual(links=(LinkEntry("roam0", 1500, ()),), down=frozenset({"roam0"}), sysctls=STRICT)

ERRORS = (
    errno.EPERM,
    errno.EEXIST,
    errno.ENOENT,
    errno.ENODEV,
    errno.EINVAL,
    errno.EBUSY,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EOPNOTSUPP,
    errno.EAFNOSUPPORT,
    errno.EADDRNOTAVAIL,
    errno.ESRCH,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
    errno.EACCES,
    errno.EROFS,
    errno.EPROTONOSUPPORT,
    errno.EAGAIN,
)


def filter_of(why: str) -> RuleSet:
    return RuleSet((Rule(Chain.POSTROUTING, (), False, why),))


GUARDED = SystemConfig(
    rules=(RuleEntry(4, 7301, 29440), RuleEntry(6, 7301, 29440)),
    routes=(RouteEntry(V4, None, 2000), RouteEntry(V6, None, 2000), RouteEntry(LAN, "wlan0", 500)),
    guard=filter_of("connecting"),
    loose=("wlan0",),
)
UP = replace(
    GUARDED,
    links=(LinkEntry("roam0", 1400, (ip_interface("10.8.0.2/32"), ip_interface("fd01::2/128"))),),
    routes=(*GUARDED.routes, RouteEntry(V4, "roam0", 100), RouteEntry(V6, "roam0", 100)),
    guard=filter_of("up"),
)
MOVED = replace(
    UP,
    links=(LinkEntry("roam0", 1300, (ip_interface("10.8.0.9/32"),)),),
    rules=(*GUARDED.rules, RuleEntry(4, 7300, 254)),
    routes=(RouteEntry(V4, None, 2000), RouteEntry(V6, None, 2000), RouteEntry(LAN, "lte0", 500)),
    guard=filter_of("moved"),
    loose=("lte0",),
)
CHANGES = {
    "nothing, then guarded": (None, GUARDED),
    "guarded, then up": (GUARDED, UP),
    "up, then elsewhere with other addresses": (UP, MOVED),
}


@pytest.fixture(autouse=True)
def disk_in_no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes are written thousands of times; that they are on the disk in time is another test's business."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


class Failing(Paper):
    """Fails at one step of a change, and never again."""

    def __init__(self, state_dir: Path) -> None:
        super().__init__(state_dir, UNTOUCHED)
        self.fails_at = -1
        self.error = OSError()
        self.done: list[Step] = []

    def perform(self, step: Step, table: int) -> bool:
        if len(self.done) == self.fails_at:
            self.fails_at = -1
            raise self.error
        self.done.append(step)
        return super().perform(step, table)


def seen(actual: Actual) -> object:
    """Everything but the order in which it came."""
    return (
        set(actual.rules),
        set(actual.routes),
        [(link.name, link.mtu, frozenset(link.addresses)) for link in actual.links],
        (actual.down, dict(actual.sysctls), actual.guard),
    )


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("number", ERRORS, ids=lambda number: errno.errorcode[number])
def test_whatever_fails_the_machine_is_as_it_was(
    tmp_path: Path, change: str, number: int, record_property: Record
) -> None:
    steps = asyncio.run(fail_at_every_step(tmp_path, change, number))
    record_property(REFUSED, (errno.errorcode[number], change, 0, steps))


@pytest.mark.parametrize("change", CHANGES)
def test_so_it_is_with_errors_of_which_nobody_has_heard(
    tmp_path: Path, change: str, record_property: Record
) -> None:
    """The kernel may say what it likes."""
    others = sorted(set(errno.errorcode) - set(ERRORS))
    assert len(others) > 100
    steps = sum(asyncio.run(fail_at_every_step(tmp_path, change, number)) for number in others)
    record_property(REFUSED, (f"{len(others)} other errors", change, 0, steps))


async def fail_at_every_step(state_dir: Path, change: str, number: int) -> int:
    """One after the other fails; how many there were."""
    before, wanted = CHANGES[change]
    for at in count():
        paper = Failing(state_dir)
        system = System(state_dir, lambda there=paper: nullcontext(there))  # type: ignore[misc]
        if before is not None:
            assert (await system.apply(before, 1)).problems == ()
        found, noted = seen(paper.actual), Manifest(state_dir).load(Place.here())
        paper.done.clear()
        paper.fails_at, paper.error = at, OSError(number, os.strerror(number))
        outcome = await system.apply(wanted, 2)
        system.close()
        if paper.fails_at == at:
            assert outcome.problems == ()
            assert at >= 6, "every step was tried"
            return at
        assert seen(paper.actual) == found, f"step {at}"
        check_told(outcome, at, number)
        check_note(Manifest(state_dir).load(Place.here()), noted)
    raise AssertionError("a change has an end")


def check_told(outcome: Outcome, at: int, number: int) -> None:
    """Which step, the error in words, and what to do."""
    assert outcome.undone
    (problem,) = outcome.problems
    assert problem.what == str(outcome.steps[at])
    assert problem.reason == os.strerror(number)
    assert len(problem.advice) > 20 or number not in ERRORS


def check_note(now: Owned, before: Owned) -> None:
    """The names of links may stay, they say nothing about the machine."""
    assert (now.sysctls, now.table) == (before.sysctls, before.table)


@pytest.mark.parametrize("number", ERRORS, ids=lambda number: errno.errorcode[number])
def test_advice_is_a_sentence_for_every_step_and_error(number: int) -> None:
    steps = plan(UNTOUCHED, MOVED) + plan(replace(UNTOUCHED, guard=filter_of("old")), SystemConfig())
    for text in {advice(step, number) for step in steps}:
        assert text.endswith(("'.", ".", ").")), text
        assert "None" not in text


def test_an_error_that_nobody_knows_is_left_to_the_log() -> None:
    assert advice(PutGuard(filter_of("x")), 9999) == ""


def test_what_cannot_be_taken_back_is_told_too(tmp_path: Path) -> None:
    paper = Failing(tmp_path)

    async def body() -> None:
        system = System(tmp_path, lambda: nullcontext(paper))
        paper.refuse = ("rule del", "address add")
        outcome = await system.apply(UP, 1)
        assert [problem.what for problem in outcome.problems] == [
            "address add 10.8.0.2/32 dev roam0",
            "to undo: rule del IPv6 7301: lookup 29440",
            "to undo: rule del IPv4 7301: lookup 29440",
        ]
        assert (paper.actual.routes, paper.actual.guard) == ((), None)
        system.close()

    asyncio.run(body())


def test_a_filter_of_which_nobody_knows_what_it_was_is_not_taken_back(tmp_path: Path) -> None:
    paper = Failing(tmp_path)
    paper.actual = replace(UNTOUCHED, guard=RuleSet(()))  # another program's rules in our table
    paper.fails_at, paper.error = 3, OSError(errno.EPERM, "Operation not permitted")

    async def body() -> None:
        system = System(tmp_path, lambda: nullcontext(paper))
        assert (await system.apply(GUARDED, 1)).undone
        assert paper.actual.guard == GUARDED.guard, "closed is safe"
        system.close()

    asyncio.run(body())


# --- in a namespace


class Faults:
    """Makes one call of the wrappers fail: refused, or carried out and never answered."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls = 0
        self.at = -1
        self.number = errno.EPERM
        for owner, name in ((Rtnetlink, "change"), (Conversation, "commit")):
            patch.setattr(owner, name, self._failing(getattr(owner, name)))

    def _failing(self, call: Callable[..., None]) -> Callable[..., None]:
        def failing(port: object, *arguments: Any, **named: Any) -> None:  # noqa: ANN401 - passed on
            self.calls += 1
            is_it = self.calls == self.at
            if not is_it or self.number == errno.ETIMEDOUT:
                call(port, *arguments, **named)
            if is_it:
                raise (
                    TimeoutError("timed out")
                    if self.number == errno.ETIMEDOUT
                    else OSError(self.number, os.strerror(self.number))
                )

        return failing

    def arm(self, at: int, number: int) -> None:
        self.calls, self.at, self.number = 0, at, number


INJECTED = (errno.EPERM, errno.ENOBUFS, errno.ETIMEDOUT, errno.EBUSY, errno.ENOSPC, errno.EINVAL)


@contextmanager
def opened(packet_filter: Nftables) -> Iterator[Machine]:
    with Kernel(packet_filter) as kernel:
        yield kernel


@pytest.mark.netns
@pytest.mark.slow
def test_in_a_namespace_every_call_that_fails_leaves_an_empty_difference(
    wire: Scene, monkeypatch: pytest.MonkeyPatch, record_property: Record
) -> None:
    faults = Faults(monkeypatch)
    wait_for(has_link_local, "the uplink's own address did not come")
    clean = snapshot(wire.laptop)
    wire.make_link()
    life = {
        "nothing, then guarded": config((FULL, None)),
        "guarded, then up": config((FULL, STANDING)),
        "up, then other addresses": config((FULL, OTHER)),
        "up, then elsewhere beside another": config((EXCLUDING, STANDING), (SPLIT, None), local=ELSEWHERE[4]),
        "two, then one": config((FULL, STANDING)),
    }

    async def body() -> int:
        tried = 0
        nftables = Nftables()

        def machine() -> AbstractContextManager[Machine]:
            return opened(nftables)

        system = System(wire.state_dir, machine)
        for generation, (change, wanted) in enumerate(life.items()):
            before = snapshot(wire.laptop)
            for at, number in zip(count(1), cycle(INJECTED)):
                faults.arm(at, number)
                outcome = await system.apply(wanted, generation)
                if faults.calls < at:
                    break
                tried += 1
                assert outcome.undone
                assert difference(before, snapshot(wire.laptop)) == (), f"{at}: {outcome.problems}"
                assert len(outcome.problems) == 1
                record_property(REFUSED, (f"{errno.errorcode[number]} of a kernel", change, 0, 1))
            faults.arm(-1, 0)
            assert (await system.apply(wanted, generation)).problems == ()
        assert (await system.sweep()).problems == ()
        system.close()
        nftables.close()
        return tried

    assert asyncio.run(body()) >= 40
    assert difference(clean, snapshot(wire.laptop)) == ()
