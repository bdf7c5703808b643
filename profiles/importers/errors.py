"""The refusal of a foreign file."""

from __future__ import annotations

from ..errors import ProfileError


class ImportRefused(ProfileError):
    """A file that no profile can be made of; `path` is its own field, not a profile's key."""
