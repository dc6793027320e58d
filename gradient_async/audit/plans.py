"""What a plan promises: how often it makes a backup, how late, and how many it keeps. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from ..types import DropletBackupPolicy

__all__ = [
    "CENTURY",
    "DEFAULT_GRACE",
    "DEFAULT_WINDOW",
    "fewest_promised",
    "plan_interval",
    "retention",
    "window_length",
]

DEFAULT_GRACE: Final = timedelta(hours=2)
"""How much later than its window a backup may appear, and how far two clocks may differ."""

DEFAULT_WINDOW: Final = timedelta(hours=4)
"""The length of a backup window where the policy names none. Every documented plan has it."""

CENTURY: Final = timedelta(days=36_525)
"""No duration is longer, so that none leads out of the calendar."""

_INTRA_DAILY: Final = re.compile(r"intra_daily_([1-9]|1[0-9]|2[0-3])h", re.ASCII)


def plan_interval(plan: str | None) -> timedelta | None:
    """Return the time between two backups of a plan, ``None`` where its name does not tell.

    Args:
        plan: ``"daily"``, ``"weekly"``, or ``"intra_daily_<n>h"`` with 1 to 23 hours. Any other
            plan gives ``None``, never a guess.

    Example:
        >>> plan_interval("intra_daily_4h")
        datetime.timedelta(seconds=14400)
        >>> plan_interval("monthly") is None
        True
    """
    if plan == "daily":
        return timedelta(days=1)
    if plan == "weekly":
        return timedelta(weeks=1)
    hours = _INTRA_DAILY.fullmatch(plan or "")
    return timedelta(hours=int(hours[1])) if hours else None


def window_length(backup_policy: DropletBackupPolicy) -> timedelta:
    """Return the length of the window in which a backup is made."""
    length = _bounded(backup_policy.window_length_hours, timedelta(hours=1))
    return DEFAULT_WINDOW if length is None else length


def retention(backup_policy: DropletBackupPolicy) -> timedelta | None:
    """Return how long a backup is kept, ``None`` where the policy does not tell."""
    return _bounded(backup_policy.retention_period_days, timedelta(days=1))


def fewest_promised(
    backup_policy: DropletBackupPolicy,
    kept: Sequence[datetime],
    now: datetime,
    grace: timedelta,
    *,
    has_older: bool,
) -> int | None:
    """Return the fewest backups within the retention that a policy promises.

    Args:
        backup_policy: The policy.
        kept: When the backups within the retention were made, oldest first, in UTC.
        now: The moment to count at, in UTC.
        grace: How much later than its window a backup may appear.
        has_older: Whether there are backups that are older than the retention.

    Returns:
        The number, as `audit_droplet` describes it. ``None`` where the interval or the retention is
        not known, or there is no backup at all to count from.
    """
    interval, kept_for = plan_interval(backup_policy.plan), retention(backup_policy)
    if interval is None or kept_for is None or not (kept or has_older):
        return None
    late = window_length(backup_policy) + grace
    counts = [0]
    if kept:
        newest = min(kept[-1], now)
        counts.append(_ceil(now - kept[0] - late, interval))
        counts.append(1 + _ceil(newest - kept[0] - late, interval))
    if has_older:
        counts.append(_ceil(kept_for - late - grace, interval) - 1)
    return max(counts)


def _ceil(duration: timedelta, interval: timedelta) -> int:
    return -(-duration // interval)


def _bounded(number: int | None, unit: timedelta) -> timedelta | None:
    """Return so many days or hours; within a century, whatever the API sends."""
    return None if number is None else unit * min(max(number, 0), CENTURY // unit)
