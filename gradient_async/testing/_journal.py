"""What the simulator remembers: the log, the counters, held requests, and who waits for them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import attrs

__all__ = ["Journal", "LoggedRequest", "Watcher"]


@attrs.frozen
class LoggedRequest:
    """One request that the simulator has answered or lost.

    Attributes:
        method: HTTP method.
        path: Path, without the query.
        query: The query, the last value of each name.
        headers: The request's headers, looked up in any case.
        status: Status that was sent; 0 if none was.
        at: When the request arrived, on `time.monotonic`'s clock.
        connection: Number of the TCP connection that it came on, from 1.
        request_id: The ``x-request-id`` of its answer.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str] = attrs.field(repr=False)
    status: int
    at: float
    connection: int
    request_id: str


@attrs.frozen(eq=False)
class Watcher:
    """Somebody who waits for a condition.

    Attributes:
        reached: The condition.
        done: Becomes done when the condition is true, or raises an error.
    """

    reached: Callable[[], bool]
    done: concurrent.futures.Future[None] = attrs.field(factory=concurrent.futures.Future[None])

    def look(self) -> None:
        """Look whether the condition is true by now."""
        with suppress(concurrent.futures.InvalidStateError):
            try:
                if self.reached():
                    self.done.set_result(None)
            except Exception as error:
                self.done.set_exception(error)


@attrs.define(eq=False)
class Journal:
    """The log and the counters of a simulator.

    Only the simulator's loop writes them; any thread may read them.

    Args:
        log_size: The log keeps at least as many of the latest requests.

    Attributes:
        entries: The log.
        received: Requests that arrived.
        cancelled: Requests whose client went away before the answer was made.
        max_in_flight: The most requests that were being answered at once.
        busy: Numbers of the connections with a request that is being answered, one per request.
        held: What the held requests wait for, longest held first.
    """

    log_size: int = 50_000
    entries: list[LoggedRequest] = attrs.field(factory=list[LoggedRequest], init=False)
    received: int = attrs.field(default=0, init=False)
    cancelled: int = attrs.field(default=0, init=False)
    max_in_flight: int = attrs.field(default=0, init=False)
    busy: list[int] = attrs.field(factory=list[int], init=False)
    held: deque[asyncio.Future[None]] = attrs.field(factory=deque[asyncio.Future[None]], init=False)
    _watchers: list[Watcher] = attrs.field(factory=list[Watcher], init=False)
    _numbers: Iterator[int] = attrs.field(factory=lambda: itertools.count(1), init=False)

    def arrive(self, connection: int) -> int:
        """Count a request that has arrived and return its number, from 1, which `reset` keeps."""
        self.received += 1
        self.busy.append(connection)
        self.max_in_flight = max(self.max_in_flight, len(self.busy))
        self.changed()
        return next(self._numbers)

    def leave(self, connection: int) -> None:
        """Count a request that is done with."""
        self.busy.remove(connection)
        self.changed()

    def record(self, entry: LoggedRequest) -> None:
        """Put a request into the log; the oldest fall out when it is twice its size."""
        self.entries.append(entry)
        if len(self.entries) > 2 * self.log_size:
            del self.entries[: len(self.entries) - self.log_size]

    def reset(self) -> None:
        """Empty the log and set the counters back."""
        self.entries = []
        self.received = self.cancelled = 0
        self.max_in_flight = len(self.busy)

    async def hold(self) -> None:
        """Wait until `release` is called."""
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.held.append(waiting)
        self.changed()
        try:
            await waiting
        finally:
            with suppress(ValueError):
                self.held.remove(waiting)

    def release(self, count: int | None = None) -> None:
        """Let the ``count`` longest held requests go on, or all that are held now."""
        for waiting in list(self.held)[:count]:
            self.held.remove(waiting)
            if not waiting.done():
                waiting.set_result(None)
        self.changed()

    def watch(self, reached: Callable[[], bool]) -> Watcher:
        """Wait for a condition; `unwatch` ends it."""
        watcher = Watcher(reached)
        self._watchers.append(watcher)
        watcher.look()
        return watcher

    def unwatch(self, watcher: Watcher) -> None:
        """Wait no longer."""
        self._watchers.remove(watcher)

    def changed(self) -> None:
        """Let those who wait look again."""
        if self._watchers:
            for watcher in list(self._watchers):
                watcher.look()
