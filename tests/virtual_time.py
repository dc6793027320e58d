"""A rate limit in virtual time: a clock that jumps, a server that counts, clients that wait."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import count

import attrs

from gradient_async._http import RateLimitHeaders
from gradient_async._schedule import Schedule
from gradient_async.testing import SlidingLimits

EPOCH = 1_700_000_000.0
Trip = tuple[float, float]
"""Seconds from sending a request to its being counted, and from there to its answer."""


@attrs.define
class World:
    """A clock that jumps from event to event, and the server of all clients in it.

    Attributes:
        limits: What the server allows; ``None`` for everything.
        now: The time.
        counted: When the server counted each request that it answered well.
        refused: How many it answered with 429.
    """

    limits: SlidingLimits | None = None
    reset_in_past: bool = False
    now: float = 0.0
    counted: list[float] = attrs.field(factory=list[float])
    refused: int = 0
    _events: list[tuple[float, int, Callable[[], None]]] = attrs.field(factory=list)
    _numbers: count[int] = attrs.field(factory=count)

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Have something done at a time."""
        heapq.heappush(self._events, (time, next(self._numbers), action))

    def run(self, most: int = 20_000) -> None:
        """Do everything that is to be done, in its order; more than ``most`` of it is a spin."""
        for _ in range(most):
            if not self._events:
                return
            self.now, _, action = heapq.heappop(self._events)
            action()
        raise AssertionError(f"more than {most} events: something spins")

    def judge(self) -> tuple[bool, RateLimitHeaders]:
        """Count a request as the server does: whether it is allowed, and the headers."""
        if self.limits is None:
            self.counted.append(self.now)
            return True, RateLimitHeaders({}, EPOCH + self.now)
        verdict = self.limits.take(self.now)
        headers = {
            "ratelimit-limit": str(verdict.limit),
            "ratelimit-remaining": str(verdict.remaining),
            "ratelimit-reset": str(int(EPOCH + verdict.reset_at)),
        }
        if verdict.retry_after is not None:
            headers["retry-after"] = str(verdict.retry_after)
        if not verdict.allowed and self.reset_in_past:
            headers["ratelimit-reset"] = str(int(EPOCH + self.now) - 60)
        if verdict.allowed:
            self.counted.append(self.now)
        else:
            self.refused += 1
        return verdict.allowed, RateLimitHeaders(headers, EPOCH + self.now)


@attrs.define
class FakeClient:
    """Requests that wait for a schedule in their order, on the clock of a world.

    Attributes:
        started: When each of them was sent, refused ones each time.
        done: How many were answered well.
    """

    world: World
    schedule: Schedule
    trips: Sequence[Trip]
    started: list[float] = attrs.field(factory=list[float])
    done: int = 0
    _waiting: deque[int] = attrs.field(factory=deque[int])
    _changes: int = 0

    def ask(self, requests: int) -> None:
        """Send so many requests as soon as may be."""
        self._waiting.extend(range(requests))
        self._serve()

    def _serve(self) -> None:
        now = self.world.now
        self._changes += 1
        while self._waiting and self.schedule.start(now):
            self._waiting.popleft()
            to_server, back = self.trips[len(self.started) % len(self.trips)]
            self.started.append(now)
            self.world.at(now + to_server, partial(self._counted, now, back))
        if self._waiting:
            at = self.schedule.ready_at(now)
            assert at > now, "it may start now and may not"
            self.world.at(at, partial(self._look_again, self._changes))

    def _look_again(self, changes: int) -> None:
        if changes != self._changes:
            return
        started, full = len(self.started), self._full
        self._serve()
        assert full or len(self.started) > started, "`ready_at` was too early"

    @property
    def _full(self) -> bool:
        """Whether only an answer can make room."""
        return any(self.schedule.running >= window.limit for window in self.schedule.windows)

    def _counted(self, sent_at: float, back: float) -> None:
        allowed, headers = self.world.judge()
        self.world.at(self.world.now + back, partial(self._answered, sent_at, allowed, headers))

    def _answered(self, sent_at: float, allowed: bool, headers: RateLimitHeaders) -> None:
        if allowed:
            self.schedule.finish(self.world.now, sent_at, headers)
            self.done += 1
        else:
            self.schedule.on_refusal(self.world.now, sent_at, headers)
            self._waiting.append(0)
        self._serve()


def fullest(times: Iterable[float], seconds: float) -> int:
    """The most of the times that lie within one sliding window of so many seconds."""
    most, inside = 0, deque[float]()
    for time in sorted(times):
        inside.append(time)
        while inside[0] + seconds <= time:
            inside.popleft()
        most = max(most, len(inside))
    return most
