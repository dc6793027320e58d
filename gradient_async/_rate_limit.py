"""What a token's rate limit is, and how full it is: values, checked as they are made."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from math import isfinite
from typing import Final, TypeAlias

import attrs

from ._checks import SafeRepr, checked_count, checked_seconds

__all__ = ["DEFAULT_RATE_LIMIT", "RateLimit", "RateLimitStatus", "WindowStatus", "ideal_seconds"]

Windows: TypeAlias = tuple[tuple[int, float], ...]


def _as_windows(windows: Iterable[tuple[int, float]]) -> Windows:
    try:
        checked = tuple(_window(limit, span) for limit, span in windows)
        if not checked:
            raise ValueError
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            "windows must be pairs of a whole number of requests >= 1 and a finite number of "
            f"seconds > 0, got {windows!r}"
        ) from None
    return checked


def _window(limit: int, span: float) -> tuple[int, float]:
    seconds = checked_seconds("span", span)
    if not seconds or not isfinite(seconds):
        raise ValueError
    return checked_count("limit", limit, most=sys.maxsize), seconds


@attrs.frozen(repr=False)
class RateLimit(SafeRepr):
    """The limits that the API puts on a token.

    Attributes:
        windows: Pairs of a number of requests and of seconds: each request counts for so many
            seconds after it was made. The default is what DigitalOcean documents.

    Raises:
        TypeError: ``windows`` cannot be iterated over, a limit is no ``int``, or a span no number.
        ValueError: There is no window, one is no pair, or a number is out of its range.

    Example:
        >>> RateLimit().windows
        ((250, 60.0), (5000, 3600.0))
    """

    windows: Windows = attrs.field(default=((250, 60.0), (5000, 3600.0)), converter=_as_windows)


DEFAULT_RATE_LIMIT: Final = RateLimit()


def ideal_seconds(requests: int, rate_limit: RateLimit | None) -> float:
    """Return the seconds until the last of so many requests can be sent, from fresh windows.

    Example:
        >>> ideal_seconds(1000, RateLimit())
        180.0
        >>> ideal_seconds(5001, RateLimit())
        3600.0
    """
    if rate_limit is None or requests < 1:
        return 0.0
    windows = sorted(set(rate_limit.windows), key=lambda window: window[1] / window[0])
    return _longest_wait(min(requests, sys.maxsize) - 1, windows)  # as floats have an end


def _longest_wait(before: int, windows: list[tuple[int, float]]) -> float:
    """Return the longest row of spans that so many earlier requests fill, one limit for each span.

    Args:
        before: The number of the earlier requests.
        windows: The slowest one last: as many spans of another one as it has requests are never
            longer than spans of its own, so that fewer of them have to be tried.
    """
    (limit, span), *slower = windows
    if not slower:
        return before // limit * span
    most = min(before // limit, slower[-1][0] - 1)
    return max(
        count * span + _longest_wait(before - count * limit, slower) for count in range(most + 1)
    )


@attrs.frozen
class WindowStatus:
    """How full one window is.

    Attributes:
        limit: The requests that it allows.
        seconds: How long each of them counts.
        used: This client's requests in it, those under way included.
        used_by_others: What the answers tell of other users of the token.
    """

    limit: int
    seconds: float
    used: int
    used_by_others: int


@attrs.frozen
class RateLimitStatus:
    """A look at the rate limit of a client's token, for progress displays.

    Attributes:
        limit: The limit that the newest answer named, or ``None`` before the first answer.
        remaining: The requests that the newest answer said were left.
        reset_at: When the oldest counted request expires, as the newest answer said.
        windows: The client's own windows; empty with ``rate_limit=None``.
        paused_until: When waiting requests may go on, or ``None`` when none has to wait.
        waiting: The number of requests that wait for the limit.
    """

    limit: int | None
    remaining: int | None
    reset_at: datetime | None
    windows: tuple[WindowStatus, ...]
    paused_until: datetime | None
    waiting: int
