"""Requests take turns with everything else in the event loop, however many there are.

The loop runs everything that is ready before it looks at sockets and timers again.  Sixty-four clients that write
as fast as they can would have a thousand requests ready at once, and a tunnel's next step would wait for them all.
Here a few are admitted in each round of the loop, first come, first served; the others wait for the next rounds.
"""

from __future__ import annotations

import asyncio
from collections import deque

EACH_ROUND = 2
"""Requests that begin in one round of the loop; one takes a fraction of a millisecond."""


class Turnstile:
    """`pass_through` returns when it is the caller's turn."""

    def __init__(self, each_round: int = EACH_ROUND) -> None:
        self._each_round = each_round
        self._left = each_round
        self._queue: deque[asyncio.Future[None]] = deque()
        self._is_turning = False

    async def pass_through(self) -> None:
        """Wait for a place in this round or a later one."""
        if self._left and not self._queue:
            self._left -= 1
            self._turn_later()
            return
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._turn_later()
        await turn

    def _turn_later(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        """A new round has begun."""
        self._is_turning = False
        self._left = self._each_round
        while self._left and self._queue:
            turn = self._queue.popleft()
            if not turn.done():  # else its client has gone
                turn.set_result(None)
                self._left -= 1
        if self._queue:
            self._turn_later()
