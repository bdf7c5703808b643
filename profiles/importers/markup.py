"""XML as configuration files use it: no document type, no entities, bounded depth and size, no namespaces."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from .errors import ImportRefused
from .limits import DEEPEST, LARGEST, MOST_ENTRIES, bounded

_PIECE = 65536  # characters


def parse(text: str) -> Element:
    """The root element; `ImportRefused` for whatever no configuration file needs."""
    if len(text) > LARGEST:
        raise ImportRefused("", f"is larger than {LARGEST} octets")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ImportRefused("", "declares entities or a document type, which no profile needs")
    try:
        return _read(_without_declaration(text))
    except (ParseError, ValueError, RecursionError, LookupError) as error:
        if isinstance(error, ImportRefused):
            raise
        raise ImportRefused("", "is no XML that can be read") from None


def _without_declaration(text: str) -> str:
    """The text has been decoded: what it says of its encoding is past."""
    text = text.lstrip()
    return text[text.find("?>") + 2 :] if text.startswith("<?xml") else text


def _read(text: str) -> Element:
    """The root, read in pieces, so that nobody can make a million elements before they are counted."""
    parser: Any = XMLPullParser(["start", "end"])
    depth, count, root = 0, 0, None
    for at in range(0, len(text), _PIECE):
        parser.feed(text[at : at + _PIECE])
        for event, element in parser.read_events():
            depth += 1 if event == "start" else -1
            count += event == "start"
            if depth > DEEPEST or count > MOST_ENTRIES:
                raise ImportRefused("", "is nested too deeply, or has too many elements")
            root = element if root is None else root
    parser.close()
    if not isinstance(root, Element):
        raise ImportRefused("", "has no element")
    return root


def name(element: Element) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def below(element: Element, wanted: str) -> Element | None:
    """The first child of this name."""
    return next((child for child in element if name(child) == wanted), None)


def every(element: Element, wanted: str) -> Iterator[Element]:
    """All descendants of this name, the element too."""
    return (child for child in element.iter() if name(child) == wanted)


def text(element: Element | None, where: str = "") -> str:
    """The text of an element, "" without."""
    if element is None or element.text is None:
        return ""
    return bounded(element.text.strip(), where or name(element))
