"""`roam export`: a profile for another program, with a report of what that program cannot be told."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from client.control.kinds import DONE
from client.control.messages import ControlError
from profiles.errors import ProfileError
from profiles.exporters import EXPORTERS, Exported
from profiles.placing import replace
from profiles.references import files_of, read_file
from profiles.store import default_store

from .. import output
from ..preparation import as_control_error, choose
from ..render import printable


def export(options: argparse.Namespace) -> int:
    """Write the profile for the program of --to, and say what became of each of its keys."""
    file = choose(default_store(), options.name)
    try:
        profile = file.load()
        files = {entry.text: read_file(entry, file.path.parent) for entry in files_of(profile)}
        made = EXPORTERS[options.to](profile, files)
        paths = _written(made, profile.id, options)
    except ProfileError as error:
        raise as_control_error(error) from None
    if options.json:
        rows = [
            {"key": row.source, "outcome": row.outcome.value, "text": row.text} for row in made.report.rows
        ]
        output.say(output.envelope("export", {"paths": [str(path) for path in paths], "rows": rows}))
        return DONE
    for row in made.report.differences:
        output.note(f"{row.outcome.value:<14}  {printable(row.source)}: {printable(row.text)}")
    output.note(f"{profile.id} for {options.to}: {made.report.summary}")
    for path in paths:
        output.note(f"written: {path}")
    return DONE


def _written(made: Exported, name: str, options: argparse.Namespace) -> list[Path]:
    """The file and those beside it; "-" is stdout, which has no place for others."""
    if options.output == "-":
        if made.files:
            raise ControlError("usage", f"{len(made.files)} files go with it", "Name a file: --output FILE.")
        sys.stdout.buffer.write(made.octets)
        sys.stdout.buffer.flush()
        return []
    target = Path(options.output or f"{name}.{made.suffix}")
    wanted = {target: made.octets} | {target.parent / entry: octets for entry, octets in made.files.items()}
    taken = next((path for path in wanted if path.exists()), None)
    if taken is not None and not options.force:
        raise ControlError(
            "usage", f"{taken} exists already", "--force overwrites it, --output FILE names another."
        )
    try:
        for path, octets in wanted.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, octets)
    except OSError as error:
        raise ControlError("usage", f"cannot write {error.filename or target}: {error.strerror}") from None
    return list(wanted)
