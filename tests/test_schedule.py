"""When a request may be sent: decided on a clock that is passed in."""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pacing_helpers import HOUR, headers, rate_limits
from virtual_time import EPOCH, FakeClient, Trip, World, fullest

from gradient_async import RateLimit
from gradient_async._http import RateLimitHeaders
from gradient_async._schedule import Schedule
from gradient_async.testing import SlidingLimits

NO_HEADERS = RateLimitHeaders({}, EPOCH)

moments = st.floats(0, 3, allow_nan=False).map(lambda value: round(value, 3))
trips = st.lists(st.tuples(moments, moments), min_size=1, max_size=8)
arrivals = st.lists(st.tuples(moments, st.integers(1, 15)), min_size=1, max_size=5)


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


def others_at(schedule: Schedule, when: float) -> int:
    """What others are believed to use of the first window."""
    return schedule.windows[0].status(when, schedule.running).used_by_others


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
        """The hour ends the run of minutes when it is used up, and `limited_by` names it."""
        schedule = schedule_of((10, 60.0), (25, HOUR))
        assert [fill(schedule, at, at) for at in (0.0, 60.0, 120.0, 180.0)] == [10, 10, 5, 0]
        assert schedule.ready_at(180.0) == HOUR
        assert schedule.limited_by(180.0, 0) == ("hourly", 25)

    @given(
        st.sampled_from([[(4, 2.0), (10, 9.0)], [(10, 9.0)]]),
        st.lists(
            st.one_of(
                st.tuples(st.just("start"), st.just(0)),
                st.tuples(st.just("finish"), st.integers(0, 10)),
                st.tuples(st.just("finish unseen"), st.just(0)),
                st.tuples(st.just("give back"), st.just(0)),
                st.tuples(st.just("refuse"), st.integers(0, 5)),
                st.tuples(st.just("wait"), st.integers(1, 40)),
            ),
            max_size=60,
        ),
    )
    def test_ready_at_is_the_first_moment_to_start(
        self, windows: list[tuple[int, float]], steps: list[tuple[str, int]]
    ) -> None:
        """A start succeeds at `ready_at` and not before it, whatever others do with the token."""
        schedule, now, sent = schedule_of(*windows, spread=0.5), 100.0, list[float]()
        for step, value in steps:
            now += value / 10 if step == "wait" else 0.0
            if step == "start" and schedule.start(now):
                sent.append(now)
            elif step == "finish" and sent:
                schedule.finish(now, sent.pop(0), headers(limit=10, remaining=value))
            elif step == "finish unseen" and sent:
                schedule.finish(now, sent.pop(0), NO_HEADERS)
            elif step == "give back" and sent:
                sent.pop()
                schedule.give_back(0.0)
            elif step == "refuse" and sent:
                schedule.on_refusal(now, sent.pop(0), headers(retry_after=value))
            at = schedule.ready_at(now)
            assert copy.deepcopy(schedule).start(now) == (at <= now)
            if at > now and schedule.running < windows[0][0]:
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
            schedule.on_refusal(0.1 + number / 1000, 0.0, headers(retry_after=2))
        assert schedule.gate.opens_at == pytest.approx(2.1)
        assert schedule.start(2.2)
        schedule.on_refusal(2.3, 2.2, headers(retry_after=0))
        assert schedule.gate.opens_at == pytest.approx(2.8)

    def test_a_late_answer_that_asks_for_much_more_is_heard(self) -> None:
        """An answer of the burst that names a longer pause than the first moves the opening."""
        schedule = schedule_of((50, 2.0))
        assert schedule.start(0.0)
        assert schedule.start(0.0)
        schedule.on_refusal(0.1, 0.0, headers(retry_after=2))
        schedule.on_refusal(0.1, 0.0, headers(retry_after=30))
        assert schedule.gate.opens_at == pytest.approx(30.1)

    def test_the_refusal_that_moves_the_opening_names_the_limit(self) -> None:
        """A gate that the hour's limit holds closed longer than the minute's is the hour's."""
        schedule = schedule_of((50, 2.0))
        assert schedule.start(0.0)
        assert schedule.start(0.0)
        schedule.on_refusal(0.1, 0.0, headers(retry_after=5))
        assert schedule.limited_by(0.1, 0) == ("burst", None)
        schedule.on_refusal(0.1, 0.0, headers(reset=int(EPOCH) + 600))
        assert schedule.limited_by(0.1, 0) == ("hourly", None)

    def test_late_answers_that_differ_by_rounding_are_not_heard(self) -> None:
        """Pauses are whole seconds, so one that is longer by a second may name the same moment."""
        schedule = schedule_of((50, 2.0))
        opened = list[float]()
        for _ in range(3):
            assert schedule.start(0.0)
        for pause in (2, 3, 3.5):
            schedule.on_refusal(0.0, 0.0, headers(retry_after=pause))
            opened.append(schedule.gate.opens_at)
        assert opened == [2.0, 2.0, 3.5]

    @pytest.mark.parametrize("said", [NO_HEADERS, headers(reset=int(EPOCH) - 9)])
    @pytest.mark.parametrize("ended", [NO_HEADERS, None], ids=["answered", "broken off"])
    def test_after_a_guess_one_request_finds_out(
        self, said: RateLimitHeaders, ended: RateLimitHeaders | None
    ) -> None:
        """Where a 429 does not say how long, all others wait for the end of the first after it."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        schedule.on_refusal(0.0, 0.0, said)
        opens_at = schedule.gate.opens_at
        assert schedule.start(opens_at)
        assert not schedule.start(opens_at)
        assert schedule.ready_at(opens_at) == opens_at + 1.0
        schedule.give_back(opens_at)  # it was never sent: the next one finds out
        assert schedule.start(opens_at)
        assert not schedule.start(opens_at)
        schedule.finish(opens_at + 0.1, opens_at, ended)
        assert fill(schedule, opens_at + 0.1, opens_at + 0.1, most=50) == 50

    def test_older_requests_have_no_part_in_what_is_found_out(self) -> None:
        """One that hangs holds nobody up, and a late good answer does not open the gate to all."""
        schedule = schedule_of()
        assert fill(schedule, 0.0, 0.0, most=1) == 1
        for _ in range(3):
            assert schedule.start(0.0)
        schedule.on_refusal(0.1, 0.0, NO_HEADERS)
        schedule.finish(0.2, 0.0, NO_HEADERS)
        assert schedule.start(1.0)  # although the third one is still under way
        assert not schedule.start(1.0)
        schedule.on_refusal(1.1, 1.0, NO_HEADERS)
        assert schedule.gate.opens_at == pytest.approx(1.6)
        schedule.finish(1.7, 0.0, NO_HEADERS)
        assert schedule.start(1.7)
        assert not schedule.start(1.7)
        schedule.finish(1.8, 1.7, None)
        assert fill(schedule, 1.8, 1.8, most=50) == 50

    def test_a_later_answer_that_says_how_long_ends_the_guess(self) -> None:
        """Nobody has to find out any more."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        assert schedule.start(0.0)
        schedule.on_refusal(0.1, 0.0, NO_HEADERS)
        schedule.on_refusal(0.2, 0.0, headers(retry_after=5))
        assert schedule.gate.opens_at == pytest.approx(5.2)
        assert fill(schedule, 5.2, 5.2, most=50) == 50

    def test_after_a_fork_nobody_is_waited_for(self) -> None:
        """The request that was to find out is the parent's."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        schedule.on_refusal(0.0, 0.0, NO_HEADERS)
        assert schedule.start(1.0)
        schedule.end_all(1.1)
        assert schedule.running == 0
        assert fill(schedule, 1.1, 1.1, most=50) == 50

    def test_after_a_pause_that_was_named_all_go_on(self) -> None:
        """A 429 that says how long to wait is believed, also when the one before did not say."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        schedule.on_refusal(0.0, 0.0, NO_HEADERS)
        assert schedule.start(1.0)
        schedule.on_refusal(1.0, 1.0, headers(retry_after=2))
        assert fill(schedule, 3.0, 3.0, most=50) == 50

    def test_refused_again_and_again_waits_longer_each_time(self) -> None:
        """A server that refuses with no pause of its own is asked ever more seldom, not faster."""
        schedule, now, pauses = schedule_of(), 0.0, list[float]()
        for _ in range(10):
            assert schedule.start(now)
            schedule.on_refusal(now, now, headers(retry_after=0))
            pauses.append(schedule.gate.opens_at - now)
            now = schedule.gate.opens_at
        assert pauses == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]

    def test_an_answer_that_is_good_ends_the_escalation(self) -> None:
        """After one good answer the next 429 counts as the first."""
        schedule = schedule_of()
        for _ in range(4):
            assert schedule.start(schedule.gate.opens_at + 1 if schedule.gate.opens_at > 0 else 0.0)
            schedule.on_refusal(100.0, 100.0, headers(retry_after=0))
            schedule.gate.opens_at = 0.0
        assert schedule.start(200.0)
        schedule.finish(200.0, 200.0, NO_HEADERS)
        assert schedule.start(200.0)
        schedule.on_refusal(200.0, 200.0, headers(retry_after=0))
        assert schedule.gate.opens_at == 200.0

    @pytest.mark.parametrize(
        ("sent_at", "ended"), [(0.0, NO_HEADERS), (2.0, None)], ids=["sent before", "broken off"]
    )
    def test_what_tells_nothing_does_not_end_the_escalation(
        self, sent_at: float, ended: RateLimitHeaders | None
    ) -> None:
        """An answer to what was sent before the gate closed, or none at all, is no good one."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        assert schedule.start(1.0)
        schedule.on_refusal(1.0, 1.0, headers(retry_after=0))
        assert schedule.start(2.0)
        schedule.finish(2.0, sent_at, ended)
        assert schedule.start(3.0)
        schedule.on_refusal(3.0, 3.0, headers(retry_after=0))
        assert schedule.gate.opens_at == 3.5

    @pytest.mark.parametrize(("reset_in", "pause"), [(-1, 0.5), (0, 0.5), (0.25, 0.25), (7, 7.0)])
    def test_a_reset_to_come_is_the_pause(self, reset_in: float, pause: float) -> None:
        """Without ``retry-after`` it waits for the reset, and for a moment if that is over."""
        schedule, reset = schedule_of(), int(EPOCH) + 10
        assert schedule.start(0.0)
        schedule.on_refusal(0.0, 0.0, headers(reset - reset_in, reset=reset))
        assert schedule.gate.opens_at == pause

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
            schedule.on_refusal(now, now, headers(**said))
            pauses.append(schedule.gate.opens_at - now)
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
        schedule.on_refusal(30.0, 30.0, headers(reset=int(EPOCH) - 60))
        assert schedule.gate.opens_at == 5.0 + HOUR
        assert schedule.limited_by(30.0, 0) == ("hourly", None)

    def test_the_gate_opens_with_a_small_spread(self) -> None:
        """Waits are longer by up to a twentieth, and by a second at most."""
        short, long = schedule_of((9, 60.0), spread=1.0), schedule_of((9, 60.0), spread=1.0)
        for schedule, pause in ((short, 2), (long, 600)):
            assert schedule.start(0.0)
            schedule.on_refusal(0.0, 0.0, headers(retry_after=pause))
        assert short.gate.opens_at == pytest.approx(2.1)
        assert long.gate.opens_at == 601.0

    def test_without_windows_an_answer_that_leaves_nothing_pauses(self) -> None:
        """With ``rate_limit=None`` it waits for the reset when the last place was used."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        schedule.finish(0.5, 0.0, headers(remaining=0, reset=int(EPOCH) + 7))
        assert not schedule.start(7.4)
        assert schedule.start(schedule.ready_at(1.0))

    def test_without_windows_a_reset_within_the_second_pauses(self) -> None:
        """However soon it is, it is waited for; of which limit it is, the answer does not say."""
        schedule, reset = schedule_of(), int(EPOCH) + 1
        assert schedule.start(0.0)
        schedule.finish(0.5, 0.0, headers(reset - 0.25, remaining=0, reset=reset))
        assert (schedule.ready_at(0.5), schedule.limited_by(0.5, 0)) == (0.75, (None, None))

    @pytest.mark.parametrize("said", [{}, {"reset": int(EPOCH)}, {"reset": int(EPOCH) - 9}])
    def test_without_windows_no_pause_without_a_reset_to_come(
        self, said: Mapping[str, Any]
    ) -> None:
        """An answer that leaves nothing and names no moment closes no gate: a 429 may still."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        assert schedule.start(0.0)
        schedule.finish(0.5, 0.0, headers(remaining=0, **said))
        assert schedule.ready_at(0.5) == 0.5
        schedule.on_refusal(0.5, 0.0, headers(retry_after=1))
        assert schedule.ready_at(0.5) == 1.5

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

    def test_what_others_have_used_up_is_waited_for(self) -> None:
        """Once an answer leaves nothing, nobody tests that until the moment that it names."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        schedule.finish(0.1, 0.0, headers(limit=100, remaining=0, reset=int(EPOCH) + 7))
        assert schedule.ready_at(0.1) == pytest.approx(7.1)
        assert not schedule.start(7.0)
        assert schedule.start(7.1)
        assert schedule.limited_by(1.0, 0) == (None, None)

    @pytest.mark.parametrize(("reset", "ready_at"), [(60, 60.0), (61, 0.0)])
    def test_a_moment_beyond_the_minute_is_found_out_about(
        self, reset: int, ready_at: float
    ) -> None:
        """It may be that of the hour, though the minute's limit is used up: a 429 will tell."""
        schedule = schedule_of((250, 60.0), (5000, HOUR))
        assert schedule.start(0.0)
        schedule.finish(0.0, 0.0, headers(limit=5000, remaining=0, reset=int(EPOCH) + reset))
        assert schedule.ready_at(0.0) == ready_at
        assert schedule.start(ready_at)

    @pytest.mark.parametrize(("reset", "ready_at"), [(3000, 3000.0), (9000, HOUR)])
    def test_without_windows_it_is_waited_for_as_long_as_the_answer_says(
        self, reset: int, ready_at: float
    ) -> None:
        """With ``rate_limit=None`` the client goes by what the API says, up to an hour."""
        schedule = schedule_of()
        assert schedule.start(0.0)
        schedule.finish(0.0, 0.0, headers(limit=5000, remaining=0, reset=int(EPOCH) + reset))
        assert schedule.ready_at(0.0) == ready_at

    def test_the_opening_after_what_others_used_up_has_a_spread(self) -> None:
        """Processes that were told the same moment do not come back in step."""
        schedule = schedule_of((9, 60.0), spread=1.0)
        assert schedule.start(0.0)
        schedule.finish(0.0, 0.0, headers(limit=9, remaining=0, reset=int(EPOCH) + 2))
        assert schedule.ready_at(0.0) == pytest.approx(2.1)

    def test_own_requests_that_expired_meanwhile_are_not_those_of_others(self) -> None:
        """An answer that was long under way may have counted what is over by now."""
        schedule = schedule_of((2, 5.0))
        assert schedule.start(0.0)
        schedule.finish(0.1, 0.0, headers(limit=2, remaining=1))
        assert schedule.start(4.9)
        schedule.finish(5.2, 4.9, headers(limit=2, remaining=0, reset=int(EPOCH) + 9))
        assert schedule.ready_at(5.2) == 5.2

    def test_what_the_client_has_used_up_itself_is_not_waited_for_longer(self) -> None:
        """Where its own count explains that nothing is left, it goes by its own count."""
        schedule = schedule_of((2, 5.0))
        for sent_at in (0.0, 1.0):
            assert schedule.start(sent_at)
        schedule.finish(1.5, 0.0, headers(limit=2, remaining=1, reset=int(EPOCH) + 6))
        schedule.finish(1.5, 1.0, headers(limit=2, remaining=0, reset=int(EPOCH) + 6))
        assert schedule.ready_at(1.5) == 6.5

    def test_what_others_use_fades(self) -> None:
        """Half a window later half of it may be used, after a whole one all of it."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        schedule.finish(0.0, 0.0, headers(limit=100, remaining=39))
        assert fill(schedule, 30.0, 30.0) == 69
        assert [others_at(schedule, when) for when in (59.0, 60.0, 150.0)] == [1, 0, 0]

    def test_a_later_answer_that_shows_fewer_others_is_believed(self) -> None:
        """The places that they do not use any more are free at once, and not one by one."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        schedule.finish(0.1, 0.0, headers(limit=100, remaining=0))
        assert schedule.start(0.2)
        assert not schedule.start(0.2)
        schedule.finish(0.3, 0.2, headers(limit=100, remaining=59))
        assert others_at(schedule, 0.2) == 40
        assert fill(schedule, 0.3, 0.4) == 58

    def test_the_end_of_a_refusal_is_believed(self) -> None:
        """After a 429 of a window that others filled, the first answer tells what they left."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        schedule.on_refusal(0.1, 0.0, headers(limit=100, remaining=0, retry_after=2))
        assert schedule.start(2.1)
        assert not schedule.start(2.1)
        schedule.finish(2.2, 2.1, headers(limit=100, remaining=70))
        assert fill(schedule, 2.2, 2.3) == 70

    def test_an_answer_to_an_earlier_request_tells_nothing_newer(self) -> None:
        """It may have been counted before the others were there."""
        schedule = schedule_of((100, 60.0))
        assert schedule.start(0.0)
        assert schedule.start(0.1)
        schedule.finish(0.2, 0.0, headers(limit=100, remaining=0))
        schedule.finish(0.3, 0.1, headers(limit=100, remaining=59))
        assert others_at(schedule, 0.2) == 98

    def test_own_requests_may_be_those_of_others(self) -> None:
        """Nobody knows which own ones an answer counts: all but itself may be of others."""
        schedule = schedule_of((20, 10.0))
        assert fill(schedule, 0.0, 0.5, most=3) == 3
        assert schedule.start(0.9)
        schedule.finish(1.0, 0.9, headers(limit=20, remaining=0))
        assert others_at(schedule, 0.9) == 16
        assert schedule.start(1.0)
        schedule.finish(1.1, 1.0, headers(limit=20, remaining=10))
        assert others_at(schedule, 1.0) == 9

    @pytest.mark.parametrize("others", [0, 1])
    def test_own_requests_are_not_taken_for_those_of_others(self, others: int) -> None:
        """Neither requests under way, nor answered ones, nor those that have just expired count."""
        schedule = schedule_of((10, 2.0))
        assert fill(schedule, 0.0, 0.1, most=3) == 3
        assert fill(schedule, 0.1, 0.3, most=2) == 2
        assert schedule.start(0.2)
        assert schedule.start(0.2)
        assert schedule.ready_at(2.1) == 2.1  # the first three have expired
        schedule.finish(2.2, 0.2, headers(limit=10, remaining=3 - others))
        assert others_at(schedule, 0.2) == others

    def test_own_requests_that_expired_before_an_answer_was_asked_for_are_not_in_it(self) -> None:
        """What had expired when a request was sent is no part of what its answer counts."""
        schedule = schedule_of((10, 2.0))
        assert fill(schedule, 0.0, 0.5, most=6) == 6
        assert schedule.start(2.5)
        schedule.finish(2.5, 2.5, headers(limit=10, remaining=3))
        assert others_at(schedule, 2.5) == 6

    def test_no_fading_makes_room_in_a_window_that_the_own_requests_fill(self) -> None:
        """Then the first of them has to expire, however few the others are by then."""
        schedule = schedule_of((3, 60.0))
        assert schedule.start(0.0)
        schedule.finish(40.0, 0.0, headers(limit=3, remaining=0))
        assert schedule.start(41.0)
        schedule.finish(41.0, 41.0, NO_HEADERS)
        assert schedule.start(42.0)
        assert schedule.ready_at(42.0) == 100.0

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
        schedule.on_refusal(0.3, 0.2, headers(limit=100, remaining=0, retry_after=2))
        assert fill(schedule, 2.3, 2.4) == 25

    @pytest.mark.parametrize(("retry_after", "others"), [(2, [9, 0]), (None, [0, 99])])
    def test_a_refusal_is_about_one_window(
        self, retry_after: int | None, others: list[int]
    ) -> None:
        """``retry-after`` tells that it is the short one; the other has room as before."""
        schedule = schedule_of((10, 2.0), (100, 60.0))
        assert fill(schedule, 0.0, 0.0, most=1) == 1
        assert schedule.start(0.0)
        asked = {"reset": int(EPOCH) + 2} if retry_after is None else {"retry_after": retry_after}
        schedule.on_refusal(0.0, 0.0, headers(**asked))
        assert [window.status(2.0, 0).used_by_others for window in schedule.windows] == others

    def test_a_refusal_that_is_not_of_the_limit_tells_of_nobody(self) -> None:
        """A 429 without any of the limit's headers closes the gate, and no window fills up."""
        schedule = schedule_of((10, 2.0), (100, 60.0))
        assert schedule.start(0.0)
        schedule.on_refusal(0.0, 0.0, NO_HEADERS)
        assert not schedule.start(0.4)
        assert schedule.start(0.5)
        schedule.finish(0.5, 0.5, NO_HEADERS)
        assert fill(schedule, 0.5, 0.5) == 9

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
