"""Messages between the parts of the terminal UI."""

from __future__ import annotations

from textual.message import Message

from .feed import Picture


class PictureChanged(Message):
    """The daemon has said something new (or nothing any more)."""

    def __init__(self, picture: Picture) -> None:
        super().__init__()
        self.picture = picture

    def can_replace(self, message: Message) -> bool:
        """An older picture that nobody has seen yet needs not be drawn."""
        return isinstance(message, PictureChanged)
