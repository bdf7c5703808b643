"""The sentences that say why the lab cannot be built, and the pieces of private mounts that need no root."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from client.lab import isolation, mounts


@pytest.mark.parametrize(
    ("switch", "bad", "command"),
    [
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "apparmor_restrict_unprivileged_userns=0",
        ),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "unprivileged_userns_clone=1"),
        ("/proc/sys/user/max_user_namespaces", "0", "max_user_namespaces=15000"),
    ],
)
def test_refusal_names_the_switch_that_mends_it(switch: str, bad: str, command: str) -> None:
    sentence = isolation.explain(
        errno.EPERM, "changing a link in it", 1000, lambda path: bad if path == switch else None
    )
    assert f"{command}`" in sentence
    assert "run it as root" in sentence


def test_refusal_without_a_known_switch_says_run_it_as_root() -> None:
    assert isolation.explain(errno.EPERM, "opening a namespace", 1000, lambda _: None).endswith(
        "run it as root."
    )


def test_refused_root_is_told_about_containers() -> None:
    assert "--cap-add SYS_ADMIN" in isolation.explain(errno.EPERM, "opening a namespace", 0, lambda _: None)


@pytest.mark.parametrize(
    ("error", "command"), [(errno.EACCES, "chmod 0666 /dev/net/tun"), (errno.ENOENT, "modprobe tun")]
)
def test_a_tun_device_out_of_reach_is_said_with_what_mends_it(error: int, command: str) -> None:
    sentence = isolation.explain(error, "opening /dev/net/tun", 1000, lambda _: None)
    assert f"`sudo {command}`" in sentence


def test_a_directory_within_another_is_reached_through_it(tmp_path: Path) -> None:
    paths = [tmp_path / "a/b", tmp_path / "c", tmp_path / "a", tmp_path / "a/b"]
    assert mounts._outermost(paths) == [tmp_path / "a", tmp_path / "c"]


def test_the_outermost_closed_directory_is_the_one_to_cover(tmp_path: Path) -> None:
    inner = tmp_path / "home/project/venv"
    inner.mkdir(parents=True)
    (tmp_path / "home/project").chmod(0o700)
    tmp_path.chmod(0o755)
    closed = mounts._closed_ancestor(inner)
    assert closed is not None
    assert inner.is_relative_to(closed)
    assert not closed.stat().st_mode & 0o001
