"""What the main screen draws at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from client.control.details import TunnelDetails
from client.control.evidence import Explanation
from client.control.messages import ControlError

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
    explanation: Explanation | ControlError | None = None
    """Both of the tunnel under the cursor, where somebody looks at them."""
