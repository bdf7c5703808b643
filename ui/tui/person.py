"""The person in front of the terminal UI, as somebody who can be asked for secrets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine

from client.control.messages import ControlError

Ask = Callable[[str, bool], Awaitable[str | None]]
"""Shows a prompt (hidden or not) and comes back with the answer."""
Show = Callable[[str, str, str], Coroutine[object, object, bool]]
"""Shows a title, a text and a question; whether the answer was yes."""


class Person:
    """A `Prompter` for a thread that prepares a request while the terminal UI goes on in its loop."""

    def __init__(self, ask: Ask, show: Show, loop: asyncio.AbstractEventLoop) -> None:
        self._ask = ask
        self._show = show
        self._loop = loop

    def secret(self, prompt: str) -> str:
        """What is typed hidden."""
        return self._wait(prompt, hidden=True)

    def line(self, prompt: str) -> str:
        """What is typed visibly."""
        return self._wait(prompt, hidden=False)

    def agrees(self, title: str, text: str, question: str) -> bool:
        """Whether the person says yes to what is shown."""
        return asyncio.run_coroutine_threadsafe(self._show(title, text, question), self._loop).result()

    def _wait(self, prompt: str, *, hidden: bool) -> str:
        async def ask() -> str | None:
            return await self._ask(prompt, hidden)

        answer = asyncio.run_coroutine_threadsafe(ask(), self._loop).result()
        if answer is None:
            raise ControlError("interrupted", f'"{prompt}" was not answered')
        return answer
