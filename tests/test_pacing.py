"""The token's rate limit: when a request may be sent, and how requests wait for it."""

from __future__ import annotations

import asyncio
import copy
import gc
import random
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from fleet_helpers import EPOCH, FakeClient, Trip, World, fullest, settle
from hypothesis import given
from hypothesis import strategies as st

from gradient_async import RateLimit, RateLimitError
from gradient_async._http import RateLimitHeaders
from gradient_async._pacing import Pacer
from gradient_async._rate_limit import ideal_seconds
from gradient_async._schedule import Schedule
from gradient_async.testing import SlidingLimits

HOUR = 3600.0
NO_HEADERS = RateLimitHeaders({}, EPOCH)

windows = st.tuples(st.integers(1, 12), st.sampled_from([0.5, 1.0, 2.0, 7.0, 60.0]))
rate_limits = st.lists(windows, min_size=1, max_size=2).map(tuple).map(RateLimit)
moments = st.floats(0, 3, allow_nan=False).map(lambda value: round(value, 3))
trips = st.lists(st.tuples(moments, moments), min_size=1, max_size=8)
arrivals = st.lists(st.tuples(moments, st.integers(1, 15)), min_size=1, max_size=5)


def headers(now: float = EPOCH, **values: object) -> RateLimitHeaders:
    """The headers of an answer: `limit`, `remaining`, `reset`, `retry_after`."""
    names = {"retry_after": "retry-after"}
    named = {names.get(key, f"ratelimit-{key}"): str(value) for key, value in values.items()}
    return RateLimitHeaders(named, now)


def schedule_of(*windows: tuple[int, float], spread: float = 0.0) -> Schedule:
    """A schedule of windows; without any, that of ``rate_limit=None``."""
    return Schedule(RateLimit(windows) if windows else None, random=lambda: spread)


def fill(schedule: Schedule, now: float, answered: float, most: int = 10_000) -> int:
    """Start and answer as many requests as may be, at most so many."""
    started = 0
    while started < most and schedule.start(now):
        started += 1
    for _ in range(started):
        schedule.finish(answered, now, None)
    return started


class TestScheduleAlone:
    """One client, nobody else."""

    @given(rate_limits, trips, arrivals)
    def test_no_window_is_ever_exceeded(
        self, rate_limit: RateLimit, trips: list[Trip], arrivals: list[tuple[float, int]]
    ) -> None:
        """No window has more requests in it than it allows, whenever the server counts them."""
        world = World()
        client = FakeClient(world, Schedule(rate_limit), trips)
        for when, requests in arrivals:
            world.at(when, lambda requests=requests: client.ask(requests))  # type: ignore[misc]
        world.run()
        for limit, seconds in rate_limit.windows:
            assert fullest(world.counted, seconds) <= limit

    @given(rate_limits, trips, arrivals)
    def test_nobody_waits_longer_than_the_ideal_and_round_trips(
        self, rate_limit: RateLimit, trips: list[Trip], arrivals: list[tuple[float, int]]
    ) -> None:
        """Each request starts when the ideal has it start, one round trip per window later."""
        world = World()
        client = FakeClient(world, Schedule(rate_limit), trips)
        wanted: list[float] = []
        for when, requests in sorted(arrivals):
            wanted += [when] * requests
            world.at(when, lambda requests=requests: client.ask(requests))  # type: ignore[misc]
        world.run()
        slowest = max(sum(trip) for trip in trips)
        ideal: list[float] = []
        for number, when in enumerate(wanted):
            waits = [
                ideal[number - limit] + seconds + slowest
                for limit, seconds in rate_limit.windows
                if number >= limit
            ]
            ideal.append(max([when, *ideal[-1:], *waits]))
        assert len(client.started) == len(wanted)
        assert all(
            start <= latest + 1e-6 for start, latest in zip(client.started, ideal, strict=True)
        )

    def test_a_burst_goes_at_once(self) -> None:
        """As many requests as there is room for start without any pause between them."""
        assert fill(schedule_of((250, 60.0), (5000, HOUR)), now=0.0, answered=0.1) == 250

    def test_the_second_window_counts_too(self) -> None:
        """The hour ends the run of minutes when it is used up, and `kind_at` names it."""
        schedule = schedule_of((10, 60.0), (25, HOUR))
        assert [fill(schedule, at, at) for at in (0.0, 60.0, 120.0, 180.0)] == [10, 10, 5, 0]
        assert schedule.ready_at(180.0) == HOUR
        assert schedule.kind_at(180.0, 0) == "hourly"

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("start"), st.just(0)),
                st.tuples(st.just("finish"), st.integers(0, 10)),
                st.tuples(st.just("give back"), st.just(0)),
                st.tuples(st.just("refuse"), st.integers(0, 5)),
                st.tuples(st.just("wait"), st.integers(1, 40)),
            ),
            max_size=60,
        )
    )
    def test_ready_at_is_the_first_moment_to_start(self, steps: list[tuple[str, int]]) -> None:
        """A start succeeds at `ready_at` and not before it, whatever others do with the token."""
        schedule, now, sent = schedule_of((4, 2.0), (10, 9.0), spread=0.5), 100.0, list[float]()
        for step, value in steps:
            now += value / 10 if step == "wait" else 0.0
            if step == "start" and schedule.start(now):
                sent.append(now)
            elif step == "finish" and sent:
                schedule.finish(now, sent.pop(0), headers(limit=10, remaining=value))
            elif step == "give back" and sent:
                sent.pop()
                schedule.give_back()
            elif step == "refuse" and sent:
                schedule.refuse(now, sent.pop(0), headers(retry_after=value))
            at = schedule.ready_at(now)
            assert copy.deepcopy(schedule).start(now) == (at <= now)
            if at > now and schedule.running < 4:
                assert copy.deepcopy(schedule).start(at)
                assert not copy.deepcopy(schedule).start(at - (at - now) / 100)

    @given(st.integers(1, 5), st.integers(0, 5), st.integers(0, 30))
    def test_a_place_in_the_queue_has_a_time(self, limit: int, used: int, ahead: int) -> None:
        """With nobody else, the one with so many before it starts exactly when it was told."""
        world = World()
        client = FakeClient(world, schedule_of((limit, 2.0)), [(0.0, 0.0)])
        client.ask(used)
        world.run()
        told = client.schedule.ready_at(world.now, ahead)
        client.ask(ahead + 1)
        world.run()
        assert client.started[-1] == pytest.approx(told)


