"""Put Roam on this machine, or take it off: `sudo make install`, `sudo make uninstall`.

Roam's Python packages have plain names (`client`, `ui`, `profiles`), so they live in a virtual environment under a
private prefix and never among the system's own packages.  Everything that is put anywhere is noted, and `uninstall`
removes exactly that.  With --destdir only files are put below that directory, for whoever builds a package.
"""

import argparse
import json
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dev.environment import check_python, run, stop

ROOT = Path(__file__).resolve().parents[1]
RECORD = "installed.json"
UNIT = "roamd.service"
HELPER = "roam-dns.service"  # started by its socket
HELPER_SOCKET = "roam-dns.socket"
LOCKDOWN = "roam-lockdown.service"  # before the network, at boot
NOTIFY = "roam-notify.service"  # of each user's session
USER = "roam"
COMPLETIONS = ROOT / "packaging/completions"
MANUALS = ROOT / "packaging/man"
UNIT_PREFIX = "/usr/lib/roam"  # as the unit in this tree has it
STATES = (Path("/var/lib/roam"), Path("/var/lib/roam-dns"))
CONFIGURATION = Path("/etc/roam")


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("install", "uninstall"))
    parser.add_argument("--prefix", type=Path, default=Path("/usr"))
    parser.add_argument("--destdir", default="")
    options = parser.parse_args()
    if not options.prefix.is_absolute():
        stop(f"the prefix {options.prefix} is not an absolute path")
    if not options.destdir and os.geteuid() != 0:
        stop(f"only root can put Roam on this machine: sudo make {options.action} (or name a DESTDIR)")
    place = Place(options.prefix, options.destdir)
    if options.action == "install":
        install(place)
    else:
        uninstall(place)


class Place:
    """Where things go: paths as they will be named, and where they are put now."""

    def __init__(self, prefix: Path, destdir: str) -> None:
        self.live = not destdir
        self.library = prefix / "lib/roam"
        self._destdir = Path(destdir).resolve() if destdir else None
        polkit = (
            prefix / "share" if prefix == Path("/usr") else Path("/etc")
        )  # polkit looks in these two only
        self.files = {
            **{
                prefix / "lib/systemd/system" / unit: ROOT / "packaging/systemd" / unit
                for unit in (UNIT, HELPER, HELPER_SOCKET, LOCKDOWN)
            },
            prefix / "lib/systemd/user" / NOTIFY: ROOT / "packaging/systemd" / NOTIFY,
            prefix / "share/applications/roam.desktop": ROOT / "packaging/desktop/roam.desktop",
            prefix / "lib/sysusers.d/roam.conf": ROOT / "packaging/systemd/roam.sysusers",
            prefix / "lib/tmpfiles.d/roam.conf": ROOT / "packaging/systemd/roam.tmpfiles",
            polkit / "polkit-1/rules.d/50-roam.rules": ROOT / "packaging/polkit/50-roam.rules",
            prefix / "share/bash-completion/completions/roam": COMPLETIONS / "roam.bash",
            prefix / "share/zsh/site-functions/_roam": COMPLETIONS / "_roam",
            prefix / "share/fish/vendor_completions.d/roam.fish": COMPLETIONS / "roam.fish",
            prefix / "share/man/man1/roam.1": MANUALS / "roam.1",
            prefix / "share/man/man5/roam-profile.5": MANUALS / "roam-profile.5",
            prefix / "share/man/man8/roamd.8": MANUALS / "roamd.8",
            prefix / "share/doc/roam/LICENSE": ROOT / "LICENSE",
            prefix / "share/doc/roam/README.md": ROOT / "README.md",
        }
        self.commands = {prefix / "bin" / name: self.library / "bin" / name for name in ("roam", "roamd")}

    def now(self, path: Path) -> Path:
        """Where `path` is put now."""
        return self._destdir / path.relative_to("/") if self._destdir else path


