"""A flood of requests takes turns with everything else, and mutated ones do no harm."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from client.control.connection import READER_LINE_LIMIT
from client.control.fairness import Turnstile
from tests.control.fake import ROOT, FakeDaemon, serving
from tests.control.mutations import Mutator, run
from tests.control.talk import MEMBER, STRANGER, converse, request


def test_a_round_of_the_loop_admits_a_few_and_all_get_their_turn() -> None:
    async def body() -> list[int]:
        turnstile, begun, rounds = Turnstile(each_round=3), 0, []

        async def ask() -> None:
            nonlocal begun
            await turnstile.pass_through()
            begun += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(ask())
            while begun < 20:
                before = begun
                await asyncio.sleep(0)
                rounds.append(begun - before)
        return rounds

    rounds = asyncio.run(body())
    assert max(rounds) == 3
    assert sum(rounds) == 20


def test_whoever_gives_up_takes_no_place() -> None:
    async def body() -> int:
        turnstile, through = Turnstile(each_round=1), 0

        async def ask() -> None:
            nonlocal through
            await turnstile.pass_through()
            through += 1

        tasks = [asyncio.create_task(ask()) for _ in range(6)]
        await asyncio.sleep(0)
        for task in tasks[1:4]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return through

    assert asyncio.run(body()) == 3


def test_a_flood_leaves_a_round_of_the_loop_short(path: Path) -> None:
    """However many requests lie ready, few begin between two turns of anybody else."""
    daemon = FakeDaemon()

    async def body() -> int:
        async with serving(daemon, path, ROOT):
            writers = []
            for _ in range(8):
                reader, writer = await asyncio.open_unix_connection(str(path))
                writer.write((request("tunnel.rekey", name="office") + b"\n") * 50)
                writers.append((reader, writer))
            worst = 0
            async with asyncio.timeout(60):
                while len(daemon.calls) < 400:
                    before = len(daemon.calls)
                    await asyncio.sleep(0)
                    worst = max(worst, len(daemon.calls) - before)
            for _reader, writer in writers:
                writer.close()
            return worst

    daemon.tunnels = {}
    assert asyncio.run(body()) <= 8


def test_who_may_only_read_has_short_lines(path: Path) -> None:
    line = b'{"id":1,"method":"hello","params":{"program":"' + b"x" * READER_LINE_LIMIT + b'"}}\n'

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> object:
        writer.write(line)
        return json.loads(await reader.readline())

    assert converse(path, talk, None, STRANGER)["error"]["data"]["kind"] == "rpc.too_long"
    assert "result" in converse(path, talk, None, MEMBER)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_mutated_requests_are_answered_and_do_nothing_that_is_not_permitted(seed: int) -> None:
    trial = asyncio.run(run(1500, seed))
    assert {"rpc.parse", "rpc.params", "rpc.method", "permission.denied", "done"} <= trial.kinds.keys()


def test_mutations_come_from_their_seed() -> None:
    first, again, other = Mutator(7), Mutator(7), Mutator(8)
    lines = [first.line() for _ in range(20)]
    assert lines == [again.line() for _ in range(20)]
    assert lines != [other.line() for _ in range(20)]