class TestScheduleRefused:
    """Answers 429, and what they ask for."""

    def test_late_answers_of_a_burst_do_not_escalate(self) -> None:
        """Fifty answers 429 to one burst close the gate once, for as long as they say."""
        schedule = schedule_of((50, 2.0))
        while schedule.start(0.0):
            pass
        for number in range(50):
            schedule.refuse(0.1 + number / 1000, 0.0, headers(retry_after=2))
        assert schedule.opens_at == pytest.approx(2.1)
        assert schedule.start(2.2)
        schedule.refuse(2.3, 2.2, headers(retry_after=0))
        assert schedule.opens_at == pytest.approx(2.8)

    def test_a_late_answer_that_asks_for_much_more_is_heard(self) -> None:
        """An answer of the burst that names a longer pause than the first moves the opening."""
        schedule = schedule_of((50, 2.0))
        assert schedule.start(0.0)
        assert schedule.start(0.0)
        schedule.refuse(0.1, 0.0, headers(retry_after=2))
        schedule.refuse(0.1, 0.0, headers(retry_after=30))
        assert schedule.opens_at == pytest.approx(30.1)

    def test_refused_again_and_again_waits_longer_each_time(self) -> None:
        """A server that refuses with no pause of its own is asked ever more seldom, not faster."""
        schedule, now, pauses = schedule_of(), 0.0, list[float]()
        for _ in range(10):
            assert schedule.start(now)
            schedule.refuse(now, now, headers(retry_after=0))
            pauses.append(schedule.opens_at - now)
            now = schedule.opens_at
        assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]

    def test_an_answer_that_is_good_ends_the_escalation(self) -> None:
        """After one good answer the next 429 counts as the first."""
        schedule = schedule_of()
        for _ in range(4):
            assert schedule.start(schedule.opens_at + 1 if schedule.opens_at > 0 else 0.0)
            schedule.refuse(100.0, 100.0, headers(retry_after=0))
            schedule.opens_at = 0.0
        assert schedule.start(200.0)
        schedule.finish(200.0, 200.0, NO_HEADERS)
        assert schedule.start(200.0)
        schedule.refuse(200.0, 200.0, headers(retry_after=1))
        assert schedule.opens_at == 201.0

    @pytest.mark.parametrize(
        "said",
        [
            {},
            {"reset": int(EPOCH) - 60},
            {"reset": int(EPOCH)},
            {"reset": "soon"},
            {"reset": "-1"},
            {"reset": "9" * 18},
            {"reset": "9" * 400},
            {"retry_after": "9" * 300},
            {"retry_after": 10**12},
            {"retry_after": "nan"},
            {"retry_after": "-5"},
            {"retry_after": "Thu, 01 Jan 1970 00:00:00 GMT", "reset": "x"},
            {"retry_after": "Fri, 31 Dec 9999 23:59:59 GMT"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("limits", [(), ((5, 60.0),), ((250, 60.0), (5000, HOUR))], ids=str)
    def test_whatever_an_answer_says_the_pause_is_sane(
        self, said: Mapping[str, Any], limits: tuple[tuple[int, float], ...]
    ) -> None:
        """No value makes it spin, and none makes it wait for more than an hour."""
        schedule, now, pauses = schedule_of(*limits, spread=1.0), 1000.0, list[float]()
        for _ in range(6):
            assert schedule.start(now)
            schedule.refuse(now, now, headers(**said))
            pauses.append(schedule.opens_at - now)
            now = schedule.ready_at(now)
        assert all(pause > 0 for pause in pauses[1:])
        assert pauses[-1] >= 0.5
        assert max(pauses) <= HOUR + 1

    def test_a_reset_in_the_past_is_checked_against_the_own_window(self) -> None:
        """An hour-style 429 whose reset is over waits until the client's own hour has room."""
        schedule = schedule_of((3, HOUR))
        assert schedule.start(0.0)
        assert schedule.start(10.0)
        schedule.finish(5.0, 0.0, NO_HEADERS)
        assert schedule.start(10.0)
        for sent_at in (10.0, 10.0):
            schedule.finish(20.0, sent_at, NO_HEADERS)
        schedule.running += 1  # one that another version of the window let through
        schedule.refuse(30.0, 30.0, headers(reset=int(EPOCH) - 60))
        assert schedule.opens_at == 5.0 + HOUR

    def test_the_gate_opens_with_a_small_spread(self) -> None:
        """Waits are longer by up to a twentieth, and by a second at most."""
        short, long = schedule_of((9, 60.0), spread=1.0), schedule_of((9, 60.0), spread=1.0)
        for schedule, pause in ((short, 2), (long, 600)):
            assert schedule.start(0.0)
            schedule.refuse(0.0, 0.0, headers(retry_after=pause))
        assert short.opens_at == pytest.approx(2.1)
        assert long.opens_at == 601.0

    def test_without_windows_an_answer_that_leaves_nothing_pauses(self) -> None:
        """With ``rate_limit=None`` it waits for the reset when the last place was used."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        schedule.finish(0.5, 0.0, headers(remaining=0, reset=int(EPOCH) + 7))
        assert not schedule.start(7.4)
        assert schedule.start(schedule.ready_at(1.0))

    def test_a_reset_without_remaining_zero_pauses_nobody(self) -> None:
        """With ``rate_limit=None`` it goes on as long as something is left."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        schedule.finish(0.5, 0.0, headers(remaining=1, reset=int(EPOCH) + 7))
        assert schedule.start(0.5)


class TestScheduleBesideOthers:
    """Other users of the same token."""

    def test_what_others_use_is_kept_free(self) -> None:
        """An answer that shows 60 of 100 used by others leaves room for the rest only."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        schedule.finish(0.1, 0.0, headers(limit=100, remaining=39))
        assert fill(schedule, 0.1, 0.2) == 39
        assert schedule.windows[0].status(0.1, 0).used_by_others == 60

    def test_what_others_use_fades(self) -> None:
        """Half a window later half of it may be used, after a whole one all of it."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        schedule.finish(0.0, 0.0, headers(limit=100, remaining=39))
        assert fill(schedule, 30.0, 30.0) == 69
        assert schedule.windows[0].others(60.0) == 0.0

    def test_own_requests_are_not_taken_for_those_of_others(self) -> None:
        """Neither requests under way, nor answered ones, nor those that have just expired count."""
        schedule = schedule_of((10, 2.0))
        assert fill(schedule, 0.0, 0.1, most=6) == 6
        assert schedule.start(0.2)
        assert schedule.start(0.2)
        schedule.finish(2.5, 0.2, headers(limit=10, remaining=2))
        assert schedule.windows[0].others(2.5) == 0.0

    def test_one_at_a_time_asks_whether_the_others_are_still_there(self) -> None:
        """Others that seem to use everything do not keep the client from asking."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        schedule.finish(0.0, 0.0, headers(limit=100, remaining=0))
        assert schedule.start(0.1)
        assert not schedule.start(0.1)
        schedule.finish(0.2, 0.1, headers(limit=100, remaining=0))
        assert schedule.start(0.2)

    def test_after_a_refusal_the_own_share_starts_first(self) -> None:
        """When the gate opens, what others had used is kept free, so that nobody is overrun."""
        schedule = schedule_of((100, 2.0))
        assert fill(schedule, 0.0, 0.1, most=25) == 25
        assert schedule.start(0.2)
        schedule.refuse(0.3, 0.2, headers(limit=100, remaining=0, retry_after=2))
        assert fill(schedule, 2.3, 2.4) == 25

    def test_memory_is_bounded_without_headers_about_a_window(self) -> None:
        """A window that no answer describes remembers no more requests than it allows."""
        schedule = schedule_of((10, 1.0))
        for second in range(1000):
            fill(schedule, float(second), float(second))
        window = schedule.windows[0]
        assert len(window.answered) + len(window.expired) <= 20

    @given(
        st.integers(1, 4),
        st.integers(2, 20),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.sampled_from(["right", "default", "none"]),
        st.randoms(use_true_random=False),
    )
    def test_clients_that_share_a_token_lose_nothing(
        self,
        clients: int,
        limit: int,
        hour_style: bool,
        count_rejected: bool,
        reset_in_past: bool,
        known: str,
        rng: random.Random,
    ) -> None:
        """All requests are answered in bounded time, whatever the clients believe of the limit."""
        limits = SlidingLimits([(limit, 2.0)], hour_style=hour_style, count_rejected=count_rejected)
        world = World(limits, reset_in_past)
        rate_limit = {"right": RateLimit(((limit, 2.0),)), "default": RateLimit(), "none": None}
        members = [
            FakeClient(world, Schedule(rate_limit[known], rng.random), [(0.02, 0.02), (0.01, 0.2)])
            for _ in range(clients)
        ]
        for member in members:
            world.at(rng.random(), lambda member=member: member.ask(2 * limit))  # type: ignore[misc]
        world.run(100_000)
        assert [member.done for member in members] == [2 * limit] * clients
        assert fullest(world.counted, 2.0) <= limit
        assert world.now < 700.0


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


async def drop(tasks: list[asyncio.Task[float]]) -> None:
    """Cancel tasks and wait for their end."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


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
            pacer.give_back()
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
        pacer.give_back()
        first.cancel()
        assert await second == clock.now
        assert first.cancelled()
        pacer.give_back()
        assert pacer.status().windows[0].used == 0

    async def test_a_wait_longer_than_the_patience_is_refused_at_once(
        self, clock: ManualClock
    ) -> None:
        """`RateLimitError` names how long the wait would be; no moment passes before."""
        pacer = Pacer(RateLimit(((1, 60.0), (9, HOUR))), clock)
        pacer.finish(await pacer.start(None), headers(limit=9, remaining=8))
        with pytest.raises(RateLimitError) as caught:
            await pacer.start(50.0)
        error = caught.value
        assert (error.retry_after, error.limit, error.remaining) == (60.0, 9, 8)
        assert (error.kind, error.status_code, error.response) == ("burst", 429, None)
        assert pacer.status().waiting == 0

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
        pacer.refuse(await pacer.start(None), headers(retry_after=60))
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
        pacer.refuse(running[0], headers(retry_after=600))
        with pytest.raises(RateLimitError) as caught:
            await hurried
        assert caught.value.retry_after == pytest.approx(600.5, abs=0.5)
        assert pacer.status().waiting == 1
        await drop([patient])

    async def test_patience_ends_though_the_wait_had_promised_to_be_short(self) -> None:
        """A waiter whose turn does not come is told so when its patience is over."""
        pacer = Pacer(RateLimit(((1, 0.01),)))
        await pacer.start(None)  # never answered
        with pytest.raises(RateLimitError):
            await pacer.start(0.02)
        assert pacer.status().waiting == 0

    async def test_patience_that_ends_in_the_moment_of_the_start(self, clock: ManualClock) -> None:
        """Whoever was let through in the same moment goes on and is not sent away."""
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        await pacer.start(None)
        [task] = await queue(pacer, 1)
        waiter = pacer._waiting[0]
        pacer.give_back()
        pacer._give_up(waiter)
        assert await task == clock.now

    @pytest.mark.parametrize("retry_after", [None, 300])
    async def test_the_error_names_the_limit_that_closed_the_gate(
        self, retry_after: int | None, clock: ManualClock
    ) -> None:
        """Behind a gate it is the limit of the 429: the hour's is the one without a pause."""
        pacer = Pacer(None, clock)
        said = {"reset": int(EPOCH) + 300} if retry_after is None else {"retry_after": retry_after}
        pacer.refuse(await pacer.start(None), headers(**said))
        with pytest.raises(RateLimitError) as caught:
            await pacer.start(60.0)
        assert caught.value.kind == ("hourly" if retry_after is None else "burst")

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
        pacer = Pacer(RateLimit(((1, 60.0),)), clock)
        assert await pacer.start(0.0) == clock.now
        with pytest.raises(RateLimitError):
            await pacer.start(0.0)

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
                lambda _: pacer.give_back(),
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
        window = status.windows[0]
        assert (window.limit, window.seconds, window.used, window.used_by_others) == (2, 60.0, 2, 1)
        await drop(tasks)

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
            assert not task.done() or task.result()

        thread = threading.Thread(target=lambda: asyncio.run(leave_waiting()))
        thread.start()
        await asyncio.to_thread(waiting.wait, 30)
        mine = asyncio.create_task(pacer.start(None))
        await settle()
        ended.set()
        await asyncio.to_thread(thread.join, 30)
        if pacer._schedule.running:
            pacer.give_back()
        assert await mine > 0

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    @pytest.mark.parametrize("whose_turn", ["theirs", "nobody's", "nobody's so soon"])
    async def test_the_others_go_on_when_a_loop_is_closed_under_its_waiters(
        self, clock: ManualClock, whose_turn: str
    ) -> None:
        """Waiters whose loop was closed without an end for them hold nobody up."""
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
            pacer.give_back()
            assert await pacer.start(None) == clock.now
        else:
            if whose_turn == "nobody's so soon":
                pacer._alarms.clear()  # as if they had been told to look later than now
            pacer.finish(running, None)
            assert pacer.status().waiting == 0
            clock.now += 60.0
            assert await pacer.start(0.0) == clock.now
        assert (pacer._schedule.running, pacer.status().waiting) == (1, 0)
        for task in tasks:  # as nobody can end them any more
            task._log_destroy_pending = False  # type: ignore[attr-defined]
        tasks.clear()


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


@given(st.integers(0, 60), rate_limits)
def test_ideal_seconds_are_those_of_a_server_without_distance(
    requests: int, rate_limit: RateLimit
) -> None:
    """The time that is told beforehand is when the last request starts if answers take none."""
    world = World()
    client = FakeClient(world, Schedule(rate_limit), [(0.0, 0.0)])
    client.ask(requests)
    world.run()
    assert max(client.started, default=0.0) == pytest.approx(ideal_seconds(requests, rate_limit))
    assert ideal_seconds(requests, None) == 0.0


# What a rate limit is made of.


@pytest.mark.parametrize(
    ("windows", "error"),
    [
        ([], ValueError),
        ([(0, 1.0)], ValueError),
        ([(10**30, 1.0)], ValueError),
        ([(1, 0.0)], ValueError),
        ([(1, -1.0)], ValueError),
        ([(1, float("nan"))], ValueError),
        ([(1, float("inf"))], ValueError),
        ([(1, 10**400)], ValueError),
        ([(2.7, 60.0)], TypeError),
        ([(True, 60.0)], TypeError),
        ([("5", "60")], TypeError),
        ([(5, "60")], TypeError),
        (5, TypeError),
        (None, TypeError),
        ((250, 60), TypeError),
    ],
    ids=repr,
)
def test_windows_that_are_none(windows: Any, error: type[Exception]) -> None:
    """A window is a whole number of requests and a finite number of seconds; neither is rounded."""
    with pytest.raises(error, match="windows must be pairs"):
        RateLimit(windows)


async def test_window_of_ages() -> None:
    """A span longer than the calendar can be looked at while somebody waits for it."""
    pacer = Pacer(RateLimit(((1, 1e12),)))
    pacer.finish(await pacer.start(None), None)
    waiting = asyncio.ensure_future(pacer.start(None))
    await asyncio.sleep(0)
    status = pacer.status()
    assert (status.waiting, status.paused_until) == (1, datetime.max.replace(tzinfo=UTC))
    waiting.cancel()
