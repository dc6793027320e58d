"""How fast a token may be used: its sliding windows, and the gate that an answer 429 closes.

`Schedule` decides, on a clock that is passed in. `Pacer` lets requests wait for it: in the order in
which they came, from any event loop in any thread.

A request takes a place in every window when it is sent and gives it back one window length after
its answer came. The server counted it before it answered, so the client never sends too early, at
the cost of one round trip per window.

Others may use the same token. What the answers show beyond the client's own requests is taken as
theirs and kept free for them, fading over one window length, since they may be gone.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Final, Literal, TypeAlias
from weakref import WeakKeyDictionary

import attrs

from ._fork import tell_after_fork
from ._http import RateLimitHeaders, checked_count, checked_seconds
from ._retry import backoff
from .errors import RateLimitError

__all__ = ["Pacer", "RateLimit", "RateLimitStatus", "Schedule", "WindowStatus", "ideal_seconds"]

Windows: TypeAlias = tuple[tuple[int, float], ...]
LimitKind: TypeAlias = Literal["burst", "hourly"]

LONGEST_PAUSE: Final = 3600.0
"""The API counts no request for longer than an hour, so no pause needs to be longer."""
LONGEST_BACKOFF: Final = 30.0
SPREAD: Final = 0.05
"""The gate opens later by up to this part of the pause, so that processes do not come in step."""
LONGEST_SPREAD: Final = 1.0
"""Seconds that this is at most."""
ROUNDING: Final = 1e-6


def _as_windows(windows: Iterable[tuple[int, float]]) -> Windows:
    try:
        checked = tuple(_window(limit, span) for limit, span in windows)
        if not checked:
            raise ValueError
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            "windows must be pairs of a whole number of requests >= 1 and a finite number of "
            f"seconds > 0, got {windows!r}"
        ) from None
    return checked


def _window(limit: int, span: float) -> tuple[int, float]:
    seconds = checked_seconds("span", span)
    if not seconds or not isfinite(seconds):
        raise ValueError
    return checked_count("limit", limit, most=sys.maxsize), seconds


@attrs.frozen
class RateLimit:
    """The limits that the API puts on a token.

    Attributes:
        windows: Pairs of a number of requests and of seconds: each request counts for so many
            seconds after it was made. The default is what DigitalOcean documents.

    Example:
        >>> RateLimit().windows
        ((250, 60.0), (5000, 3600.0))
    """

    windows: Windows = attrs.field(default=((250, 60.0), (5000, 3600.0)), converter=_as_windows)


def ideal_seconds(requests: int, rate_limit: RateLimit | None) -> float:
    """Give the seconds until the last of so many requests can be sent, from fresh windows.

    Example:
        >>> ideal_seconds(1000, RateLimit())
        180.0
        >>> ideal_seconds(5001, RateLimit())
        3600.0
    """
    windows = () if rate_limit is None else rate_limit.windows
    sent: list[float] = []
    for number in range(requests):
        waits = [sent[number - limit] + span for limit, span in windows if number >= limit]
        sent.append(max(waits, default=0.0))
    return sent[-1] if sent else 0.0


@attrs.frozen
class WindowStatus:
    """How full one window is.

    Attributes:
        limit: The requests that it allows.
        seconds: How long each of them counts.
        used: This client's requests in it, those under way included.
        used_by_others: What the answers tell of other users of the token.
    """

    limit: int
    seconds: float
    used: int
    used_by_others: int


@attrs.frozen
class RateLimitStatus:
    """A look at the rate limit of a client's token, for progress displays.

    Attributes:
        limit: The limit that the newest answer named, or ``None`` before the first answer.
        remaining: The requests that the newest answer said were left.
        reset_at: When the oldest counted request expires, as the newest answer said.
        windows: The client's own windows; empty with ``rate_limit=None``.
        paused_until: When waiting requests may go on, or ``None`` when none has to wait.
        waiting: The number of requests that wait for the limit.
    """

    limit: int | None
    remaining: int | None
    reset_at: datetime | None
    windows: tuple[WindowStatus, ...]
    paused_until: datetime | None
    waiting: int


class _Window:
    """One sliding window: when the places of answered requests free up, and what others use."""

    def __init__(self, limit: int, seconds: float) -> None:
        self.limit = limit
        self.seconds = seconds
        self.answered: deque[float] = deque()  # still counted
        # Kept while an answer under way may include them. A window never has more than its limit.
        self.expired: deque[float] = deque(maxlen=limit)
        self._others = 0.0
        self._others_since = 0.0

    def expire(self, now: float) -> None:
        while self.answered and self.answered[0] + self.seconds <= now:
            self.expired.append(self.answered.popleft())

    def own(self, now: float, running: int) -> int:
        """Give the number of the client's own requests that are counted."""
        self.expire(now)
        return running + len(self.answered)

    def others(self, now: float) -> float:
        if not self._others:
            return 0.0
        left = 1 - max(0.0, now - self._others_since) / self.seconds
        return self._others * left if left > 0 else 0.0

    def see_others(self, count: float, since: float) -> None:
        if count > self.others(since):
            self._others, self._others_since = float(count), since

    def has_room(self, now: float, running: int) -> bool:
        if not self._others and running + len(self.answered) < self.limit:
            return True  # whatever has expired meanwhile
        own = self.own(now, running)
        # One request at a time may always test whether the others are still there.
        if own >= self.limit:
            return False
        return running == 0 or own + self.others(now) + 1 <= self.limit + ROUNDING

    def room_at(self, now: float, running: int, ahead: int) -> float:
        """Give the earliest time for a request that has ``ahead`` others before it."""
        rounds, ahead = divmod(ahead, self.limit)
        own = self.own(now, running + ahead)
        expiring = max(0, own + 1 - self.limit)
        if expiring > len(self.answered):
            first = now + self.seconds
        elif own == len(self.answered) or self.others(now) == 0.0:
            first = self._expiry(expiring, now)
        else:
            first = self._room_beside_others(now, own, expiring)
        return first + rounds * self.seconds

    def _expiry(self, count: int, now: float) -> float:
        """Give the time at which so many of the answered requests have expired."""
        return self.answered[count - 1] + self.seconds if count else now

    def _room_beside_others(self, now: float, own: int, least: int) -> float:
        """Give the first time at which enough own requests have expired and the others faded.

        The more own requests have expired, the less need the others have faded: the best number of
        them is where the one takes as long as the other.
        """

        def fading(count: int) -> float:
            free = self.limit - 1 - own + count
            return self._others_since + self.seconds * max(0.0, 1 - free / self._others)

        most = len(self.answered)
        counts = range(least, most + 1)
        best = least + bisect_left(
            counts, True, key=lambda count: self._expiry(count, now) >= fading(count)
        )
        times = [self._expiry(best, now)] if best <= most else []
        return min([*times, fading(best - 1)]) if best > least else times[0]

    def observe(self, used: int, running: int, sent_at: float) -> None:
        """Take ``used``, which the server counted some time after ``sent_at``."""
        self.expire(sent_at)
        while self.expired and self.expired[0] + self.seconds <= sent_at:
            self.expired.popleft()
        self.see_others(used - running - len(self.answered) - len(self.expired), sent_at)

    def status(self, now: float, running: int) -> WindowStatus:
        others = round(self.others(now))
        return WindowStatus(self.limit, self.seconds, self.own(now, running), others)


