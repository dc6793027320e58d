"""What the tests of the rate limit, the schedule and the queue share."""

from __future__ import annotations

from hypothesis import strategies as st
from virtual_time import EPOCH

from gradient_async import RateLimit
from gradient_async._http import RateLimitHeaders

HOUR = 3600.0

windows = st.tuples(st.integers(1, 12), st.sampled_from([0.5, 1.0, 2.0, 7.0, 60.0]))
rate_limits = st.lists(windows, min_size=1, max_size=2).map(tuple).map(RateLimit)


def headers(now: float = EPOCH, **values: object) -> RateLimitHeaders:
    """The headers of an answer: `limit`, `remaining`, `reset`, `retry_after`."""
    names = {"retry_after": "retry-after"}
    named = {names.get(key, f"ratelimit-{key}"): str(value) for key, value in values.items()}
    return RateLimitHeaders(named, now)
