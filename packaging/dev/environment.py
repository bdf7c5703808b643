"""Set up a virtual environment for this tree: `python3 environment.py [--dev] [DIRECTORY]`.

Does nothing when the environment is as pyproject.toml wants it.  Every way in which it can fail ends in one
sentence that says what mends it.  Runs on any Python 3, so that it can say which one is needed.
"""

import argparse
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MINIMUM = (3, 11)
PACKAGES = ("client", "ui", "profiles")
STAMP = "roam-environment"  # what the environment was made from; missing while it is being made


def main() -> None:
    """Make or update the environment."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dev", action="store_true", help="with what tests and checks need")
    parser.add_argument("directory", nargs="?", type=Path, default=ROOT / ".venv")
    options = parser.parse_args()
    check_python()
    directory = options.directory
    release_foreign(directory)
    wanted = description(dev=options.dev)
    if not is_current(directory, wanted):
        build(directory, wanted)


def check_python() -> None:
    """Stop with a sentence if this Python cannot make the environment."""
    if sys.version_info < MINIMUM:
        found = ".".join(map(str, sys.version_info[:3]))
        stop(
            f"Roam needs Python 3.11 or newer and {sys.executable} is {found}: make PYTHON=/path/to/python3.11 ..."
        )
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        stop(f"{sys.executable} lacks the venv module; on Debian and Ubuntu: sudo apt install python3-venv")


def release_foreign(directory: Path) -> None:
    """Do not run what another user made: a root-owned environment is put aside, and this user gets one of his own.

    Root may use a user's environment as it is (it was root's own choice to run make in the user's tree).
    """
    if not directory.exists() or os.geteuid() in (0, directory.stat().st_uid):
        return
    aside = directory.with_name(f"{directory.name}-{directory.stat().st_uid}")
    try:
        directory.rename(aside)
    except OSError:
        stop(
            f"{directory} belongs to another user and cannot be put aside: run make in a clone of your own, "
            "or name a place for the environment: make VENV=~/.cache/roam/venv ..."
        )
    print(f"{directory.name} belongs to another user: it is {aside.name} now, and a new one is made.")


def description(*, dev: bool) -> list[str]:
    """Lines that change whenever the environment has to: declarations, interpreter, place."""
    import tomllib

    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = repr((declared["build-system"], declared["project"]))
    lines = [f"project {hashlib.sha256(text.encode()).hexdigest()}", f"python {sys.version}", f"tree {ROOT}"]
    return [*lines, "dev"] if dev else lines


def is_current(directory: Path, wanted: list[str]) -> bool:
    """Whether everything wanted is in there; an environment with the tests' needs also serves without them."""
    try:
        present = (directory / STAMP).read_text().splitlines()
    except OSError:
        return False
    return set(wanted) <= set(present)


def build(directory: Path, wanted: list[str]) -> None:
    """Make the environment anew, or bring it up to date where the interpreter is the same."""
    print(
        f"Setting up {directory.name} (about a minute, only when pyproject.toml or Python changed) ...",
        flush=True,
    )
    owner = directory.stat().st_uid if directory.exists() else os.geteuid()
    python = directory / "bin" / "python"
    (directory / STAMP).unlink(missing_ok=True)
    if not runs(python):
        shutil.rmtree(directory, ignore_errors=True)
        run([sys.executable, "-m", "venv", str(directory)], "The virtual environment could not be made")
    what = f"{ROOT}[dev]" if "dev" in wanted else str(ROOT)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--editable", what]
    run(pip, "The packages that Roam needs could not be installed (is there a network?)")
    compile_sources(python)
    (directory / STAMP).write_text("\n".join(wanted) + "\n")
    if owner != os.geteuid():
        give_back(directory, owner)


def compile_sources(python: Path) -> None:
    """Byte code beside the sources, so that the first `roam status` is as fast as the next; not worth a failure."""
    sources = [ROOT / name for name in PACKAGES]
    command = [str(python), "-m", "compileall", "-q", *map(str, sources)]
    subprocess.run(command, capture_output=True, check=False)
    for source in sources:
        owner = source.stat().st_uid
        if owner != os.geteuid():
            for directory in source.rglob("__pycache__"):
                give_back(directory, owner)


def runs(python: Path) -> bool:
    """Whether `python` is the interpreter that runs us, in an environment."""
    ask = "import sys; print(sys.version)"
    try:
        answer = subprocess.run([str(python), "-c", ask], capture_output=True, text=True, check=False)
    except OSError:
        return False
    return answer.stdout.strip() == sys.version


def give_back(directory: Path, owner: int) -> None:
    """Root worked in a user's tree: what it made there belongs to that user."""
    for path in [directory, *directory.rglob("*")]:
        os.chown(path, owner, -1, follow_symlinks=False)


def run(command: list[str], failure: str) -> None:
    """Run quietly; on failure, stop with our sentence and the last error that the program named."""
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        lines = [line.strip() for line in (answer.stderr or answer.stdout).splitlines() if line.strip()]
        said = [line for line in lines if line.lower().startswith("error")] or lines
        stop(f"{failure}: {said[-1] if said else f'exit status {answer.returncode}'}")


def stop(sentence: str) -> None:
    """End with a sentence for the user."""
    raise SystemExit(f"roam: {sentence}")


if __name__ == "__main__":
    main()
