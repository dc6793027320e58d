"""Many Droplets at once: as many questions as may be under way, answers as they come.

IDs are taken one at a time, when there is room for the answer, so neither a fleet without end nor a
consumer that is slower than the API fills the memory.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Generic, TypeVar

from . import errors
from ._checks import checked_count, checked_seconds
from ._droplet_ids import DropletIds, Ids, ids_from
from ._options import DEFAULT_CONCURRENCY
from ._slots import Slots
from ._stream import ResultStream

__all__ = ["FanOut", "ends_run", "room_for"]

R = TypeVar("R")

REMEMBERED: Final = 1024
"""How many answers are kept for IDs that an iterator may give again."""


def room_for(concurrency: int) -> int:
    """Return how many IDs may be handed out whose results nobody has taken yet.

    Raises:
        TypeError: ``concurrency`` is no ``int``.
        ValueError: ``concurrency`` is less than 1.
    """
    return 2 * checked_count("concurrency", concurrency)


def ends_run(error: Exception) -> bool:
    """Tell whether an error concerns all Droplets and not only the one that was asked about.

    A wrong token, a limit that is used up for longer than the caller waits and a server that cannot
    be reached do; so does every error that is not about an answer at all.
    """
    if isinstance(error, errors.APIConnectionError):
        return error.unreachable
    if isinstance(error, (errors.AuthenticationError, errors.RateLimitError)):
        return True
    return not isinstance(error, (errors.APIError, errors.IncompleteListingError))


class _Repeats(Generic[R]):
    """The answers that are kept because their Droplet is, or may be, asked about again.

    Where it is not known which IDs come again, the newest answers are kept.

    Args:
        repeated: How many times each ID comes that comes again, if that is known.

    Attributes:
        possible: Whether any ID may come again.
        answers: The answers that are kept, by ID.
    """

    def __init__(self, repeated: Counter[int] | None) -> None:
        self._left = repeated
        self.possible: bool = self._left is None or bool(self._left)
        self.answers: OrderedDict[int, R] = OrderedDict()

    def keep(self, droplet_id: int, answer: R, times: int) -> None:
        """Keep an answer that is given so many times now, unless these were the last."""
        if not self._comes_again(droplet_id, times):
            self.answers.pop(droplet_id, None)
            return
        self.answers[droplet_id] = answer
        if self._left is None and len(self.answers) > REMEMBERED:
            self.answers.popitem(last=False)

    def _comes_again(self, droplet_id: int, times: int) -> bool:
        if self._left is None:
            return True
        self._left[droplet_id] -= times
        if self._left[droplet_id] > 0:
            return True
        del self._left[droplet_id]
        return False


class _Run(Generic[R]):
    """What the workers share.

    They hold on to this and not to the stream, so that one which nobody holds any more is noticed.
    """

    def __init__(
        self,
        ids: Ids,
        ask: Callable[[int], Awaitable[R]],
        concurrency: int,
        ready: deque[R],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.ids = ids
        self.ready = ready
        self.error: BaseException | None = None
        self.left = False
        self.workers: set[asyncio.Task[None]] = set()
        self.in_work: dict[int, int] = {}
        # One place for each ID that was taken and whose answer was not.
        self.room = Slots(room_for(concurrency))
        self._ask = ask
        self._concurrency = concurrency
        self._repeats: _Repeats[R] = _Repeats(ids.repeated())
        self._changed: asyncio.Future[None] | None = None

    def add_worker(self) -> None:
        over = self.left or self.ids.ended or self.error is not None
        if len(self.workers) < self._concurrency and not over:
            worker = asyncio.create_task(self._work())
            self.workers.add(worker)
            worker.add_done_callback(self._worker_ended)

    @property
    def complete(self) -> bool:
        return self.ids.ended and not self.in_work

    def missing(self) -> tuple[int, ...]:
        answered = self._repeats.answers
        rest = (droplet_id for droplet_id in self.ids.rest() if droplet_id not in answered)
        return tuple(dict.fromkeys([*self.in_work, *rest]))

    def expire(self, deadline: float) -> None:
        if not self.complete:
            missing, unlisted = self.missing(), self.ids.unlisted()
            self.fail(
                errors.DeadlineExceededError(deadline=deadline, missing=missing, unlisted=unlisted)
            )

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self.workers.discard(worker)
        if worker.cancelled():
            self.fail(RuntimeError("what this run was waiting for was cancelled from outside"))
        elif (error := worker.exception()) is not None:
            self.fail(error)
        if not self.workers:
            self.notify()

    async def _work(self) -> None:
        while True:
            await self.room.acquire()
            droplet_id = await self.ids.anext() if self.ids.is_async else self.ids.next()
            if droplet_id is None:
                self.room.release()
                return
            if len(self.workers) < self._concurrency:
                # Not at once: an eager task would begin within this one, and the next within that.
                self._loop.call_soon(self.add_worker)
            await self._answer(droplet_id)

    async def _answer(self, droplet_id: int) -> None:
        already = self.in_work.get(droplet_id, 0)
        self.in_work[droplet_id] = already + 1
        if already:
            return  # the worker that asks already answers this one, too
        answer = self._repeats.answers.get(droplet_id)
        if answer is None:
            answer = await self._ask(droplet_id)
        times = self.in_work.pop(droplet_id)
        if self._repeats.possible:
            self._repeats.keep(droplet_id, answer, times)
        self.ready.extend([answer] * times)
        self.notify()

    def fail(self, error: BaseException) -> None:
        """End the run with an error, which is raised once the answers at hand are taken."""
        if self.error is None:
            self.error = error
            for worker in self.workers:
                worker.cancel()
        self.notify()

    def notify(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    def changed(self) -> asyncio.Future[None]:
        """Return what is done once there is an answer, an error or an end."""
        self._changed = self._loop.create_future()
        return self._changed


class FanOut(ResultStream[R]):
    """An asynchronous iterator over one result per Droplet ID, each as soon as it is there.

    Made by `list_many` and `list_fleet`.

    Example:
        >>> results = client.gpu_droplets.backups.list_many([3164444, 3164445])
        >>> results.total, results.missing
        (2, (3164444, 3164445))
        >>> {result.droplet_id: len(result.backups) async for result in results}
        {3164444: 4, 3164445: 0}
        >>> results.missing
        ()
    """

    def __init__(
        self,
        ids: DropletIds,
        ask: Callable[[int], Awaitable[R]],
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        deadline: float | None = None,
    ) -> None:
        """Begin with nothing asked.

        Args:
            ids: The Droplet IDs. A collection is taken as it is now; an iterator is asked for the
                next one when there is room for it.
            ask: Gets the result of one ID. What it raises ends the run, once the results that are
                there have been taken.
            concurrency: The most IDs that are asked about at once.
            deadline: Seconds for the whole run, from its first result being waited for; ``None``
                for no bound.
        """
        super().__init__()
        self._ids = ids_from(ids)
        self._ask = ask
        self._concurrency = checked_count("concurrency", concurrency)
        self._deadline = checked_seconds("deadline", deadline)
        self._run: _Run[R] | None = None
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def missing(self) -> tuple[int, ...]:
        """The IDs without a result so far.

        Those in work, and those not begun: of a collection all of them, of an account those that
        were listed. What an iterator has not handed out is still in it.
        """
        if self._run is not None:
            return self._run.missing()
        return tuple(dict.fromkeys(self._ids.rest()))

    @property
    def total(self) -> int | None:
        """The number of results that there will be, for a progress display.

        Of a collection its length, of an account the number of its Droplets, which is known with
        the first answer. ``None`` as long as it is not known; of an iterator it never is.
        """
        return self._ids.total

    def _leave(self) -> Iterable[asyncio.Task[Any]]:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._run is None:
            return ()
        self._run.left = True
        return tuple(self._run.workers)

    async def aclose(self) -> None:
        """Cancel what is being asked, and wait until it has ended.

        Results that are there already can still be taken.
        """
        await super().aclose()
        await self._ids.aclose()

    def _taken(self, count: int) -> None:
        assert self._run is not None
        self._run.room.release(count)

    async def _fill(self) -> bool:
        run = self._run or self._start()
        while not self._ready:
            if self._closed:
                return False
            if run.error is not None:
                raise run.error
            if not run.workers and run.complete:
                if run.ids.error is not None:
                    raise run.ids.error
                return False
            await run.changed()
        return True

    async def poll(self) -> list[R] | None:
        """Begin, and take the results that are there; ``None`` for not yet any.

        For a caller with something else to do than to wait, as the blocking client has with IDs
        that come from an iterator.
        """
        if self._run is None and not self._closed:
            self._start()
        await asyncio.sleep(0)
        over = self._closed or (self._run is not None and self._run.error is not None)
        return await self.take() if self._ready or over else None

    def _start(self) -> _Run[R]:
        self._run = run = _Run(self._ids, self._ask, self._concurrency, self._ready)
        run.add_worker()
        if self._deadline is not None:
            loop = asyncio.get_running_loop()
            self._alarm = loop.call_later(self._deadline, run.expire, self._deadline)
        return run
