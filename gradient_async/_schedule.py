"""When a request may be sent: a token's sliding windows, behind the gate that an answer closes.

Pure: `Schedule` is told the time. `Pacer` has requests wait until the time that it names.

A request takes a place in every window when it is sent and gives it back one window length after
its answer came. The server counted it before it answered, so the client never sends too early, at
the cost of one round trip per window.

Others may use the same token. What the answers show beyond the client's own requests is taken as
theirs and kept free for them, until an answer to a later request shows less, and fading over one
window length, since they may be gone.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from typing import Final

from ._gate import Gate
from ._http import RateLimitHeaders
from ._rate_limit import RateLimit, WindowStatus
from .errors import LimitKind

__all__ = ["LONGEST_PAUSE", "Schedule"]

LONGEST_PAUSE: Final = 3600.0
"""The API counts no request for longer than an hour, so no pause needs to be longer."""
MINUTE: Final = 60.0
ROUNDING: Final = 1e-6


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
        self._others_seen_at = 0.0

    def expire(self, now: float) -> None:
        while self.answered and self.answered[0] + self.seconds <= now:
            self.expired.append(self.answered.popleft())

    def own(self, now: float, running: int) -> int:
        """Return the number of the client's own requests that are counted."""
        self.expire(now)
        return running + len(self.answered)

    def others(self, now: float) -> float:
        faded = max(0.0, now - self._others_since) / self.seconds
        return self._others * max(0.0, 1 - faded)

    def see_others(self, now: float, count: int, since: float) -> None:
        """Keep places free for others, of whom there were so many ``since`` some time."""
        self._others, self._others_since, self._others_seen_at = float(count), since, now

    def has_room(self, now: float, running: int) -> bool:
        if not self._others and running + len(self.answered) < self.limit:
            return True  # whatever has expired meanwhile
        own = self.own(now, running)
        # One request at a time may always test whether the others are still there.
        if own >= self.limit:
            return False
        return running == 0 or own + self.others(now) + 1 <= self.limit + ROUNDING

    def room_at(self, now: float, running: int, ahead: int) -> float:
        """Return the earliest time for a request that has ``ahead`` others before it."""
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
        """Return the time at which so many of the answered requests have expired."""
        return self.answered[count - 1] + self.seconds if count else now

    def _room_beside_others(self, now: float, own: int, least: int) -> float:
        """Return the first time at which enough own requests have expired and the others faded.

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
        near_best = range(max(least, best - 1), min(best, most) + 1)
        return min(max(self._expiry(count, now), fading(count)) for count in near_best)

    def observe(self, now: float, used: int, running: int, sent_at: float) -> None:
        """Take ``used``, which the server counted between ``sent_at`` and ``now``."""
        self.expire(sent_at)
        while self.expired and self.expired[0] + self.seconds <= sent_at:
            self.expired.popleft()
        least = used - running - len(self.answered) - len(self.expired)
        believed = self.others(sent_at) if self._others else 0.0
        if least > believed:
            self.see_others(now, least, sent_at)
        elif believed and sent_at >= self._others_seen_at:
            # Which of the own requests beside this one are in it is not known.
            most = max(0, used - 1)
            if most < believed:
                self.see_others(now, most, sent_at)

    def may_be_all_own(self, now: float, running: int) -> bool:
        """Tell whether the own requests alone explain that nothing is left."""
        return self.own(now, running) + len(self.expired) >= self.limit

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
        self.gate = Gate(random)

    def start(self, now: float) -> bool:
        """Take a place in every window, if the gate is open and each of them has one."""
        if not self.gate.is_open(now):
            return False
        for window in self.windows:
            if not window.has_room(now, self.running):
                return False
        self.running += 1
        self.gate.on_pass(now)
        return True

    def ready_at(self, now: float, ahead: int = 0) -> float:
        """Return the earliest time at which a request with ``ahead`` others before it may start."""
        times = [window.room_at(now, self.running, ahead) for window in self.windows]
        return max([self.gate.passes_at(now), *times])

    def limited_by(self, now: float, ahead: int) -> tuple[LimitKind | None, int | None]:
        """Tell what such a request would wait for; the limit, too, if the own count reaches it."""
        rooms = [window.room_at(now, self.running, ahead) for window in self.windows]
        if not rooms or self.gate.passes_at(now) >= max(rooms):
            return self.gate.closed_by, None
        place = rooms.index(max(rooms))
        window = self.windows[place]
        full = window.own(now, self.running + ahead) >= window.limit
        return "hourly" if place else "burst", window.limit if full else None

    def give_back(self, sent_at: float) -> None:
        """Take back a start that led to no request on the wire."""
        self.running -= 1
        self.gate.on_give_back(sent_at)

    def end_all(self, now: float) -> None:
        """Count all that is under way as ended, as after a fork."""
        for _ in range(self.running):
            self.finish(now, now, None)
        self.gate.forget_probe()

    def finish(self, now: float, sent_at: float, limits: RateLimitHeaders | None) -> None:
        """Count a request that ended at ``now``, with the headers of its answer if it had one."""
        self.running -= 1
        self.gate.on_end(sent_at, answered=limits is not None)
        for window in self.windows:
            window.answered.append(now)
        if limits is None:
            return
        remaining = limits.remaining
        if remaining is None:
            return
        limit = limits.limit
        for window in self.windows:
            if window.limit == limit:
                window.observe(now, window.limit - remaining, self.running, sent_at)
        if not remaining:
            self._pause_if_others_used_it_up(now, limits)

    def _pause_if_others_used_it_up(self, now: float, limits: RateLimitHeaders) -> None:
        """Wait until the moment at which the API will have room again.

        One beyond a minute may be that of the hour while the limit of the minute is meant. With
        windows, which let no more than one request go then, that one finds out.
        """
        named = [window for window in self.windows if window.limit == limits.limit]
        if any(window.may_be_all_own(now, self.running) for window in named):
            return
        reset_in = limits.reset_in or 0.0
        if reset_in > 0 and (reset_in <= MINUTE or not self.windows):
            self.gate.close_for(now, min(reset_in, LONGEST_PAUSE))

    def on_refusal(self, now: float, sent_at: float, limits: RateLimitHeaders) -> None:
        """Close the gate after an answer 429 to a request that was sent at ``sent_at``."""
        self.running -= 1
        self.gate.on_refusal(now, sent_at, self._pause(now, limits), limits.refused_by)
        window = self._refusing_window(limits)
        if window is not None:
            others = window.limit - window.own(now, self.running)
            if others > window.others(self.gate.opens_at):
                window.see_others(now, others, self.gate.opens_at)

    def _refusing_window(self, limits: RateLimitHeaders) -> _Window | None:
        """Return the window that a 429 is about, if it is about one."""
        if not self.windows or limits.refused_by is None:
            return None
        return self.windows[0 if limits.refused_by == "burst" else -1]

    def _pause(self, now: float, limits: RateLimitHeaders) -> float | None:
        """Return the seconds that an answer 429 asks for, ``None`` where nothing tells.

        ``ratelimit-reset`` has been seen to lie in the past: then the client's own window tells.
        """
        asked = limits.retry_after
        if asked is None:
            asked = limits.reset_in
        if asked is None or (asked <= 0 and limits.retry_after is None):
            asked = self._own_pause(now)
        return None if asked is None else min(asked, LONGEST_PAUSE)

    def _own_pause(self, now: float) -> float | None:
        window = self.windows[-1] if self.windows else None
        if window is not None and window.own(now, self.running) >= window.limit:
            return window.room_at(now, self.running, 0) - now
        return None
