"""What code without an event loop gets in place of asynchronous iterators and context managers.

Each crosses to the loop through the portal, and iterators once for all results that are there.
"""

from __future__ import annotations

import asyncio
import threading
import time
import types
from collections import deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Final, Generic, Self, TypeVar

from ._droplet_ids import AsyncIds
from ._fan_out import FanOut, room_for
from ._fork import OfOneProcess
from ._portal import Portal, detached
from ._stream import ResultStream

__all__ = ["BlockingContext", "BlockingFanOut", "BlockingIterator", "Feed", "fed", "plain"]

R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

MOMENT: Final = 0.01
"""Seconds that IDs are asked for before the results are looked at: they may come slowly."""


def plain(_: Portal, value: T) -> T:
    """Take what a context manager gives as it is."""
    return value


class BlockingContext(Generic[S, T]):
    """An asynchronous context manager, for a plain ``with``.

    No generator: one that is collected before its end would have to wait for the loop.

    Args:
        portal: The way to the loop.
        context: The asynchronous context manager.
        wrap: Makes what the block gets from what the context manager gives.
    """

    def __init__(
        self,
        portal: Portal,
        context: AbstractAsyncContextManager[S],
        wrap: Callable[[Portal, S], T],
    ) -> None:
        self._portal = portal
        self._context = context
        self._wrap = wrap

    def __enter__(self) -> T:
        return self._wrap(self._portal, self._portal.run(self._context.__aenter__()))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> bool | None:
        return self._portal.run(self._context.__aexit__(kind, error, traceback))


class BlockingIterator(OfOneProcess, Generic[T]):
    """The results of an asynchronous stream, for a plain ``for``.

    It crosses to the loop once for all results that are there. It can be left early; ``with`` also
    waits until what was being fetched has ended. Threads can share it: each result goes to one.
    """

    def __init__(self, portal: Portal, stream: ResultStream[T]) -> None:
        self._portal = portal
        self._stream = stream
        self._taken: deque[T] = deque()
        self._broken = False
        self._lock = threading.RLock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        while True:
            try:
                return self._taken.popleft()  # without the lock, which is most of what it costs
            except IndexError:
                pass  # and no more: what is raised next does not come of this
            self._take_more()

    def _take_more(self) -> None:
        with self._lock:
            if not self._taken and not self._take_batch():
                raise StopIteration

    def _take_batch(self) -> bool:
        """Take the next batch; ``False`` at the end."""
        if self._broken:
            raise RuntimeError("an interruption or an error ended this iteration: start a new one")
        self._broken = True  # until the results are here: whatever interrupts may lose them
        batch = self._batch()
        self._taken.extend(batch)
        self._broken = False
        return bool(batch)

    def _batch(self) -> list[T]:
        return self._portal.run(detached(self._stream.take))

    def close(self) -> None:
        """Cancel what is being fetched. Results that are there already can still be taken."""
        self._portal.run(self._stream.aclose())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Feed(AsyncIds):
    """Droplet IDs from an iterator that has to be asked in the calling thread.

    Args:
        ids: The iterator.
        ahead: The most IDs that may be asked for and not answered.
    """

    def __init__(self, ids: Iterator[int], ahead: int) -> None:
        super().__init__()
        self._ids = ids
        self._ahead = ahead
        self._waiting: deque[int] = deque()
        self._arrived = asyncio.Event()
        self._unanswered = 0
        self._exhausted = False
        self._failure: Exception | None = None

    def fetch(self) -> bool:
        """Ask for IDs while there is room, and no longer than a moment; in the calling thread.

        Gives whether there is nothing to do now but to wait for answers.
        """
        until = time.monotonic() + MOMENT
        while not self._exhausted and self._unanswered < self._ahead:
            self._fetch_one()
            if time.monotonic() > until:
                return self._exhausted
        return True

    def _fetch_one(self) -> None:
        try:
            self._waiting.append(next(self._ids))
            self._unanswered += 1
        except StopIteration:
            self._exhausted = True
        except Exception as error:  # raised when what was asked before is answered
            self._failure = error
            self._exhausted = True

    def notify(self) -> None:
        """Let what waits for an ID look for it; on the loop."""
        self._arrived.set()

    def answered(self, count: int) -> None:
        """Make room for as many more."""
        self._unanswered -= count

    async def __anext__(self) -> int:
        while not self._waiting:
            if self._failure is not None:
                raise self._failure
            if self._exhausted:
                raise StopAsyncIteration
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()

    def rest(self) -> list[int]:
        """Return the IDs that were taken from the iterator and not handed out."""
        return list(self._waiting)


def fed(droplet_ids: Iterable[int], concurrency: int) -> Collection[int] | Feed:
    """Return IDs in a form that can be read on the loop.

    A collection is one. Any other iterable may be a database cursor or the like, so it is asked in
    the calling thread, as there is room.

    Raises:
        TypeError: See `room_for`.
        ValueError: See `room_for`.
    """
    if isinstance(droplet_ids, Collection):
        return droplet_ids
    return Feed(iter(droplet_ids), room_for(concurrency))


class BlockingFanOut(BlockingIterator[T]):
    """The results of a fan-out, for a plain ``for``.

    Made by `list_many` and `list_fleet`. Where the IDs come from an iterator, it is asked between
    the results, in the thread that takes them: while it blocks, no result is given.

    Example:
        >>> from gradient_async import Gradient
        >>> results = Gradient().gpu_droplets.backups.list_many([3164444, 3164445])
        >>> {result.droplet_id: len(result.backups) for result in results}
        {3164444: 4, 3164445: 0}
    """

    def __init__(
        self, portal: Portal, fan_out: FanOut[T], ids: Collection[int] | Feed = ()
    ) -> None:
        """Begin with nothing asked.

        Args:
            portal: The way to the loop.
            fan_out: The fan-out.
            ids: What it takes the IDs from, if that may be a `Feed`.
        """
        super().__init__(portal, fan_out)
        self._fan_out = fan_out
        self._feed = ids if isinstance(ids, Feed) else None

    @property
    def missing(self) -> tuple[int, ...]:
        """The IDs without a result so far; see `FanOut.missing`."""
        return self._fan_out.missing

    @property
    def total(self) -> int | None:
        """The number of results that there will be, where it is known; see `FanOut.total`."""
        return self._fan_out.total

    def _batch(self) -> list[T]:
        if self._feed is None:
            return super()._batch()
        batch = None
        while batch is None:
            take = self._fan_out.take if self._feed.fetch() else self._fan_out.poll
            batch = self._portal.run(detached(partial(self._fed, self._feed, take)))
        self._feed.answered(len(batch))
        return batch

    async def _fed(self, feed: Feed, take: Callable[[], Coroutine[Any, Any, R]]) -> R:
        feed.notify()
        return await take()
