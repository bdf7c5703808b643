"""Whatever happens in whatever order: the controller counts on sessions that exist, and never sleeps for good."""

from __future__ import annotations

import random

import pytest

from client.ike.events import Failure, Kind
from client.tunnel.controller import step
from client.tunnel.events import (
    Answered,
    Applied,
    Apply,
    ApplyFailed,
    CloseSession,
    Command,
    Crashed,
    DataPathGone,
    Doubt,
    DropSession,
    Event,
    Moved,
    MoveSession,
    NotAnswered,
    NotMoved,
    Reauthenticate,
    Release,
    Resolve,
    Resolved,
    ResolveFailed,
    SecretMissing,
    SessionClosed,
    SessionUp,
    Slept,
    StartSession,
    Timer,
    UserDown,
    UserUp,
)
from client.tunnel.model import NetworkChange
from client.tunnel.states import (
    Blocked,
    Closing,
    Off,
    Resolving,
    Tunnel,
    Up,
    Waiting,
    live_legs,
    next_deadline,
)
from tests.tunnel.worlds import BOTH, CONFIG, GATEWAY, LTE_ONLY, NOTHING, UP, WIFI_ONLY

KINDS = [kind for kind in Kind if kind is not Kind.USER_DOWN]


class World:
    """A shell that answers as it likes, and keeps account."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.tunnel = Tunnel(CONFIG, network=BOTH)
        self.sessions: set[int] = set()
        self.closing: set[int] = set()
        self.resolving = False
        self.applying = False
        self.contributes = False

    def give(self, event: Event) -> None:
        """One event, and what the controller has us do."""
        self.tunnel, commands = step(self.tunnel, event, self.now, self.random.random())
        for command in commands:
            self.carry_out(command)
        self.check()

    def carry_out(self, command: Command) -> None:
        match command:
            case StartSession(leg):
                assert leg not in self.sessions, "a session's number is used once"
                self.sessions.add(leg)
            case MoveSession(leg):
                assert leg in self.sessions
            case CloseSession(leg):
                assert leg in self.sessions
                self.closing.add(leg)
            case DropSession(leg):
                self.sessions.discard(leg)
                self.closing.discard(leg)
            case Resolve():
                self.resolving = True
            case Apply():
                self.applying = self.contributes = True
            case Release():
                self.applying, self.contributes = True, False
            case _:
                pass

    def check(self) -> None:
        """What must hold after every event."""
        tunnel, state = self.tunnel, self.tunnel.state
        assert live_legs(state) <= self.sessions, "it counts on sessions that exist"
        assert self.sessions - self.closing <= live_legs(state), "no session is forgotten"
        if isinstance(state, Resolving):
            assert self.resolving
        if isinstance(state, Closing) and state.leg is None:
            assert self.applying
        if isinstance(state, Waiting) and state.until is None:
            assert state.failure.kind is Kind.NET_NO_PATH
        if isinstance(state, Off) or (isinstance(state, Blocked) and not state.guarded):
            assert not tunnel.wanted
            assert not self.contributes, "nothing is left behind"
        if isinstance(state, Up) and not state.applied:
            assert self.applying
        if tunnel.wanted and not isinstance(state, Closing):
            assert self.contributes, "what is wanted is guarded"

    def any_event(self) -> Event:
        """Something that can happen now."""
        chance = self.random
        legs = sorted(self.sessions) or [1]
        leg = chance.choice(legs)
        failure = Failure(chance.choice(KINDS), "it happened", final=chance.random() < 0.2)
        events: list[Event] = [
            UserUp(CONFIG),
            UserDown(force=chance.random() < 0.5),
            NetworkChange(self.tunnel.network, chance.choice([BOTH, WIFI_ONLY, LTE_ONLY, NOTHING])),
            Answered(leg),
            SessionUp(leg, chance.random() < 0.7, UP),
            Moved(leg),
            NotMoved(leg, "refused"),
            Doubt(leg, chance.random() < 0.5, self.now),
            SessionClosed(leg, failure),
            DataPathGone("died"),
            Crashed(Failure(Kind.LOCAL_FAULT, "a bug", final=chance.random() < 0.2)),
            Slept(100.0),
            Timer(),
            NotAnswered(),
            Reauthenticate(),
            SecretMissing(CONFIG, Failure(Kind.AUTH_NEEDS_SECRET, "a code"), restored=chance.random() < 0.5),
        ]
        if self.resolving:
            events += [Resolved((GATEWAY,)), ResolveFailed("no such name")]
        if self.applying:
            events += [Applied()] * 3 + [ApplyFailed(failure)]
        return chance.choice(events)

    def turn(self) -> None:
        event = self.any_event()
        self.now += self.random.choice([0.0, 0.01, 1.0, 5.0])
        self.settle_accounts(event)
        self.give(event)

    def settle_accounts(self, event: Event) -> None:
        match event:
            case SessionClosed(leg):
                self.sessions.discard(leg)
                self.closing.discard(leg)
            case Crashed():
                self.sessions.clear()
                self.closing.clear()
                self.resolving = False
            case Resolved() | ResolveFailed():
                self.resolving = False
            case Applied() | ApplyFailed():
                self.applying = False
            case _:
                pass


@pytest.mark.parametrize("seed", range(30))
def test_any_order_of_events_keeps_the_accounts(seed: int) -> None:
    world = World(seed)
    world.give(UserUp(CONFIG))
    for _ in range(300):
        world.turn()


def converge(world: World) -> None:
    """From now on everything works: two minutes and a half must be enough for the longest back-off."""
    deadline = world.now + 150.0
    while world.now < deadline:
        if world.resolving:
            event: Event = Resolved((GATEWAY,))
        elif world.applying:
            event = Applied()
        elif live_legs(world.tunnel.state) and not isinstance(world.tunnel.state, Up):
            event = helpful(world)
        else:
            at = next_deadline(world.tunnel.state)
            if at is None:
                return
            world.now = max(world.now, at)
            event = Timer()
        world.settle_accounts(event)
        world.give(event)


def helpful(world: World) -> Event:
    """What a gateway that works says next."""
    leg = max(live_legs(world.tunnel.state))
    if isinstance(world.tunnel.state, Closing):
        return SessionClosed(leg, Failure(Kind.USER_DOWN, "deleted"))
    answers: list[Event] = [SessionUp(leg, True, UP), Moved(leg), Doubt(leg, False, world.now)]
    return world.random.choice(answers)


@pytest.mark.parametrize("seed", range(30))
def test_when_all_works_again_a_wanted_tunnel_is_up(seed: int) -> None:
    world = World(seed)
    world.give(UserUp(CONFIG))
    for _ in range(seed * 3):
        world.turn()
    world.give(UserUp(CONFIG))
    world.give(NetworkChange(world.tunnel.network, BOTH))
    converge(world)
    assert isinstance(world.tunnel.state, Up)
    assert world.tunnel.state.applied


@pytest.mark.parametrize("seed", range(30))
def test_after_down_nothing_is_left(seed: int) -> None:
    world = World(seed)
    world.give(UserUp(CONFIG))
    for _ in range(seed * 3):
        world.turn()
    world.give(UserDown())
    converge(world)
    assert isinstance(world.tunnel.state, Off)
    assert not world.contributes