class Schedule:
    """Decides when the next request may be sent. Pure: every method is told the time.

    Args:
        rate_limit: The windows, or ``None`` for none.
        random: Gives a number from 0 to 1, for the spread of the gate.
    """

    def __init__(
        self, rate_limit: RateLimit | None, random: Callable[[], float] = random.random
    ) -> None:
        windows = () if rate_limit is None else rate_limit.windows
        self.windows = sorted((_Window(*window) for window in windows), key=lambda w: w.seconds)
        self.running = 0
        self.opens_at = float("-inf")
        self._random = random
        self._refusals = 0
        self._refusal_kind: LimitKind = "burst"

    def start(self, now: float) -> bool:
        """Take a place in every window, if the gate is open and each of them has one."""
        if now < self.opens_at:
            return False
        for window in self.windows:
            if not window.has_room(now, self.running):
                return False
        self.running += 1
        return True

    def ready_at(self, now: float, ahead: int = 0) -> float:
        """Give the earliest time at which a request with ``ahead`` others before it may start."""
        times = [window.room_at(now, self.running, ahead) for window in self.windows]
        return max(now, self.opens_at, *times)

    def kind_at(self, now: float, ahead: int) -> LimitKind:
        """Tell which limit it is that such a request would wait for."""
        times = [window.room_at(now, self.running, ahead) for window in self.windows]
        if not times or self.opens_at >= max(times):
            return self._refusal_kind
        return "burst" if times[0] >= max(times) else "hourly"

    def give_back(self) -> None:
        """Take back a start that led to no request on the wire."""
        self.running -= 1

    def finish(self, now: float, sent_at: float, limits: RateLimitHeaders | None) -> None:
        """Count a request that ended at ``now``, with the headers of its answer if it had one."""
        self.running -= 1
        for window in self.windows:
            window.answered.append(now)
        if limits is None:
            return
        self._refusals = 0
        remaining = limits.remaining
        if remaining is None:
            return
        if not self.windows:
            self._pause_when_used_up(now, remaining, limits)
            return
        limit = limits.limit
        for window in self.windows:
            if window.limit == limit:
                window.observe(window.limit - remaining, self.running, sent_at)

    def _pause_when_used_up(self, now: float, remaining: int, limits: RateLimitHeaders) -> None:
        if remaining == 0 and (reset_in := limits.reset_in or 0.0) > 0:
            self.opens_at = max(self.opens_at, now + min(reset_in, LONGEST_PAUSE))

    def refuse(self, now: float, sent_at: float, limits: RateLimitHeaders) -> None:
        """Close the gate after an answer 429 to a request that was sent at ``sent_at``.

        Answers to requests that were sent before the gate closed tell nothing new: only one that
        wants a pause longer by more than rounding moves the opening.
        """
        self.running -= 1
        pause = self._pause(now, limits)
        if sent_at >= self.opens_at:
            self._refusals += 1
            if self._refusals > 1:
                pause = max(pause, backoff(self._refusals - 1, 0.0, longest=LONGEST_BACKOFF))
            self.opens_at = now + pause + self._random() * min(SPREAD * pause, LONGEST_SPREAD)
            self._refusal_kind = "hourly" if limits.retry_after is None else "burst"
        elif now + pause > self.opens_at + 1:
            self.opens_at = now + pause
        window = self._refusing_window(limits)
        if window is not None:
            own = window.own(now, self.running)
            window.see_others(window.limit - own, self.opens_at)

    def _refusing_window(self, limits: RateLimitHeaders) -> _Window | None:
        """Give the window that a 429 is about: only the short one's has ``retry-after``."""
        if not self.windows:
            return None
        return self.windows[-1 if limits.retry_after is None else 0]

    def _pause(self, now: float, limits: RateLimitHeaders) -> float:
        """Give the seconds that an answer 429 asks for.

        ``ratelimit-reset`` has been seen to lie in the past: then the client's own window tells.
        """
        asked = limits.retry_after
        if asked is None:
            asked = limits.reset_in
        if asked is None or (asked <= 0 and limits.retry_after is None):
            asked = self._own_pause(now)
        return min(asked, LONGEST_PAUSE)

    def _own_pause(self, now: float) -> float:
        window = self.windows[-1] if self.windows else None
        if window is not None and window.own(now, self.running) >= window.limit:
            return window.room_at(now, self.running, 0) - now
        return backoff(1, 0.0)


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
        if not self.future.done():
            self.future.set_exception(error) if error else self.future.set_result(None)


