"""What is built is all that is needed, and nothing of what is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.xdist_group("wheel")
ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("client", "ui", "profiles")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    place = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet", "--no-deps"]
    done = subprocess.run([*pip, "--wheel-dir", place, ROOT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = place.glob("roam_vpn-*.whl")
    return ZipFile(file)


@pytest.mark.slow
def test_the_wheel_holds_all_of_the_packages_and_nothing_else(wheel: ZipFile) -> None:
    sources = {
        str(path.relative_to(ROOT))
        for name in PACKAGES
        for path in (ROOT / name).rglob("*")
        if path.suffix in {".py", ".tcss", ".toml", ".json"}
    }
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert sources <= held
    assert "ui/tui/theme.tcss" in held
    assert {name.split("/")[0] for name in held} == set(PACKAGES)
    assert not any(name.endswith(".pyc") for name in held)


@pytest.mark.slow
def test_the_wheel_brings_the_two_commands(wheel: ZipFile) -> None:
    (entries,) = (name for name in wheel.namelist() if name.endswith("entry_points.txt"))
    lines = wheel.read(entries).decode().split("\n")
    assert {"roam = ui.cli:main", "roamd = client.daemon.main:main"} <= set(lines)
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())
