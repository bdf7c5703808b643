"""The desktop's menu entry, and the unit of a user's session."""

from __future__ import annotations

import configparser
import shutil
from pathlib import Path

import pytest

from client.lab.namespaces import Namespace, Surroundings
from tests.netns.peers.releases import PeerUnavailable, release
from ui.cli import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
ENTRY = ROOT / "packaging/desktop/roam.desktop"
UNIT = ROOT / "packaging/systemd/roam-notify.service"


def read(path: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return parser


@pytest.mark.netns
@pytest.mark.slow
def test_the_menu_entry_keeps_to_the_specification(tmp_path: Path) -> None:
    """desktop-file-validate of Debian's desktop-file-utils says nothing: no error, no warning, no hint."""
    try:
        tools = release("trixie", ("desktop-file-utils",), "desktop")
    except PeerUnavailable as error:
        pytest.skip(str(error))
    shutil.copy(ENTRY, tmp_path)
    said = tmp_path / "said"
    namespace = Namespace.create("desktop")
    with said.open("wb") as output:
        around = Surroundings(prepare=lambda: tools.enter(tmp_path), output=output)
        command = ["/usr/bin/desktop-file-validate", "--warn-kde", "/run/peer/roam.desktop"]
        process = namespace.start(command, around)
        code = process.wait(30)
    namespace.close()
    assert (code, said.read_text()) == (0, "")


def test_the_menu_entry_opens_the_terminal_ui_in_a_terminal() -> None:
    entry = read(ENTRY)["Desktop Entry"]
    program, command = entry["Exec"].split()
    assert (program, entry["TryExec"], entry["Terminal"]) == ("/usr/lib/roam/bin/roam", program, "true")
    assert command in COMMANDS


def test_notifications_begin_and_end_with_a_desktop_session() -> None:
    unit = read(UNIT)
    assert unit["Unit"]["PartOf"] == unit["Install"]["WantedBy"] == "graphical-session.target"
    program, command, option = unit["Service"]["ExecStart"].split()
    assert (program, command, option) == ("/usr/lib/roam/bin/roam", "watch", "--notify")
    assert command in COMMANDS
