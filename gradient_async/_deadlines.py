"""The timeouts of the requests that are under way on one event loop, behind a single timer.

The `deadline` of a fan-out is in `_fan_out`.

aiohttp and `asyncio.timeout` set a timer for every request and take it away again, which is a tenth
of all that a request costs. Few of them ever ring, so one timer, for the earliest, does for all.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from math import inf
from types import TracebackType
from typing import Any

__all__ = ["Deadline", "Deadlines"]


class Deadlines:
    """Those who wait on the running loop, each until a time of its own."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self._waiting: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = inf

    def after(self, seconds: float | None) -> Deadline:
        """Return a deadline so many seconds from now, ``None`` for one that never comes."""
        return Deadline(self, inf if seconds is None else self.loop.time() + seconds)

    def add(self, deadline: Deadline) -> None:
        """Have a deadline looked at when its time has come."""
        self._waiting.add(deadline)
        if deadline.at < self._rings_at:
            self._ring_at(deadline.at)

    def remove(self, deadline: Deadline) -> None:
        """Forget a deadline. The timer stays: setting it anew costs more than one idle ring."""
        self._waiting.discard(deadline)

    def close(self) -> None:
        """Take the timer away, once nobody waits any more."""
        if not self._waiting:
            self._ring_at(inf)

    def _ring_at(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rings_at = at
        self._timer = None if at == inf else self.loop.call_at(at, _ring, weakref.ref(self))

    def ring(self) -> None:
        """End what waits beyond its time, and set the timer for the next."""
        now = self.loop.time()
        try:
            for deadline in [waiting for waiting in self._waiting if waiting.at <= now]:
                self._waiting.discard(deadline)
                deadline.expire()
        finally:  # whatever interrupts it, the others are kept to their time
            self._ring_at(min((waiting.at for waiting in self._waiting), default=inf))


def _ring(reference: Callable[[], Deadlines | None]) -> None:
    """Ring for those who are still there: a timer keeps nobody alive."""
    if (deadlines := reference()) is not None:
        deadlines.ring()


class Deadline:
    """Bounds what is awaited within its ``with`` blocks, which may be several, one at a time.

    Raises:
        TimeoutError: Its time has come, while something was awaited within it or before.
    """

    __slots__ = ("_cancelling", "_deadlines", "_passed", "_task", "at")

    def __init__(self, deadlines: Deadlines, at: float) -> None:
        self.at: float = at
        self._deadlines = deadlines
        self._passed = False
        self._task: asyncio.Task[Any] | None = None
        self._cancelling = 0

    def __enter__(self) -> None:
        if self.at <= self._deadlines.loop.time():
            raise TimeoutError
        task = asyncio.current_task(self._deadlines.loop)
        assert task is not None
        self._task, self._cancelling = task, task.cancelling()
        self._deadlines.add(self)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._deadlines.remove(self)
        if not self._passed:
            return
        assert self._task is not None
        # As `asyncio.timeout` does: when others have cancelled the task too, it stays cancelled.
        if self._task.uncancel() <= self._cancelling and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def expire(self) -> None:
        """End what is awaited within it."""
        assert self._task is not None
        self._passed = True
        self._task.cancel()
