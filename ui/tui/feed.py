"""What the daemon says, as a stream of whole pictures: no Textual here.

The feed outlives the daemon: when that goes away, it says so and comes back with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace

from client.control.async_client import AsyncClient
from client.control.messages import (
    ControlError,
    LeakVerdict,
    LockdownStatus,
    SecretNeeded,
    StatusReport,
    Subscribe,
    TunnelStatus,
)

RETRY_TIME = 1.0
"""Seconds between two looks for a daemon that is away."""


@dataclass(frozen=True, slots=True)
class Picture:
    """The tunnels and the machine as last heard of; `problem`: why nothing newer comes.

    `questions` and `notices` are those of just now.
    """

    tunnels: tuple[TunnelStatus, ...] = ()
    machine: LockdownStatus | None = None
    leaks: tuple[LeakVerdict, ...] = ()
    problem: ControlError | None = None
    questions: tuple[SecretNeeded, ...] = ()
    notices: tuple[str, ...] = ()

    def find(self, status: TunnelStatus) -> TunnelStatus | None:
        """What was last heard of the same tunnel."""
        return next((entry for entry in self.tunnels if _key(entry) == _key(status)), None)

    def with_tunnel(self, status: TunnelStatus) -> Picture:
        """The picture after a change of one tunnel; one that is off leaves it."""
        others = [entry for entry in self.tunnels if _key(entry) != _key(status)]
        tunnels = others if status.state == "off" else [*others, status]
        return Picture(tuple(sorted(tunnels, key=_key)), self.machine, self.leaks)


def _key(status: TunnelStatus) -> tuple[str, int]:
    return status.name, status.owner


async def follow(path: str, pause: Callable[[float], Awaitable[object]]) -> AsyncIterator[Picture]:
    """Pictures for ever: at each change, at each loss of the daemon, and at its return."""
    picture = Picture()
    while True:
        try:
            async with AsyncClient(path) as client:
                snapshot = await client.subscribe(Subscribe())
                picture = picture_of(snapshot.report)
                yield replace(picture, questions=snapshot.secrets)
                async for event in client.events():
                    if isinstance(event.data, TunnelStatus):
                        picture = picture.with_tunnel(event.data)
                        yield picture
                    elif isinstance(event.data, SecretNeeded):
                        yield replace(picture, questions=(event.data,))
                    else:
                        yield replace(picture, notices=(event.data.text,))
                raise ControlError("daemon.lost", "the daemon closed the connection")
        except ControlError as error:
            picture = replace(picture, problem=error)
            yield picture
        await pause(RETRY_TIME)


def picture_of(report: StatusReport) -> Picture:
    """What a report shows."""
    tunnels = (entry for entry in report.tunnels if entry.state != "off")
    return Picture(tuple(sorted(tunnels, key=_key)), report.lockdown, report.leaks)
