"""What the daemon says of itself: its log by who may read it, its level, and a report without secrets."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.control.affairs import LogLevel, LogQuery, LogReport
from client.control.handlers import Caller
from client.control.messages import Empty, SecretText, Up
from client.control.wire import plain
from client.daemon.journal import Journal, Subject, about
from tests.daemon.test_handlers import ALICE, BOB, PROFILE, ROOT, Office, play

log = logging.getLogger("roam.test")


@pytest.fixture(autouse=True)
def _level() -> Iterator[None]:
    """The level of our loggers is the process's: whoever changes it puts it back."""
    roam = logging.getLogger("roam")
    before = roam.level
    roam.setLevel(logging.INFO)
    yield
    roam.setLevel(before)


def attach(office: Office) -> None:
    office.journal.attach(logging.getLogger("roam"))


def detach(journal: Journal) -> None:
    logging.getLogger("roam").removeHandler(journal)


async def texts(office: Office, caller: Caller, query: LogQuery) -> list[str]:
    report = await office.handlers.actions["daemon.log"](caller, query)
    assert isinstance(report, LogReport)
    return [line.text for line in report.lines]


def test_the_log_of_a_tunnel_is_for_whoever_controls_it(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        attach(office)
        log.info("the machine is well")
        about(Subject("office", 1000, shared=False)).run(log.info, "of Alice alone")
        about(Subject("branch", 1000, shared=True)).run(log.info, "of everybody")
        detach(office.journal)
        everything = ["the machine is well", "of Alice alone", "of everybody"]
        assert await texts(office, ALICE, LogQuery()) == everything
        assert await texts(office, ROOT, LogQuery()) == everything
        assert await texts(office, BOB, LogQuery()) == ["the machine is well", "of everybody"]
        assert await texts(office, ALICE, LogQuery(tunnel="office")) == ["of Alice alone"]

    play(tmp_path, scene)


def test_a_driver_logs_about_its_tunnel(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        attach(office)
        await office.handlers.up(
            ALICE, Up(profile=PROFILE, secrets={"ask:": SecretText("a long pre-shared key")})
        )
        await office.machine.until_state("blocked", 5)
        detach(office.journal)
        assert any("connecting" in text for text in await texts(office, ALICE, LogQuery(tunnel="office")))
        assert not any("connecting" in text for text in await texts(office, BOB, LogQuery()))

    play(tmp_path, scene)


def test_the_log_can_be_followed_without_gap_or_repetition(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        attach(office)
        log.info("first")
        first = await office.handlers.actions["daemon.log"](ALICE, LogQuery())
        assert isinstance(first, LogReport)
        waiting = asyncio.create_task(
            texts(office, ALICE, LogQuery(after=first.next, boot=first.boot, wait=30, level="warning"))
        )
        await asyncio.sleep(1)  # of the virtual clock
        log.info("not important enough")
        await asyncio.sleep(1)
        log.warning("second")
        assert await waiting == ["second"]
        last = LogQuery(after=office.journal.last, boot=first.boot, wait=5)
        assert await texts(office, ALICE, last) == []
        elsewhere = LogQuery(after=office.journal.last, boot="another daemon")
        assert await texts(office, ALICE, elsewhere) == ["first", "not important enough", "second"]
        detach(office.journal)

    play(tmp_path, scene)


def test_the_last_lines_are_enough(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        attach(office)
        for number in range(5):
            log.info("line %d", number)
        detach(office.journal)
        assert await texts(office, ALICE, LogQuery(lines=2)) == ["line 3", "line 4"]
        assert await texts(office, ALICE, LogQuery(lines=0)) == []

    play(tmp_path, scene)


def test_the_log_forgets_its_oldest_lines() -> None:
    journal = Journal(size=2)
    for number in range(3):
        journal.emit(logging.makeLogRecord({"msg": f"line {number}", "levelno": logging.INFO}))
    assert [line.text for line in journal.lines(ROOT, 0, "debug")] == ["line 1", "line 2"]
    assert journal.last == 3


def test_root_sets_the_level(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        answer = await office.handlers.actions["daemon.set_log_level"](ROOT, LogLevel("debug"))
        assert plain(answer)["log_level"] == "debug"
        assert logging.getLogger("roam.ike").isEnabledFor(logging.DEBUG)

    play(tmp_path, scene)


def test_a_report_has_no_secret_and_no_name(tmp_path: Path) -> None:
    text = PROFILE.replace("[gateway]", "# the password is hunter2-planted\n[gateway]").replace(
        '"ask:"', '"keyring:planted-entry"'
    )
    secrets = {"keyring:planted-entry": SecretText("correct horse battery staple")}

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, Up(profile=text, secrets=secrets))
        await office.machine.until_state("up", 5)
        report = await office.handlers.actions["daemon.report"](ALICE, Empty())
        told = json.dumps(plain(report))
        assert "correct horse" not in told
        assert "planted" not in told
        (profile,) = plain(report)["profiles"]
        table = json.loads(profile["redacted"])
        assert table["auth"]["local"] == [{"method": "psk", "secret": "keyring:<4>"}]
        assert (table["schema"], table["routing"]["mode"]) == (1, "split")
        assert "alice" not in profile["redacted"]
        assert table["gateway"]["addresses"] == [table["identity"]["remote"]]
        others = plain(await office.handlers.actions["daemon.report"](BOB, Empty()))
        assert others["profiles"] == []
        assert others["status"]["tunnels"][0]["identity"] == ""

    play(tmp_path, scene)
