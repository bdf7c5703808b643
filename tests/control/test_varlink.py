"""The varlink façade, octet by octet, and with systemd's own client."""

# ruff: noqa: ANN401 - answers are JSON

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from client.control.access import PeerCredentials
from client.control.connection import Outlet
from client.control.listener import listen
from client.control.messages import CLIENT_LIMIT, ControlError, Notice, TunnelStatus
from client.control.methods import METHODS
from client.control.varlink import VarlinkConnection
from client.control.varlink_idl import INTERFACE, description, method_name
from tests.control.fake import ROOT, DaemonThread, FakeDaemon, server_of, until
from tests.control.talk import MEMBER, STRANGER
from tests.netns.peers.releases import PeerUnavailable, Release
from tests.tools import INSIDE, run, shared_directory, started, tools

OFFICE = TunnelStatus("office", "up", owner=1000, identity="gw")


class Dialogue:
    """A client that writes its own octets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def say(self, octets: bytes) -> None:
        self._writer.write(octets)

    def call(self, method: str, *, more: bool = False, **parameters: object) -> None:
        name = method if "." in method else f"{INTERFACE}.{method}"
        message = {"method": name, "parameters": parameters, **({"more": True} if more else {})}
        self.say(json.dumps(message).encode() + b"\0")

    async def hear(self) -> Any:
        async with asyncio.timeout(10):
            octets = await self._reader.readuntil(b"\0")
        return json.loads(octets[:-1])

    async def ends(self) -> bool:
        async with asyncio.timeout(10):
            return await self._reader.read() == b""


@contextlib.asynccontextmanager
async def talking(path: Path, daemon: FakeDaemon, peer: PeerCredentials = ROOT) -> AsyncIterator[Dialogue]:
    server = server_of(daemon, peer)
    with listen(path, None) as listener:
        task = asyncio.create_task(server.serve(listener, VarlinkConnection))
        reader, writer = await asyncio.open_unix_connection(str(path))
        try:
            yield Dialogue(reader, writer)
        finally:
            writer.close()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


def ask(
    path: Path, method: str, daemon: FakeDaemon | None = None, peer: PeerCredentials = ROOT, **params: object
) -> Any:
    """One call and its reply."""

    async def talk() -> Any:
        async with talking(path, daemon or FakeDaemon(), peer) as client:
            client.call(method, **params)  # type: ignore[arg-type]
            return await client.hear()

    return asyncio.run(talk())


def office(**changes: object) -> FakeDaemon:
    daemon = FakeDaemon()
    daemon.tunnels["office"] = OFFICE.replace(**changes)
    return daemon


def test_the_service_tells_what_it_is(path: Path) -> None:
    info = ask(path, "org.varlink.service.GetInfo")["parameters"]
    assert info["interfaces"] == ["org.varlink.service", "org.roamvpn.Roam"]
    assert (info["product"], info["version"]) == ("Roam VPN client", "0.1")


@pytest.mark.parametrize("interface", ["org.varlink.service", "org.roamvpn.Roam"])
def test_an_interface_is_described(path: Path, interface: str) -> None:
    answer = ask(path, "org.varlink.service.GetInterfaceDescription", interface=interface)
    assert f"interface {interface}\n" in answer["parameters"]["description"]


def test_every_method_is_described_by_a_name_of_its_own() -> None:
    names = re.findall(r"^(?:method|type|error) (\w+)", description(INTERFACE), re.MULTILINE)
    assert len(names) == len(set(names))
    assert {method_name(name) for name in METHODS} <= set(names)


def test_what_is_used_in_the_description_is_defined_there() -> None:
    text = re.sub(r"#.*", "", description(INTERFACE))
    used = set(re.findall(r"[:\]?] ?\??(?:\[\w*\])*([A-Z]\w+)", text))
    assert used <= set(re.findall(r"^type (\w+)", text, re.MULTILINE))


def test_a_method_is_called_as_on_the_other_socket(path: Path) -> None:
    answer = ask(path, "TunnelStatus", office(), name="office")
    assert answer["parameters"]["tunnels"][0]["identity"] == "gw"
    assert "continues" not in answer


def test_calls_are_answered_in_their_order(path: Path) -> None:
    async def talk() -> list[str]:
        async with talking(path, office()) as client:
            client.call("TunnelStatus")
            client.call("Hello", program="test")
            client.call("LockdownStatus")
            return [next(iter((await client.hear())["parameters"])) for _ in range(3)]

    assert asyncio.run(talk()) == ["time", "protocol", "on"]


def test_a_oneway_call_has_no_reply(path: Path) -> None:
    async def talk() -> Any:
        async with talking(path, FakeDaemon()) as client:
            client.say(b'{"method":"org.roamvpn.Roam.TunnelStatus","oneway":true}\0')
            client.call("Hello")
            return await client.hear()

    assert "protocol" in asyncio.run(talk())["parameters"]


@pytest.mark.parametrize(
    ("method", "params", "error", "parameters"),
    [
        ("Explode", {}, "org.varlink.service.MethodNotFound", {"method": "org.roamvpn.Roam.Explode"}),
        (
            "org.varlink.service.Fly",
            {},
            "org.varlink.service.MethodNotFound",
            {"method": "org.varlink.service.Fly"},
        ),
        ("TunnelDown", {"force": "yes"}, "org.varlink.service.InvalidParameter", {"parameter": "force"}),
        (
            "org.varlink.service.GetInterfaceDescription",
            {"interface": "org.example"},
            "org.varlink.service.InterfaceNotFound",
            {"interface": "org.example"},
        ),
        (
            "org.varlink.service.GetInterfaceDescription",
            {},
            "org.varlink.service.InvalidParameter",
            {"parameter": "interface"},
        ),
    ],
)
def test_varlinks_own_errors(
    path: Path, method: str, params: dict[str, Any], error: str, parameters: dict[str, str]
) -> None:
    answer = ask(path, method, **params)
    assert (answer["error"], answer["parameters"]) == (error, parameters)


def test_a_refusal_has_kind_evidence_and_hint(path: Path) -> None:
    daemon = office()
    daemon.refusal = ControlError("conflict.full_tunnel", "home is a full tunnel too")
    answer = ask(path, "TunnelUp", daemon, name="office")
    assert answer["error"] == "org.roamvpn.Roam.Failed"
    assert answer["parameters"]["kind"] == "conflict.full_tunnel"
    assert "roam down" in answer["parameters"]["hint"]


@pytest.mark.parametrize(("peer", "kind"), [(STRANGER, "permission.denied"), (MEMBER, None)])
def test_the_same_permissions_hold(path: Path, peer: PeerCredentials, kind: str | None) -> None:
    answer = ask(path, "TunnelDown", office(), peer, name="office")
    assert answer["parameters"].get("kind") == kind


@pytest.mark.parametrize("octets", [b"\0", b"{\0", b"[1]\0", b'{"parameters":{}}\0', b'{"method":7}\0'])
def test_nonsense_gets_an_error_or_the_end(path: Path, octets: bytes) -> None:
    async def talk() -> str:
        async with talking(path, FakeDaemon()) as client:
            client.say(octets)
            return str((await client.hear())["parameters"]["kind"])

    assert asyncio.run(talk()) in {"rpc.parse", "rpc.request"}


def test_more_than_fits_ends_the_connection(path: Path) -> None:
    async def talk() -> bool:
        async with talking(path, FakeDaemon(), STRANGER) as client:
            client.say(b"x" * (1 << 17))
            return await client.ends()

    assert asyncio.run(talk())


def test_events_follow_a_snapshot(path: Path) -> None:
    async def talk() -> list[Any]:
        daemon = office()
        async with talking(path, daemon) as client:
            client.call("EventsSubscribe", more=True, topics=["tunnel"])
            told = [await client.hear()]
            daemon.change(Notice("another topic"))
            daemon.change(OFFICE.replace(state="moving"))
            return [*told, await client.hear()]

    snapshot, event = asyncio.run(talk())
    assert snapshot["continues"] is event["continues"] is True
    assert snapshot["parameters"]["snapshot"]["report"]["tunnels"][0]["state"] == "up"
    assert event["parameters"]["event"]["topic"] == "tunnel"
    assert event["parameters"]["event"]["tunnel"]["state"] == "moving"


def test_without_more_there_is_a_snapshot_only(path: Path) -> None:
    answer = ask(path, "EventsSubscribe", office())
    assert "continues" not in answer
    assert answer["parameters"]["snapshot"]["seq"] == 0


def test_events_are_replayed(path: Path) -> None:
    async def talk() -> list[Any]:
        daemon = office()
        async with talking(path, daemon) as client:
            for state in ("moving", "up"):
                daemon.change(OFFICE.replace(state=state))
            client.call("EventsSubscribe", more=True, since=1, boot="boot-1")
            return [await client.hear() for _ in range(2)]

    snapshot, event = asyncio.run(talk())
    assert snapshot["parameters"]["snapshot"]["replayed"] is True
    assert event["parameters"]["event"]["seq"] == 2


def test_a_place_becomes_free_when_a_client_leaves(path: Path) -> None:
    async def talk() -> None:
        server = server_of(FakeDaemon(), ROOT)
        with listen(path, None) as listener:
            task = asyncio.create_task(server.serve(listener, VarlinkConnection))
            async with asyncio.timeout(30):
                for _ in range(CLIENT_LIMIT + 2):
                    _reader, writer = await asyncio.open_unix_connection(str(path))
                    await until(lambda: len(server._connections) == 1)
                    writer.close()
                    await until(lambda: not server._connections)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    asyncio.run(talk())


# systemd's client


@pytest.fixture(scope="module")
def programs() -> Release:
    try:
        return tools()
    except PeerUnavailable as error:
        pytest.skip(f"varlinkctl: {error}")


@pytest.fixture
def shared() -> Iterator[Path]:
    with shared_directory() as directory:
        yield directory


class VarlinkThread(DaemonThread):
    """The fake daemon's façade in a loop of its own."""

    protocol: type[Outlet] = VarlinkConnection


