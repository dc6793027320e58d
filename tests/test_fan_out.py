"""Many Droplets at once: every one answered, however the run is left, and nothing left behind."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator
from itertools import cycle, islice
from typing import Any, TypeAlias

import attrs
import pytest
from async_helpers import assert_idle, collect, far_client, nothing_left, settle
from hypothesis import given
from hypothesis import strategies as st

from gradient_async import (
    APIConnectionError,
    APIResponseValidationError,
    AsyncGradient,
    AuthenticationError,
    DeadlineExceededError,
    DropletBackups,
    GradientError,
    IncompleteListingError,
    InternalServerError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
)
from gradient_async._droplet_ids import AsyncIds, DropletIds
from gradient_async._fan_out import REMEMBERED, FanOut
from gradient_async.testing import Fault, Fleet, Simulator

Results: TypeAlias = FanOut[DropletBackups]


# How the IDs are taken and answered, with questions that the test answers.


@attrs.define
class Questions:
    """Questions about Droplets; the answer is the ID.

    Attributes:
        held: Whether an answer waits until it is let through.
        errors: What some questions end in.
        asked: The IDs that were asked about, in order.
        under_way: How many questions are.
        most: How many were under way at most.
    """

    held: bool = False
    errors: dict[int, BaseException] = attrs.field(factory=dict[int, BaseException])
    asked: list[int] = attrs.field(factory=list[int])
    under_way: int = 0
    most: int = 0
    _answers: dict[int, asyncio.Future[None]] = attrs.field(factory=dict)

    async def ask(self, droplet_id: int) -> int:
        """Answer a question."""
        self.asked.append(droplet_id)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await (self._wait(droplet_id) if self.held else asyncio.sleep(0))
            if droplet_id in self.errors:
                raise self.errors[droplet_id]
        finally:
            self.under_way -= 1
        return droplet_id

    async def _wait(self, droplet_id: int) -> None:
        self._answers[droplet_id] = asyncio.get_running_loop().create_future()
        await self._answers[droplet_id]

    def let(self, *droplet_ids: int) -> None:
        """Let answers through; those of all questions under way if none are named."""
        for droplet_id in droplet_ids or tuple(self._answers):
            self._answers.pop(droplet_id).set_result(None)


class Counted:
    """An endless iterator over IDs from 1 that counts how many were taken."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> Counted:
        return self

    def __next__(self) -> int:
        self.taken += 1
        return self.taken


async def one_by_one(ids: Any) -> AsyncIterator[int]:
    """The same IDs from an asynchronous generator that pauses before each of them."""
    for droplet_id in ids:
        await asyncio.sleep(0)
        yield droplet_id


def then_fail(ids: Any, error: BaseException) -> Iterator[int]:
    """The same IDs, and then an error."""
    yield from ids
    raise error


async def then_fail_later(ids: Any, error: BaseException) -> AsyncIterator[int]:
    """The same IDs from an asynchronous generator, and then an error."""
    for droplet_id in ids:
        yield droplet_id
    raise error


