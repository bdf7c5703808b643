"""Files of [sections] and key=value lines; where a key repeats in a section, the first counts."""

from __future__ import annotations

from .errors import ImportRefused
from .limits import MOST_ENTRIES, bounded


def sections(text: str) -> dict[str, dict[str, str]]:
    """Sections by name, keys by name; comments and blank lines say nothing."""
    found: dict[str, dict[str, str]] = {}
    current: dict[str, str] | None = None
    lines = text.split("\n")
    if len(lines) > 10 * MOST_ENTRIES:
        raise ImportRefused("", "has too many lines")
    for number, line in enumerate(lines, 1):
        body = line.strip()
        if not body or body.startswith(("#", ";")):
            continue
        if body.startswith("[") and body.endswith("]"):
            current = found.setdefault(bounded(body[1:-1], f"line {number}"), {})
            continue
        key, equals, value = body.partition("=")
        if not equals or current is None:
            raise ImportRefused(f"line {number}", "is neither a section nor key=value")
        current.setdefault(bounded(key.strip(), f"line {number}"), bounded(value.strip(), f"line {number}"))
    return found
