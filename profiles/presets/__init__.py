"""What is known of each kind of gateway, as values for a profile: `preset = "azure-p2s"` writes them out of sight.

Each value stands with the fact behind it, where that is known from and its date, so that it can be doubted.  What
the profile itself says always wins; `roam profiles --show NAME` tells which value came from where.
"""

from __future__ import annotations

from .appliances import APPLIANCES
from .cloud import CLOUD
from .general import GENERAL
from .providers import PROVIDERS
from .rows import Preset as Preset
from .rows import Value as Value

PRESETS: dict[str, Preset] = {preset.name: preset for preset in (*GENERAL, *CLOUD, *APPLIANCES, *PROVIDERS)}
"""By name, in the order in which people look for them."""


def for_gateway(vendor: str, host: str = "") -> Preset | None:
    """The preset for a gateway that is recognised, by its vendor's name or its own; None where nobody knows."""
    name = host.lower().rstrip(".")
    by_name = (preset for preset in PRESETS.values() if name.endswith(preset.hosts))
    by_maker = (preset for preset in PRESETS.values() if vendor and vendor in preset.vendors)
    return next(by_name, None) or next(by_maker, None)