class TestTaking:
    """IDs are taken as there is room for their answers."""

    @pytest.mark.parametrize("concurrency", [1, 2, 5])
    @pytest.mark.parametrize("kind", ["iterator", "async iterator"])
    async def test_no_more_ids_are_taken_than_there_is_room_for(
        self, concurrency: int, kind: str
    ) -> None:
        """At most twice as many IDs as may be asked about at once are taken and not answered."""
        ids, questions = Counted(), Questions()
        source: DropletIds = ids if kind == "iterator" else one_by_one(ids)
        async with FanOut(source, questions.ask, concurrency=concurrency) as results:
            for given in range(1, 20):
                await anext(results)
                await settle(100)
                assert ids.taken == len(questions.asked) == given + 2 * concurrency
        assert questions.most <= concurrency

    @pytest.mark.parametrize("concurrency", [1, 3, 7, 10**9])
    async def test_as_many_questions_at_once_as_may_be(self, concurrency: int) -> None:
        """The bound is reached and never passed, whichever answers come first."""
        questions = Questions(held=True)
        results = FanOut(range(1, 31), questions.ask, concurrency=concurrency)
        reading = asyncio.create_task(collect(results))
        while not reading.done():
            await settle(100)
            waiting = sorted(questions._answers)
            assert len(waiting) <= concurrency
            if waiting:
                questions.let(waiting[-1])
        assert sorted(await reading) == list(range(1, 31))
        assert questions.most == min(concurrency, 30)

    @pytest.mark.parametrize("change", [list[int].clear, lambda ids: ids.extend([4, "5"])])
    async def test_a_collection_is_taken_as_it_was_given(
        self, change: Callable[[list[int]], None]
    ) -> None:
        """What becomes of it after the call changes nothing, before the run or while it is on."""
        ids, questions = [1, 2, 3], Questions()
        results = FanOut(ids, questions.ask, concurrency=1)
        change(ids)
        given = [await anext(results)]
        change(ids)
        assert (results.total, results.missing) == (3, (2, 3))
        assert await collect(results, given) == [1, 2, 3] == questions.asked

    async def test_results_come_as_they_are_there(self) -> None:
        """An answer is given at once, though an earlier question is still under way."""
        questions = Questions(held=True)
        async with FanOut([1, 2, 3], questions.ask) as results:
            for droplet_id in (2, 3, 1):
                waiting = asyncio.ensure_future(anext(results))
                await settle()
                assert not waiting.done()
                questions.let(droplet_id)
                assert await waiting == droplet_id

    async def test_all_that_is_there_is_taken_at_once(self) -> None:
        """``take`` gives every result that is ready, in one call, and nothing after the last."""
        questions = Questions(held=True)
        results = FanOut([1, 2, 3], questions.ask)
        first = asyncio.ensure_future(results.take())
        await settle()
        questions.let()
        assert sorted(await first + await results.take()) == [1, 2, 3]
        assert await results.take() == []

    @pytest.mark.parametrize(
        "ids", [[], (), set[int](), range(0), iter(()), one_by_one([])], ids=lambda ids: type(ids)
    )
    async def test_no_ids(self, ids: DropletIds) -> None:
        """Nothing is asked and nothing is given; the iterator can be asked again."""
        questions = Questions()
        async with nothing_left():
            results = FanOut(ids, questions.ask)
            assert await collect(results) == []
            assert await collect(results) == []
        assert questions.asked == []
        assert results.missing == ()

    @given(st.lists(st.integers(1, 12), max_size=60), st.integers(1, 8), st.booleans(), st.data())
    def test_every_id_is_answered_whatever_comes_first(
        self, ids: list[int], concurrency: int, as_iterator: bool, data: st.DataObject
    ) -> None:
        """For any IDs and any order of answers: one result for each, and one question each."""

        async def run() -> None:
            questions = Questions(held=True)
            source = iter(ids) if as_iterator else ids
            reading = asyncio.create_task(
                collect(FanOut(source, questions.ask, concurrency=concurrency))
            )
            await settle(50)
            while not reading.done():
                questions.let(data.draw(st.sampled_from(sorted(questions._answers))))
                await settle(50)
            assert Counter(await reading) == Counter(ids)
            assert sorted(questions.asked) == sorted(set(ids))

        asyncio.run(run())


class TestRepeats:
    """IDs that come again."""

    async def test_an_id_that_comes_again_while_it_is_asked_about(self) -> None:
        """The question that is under way answers all of them."""
        questions = Questions(held=True)
        reading = asyncio.create_task(collect(FanOut(iter([1, 1, 2, 1]), questions.ask)))
        await settle()
        assert questions.asked == [1, 2]
        questions.let()
        assert sorted(await reading) == [1, 1, 1, 2]

    async def test_an_id_that_comes_again_later(self) -> None:
        """The answer that was given is given again, without another question."""
        questions = Questions()
        async with FanOut(cycle([1, 2, 3]), questions.ask, concurrency=1) as results:
            assert [await anext(results) for _ in range(9)] == [1, 2, 3] * 3
        assert questions.asked == [1, 2, 3]

    async def test_of_an_iterator_the_newest_answers_are_remembered(self) -> None:
        """An ID that comes again after many others is asked about anew: memory is bounded."""
        questions = Questions()
        others = range(2, REMEMBERED + 2)
        results = FanOut(iter([1, *others, 1, REMEMBERED]), questions.ask, concurrency=1)
        assert await collect(results) == [1, *others, 1, REMEMBERED]
        assert questions.asked == [1, *others, 1]

    async def test_of_a_collection_an_answer_is_kept_until_its_last_time(self) -> None:
        """However far apart, one question each; and nothing is kept that does not come again."""
        questions = Questions()
        others = range(2, 2 * REMEMBERED)
        results = FanOut([1, *others, 1], questions.ask, concurrency=1)
        assert await anext(results) == 1
        assert results._run is not None
        assert set(results._run._repeats.answers) == {1}
        assert await collect(results) == [*others, 1]
        assert results._run._repeats.answers == {}
        assert results._run._repeats._left == {}
        assert questions.asked == [1, *others]


