"""/etc/resolv.conf itself: exactly what was there comes back, whatever happened in between."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from client.lab.namespaces import Namespace
from client.lab.syscalls import (
    MS_BIND,
    MS_RDONLY,
    MS_REMOUNT,
    mount,
)
from client.system.resolver.choice import Way
from client.system.resolver.detect import Places
from client.system.resolver.file import KEPT, File
from client.system.resolver.resolver import Fights, Resolver
from tests.system.resolver.private_etc import HOME, in_private_etc
from tests.system.resolver.scene import FULL, SPLIT, Scene, asked_by_a_program, eventually, scene

ROOT = Path(__file__).resolve().parents[3]
OTHER = "nameserver 172.16.0.1\n"


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    return directory


def plain(etc: Path) -> None:
    (etc / "resolv.conf").write_text(HOME)
    (etc / "resolv.conf").chmod(0o640)
    os.utime(etc / "resolv.conf", (1_000_000_000, 1_000_000_000))


def link(etc: Path) -> None:
    (etc / "resolv.conf").symlink_to("../run/somebody/resolv.conf")


def empty(etc: Path) -> None:
    (etc / "resolv.conf").write_text("")


def nothing(etc: Path) -> None:
    pass


BEFORE = [plain, link, empty, nothing]


def look(etc: Path) -> dict[str, object]:
    """All that can be seen of a directory, but for the times of what is not old."""
    seen: dict[str, object] = {}
    for path in sorted(etc.iterdir()):
        status = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes()
        seen[path.name] = (content, status.st_mode, status.st_uid, int(status.st_mtime), status.st_nlink)
    return seen


@pytest.mark.parametrize("before", BEFORE)
def test_what_was_there_comes_back(etc: Path, before: Callable[[Path], None]) -> None:
    before(etc)
    seen = look(etc)
    file = File(etc)
    for config in (FULL, SPLIT, FULL):
        file.apply([config])
        assert file.holds([config])
    assert (etc / "resolv.conf").read_text().splitlines()[1] == "nameserver 10.77.0.1"
    assert (etc / "resolv.conf").stat().st_mode & 0o777 == 0o644
    file.restore()
    file.restore()
    assert look(etc) == seen
    assert not file.is_touched()


def test_applying_twice_writes_once(etc: Path) -> None:
    plain(etc)
    File(etc).apply([FULL])
    inode = (etc / "resolv.conf").stat().st_ino
    File(etc).apply([FULL])
    assert (etc / "resolv.conf").stat().st_ino == inode


def test_the_underlays_file_is_known_while_ours_stands(etc: Path) -> None:
    plain(etc)
    assert not (etc / KEPT).exists()
    File(etc).apply([FULL])
    assert (etc / KEPT).read_text() == HOME


def test_what_somebody_wrote_over_ours_is_what_comes_back(etc: Path) -> None:
    plain(etc)
    file = File(etc)
    file.apply([SPLIT])
    (etc / "resolv.conf").write_text(OTHER)
    assert not file.holds([SPLIT])
    file.apply([SPLIT])
    assert "nameserver 172.16.0.1\n" in (etc / "resolv.conf").read_text()
    file.restore()
    assert (etc / "resolv.conf").read_text() == OTHER
    assert [path.name for path in etc.iterdir()] == ["resolv.conf"]


def test_what_somebody_wrote_over_ours_stays(etc: Path) -> None:
    plain(etc)
    File(etc).apply([FULL])
    (etc / "resolv.conf").write_text(OTHER)
    File(etc).restore()
    assert (etc / "resolv.conf").read_text() == OTHER
    assert [path.name for path in etc.iterdir()] == ["resolv.conf"]


def test_what_somebody_deleted_is_put_back(etc: Path) -> None:
    plain(etc)
    seen = look(etc)
    file = File(etc)
    file.apply([FULL])
    (etc / "resolv.conf").unlink()
    file.apply([FULL])
    assert file.holds([FULL])
    file.restore()
    assert look(etc) == seen


def test_a_resolv_conf_of_rubbish_is_no_hindrance(etc: Path) -> None:
    (etc / "resolv.conf").write_bytes(b"nameserver \xff\xfe\nsearch \x1b[31m\n" + b"x" * 100_000)
    seen = look(etc)
    File(etc).apply([SPLIT])
    File(etc).restore()
    assert look(etc) == seen


def kill(etc: Path, verb: str, moment: int) -> bool:
    """Whether it was killed; false where it had ended before."""
    command = [sys.executable, "-m", "tests.system.resolver.killed", str(etc), verb, str(moment)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.slow
@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("verb", ["apply", "restore"])
def test_killed_at_any_moment_the_sweep_puts_it_right(
    tmp_path: Path, before: Callable[[Path], None], verb: str
) -> None:
    for moment in range(100):
        etc = tmp_path / str(moment)
        etc.mkdir()
        before(etc)
        seen = look(etc)
        if verb == "restore":
            File(etc).apply([FULL])
        was_killed = kill(etc, verb, moment)
        File(etc).restore()
        assert look(etc) == seen, f"killed before system call {moment}"
        if not was_killed:
            break
    assert 2 <= moment < 99


# --- on a real /etc, in mounts of the test's own


@pytest.fixture
def laptop() -> Iterator[Scene]:
    namespace = Namespace.create("laptop")
    with scene(namespace) as made:
        yield made
    namespace.close()


@pytest.mark.netns
@pytest.mark.parametrize("mounted", [False, True], ids=["a file", "a mount point"])
def test_programs_ask_the_tunnels_servers(tmp_path: Path, laptop: Scene, mounted: bool) -> None:
    def body() -> None:
        before = Path("/etc/resolv.conf").stat().st_ino, sorted(Path("/etc").iterdir())
        assert asked_by_a_program(laptop, "public.example") == {"home"}
        File().apply([FULL])
        assert asked_by_a_program(laptop, "public.example") == {"inside"}
        File().restore()
        assert asked_by_a_program(laptop, "public.example") == {"home"}
        assert (Path("/etc/resolv.conf").stat().st_ino, sorted(Path("/etc").iterdir())) == before

    in_private_etc(laptop.laptop, tmp_path / "layers", body, mounted=mounted)


@pytest.mark.netns
@pytest.mark.slow
@pytest.mark.parametrize("verb", ["apply", "restore"])
def test_killed_over_a_mount_point_the_sweep_puts_it_right(tmp_path: Path, laptop: Scene, verb: str) -> None:
    moments = iter(range(100))

    def body() -> None:
        for moment in moments:
            if verb == "restore":
                File().apply([FULL])
            was_killed = kill(Path("/etc"), verb, moment)
            File().restore()
            assert Path("/etc/resolv.conf").read_text() == HOME, f"killed before system call {moment}"
            assert not list(Path("/etc").glob("*roam*"))
            if not was_killed:
                break

    in_private_etc(laptop.laptop, tmp_path / "layers", body, mounted=True)
    assert 2 <= next(moments) < 99


@pytest.mark.netns
def test_a_read_only_etc_is_a_problem_with_its_reason(tmp_path: Path, laptop: Scene) -> None:
    def body() -> None:
        mount("none", "/etc", flags=MS_REMOUNT | MS_BIND | MS_RDONLY)

        async def main() -> None:
            resolver = Resolver(tmp_path / "state", Places(bus="unix:path=/nonexistent"))
            outcome = await resolver.apply([FULL])
            assert outcome.choice is not None
            assert outcome.choice.way is Way.DIRECT
            assert outcome.problems == ("file: Read-only file system (/etc/resolv.conf.roam-new)",)
            assert (await resolver.restore()).problems == ()

        asyncio.run(main())

    in_private_etc(laptop.laptop, tmp_path / "layers", body)


# --- watching


def watched(tmp_path: Path, etc: Path, body: Callable[[Resolver], Awaitable[None]]) -> None:
    async def main() -> None:
        resolver = Resolver(tmp_path / "state", Places(tmp_path, f"unix:path={tmp_path}/no-bus"))
        line = "file: no program manages /etc/resolv.conf"
        for _ in range(2):
            assert str((await resolver.apply([FULL])).choice) == line
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(resolver.watch())
            async with asyncio.timeout(10):
                await body(resolver)
            watching.cancel()

    asyncio.run(main())


def test_what_somebody_writes_over_ours_is_repaired(tmp_path: Path, etc: Path) -> None:
    plain(etc)

    async def body(resolver: Resolver) -> None:
        for text in (OTHER, HOME):
            (etc / "resolv.conf").write_text(text)
            await eventually(lambda: File(etc).holds([FULL]))
        assert (await resolver.restore()).problems == ()
        assert (etc / "resolv.conf").read_text() == HOME

    watched(tmp_path, etc, body)


def test_while_a_fight_is_given_up_everybody_is_told(tmp_path: Path, etc: Path) -> None:
    plain(etc)

    async def body(resolver: Resolver) -> None:
        resolver._fights = Fights(most=1, within=1.0)
        (etc / "resolv.conf").write_text(OTHER)
        await eventually(lambda: File(etc).holds([FULL]))
        (etc / "resolv.conf").write_text(OTHER)
        await eventually(lambda: bool(resolver.problems))
        (told,) = resolver.problems
        assert told.startswith("another program keeps changing name resolution: left to it for 1 s")
        await eventually(lambda: File(etc).holds([FULL]) and not resolver.problems)

    watched(tmp_path, etc, body)


def test_a_fight_is_given_up_for_a_while() -> None:
    fights = Fights(most=3, within=60)
    for now in (0.0, 1.0, 2.0):
        assert fights.delay(now) == 0
        fights.repaired(now)
    assert fights.delay(3.0) == 57
    assert fights.delay(60.0) == 0
    fights.repaired(60.0)
    assert fights.delay(60.5) == 0.5
    assert fights.delay(500.0) == 0
