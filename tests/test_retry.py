"""Whether a failed try is repeated, and after how long."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradient_async import errors
from gradient_async._http import RateLimitHeaders, Response, status_error
from gradient_async._retry import LONGEST_RETRY_AFTER, backoff, is_transient, retry_delay

fractions = st.floats(0, 1)
LOST = errors.APIConnectionError("reset")


def answered(status: int) -> errors.APIStatusError:
    """Give the error of a status."""
    return status_error(Response("GET", "https://a.test", status, {}, b""), RateLimitHeaders({}, 0))


def delay(error: errors.APIError = LOST, **about: Any) -> float | None:
    """Decide about the first try of three, without jitter, unless told otherwise."""
    usual: dict[str, Any] = {"attempt": 1, "max_retries": 2, "jitter": 0.0}
    return retry_delay(error, **{**usual, **about})


def test_pauses_double_up_to_a_bound() -> None:
    """Half a second, one, two, four, eight, and eight for good."""
    pauses = [backoff(attempt, 0.0) for attempt in (1, 2, 3, 4, 5, 6, 1000)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@given(st.integers(1, 10_000), fractions)
def test_jitter_shortens_by_up_to_a_quarter(attempt: int, jitter: float) -> None:
    """The pause lies between three quarters of the full one and the full one."""
    full = backoff(attempt, 0.0)
    assert full * 0.75 <= backoff(attempt, jitter) <= full <= 8.0


def test_bounds_can_be_given() -> None:
    """The longest pause is the caller's to choose."""
    assert [backoff(n, 0.0, longest=1.5) for n in (1, 2, 3)] == [0.5, 1.0, 1.5]


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (LOST, True),
        (errors.APITimeoutError("slow"), True),
        *((answered(status), True) for status in (408, 409, 500, 502, 503, 504)),
        *((answered(status), False) for status in (302, 400, 401, 403, 404, 410, 422, 429)),
        (errors.APIResponseValidationError("odd", response=None), False),
        (errors.APIError("any"), False),
    ],
    ids=repr,
)
def test_what_may_fare_better(error: errors.APIError, transient: bool) -> None:
    """No answer, 408, 409 and 5xx are worth another try; the rest comes out the same."""
    assert is_transient(error) is transient
    assert (delay(error) is not None) is transient


@pytest.mark.parametrize(
    ("attempt", "max_retries", "repeated"),
    [(1, 0, False), (1, 1, True), (2, 1, False), (2, 2, True), (3, 2, False)],
)
def test_retries_are_counted(attempt: int, max_retries: int, repeated: bool) -> None:
    """The first try is none; zero retries means one try."""
    assert (delay(attempt=attempt, max_retries=max_retries) is not None) is repeated


def test_pause_grows_with_the_attempt() -> None:
    """Without a word of the server, the pause is the doubled one."""
    assert [delay(attempt=n, max_retries=9) for n in (1, 2, 3)] == [0.5, 1.0, 2.0]
    assert delay(jitter=1.0) == 0.375


@given(st.floats(0, LONGEST_RETRY_AFTER), fractions)
def test_server_decides_the_pause(seconds: float, jitter: float) -> None:
    """What the server asks for is waited for, exactly."""
    assert delay(answered(503), retry_after=LONGEST_RETRY_AFTER) == LONGEST_RETRY_AFTER
    assert delay(answered(503), retry_after=seconds, jitter=jitter) == seconds


@given(st.floats(LONGEST_RETRY_AFTER, allow_nan=False, exclude_min=True))
def test_too_long_a_pause_is_no_retry(seconds: float) -> None:
    """The caller is told at once when the server wants more patience than a minute."""
    assert delay(answered(503), retry_after=seconds) is None


def test_server_cannot_ask_for_more_tries() -> None:
    """``retry-after`` makes neither a 404 transient nor the retries more."""
    assert delay(answered(404), retry_after=0.0) is None
    assert delay(answered(503), retry_after=0.0, attempt=3) is None
