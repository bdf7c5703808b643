"""`roam demo` as its users run it: root, and an ordinary uid that may use user namespaces."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from client.lab import demo_record
from client.lab.devices import offer_tun
from client.lab.laptop import PROGRAM, program_environment
from client.lab.namespaces import Account, Namespace, Surroundings

pytestmark = [pytest.mark.netns, pytest.mark.slow, pytest.mark.xdist_group("demo")]

PATIENCE = 120.0  # seconds for one demo
ACCOUNTS = {"root": None, "an ordinary uid": Account(1234, 1234, frozenset())}


def _may_open_namespaces(place: Namespace, account: Account) -> bool:
    code = "from client.lab.syscalls import CLONE_NEWUSER, unshare; unshare(CLONE_NEWUSER)"
    around = Surroundings(account=account, environment=program_environment(), output=subprocess.DEVNULL)
    return place.start([sys.executable, "-c", code], around).wait(PATIENCE) == 0


@pytest.fixture(scope="module", params=ACCOUNTS)
def demo(request: pytest.FixtureRequest) -> Iterator[tuple[str, dict[str, Any], Path]]:
    """What a demo printed, its record, and what it kept."""
    account = ACCOUNTS[request.param]
    with tempfile.TemporaryDirectory(prefix="roam-test-") as directory:
        kept, output = Path(directory) / "kept", Path(directory) / "output"
        Path(directory).chmod(0o711)  # root's demo has a daemon of another uid
        if account is not None:
            os.chown(directory, account.uid, account.gid)
        place = Namespace.create("anywhere")
        if account is not None and not _may_open_namespaces(place, account):
            place.close()
            pytest.skip("ordinary users may not open user namespaces here")
        with output.open("wb") as stream:
            surroundings = Surroundings(
                account=account,
                prepare=offer_tun if account else None,
                environment={**program_environment(), "HOME": directory, "TMPDIR": directory},
                output=stream,
            )
            process = place.start([*PROGRAM, "demo", "--keep", str(kept)], surroundings)
            try:
                status = process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                status = None
        place.close()
        assert status == 0, output.read_text()
        yield output.read_text(), json.loads((kept / "demo.json").read_text()), kept


def test_it_shows_the_main_job_and_finds_nothing_wrong(demo: tuple[str, dict[str, Any], Path]) -> None:
    text, _, _ = demo
    for word in ("network", "daemon", "up", "traffic", "roam", "return", "restart", "underlay", "down"):
        assert f"\n{word} " in f"\n{text}"
    assert "gap " in text
    assert "before and after: empty" in text


def test_the_readme_shows_what_it_prints(demo: tuple[str, dict[str, Any], Path]) -> None:
    text, _, _ = demo
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    shown = next(block for block in readme.split("```") if "longest silence" in block).strip().splitlines()
    for line in shown:
        if not line.startswith("daemon"):  # an ordinary user's runs as he does
            assert without_figures(line.partition("…")[0]) in without_figures(text)


def without_figures(text: str) -> str:
    return re.sub(r"[0-9]+", "0", text)


def test_its_lines_are_computed_from_its_record(demo: tuple[str, dict[str, Any], Path]) -> None:
    text, values, _ = demo
    record = demo_record.Record(**{name: value for name, value in values.items() if name != "version"})
    for describe in (
        demo_record.describe_connect,
        demo_record.describe_traffic,
        demo_record.describe_roam,
        demo_record.describe_restart,
        demo_record.describe_leaks,
        demo_record.describe_difference,
    ):
        assert describe(record) in text


def test_the_tunnel_was_there_and_is_gone(demo: tuple[str, dict[str, Any], Path]) -> None:
    _, record, _ = demo
    assert record["snapshots"]["before"] == record["snapshots"]["after"]
    assert record["snapshots"]["before"] != record["snapshots"]["while_up"]
    assert any("roam" in line for line in record["changed_while_up"])


def test_the_kept_capture_shows_esp_and_no_protected_address(demo: tuple[str, dict[str, Any], Path]) -> None:
    _, record, kept = demo
    assert (kept / "underlay.pcap").stat().st_size > 10_000
    assert set(record["underlay"]) <= {"192.0.2.1", "2001:db8::1"}
