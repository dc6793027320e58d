"""Slots: a bounded number of places, and who gets the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from async_helpers import settle
from hypothesis import given
from hypothesis import strategies as st

from gradient_async._slots import Slots

pytestmark = pytest.mark.timeout(20)


async def waiting(slots: Slots, order: list[int], number: int) -> asyncio.Task[None]:
    """Start a task that takes a place, and let it come to where it waits."""

    async def take() -> None:
        await slots.acquire()
        order.append(number)

    task = asyncio.create_task(take())
    await asyncio.sleep(0)
    return task


def test_places_are_taken_at_once_while_there_are_any() -> None:
    """There are as many places as given, and one more for each that is given back."""
    slots = Slots(2)
    assert [slots.acquire_nowait() for _ in range(3)] == [True, True, False]
    slots.release()
    assert slots.free == 1
    assert [slots.acquire_nowait() for _ in range(2)] == [True, False]


async def test_a_free_place_is_not_waited_for() -> None:
    """`acquire` does not let other tasks run when there is a place."""
    slots = Slots(1)
    taking = slots.acquire()
    with pytest.raises(StopIteration):
        taking.send(None)
    assert slots.free == 0


async def test_places_are_given_on_in_the_order_in_which_they_were_asked_for() -> None:
    """A place that is given back belongs to who has waited longest, at once: nobody overtakes."""
    slots, order = Slots(1), list[int]()
    await slots.acquire()
    tasks = [await waiting(slots, order, number) for number in range(3)]
    slots.release()
    assert not slots.acquire_nowait()
    for _ in range(3):
        await asyncio.sleep(0)
        slots.release()
    await asyncio.gather(*tasks)
    assert (order, slots.free) == ([0, 1, 2], 1)


async def test_who_gives_up_leaves_the_queue() -> None:
    """The place of a task that gives up goes to the next, or is free where nobody waits."""
    slots, order = Slots(1), list[int]()
    await slots.acquire()
    first, second = [await waiting(slots, order, number) for number in range(2)]
    first.cancel()
    await asyncio.wait([first])
    assert len(slots._waiting) == 1
    slots.release()
    await second
    assert (order, slots.free, first.cancelled()) == ([1], 0, True)


@pytest.mark.parametrize("others", [0, 1])
async def test_a_place_given_in_the_moment_of_a_cancellation_is_not_lost(others: int) -> None:
    """A place given to a task that is being cancelled goes on to the next one."""
    for cancelled_first in (True, False):
        slots, order = Slots(1), list[int]()
        await slots.acquire()
        tasks = [await waiting(slots, order, number) for number in range(1 + others)]
        steps: list[Callable[[], object]] = [tasks[0].cancel, slots.release]
        for step in steps if cancelled_first else reversed(steps):
            step()
        await asyncio.wait(tasks)
        assert tasks[0].cancelled()
        assert (order, slots.free) == ([1] if others else [], 1 - others)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5])
async def test_several_places_at_once(count: int) -> None:
    """Each goes to who has waited longest and still waits; those that nobody wants are free."""
    slots, order = Slots(0), list[int]()
    tasks = [await waiting(slots, order, number) for number in range(4)]
    tasks[1].cancel()
    slots.release(count)
    await settle()
    assert (order, slots.free) == ([0, 2, 3][:count], max(0, count - 3))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


def test_who_is_dropped_while_waiting_leaves_the_queue() -> None:
    """A coroutine that is closed when its loop has ended keeps no place, and has none to give."""
    slots = Slots(0)

    async def begin() -> list[tuple[Coroutine[Any, Any, None], asyncio.Future[None]]]:
        both = [slots.acquire() for _ in range(2)]
        return [(taking, taking.send(None)) for taking in both]

    (first, given), (second, _) = asyncio.run(begin())
    second.close()
    assert not given.done()
    first.close()
    slots.release()
    assert slots.free == 1


@given(
    places=st.integers(1, 4),
    turns=st.lists(st.integers(0, 2), min_size=1, max_size=12),
    cancelled=st.lists(st.none() | st.integers(0, 11), max_size=30),
)
def test_no_more_than_there_are_and_none_lost(
    places: int, turns: list[int], cancelled: list[int | None]
) -> None:
    """Whatever is cancelled and when, all places are free at the end."""

    async def run() -> None:
        slots, inside, most = Slots(places), 0, 0

        async def use(turns_inside: int) -> None:
            nonlocal inside, most
            await slots.acquire()
            try:
                inside += 1
                most = max(most, inside)
                for _ in range(turns_inside):
                    await asyncio.sleep(0)
            finally:
                inside -= 1
                slots.release()

        users = [asyncio.create_task(use(number)) for number in turns]
        for number in cancelled:
            if number is not None:
                users[number % len(users)].cancel()
            await asyncio.sleep(0)
        for _ in range(5 * len(users)):
            await asyncio.sleep(0)
        assert all(user.done() for user in users)
        assert most <= places
        assert slots.free == places

    asyncio.run(run())
