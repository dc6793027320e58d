"""Values as a person reads them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from .._text import clean

__all__ = ["count_of", "day_and_time", "droplet", "gigabytes", "named", "short_duration"]

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def day_and_time(moment: datetime) -> str:
    """Return a time in UTC, to the minute."""
    from ..audit.times import in_utc  # most commands show no time

    return f"{in_utc(moment):%Y-%m-%d %H:%M}"


def short_duration(span: timedelta) -> str:
    """Return a time span in the largest unit of which it has at least two, rounded down.

    Example:
        >>> short_duration(timedelta(hours=50)), short_duration(timedelta(hours=30))
        ('2 d', '30 h')
    """
    seconds = abs(span) // timedelta(seconds=1)
    sign = "-" if seconds and span < timedelta() else ""
    length, unit = next(found for found in _UNITS if seconds >= 2 * found[0] or found[0] == 1)
    return f"{sign}{seconds // length} {unit}"


def gigabytes(size: float) -> str:
    """Return a size in GB or, from 10,000 GB on, in TB.

    Example:
        >>> gigabytes(33.333), gigabytes(123_456.0)
        ('33.3 GB', '123.5 TB')
    """
    return f"{size / 1000:,.1f} TB" if size >= 10_000 else f"{size:,.1f} GB"


def count_of(number: int, what: str) -> str:
    """Return a number with its noun.

    Example:
        >>> count_of(1, "Droplet"), count_of(4312, "backup")
        ('1 Droplet', '4,312 backups')
    """
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"


def droplet(droplet_id: int, name: str | None) -> str:
    """Name a Droplet.

    Example:
        >>> droplet(3164444, "gpu-train-00"), droplet(3164444, None)
        ('Droplet 3164444 (gpu-train-00)', 'Droplet 3164444')
    """
    return f"Droplet {droplet_id}" if name is None else f"Droplet {droplet_id} ({clean(name)})"


def named(ids: Iterable[int], most: int | None = None) -> str:
    """List Droplet IDs.

    Args:
        ids: The IDs.
        most: How many are named before the rest is only counted; ``None`` for all.

    Example:
        >>> named([1, 2, 3, 4], most=2)
        '1, 2 and 2 more'
    """
    every: Sequence[int] = list(ids)
    shown = ", ".join(map(str, every[:most]))
    rest = len(every) - len(every[:most])
    return f"{shown} and {rest:,} more" if rest else shown
