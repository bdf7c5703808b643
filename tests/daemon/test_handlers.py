"""What callers may ask of the daemon, whose tunnel a name means, and how a refusal is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import pytest

from client.control.handlers import Access, Caller
from client.control.messages import (
    ControlError,
    Down,
    Empty,
    Named,
    ProfileEntry,
    ProfileList,
    Rekey,
    SecretAnswer,
    SecretCancel,
    SecretNeeded,
    SecretText,
    TunnelStatus,
    Up,
)
from client.control.methods import METHODS
from client.control.server import OWN
from client.daemon.affairs import Affairs
from client.daemon.catalog import Catalog
from client.daemon.doctor import Doctor
from client.daemon.explainer import Explainer
from client.daemon.handlers import DaemonHandlers
from client.daemon.inbox import Stop
from client.daemon.intent import Intents
from client.daemon.journal import Journal
from client.daemon.order import user_order
from client.daemon.tunnels import Tunnels
from client.daemon.verifier import Verifier
from client.daemon.warden import Warden
from client.ike.events import Address
from client.ike.keys import Secret
from client.lab.pki import pem
from client.net.inside import Host, Reply
from client.system.resolver.detect import Places
from client.tunnel.model import NetworkChange
from profiles.store import Store
from tests.daemon.virtual_loop import now, run
from tests.daemon.world import Internet, Machine
from tests.pair import AUTHORITY, gateway_config

ALICE = Caller(1000, Access.CONTROL)
BOB = Caller(1001, Access.CONTROL)
ROOT = Caller(0, Access.ADMIN)

PROFILE = """
schema = 1
id = "office"
[gateway]
addresses = ["vpn.example.com"]
[identity]
local = "alice@example.com"
remote = "vpn.example.com"
[[auth.local]]
method = "psk"
secret = "ask:"
[routing]
mode = "split"
include = ["10.77.0.0/24"]
"""
KEY = {"ask:": SecretText("correct horse battery staple")}
UP = Up(profile=PROFILE, secrets=KEY)


class Office:
    """Handlers over real tunnels, and what they told."""

    def __init__(self, directory: Path, machine: Machine, group: asyncio.TaskGroup) -> None:
        self.machine = machine
        self.told: list[TunnelStatus | SecretNeeded] = []
        self.intents = Intents(directory / "state")
        self.tunnels = Tunnels(machine.world, machine.applier, self.intents, group, self._tell, now)
        self.store = Store(directory / "nobody", directory / "system")
        self.warden = Warden(
            directory / "state", machine.applier, now, now, no_resolvers, lambda: "", lambda _notice: None
        )
        doctor = Doctor(directory, Places(directory), lambda: None)
        sweep = machine.applier.sweep
        self.handlers = DaemonHandlers(self.tunnels, self.store, now, sweep, self.warden, doctor)
        self.journal = Journal()
        catalog = Catalog(self.store)
        affairs = Affairs(self.journal, self.tunnels, self.handlers.status, now, version="0.1", boot="boot-1")
        self.inside: Callable[[Sequence[Host]], Awaitable[Reply | None]] = nobody
        verifier = Verifier(self.handlers.find, machine.applier, self._ask, now)
        explainer = Explainer(self.tunnels, self.handlers.find, machine.world.resolve, version="0.1")
        self.handlers.actions.update(
            {**catalog.actions, **affairs.actions, **verifier.actions, **explainer.actions}
        )
        self.tunnels.network_changed(NetworkChange(machine.network, machine.network))

    def _tell(self, data: TunnelStatus | SecretNeeded) -> None:
        self.told.append(data)
        if isinstance(data, TunnelStatus):
            self.machine.statuses.append(data)

    async def _ask(
        self, hosts: Sequence[Host], _sources: Sequence[Address], _link: str, seconds: float
    ) -> Reply | None:
        reply = await self.inside(hosts)
        await asyncio.sleep(0.0 if reply else seconds)
        return reply

    def questions(self) -> list[SecretNeeded]:
        """What was asked."""
        return [data for data in self.told if isinstance(data, SecretNeeded)]


async def nobody(_hosts: Sequence[Host]) -> None:
    """Who answers from inside."""


async def no_resolvers() -> tuple[Address, ...]:
    return ()


Scene = Callable[[Office], Awaitable[None]]


def play(directory: Path, scene: Scene) -> None:
    async def body() -> None:
        machine = Machine(Internet(gateway_config()))
        async with asyncio.TaskGroup() as group:
            applier = group.create_task(machine.applier.run())
            office = Office(directory, machine, group)
            await scene(office)
            office.tunnels.tell_all(Stop())
            applier.cancel()

    run(body)


async def listed(office: Office) -> tuple[ProfileEntry, ...]:
    """The system's profiles."""
    answer = await office.handlers.actions["profile.list"](ALICE, Empty())
    assert isinstance(answer, ProfileList)
    return answer.profiles


