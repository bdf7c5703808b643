"""`roamd` and `roam` in a namespace of the lab, with directories of their own: what a laptop has installed."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from .devices import offer_tun
from .etc import Etc, PrivateEtc
from .mounts import make_private
from .namespaces import Account, Namespace, Surroundings
from .snapshot import RESOLV_CONF, Snapshot, snapshot

DAEMON_UID = 65534
PATIENCE = 60.0  # seconds for anything that is waited for
PROGRAM: Sequence[str] = (sys.executable, "-c", "import sys; from ui.cli import main; sys.exit(main())")
SECRETS = ("password", "psk", "key.pem")  # files that nobody else may read
_POLL = 0.005


class LabFailed(Exception):
    """Something in the lab did not do what it should; the text is for people."""


class Laptop:
    """A daemon, its directories, and the command line that speaks to it.

    With `account` the daemon is an ordinary uid with CAP_NET_ADMIN alone; only real root can give it one.
    Whoever it is, the machine's own name resolution is out of its reach (`client.lab.etc`).
    """

    def __init__(
        self, namespace: Namespace, directory: Path, account: Account | None, etc: Etc | None = None
    ) -> None:
        """`etc` is how names are resolved on it, by default through a file that nobody manages."""
        self.namespace = namespace
        self.directory = directory
        self.account = account
        self.socket = directory / "run" / "control.sock"
        self.profiles = directory / "config" / "roam" / "profiles"
        self.session: dict[str, str] = {}  # what the user's session adds to the environment of his programs
        self._process: subprocess.Popen[bytes] | None = None
        self.profiles.mkdir(parents=True)
        for name in ("run", "state"):
            (directory / name).mkdir(0o700)
            if account is not None:
                os.chown(directory / name, account.uid, account.gid)
        (directory / "run").chmod(0o711)
        directory.chmod(0o711)
        self.etc = etc if etc is not None else PrivateEtc(directory)

    @property
    def log(self) -> Path:
        """What the daemon has said."""
        return self.directory / "roamd.log"

    @property
    def pid(self) -> int:
        """Process id of the running daemon."""
        if self._process is None:
            raise AssertionError("roamd is not running")
        return self._process.pid

    def write_profile(self, name: str, text: str, files: Mapping[str, str | bytes]) -> None:
        """A profile and the files that it names, beside it."""
        (self.profiles / f"{name}.toml").write_text(text)
        for file, content in files.items():
            path = self.profiles / file
            path.touch(0o600 if file in SECRETS else 0o644)
            path.write_bytes(content.encode() if isinstance(content, str) else content)

    def start(self, *options: str) -> None:
        """Start the daemon and wait for its socket."""
        self._process = self.launch(*options)
        wait_for(self._answers, "roamd did not start", self.log)

    def launch(self, *options: str) -> subprocess.Popen[bytes]:
        """Start `roamd` beside whatever runs; what it says is added to the log."""
        with self.log.open("ab") as log:
            surroundings = Surroundings(
                account=self.account,
                files=self.etc.files,
                prepare=self._prepare,
                environment={**program_environment(), **self.etc.environment},
                output=log,
            )
            return self.namespace.start([*self.daemon_command(), *options], surroundings)

    def _prepare(self) -> None:
        self.etc.prepare()
        if self.account is not None:
            offer_tun()

    def daemon_command(self) -> list[str]:
        """`roamd` with this laptop's directories."""
        run, state = self.directory / "run", self.directory / "state"
        options = ["--socket", str(self.socket), "--state-dir", str(state), "--run-dir", str(run)]
        return [sys.executable, "-m", "client", *options]

    def stop(self) -> None:
        """End the daemon as a service manager does."""
        if self._process is not None:
            self.namespace.stop(self._process)
            self._process = None

    def kill(self) -> None:
        """End the daemon as the kernel does when memory is short: nothing of it is cleaned up."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            self._process.wait()
            self.namespace.stop(self._process)
            self._process = None

    def snapshot(self) -> Snapshot:
        """How the laptop stands, its own resolv.conf and the machine's included."""
        return snapshot(self.namespace, (RESOLV_CONF, *self.etc.watched))

    def capabilities(self) -> tuple[int, int]:
        """Effective uid and capability set of the daemon, as the kernel tells."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return int(fields["Uid"].split()[1]), int(fields["CapEff"].strip(), 16)

    def environment(self) -> dict[str, str]:
        """What the command line needs to find this daemon and these profiles."""
        return {
            **program_environment(),
            **self.etc.environment,
            **self.session,
            "ROAM_SOCKET": str(self.socket),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }

    def begin(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a `roam` command, which the caller waits for or ends."""

        def start() -> subprocess.Popen[str]:
            make_private(self.etc.files)
            self.etc.prepare()
            return subprocess.Popen(
                [*PROGRAM, *arguments],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )

        return self.namespace.run(start)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One `roam` command, whatever becomes of it; `cleanup` sweeps by itself where no daemon runs."""
        process = self.begin(*arguments)
        try:
            output, errors = process.communicate(timeout=2 * PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            output, errors = process.communicate()
            raise LabFailed(f"roam {' '.join(arguments)} hangs: {output}{errors}") from None
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def roam(self, *arguments: str) -> str:
        """One `roam` command that must succeed; its output."""
        done = self.run(*arguments)
        if done.returncode != 0:
            raise LabFailed(f"roam {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")
        return done.stdout

    def status(self, name: str) -> dict[str, Any]:
        """What `roam --json status NAME` says of one tunnel."""
        done = self.run("--json", "status", name)
        try:
            return dict(json.loads(done.stdout)["data"]["tunnels"][0])
        except (ValueError, KeyError, IndexError):
            raise LabFailed(f"no status of {name}: {done.stdout}{done.stderr}") from None

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise LabFailed(f"roamd ended with {self._process.returncode}\n{last_lines(self.log)}")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking, suppress(OSError):
            asking.connect(str(self.socket))  # a daemon that was killed leaves a file there
            return True
        return False


def daemon_account() -> Account | None:
    """An ordinary uid for the daemon, where we are root of the machine and may become somebody else."""
    entries = Path("/proc/self/uid_map").read_text().split()
    mapped = int(entries[2]) > DAEMON_UID
    return Account(DAEMON_UID, DAEMON_UID) if os.geteuid() == 0 and mapped else None


def program_environment() -> dict[str, str]:
    """What our programs need to find themselves, and the terminal; nothing else of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "TERM", "LANG", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(Path(__file__).parents[2])}


def wait_for(condition: Callable[[], Any], otherwise: str, log: Path | None = None) -> None:
    """Poll until something is true; `LabFailed` with the log's last lines where it never is."""
    deadline = monotonic() + PATIENCE
    while not condition():
        if monotonic() > deadline:
            raise LabFailed(f"{otherwise}\n{last_lines(log)}".rstrip())
        sleep(_POLL)


def last_lines(log: Path | None) -> str:
    """The end of a log, for a message."""
    if log is None or not log.exists():
        return ""
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