class TestErrorsOfTheIds:
    """IDs that are none, and iterables that fail."""

    @pytest.mark.parametrize("wrong", [True, "1", 1.0, None, b"1", 0, -1], ids=repr)
    @pytest.mark.parametrize("kind", [list, tuple, iter, one_by_one])
    async def test_what_is_no_id(self, wrong: Any, kind: Callable[[Any], Any]) -> None:
        """Of a collection it is found before anything is asked, of an iterator at its turn."""
        expected = ValueError if type(wrong) is int else TypeError
        questions, given = Questions(), list[int]()

        async def run() -> None:
            results = FanOut(kind([5, 6, wrong, 7]), questions.ask, concurrency=1)
            await collect(results, given)

        async with nothing_left():
            with pytest.raises(expected, match="droplet_id"):
                await run()
        reached = [] if kind in (list, tuple) else [5, 6]
        assert (questions.asked, given) == (reached, reached)

    async def test_text_is_no_collection_of_ids(self) -> None:
        """A ``str`` of digits is refused as a whole, though it can be iterated over."""
        with pytest.raises(TypeError, match="droplet_id"):
            FanOut("3164444", Questions().ask)  # type: ignore[arg-type]

    async def test_what_cannot_be_iterated_over(self) -> None:
        """A single ID is no iterable of IDs."""
        async with nothing_left():
            with pytest.raises(TypeError, match="not iterable"):
                await collect(FanOut(3164444, Questions().ask))  # type: ignore[arg-type]

    @pytest.mark.parametrize("fail", [then_fail, then_fail_later])
    @pytest.mark.parametrize("error", [LookupError("no rows"), BaseException("the end")], ids=repr)
    async def test_an_error_of_the_iterable_is_raised(
        self, fail: Callable[..., Any], error: BaseException
    ) -> None:
        """What was asked before is answered and given, then the error itself is raised."""
        questions, given = Questions(held=True), list[int]()
        async with nothing_left():
            results = FanOut(fail([1, 2, 3], error), questions.ask, concurrency=4)
            reading = asyncio.create_task(collect(results, given))
            await settle()
            assert questions.under_way == 3
            questions.let(1, 2, 3)
            with pytest.raises(type(error)) as caught:
                await reading
        assert caught.value is error
        assert (sorted(given), results.missing) == ([1, 2, 3], ())

    @pytest.mark.skipif(sys.version_info < (3, 12), reason="asyncio has no eager tasks")
    @pytest.mark.parametrize("concurrency", [1, 5, 2_000])
    async def test_eager_tasks(self, concurrency: int) -> None:
        """On a loop whose tasks begin at once the run is the same: bounded, and it ends."""
        asyncio.get_running_loop().set_task_factory(getattr(asyncio, "eager_task_factory"))  # noqa: B009
        questions = Questions()
        results = await collect(FanOut(range(1, 3_000), questions.ask, concurrency=concurrency))
        assert sorted(results) == list(range(1, 3_000))
        assert questions.most <= concurrency

    async def test_an_iteration_that_ended_in_an_error_cannot_go_on(self) -> None:
        """It says so, instead of passing for one that is complete."""
        results = FanOut(then_fail([1], LookupError()), Questions().ask)
        with pytest.raises(LookupError):
            await collect(results)
        with pytest.raises(RuntimeError, match="start a new one"):
            await anext(results)

    async def test_a_question_that_is_cancelled_from_within_ends_the_run(self) -> None:
        """Stray cancellations leave nobody waiting: the run ends at the first and says why."""
        never = {droplet_id: asyncio.CancelledError() for droplet_id in range(3, 100)}
        questions, given = Questions(errors=dict(never)), list[int]()
        async with nothing_left():
            results = FanOut(Counted(), questions.ask, concurrency=2)
            with pytest.raises(RuntimeError, match="cancelled from outside"):
                await collect(results, given)
        assert sorted([*given, *results.missing]) == sorted(questions.asked)

    async def test_two_consumers_cannot_wait_at_once(self) -> None:
        """The second is told so; the first goes on."""
        questions = Questions(held=True)
        async with FanOut([1], questions.ask) as results:
            first = asyncio.ensure_future(anext(results))
            await settle()
            with pytest.raises(RuntimeError, match="another task waits"):
                await anext(results)
            questions.let()
            assert await first == 1

    def test_a_run_does_not_change_loops(self) -> None:
        """Begun on one loop, it refuses to go on upon another."""
        results = FanOut(range(1, 100), Questions().ask, concurrency=1)

        given: list[int] = []

        async def read(most: int) -> None:
            async for droplet_id in results:
                given.append(droplet_id)
                if len(given) >= most:
                    return

        asyncio.run(read(1))
        with pytest.raises(RuntimeError, match="another event loop"):
            asyncio.run(read(99))
        assert sorted([*given, *results.missing]) == list(range(1, 100))


# Leaving it, in every way and at every step.


class Left(Exception):
    """What a consumer raises."""


Leave: TypeAlias = Callable[[FanOut[Any]], Awaitable[object]]


async def break_off(results: FanOut[Any]) -> None:
    """Leave the loop after the first result, and close."""
    async with results:
        async for _ in results:
            break


async def raise_in_the_loop(results: FanOut[Any]) -> None:
    """Raise an exception after the first result."""

    async def consume() -> None:
        async with results:
            async for _ in results:
                raise Left

    with pytest.raises(Left):
        await consume()


async def cancel_the_consumer(results: FanOut[Any]) -> None:
    """Cancel the task that waits for the second result."""
    begun = asyncio.Event()

    async def consume() -> None:
        async for _ in results:
            begun.set()

    task = asyncio.create_task(consume())
    await begun.wait()
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def time_out(results: FanOut[Any]) -> None:
    """Let `asyncio.timeout` end the wait for the second result."""
    await anext(results)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(results)


async def close_beside_the_consumer(results: FanOut[Any]) -> None:
    """Close it from another task: the consumer's loop comes to its end."""
    await anext(results)
    rest = asyncio.create_task(collect(results))
    await settle()
    await results.aclose()
    await rest