@pytest.mark.netns
def test_varlinkctl_understands_us(programs: Release, shared: Path) -> None:
    address = f"{INSIDE}/v"
    thread = VarlinkThread(office(), shared / "v", ROOT)
    try:
        info = run(programs, shared, ["varlinkctl", "info", address])
        assert "org.roamvpn.Roam" in info.stdout, info.stderr
        told = run(programs, shared, ["varlinkctl", "introspect", address, INTERFACE])
        assert told.returncode == 0, told.stderr
        assert "method TunnelStatus" in told.stdout
        call = [
            "varlinkctl",
            "--json=short",
            "call",
            address,
            f"{INTERFACE}.TunnelStatus",
            '{"name":"office"}',
        ]
        done = run(programs, shared, call)
        assert json.loads(done.stdout)["tunnels"][0]["state"] == "up", done.stderr
        wrong = run(programs, shared, [*call[:-1], '{"name":"ofice"}'])
        assert wrong.returncode != 0
        assert "org.roamvpn.Roam.Failed" in wrong.stderr
    finally:
        thread.stop()


@pytest.mark.netns
def test_varlinkctl_follows_events(programs: Release, shared: Path) -> None:
    daemon = office()
    thread = VarlinkThread(daemon, shared / "v", ROOT)
    command = [
        "varlinkctl",
        "--more",
        "--json=short",
        "call",
        f"{INSIDE}/v",
        f"{INTERFACE}.EventsSubscribe",
        "{}",
    ]
    try:
        with started(programs, shared, command) as process:
            assert process.stdout is not None
            first = json.loads(process.stdout.readline().lstrip("\x1e"))
            thread.call(lambda: daemon.change(OFFICE.replace(state="moving")))
            second = json.loads(process.stdout.readline().lstrip("\x1e"))
    finally:
        thread.stop()
    assert first["snapshot"]["report"]["tunnels"][0]["state"] == "up"
    assert second["event"]["tunnel"]["state"] == "moving"
