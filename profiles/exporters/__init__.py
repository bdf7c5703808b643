"""Profiles for other programs: `EXPORTERS` has a function for each, profile and files in, octets and report out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..importers.report import FidelityReport
from ..model import Profile
from . import mobileconfig, sswan, swanctl
from .result import Exported as Exported

Exporter = Callable[[Profile, Mapping[str, bytes]], Exported]

EXPORTERS: dict[str, Exporter] = {
    "mobileconfig": mobileconfig.write,
    "sswan": sswan.write,
    "swanctl": swanctl.write,
}
"""word of `roam export --to` -> its function; the files are those of the profile, by their references."""

__all__ = ["EXPORTERS", "Exported", "Exporter", "FidelityReport"]
