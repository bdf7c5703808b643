"""`make install` and `make uninstall`, in a private root and into a staging directory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.daemon.warden import FILE
from tests.packaging.private_root import PrivateRoot

pytestmark = pytest.mark.xdist_group("install")
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "SUDO_USER": "someone"}

EXPECTED = (
    "/usr/bin/roam",
    "/usr/bin/roamd",
    "/usr/lib/roam/bin/python",
    "/usr/lib/roam/bin/roam-dns",
    "/usr/lib/systemd/system/roam-dns.service",
    "/usr/lib/systemd/system/roam-dns.socket",
    "/usr/lib/systemd/system/roam-lockdown.service",
    "/usr/lib/systemd/system/roamd.service",
    "/usr/lib/systemd/user/roam-notify.service",
    "/usr/share/applications/roam.desktop",
    "/usr/lib/sysusers.d/roam.conf",
    "/usr/lib/tmpfiles.d/roam.conf",
    "/usr/share/polkit-1/rules.d/50-roam.rules",
    "/usr/share/doc/roam/LICENSE",
    "/usr/share/doc/roam/README.md",
)


def system_python() -> str | None:
    """A Python that the daemon's user may run: not one in somebody's home."""
    candidates = (Path(sys.base_prefix, "bin/python3"), Path("/usr/bin/python3"))
    usable = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    for path in candidates:
        at_home = path.is_relative_to("/root") or path.is_relative_to("/home")
        if (
            path.exists()
            and not at_home
            and subprocess.run([path, "-c", usable], check=False).returncode == 0
        ):
            return str(path)
    return None


@pytest.fixture(scope="module")
def python() -> str:
    found = system_python()
    if found is None:
        pytest.skip("no Python 3.11 with venv outside home directories: sudo apt install python3-venv")
    return found


@pytest.fixture
def private_root(tmp_path: Path) -> Iterator[PrivateRoot]:
    with PrivateRoot(tmp_path, visible=[ROOT]) as root:
        yield root


def make(root: PrivateRoot, python: str, goal: str) -> str:
    answer = root.run(["/usr/bin/make", "-C", ROOT, goal, f"PYTHON={python}"], ENVIRONMENT)
    assert answer.returncode == 0, answer.stdout
    return answer.stdout


@pytest.mark.netns
@pytest.mark.slow
def test_installed_roam_runs_and_uninstall_leaves_nothing(private_root: PrivateRoot, python: str) -> None:
    said = make(private_root, python, "install")
    assert set(map(Path, EXPECTED)) <= private_root.changed()
    assert "sudo usermod -aG roam someone" in said
    assert "\nroam:" in (private_root.root / "etc/passwd").read_text()
    secrets = (private_root.root / "etc/roam/secrets").stat()
    assert (secrets.st_mode & 0o777, secrets.st_uid) == (0o700, uid_of_roam(private_root))

    as_daemon = ["/usr/sbin/runuser", "-u", "roam", "--"]
    for command in (
        ["/usr/bin/roam", "--version"],
        ["/usr/bin/roamd", "--version"],
        ["/usr/bin/roamd", "--help"],
        [*exec_start(private_root), "--help"],  # the unit's own options are ones that it has
        ["/usr/lib/roam/bin/python", "-c", "import client.esp.pump, ui.tui.app"],
    ):
        answer = private_root.run([*as_daemon, *command], ENVIRONMENT)
        assert answer.returncode == 0, answer.stdout
    compiled = {path.name for path in private_root.changed() if path.suffix == ".pyc"}
    for module in ("cli", "status", "driver", "store"):
        assert any(name.startswith(f"{module}.") for name in compiled)

    make(private_root, python, "uninstall")
    assert named_roam(private_root) == []
    for table in ("passwd", "group"):
        assert "\nroam:" not in (private_root.root / "etc" / table).read_text()


@pytest.mark.netns
@pytest.mark.slow
def test_uninstall_keeps_what_somebody_wrote(private_root: PrivateRoot, python: str) -> None:
    make(private_root, python, "install")
    profile = private_root.root / "etc/roam/profiles/work.toml"
    profile.write_text("schema = 1\n")
    assert "/etc/roam stays" in make(private_root, python, "uninstall")
    assert named_roam(private_root) == [Path("/etc/roam/profiles/work.toml")]


@pytest.mark.slow
def test_staged_roam_names_its_final_place(tmp_path: Path) -> None:
    """What whoever builds a package does, without any right; the staging directory is named nowhere."""
    stage = tmp_path / "stage"
    command = ["make", "-C", str(ROOT), f"DESTDIR={stage}", "PREFIX=/opt/roam", f"PYTHON={sys.executable}"]
    subprocess.run([*command, "install"], check=True, env=ENVIRONMENT, capture_output=True)
    assert (stage / "opt/roam/lib/roam/bin/roam").read_text().startswith("#!/opt/roam/lib/roam/bin/python")
    unit = (stage / "opt/roam/lib/systemd/system/roamd.service").read_text()
    assert "ExecStart=/opt/roam/lib/roam/bin/roamd " in unit
    for started, line in (
        ("lib/systemd/user/roam-notify.service", "ExecStart=/opt/roam/lib/roam/bin/roam watch --notify"),
        ("share/applications/roam.desktop", "Exec=/opt/roam/lib/roam/bin/roam tui"),
    ):
        assert line in (stage / "opt/roam" / started).read_text().splitlines()
    assert os.readlink(stage / "opt/roam/bin/roamd") == "/opt/roam/lib/roam/bin/roamd"
    assert (stage / "etc/polkit-1/rules.d/50-roam.rules").exists()
    naming = [
        path for path in stage.rglob("*") if path.is_file() and str(stage).encode() in path.read_bytes()
    ]
    assert naming == []
    subprocess.run([*command, "uninstall"], check=True, env=ENVIRONMENT, capture_output=True)
    assert not stage.exists()


def test_uninstall_of_nothing_says_what_to_name(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, ROOT / "packaging/install.py", "uninstall", "--destdir", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "name the PREFIX" in answer.stderr


def test_daemon_has_one_capability_and_never_root() -> None:
    unit = (ROOT / "packaging/systemd/roamd.service").read_text().splitlines()
    assert "User=roam" in unit
    assert "AmbientCapabilities=CAP_NET_ADMIN" in unit
    assert "CapabilityBoundingSet=CAP_NET_ADMIN" in unit
    assert "NoNewPrivileges=yes" in unit


def exec_start(root: PrivateRoot) -> list[str]:
    """The command of the installed unit."""
    unit = (root.root / "usr/lib/systemd/system/roamd.service").read_text()
    (line,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    return line.removeprefix("ExecStart=").split()


def test_lockdown_closes_before_any_network_and_has_no_other_right() -> None:
    unit = (ROOT / "packaging/systemd/roam-lockdown.service").read_text().splitlines()
    daemon = (ROOT / "packaging/systemd/roamd.service").read_text().splitlines()
    (before,) = [line.split() for line in unit if line.startswith("Before=")]
    assert before[0] == "Before=network-pre.target"
    assert "roamd.service" in before
    assert "Wants=network-pre.target" in unit
    assert "DefaultDependencies=no" in unit
    assert any("roam-lockdown.service" in line for line in daemon if line.startswith("After="))
    state_dirs = {
        word
        for line in (*unit, *daemon)
        if line.startswith("ExecStart=")
        for word in line.split()
        if "/var" in word
    }
    assert state_dirs == {"/var/lib/roam"}
    assert f"ConditionPathExists=/var/lib/roam/{FILE}" in unit
    assert "CapabilityBoundingSet=CAP_NET_ADMIN" in unit


def uid_of_roam(root: PrivateRoot) -> int:
    lines = (root.root / "etc/passwd").read_text().splitlines()
    return next(int(line.split(":")[2]) for line in lines if line.startswith("roam:"))


def named_roam(root: PrivateRoot) -> list[Path]:
    """What is left with our name in its path, outside this source tree."""
    return sorted(path for path in root.changed() if "roam" in str(path) and not path.is_relative_to(ROOT))
