"""Droplet IDs, handed out one at a time, from whatever they come in."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable
from itertools import islice
from typing import Any, Final, TypeAlias

from ._checks import checked_droplet_id

__all__ = ["AsyncIds", "DropletIds", "Ids", "ids_from"]

DropletIds: TypeAlias = Iterable[int] | AsyncIterable[int]
"""The Droplets that `list_many` asks about. Of an iterator more may become known while it runs."""

_END: Final[Any] = object()


class Ids:
    """Droplet IDs, and what is known of those that were not handed out.

    What they come from may raise: they end there, and the error is kept for when those that were
    handed out are answered.

    Attributes:
        is_async: Whether they are given by `anext`; if not, they are by `next`.
        total: How many there will be; ``None`` as long as that is not known.
        ended: Whether all were handed out.
        error: What was raised, or ``None``.
    """

    is_async: bool = False
    total: int | None = None
    ended: bool = False
    error: BaseException | None = None

    def next(self) -> int | None:
        """Return the next ID, ``None`` at the end."""
        raise NotImplementedError

    async def anext(self) -> int | None:
        """Wait for the next ID, ``None`` at the end."""
        raise NotImplementedError

    def rest(self) -> Iterable[int]:
        """Return the IDs that were not handed out, as far as that is known without taking them."""
        return ()

    def unlisted(self) -> int | None:
        """Return the number of IDs that are not known yet, ``None`` if that is not known either."""
        return 0

    def repeated(self) -> Counter[int] | None:
        """Count the IDs that come more than once; ``None`` where any may come again."""
        return None

    async def aclose(self) -> None:
        """End what is being read."""

    def _end(self, error: BaseException | None = None) -> None:
        self.ended, self.error = True, error


class _IdList(Ids):
    """Those of a collection, as it is now."""

    def __init__(self, ids: Collection[int]) -> None:
        self._ids = list(map(checked_droplet_id, ids))
        self._taken = 0
        self.total = len(self._ids)
        self.ended = not self._ids

    def next(self) -> int | None:
        if self.ended:
            return None
        droplet_id = self._ids[self._taken]
        self._taken += 1
        self.ended = self._taken == self.total
        return droplet_id

    def rest(self) -> Iterable[int]:
        return islice(self._ids, self._taken, None)

    def repeated(self) -> Counter[int] | None:
        return Counter({key: times for key, times in Counter(self._ids).items() if times > 1})


class _IdIterator(Ids):
    """Those of an iterator, which may be without end."""

    def __init__(self, ids: Iterable[int]) -> None:
        self._ids = iter(ids)

    def next(self) -> int | None:
        if self.ended:
            return None
        try:
            droplet_id = next(self._ids, _END)
            if droplet_id is not _END:
                return checked_droplet_id(droplet_id)
            self._end()
        except BaseException as error:
            self._end(error)
        return None


class AsyncIds(Ids, AsyncIterator[int]):
    """Those that have to be waited for: an asynchronous iterator, asked by one task at a time."""

    is_async = True

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def anext(self) -> int | None:
        """Wait for the next ID, ``None`` at the end."""
        async with self._lock:
            if self.ended:
                return None
            try:
                droplet_id = await anext(self, _END)
                if droplet_id is not _END:
                    return checked_droplet_id(droplet_id)
                self._end()
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                self._end(error)
            return None


class _AsyncIdIterator(AsyncIds):
    def __init__(self, ids: AsyncIterable[int]) -> None:
        super().__init__()
        self._ids = aiter(ids)

    async def __anext__(self) -> int:
        return await anext(self._ids)


def ids_from(given: DropletIds) -> Ids:
    """Return IDs as they are given: a collection is taken as it is, an iterator bit by bit.

    Raises:
        TypeError: It cannot be iterated over, or an ID of a collection is no ``int``.
        ValueError: An ID of a collection is less than 1.
    """
    if isinstance(given, Ids):
        return given
    if isinstance(given, Collection):
        return _IdList(given)
    return _AsyncIdIterator(given) if isinstance(given, AsyncIterable) else _IdIterator(given)
