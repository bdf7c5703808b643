"""The kernel's tables: what we ask for is there, and nothing of it stays."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import tomllib
from collections.abc import Callable
from contextlib import closing
from ipaddress import ip_address
from pathlib import Path as FilePath

from client.ike.events import Endpoint, Path
from client.lab.syscalls import CLONE_NEWNET, PR_SET_KEEPCAPS, prctl, set_capabilities, setns
from client.system.choice import DataPathKind, choose_data_path
from client.system.datapath import PoliciesMended
from client.system.kernel import KernelDataPath, sweep_kernel
from client.system.userspace import PumpPool, UserspaceDataPath
from client.system.xfrm import Xfrm
from client.system.xfrm_model import SaId
from client.system.xfrm_tunnel import IF_IDS, sweep
from tests.esp.children import AES_CBC_ESN, AES_GCM_ESN, child_pair
from tests.esp.tunnel import OUTER, SPARE, natt_socket, udp_echo
from tests.esp.wire import Namespace, two_namespaces

from .cases import case
from .ends import LINK, MTU, End, install, tunnel

GOLDENS = FilePath(__file__).resolve().parents[1] / "system/vectors/ip_xfrm.toml"
_CAP_NET_ADMIN = 12
_NOBODY = 65534
_NETLINK_XFRM, _ERROR = 6, b"\2\0"
_ANY = range(1 << 32)


def tables(namespace: Namespace) -> str:
    """All SAs, policies and links of a namespace, as lines."""
    with namespace.entered(), Xfrm() as xfrm:
        sas = [f"{sa.id} if_id {sa.if_id:x}" for sa in xfrm.sas()]
        policies = [f"{policy}" for policy in xfrm.policies()]
    return "\n".join([*sas, *policies, *sorted(namespace.links())])


@case
async def the_kernel_is_chosen_and_trying_it_leaves_nothing() -> str:
    with two_namespaces() as (namespace, _):
        before = tables(namespace)
        with namespace.entered():
            choice = await asyncio.to_thread(choose_data_path)
        assert choice.kind is DataPathKind.XFRM, choice
        assert tables(namespace) == before
        return choice.reason


@case
async def every_message_of_iproute2_and_so_every_one_of_ours_is_accepted() -> str:
    goldens = {name: bytes.fromhex(row["sent"]) for name, row in tomllib.loads(GOLDENS.read_text()).items()}
    first = {
        "updsa": "newsa_aead",
        "delsa": "newsa_aead",
        "getsa_v6": "newsa_chacha",
        "delpolicy": "newpolicy_out",
    }
    with two_namespaces() as (namespace, _):
        netlink = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_XFRM)
        with namespace.entered(), Xfrm() as xfrm, closing(netlink):
            for name, message in goldens.items():
                if name in first:
                    netlink.send(goldens[first[name]])
                    netlink.recv(1 << 16)
                netlink.send(message)
                answer = netlink.recv(1 << 16)
                refused = answer[4:6] == _ERROR and answer[16:20] != bytes(4)
                assert not refused, f"{name}: {answer[16:20].hex()}"
                sweep(xfrm, _ANY)
    return f"{len(goldens)} messages"


@case
async def iproute2_shows_what_was_asked_for() -> str:
    async with tunnel(algorithms=AES_GCM_ESN) as (one, other):
        assert await udp_echo(one, other, 4)
        states = one.ip("-s", "xfrm", "state", "list", "nokeys")
        row = await one.row()
        wanted = (
            f"proto esp spi 0x{row.spi_in:08x}(",
            "mode tunnel",
            "replay-window 0 seq",
            "flag af-unspec esn",
            "aead rfc4106(gcm(aes)) ",
            f"encap type espinudp sport {one.local.port} dport {other.local.port}",
            f"encap type espinudp sport {other.local.port} dport {one.local.port}",
            "replay_window 1024, bitmap-length 32",
            "output-mark 0x7300/0xff00",
            f"if_id 0x{IF_IDS[0]:x}",
        )
        missing = [text for text in wanted if text not in states]
        assert not missing, f"{missing} not in\n{states}"
        policies = one.ip("xfrm", "policy")
        for text in ("dir out priority 1000", "dir in priority 1000", "dir fwd priority 1000"):
            assert policies.count(text) == 2, policies
        return f"{len(wanted)} properties in `ip -s xfrm state`, six policies"


@case
async def algorithms_are_shown_with_their_full_icv() -> str:
    async with tunnel(algorithms=AES_CBC_ESN) as (one, _):
        states = one.ip("xfrm", "state", "list", "nokeys")
        assert "auth-trunc hmac(sha512)" in states, states
        assert states.split("auth-trunc hmac(sha512) ")[1].split("\n")[0].split()[-1] == "256", states
        return "hmac(sha512) cut to 256 bits"


@case
async def policies_that_are_flushed_come_back_and_traffic_with_them() -> str:
    async with tunnel() as (one, other):
        assert await udp_echo(one, other, 4)
        before = tables(one.namespace)
        await asyncio.to_thread(one.ip, "xfrm", "policy", "flush")
        mended = await one.next(PoliciesMended)
        assert len(mended.steps) == 6, mended.steps
        assert sorted(tables(one.namespace).split("\n")) == sorted(before.split("\n"))
        assert await udp_echo(one, other, 4)
        return f"six policies, the last one: {mended.steps[-1]}"


@case
async def closing_leaves_nothing() -> str:
    async with tunnel(algorithms=AES_GCM_ESN) as (one, other):
        await install(one, other, seed="second")
        await one.data_path.close()
        left = tables(one.namespace)
        assert left.split() == ["lo", "spare", "wire"], left
        return "links lo, spare and wire, no SA, no policy"


@case
async def a_reserved_spi_gives_way_to_its_sa() -> str:
    async with tunnel() as (one, other):
        ours, _ = child_pair(seed="reserved", spis=(0xC0FFEE01, 0xC0FFEE02))
        with one.namespace.entered(), Xfrm() as xfrm:
            for destination, source, spi in (
                (one.local.address, other.local.address, ours.spi_in),
                (other.local.address, one.local.address, ours.spi_out),
            ):
                xfrm.allocate_spi(SaId(destination, spi, source), 99, IF_IDS[0])
            assert sum(sa.larval for sa in xfrm.sas()) == 2
        await one.data_path.install(ours, Path("wire", one.local, other.local))
        with one.namespace.entered(), Xfrm() as xfrm:
            assert not [sa for sa in xfrm.sas() if sa.larval]
        return "two larval SAs became real ones"


@case
async def an_spi_of_another_program_is_left_alone() -> str:
    async with tunnel() as (one, other):
        ours, _ = child_pair(seed="taken", spis=(0xC0FFEE01, 0xC0FFEE02))
        ends = ("src", str(other.local.address), "dst", str(one.local.address), "proto", "esp")
        one.ip(
            "xfrm",
            "state",
            "add",
            *ends,
            "spi",
            "0xc0ffee01",
            "mode",
            "tunnel",
            "enc",
            "cbc(aes)",
            "0x" + "00" * 16,
        )
        before = tables(one.namespace)
        try:
            await one.data_path.install(ours, Path("wire", one.local, other.local))
        except OSError as error:
            assert tables(one.namespace) == before
            assert await udp_echo(one, other, 4)
            return f"refused ({error.strerror}), and everything is as before"
        raise AssertionError("it was installed")


@case
async def what_a_killed_process_leaves_is_swept() -> str:
    with two_namespaces() as (one, other):
        before = tables(one)
        await asyncio.to_thread(_in_child, lambda: asyncio.run(_be_killed(one, other)))
        between = tables(one)
        assert between.count("if_id") >= 8, between
        with one.entered():
            swept = sweep_kernel()
        after = tables(one).replace(f"\n{LINK}", "")
        assert after == before, after
        with one.entered():
            again = await KernelDataPath.start(LINK, MTU)  # in spite of the link that is left
        await again.close()
        assert tables(one) == before
        return f"{len(swept)} objects"


@case
async def what_a_killed_process_leaves_gives_way_to_the_other_data_path() -> str:
    """A link of the kernel's kind stays where a TUN link would vanish: its name must be free again."""
    with two_namespaces() as (one, other):
        await asyncio.to_thread(_in_child, lambda: asyncio.run(_be_killed(one, other)))
        assert LINK in one.links()
        pool = PumpPool()
        with one.entered():
            data_path = await UserspaceDataPath.start(LINK, MTU, pool)
        kind = json.loads(_ip(one, "-d", "-j", "link", "show", LINK))[0]["linkinfo"]["info_kind"]
        await data_path.close()
        await pool.close()
        assert kind == "tun", kind
        assert LINK not in one.links()
        return f"{LINK} was xfrm, and is {kind}"


