"""Which color a state has, by the names of the theme: light and dark themes have their own shades."""

from __future__ import annotations

from collections.abc import Mapping

from client.control.messages import TunnelStatus

_SHADES = {"up": "text-success", "blocked": "text-error", "off": "text-muted"}
_ON_THE_WAY = "text-warning"
ROWS = {"problem": "text-error", "next": _ON_THE_WAY, "now": _ON_THE_WAY, "retry": _ON_THE_WAY}
"""Rows of a status that must not be overlooked."""


def shade(entry: TunnelStatus) -> str:
    """The theme's variable for the state of a tunnel."""
    return _ON_THE_WAY if entry.probing else _SHADES.get(entry.state, _ON_THE_WAY)


def color(variables: Mapping[str, str], name: str) -> str:
    """A color that Rich understands; empty where the theme computes it from what lies below."""
    value = variables.get(name, "")
    return value if value.startswith("#") else ""
