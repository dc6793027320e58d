"""Deadlines: what waits beyond its time ends, on a loop whose time is told by the test."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from async_helpers import settle

from gradient_async._deadlines import Deadline, Deadlines

pytestmark = pytest.mark.timeout(20)


class Clock:
    """The time of a loop, which stands still until it is moved."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = loop.time()

    async def move(self, seconds: float) -> None:
        """Move the time on, and let what is due then happen."""
        self.now += seconds
        await settle()


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The time of the running loop, in the hands of the test."""
    loop = asyncio.get_running_loop()
    clock = Clock(loop)
    monkeypatch.setattr(loop, "time", lambda: clock.now)
    return clock


@pytest.fixture
async def deadlines(clock: Clock) -> Deadlines:
    """The deadlines of that loop."""
    return Deadlines()


async def wait(deadline: Deadline) -> None:
    """Wait within a deadline for what never comes."""
    with deadline:
        await asyncio.get_running_loop().create_future()


def waiting(deadlines: Deadlines, *seconds: float | None) -> Iterator[asyncio.Task[None]]:
    """Begin to wait, for so many seconds each."""
    return (asyncio.create_task(wait(deadlines.after(least))) for least in seconds)


async def test_what_waits_beyond_its_deadline_times_out(deadlines: Deadlines, clock: Clock) -> None:
    """Tasks time out at their own deadlines, in any order; one without a deadline waits on."""
    first, second, third, never = waiting(deadlines, 3.0, 1.0, 2.0, None)
    await clock.move(0.9)
    ended = [{task for task in (first, second, third, never) if task.done()}]
    for _ in range(3):
        await clock.move(1.0)
        ended.append({task for task in (first, second, third, never) if task.done()})
    assert ended == [set(), {second}, {second, third}, {first, second, third}]
    assert all(isinstance(task.exception(), TimeoutError) for task in ended[-1])
    assert never.cancel()


async def test_what_ends_in_time_is_left_alone(deadlines: Deadlines, clock: Clock) -> None:
    """A task that left its block in time is not cancelled when the deadline passes."""
    with deadlines.after(1.0):
        await asyncio.sleep(0)
    await clock.move(2.0)
    assert not asyncio.current_task().cancelling()  # type: ignore[union-attr]


async def test_one_timer_does_for_all(
    deadlines: Deadlines, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hundred waits of the same length, one after the other, set the timer once."""
    loop, timers = asyncio.get_running_loop(), list[float]()
    call_at = loop.call_at

    def counted(at: float, *what: Any) -> asyncio.TimerHandle:
        timers.append(at)
        return call_at(at, *what)

    monkeypatch.setattr(loop, "call_at", counted)
    began = clock.now
    for _ in range(100):
        with deadlines.after(60.0):
            await clock.move(0.01)
    assert timers == [began + 60.0]


async def test_the_timer_goes_on_to_the_next(deadlines: Deadlines, clock: Clock) -> None:
    """A timer that rings for a block that has ended is set again for those who still wait."""
    with deadlines.after(1.0):
        pass
    (task,) = waiting(deadlines, 2.0)
    await clock.move(1.0)
    assert not task.done()
    await clock.move(1.0)
    assert isinstance(task.exception(), TimeoutError)


async def test_a_deadline_that_has_passed_lets_nobody_wait(
    deadlines: Deadlines, clock: Clock
) -> None:
    """Entering a block whose deadline has passed since an earlier block times out at once."""
    deadline = deadlines.after(1.0)
    with deadline:
        await asyncio.sleep(0)
    await clock.move(1.0)
    with pytest.raises(TimeoutError), deadline:
        pytest.fail("it let somebody in")


async def test_others_who_cancel_are_heard(deadlines: Deadlines, clock: Clock) -> None:
    """A task that is cancelled within a deadline is cancelled, also in the moment it passes."""
    before, together = waiting(deadlines, 1.0, 1.0)
    await asyncio.sleep(0)
    before.cancel()
    clock.now += 1.0
    asyncio.get_running_loop().call_at(clock.now, together.cancel)
    await clock.move(0.0)
    assert before.cancelled()
    assert together.cancelled()


async def test_what_fails_as_its_deadline_passes_keeps_its_error(
    deadlines: Deadlines, clock: Clock
) -> None:
    """An error that is raised as the deadline passes is kept, and the task is not cancelled."""

    async def fail() -> None:
        with deadlines.after(1.0):
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                raise ValueError("theirs") from None

    async def go_on() -> int:
        with pytest.raises(ValueError, match="theirs"):
            await fail()
        await asyncio.sleep(0)
        task = asyncio.current_task()
        return -1 if task is None else task.cancelling()

    task = asyncio.create_task(go_on())
    await asyncio.sleep(0)
    await clock.move(1.0)
    assert await task == 0


async def test_an_outer_timeout_goes_first(deadlines: Deadlines, clock: Clock) -> None:
    """An `asyncio.timeout` around a deadline that ends first is what times out."""
    outer = asyncio.timeout_at(clock.now + 1.0)

    async def within() -> None:
        async with outer:
            await wait(deadlines.after(5.0))

    task = asyncio.create_task(within())
    await asyncio.sleep(0)
    await clock.move(1.0)
    assert isinstance(task.exception(), TimeoutError)
    assert outer.expired()


async def test_a_closed_one_still_rings_for_those_who_wait(
    deadlines: Deadlines, clock: Clock
) -> None:
    """Closed deadlines still time out who waits, and leave no timer when nobody does."""
    (task,) = waiting(deadlines, 1.0)
    await asyncio.sleep(0)
    deadlines.close()
    await clock.move(1.0)
    assert isinstance(task.exception(), TimeoutError)
    with deadlines.after(1.0):
        timers = scheduled()
    assert timers == scheduled() > 0
    deadlines.close()
    assert scheduled() == timers - 1


def scheduled() -> int:
    """Count the timers of the running loop that were not cancelled."""
    loop: Any = asyncio.get_running_loop()
    return sum(not timer.cancelled() for timer in loop._scheduled)


async def test_a_timer_keeps_nobody_alive(clock: Clock) -> None:
    """A timer that is set does not keep its deadlines from being collected."""
    deadlines = Deadlines()
    with deadlines.after(1000.0):
        gone = weakref.ref(deadlines)
    del deadlines
    gc.collect()
    assert gone() is None
    await clock.move(1000.0)


async def test_an_interrupted_ring_is_not_the_last(
    deadlines: Deadlines, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signal that interrupts the timer does not keep the others from their deadlines."""
    first, second = waiting(deadlines, 1.0, 2.0)
    await asyncio.sleep(0)
    interrupted = ZeroDivisionError("as a signal handler may raise")
    reported = list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, about: reported.append(about))
    with monkeypatch.context() as patch:
        patch.setattr(Deadline, "expire", Mock(side_effect=interrupted))
        await clock.move(1.0)
    await clock.move(1.0)
    assert [about["exception"] for about in reported] == [interrupted]
    assert isinstance(second.exception(), TimeoutError)
    assert first.cancel()