def _ip(namespace: Namespace, *arguments: str) -> str:
    with namespace.entered():
        return subprocess.run(("ip", *arguments), capture_output=True, text=True, check=True).stdout


def _in_child(body: Callable[[], None]) -> None:
    child = os.fork()
    if child == 0:
        body()
        os._exit(1)
    os.waitpid(child, 0)


async def _be_killed(one: Namespace, other: Namespace) -> None:
    end, peer = await _end(one, 0), natt_socket(other, OUTER[4][1])
    await end.point_at(peer[1])
    ours, _ = child_pair()
    await end.data_path.install(ours, Path("wire", end.local, peer[1]))
    os.kill(os.getpid(), signal.SIGKILL)


async def _end(namespace: Namespace, number: int) -> End:
    with namespace.entered():
        data_path = await KernelDataPath.start(LINK, MTU)
    return End(namespace, number, data_path, *natt_socket(namespace, OUTER[4][number]), encapsulate=True)


@case
async def a_new_tunnel_does_not_keep_what_a_killed_one_has_left() -> str:
    with two_namespaces() as (one, other):
        await asyncio.to_thread(_in_child, lambda: asyncio.run(_be_killed(one, other)))
        with one.entered():
            data_path = await KernelDataPath.start(LINK, MTU)
        left = tables(one)
        assert left.split() == ["lo", LINK, "spare", "wire"], left
        await data_path.close()
        return "the number of the interface is the same, its tables are empty"


@case
async def an_ordinary_uid_with_one_capability_can_do_it_all() -> str:
    with two_namespaces() as (one, other):
        _, remote = natt_socket(other, OUTER[4][1])
        setns(one.fd, CLONE_NEWNET)  # for good: this process has nothing else to do
        _become_nobody()
        assert (await asyncio.to_thread(choose_data_path)).kind is DataPathKind.XFRM
        data_path = await KernelDataPath.start(LINK, MTU)
        ours, _ = child_pair()
        for number, address in enumerate((OUTER[4][0], SPARE[0])):
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as natt:
                natt.bind((address, 0))
                path = Path("wire", Endpoint(ip_address(address), natt.getsockname()[1]), remote)
                await data_path.rebind(path, natt.fileno(), encapsulate=True)
            if number == 0:
                await data_path.install(ours, path)
        assert len(await data_path.counters()) == 1
        await data_path.close()
        with Xfrm() as xfrm:
            assert (xfrm.sas(), xfrm.policies()) == ((), ())
        return f"uid {os.getuid()}: chosen, made, moved and taken away"


def _become_nobody() -> None:
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups(())
    os.setresgid(_NOBODY, _NOBODY, _NOBODY)
    os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    set_capabilities(frozenset({_CAP_NET_ADMIN}))
