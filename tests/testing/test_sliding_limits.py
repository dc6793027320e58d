"""The limits, with a clock that is passed in."""

from __future__ import annotations

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_async.testing import SlidingLimits

WINDOWS = st.lists(
    st.tuples(st.integers(1, 8), st.integers(1, 40).map(float)),
    min_size=1,
    max_size=3,
    unique_by=lambda window: window[1],
)
STEPS = st.lists(st.integers(0, 30).map(lambda eighths: eighths / 8), max_size=80)


def at(steps: list[float]) -> list[float]:
    """The moments that lie these steps apart."""
    moments: list[float] = []
    now = 1000.0
    for step in steps:
        now += step
        moments.append(now)
    return moments


@given(WINDOWS, STEPS)
def test_no_window_ever_holds_more_than_its_limit(
    windows: list[tuple[int, float]], steps: list[float]
) -> None:
    """In every stretch of a window's length at most its limit of requests is let through."""
    limits = SlidingLimits(windows)
    allowed = [now for now in at(steps) if limits.take(now).allowed]
    for limit, seconds in windows:
        for now in allowed:
            assert sum(now - seconds < then <= now for then in allowed) <= limit


@given(WINDOWS, STEPS)
def test_a_request_is_rejected_only_when_a_window_is_full(
    windows: list[tuple[int, float]], steps: list[float]
) -> None:
    """A rejection has a reason: one of the windows holds as many as its limit."""
    limits = SlidingLimits(windows)
    allowed: list[float] = []
    for now in at(steps):
        if limits.take(now).allowed:
            allowed.append(now)
        else:
            assert any(
                sum(now - seconds < then for then in allowed) == limit for limit, seconds in windows
            )


@given(WINDOWS, STEPS)
def test_waiting_for_retry_after_is_enough(
    windows: list[tuple[int, float]], steps: list[float]
) -> None:
    """A request made the named whole seconds after a rejection is let through."""
    limits = SlidingLimits(windows)
    for now in at(steps):
        wait = limits.take(now).retry_after
        if wait is not None:
            assert wait >= 1
            assert copy.deepcopy(limits).take(now + wait).allowed


@given(WINDOWS, STEPS)
def test_headers_describe_the_longest_window(
    windows: list[tuple[int, float]], steps: list[float]
) -> None:
    """Limit, remaining and reset are those of the longest window; a rejection leaves nothing."""
    limits = SlidingLimits(windows)
    allowed: list[float] = []
    seconds = max(seconds for _, seconds in windows)
    limit = max(windows, key=lambda window: window[1])[0]
    for now in at(steps):
        verdict = limits.take(now)
        allowed += [now] if verdict.allowed else []
        counted = [then for then in allowed if then + seconds > now]
        assert verdict.reset_at == (counted[0] + seconds if counted else now)
        assert verdict.limit == limit
        assert verdict.remaining == (limit - len(counted) if verdict.allowed else 0)


def test_the_minute_names_a_time_and_the_hour_does_not() -> None:
    """Of two windows the short one answers with seconds, rounded up, the long one without."""
    limits = SlidingLimits([(5, 3600.0), (2, 60.0)])
    assert [limits.take(now).allowed for now in (0.0, 0.5)] == [True, True]
    assert limits.take(30.2).retry_after == math.ceil(60 - 30.2)
    assert [limits.take(now).allowed for now in (70.0, 71.0, 140.0)] == [True, True, True]
    verdict = limits.take(141.0)
    assert not verdict.allowed
    assert verdict.retry_after is None
    assert verdict.reset_at == 3600.0


@pytest.mark.parametrize(("hour_style", "seconds"), [(False, 60), (True, None)])
def test_a_single_window_can_be_of_either_style(hour_style: bool, seconds: int | None) -> None:
    """A single window names the seconds, unless it is to stand for the hour."""
    limits = SlidingLimits([(1, 60.0)], hour_style=hour_style)
    limits.take(0.0)
    assert limits.take(0.0).retry_after == seconds


def test_rejected_requests_can_count() -> None:
    """With ``count_rejected`` a request that comes too early puts off the next one."""
    for counted, later in ((False, True), (True, False)):
        limits = SlidingLimits([(1, 10.0)], count_rejected=counted)
        assert limits.take(0.0).allowed
        assert not limits.take(9.0).allowed
        assert limits.take(11.0).allowed is later


def test_peeking_counts_nothing() -> None:
    """The state can be looked at without using any of it up."""
    limits = SlidingLimits([(1, 10.0)])
    assert [limits.peek(5.0).remaining, limits.peek(5.0).remaining] == [1, 1]
    assert limits.peek(5.0).reset_at == 5.0
    assert limits.take(5.0).allowed


@pytest.mark.parametrize("windows", [[], [(0, 60.0)], [(1, 0.0)]])
def test_windows_that_make_no_sense_are_refused(windows: list[tuple[int, float]]) -> None:
    """No window, a window without room and one without length are a ValueError."""
    with pytest.raises(ValueError, match=r"window|limit|seconds"):
        SlidingLimits(windows)
