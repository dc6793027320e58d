"""What a rate limit is made of, and how long it makes a run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pacing_helpers import rate_limits
from virtual_time import FakeClient, World

from gradient_async import RateLimit
from gradient_async._rate_limit import ideal_seconds
from gradient_async._schedule import Schedule


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
def test_invalid_windows(windows: Any, error: type[Exception]) -> None:
    """Windows other than a whole number of requests in a finite number of seconds are refused."""
    with pytest.raises(error, match=r"^windows must be pairs of"):
        RateLimit(windows)


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


def test_ideal_seconds_of_any_number() -> None:
    """A number that a server makes up takes no longer to work out than another."""
    assert ideal_seconds(10**18 + 1, RateLimit()) == 10**18 / 5000 * 3600
    assert ideal_seconds(10**18, None) == 0.0
    assert ideal_seconds(10**400, RateLimit()) == pytest.approx(2**63 / 5000 * 3600)