WAYS = [break_off, raise_in_the_loop, cancel_the_consumer, time_out, close_beside_the_consumer]


class TestLeaving:
    """Nothing is left behind."""

    @pytest.mark.parametrize("leave", WAYS)
    async def test_no_question_and_no_task_is_left(self, leave: Leave) -> None:
        """However the run is left: nothing is under way, and what is unanswered is named."""
        questions = Questions(held=True)
        async with nothing_left():
            results = FanOut(range(1, 50), questions.ask, concurrency=5, deadline=3600.0)
            leaving = asyncio.ensure_future(leave(results))
            await settle()
            questions.let(3)
            await leaving
            assert questions.under_way == 0
        assert results.missing == (1, 2, 4, 5, 6, *range(7, 50))
        assert results._alarm is not None
        assert results._alarm.cancelled()

    @pytest.mark.parametrize("by_way_of_a_cycle", [False, True])
    async def test_garbage_has_nothing_under_way(self, by_way_of_a_cycle: bool) -> None:
        """A run that nobody holds any more is ended by the garbage collector."""
        questions = Questions(held=True)
        before = asyncio.all_tasks()
        results = FanOut(range(1, 50), questions.ask, concurrency=5, deadline=3600.0)
        first = asyncio.ensure_future(anext(results))
        await settle()
        questions.let(3)
        await first
        holder: list[object] = [results]
        if by_way_of_a_cycle:
            holder.append(holder)
        del results
        del holder
        gc.collect()
        await settle()
        assert questions.under_way == 0
        assert asyncio.all_tasks() == before

    def test_garbage_of_a_loop_that_is_gone(self) -> None:
        """A run that outlives its loop is collected without a word."""
        results = FanOut(range(1, 50), Questions().ask, concurrency=5)
        asyncio.run(results.take())
        del results
        gc.collect()

    async def test_never_begun(self) -> None:
        """A run that nobody waited for has asked nothing, and can be closed."""
        questions = Questions()
        async with nothing_left():
            FanOut([1, 2], questions.ask)
            async with FanOut([1, 2], questions.ask) as results:
                pass
            assert await collect(results) == []
        assert results.missing == (1, 2)
        assert questions.asked == []

    async def test_what_is_there_can_be_taken_after_closing(self) -> None:
        """Closing loses no result: ready ones are given, all others are missing."""
        questions = Questions()
        results = FanOut(range(1, 20), questions.ask, concurrency=3)
        given = [await anext(results)]
        await settle()
        await results.aclose()
        given += await collect(results)
        assert len(given) == 7
        assert sorted([*given, *results.missing]) == list(range(1, 20))

    @pytest.mark.parametrize("kind", [list, iter, one_by_one])
    async def test_cancelled_at_every_step(self, kind: Callable[[Any], Any]) -> None:
        """At whichever step it is cancelled: no task is left, and no ID is lost."""
        steps = 0
        while await self._cancelled_after(steps, kind):
            steps += 1
        assert steps > 5

    async def _cancelled_after(self, steps: int, kind: Callable[[Any], Any]) -> bool:
        ids = [1, 2, 1, 3, 4, 5, 2, 6]
        questions, given, source = Questions(), list[int](), kind(ids)
        async with nothing_left():
            results = FanOut(source, questions.ask, concurrency=2)
            task = asyncio.create_task(collect(results, given))
            await settle(steps)
            task.cancel()
            await asyncio.wait([task])
            assert questions.under_way == 0
        if kind is not one_by_one:  # which loses what it was about to yield
            left = source if kind is iter else ()
            assert {*given, *results._ready, *results.missing, *left} == set(ids)
        assert task.cancelled() or sorted(given) == sorted(ids)
        return task.cancelled()

    async def test_an_iterable_that_waits_is_left_too(self) -> None:
        """A run that waits for its next ID can be cancelled; the iterable is told."""
        ended: list[str] = []

        async def ids() -> AsyncIterator[int]:
            try:
                yield 1
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("told")

        async with nothing_left():
            async with FanOut(ids(), Questions().ask) as results:
                assert await anext(results) == 1
                waiting = asyncio.ensure_future(anext(results))
                await settle()
            with pytest.raises(StopAsyncIteration):
                await waiting
        assert ended == ["told"]


