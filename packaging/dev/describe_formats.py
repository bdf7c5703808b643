"""Write docs/import.md and docs/presets.md from the tables of importers and presets, and the samples' reports.

    python packaging/dev/describe_formats.py [--check]

What each file in tests/profiles/samples becomes is written to tests/profiles/golden.  With `--check` nothing is
written: a page or report out of date is an error.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "tests" / "profiles" / "samples"
GOLDEN = ROOT / "tests" / "profiles" / "golden"
sys.path.insert(0, str(ROOT))

from profiles.importers.detect import FORMATS, format_of, load  # noqa: E402 - outside the packages
from profiles.importers.draft import Imported  # noqa: E402
from profiles.importers.intake import Intake  # noqa: E402
from profiles.importers.report import Outcome, markdown  # noqa: E402
from profiles.presets import PRESETS, Preset, Value  # noqa: E402

NOT_IMPORTED = {"11-ipsec.secrets", "14-profile-schema1.toml"}
IMPORT_HEAD = """\
# Importing profiles

<!-- made by packaging/dev/describe_formats.py -->

```sh
roam import office.mobileconfig --dry-run     # show what would become of it, and write nothing
roam import office.mobileconfig               # write the profile and what belongs beside it
roam import office.p12 --server vpn.example.com --name work
```

The format is told by the content, never by the name. The profile goes to `~/.config/roam/profiles/NAME.toml`,
certificates and bundles beside it (mode 0600); nothing is overwritten without `--force`. Importing connects to
nobody, and makes nobody trusted beyond this one profile: the certificates that will be trusted are shown with their
SHA-256. Passwords never go into the profile: those in the file go to the keyring if you agree (`--keep-secrets`
agrees beforehand), all others are asked for at `roam up`. Where your certificate is still to come, the report names
its place; `roam import mine.p12 --name NAME` puts it there.

Of every field of the file the report says what became of it:

| | |
|---|---|
| honoured | it means the same here |
| approximated | it means nearly the same; the sentence says what differs |
| ignored | it has no effect here; the sentence says why |
| missing secret | something that the file does not have, or that only you may put in its place |

A file that is hostile or broken is refused in one sentence: archives and texts that grow, names that leave an
archive, document types and entities in XML, nesting without end, bundles with endless hashing.

## Formats

| format | sample | what became of its fields |
|---|---|---|"""
PRESET_HEAD = """\
# Presets

<!-- made by packaging/dev/describe_formats.py -->

`preset = "azure-p2s"` at the top of a profile stands for the values below; what the profile says itself wins.
`roam profiles --show NAME` shows every value of a profile with where it came from. Each value stands with the fact
behind it, what it is known from, and when that was looked at.
"""


def samples() -> Iterator[tuple[Path, list[Imported]]]:
    """Every sample that is imported, with what becomes of it."""
    beside = {"ipsec.secrets": (SAMPLES / "11-ipsec.secrets").read_bytes()}
    for path in sorted(SAMPLES.iterdir()):
        if path.name not in NOT_IMPORTED:
            octets = path.read_bytes()
            wanted = format_of(octets)
            server = "vpn.example.com" if wanted.word == "pkcs12" else ""
            files = {name: beside[name] for name in wanted.beside}
            yield path, load(Intake(octets, beside=files, server=server))


def golden(imported: list[Imported]) -> str:
    """A sample's profiles with their reports."""
    parts = []
    for entry in imported:
        names = ", ".join([*entry.files, *(f"{lack.name} (lacking)" for lack in entry.lacking)]) or "none"
        parts += [
            f"```toml\n{entry.text}```\n",
            f"Files: {names}.\n",
            *entry.notes,
            markdown(entry.report.rows),
            "",
        ]
    return "\n".join(parts)


def import_page(found: list[tuple[Path, list[Imported]]]) -> str:
    """docs/import.md."""
    lines = [IMPORT_HEAD]
    for entry in FORMATS:
        for path, imported in found:
            if format_of(path.read_bytes()) is entry:
                summary = "; ".join(one.report.summary for one in imported)
                lines.append(f"| {entry.text} | `{path.name}` | {summary} |")
    lines.append("\n## What differs\n\nOf the samples, every field that is not simply honoured:\n")
    for path, imported in found:
        rows = [row for one in imported for row in one.report.rows if row.outcome is not Outcome.HONOURED]
        lines.append(f"### {path.name}\n\n{markdown(rows)}\n")
    return "\n".join(lines).rstrip() + "\n"


LEGACY = "With `allow_legacy = true` under `[crypto]` these stand instead, for gateways that nobody has configured:"


def preset_page() -> str:
    """docs/presets.md."""
    sections = [preset_section(preset) for preset in PRESETS.values()]
    return "\n".join([PRESET_HEAD, *sections]).rstrip() + "\n"


def preset_section(preset: Preset) -> str:
    """One preset with its facts."""
    lines = [f"## {preset.name}\n", f"{preset.title}.\n", "| key | value | fact | known from | looked at |"]
    lines.append("|---|---|---|---|---|")
    lines += [value_row(value) for value in preset.values]
    if preset.legacy:
        lines += ["", LEGACY, "", "| key | value | fact | known from | looked at |", "|---|---|---|---|---|"]
        lines += [value_row(value) for value in preset.legacy]
    lines += [
        "",
        *(f"- Needs `{path}`: {why}" for path, why in preset.needs),
        *(f"- {note}" for note in preset.notes),
    ]
    return "\n".join(lines).rstrip() + "\n"


def value_row(value: Value) -> str:
    """One value with its fact, as a row of a table."""
    shown = str(value.value).lower() if isinstance(value.value, bool) else str(value.value).replace("'", '"')
    fact = value.fact.replace("|", "\\|").replace("<", "&lt;")
    return f"| `{value.path}` | `{shown}` | {fact} | {value.known} | {value.date} |"


def wanted() -> dict[Path, str]:
    """Every file that this script writes."""
    found = list(samples())
    pages = {ROOT / "docs" / "import.md": import_page(found), ROOT / "docs" / "presets.md": preset_page()}
    return pages | {GOLDEN / f"{path.name}.md": golden(imported) for path, imported in found}


def main(arguments: list[str]) -> int:
    """Write, or check."""
    stale = [(path, text) for path, text in wanted().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path, _ in stale:
            print(f"{path.relative_to(ROOT)}: run python packaging/dev/describe_formats.py", file=sys.stderr)
        return 1 if stale else 0
    for path, text in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
