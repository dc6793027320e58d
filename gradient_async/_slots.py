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

    def acquire_nowait(self) -> bool:
        """Take a place if one is free, and tell whether."""
        if not self.free:
            return False
        self.free -= 1
        return True

    async def acquire(self) -> None:
        """Take a place, as soon as one is free."""
        if self.acquire_nowait():
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
                    self.release()
            raise

    def release(self, count: int = 1) -> None:
        """Hand places to those who have waited longest, and mark what is left as free."""
        while count and self._waiting:
            given = self._waiting.popleft()
            if not given.done():
                given.set_result(None)
                count -= 1
        self.free += count