class Pacer:
    """Lets the requests of a client and its copies wait for the token's rate limit.

    It belongs to no event loop: requests from several loops, in several threads, share it.
    """

    def __init__(
        self, rate_limit: RateLimit | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.rate_limit = rate_limit
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
        now = self._clock()
        for _ in range(self._schedule.running):
            self._schedule.finish(now, now, None)

    def start_at_once(self) -> float | None:
        """Let a request be sent now, if it may and nobody waits; see `start`."""
        now = self._clock()
        with self._lock:
            return now if not self._waiting and self._schedule.start(now) else None

    async def start(self, patience: float | None) -> float:
        """Wait until a request may be sent, and give the time from which it counts as sent.

        Every start is followed by exactly one of `finish`, `refuse` and `give_back`.

        Args:
            patience: The most seconds to wait, ``None`` for no bound. The spread of the gate and
                the round trips of the requests before come on top, up to a twentieth.

        Raises:
            RateLimitError: The wait would be longer. Raised as soon as that is known.
        """
        sent_at = self.start_at_once()
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
            raise self._too_long(ready_at - now, self._schedule.kind_at(now, ahead))
        waiter = _Waiter(give_up_at)
        self._waiting.append(waiter)
        self._serve(now)
        self._look_again(waiter.loop, now)
        return waiter

    def _leave(self, waiter: _Waiter) -> None:
        """Give up a place in the queue, or the start that was granted in the same moment."""
        with self._lock:
            if waiter.started_at is not None:
                self._schedule.give_back()
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
            now = self._clock()
            self._schedule.finish(now, sent_at, limits)
            if limits is not None:
                self._newest = limits
            self._serve(now)

    def refuse(self, sent_at: float, limits: RateLimitHeaders) -> None:
        """Close the gate for all requests after an answer 429."""
        with self._lock:
            now = self._clock()
            self._schedule.refuse(now, sent_at, limits)
            self._newest = limits
            opens_at = self._schedule.opens_at
            self._send_away(now, opens_at, [w for w in self._waiting if w.give_up_at < opens_at])
            self._serve(now)

    def give_back(self) -> None:
        """Take back a start that led to no request on the wire."""
        with self._lock:
            self._schedule.give_back()
            self._serve(self._clock())

    def _send_away(self, now: float, ready_at: float, waiters: list[_Waiter]) -> None:
        """Tell those who would have to wait longer than they want, now and not later."""
        for waiter in waiters:
            self._waiting.remove(waiter)
            waiter.wake(self._too_long(ready_at - now, self._schedule.kind_at(now, 0)))

    def _too_long(self, wait: float, kind: LimitKind) -> RateLimitError:
        newest = self._newest
        return RateLimitError(
            f"the rate limit of the token allows no more requests for {wait:.1f} s",
            response=None,
            retry_after=wait,
            limit=newest.limit,
            remaining=newest.remaining,
            reset_at=newest.reset_at,
            kind=kind,
        )

    def _serve(self, now: float) -> None:
        """Start as many of those who wait as may start now, and have the next one looked at."""
        while self._waiting and self._schedule.start(now):
            waiter = self._waiting.popleft()
            waiter.started_at = now
            if not waiter.wake():
                waiter.started_at = None
                self._schedule.give_back()
        while self._waiting and not self._look_again(self._waiting[0].loop, now):
            self._waiting.popleft()

    def _look_again(self, loop: asyncio.AbstractEventLoop, now: float) -> bool:
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
                self._look_again(loop, now)

    def status(self) -> RateLimitStatus:
        """Look at the windows and the queue."""
        with self._lock:
            now, newest, schedule = self._clock(), self._newest, self._schedule
            ready_at = schedule.ready_at(now) if self._waiting else schedule.opens_at
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