class TestDeadline:
    """Seconds for the whole run."""

    @pytest.mark.parametrize("kind", [list, set, range])
    async def test_what_is_missing_is_named(self, kind: Callable[[Any], Collection[int]]) -> None:
        """Results that are there are given; the error names every other Droplet, in order."""
        ids = range(1, 50) if kind is range else kind(range(1, 50))
        questions, given = Questions(held=True), list[int]()
        async with nothing_left():
            results = FanOut(ids, questions.ask, concurrency=5, deadline=0.5)
            reading = asyncio.create_task(collect(results, given))
            await settle()
            questions.let(2, 4)
            with pytest.raises(DeadlineExceededError) as caught:
                await reading
        assert sorted(given) == [2, 4]
        assert caught.value.deadline == 0.5
        assert caught.value.missing == results.missing
        assert sorted(results.missing) == [i for i in range(1, 50) if i not in given]
        assert questions.under_way == 0

    async def test_of_an_iterator_those_in_work_are_missing(self) -> None:
        """Results, missing ones and what the iterator still has are all."""
        questions, given, ids = Questions(held=True), list[int](), iter(range(1, 50))
        reading = asyncio.create_task(
            collect(FanOut(ids, questions.ask, concurrency=5, deadline=0.5), given)
        )
        await settle()
        questions.let(2, 4)
        with pytest.raises(DeadlineExceededError) as caught:
            await reading
        assert sorted([*given, *caught.value.missing, *ids]) == list(range(1, 50))

    async def test_a_duplicate_of_an_answer_that_is_kept_is_not_missing(self) -> None:
        """What was answered need not be asked again, though it has not come for the last time."""
        questions = Questions(held=True)
        results = FanOut([1, 2, 3, 1], questions.ask, concurrency=2, deadline=0.5)
        reading = asyncio.create_task(collect(results))
        await settle()
        questions.let(1)
        with pytest.raises(DeadlineExceededError) as caught:
            await reading
        assert (caught.value.missing, caught.value.unlisted) == ((2, 3), 0)

    @pytest.mark.parametrize("number", [1, 4])
    async def test_a_run_that_is_complete_is_in_time(self, number: int) -> None:
        """Answers that only wait for a slow consumer have met the deadline."""
        results = FanOut(range(1, number + 1), answer_at_once, concurrency=2, deadline=0.0)
        given = [await anext(results)]
        await settle()
        assert not asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]
        assert sorted(given + await collect(results)) == list(range(1, number + 1))

    async def test_a_slow_consumer_meets_the_deadline(self) -> None:
        """What there was no room for is missing, also of those who wait for room."""
        results = FanOut(range(1, 6), answer_at_once, concurrency=2, deadline=0.0)
        given = [await anext(results)]
        await settle()
        with pytest.raises(DeadlineExceededError) as caught:
            await collect(results, given)
        assert sorted([*given, *caught.value.missing]) == [1, 2, 3, 4, 5]


async def answer_at_once(droplet_id: int) -> int:
    """Answer without a pause."""
    return droplet_id


class Listed(AsyncIds):
    """The IDs of an account whose listing has shown three of them, and is not read on."""

    def __init__(self) -> None:
        super().__init__()
        self._left = deque([1, 2, 3])

    async def __anext__(self) -> int:
        self.total = 9
        if not self._left:
            await asyncio.get_running_loop().create_future()
        return self._left.popleft()

    def rest(self) -> list[int]:
        """The IDs that were shown and not handed out."""
        return list(self._left)


class AsyncList(list[int]):
    """A collection that can be iterated over asynchronously, too."""

    def __aiter__(self) -> AsyncIterator[int]:
        """Give nothing of what is in it."""
        return one_by_one([])


class TestProgress:
    """What `missing` and `total` say at any time."""

    async def test_of_a_collection(self) -> None:
        """Every ID without a result is missing, begun or not; the total is the length."""
        questions = Questions(held=True)
        results = FanOut([5, 6, 7, 5], questions.ask, concurrency=1)
        assert (results.missing, results.total) == ((5, 6, 7), 4)
        reading = asyncio.create_task(collect(results))
        await settle()
        assert (results.missing, results.total) == ((5, 6, 7), 4)
        questions.let(5)
        await settle()
        assert (results.missing, results.total) == ((6, 7), 4)
        questions.let(6)
        await settle()
        questions.let(7)
        assert sorted(await reading) == [5, 5, 6, 7]
        assert (results.missing, results.total) == ((), 4)

    async def test_of_a_collection_of_another_kind(self) -> None:
        """What is a collection is one, whatever else it is."""
        results = FanOut(AsyncList([5, 6]), Questions().ask)
        assert (results.missing, results.total) == ((5, 6), 2)
        assert sorted(await collect(results)) == [5, 6]
        with pytest.raises(TypeError, match="droplet_id"):
            FanOut(AsyncList([5, "6"]), Questions().ask)  # type: ignore[list-item]

    async def test_of_an_iterator(self) -> None:
        """Those in work are missing; how many there will be is never known."""
        questions = Questions(held=True)
        async with FanOut(iter([5, 6, 7]), questions.ask, concurrency=2) as results:
            assert (results.missing, results.total) == ((), None)
            waiting = asyncio.ensure_future(anext(results))
            await settle()
            assert (results.missing, results.total) == ((5, 6), None)
            questions.let(6)
            assert await waiting == 6
            await settle()
            assert (results.missing, results.total) == ((5, 7), None)
        assert (results.missing, results.total) == ((5, 7), None)

    async def test_of_an_account(self) -> None:
        """Those that are listed are missing; the total is known with the first answer."""
        account = Listed()
        async with FanOut(account, Questions(held=True).ask, concurrency=1) as results:
            assert (results.missing, results.total) == ((1, 2, 3), None)
            waiting = asyncio.ensure_future(anext(results))
            await settle()
            assert (results.missing, results.total) == ((1, 2, 3), 9)
        with pytest.raises(StopAsyncIteration):
            await waiting