def install(place: Place) -> None:
    """Build the environment, put the files, and start the daemon where systemd runs."""
    check_python()
    check_reachable(place)
    made = recorded(place)["directories"] + directories(place)  # an installed Roam is replaced
    build_environment(place)
    for target, source in place.files.items():
        put(place, target, source)
    for target, destination in place.commands.items():
        link(place.now(target), destination)
    record = {"files": [str(path) for path in (*place.files, *place.commands)], "directories": made}
    (place.now(place.library) / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    if place.live:
        activate(place)
    print(f"Roam is in {place.now(place.library)}.")


def uninstall(place: Place) -> None:
    """Stop the daemon and remove what `install` put; profiles and secrets that somebody wrote stay."""
    record = recorded(place)
    if not record["files"]:
        stop(
            f"Roam is not installed in {place.now(place.library)}; name the PREFIX that it was installed with"
        )
    if place.live:
        deactivate(place)
    for path in record["files"]:
        place.now(Path(path)).unlink(missing_ok=True)
    shutil.rmtree(place.now(place.library))
    for path in reversed(record["directories"]):
        with suppress(OSError):  # not empty: somebody else uses it by now
            place.now(Path(path)).rmdir()
    if place.live:
        forget_user()
    print("Roam is off this machine." if place.live else f"Roam is out of {place.now(Path('/'))}.")


def recorded(place: Place) -> dict[str, list[str]]:
    """What an earlier `install` noted."""
    try:
        return json.loads((place.now(place.library) / RECORD).read_text())
    except FileNotFoundError:
        return {"files": [], "directories": []}


def check_reachable(place: Place) -> None:
    """The daemon's user must be able to run this Python; a home directory is closed to it, also by the unit."""
    home = next((home for home in ("/root", "/home") if Path(sys.base_prefix).is_relative_to(home)), None)
    if home is not None and place.live:
        stop(
            f"{sys.executable} belongs to a Python below {home}, which the daemon's user may not read: "
            "sudo make install PYTHON=/usr/bin/python3"
        )


def directories(place: Place) -> list[str]:
    """Make every directory that is needed; returns those that were not there, outermost first."""
    made = []
    for path in [*place.files, *place.commands, place.library / "bin"]:
        for directory in reversed(path.parents):
            if not place.now(directory).exists():
                place.now(directory).mkdir(mode=0o755)
                made.append(str(directory))
    return made


def build_environment(place: Place) -> None:
    """A virtual environment with Roam in it, as if it had been made in its final place."""
    directory = place.now(place.library)
    shutil.rmtree(directory, ignore_errors=True)
    print(f"Building {directory} (about a minute) ...", flush=True)
    run([sys.executable, "-m", "venv", str(directory)], "The virtual environment could not be made")
    pip = [str(directory / "bin/python"), "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", "--no-compile", str(ROOT)], "Roam's packages could not be installed")
    run([*pip, "uninstall", "--quiet", "--yes", "setuptools", "pip"], "pip could not be removed again")
    for script in directory.glob("bin/[Aa]ctivate*"):
        script.unlink()
    relocate(directory, place.library)
    compileall = [
        "-m",
        "compileall",
        "-q",
        "-s",
        str(directory),
        "-p",
        str(place.library),
        str(directory / "lib"),
    ]
    # Not checked: a library may ship a file for another version of Python.
    subprocess.run([str(directory / "bin/python"), *compileall], capture_output=True, check=False)
    subprocess.run(["chmod", "-R", "a+rX,go-w", str(directory)], check=True)


def relocate(directory: Path, final: Path) -> None:
    """Scripts begin with the interpreter's path: it is the final one from now on."""
    if directory == final:
        return
    for path in [directory / "pyvenv.cfg", *(directory / "bin").iterdir()]:
        if path.is_file() and not path.is_symlink():
            with suppress(UnicodeDecodeError):
                path.write_text(path.read_text().replace(str(directory), str(final)))


