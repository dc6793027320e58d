"""The queue of requests that wait for the token's rate limit.

`Pacer` lets them go when `Schedule` says so: in the order in which they came, from any event loop
in any thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from weakref import WeakKeyDictionary

from ._fork import tell_after_fork
from ._gate import SPREAD
from ._http import RateLimitHeaders
from ._rate_limit import RateLimit, RateLimitStatus
from ._schedule import Schedule
from .errors import RateLimitError

__all__ = ["Pacer"]


class _Waiter:
    """A request that waits for its turn, on the loop of the task that makes it."""

    __slots__ = ("future", "give_up_at", "loop", "started_at")

    def __init__(self, give_up_at: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[None] = self.loop.create_future()
        self.give_up_at = give_up_at
        self.started_at: float | None = None

    def wake(self, error: RateLimitError | None = None) -> bool:
        """End the wait from any thread; ``False`` when the waiter's loop is gone."""
        try:
            self.loop.call_soon_threadsafe(self._settle, error)
        except RuntimeError:
            return False
        return True

    def _settle(self, error: RateLimitError | None) -> None:
        if self.future.done():
            return
        if error is None:
            self.future.set_result(None)
        else:
            self.future.set_exception(error)


class Pacer:
    """Lets the requests of a client and its copies wait for the token's rate limit.

    It belongs to no event loop: requests from several loops, in several threads, share it.
    """

    def __init__(
        self, rate_limit: RateLimit | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._schedule = Schedule(rate_limit)
        self._clock = clock
        self._waiting: deque[_Waiter] = deque()
        # When each loop with waiters has the queue looked at: one may end while others wait.
        self._alarms = WeakKeyDictionary[asyncio.AbstractEventLoop, float]()
        self._newest = RateLimitHeaders({}, 0.0)
        self._lock = _new_lock()
        tell_after_fork(self)

    def after_fork_in_child(self) -> None:
        """Forget who waits and what is under way: both are the parent's, as is the lock."""
        self._lock = _new_lock()
        self._waiting.clear()
        self._alarms.clear()
        self._schedule.end_all(self._clock())

    def start_nowait(self) -> float | None:
        """Let a request be sent now, if it may and nobody waits; see `start`."""
        now = self._clock()
        with self._lock:
            return now if not self._waiting and self._schedule.start(now) else None

    async def start(self, patience: float | None) -> float:
        """Wait until a request may be sent, and give the time from which it counts as sent.

        Every start is followed by exactly one of `finish`, `on_refusal` and `give_back`.

        Args:
            patience: The most seconds to wait, ``None`` for no bound. The spread of the gate and
                the round trips of the requests before come on top, up to a twentieth.

        Raises:
            RateLimitError: The wait would be longer. Raised as soon as that is known.
        """
        sent_at = self.start_nowait()
        if sent_at is not None:
            return sent_at
        now = self._clock()
        with self._lock:
            waiter = self._enqueue(now, patience)
        timer = None
        if patience is not None:
            timer = waiter.loop.call_later(waiter.give_up_at - now, self._give_up, waiter)
        try:
            await waiter.future
        except BaseException:
            self._leave(waiter)
            raise
        finally:
            if timer is not None:
                timer.cancel()
        assert waiter.started_at is not None
        return waiter.started_at

    def _enqueue(self, now: float, patience: float | None) -> _Waiter:
        ahead = len(self._waiting)
        give_up_at = float("inf") if patience is None else now + patience * (1 + SPREAD)
        ready_at = self._schedule.ready_at(now, ahead)
        if ready_at > give_up_at:
            raise self._too_long(now, ready_at, ahead)
        waiter = _Waiter(give_up_at)
        self._waiting.append(waiter)
        self._serve(now)
        self._ensure_alarm(waiter.loop, now)
        return waiter

    def _leave(self, waiter: _Waiter) -> None:
        """Give up a place in the queue, or the start that was granted in the same moment."""
        with self._lock:
            if waiter.started_at is not None:
                self._schedule.give_back(waiter.started_at)
            else:
                with suppress(ValueError):
                    self._waiting.remove(waiter)
            self._serve(self._clock())

    def _give_up(self, waiter: _Waiter) -> None:
        """Send a waiter away whose patience has ended, though the wait had promised to be short."""
        with self._lock:
            now = self._clock()
            if waiter in self._waiting:
                self._send_away(now, self._schedule.ready_at(now), [waiter])
                self._serve(now)

    def finish(self, sent_at: float, limits: RateLimitHeaders | None) -> None:
        """Count a request that has ended; ``limits`` are the headers of its answer, if any."""
        with self._lock:
            now, opening = self._clock(), self._schedule.gate.opens_at
            self._schedule.finish(now, sent_at, limits)
            if limits is not None:
                self._newest = limits
            if self._schedule.gate.opens_at > opening:
                self._send_away_the_impatient(now)
            if self._waiting:
                self._serve(now)

    def on_refusal(self, sent_at: float, limits: RateLimitHeaders) -> None:
        """Close the gate for all requests after an answer 429."""
        with self._lock:
            now = self._clock()
            self._schedule.on_refusal(now, sent_at, limits)
            self._newest = limits
            self._send_away_the_impatient(now)
            self._serve(now)

    def closed_since(self, sent_at: float) -> bool:
        """Tell whether the gate was closed after a request was started."""
        return self._schedule.gate.opens_at > sent_at

    def closed_for(self) -> float:
        """Return the seconds until the gate opens."""
        return max(0.0, self._schedule.gate.opens_at - self._clock())

    def give_back(self, sent_at: float) -> None:
        """Take back a start that led to no request on the wire."""
        with self._lock:
            self._schedule.give_back(sent_at)
            self._serve(self._clock())

    def _send_away_the_impatient(self, now: float) -> None:
        """Send away who does not want to wait until the gate opens."""
        opens_at = self._schedule.gate.opens_at
        self._send_away(now, opens_at, [w for w in self._waiting if w.give_up_at < opens_at])

    def _send_away(self, now: float, ready_at: float, waiters: list[_Waiter]) -> None:
        """Tell those who would have to wait longer than they want, now and not later."""
        for waiter in waiters:
            self._waiting.remove(waiter)
            waiter.wake(self._too_long(now, ready_at))

    def _too_long(self, now: float, ready_at: float, ahead: int = 0) -> RateLimitError:
        newest, wait = self._newest, ready_at - now
        kind, limit = self._schedule.limited_by(now, ahead)
        error = RateLimitError(
            "the rate limit of the token allows no more requests",
            response=None,
            retry_after=wait,
            limit=newest.limit,
            remaining=newest.remaining,
            reset_at=newest.reset_at,
            kind=kind,
        )
        if limit is not None:
            error.limit, error.remaining, error.reset_at = limit, 0, _wall_time(wait)
        return error

    def _serve(self, now: float) -> None:
        """Start as many of those who wait as may start now, and have the next one looked at."""
        while self._waiting and self._schedule.start(now):
            waiter = self._waiting.popleft()
            waiter.started_at = now
            if not waiter.wake():
                waiter.started_at = None
                self._schedule.give_back(now)
        while self._waiting and not self._ensure_alarm(self._waiting[0].loop, now):
            self._waiting.popleft()

    def _ensure_alarm(self, loop: asyncio.AbstractEventLoop, now: float) -> bool:
        """Have the queue served when its first may start; ``False`` when the loop is gone."""
        at = self._schedule.ready_at(now)
        if self._alarms.get(loop, float("inf")) > at:
            try:
                loop.call_soon_threadsafe(self._set_alarm, at)
            except RuntimeError:
                return False
            self._alarms[loop] = at
        return not loop.is_closed()

    def _set_alarm(self, at: float) -> None:
        delay = max(0.0, at - self._clock())
        asyncio.get_running_loop().call_later(delay, self._on_alarm, at)

    def _on_alarm(self, at: float) -> None:
        loop = asyncio.get_running_loop()
        with self._lock:
            now = self._clock()
            if self._alarms.get(loop) == at:
                del self._alarms[loop]
            self._serve(now)
            if any(waiter.loop is loop for waiter in self._waiting):
                self._ensure_alarm(loop, now)

    def status(self) -> RateLimitStatus:
        """Look at the windows and the queue."""
        with self._lock:
            now, newest, schedule = self._clock(), self._newest, self._schedule
            ready_at = schedule.ready_at(now) if self._waiting else schedule.gate.opens_at
            return RateLimitStatus(
                limit=newest.limit,
                remaining=newest.remaining,
                reset_at=newest.reset_at,
                windows=tuple(window.status(now, schedule.running) for window in schedule.windows),
                paused_until=_wall_time(ready_at - now) if ready_at > now else None,
                waiting=len(self._waiting),
            )


def _new_lock() -> threading.RLock:
    # Reentrant: the garbage collector may close a coroutine that waits here at any moment.
    return threading.RLock()


def _wall_time(seconds_from_now: float) -> datetime:
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds_from_now)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