# The client's own fan-out, against a real server.


@pytest.fixture
def fleet() -> Fleet:
    """Thirty Droplets with three backups each, and one with three pages of them."""
    fleet = Fleet.uniform(31, backups=3)
    large = next(iter(fleet.droplets))
    for _ in range(447):
        fleet.add_backup(large)
    return fleet


@pytest.fixture
def far(fleet: Fleet) -> Iterator[Simulator]:
    """A simulator in a thread of its own, so that all tasks of the test's loop are the client's."""
    with Simulator(fleet) as simulator:
        yield simulator


@pytest.fixture
async def client(far: Simulator) -> AsyncIterator[AsyncGradient]:
    """A client of that simulator."""
    async with far_client(far) as client:
        yield client


def ids_of(simulator: Simulator) -> list[int]:
    """All Droplets of the account; the first has the three pages."""
    return list(simulator.fleet.droplets)


def shown(result: DropletBackups) -> list[int]:
    """The IDs of the backups of a result that is no error."""
    assert result.error is None
    return [backup.id for backup in result.backups]


class Rows:
    """IDs that can be asked for again and again, and have no length, as of a database."""

    def __init__(self, ids: list[int]) -> None:
        self._ids = ids

    def __iter__(self) -> Iterator[int]:
        return iter(self._ids)


KINDS: dict[str, Callable[[list[int]], Any]] = {
    "list": list,
    "tuple": tuple,
    "set": set,
    "frozenset": frozenset,
    "range": lambda ids: range(ids[0], ids[0] + 9),
    "dict": lambda ids: dict.fromkeys(ids),
    "keys": lambda ids: dict.fromkeys(ids).keys(),
    "deque": deque,
    "generator": lambda ids: (droplet_id for droplet_id in ids),
    "islice": lambda ids: islice(ids, None),
    "iterable": Rows,
    "async generator": one_by_one,
}