def put(place: Place, target: Path, source: Path) -> None:
    """Copy a file; one that starts a program gets the path of the environment."""
    text = source.read_text()
    if target.suffix in (".service", ".desktop"):
        text = text.replace(UNIT_PREFIX, str(place.library))
    place.now(target).write_text(text)
    place.now(target).chmod(0o644)


def link(path: Path, destination: Path) -> None:
    """A symbolic link, new or again."""
    path.unlink(missing_ok=True)
    path.symlink_to(destination)


def activate(place: Place) -> None:
    """User, group and directories; the daemon started now and at boot where systemd runs."""
    if shutil.which("systemd-sysusers"):
        run(["systemd-sysusers", *map(str, select(place, "sysusers.d"))], "The user roam could not be made")
    elif not has_user():
        run(
            ["useradd", "--system", "--user-group", "--home-dir", "/", USER],
            "The user roam could not be made",
        )
    if shutil.which("systemd-tmpfiles"):
        tmpfiles = ["systemd-tmpfiles", "--create", *map(str, select(place, "tmpfiles.d"))]
        run(tmpfiles, "The directories in /etc/roam could not be made")
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "daemon-reload"], "systemd did not take the unit")
        run(["systemctl", "enable", UNIT, LOCKDOWN], f"{UNIT} could not be enabled")
        run(["systemctl", "--global", "enable", NOTIFY], f"{NOTIFY} could not be enabled for users' sessions")
        run(["systemctl", "enable", HELPER_SOCKET], f"{HELPER_SOCKET} could not be enabled")
        run(["systemctl", "restart", HELPER_SOCKET], f"{HELPER_SOCKET} did not start")
        run(["systemctl", "restart", UNIT], f"{UNIT} did not start (journalctl -u {UNIT})")
    else:
        print(
            f"systemd does not run here: start {place.library}/bin/roamd yourself, see {UNIT} for its options."
        )
    someone = os.environ.get("SUDO_USER", "")
    if someone not in ("", "root"):
        print(
            f"Members of the group {USER} control tunnels: sudo usermod -aG {USER} {someone}, then log in again."
        )


def select(place: Place, directory: str) -> Iterator[Path]:
    """The installed files in a directory of this name."""
    return (path for path in place.files if path.parent.name == directory)


def deactivate(place: Place) -> None:
    """Stop the daemon, keep it from starting, and open what it leaves closed: the guard and lockdown."""
    if Path("/run/systemd/system").is_dir():
        units = [UNIT, HELPER_SOCKET, HELPER, LOCKDOWN]
        run(["systemctl", "disable", "--now", *units], f"{UNIT} could not be stopped")
        run(["systemctl", "--global", "disable", NOTIFY], f"{NOTIFY} could not be disabled")
    if any((STATES[0] / name).exists() for name in ("manifest.json", "lockdown.json")):
        for wish in ("--disarm", "--sweep"):
            run([str(place.library / "bin/roamd"), wish], "The guard could not be opened")


def forget_user() -> None:
    """Remove the daemon's state and user; /etc/roam goes if nobody has put anything there."""
    if Path("/run/systemd/system").is_dir():
        run(["systemctl", "daemon-reload"], "systemd did not forget the unit")
    for state in STATES:
        shutil.rmtree(state, ignore_errors=True)
    for directory in (CONFIGURATION / "profiles", CONFIGURATION / "secrets", CONFIGURATION):
        with suppress(OSError):
            directory.rmdir()
    if CONFIGURATION.exists():
        print(f"{CONFIGURATION} stays: somebody's profiles or secrets are in it.")
    elif has_user():
        run(["userdel", USER], "The user roam could not be removed")


def has_user() -> bool:
    """Whether the daemon's user exists."""
    with suppress(KeyError):
        return pwd.getpwnam(USER) is not None
    return False


if __name__ == "__main__":
    main()
