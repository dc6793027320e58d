"""Whether a failed try is repeated, and after how long. Pure: the jitter is passed in."""

from __future__ import annotations

from typing import Final

from . import errors

__all__ = ["backoff", "retry_delay"]

FIRST_DELAY: Final = 0.5
LONGEST_DELAY: Final = 8.0
LONGEST_RETRY_AFTER: Final = 60.0
"""A failing server that wants a longer pause than this gets no second try: the caller is told."""

_TRANSIENT_STATUSES: Final = frozenset({408, 409})


def backoff(attempt: int, jitter: float, *, longest: float = LONGEST_DELAY) -> float:
    """Return the pause after the try number ``attempt``, in seconds: doubled each time, to a bound.

    Args:
        attempt: The number of tries made, from 1.
        jitter: A number from 0 to 1 that shortens the pause by up to a quarter, so that clients
            which failed together do not come back together.
        longest: The bound.

    Example:
        >>> [backoff(attempt, jitter=0.0) for attempt in (1, 2, 3, 9)]
        [0.5, 1.0, 2.0, 8.0]
    """
    return min(FIRST_DELAY * 2.0 ** min(attempt - 1, 30), longest) * (1 - jitter / 4)


def retry_delay(
    error: errors.APIError,
    *,
    attempt: int,
    max_retries: int,
    jitter: float,
    retry_after: float | None = None,
) -> float | None:
    """Return the seconds to wait before the next try, or ``None`` when there should be none.

    An answer 429 is not decided here: the client waits for the rate limit, see `_pacing`.

    Args:
        error: What the try ended in.
        attempt: The number of tries made, this one included.
        max_retries: How many tries may follow the first.
        jitter: See `backoff`.
        retry_after: The seconds that the answer asks to wait, if it does.
    """
    if attempt > max_retries or not is_transient(error):
        return None
    if retry_after is None:
        return backoff(attempt, jitter)
    return retry_after if retry_after <= LONGEST_RETRY_AFTER else None


def is_transient(error: errors.APIError) -> bool:
    """Tell whether the same request may fare better: no answer, 408, 409, 500 and above."""
    if isinstance(error, errors.APIStatusError):
        return error.status_code in _TRANSIENT_STATUSES or error.status_code >= 500
    return isinstance(error, errors.APIConnectionError)