class TestOverSockets:
    """`list_many`, as users call it."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_any_iterable(self, client: AsyncGradient, far: Simulator, kind: str) -> None:
        """One result for every ID, whatever they come in, with the backups of all pages."""
        known = far.fleet.droplets
        asked = ids_of(far)[:9]
        if kind == "range":
            asked = list(KINDS[kind](asked))
        results = await collect(client.gpu_droplets.backups.list_many(KINDS[kind](asked)))
        assert sorted(result.droplet_id for result in results) == sorted(asked)
        for result in results:
            if result.droplet_id in known:
                assert shown(result) == [b.id for b in known[result.droplet_id].backups]
            else:
                assert isinstance(result.error, NotFoundError)
        assert far.received == len(asked) + 2

    async def test_ids_from_a_listing_of_the_client(
        self, client: AsyncGradient, far: Simulator
    ) -> None:
        """The policies tell which Droplets to ask about, as they are read."""
        backups = client.gpu_droplets.backups
        ids = (droplet_id async for droplet_id, _ in backups.iter_policies())
        results = await collect(backups.list_many(ids, concurrency=4))
        assert sorted(result.droplet_id for result in results) == sorted(ids_of(far))

    @pytest.mark.parametrize("concurrency", [1, 7, 31, 10**6])
    async def test_concurrency_is_reached_and_not_passed(
        self, client: AsyncGradient, far: Simulator, concurrency: int
    ) -> None:
        """As many Droplets are asked about at once as may be, never more."""
        rule = far.faults.add(Fault.hold(), times=None)
        results = client.gpu_droplets.backups.list_many(ids_of(far)[1:], concurrency=concurrency)
        reading = asyncio.create_task(collect(results))
        await far.wait_for(held=min(concurrency, 30))
        assert far.received == min(concurrency, 30)
        far.faults.remove(rule)
        far.release()
        assert len(await reading) == 30
        assert far.max_in_flight <= concurrency

    async def test_concurrency_is_checked(self, client: AsyncGradient, far: Simulator) -> None:
        """It is a number of at least 1; anything else is refused at the call."""
        for wrong, expected in ((0, ValueError), (-1, ValueError), (True, TypeError)):
            with pytest.raises(expected, match="concurrency"):
                client.gpu_droplets.backups.list_many([1], concurrency=wrong)
        assert far.received == 0

    @pytest.mark.parametrize("wrong", [True, "1", 0], ids=repr)
    async def test_a_collection_with_what_is_no_id_sends_nothing(
        self, client: AsyncGradient, far: Simulator, wrong: Any
    ) -> None:
        """The call itself raises."""
        with pytest.raises((TypeError, ValueError), match="droplet_id"):
            client.gpu_droplets.backups.list_many([*ids_of(far), wrong])
        assert far.received == 0

    @pytest.mark.parametrize("again", [list, iter])
    async def test_duplicates_are_asked_once_and_answered_each_time(
        self, client: AsyncGradient, far: Simulator, again: Callable[[Any], Any]
    ) -> None:
        """Three times the same fleet costs the requests of one."""
        asked = ids_of(far)[1:] * 3
        results = await collect(client.gpu_droplets.backups.list_many(again(asked), concurrency=3))
        assert Counter(result.droplet_id for result in results) == Counter(asked)
        assert far.received == 30

    async def test_a_slow_consumer_holds_the_requests_back(
        self, client: AsyncGradient, far: Simulator
    ) -> None:
        """No more answers are fetched than there is room for, until one is taken."""
        ids = ids_of(far)[1:]
        async with client.gpu_droplets.backups.list_many(ids, concurrency=2) as results:
            for taken in range(1, 6):
                await anext(results)
                await far.wait_for(lambda far: far.in_flight == 0, received=taken + 4)
                await assert_idle(client, far)
                assert far.received == taken + 4


def a_page(ids: int, total: int) -> Fault:
    """A page of so many equal backups, and a total."""
    one = (
        '{"id":1,"name":"n","regions":[],"created_at":"2026-01-01T00:00:00Z",'
        '"min_disk_size":1,"size_gigabytes":1.5,"type":"backup"}'
    )
    content = f'{{"backups":[{",".join([one] * ids)}],"links":{{}},"meta":{{"total":{total}}}}}'
    return Fault.body(content.encode())


class TestErrorsOfOne:
    """What concerns one Droplet is its result."""

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            (Fault.status(404), NotFoundError),
            (Fault.status(403), PermissionDeniedError),
            (Fault.status(500), InternalServerError),
            (Fault.body(b"<html>"), APIResponseValidationError),
            (Fault.body(b'{"backups": 5}'), APIResponseValidationError),
            (a_page(1, total=7), IncompleteListingError),
            (Fault.drop("body"), APIConnectionError),
        ],
        ids=lambda value: getattr(value, "name", getattr(value, "__name__", "")),
    )
    async def test_the_others_are_answered(
        self,
        client: AsyncGradient,
        far: Simulator,
        delays: list[float | None],
        fault: Fault,
        expected: type[GradientError],
    ) -> None:
        """The error is the result of the Droplet that it is about; all others have theirs."""
        ids = ids_of(far)
        far.faults.add(fault, path=f"/{ids[4]}/", times=None)
        results = await collect(client.gpu_droplets.backups.list_many(ids))
        failed = [result for result in results if result.error is not None]
        assert [(result.droplet_id, result.backups) for result in failed] == [(ids[4], [])]
        assert isinstance(failed[0].error, expected)
        assert getattr(failed[0].error, "droplet_id") == ids[4]  # noqa: B009
        assert sorted(result.droplet_id for result in results) == sorted(ids)

    async def test_an_error_on_a_later_page(self, client: AsyncGradient, far: Simulator) -> None:
        """Part of the backups is not given for all: the result has the error alone."""
        large = ids_of(far)[0]
        far.faults.add(Fault.status(404), query={"page": 3})
        [result] = await collect(client.gpu_droplets.backups.list_many([large]))
        assert isinstance(result.error, NotFoundError)
        assert result.backups == []


class TestErrorsOfAll:
    """What concerns all Droplets ends the run."""

    async def test_a_token_that_is_not_valid(self, client: AsyncGradient, far: Simulator) -> None:
        """Results that were there are given first; all others are missing."""
        far.faults.add(Fault.status(401), times=None, after=3)
        ids, given = ids_of(far)[1:], list[DropletBackups]()
        async with nothing_left():
            results = client.gpu_droplets.backups.list_many(ids, concurrency=1)
            with pytest.raises(AuthenticationError):
                await collect(results, given)
            await assert_idle(client, far)
        assert [result.droplet_id for result in given] == ids[:3]
        assert list(results.missing) == ids[3:]
        assert far.received == 4

    async def test_of_many_refusals_only_one_is_told(
        self, client: AsyncGradient, far: Simulator
    ) -> None:
        """Fifty requests at once with a wrong token end in one error and leave nothing."""
        async with nothing_left():
            wrong = client.copy(access_token="wrong")
            with pytest.raises(AuthenticationError):
                await collect(wrong.gpu_droplets.backups.list_many(ids_of(far)))
            await assert_idle(client, far)

    async def test_a_server_that_is_gone(self, fleet: Fleet, delays: list[float | None]) -> None:
        """A refused connection ends the run, after the retries and the results that are there."""
        given: list[DropletBackups] = []
        with Simulator(fleet) as far:
            async with far_client(far, max_retries=1) as client, nothing_left():
                ids = ids_of(far)[1:]
                results = client.gpu_droplets.backups.list_many(ids, concurrency=1)
                given.append(await anext(results))
                await asyncio.to_thread(far.__exit__, None, None, None)
                with pytest.raises(APIConnectionError) as caught:
                    await collect(results, given)
        assert caught.value.unreachable
        assert caught.value.attempts in (2, 3)  # one more if the kept connection seemed to be open
        assert sorted([*(result.droplet_id for result in given), *results.missing]) == ids

    async def test_patience_that_ends(self, client: AsyncGradient, far: Simulator) -> None:
        """With ``max_rate_limit_wait`` a limit that is used up for longer ends the run at once."""
        far.faults.add(Fault.rate_limited(300), times=None, after=3)
        ids, given = ids_of(far)[1:], list[DropletBackups]()
        results = client.gpu_droplets.backups.list_many(
            ids, concurrency=1, max_rate_limit_wait=60.0
        )
        async with nothing_left():
            with pytest.raises(RateLimitError) as caught:
                await collect(results, given)
            await assert_idle(client, far)
        assert caught.value.retry_after == pytest.approx(300.0, abs=1.1)
        assert [result.droplet_id for result in given] == ids[:3]
        assert list(results.missing) == ids[3:]
        assert far.received == 4

    async def test_a_client_that_is_closed_meanwhile(self, far: Simulator) -> None:
        """The run ends with an error; every Droplet is a result or missing."""
        far.faults.add(Fault.hold(), times=None, after=2)
        ids, given = ids_of(far)[1:], list[DropletBackups]()
        async with nothing_left():
            async with far_client(far) as client:
                results = client.gpu_droplets.backups.list_many(ids, concurrency=4)
                reading = asyncio.create_task(collect(results, given))
                await far.wait_for(held=4)
            with pytest.raises(APIConnectionError, match="the client was closed while"):
                await reading
        assert sorted([*(result.droplet_id for result in given), *results.missing]) == ids
        assert sum(result.error is None for result in given) == 2


class TestLeavingOverSockets:
    """No task, no request, no place in the limit and no socket is left behind."""

    @pytest.mark.parametrize("leave", WAYS)
    async def test_nothing_is_left(self, far: Simulator, leave: Leave) -> None:
        """However the run is left; the client works on, and closes all its sockets in the end."""
        far.faults.add(Fault.hold(), times=None, after=1)
        ids = ids_of(far)[1:]
        async with far_client(far) as client, nothing_left():
            results = client.gpu_droplets.backups.list_many(ids, concurrency=6, deadline=3600.0)
            leaving = asyncio.ensure_future(leave(results))
            await leaving
            await assert_idle(client, far)
            assert len(results.missing) == len(ids) - 1
            far.faults.clear()
            assert (await client.gpu_droplets.backups.list(ids[0])).backups
        await far.wait_for(lambda far: far.open_connections == 0)

    async def test_a_loop_that_is_left_without_closing(
        self, client: AsyncGradient, far: Simulator
    ) -> None:
        """``break`` alone is enough: what nobody holds any more is cancelled."""
        far.faults.add(Fault.hold(), times=None, after=1)
        before = asyncio.all_tasks()
        async for result in client.gpu_droplets.backups.list_many(ids_of(far)[1:], concurrency=6):
            assert result.error is None
            break
        await assert_idle(client, far)
        assert asyncio.all_tasks() == before

    async def test_a_deadline_ends_it(self, client: AsyncGradient, far: Simulator) -> None:
        """Requests under way are cancelled; results and missing ones are all Droplets."""
        far.faults.add(Fault.hold(), times=None, after=3)
        ids, given = ids_of(far)[1:], list[DropletBackups]()
        async with nothing_left():
            results = client.gpu_droplets.backups.list_many(ids, concurrency=4, deadline=0.1)
            with pytest.raises(DeadlineExceededError) as caught:
                await collect(results, given)
            await assert_idle(client, far)
        assert sorted([*(r.droplet_id for r in given), *caught.value.missing]) == ids
        assert far.received <= 7

    async def test_a_deadline_ends_waiting_for_the_limit(self, far: Simulator) -> None:
        """A run that may wait for the limit as long as it takes still meets its deadline."""
        far.faults.add(Fault.rate_limited(3600), times=None, after=3)
        ids, given = ids_of(far)[1:], list[DropletBackups]()
        async with far_client(far) as client, nothing_left():
            results = client.gpu_droplets.backups.list_many(ids, concurrency=2, deadline=0.2)
            with pytest.raises(DeadlineExceededError):
                await collect(results, given)
            await assert_idle(client, far)
        assert sorted([*(result.droplet_id for result in given), *results.missing]) == ids

    async def test_cancelled_at_every_step(self, simulator: Simulator) -> None:
        """Wherever it is cancelled, nothing is left, no Droplet is lost, the client works on."""
        steps = 0
        while await self._cancelled_after(steps, simulator):
            steps += 1
        assert steps > 20

    async def _cancelled_after(self, steps: int, simulator: Simulator) -> bool:
        ids = [*ids_of(simulator)[:3], ids_of(simulator)[1]]
        given: list[DropletBackups] = []
        async with far_client(simulator, rate_limit=None) as client:
            results = client.gpu_droplets.backups.list_many(ids, concurrency=2)
            task = asyncio.create_task(collect(results, given))
            await settle(steps)
            task.cancel()
            await asyncio.wait([task])
            await assert_idle(client, simulator)
            assert not [t for t in asyncio.all_tasks() if "_Run._work" in repr(t)]
            answered = {result.droplet_id for result in (*given, *results._ready)}
            assert answered | set(results.missing) == set(ids)
            assert (await client.gpu_droplets.backups.list(ids[1])).backups
        assert task.cancelled() or len(given) == len(ids)
        return task.cancelled()
