"""What the main screen draws at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from client.control.details import TunnelDetails

from .feed import Picture
from .history import History


@dataclass(slots=True)
class Sight:
    """`plain`: words instead of plots, pictures and colors; `now` in Unix seconds."""

    plain: bool = False
    now: float = 0.0
    picture: Picture = field(default_factory=Picture)
    history: History = field(default_factory=History)
    details: TunnelDetails | None = None
    """Of the tunnel under the cursor, where somebody looks at them."""
