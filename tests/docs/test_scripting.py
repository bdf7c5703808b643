"""The examples of docs/scripting.md run against a real daemon, and all that is said fits the schema.

The daemon of the lab is reached through a relay that writes down every line.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from client.lab.demo_scene import PROFILE, Scene
from client.lab.laptop import PROGRAM
from client.lab.topology import topology
from tests.control.test_schema import check, check_result
from tests.netns.peers.releases import PeerUnavailable, Release, release
from tests.tools import INSIDE, run, started, tools

pytestmark = pytest.mark.xdist_group("scripting")

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "scripting.md").read_text()
BLOCKS = re.findall(r"^```(\w+) (run|bar|i3blocks)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
_PATIENCE = 60.0

SAID = {
    "inside address": r"work: up as .*\ninside address: [0-9a-f.:]+/\d+\n",
    "if roam status work": r"connected\n",
    "roam rpc tunnel.status": r"work is up over \w+\n",
    "socat -t 5": r"work: up\n",
    "coproc ROAM": r"new keys\n",
    "may {welcome.access}": r"roamd \S+, and we may admin\nwork up .*\ntunnel.unknown\n",
    "check_profile": (
        r"trust nobody may vouch for the gateway's certificate\n"
        r"routing.include means nothing with mode = \"full\"\n\['file:ca.pem'\] \['ask:'\]\n"
    ),
    "replayed": r"work up\nreplayed\n",
    "asyncio.run": r"logged in anew\n",
    "state:-off": r"VPN up\n\n#00cc66\n",
}
"""A word of each example that is run, and what the example prints."""


class Relay:
    """A socket that hands everything on to the daemon and back.

    `lines` are what was said: by which side of which connection.
    """

    def __init__(self, path: Path, target: Path) -> None:
        self.lines: list[tuple[int, str, dict[str, Any]]] = []
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """After the daemon: then all connections have ended."""
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(_PATIENCE)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(len(self._threads), here))
            self._threads.append(thread)
            thread.start()

    def _serve(self, number: int, here: socket.socket) -> None:
        with here, socket.socket(socket.AF_UNIX) as there:
            there.connect(str(self._target))
            other = threading.Thread(target=self._pump, args=(number, "daemon", there, here))
            other.start()
            self._pump(number, "client", here, there)
            other.join()

    def _pump(self, number: int, side: str, source: socket.socket, sink: socket.socket) -> None:
        with closing(source.makefile("rb")) as lines, suppress(OSError):
            for line in lines:
                self.lines.append((number, side, json.loads(line)))
                sink.sendall(line)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR if side == "client" else socket.SHUT_RDWR)


class Stage:
    """A laptop with a tunnel called work, the relay before its daemon, and the programs that scripts need."""

    def __init__(self, directory: Path, scene: Scene) -> None:
        self.scene = scene
        self.socket = directory / "relay.sock"
        self.relay = Relay(self.socket, scene.laptop.socket)
        self._programs = directory / "bin"
        self._programs.mkdir()
        command = " ".join(f"'{word}'" for word in PROGRAM)
        self._write("roam", f'exec {command} "$@"')
        for name in ("jq", "socat"):
            if shutil.which(name) is None:
                self._write(name, f'exec {loaded(name)} "$@"')

    def _write(self, name: str, line: str) -> None:
        path = self._programs / name
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A program in the laptop, as its user has it."""
        environment = self.scene.laptop.environment() | {"ROAM_SOCKET": str(self.socket)}
        environment["PATH"] = f"{self._programs}:{os.environ['PATH']}"
        return self.scene.laptop.namespace.run(
            lambda: subprocess.Popen(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )

    @contextmanager
    def running(self, *command: str) -> Iterator[Iterator[str]]:
        """A program that goes on until the block ends: its lines."""
        process = self.start(*command)
        watchdog = threading.Timer(_PATIENCE, os.killpg, (process.pid, 9))
        watchdog.start()
        try:
            assert process.stdout is not None
            yield iter(process.stdout.readline, "")
        finally:
            watchdog.cancel()
            os.killpg(process.pid, 9)
            process.communicate()

    def up(self) -> None:
        """The tunnel is there, whatever came before."""
        done = self.run("roam", "up", "work")
        assert done.returncode == 0, done.stderr

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """The same to its end."""
        process = self.start(*command)
        try:
            output, errors = process.communicate(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
        return subprocess.CompletedProcess(command, process.returncode, output, errors)


def loaded(name: str, unpacked: Release | None = None) -> str:
    """A Debian trixie program with its own libraries, whatever this machine is."""
    root = (unpacked or tools()).root
    library = root / "usr/lib/x86_64-linux-gnu"
    return f"{library}/ld-linux-x86-64.so.2 --library-path {library} {root}/usr/bin/{name}"


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="roam-", dir="/tmp") as name, topology() as lab:
        scene = Scene(lab, Path(name))
        scene.prepare()
        scene.laptop.profiles.joinpath("demo.toml").unlink()
        scene.laptop.profiles.joinpath("work.toml").write_text(PROFILE.replace('id = "demo"', 'id = "work"'))
        scene.start_gateway()
        scene.laptop.start()
        try:
            stage = Stage(Path(name), scene)
        except PeerUnavailable as error:
            scene.laptop.stop()
            pytest.skip(f"socat and jq: {error}")
        yield stage
        scene.laptop.stop()
        stage.relay.close()


def examples() -> list[Any]:
    found = []
    for language, mark, text in BLOCKS:
        if language in {"bash", "python"} and mark == "run":
            word = next(word for word in SAID if word in text)
            found.append(pytest.param(language, text, SAID[word], id=word))
    return found


def test_every_example_is_expected_to_say_something() -> None:
    assert len(examples()) == len(SAID)


@pytest.mark.netns
@pytest.mark.parametrize(("language", "text", "said"), examples())
def test_an_example_runs(stage: Stage, language: str, text: str, said: str) -> None:
    stage.up()
    interpreter = "bash" if language == "bash" else sys.executable
    done = stage.run(interpreter, "-c", text)
    assert re.fullmatch(said, done.stdout), f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0


WAYBAR: dict[str, type | tuple[type, ...]] = {
    "text": str,
    "alt": str,
    "tooltip": str,
    "class": (str, list),
    "percentage": (int, float),
}
"""What waybar reads of a line of a module with return-type json (waybar-custom(5))."""


@contextmanager
def watched_bar(stage: Stage) -> Iterator[Iterator[dict[str, Any]]]:
    """The module's lines, each as waybar takes them."""
    (script,) = (text for _language, mark, text in BLOCKS if mark == "bar")
    with stage.running("bash", "-c", script) as lines:
        yield map(as_waybar_reads, lines)


def as_waybar_reads(line: str) -> dict[str, Any]:
    read = json.loads(line)
    assert isinstance(read, dict)
    for key, value in read.items():
        assert isinstance(value, WAYBAR[key]), line
    assert "text" in read
    return read


@pytest.mark.netns
def test_the_status_bar_follows(stage: Stage) -> None:
    stage.up()
    with watched_bar(stage) as lines:
        first = next(lines)
        stage.run("roam", "down", "work")
        classes = [first["class"]]
        while classes[-1] != "off":
            last = next(lines)
            classes.append(last["class"])
    assert first["text"] == "🔒 work"
    assert first["tooltip"].startswith("work: up\n")
    assert classes[-2:] == ["closing", "off"]
    assert last["text"] == "", "nothing is in the way"


@pytest.mark.netns
def test_the_status_bar_is_empty_where_nothing_is_wanted(stage: Stage) -> None:
    stage.run("roam", "down", "work")
    with watched_bar(stage) as lines:
        assert next(lines) == {"text": "", "class": "off"}


def test_the_configuration_for_waybar_is_one_that_it_reads() -> None:
    (snippet,) = re.findall(r"^```json\n(\"custom/roam\".*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    without_comments = re.sub(r" //.*$", "", snippet, flags=re.MULTILINE)
    (module,) = json.loads(f"{{{without_comments}}}").values()
    assert module.keys() <= {"exec", "return-type", "escape", "on-click"}, "see waybar-custom(5)"
    assert module["exec"] in PAGE.partition(snippet)[0], "the script above is what it starts"
    assert (module["return-type"], module["escape"]) == ("json", True)


@pytest.mark.netns
def test_i3blocks_shows_what_is_written(stage: Stage) -> None:
    try:
        bars = release("trixie", ("i3blocks",), "bars")
    except PeerUnavailable as error:
        pytest.skip(f"i3blocks: {error}")
    (script,) = (text for _language, mark, text in BLOCKS if mark == "run" and "state:-off" in text)
    (settings,) = (text for _language, mark, text in BLOCKS if mark == "i3blocks")
    (path,) = re.findall(r"^command=(.*)$", settings, re.MULTILINE)
    directory = stage.socket.parent
    (directory / "roam.sh").write_text(script)
    (directory / "roam.sh").chmod(0o755)
    (directory / "i3blocks").write_text(settings.replace(path, str(directory / "roam.sh")))
    stage.up()
    with stage.running("bash", "-c", f"exec {loaded('i3blocks', bars)} -c {directory}/i3blocks") as lines:
        shown = next(line for line in lines if "VPN" in line)
    (block,) = [entry for entry in json.loads(shown.lstrip(",")) if entry.get("name") == "roam"]
    assert (block["full_text"], block["color"]) == ("VPN up", "#00cc66")


@pytest.mark.netns
def test_varlinkctl_does_what_is_written(stage: Stage) -> None:
    (block,) = (text for text in re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
    shared = stage.scene.laptop.socket.parent
    introspect, call, follow = (shlex.split(line.replace("/run/roam", INSIDE)) for line in block.splitlines())
    stage.up()
    told = run(tools(), shared, introspect)
    assert "method TunnelStatus" in told.stdout, told.stderr
    answer = json.loads(run(tools(), shared, call).stdout)
    assert answer["tunnels"][0]["state"] == "up"
    with started(tools(), shared, [follow[0], "--json=short", *follow[1:]]) as process:
        assert process.stdout is not None
        snapshot = json.loads(process.stdout.readline().lstrip("\x1e"))
        stage.run("roam", "rekey", "work")
        event = json.loads(process.stdout.readline().lstrip("\x1e"))
    assert snapshot["snapshot"]["report"]["tunnels"][0]["name"] == "work"
    assert event["event"]["tunnel"]["name"] == "work"


@pytest.mark.netns
def test_the_unit_starts_when_traffic_passes(stage: Stage) -> None:
    (unit,) = (text for _language, _mark, text in BLOCKS if "ExecStart=/usr/bin/roam" in text)
    (command,) = re.findall(r"^ExecStart=/usr/bin/(.*)$", unit, re.MULTILINE)
    stage.up()
    done = stage.run(*command.replace("%i", "work").split())
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("work: up as ")


@pytest.mark.netns
def test_what_was_said_fits_the_schema(stage: Stage) -> None:
    """All that programs have sent and received, here and in the examples before."""
    stage.up()
    stage.run("roam", "down", "work")
    stage.up()
    stage.run("roam", "status")
    for words in (["log"], ["rpc", "daemon.report"], ["lockdown", "status"], ["down", "nothing"], ["down"]):
        stage.run("roam", *words)
    methods: dict[tuple[int, object], str] = {}
    seen: set[str] = set()
    for number, side, message in list(stage.relay.lines):
        if side == "client":
            check("Request", message)
            methods[number, message["id"]] = message["method"]
        elif "method" in message:
            check("Notification", message)
            seen.add("event")
        else:
            check("Response", message)
            method = methods[number, message["id"]]
            seen.add("error" if "error" in message else method)
            if "result" in message:
                check_result(method, message["result"])
    assert {
        "event",
        "error",
        "hello",
        "tunnel.status",
        "tunnel.up",
        "events.subscribe",
        "daemon.report",
    } <= seen


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_units_are_ones(tmp_path: Path) -> None:
    for text in (text for language, _mark, text in BLOCKS if language == "ini"):
        name = text.splitlines()[0].rpartition("/")[2]
        text = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE)
        (tmp_path / name).write_text(text)
    (tmp_path / "roamd.service").write_text("[Service]\nExecStart=/bin/true\n")
    done = subprocess.run(
        [
            "systemd-analyze",
            "verify",
            "--man=no",
            tmp_path / "backup.service",
            tmp_path / "roam-wait@work.service",
        ],
        env={"PATH": os.environ["PATH"], "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "backup.service:" not in done.stderr
    assert "roam-wait" not in done.stderr
