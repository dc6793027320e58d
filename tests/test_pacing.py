"""How requests wait for the token's rate limit, on one event loop and on several."""

from __future__ import annotations

import asyncio
import gc
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from async_helpers import drop, settle
from pacing_helpers import HOUR, headers
from virtual_time import EPOCH, fullest

from gradient_async import RateLimit, RateLimitError
from gradient_async._pacing import Pacer


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Give the time, in seconds."""
        return self.now


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still."""
    return ManualClock()


async def queue(pacer: Pacer, count: int) -> list[asyncio.Task[float]]:
    """Let so many requests wait, in their order."""
    tasks = [asyncio.create_task(pacer.start(None)) for _ in range(count)]
    await settle()
    return tasks


class TestPacer:
    """Requests that wait, on one loop."""

    async def test_first_come_first_served(self) -> None:
        """Requests start in the order in which they came, through many windows."""
        pacer, order = Pacer(RateLimit(((3, 0.002),))), list[int]()

        async def request(number: int) -> None:
            sent_at = await pacer.start(None)
            order.append(number)
            pacer.finish(sent_at, None)

        await asyncio.gather(*(request(number) for number in range(40)))
        assert order == list(range(40))

    @pytest.mark.parametrize("position", range(4))
    async def test_a_waiter_that_leaves_holds_nobody_up(
        self, position: int, clock: ManualClock
    ) -> None:
        """Cancelled in any position of the queue, a waiter takes no place of the others."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        await pacer.start(None)
        tasks = await queue(pacer, 4)
        left = tasks.pop(position)
        left.cancel()
        await settle()
        assert left.cancelled()
        for task in tasks:
            pacer.give_back(0.0)
            assert await task == clock.now
        assert pacer.status().waiting == 0
        assert pacer.status().windows[0].used == 1

    async def test_a_place_granted_in_the_moment_of_cancellation_is_given_back(
        self, clock: ManualClock
    ) -> None:
        """The place of a waiter that was let through and cancelled at once goes to the next."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        await pacer.start(None)
        first, second = await queue(pacer, 2)
        pacer.give_back(0.0)
        first.cancel()
        assert await second == clock.now
        assert first.cancelled()
        pacer.give_back(0.0)
        assert pacer.status().windows[0].used == 0

    async def test_a_wait_longer_than_the_patience_is_refused_at_once(
        self, clock: ManualClock
    ) -> None:
        """`RateLimitError` tells of the window that has no room; no moment passes before."""
        pacer = Pacer(RateLimit(((1, 60.0), (9, HOUR))), clock)
        said = headers(limit=9, remaining=8, reset=int(EPOCH) + 5)
        pacer.finish(await pacer.start(None), said)
        with pytest.raises(RateLimitError, match=r"no more requests: wait 60\.0 s") as caught:
            await pacer.start(50.0)
        error = caught.value
        assert (error.retry_after, error.limit, error.remaining) == (60.0, 1, 0)
        assert error.reset_at is not None
        assert 55.0 < (error.reset_at - datetime.now(UTC)).total_seconds() <= 60.0
        assert (error.kind, error.status_code, error.response) == ("burst", 429, None)
        assert pacer.status().waiting == 0

    async def test_an_answer_that_leaves_nothing_sends_the_impatient_away(
        self, clock: ManualClock
    ) -> None:
        """Whoever waits is told at once that it takes longer, as after a 429."""
        pacer = Pacer(RateLimit(((2, 3.0),)), clock)
        sent_at = [await pacer.start(None) for _ in range(2)]
        waiting = asyncio.ensure_future(pacer.start(4.0))
        await settle()
        pacer.finish(sent_at[0], headers(limit=9, remaining=0, reset=int(EPOCH) + 50))
        with pytest.raises(RateLimitError, match=r"wait 5\d\.\d s") as caught:
            await waiting
        assert (caught.value.limit, caught.value.remaining, caught.value.kind) == (9, 0, None)
        assert pacer.status().waiting == 0

    async def test_what_a_refusal_closes(self, clock: ManualClock) -> None:
        """It is known to requests that were started before, and for how long it will be."""
        pacer = Pacer(None, clock)
        sent_at = await pacer.start(None)
        assert (pacer.closed_since(sent_at), pacer.closed_for()) == (False, 0.0)
        pacer.on_refusal(sent_at, headers(retry_after=20))
        assert pacer.closed_since(sent_at)
        assert 20.0 <= pacer.closed_for() <= 21.0  # a little later, so that not all come at once
        clock.now += pacer.closed_for()
        assert pacer.closed_for() == 0.0
        assert not pacer.closed_since(await pacer.start(None))

    async def test_the_queue_counts_towards_the_wait(self, clock: ManualClock) -> None:
        """Whoever has others before it waits for their windows too."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        pacer.finish(await pacer.start(None), None)
        tasks = await queue(pacer, 2)
        with pytest.raises(RateLimitError) as caught:
            await pacer.start(100.0)
        assert caught.value.retry_after == 180.0
        await drop(tasks)

    async def test_a_whole_window_is_within_a_patience_of_its_length(
        self, clock: ManualClock
    ) -> None:
        """The spread of the gate is on top: 60 seconds of patience do for ``retry-after: 60``."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        pacer.on_refusal(await pacer.start(None), headers(retry_after=60))
        task = asyncio.create_task(pacer.start(60.0))
        await settle()
        assert pacer.status().waiting == 1
        await drop([task])

    async def test_a_gate_that_closes_later_sends_the_impatient_away(
        self, clock: ManualClock
    ) -> None:
        """Those who would now wait too long are told at once; the patient stay."""
        pacer = Pacer(RateLimit(((2, 60.0),)), clock)
        running = [await pacer.start(None), await pacer.start(None)]
        patient = asyncio.create_task(pacer.start(None))
        hurried = asyncio.create_task(pacer.start(70.0))
        await settle()
        pacer.on_refusal(running[0], headers(retry_after=600))
        with pytest.raises(RateLimitError) as caught:
            await hurried
        assert caught.value.retry_after == pytest.approx(600.5, abs=0.5)
        assert caught.value.kind == "burst"
        assert pacer.status().waiting == 1
        await drop([patient])

    async def test_patience_ends_though_the_wait_had_promised_to_be_short(self) -> None:
        """A waiter whose turn does not come is told so when its patience is over."""
        pacer = Pacer(RateLimit(((1, 0.01),)))
        await pacer.start(None)  # never answered
        with pytest.raises(RateLimitError):
            await pacer.start(0.02)
        assert pacer.status().waiting == 0

    async def test_whoever_gives_up_leaves_its_place_to_the_next(self, clock: ManualClock) -> None:
        """It is told what its own turn waited for, and the next one is served in its place."""
        pacer = Pacer(RateLimit(((1, 60.0), (2, HOUR))), clock)
        await pacer.start(None)
        hurried = asyncio.create_task(pacer.start(60.0))
        await settle()
        [patient] = await queue(pacer, 1)
        pacer._give_up(pacer._waiting[0])
        with pytest.raises(RateLimitError) as caught:
            await hurried
        assert (caught.value.retry_after, caught.value.kind) == (60.0, "burst")
        pacer.give_back(0.0)
        assert await patient == clock.now

    async def test_patience_that_ends_in_the_moment_of_the_start(self, clock: ManualClock) -> None:
        """Whoever was let through in the same moment goes on and is not sent away."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        await pacer.start(None)
        [task] = await queue(pacer, 1)
        waiter = pacer._waiting[0]
        pacer.give_back(0.0)
        pacer._give_up(waiter)
        assert await task == clock.now

    @pytest.mark.parametrize(
        ("said", "kind"),
        [({"retry_after": 300}, "burst"), ({"reset": int(EPOCH) + 300}, "hourly"), ({}, None)],
    )
    async def test_the_error_names_the_limit_that_closed_the_gate(
        self, said: dict[str, int], kind: str | None, clock: ManualClock
    ) -> None:
        """Behind a gate it is the limit of the 429, of which only the minute's names a pause."""
        pacer = Pacer(None, clock)
        pacer.on_refusal(await pacer.start(None), headers(**said))
        with pytest.raises(RateLimitError) as caught:
            await pacer.start(0.0)
        assert caught.value.kind == kind

    async def test_an_alarm_that_was_overtaken_changes_nothing(self, clock: ManualClock) -> None:
        """A timer of the past finds that another one is set, and nobody starts too early."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        pacer.finish(await pacer.start(None), None)
        tasks = await queue(pacer, 2)
        alarms = dict(pacer._alarms)
        pacer._on_alarm(clock.now - 1.0)
        await settle()
        assert pacer._alarms == alarms
        assert pacer.status().waiting == 2
        await drop(tasks)

    async def test_no_patience_at_all(self, clock: ManualClock) -> None:
        """With a patience of 0 it starts where there is room, and is refused elsewhere."""
        pacer = Pacer(RateLimit(((2, 60.0),)), clock)
        pacer.finish(await pacer.start(0.0), None)
        pacer.finish(await pacer.start(0.0), None)
        with pytest.raises(RateLimitError):
            await pacer.start(0.0)
        [task] = await queue(pacer, 1)
        clock.now += 60.0  # there is room, though nobody has looked yet
        assert await pacer.start(0.0) == clock.now
        assert await task == clock.now

    async def test_thousands_of_waiters_have_one_timer(self, clock: ManualClock) -> None:
        """The queue is looked at by one timer, however long it is."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        pacer.finish(await pacer.start(None), None)
        before = len(scheduled())
        tasks = await queue(pacer, 1000)
        assert len(scheduled()) == before + 1
        await drop(tasks)

    async def test_what_happens_in_any_order_loses_no_wake_up(self) -> None:
        """Starts, answers and cancellations in any order: who stays is served."""
        rng = random.Random(1)
        for _ in range(30):
            pacer = Pacer(RateLimit(((rng.randint(1, 4), 0.001),)))
            tasks = [asyncio.create_task(self._request(pacer, rng)) for _ in range(30)]
            for task in rng.sample(tasks, 10):
                await asyncio.sleep(0)
                task.cancel()
            await asyncio.wait(tasks)
            assert all(task.cancelled() or task.result() for task in tasks)
            assert pacer.status().waiting == 0
            assert pacer._schedule.running == 0

    async def _request(self, pacer: Pacer, rng: random.Random) -> bool:
        end: Callable[[float], None] = rng.choice(
            [
                lambda sent_at: pacer.finish(sent_at, None),
                lambda sent_at: pacer.finish(
                    sent_at, headers(limit=4, remaining=rng.randint(0, 4))
                ),
                lambda _: pacer.give_back(0.0),
            ]
        )
        sent_at = await pacer.start(None)
        try:
            await asyncio.sleep(0)
        finally:
            end(sent_at)
        return True

    async def test_status_tells_what_a_progress_display_needs(self, clock: ManualClock) -> None:
        """Windows, the newest headers, the queue, and until when it waits."""
        pacer = Pacer(RateLimit(((2, 60.0),)), clock)
        assert (pacer.status().limit, pacer.status().paused_until) == (None, None)
        sent_at = await pacer.start(None)
        pacer.finish(sent_at, headers(limit=2, remaining=0, reset=int(EPOCH)))
        tasks = await queue(pacer, 2)
        status = pacer.status()
        assert (status.limit, status.remaining, status.waiting) == (2, 0, 1)
        assert status.reset_at is not None
        assert status.reset_at.timestamp() == EPOCH
        assert status.paused_until is not None
        assert (status.paused_until - datetime.now(UTC)).total_seconds() == pytest.approx(
            60, abs=60
        )
        window = status.windows[0]
        assert (window.limit, window.seconds, window.used, window.used_by_others) == (2, 60.0, 2, 1)
        await drop(tasks)

    async def test_only_a_closed_gate_pauses_when_nobody_waits(self, clock: ManualClock) -> None:
        """Neither a full window nor a gate that has just opened tells anybody to wait."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        sent_at = await pacer.start(None)
        assert pacer.status().paused_until is None
        pacer.on_refusal(sent_at, headers(retry_after=0))
        assert pacer.status().paused_until is None
        pacer.on_refusal(await pacer.start(None), headers(retry_after=2))
        assert pacer.status().paused_until is not None

    async def test_a_child_process_starts_afresh(self, clock: ManualClock) -> None:
        """After a fork nobody waits, and what was under way counts as answered."""
        pacer = Pacer(RateLimit(((3, 60.0),)), clock)
        await pacer.start(None)
        tasks = await queue(pacer, 3)
        pacer.after_fork_in_child()
        assert pacer.status().waiting == 0
        assert pacer.status().windows[0].used == 3
        clock.now += 60.0
        assert await pacer.start(0.0) == clock.now
        await drop(tasks)


def scheduled() -> list[object]:
    """The timers of the running loop."""
    timers: list[object] = getattr(asyncio.get_running_loop(), "_scheduled")  # noqa: B009
    return timers


class TestPacerOnSeveralLoops:
    """One client in several threads, each with a loop of its own."""

    def test_several_threads_share_the_windows(self) -> None:
        """Requests of four loops are all served, and together they keep within the window."""
        pacer, sent = Pacer(RateLimit(((20, 0.05),))), list[float]()

        async def request() -> None:
            sent_at = await pacer.start(None)
            sent.append(sent_at)
            await asyncio.sleep(0)
            pacer.finish(sent_at, None)

        async def all_requests() -> None:
            await asyncio.gather(*(request() for _ in range(25)))

        threads = [
            threading.Thread(target=lambda: asyncio.run(all_requests()), daemon=True)
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert len(sent) == 100
        assert fullest(sent, 0.05) <= 20

    async def test_the_others_go_on_when_a_loop_ends_with_waiters(self) -> None:
        """`asyncio.run` that ends in another thread takes the timer of the queue with it."""
        pacer = Pacer(RateLimit(((1, 0.05),)))
        pacer.finish(await pacer.start(None), None)
        waiting, ended = threading.Event(), threading.Event()

        async def leave_waiting() -> None:
            task = asyncio.ensure_future(pacer.start(None))
            await settle()
            waiting.set()
            await asyncio.to_thread(ended.wait, 30)
            if task.done():  # its turn came before the loop ended
                task.result()

        thread = threading.Thread(target=lambda: asyncio.run(leave_waiting()))
        thread.start()
        await asyncio.to_thread(waiting.wait, 30)
        mine = asyncio.create_task(pacer.start(None))
        await settle()
        ended.set()
        await asyncio.to_thread(thread.join, 30)
        if pacer._schedule.running:
            pacer.give_back(0.0)
        await mine
        assert pacer.status().waiting == 0

    async def test_a_loop_looks_again_as_long_as_it_has_waiters(self, clock: ManualClock) -> None:
        """Its alarm is set again though those of another loop are first, and not without need."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        pacer.finish(await pacer.start(None), None)
        here, elsewhere = asyncio.get_running_loop(), asyncio.new_event_loop()
        theirs = elsewhere.create_task(pacer.start(None))
        await asyncio.to_thread(elsewhere.run_until_complete, asyncio.sleep(0))
        mine = await queue(pacer, 1)
        pacer._on_alarm(pacer._alarms[here])
        assert pacer._alarms[here] == clock.now + 60.0
        await drop(mine)
        pacer._on_alarm(pacer._alarms[here])
        assert list(pacer._alarms) == [elsewhere]
        theirs.cancel()
        await asyncio.to_thread(elsewhere.run_until_complete, asyncio.wait([theirs]))
        elsewhere.close()

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("whose_turn", ["theirs", "nobody's", "nobody's so soon"])
    async def test_the_others_go_on_when_a_loop_is_closed_under_its_waiters(
        self, clock: ManualClock, whose_turn: str
    ) -> None:
        """Waiters whose loop was closed without an end for them hold nobody up, then or later."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        running = await pacer.start(None)
        abandoned = asyncio.new_event_loop()
        tasks = [abandoned.create_task(pacer.start(None)) for _ in range(3)]

        def begin_and_close() -> None:
            abandoned.run_until_complete(asyncio.sleep(0))
            abandoned.close()

        await asyncio.to_thread(begin_and_close)
        assert pacer.status().waiting == 3
        if whose_turn == "theirs":
            pacer.give_back(0.0)
            assert await pacer.start(None) == clock.now
        else:
            if whose_turn == "nobody's so soon":
                pacer._alarms.clear()  # as if they had been told to look later than now
            pacer.finish(running, None)
            assert pacer.status().waiting == 0
            clock.now += 60.0
            assert await pacer.start(0.0) == clock.now
        assert (pacer._schedule.running, pacer.status().waiting) == (1, 0)
        while tasks:  # as nobody can end them any more
            tasks.pop()._log_destroy_pending = False  # type: ignore[attr-defined]
        gc.collect()
        assert pacer._schedule.running == 1


def test_loops_that_are_gone_are_not_kept() -> None:
    """A client that outlives many loops on which requests waited holds on to none of them."""
    pacer = Pacer(RateLimit(((1, 60.0),)))

    async def wait_in_vain() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await pacer.start(None)

    asyncio.run(pacer.start(None))
    for _ in range(5):
        asyncio.run(wait_in_vain())
    gc.collect()
    assert len(pacer._alarms) == 0


async def test_window_of_ages() -> None:
    """A span longer than the calendar can be looked at while somebody waits for it."""
    pacer = Pacer(RateLimit(((1, 1e12),)))
    pacer.finish(await pacer.start(None), None)
    waiting = asyncio.ensure_future(pacer.start(None))
    await asyncio.sleep(0)
    status = pacer.status()
    assert (status.waiting, status.paused_until) == (1, datetime.max.replace(tzinfo=UTC))
    waiting.cancel()
