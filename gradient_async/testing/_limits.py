"""The token's sliding request windows, as pure arithmetic on a clock that is passed in."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import attrs

__all__ = ["SlidingLimits", "Verdict"]


@attrs.define
class SlidingWindow:
    """At most so many requests in any so many seconds; each expires that long after it was made.

    Args:
        limit: Requests that fit into the window, at least 1.
        seconds: Length of the window, more than 0.
    """

    limit: int = attrs.field(validator=attrs.validators.ge(1))
    seconds: float = attrs.field(validator=attrs.validators.gt(0))
    _made: deque[float] = attrs.field(factory=deque[float], init=False, repr=False)

    def expire(self, now: float) -> None:
        """Forget the requests that no longer count at ``now``."""
        while self._made and self._made[0] + self.seconds <= now:
            self._made.popleft()

    def add(self, now: float) -> None:
        """Count one request made at ``now``."""
        self._made.append(now)

    @property
    def remaining(self) -> int:
        """Requests that still fit."""
        return max(0, self.limit - len(self._made))

    def reset_at(self, now: float) -> float:
        """Return when the oldest counted request expires, ``now`` if there is none."""
        return self._made[0] + self.seconds if self._made else now

    def free_at(self, now: float) -> float:
        """Return the moment from which one more request fits (``now`` if it fits already)."""
        return now if self.remaining else self._made[-self.limit] + self.seconds


@attrs.frozen
class Verdict:
    """What the limits say about one request.

    Attributes:
        allowed: Whether it may be answered.
        limit: Size of the window that the headers describe (the longest).
        remaining: Requests left in it; 0 on every rejection.
        reset_at: When the oldest request in it expires, on the clock of the caller.
        retry_after: Whole seconds to wait, rounded up; ``None`` unless the rejection names them.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_at: float
    retry_after: int | None = None


class SlidingLimits:
    """Several sliding windows over the same requests.

    A request is rejected when one of the windows is full. The rejection names ``retry_after``,
    unless the window with the longest wait is the hour-like one: the longest of several.

    Args:
        windows: Pairs of (requests, seconds), at least one.
        count_rejected: Whether a rejected request uses up room as well.
        hour_style: Whether a single window is hour-like, too.
    """

    def __init__(
        self,
        windows: Iterable[tuple[int, float]],
        *,
        count_rejected: bool = False,
        hour_style: bool = False,
    ) -> None:
        self.windows: list[SlidingWindow] = sorted(
            (SlidingWindow(*window) for window in windows), key=lambda window: window.seconds
        )
        if not self.windows:
            raise ValueError("limits need at least one window of (requests, seconds)")
        self._longest = self.windows[-1]
        self._hour_like = self._longest if hour_style or len(self.windows) > 1 else None
        self._count_rejected = count_rejected

    def take(self, now: float) -> Verdict:
        """Judge a request made at ``now`` and count it if it counts."""
        self._expire(now)
        full = [window for window in self.windows if not window.remaining]
        if not full or self._count_rejected:
            for window in self.windows:
                window.add(now)
        return self._rejection(full, now) if full else self._state(now)

    def peek(self, now: float) -> Verdict:
        """Return the state at ``now``, and count nothing."""
        self._expire(now)
        return self._state(now)

    def _expire(self, now: float) -> None:
        for window in self.windows:
            window.expire(now)

    def _state(self, now: float) -> Verdict:
        longest = self._longest
        return Verdict(True, longest.limit, longest.remaining, longest.reset_at(now))

    def _rejection(self, full: list[SlidingWindow], now: float) -> Verdict:
        cause = max(full, key=lambda window: window.free_at(now))
        wait = None if cause is self._hour_like else max(1, math.ceil(cause.free_at(now) - now))
        return Verdict(False, self._longest.limit, 0, self._longest.reset_at(now), wait)
