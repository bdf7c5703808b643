"""One turn of the controller: the tunnel as it becomes, and the commands in the order of their making."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypedDict, Unpack

from ..ike.events import Address, Failure, Kind
from .events import Command
from .model import NetworkState, TunnelConfig, TunnelUp, Underlay
from .paths import candidates
from .states import TRANSITIONS, Attempt, Leg, State, Tunnel, Waiting


class Knowledge(TypedDict, total=False):
    """What may change in a `Tunnel` beside its state."""

    config: TunnelConfig
    wanted: bool
    steadfast: bool
    network: NetworkState
    gateways: tuple[Address, ...]
    peer_addresses: tuple[Address, ...]
    avoided: frozenset[Underlay]
    failures: int
    refusals: int
    last_failure: Failure | None
    unjudged: int
    up: TunnelUp | None
    next_leg: int


class Turn:
    """A tunnel while one event is worked on; nothing of it outlives `step`."""

    def __init__(self, tunnel: Tunnel, now: float, chance: float) -> None:
        self.tunnel = tunnel
        self.now = now
        self.chance = chance
        self.commands: list[Command] = []

    def enter(self, state: State) -> None:
        """Go over to a state, along the table."""
        now, then = type(self.tunnel.state), type(state)
        if now is not then and then not in TRANSITIONS[now]:
            raise AssertionError(f"no way from {now.__name__} to {then.__name__}")
        self.tunnel = replace(self.tunnel, state=state)

    def know(self, **knowledge: Unpack[Knowledge]) -> None:
        """Remember something beside the state."""
        self.tunnel = replace(self.tunnel, **knowledge)

    def do(self, *commands: Command) -> None:
        """Have the shell do something, after what it has been told already."""
        self.commands.extend(commands)

    def attempt(self, underlay: Underlay, until: float | None) -> Attempt:
        """A new session's number and path."""
        number = self.tunnel.next_leg
        self.know(next_leg=number + 1)
        return Attempt(number, underlay, until)

    def avoid(self, underlay: Underlay) -> None:
        """Remember that a path exists but does not carry."""
        self.know(avoided=self.tunnel.avoided | {underlay})

    def paths_to(self, addresses: Iterable[Address]) -> tuple[Underlay, ...]:
        """All paths of the present network to any of these addresses, best first."""
        return candidates(self.tunnel.network, tuple(dict.fromkeys(addresses)))

    def untried(self, paths: Iterable[Underlay]) -> tuple[Underlay, ...]:
        """The paths that are not known to fail."""
        return tuple(path for path in paths if path not in self.tunnel.avoided)

    def wait_for_network(self, leg: Leg | None) -> None:
        """Nothing leads to the gateway: keep what there is, and do nothing until the network changes."""
        wanted = ", ".join(self.tunnel.config.gateways)
        failure = Failure(Kind.NET_NO_PATH, f"no connected network has a route to {wanted}")
        self.enter(Waiting(failure, None, leg, self.now))
