"""Any headers and any body: an error of our tree, bounded waits, and no other exception.

``python -m fuzz.headers -max_total_time=60`` takes libFuzzer's arguments.
"""

from __future__ import annotations

import math
import pickle
import sys
from importlib import import_module
from typing import Any

atheris: Any = import_module("atheris")  # it has no types

with atheris.instrument_imports(include=["gradient_async", "email"]):
    from gradient_async import errors
    from gradient_async._gate import LONGEST_SPREAD
    from gradient_async._http import (
        RateLimitHeaders,
        Response,
        origin,
        redirect_target,
        status_error,
    )
    from gradient_async._rate_limit import RateLimit
    from gradient_async._retry import retry_delay
    from gradient_async._schedule import LONGEST_PAUSE, Schedule

URL = "https://api.example.test/v2/droplets/1/backups?page=2"
NAMES = (
    "ratelimit-limit",
    "ratelimit-remaining",
    "ratelimit-reset",
    "retry-after",
    "date",
    "location",
    "x-request-id",
)
SEEDS = [
    "",
    "29",
    "0.5",
    "-1",
    "1e400",
    "nan",
    "1_000",
    "9" * 18,
    "1790000000",
    "Wed, 21 Oct 2026 07:28:00 GMT",
    "Wed, 21 Oct 9999 99:28:00 -9999",
    "21 Oct 26",
    "/v2/droplets/1/backups?page=3",
    "https://api.example.test:443/v2",
    "https://user@api.example.test/",
    "//[::1",
]


def check(data: bytes) -> None:
    """Read one input: a status, a line for each header, and the rest as the body."""
    provider = atheris.FuzzedDataProvider(data)
    status = provider.ConsumeIntInRange(100, 999)
    values = [_value(provider) for _ in NAMES]
    given = {name: value for name, value in zip(NAMES, values, strict=True) if value}
    content = provider.ConsumeBytes(provider.remaining_bytes())
    response = Response("GET", URL, status, given, content)
    limits = RateLimitHeaders(given, 1_790_000_000.0)
    _check_limits(limits)
    _check_redirect(response)
    if status >= 300:
        _check_error(response, limits)


def _value(provider: Any) -> str:
    """Draw the value of a header: a likely one, with any text in place of some of it."""
    seed: str = provider.PickValueInList(SEEDS)
    start = provider.ConsumeIntInRange(0, len(seed))
    end = provider.ConsumeIntInRange(start, len(seed))
    text: str = provider.ConsumeUnicode(provider.ConsumeIntInRange(0, 8))
    return seed[:start] + text + seed[end:]


def _check_limits(limits: RateLimitHeaders) -> None:
    """Every number can be used, and no answer closes the gate for longer than it may."""
    for seconds in (limits.retry_after, limits.reset_in):
        assert seconds is None or math.isfinite(seconds)
    assert limits.retry_after is None or limits.retry_after >= 0
    for windows in (RateLimit(), None):
        schedule = Schedule(windows, random=lambda: 1.0)
        for ending in (schedule.on_refusal, schedule.finish):
            assert schedule.start(10_000.0) or schedule.gate.opens_at > 10_000.0
            if schedule.running:
                ending(10_001.0, 10_000.0, limits)
        assert schedule.gate.opens_at <= 10_001.0 + LONGEST_PAUSE + LONGEST_SPREAD
        schedule.ready_at(10_002.0)


def _check_redirect(response: Response) -> None:
    target = redirect_target(URL, response)
    assert target is None or origin(target) == origin(URL)


def _check_error(response: Response, limits: RateLimitHeaders) -> None:
    error = status_error(response, limits, 1)
    assert isinstance(error, errors.APIStatusError)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    delay = retry_delay(error, attempt=1, max_retries=2, jitter=0.5, retry_after=limits.retry_after)
    assert delay is None or 0 <= delay <= 60


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
