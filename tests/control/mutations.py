"""Requests that went wrong on the way: valid ones of every method, changed at random, from a seed.

`python -m tests.control.mutations 1000000` runs a million of them, and says what came of it.
"""

# ruff: noqa: ANN401 - JSON values are what `Any` is for

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from copy import deepcopy
from time import monotonic
from typing import Any

from client.control.connection import Connection
from client.control.handlers import Access, Caller
from client.control.messages import ControlError, Message
from client.control.methods import METHODS
from client.control.server import ControlServer
from client.control.wire import types_of
from tests.control.fake import MEMBER_ID, ROOT, FakeDaemon, server_of

VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 7.5, 1e308, -0.0, 2**53, 2**64, -(2**63), 10**400, "", "x", "office", "../x",
    "sys/x", "\0", "\ud800", "é" * 50, "A" * 5000, [], [[]], [None], ["tunnel"], {}, {"a": {}}, {"": ""},
    {"__class__": "x"}, {"_fields": []}, [1] * 100, {str(n): n for n in range(100)},
)  # fmt: skip
NAMES = ("id", "method", "params", "jsonrpc", "name", "since", "topics", "force", "__init__", "replace", "")
HARMLESS = frozenset(name for name, method in METHODS.items() if method.access is Access.READ)
CALLERS = (Caller(1002, Access.READ), Caller(MEMBER_ID, Access.CONTROL))


class Mutator:
    """Getter: `line`, a new one each time."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def line(self) -> bytes:
        """A request that may be anything."""
        chance = self._random
        method = chance.choice(list(METHODS))
        message = {
            "jsonrpc": "2.0",
            "id": 1,
            "method": method,
            "params": self._sample(METHODS[method].params),
        }
        for _ in range(chance.randrange(4)):
            self._change(message)
        line = json.dumps(message).encode()
        if chance.random() < 0.3:
            line = self._damage(bytearray(line))
        return line.replace(b"\n", b" ") + b"\n"

    def _sample(self, shape: type[Message]) -> Any:
        return {
            name: self._value(wanted)
            for name, wanted in types_of(shape).items()
            if self._random.random() < 0.7
        }

    def _value(self, wanted: Any) -> Any:
        chance = self._random
        simple: dict[Any, Any] = {
            str: chance.choice(("office", "", "debug", "tunnel")),
            bool: chance.random() < 0.5,
            int: chance.randrange(-3, 3000),
            float: chance.uniform(-1, 400),
        }
        return simple.get(wanted, deepcopy(chance.choice(VALUES)))

    def _change(self, message: dict[str, Any]) -> None:
        """Somewhere in it: another value, another key, or one less."""
        chance = self._random
        where: Any = message
        while isinstance(where, dict) and where and chance.random() < 0.6:
            inner = where[chance.choice(list(where))]
            if not isinstance(inner, dict):
                break
            where = inner
        match chance.randrange(3):
            case 0 if where:
                where[chance.choice(list(where))] = deepcopy(chance.choice(VALUES))
            case 1 if where:
                del where[chance.choice(list(where))]
            case _:
                where[chance.choice(NAMES)] = deepcopy(chance.choice(VALUES))

    def _damage(self, line: bytearray) -> bytes:
        chance = self._random
        for _ in range(1 + chance.randrange(4)):
            at = chance.randrange(len(line) + 1)
            match chance.randrange(4):
                case 0:
                    line[at : at + 1] = bytes([chance.randrange(256)])
                case 1:
                    del line[at : at + chance.randrange(1, 20)]
                case 2:
                    line[at:at] = line[: chance.randrange(1, 30)]
                case _:
                    line[at:at] = chance.choice(
                        (b"[" * 500, b'{"a":' * 300, b"\0", b"\xff\xfe", b"1e999", b"NaN")
                    )
        return bytes(line)


class Sink:
    """Where a connection writes to: the last answer is kept."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.transport = self

    def write(self, line: bytes) -> None:
        self.lines.append(line)

    def is_closing(self) -> bool:
        return False

    async def drain(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0


class Trial:
    """Gives requests to a server, and judges what it does.  `kinds` counts the answers."""

    def __init__(self) -> None:
        self.daemon = FakeDaemon()
        self.daemon.tunnels.clear()
        self.daemon.publish = lambda _data: None
        self.server: ControlServer = server_of(self.daemon, ROOT)
        self.kinds: Counter[str] = Counter()

    async def give(self, caller: Caller, line: bytes) -> None:
        """One request; `AssertionError` says what is wrong with the answer."""
        sink = Sink()
        connection = Connection(self.server, caller, sink)  # type: ignore[arg-type]
        await connection._slots.acquire()
        before = len(self.daemon.calls)
        if line.strip():
            await connection._answer(line)
        self._judge(caller, line, sink.lines)
        calls = [name for name, _request in self.daemon.calls[before:] if name not in HARMLESS]
        assert not calls or caller.access > Access.READ, f"{caller}: {line!r} did {calls}"
        self.daemon.calls.clear()
        self.daemon.callers.clear()

    def _judge(self, caller: Caller, line: bytes, answers: list[bytes]) -> None:
        if not line.strip():
            return
        assert answers, f"no answer to {line!r}"
        answer = json.loads(answers[0])
        error = answer.get("error")
        kind = "done" if error is None else error["data"]["kind"]
        assert kind != "local.fault" or error["data"]["evidence"] == UNSAID, f"{caller}: {line!r}: {error}"
        self.kinds[kind] += 1


UNSAID = "no test has said what this answers"


async def run(count: int, seed: int) -> Trial:
    """So many requests, in turn from a stranger and from a member."""
    trial, mutator = Trial(), Mutator(seed)
    refusal = ControlError("local.fault", UNSAID)
    for number in range(count):
        trial.daemon.refusal = refusal  # whatever is asked for is refused, after it was noted
        await trial.give(CALLERS[number % len(CALLERS)], mutator.line())
    return trial


def main(arguments: list[str]) -> int:
    """The number of requests and a seed, both optional."""
    count = int(arguments[0]) if arguments else 1_000_000
    seed = int(arguments[1]) if len(arguments) > 1 else 1
    began = monotonic()
    trial = asyncio.run(run(count, seed))
    print(f"{count} mutated requests (seed {seed}) in {monotonic() - began:.0f} s: no unhandled exception,")
    print("nothing done for a stranger; answers by kind:")
    for kind, number in trial.kinds.most_common():
        print(f"  {number:>9}  {kind}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
