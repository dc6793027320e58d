"""A bounded number of places, each given on to whoever has waited for one the longest.

As `asyncio.Semaphore`, but a free place is taken without a coroutine: every request needs one.
"""

from __future__ import annotations

import asyncio
from collections import deque

__all__ = ["Slots"]


class Slots:
    """Places on one event loop.

    Attributes:
        free: The places that nobody has. While there are any, nobody waits.
    """

    def __init__(self, number: int) -> None:
        self.free: int = number
        self._waiting: deque[asyncio.Future[None]] = deque()

    def take_at_once(self) -> bool:
        """Take a place if one is free, and tell whether."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def take(self) -> None:
        """Take a place, as soon as one is free."""
        if self.take_at_once():
            return
        given = asyncio.get_running_loop().create_future()
        self._waiting.append(given)
        try:
            await given
        except BaseException:
            try:
                self._waiting.remove(given)
            except ValueError:
                if not given.cancelled():  # it was given in the same moment
                    self.give_back()
            raise

    def give_back(self) -> None:
        """Return a place to the one who has waited longest, or have it free."""
        while self._waiting:
            given = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                return
        self.free += 1
