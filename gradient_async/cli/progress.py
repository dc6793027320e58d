"""The progress bar on stderr: how much is done, how fast, how long still, and why it pauses."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from .terminal import is_terminal
from .text import count_of, short_duration

if TYPE_CHECKING:
    from .._rate_limit import RateLimitStatus

__all__ = ["Tally", "progress_bar", "seconds_left", "state_of"]


@attrs.define
class Tally:
    """How far a run is.

    Attributes:
        done: How many Droplets are answered, those that failed included.
        failed: How many failed.
        expected: Tells how many Droplets there are, ``None`` as long as that is not known.
        listing: Whether listings are being read, of which no Droplet is answered yet.
    """

    done: int = 0
    failed: int = 0
    expected: Callable[[], int | None] = lambda: None
    listing: bool = False

    @property
    def total(self) -> int | None:
        """How many Droplets there are, ``None`` as long as that is not known."""
        return self.expected()

    @property
    def left(self) -> int:
        """How many Droplets there still are, 0 if that is not known."""
        return max(0, (self.total or 0) - self.done)

    def count(self, *, failed: bool) -> None:
        """Count one more Droplet."""
        self.listing = False
        self.done += 1
        self.failed += failed


def seconds_left(
    left: int, per_second: float, status: RateLimitStatus, now: datetime
) -> float | None:
    """Estimate how long the rest takes: at the pace so far, and as the rate limit allows.

    Args:
        left: How many requests there are to make.
        per_second: How many were answered per second so far.
        status: The client's look at the limit.
        now: The time, as the ``paused_until`` of the status is to be compared with it.

    Returns:
        Seconds, or ``None`` when there is nothing to go by.
    """
    paced = left / per_second if per_second > 0 else None
    pause = 0.0
    if status.paused_until is not None:
        pause = max(0.0, (status.paused_until - now).total_seconds())
    limited = pause
    for window in status.windows:
        over = window.used + window.used_by_others + left - window.limit
        if over > 0:
            rounds = math.ceil(over / window.limit)
            limited = max(limited, (pause or window.seconds) + (rounds - 1) * window.seconds)
    if paced is None:
        return limited or None
    return max(paced, limited)


def state_of(tally: Tally, elapsed: float, status: RateLimitStatus, now: datetime) -> list[str]:
    """Return what stands beside the bar, the most important first.

    Args:
        tally: How far the run is.
        elapsed: Seconds since its start.
        status: The client's look at the limit.
        now: The time.
    """
    per_second = tally.done / elapsed if elapsed > 0 else 0.0
    parts = [_reading(status)] if tally.listing else [_done(tally)]
    if tally.failed:
        parts.append(f"{tally.failed:,} failed")
    if status.paused_until is not None and status.waiting:
        parts.append(f"rate limit: waits until {status.paused_until.astimezone():%H:%M:%S}")
    if per_second:
        parts.append(f"{per_second:,.0f}/s" if per_second >= 10 else f"{per_second:.1f}/s")
    seconds = seconds_left(tally.left, per_second, status, now) if tally.done else None
    if tally.left and seconds is not None:
        parts.append(f"{short_duration(timedelta(seconds=math.ceil(seconds)))} left")
    return parts


def _done(tally: Tally) -> str:
    return f"{tally.done:,}" if tally.total is None else f"{tally.done:,}/{tally.total:,}"


def _reading(status: RateLimitStatus) -> str:
    """Count requests: how many Droplets a listing has answered is known when it was read."""
    requests = max((window.used for window in status.windows), default=0)
    return f"reading listings: {count_of(requests, 'request')}" if requests else "reading listings"


@contextmanager
def progress_bar(
    title: str, tally: Tally, status: Callable[[], RateLimitStatus], *, wanted: bool
) -> Iterator[None]:
    """Show a bar while the block runs, if stderr is a terminal that can.

    Args:
        title: What is being done.
        tally: Is looked at ten times a second.
        status: Gives the client's look at the rate limit.
        wanted: Whether there may be a bar at all.
    """
    if not wanted or not is_terminal(sys.stderr):
        yield
        return
    from .bar import make_bar

    bar = make_bar(title, tally, lambda elapsed: state_of(tally, elapsed, status(), _now()))
    with bar:
        yield


def _now() -> datetime:
    return datetime.now(UTC)
