"""Results that arrive while tasks fetch more, and that can be left at any time.

An object and no async generator: a generator would have its tasks end whenever it happens to be
collected, and a task group may not be left open across its ``yield``.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ._fork import OfOneProcess
from ._loop import running_loop

__all__ = ["ResultStream", "retrieve"]

T = TypeVar("T")


def retrieve(task: asyncio.Task[Any]) -> None:
    """Look at how a task ended, so that asyncio does not log the error of one that was left."""
    if not task.cancelled():
        task.exception()


class ResultStream(OfOneProcess, ABC, Generic[T]):
    """An asynchronous iterator over results.

    ``async for`` is all it takes. Leaving the loop early cancels what is still being fetched;
    ``async with stream as results:`` also waits until that has ended.
    """

    def __init__(self) -> None:
        self._ready: deque[T] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._interrupted = False
        self._waiting = False

    @abstractmethod
    async def _fill(self) -> bool:
        """Wait until something is ready; ``False`` when nothing will be any more."""

    @abstractmethod
    def _leave(self) -> Iterable[asyncio.Task[Any]]:
        """Begin nothing more, and give the tasks that are to be cancelled. From any thread."""

    def _taken(self, count: int) -> None:
        """Make room for more, after so many results were taken."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if not self._ready and not await self._more():
            raise StopAsyncIteration
        self._taken(1)
        return self._ready.popleft()

    async def take(self) -> list[T]:
        """Wait for at least one result and take all that are there; empty at the end."""
        if not self._ready and not await self._more():
            return []
        taken = list(self._ready)
        self._ready.clear()
        self._taken(len(taken))
        return taken

    async def _more(self) -> bool:
        if self._interrupted:
            raise RuntimeError("a cancellation or an error ended this iteration: start a new one")
        if self._closed:
            return False
        self._begin_waiting()
        try:
            if await self._fill():
                return True
        except BaseException:
            self._interrupted = True
            await self.aclose()
            raise
        finally:
            self._waiting = False
        await self.aclose()
        return False

    def _begin_waiting(self) -> None:
        if self._waiting:
            raise RuntimeError("another task waits for the next result already")
        loop = running_loop()
        if self._loop not in (None, loop):
            raise RuntimeError("this iteration began on another event loop: start a new one")
        self._loop, self._waiting = loop, True

    async def aclose(self) -> None:
        """Cancel what is being fetched, and wait until it has ended.

        Results that are there already can still be taken.
        """
        self._closed = True
        tasks = list(self._leave())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        if self._loop is None or self._loop.is_closed():
            return
        with suppress(RuntimeError):  # the loop may end at any moment
            for task in self._leave():
                self._loop.call_soon_threadsafe(task.cancel)
