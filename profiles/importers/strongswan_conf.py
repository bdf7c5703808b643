"""The grammar of strongswan.conf and swanctl.conf: sections, keys, comments, quotes, references to sections."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .errors import ImportRefused
from .limits import DEEPEST, MOST_ENTRIES, bounded

_TOKEN = re.compile(
    r"(?P<space>[ \t]+)|(?P<comment>#[^\n]*)|(?P<newline>\n)|(?P<quoted>\"(?:[^\"\\]|\\.)*\")"
    r"|(?P<brace>[{}])|(?P<equals>=)|(?P<word>[^\s{}=#\"]+)",
    re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


@dataclass(slots=True)
class Section:
    """One section: keys in order, sections below it, and the sections that it builds upon (dotted names)."""

    keys: dict[str, str] = field(default_factory=dict)
    sections: dict[str, Section] = field(default_factory=dict)
    based_on: list[str] = field(default_factory=list)
    includes: list[str] = field(default_factory=list)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._count = 0

    def section(self, depth: int) -> Section:
        """Up to the closing brace, or the end of the file at depth 0."""
        if depth > DEEPEST:
            raise ImportRefused("", "is nested too deeply")
        found = Section()
        while (token := self._next()) is not None:
            kind, value = token
            if kind == "newline":
                continue
            if value == "}" and kind == "brace":
                if depth == 0:
                    raise ImportRefused("", "has a closing brace too many")
                return found
            self._statement(found, kind, value, depth)
        if depth:
            raise ImportRefused("", "breaks off inside a section")
        return found

    def _statement(self, section: Section, kind: str, name: str, depth: int) -> None:
        self._count += 1
        if self._count > MOST_ENTRIES:
            raise ImportRefused("", f"has more than {MOST_ENTRIES} entries")
        if kind not in ("word", "quoted"):
            raise ImportRefused("", f'has "{name[:20]}" where a name is expected')
        if name == "include":
            section.includes.append(self._value())
            return
        self._skip_lines(unless="equals")
        following = self._peek()
        if following == ("equals", "="):
            self._at += 1
            section.keys[bounded(name, "key")] = self._value()
        else:
            self._open(section, name, depth)

    def _open(self, section: Section, name: str, depth: int) -> None:
        """NAME { … }, NAME : base, base { … }, or with the colon at the name."""
        words = [name]
        while (token := self._next()) is not None and token != ("brace", "{"):
            if token[0] not in ("word", "newline"):
                break
            if token[0] == "word":
                words.append(token[1])
        if token != ("brace", "{"):
            raise ImportRefused(name[:60], "is neither a key with a value nor a section")
        title, _, bases = " ".join(words).partition(":")
        below = self.section(depth + 1)
        below.based_on = [base for base in re.split(r"[\s,]+", bases) if base]
        known = section.sections.setdefault(bounded(title.strip(), "section"), Section())
        _merge(known, below)

    def _value(self) -> str:
        parts = []
        while (token := self._peek()) is not None and token[0] not in ("newline", "brace"):
            parts.append(token[1])
            self._at += 1
        return bounded(" ".join(parts), "value")

    def _skip_lines(self, *, unless: str) -> None:
        """A brace may stand on the next line; an equals sign may not."""
        at = self._at
        while at < len(self._tokens) and self._tokens[at][0] == "newline":
            at += 1
        if at < len(self._tokens) and self._tokens[at][0] != unless:
            self._at = at

    def _peek(self) -> tuple[str, str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> tuple[str, str] | None:
        token = self._peek()
        self._at += token is not None
        return token


def parse(text: str) -> Section:
    """The whole file."""
    return _Reader(text).section(0)


def resolve(root: Section, section: Section) -> Section:
    """The section with what it builds upon, its own keys winning; an empty value clears an inherited key."""
    return _resolved(root, section, [_MOST_STEPS])


_MOST_STEPS = 100  # bases of one section, and theirs, and so on


def _resolved(root: Section, section: Section, left: list[int]) -> Section:
    left[0] -= 1
    if left[0] < 0:
        raise ImportRefused("", "has sections that build upon each other without end")
    whole = Section()
    for name in section.based_on:
        base: Section | None = root
        for step in name.split("."):
            base = base.sections.get(step) if base is not None else None
        if base is None:
            raise ImportRefused(name[:60], "is built upon, and not in the file")
        _merge(whole, _resolved(root, base, left))
    _merge(whole, Section(section.keys, section.sections, [], section.includes))
    whole.keys = {key: value for key, value in whole.keys.items() if value}
    return whole


def _merge(into: Section, other: Section) -> None:
    into.keys.update(other.keys)
    into.based_on += other.based_on
    into.includes += other.includes
    for name, section in other.sections.items():
        known = into.sections.get(name)
        if known is None:
            into.sections[name] = section
        elif known is not section:
            fresh = Section(
                dict(known.keys), dict(known.sections), list(known.based_on), list(known.includes)
            )
            into.sections[name] = fresh
            _merge(fresh, section)


def _tokens(text: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ImportRefused("", "has a quote that is not closed")
        at, kind = match.end(), str(match.lastgroup)
        if kind == "quoted":
            found.append((kind, _unquoted(match[0][1:-1])))
        elif kind not in ("space", "comment"):
            found.append((kind, match[0]))
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text, flags=re.DOTALL)
