"""Moments and durations: in UTC, for people and for machines. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["EARLIEST", "LATEST", "format_duration", "in_utc", "iso_time", "whole_seconds"]

EARLIEST: Final = datetime.min.replace(tzinfo=UTC)
LATEST: Final = datetime.max.replace(tzinfo=UTC)


def in_utc(moment: datetime) -> datetime:
    """Convert to UTC: between two times of one zone Python subtracts what the clocks show.

    The first and last hours of the calendar may have no time in UTC; they give its nearest end.

    Raises:
        ValueError: The moment has no time zone.
    """
    if moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone: use datetime.now(UTC), for example")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        return EARLIEST if moment.year == 1 else LATEST


def iso_time(moment: datetime | None) -> str | None:
    """Write a moment for machines: ISO 8601 in UTC with a ``Z``."""
    return None if moment is None else in_utc(moment).isoformat().replace("+00:00", "Z")


def whole_seconds(duration: timedelta | None) -> int | None:
    """Write a duration for machines."""
    return None if duration is None else duration // timedelta(seconds=1)


def format_duration(duration: timedelta) -> str:
    """Write a duration for people, rounded down to its two largest units.

    Example:
        >>> format_duration(timedelta(days=10, hours=3, minutes=59))
        '10 d 3 h'
        >>> format_duration(timedelta(hours=7))
        '7 h'
    """
    minutes = max(0, duration // timedelta(minutes=1))
    days, rest = divmod(minutes, 24 * 60)
    parts = [(days, "d"), (rest // 60, "h"), (rest % 60, "min")]
    while len(parts) > 1 and not parts[0][0]:
        del parts[0]
    first, *others = (f"{number} {unit}" for number, unit in parts[:2] if number or len(parts) == 1)
    return " ".join([first, *others])
