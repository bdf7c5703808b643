"""Write docs/control-protocol.schema.json and the tables of docs/control-protocol.md from the code's own tables.

    python packaging/dev/describe_protocol.py [--check]

With `--check` nothing is written: a file out of date is an error.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "docs" / "control-protocol.schema.json"
PAGE = ROOT / "docs" / "control-protocol.md"
sys.path.insert(0, str(ROOT))

from client.control.features import FEATURES  # noqa: E402 - the script stands outside the packages
from client.control.kinds import KINDS  # noqa: E402
from client.control.messages import EVENT_SHAPES, Message  # noqa: E402
from client.control.methods import METHODS  # noqa: E402
from client.control.schema import described, field_notes, message_types, schema  # noqa: E402
from client.control.wire import types_of  # noqa: E402

LEVELS = {"READ": "everybody", "CONTROL": "members", "ADMIN": "root"}


def methods() -> Iterator[str]:
    """The table of methods."""
    yield "| method | parameters | result | for | what it does |"
    yield "|---|---|---|---|---|"
    for name, method in METHODS.items():
        level = LEVELS[method.access.name]
        params, result = _linked(method.params), _linked(method.result)
        yield f"| `{name}` | {params} | {result} | {level} | {method.summary} |"


def ownership() -> Iterator[str]:
    """What is checked beyond the level of access."""
    yield "| method | |"
    yield "|---|---|"
    for name, method in METHODS.items():
        if method.whose.name != "NOBODY":
            yield f"| `{name}` | {method.whose.value} |"


def features() -> Iterator[str]:
    """The words of `hello`."""
    yield "| feature | promises | by |"
    yield "|---|---|---|"
    for word, feature in FEATURES.items():
        yield f"| `{word}` | {feature.promise} | {', '.join(f'`{name}`' for name in feature.methods)} |"


def events() -> Iterator[str]:
    """The topics of events."""
    yield "| topic | data |"
    yield "|---|---|"
    for topic, shape in EVENT_SHAPES.items():
        yield f"| `{topic}` | {_linked(shape)} |"


def kinds() -> Iterator[str]:
    """The kinds of errors, with the exit code that the command line makes of them."""
    yield "| `kind` | what happened | exit code | usual `hint` |"
    yield "|---|---|---|---|"
    for kind, (code, what, hint) in KINDS.items():
        yield f"| `{kind}` | {what} | {code} | {_cell(hint)} |"


def messages() -> Iterator[str]:
    """Every message with its fields."""
    for shape in sorted(message_types(), key=lambda shape: shape.__name__):
        yield f"### {shape.__name__}"
        yield ""
        yield described(shape)
        yield ""
        yield from _fields(shape)


def _fields(shape: type[Message]) -> Iterator[str]:
    if not shape._fields:
        return
    notes = field_notes(shape)
    yield "| field | type | default | |"
    yield "|---|---|---|---|"
    for name in types_of(shape):
        kind = shape.__annotations__[name]
        default = f"`{_default(getattr(shape, name))}`" if hasattr(shape, name) else "required"
        yield f"| `{name}` | `{_word(kind)}` | {default} | {_cell(notes.get(name, ''))} |"
    yield ""


def _word(annotation: str) -> str:
    """A type as JSON's readers call it."""
    words = (
        annotation.replace("tuple[", "list[").replace(", ...]", "]").replace("SecretText", "secret string")
    )
    words = re.sub(r"\bbytes\b", "base64", words).replace("str", "string").replace("stringing", "string")
    return words.replace(" | ", " or ").replace("None", "null")


def _default(value: object) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


def _linked(shape: type[Message]) -> str:
    name = shape.__name__
    return f"[{name}](#{name.lower()})" if shape._fields else "none"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


TABLES = {
    "methods": methods,
    "ownership": ownership,
    "features": features,
    "events": events,
    "kinds": kinds,
    "messages": messages,
}


def page(text: str) -> str:
    """The page with every table made anew between its marks."""
    for name, rows in TABLES.items():
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        if begin not in text or end not in text:
            raise SystemExit(f"{PAGE.name} has no place for {name}")
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = f"{before}{begin}\n{chr(10).join(rows()).rstrip()}\n{end}{after}"
    return text


def files() -> dict[Path, str]:
    """What both files should be."""
    return {SCHEMA: json.dumps(schema(), indent=1) + "\n", PAGE: page(PAGE.read_text())}


def main(arguments: list[str]) -> int:
    """Write them, or compare."""
    stale = [path for path, text in files().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            print(f"{path.relative_to(ROOT)} is out of date: run packaging/dev/describe_protocol.py")
        return 1 if stale else 0
    for path, text in files().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