def write_system_profile(directory: Path, text: str, name: str = "office") -> None:
    (directory / "system").mkdir(exist_ok=True)
    (directory / "system" / f"{name}.toml").write_text(text)


def test_every_method_has_an_action(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        assert office.handlers.actions.keys() | OWN == METHODS.keys()

    play(tmp_path, scene)


def test_up_answers_with_a_tunnel_under_way_and_it_comes_up(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        accepted = await office.handlers.up(ALICE, UP)
        assert accepted.tunnel.state == "connecting"
        assert (accepted.tunnel.serial, accepted.tunnel.owner) == (1, 1000)
        await office.machine.until_state("up", 5)
        assert [tunnel.state for tunnel in office.handlers.status().tunnels] == ["up"]

    play(tmp_path, scene)


def test_the_same_again_changes_nothing_but_the_serial(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        again = await office.handlers.up(ALICE, UP)
        assert (again.tunnel.state, again.tunnel.serial) == ("up", 2)
        assert office.machine.sessions == 1

    play(tmp_path, scene)


def test_another_profile_under_the_same_name_is_made_anew(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        other = PROFILE + '[address]\nrequest = ["ipv4"]\n'
        await office.handlers.up(ALICE, Up(profile=other, secrets=KEY))
        await office.machine.until(lambda: office.machine.sessions == 2, 5)
        await office.machine.until_state("up", 5)
        assert len(office.machine.status.addresses) == 1

    play(tmp_path, scene)


def test_down_takes_the_tunnel_off_the_list_and_out_of_memory(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        assert len(office.intents.load()) == 1
        ended = await office.handlers.down(ALICE, Down())
        assert ended.names == ("office",)
        assert office.handlers.status().tunnels == ()
        assert office.intents.load() == []
        assert office.machine.status.state == "off"

    play(tmp_path, scene)


def test_secrets_stay_in_memory(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        for path in (tmp_path / "state").rglob("*.json"):
            assert b"battery" not in path.read_bytes()

    play(tmp_path, scene)


def test_a_first_attempt_that_failed_for_good_is_not_wanted_after_a_restart(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, Up(profile=PROFILE, secrets={"ask:": SecretText("wrong")}))
        await office.machine.until_state("blocked", 10)
        assert office.intents.load() == []

    play(tmp_path, scene)


def test_a_tunnel_belongs_to_its_owner(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        for name in ("office", "system/office"):
            with pytest.raises(ControlError) as error:
                await office.handlers.down(BOB, Down(name))
            assert error.value.kind in {"permission.denied", "tunnel.unknown"}
        with pytest.raises(ControlError):
            await office.handlers.rekey(BOB, Rekey("office"))
        with pytest.raises(ControlError) as denied:
            await office.handlers.cleanup(BOB, Empty())
        assert denied.value.kind == "permission.denied"
        assert (await office.handlers.down(ROOT, Down("office"))).names == ("office",)

    play(tmp_path, scene)


def test_an_unknown_name_is_told_with_the_known_ones(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        with pytest.raises(ControlError, match="no tunnel is wanted") as none:
            await office.handlers.rekey(ALICE, Rekey())
        assert none.value.kind == "tunnel.unknown"
        with pytest.raises(ControlError, match="no tunnel is wanted"):
            await office.handlers.down(ALICE, Down("office"))
        assert (await office.handlers.down(ALICE, Down())).names == ()  # there is nothing to end
        await office.handlers.up(ALICE, UP)
        with pytest.raises(ControlError, match="office") as near:
            await office.handlers.down(ALICE, Down("ofice"))
        assert near.value.hint == 'Did you mean "office"?'
        with pytest.raises(ControlError, match="office") as far:
            await office.handlers.down(ALICE, Down("xyz"))
        assert far.value.hint == "Name one of them."

    play(tmp_path, scene)


def test_a_profile_that_cannot_be_used_is_refused_with_the_key(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        with pytest.raises(ControlError, match=r"gateway\.adresses") as error:
            await office.handlers.up(ALICE, Up(profile=PROFILE.replace("addresses", "adresses"), secrets=KEY))
        assert error.value.kind == "profile.invalid"
        assert "addresses" in error.value.hint
        assert office.handlers.status().tunnels == ()

    play(tmp_path, scene)


def test_a_missing_private_key_is_said_at_once(tmp_path: Path) -> None:
    text = (
        PROFILE.replace('method = "psk"', 'method = "cert"\ncert = "file:me.pem"\nkey = "file:me.key"')
        + '[trust]\nca = ["file:ca.pem"]\n'
    )
    authority = pem(AUTHORITY.certificate).encode()

    async def scene(office: Office) -> None:
        files = {"file:me.pem": authority, "file:ca.pem": authority}
        with pytest.raises(ControlError) as error:
            await office.handlers.up(ALICE, Up(profile=text, files=files))
        assert error.value.kind == "auth.needs_secret"
        assert office.handlers.status().tunnels == ()

    play(tmp_path, scene)


def test_a_second_full_tunnel_is_refused(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        full = PROFILE[: PROFILE.index("[routing]")]
        await office.handlers.up(ALICE, Up(profile=full, secrets=KEY))
        with pytest.raises(ControlError) as error:
            await office.handlers.up(ALICE, Up(profile=full.replace("office", "other"), secrets=KEY))
        assert error.value.kind == "conflict.full_tunnel"
        assert [tunnel.name for tunnel in office.handlers.status().tunnels] == ["office"]

    play(tmp_path, scene)


def test_a_system_profile_is_read_by_the_daemon_and_shared(tmp_path: Path) -> None:
    write_system_profile(tmp_path, PROFILE)

    async def scene(office: Office) -> None:
        (entry,) = await listed(office)
        assert (entry.name, entry.gateway, entry.problem) == ("office", "vpn.example.com", "")
        await office.handlers.up(ALICE, Up(name="office", secrets=KEY))
        await office.machine.until_state("up", 5)
        assert office.machine.status.shared
        assert (await office.handlers.down(BOB, Down("office"))).names == ("office",)

    play(tmp_path, scene)


def test_an_unknown_or_broken_system_profile_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_system_profile(tmp_path, "schema = 9", "broken")

    async def scene(office: Office) -> None:
        with pytest.raises(ControlError) as error:
            await office.handlers.up(ALICE, Up(name="office"))
        assert error.value.kind == "profile.unknown"
        for name in ("../broken", "../system/broken.toml"):
            with pytest.raises(ControlError) as error:
                await office.handlers.up(ALICE, Up(name=name))
            assert error.value.kind == "profile.unknown", "a name is no path"
        (entry,) = await listed(office)
        assert "newer" in entry.problem

    play(tmp_path, scene)


def test_reauth_logs_in_anew_beside_the_session_that_stands(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        with pytest.raises(ControlError) as error:
            await office.handlers.reauth(ALICE, Named())
        assert error.value.kind == "tunnel.not_connected"
        await office.machine.until_state("up", 5)
        before, told = office.machine.status.session, len(office.machine.statuses)
        await office.handlers.reauth(ALICE, Named())
        await office.machine.until(lambda: office.machine.status.session != before, 2)
        await office.machine.until_state("up", 2)
        assert {status.state for status in office.machine.statuses[told:]} == {"up"}
        assert office.machine.status.renewal is None

    play(tmp_path, scene)


def test_a_reauth_that_fails_leaves_the_tunnel_up_and_says_why(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        before = office.machine.status.session
        office.machine.internet.is_gateway_up = False
        await office.handlers.reauth(ALICE, Named())
        await office.machine.until(lambda: office.machine.status.renewal is not None, 120)
        renewal = office.machine.status.renewal
        assert renewal is not None
        assert renewal.kind == "net.no_response"
        assert (office.machine.status.state, office.machine.status.session) == ("up", before)

    play(tmp_path, scene)


def test_rekey_needs_a_tunnel_that_stands(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        with pytest.raises(ControlError) as error:
            await office.handlers.rekey(ALICE, Rekey())
        assert error.value.kind == "tunnel.not_connected"
        await office.machine.until_state("up", 5)
        before = office.machine.data_path.outbound
        await office.handlers.rekey(ALICE, Rekey())
        await office.machine.until(lambda: office.machine.data_path.outbound != before, 2)

    play(tmp_path, scene)


def test_after_a_restart_the_tunnel_waits_for_its_secret_behind_the_guard(tmp_path: Path) -> None:
    async def before(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)

    async def after(office: Office) -> None:
        (intent,) = office.intents.load()
        await office.tunnels.restore(user_order(intent.owner, intent.text, intent.files, {}))
        await office.machine.until_state("blocked", 1)
        await asyncio.sleep(1)
        assert office.machine.status.guard
        assert [route.link for route in office.machine.system.config.routes] == [None]
        (needed,) = office.handlers.pending_secrets()
        assert (needed.tunnel, needed.kind, needed.owner) == ("office", "password", 1000)
        assert "Pre-shared key" in needed.prompt
        with pytest.raises(ControlError):
            await office.handlers.answer(BOB, SecretAnswer(needed.id, KEY["ask:"]))
        await office.handlers.answer(ALICE, SecretAnswer(needed.id, KEY["ask:"]))
        await office.machine.until_state("up", 5)
        assert office.handlers.pending_secrets() == ()
        with pytest.raises(ControlError) as error:
            await office.handlers.answer(ALICE, SecretAnswer(needed.id, KEY["ask:"]))
        assert error.value.kind == "secret.unknown"

    play(tmp_path, before)
    play(tmp_path, after)


def test_a_question_is_void_after_two_minutes(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.tunnels.restore(user_order(1000, PROFILE, {}, {}))
        await office.machine.until(lambda: bool(office.questions()), 1)
        (needed,) = office.questions()
        await asyncio.sleep(121)
        assert office.handlers.pending_secrets() == ()
        with pytest.raises(ControlError):
            await office.handlers.cancel(ALICE, SecretCancel(needed.id))

    play(tmp_path, scene)


def test_cleanup_ends_everything(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        await office.handlers.up(ALICE, UP)
        await office.machine.until_state("up", 5)
        cleaned = await office.handlers.cleanup(ROOT, Empty())
        assert cleaned.removed == ("tunnel office",)
        assert office.handlers.status().tunnels == ()

    play(tmp_path, scene)


@pytest.mark.parametrize(("words", "second"), [("", True), ('send_idr = "always"\n', False)])
def test_a_refused_gateway_name_is_left_out_of_the_second_login(words: str, second: bool) -> None:
    text = PROFILE.replace("[identity]\n", f"[identity]\n{words}")
    wish = user_order(1000, text, {}, {"ask:": Secret(b"key")}).wish(1)
    assert wish.session.send_idr
    assert (wish.after_refusal is not None) is second
    assert wish.after_refusal is None or not wish.after_refusal.send_idr


def test_private_keys_are_not_kept_on_disk() -> None:
    text = (
        PROFILE.replace('method = "psk"', 'method = "cert"\ncert = "file:me.pem"\nkey = "file:me.key"')
        + '[trust]\nca = ["file:ca.pem"]\n'
    )
    files = {"file:me.pem": b"c", "file:me.key": b"k", "file:ca.pem": pem(AUTHORITY.certificate).encode()}
    assert sorted(user_order(1000, text, files, {}).public_files) == ["file:ca.pem", "file:me.pem"]
