"""Every method, asked by everybody: the owner of a tunnel, another member, a stranger, and root.

Who is refused is told `permission.denied`, and nothing has changed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from client.control.access import PeerCredentials, Policy
from client.control.affairs import LogLevel
from client.control.handlers import Access, Caller
from client.control.messages import (
    ControlError,
    LockdownSet,
    Message,
    Named,
    PortalOpen,
    SecretAnswer,
    SecretCancel,
    SecretText,
    Subscribe,
    Up,
)
from client.control.methods import METHODS, Whose
from client.control.server import ControlServer
from client.control.wire import plain
from client.daemon.order import Key
from client.daemon.questions import OfProfile
from tests.daemon.test_handlers import ALICE, BOB, KEY, PROFILE, ROOT, UP, Office, play

STRANGER = Caller(1002, Access.READ)
CALLERS = {"owner": ALICE, "other": BOB, "stranger": STRANGER, "root": ROOT}

YES, NO = True, False
TABLE: dict[str, tuple[bool, bool, bool, bool]] = {
    # method: (owner, other member, stranger, root)
    "hello": (YES, YES, YES, YES),
    "profile.list": (YES, YES, NO, YES),
    "profile.get": (YES, YES, NO, YES),
    "profile.check": (YES, YES, NO, YES),
    "profile.presets": (YES, YES, YES, YES),
    "tunnel.status": (YES, YES, YES, YES),
    "tunnel.details": (YES, NO, NO, YES),
    "tunnel.probe": (YES, NO, NO, YES),
    "tunnel.verify": (YES, NO, NO, YES),
    "tunnel.up": (YES, YES, NO, YES),
    "tunnel.down": (YES, NO, NO, YES),
    "tunnel.rekey": (YES, NO, NO, YES),
    "tunnel.reauth": (YES, NO, NO, YES),
    "lockdown.status": (YES, YES, YES, YES),
    "lockdown.set": (YES, NO, NO, YES),
    "portal.open": (YES, NO, NO, YES),
    "secret.answer": (YES, NO, NO, YES),
    "secret.cancel": (YES, NO, NO, YES),
    "events.subscribe": (YES, YES, YES, YES),
    "doctor": (YES, YES, NO, YES),
    "explain": (YES, NO, NO, YES),
    "probe": (YES, YES, NO, YES),
    "daemon.info": (YES, YES, YES, YES),
    "daemon.log": (YES, YES, NO, YES),
    "daemon.set_log_level": (NO, NO, NO, YES),
    "daemon.report": (YES, YES, NO, YES),
    "daemon.cleanup": (YES, NO, NO, YES),
}
"""What each may do with a tunnel, a question, a portal and a lockdown of the owner."""

OWN_THINGS = frozenset({"tunnel.up", "daemon.log", "daemon.report"})
"""Methods in which everybody gets to see, or to want, what is his."""


def params(method: str, question: str) -> Message:
    samples: dict[str, Message] = {
        "tunnel.up": UP,
        "lockdown.set": LockdownSet(False),
        "portal.open": PortalOpen(30.0),
        "secret.answer": SecretAnswer(question, SecretText("correct horse battery staple")),
        "secret.cancel": SecretCancel(question),
        "daemon.set_log_level": LogLevel("info"),
    }
    shape = METHODS[method].params
    if method in samples:
        return samples[method]
    if "name" in shape._fields:
        return shape(name="office")
    return shape(**{name: "192.0.2.1" for name in shape._fields if not hasattr(shape, name)})


def server_of(office: Office) -> ControlServer:
    return ControlServer(
        office.handlers, Policy(None, own_uid=990), version="0.1", boot="boot-1", wall=lambda: 0.0
    )


async def is_refused(office: Office, caller: Caller, method: str, request: Message) -> bool:
    server = server_of(office)
    try:
        server.request(caller, method, plain(request))
        if isinstance(request, Subscribe):
            server.snapshot(caller, request)
        else:
            await server.perform(caller, method, request)
    except ControlError as error:
        return error.kind == "permission.denied"
    return False


def test_the_table_has_every_method() -> None:
    assert TABLE.keys() >= METHODS.keys()


@pytest.mark.parametrize("who", CALLERS)
@pytest.mark.parametrize("method", METHODS)
def test_who_may_do_what(tmp_path: Path, method: str, who: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        await office.warden.set_lockdown(ALICE, LockdownSet(True))
        await office.warden.open_portal(ALICE, PortalOpen(200.0))
        office.tunnels.questions.ask(Key(1000, "office"), 1000, OfProfile("ask:"), "password", "Password")
        (needed,) = office.questions()
        caller = CALLERS[who]
        before = _state(office)
        refused = await is_refused(office, caller, method, params(method, needed.id))
        assert refused is not TABLE[method][list(CALLERS).index(who)]
        if refused:
            assert _state(office) == before

    play(tmp_path, scene)


def _state(office: Office) -> tuple[object, ...]:
    """What a caller could have changed."""
    tunnels = tuple((entry.key, entry.driver.wanted, entry.status.state) for entry in office.tunnels)
    intents = tuple(intent.key for intent in office.intents.load())
    return (
        tunnels,
        intents,
        office.tunnels.questions.pending(),
        office.warden.status.on,
        office.machine.sessions,
    )


@pytest.mark.parametrize("method", sorted(OWN_THINGS))
def test_what_is_somebody_elses_is_not_in_it(tmp_path: Path, method: str) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        answer = await server_of(office).perform(BOB, method, params(method, ""))
        assert "vpn.example.com" not in str(plain(answer)) or method == "tunnel.up"
        entry = office.tunnels.find(Key(1000, "office"))
        assert entry is not None
        assert entry.status.state == "up"

    play(tmp_path, scene)


def test_the_methods_that_check_more_than_the_level_say_so() -> None:
    refused_by_action = {name for name, row in TABLE.items() if name in METHODS and row[0] and not row[1]}
    marked = {name for name, method in METHODS.items() if method.whose is not Whose.NOBODY}
    assert refused_by_action == marked - OWN_THINGS


@pytest.mark.parametrize("method", METHODS)
def test_the_level_of_access_is_checked_before_the_parameters(tmp_path: Path, method: str) -> None:
    async def scene(office: Office) -> None:
        if METHODS[method].access is Access.READ:
            return
        with pytest.raises(ControlError) as caught:
            server_of(office).request(STRANGER, method, {"name": 7, "force": "maybe"})
        assert caught.value.kind == "permission.denied"

    play(tmp_path, scene)


def test_a_name_does_not_reach_anothers_tunnel(tmp_path: Path) -> None:
    """Neither by the system's prefix nor by an own tunnel of the same name."""

    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        for name in ("office", "system/office", "office of uid 1000", "../office", ""):
            with pytest.raises(ControlError):
                await office.handlers.reauth(BOB, Named(name))
        other = PROFILE.replace('include = ["10.77.0.0/24"]', 'include = ["10.78.0.0/24"]')
        await office.handlers.up(BOB, Up(profile=other, secrets=KEY))
        await office.handlers.down(BOB, params("tunnel.down", ""))  # type: ignore[arg-type]
        entry = office.tunnels.find(Key(1000, "office"))
        assert entry is not None
        assert entry.driver.wanted

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("peer", "access"),
    [
        (PeerCredentials(0, 0), Access.ADMIN),
        (PeerCredentials(990, 990), Access.ADMIN),
        (PeerCredentials(1000, 5), Access.CONTROL),
        (PeerCredentials(1000, 1000, frozenset({5})), Access.CONTROL),
        (PeerCredentials(1000, 1000, frozenset({6})), Access.READ),
        (PeerCredentials(65534, 5), Access.CONTROL),
    ],
)
def test_the_kernels_word_decides_who_is_who(peer: PeerCredentials, access: Access) -> None:
    assert Policy(5, own_uid=990).caller(peer) == Caller(peer.uid, access)
