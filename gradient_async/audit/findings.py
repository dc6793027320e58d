"""What an audit finds: about one Droplet, about a whole fleet, and as rows for machines. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta
from enum import StrEnum
from math import floor, fsum
from sys import float_info
from typing import Any

import attrs

from ..errors import GradientError
from ..types import DropletNextBackupWindow
from .plans import DEFAULT_GRACE
from .times import iso_time, whole_seconds

__all__ = ["DropletAudit", "Finding", "FleetAudit"]


class Finding(StrEnum):
    """What an audit finds about a Droplet, the more urgent the later."""

    OK = "ok"
    """The newest backup is recent enough, and none is missing."""
    DISABLED = "disabled"
    """Backups are disabled, which somebody decided. There may be old ones."""
    UNKNOWN_PLAN = "unknown_plan"
    """There are backups; how often is not known of the plan, so the Droplet is not judged."""
    SHORT = "short"
    """The newest backup is recent enough; of those before it there are fewer than promised."""
    OVERDUE = "overdue"
    """The newest backup is older than the policy allows."""
    NEVER = "never"
    """Backups are enabled, and there is none."""
    ERROR = "error"
    """The policy or the backups of the Droplet could not be had."""

    @property
    def severity(self) -> int:
        """0 for ``ok``, and higher for what is more urgent."""
        return list(Finding).index(self)


@attrs.frozen(kw_only=True)
class DropletAudit:
    """What was found about one Droplet. All times are in UTC.

    Attributes:
        droplet_id: The Droplet.
        droplet_name: Its name, ``None`` where it is not known: a run over the whole account knows
            it, one over given IDs does not.
        finding: What was found.
        reason: The finding in one sentence, for people.
        plan: The plan of its policy, ``None`` without one.
        interval: The time between two backups of the plan, ``None`` where it is not known.
        allowed_age: The age of the newest backup from which on it is overdue, ``None`` where that
            is not known.
        retention_period_days: How many days a backup is kept, ``None`` where the policy names none.
        kept: How many backups are within the retention, ``None`` where the policy names none.
        promised: The fewest backups within the retention that the policy promises for the history
            of the Droplet; ``None`` where that cannot be told.
        next_window: When the next backup will be made, if the API names it.
        backup_times: When each backup was made, oldest first; those in the future are among them.
        newest: The newest backup that is not in the future, ``None`` without one.
        oldest: The oldest backup that is not in the future, ``None`` without one.
        newest_name: The name of the newest backup.
        age: The age of the newest backup, ``None`` without one; never negative.
        in_future: How many backups are dated later than now and the grace. A clock is wrong. They
            protect nobody: neither ``newest`` nor ``age`` regard them.
        total_gigabytes: The size of all backups in GB.
        error: Why the backups could not be had.
    """

    droplet_id: int
    droplet_name: str | None = None
    finding: Finding
    reason: str
    plan: str | None = None
    interval: timedelta | None = None
    allowed_age: timedelta | None = None
    retention_period_days: int | None = None
    kept: int | None = None
    promised: int | None = None
    next_window: DropletNextBackupWindow | None = None
    backup_times: tuple[datetime, ...] = ()
    newest: datetime | None = None
    oldest: datetime | None = None
    newest_name: str | None = None
    age: timedelta | None = None
    in_future: int = 0
    total_gigabytes: float = 0.0
    error: GradientError | None = None

    @property
    def count(self) -> int:
        """The number of backups."""
        return len(self.backup_times)

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Return one flat row for machines, ready for JSON or CSV.

        The keys and their order are part of the public interface; new ones are added at the end.
        Times are ISO 8601 in UTC with a ``Z``, durations are whole seconds.
        """
        window = self.next_window
        return {
            "droplet_id": self.droplet_id,
            "droplet_name": self.droplet_name,
            "finding": self.finding.value,
            "reason": self.reason,
            "plan": self.plan,
            "retention_period_days": self.retention_period_days,
            "newest": iso_time(self.newest),
            "oldest": iso_time(self.oldest),
            "age_seconds": whole_seconds(self.age),
            "allowed_age_seconds": whole_seconds(self.allowed_age),
            "interval_seconds": whole_seconds(self.interval),
            "count": self.count,
            "kept": self.kept,
            "promised": self.promised,
            "in_future": self.in_future,
            "total_gigabytes": round(self.total_gigabytes, 3),
            "next_window_start": iso_time(window.start if window else None),
            "next_window_end": iso_time(window.end if window else None),
            "newest_name": self.newest_name,
            "error": None if self.error is None else str(self.error),
        }


@attrs.frozen
class FleetAudit:
    """What was found about all Droplets. It can be iterated over, and has a length.

    Attributes:
        audits: One for each Droplet, by Droplet ID.
        now: The moment that the fleet was judged at, in UTC.
        max_age: The age that was allowed in place of the plans' own, if one was given.
        grace: The grace.
    """

    audits: tuple[DropletAudit, ...]
    now: datetime
    max_age: timedelta | None = None
    grace: timedelta = DEFAULT_GRACE

    def __iter__(self) -> Iterator[DropletAudit]:
        return iter(self.audits)

    def __len__(self) -> int:
        return len(self.audits)

    def with_findings(self, findings: Collection[Finding]) -> tuple[DropletAudit, ...]:
        """Return the Droplets with one of the findings.

        Example:
            >>> from gradient_async.audit import audit_account
            >>> fleet = await audit_account(client)
            >>> late = fleet.with_findings({Finding.OVERDUE, Finding.NEVER})
            >>> [audit.droplet_id for audit in late]
            [3164445]
        """
        return tuple(audit for audit in self.audits if audit.finding in findings)

    @property
    def counts(self) -> dict[Finding, int]:
        """The number of Droplets for every finding, also where it is 0."""
        counts = dict.fromkeys(Finding, 0)
        for audit in self.audits:
            counts[audit.finding] += 1
        return counts

    @property
    def coverage(self) -> float | None:
        """The percentage of Droplets that are ``ok``, ``None`` where there is no Droplet.

        Rounded down to a tenth, so that 100.0 says that it is really every Droplet.
        """
        return floor(1000 * self.counts[Finding.OK] / len(self)) / 10 if self.audits else None

    @property
    def total_gigabytes(self) -> float:
        """The size of all backups in GB."""
        return sum_of(audit.total_gigabytes for audit in self.audits)

    @property
    def worst_recovery_point(self) -> DropletAudit | None:
        """The Droplet, of those with backups enabled, whose newest backup is the oldest.

        ``None`` where no such Droplet has a backup. Those without any have no recovery point at
        all: they are counted under ``never``.
        """
        enabled = (audit for audit in self.audits if audit.finding is not Finding.DISABLED)
        return max(
            (audit for audit in enabled if audit.age is not None),
            key=lambda audit: audit.age or timedelta(),
            default=None,
        )

    def summary(self) -> dict[str, Any]:
        """Return the figures of the fleet for machines, ready for JSON."""
        worst = self.worst_recovery_point
        return {
            "now": iso_time(self.now),
            "droplets": len(self),
            "backups": sum(audit.count for audit in self.audits),
            "findings": {finding.value: number for finding, number in self.counts.items()},
            "coverage_percent": self.coverage,
            "total_gigabytes": round(self.total_gigabytes, 3),
            "worst_recovery_point": None
            if worst is None
            else {
                "droplet_id": worst.droplet_id,
                "droplet_name": worst.droplet_name,
                "newest": iso_time(worst.newest),
                "age_seconds": whole_seconds(worst.age),
            },
            "max_age_seconds": whole_seconds(self.max_age),
            "grace_seconds": whole_seconds(self.grace),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"summary": ..., "droplets": [...]}`` for machines, ready for JSON."""
        return {
            "summary": self.summary(),
            "droplets": [audit.to_dict() for audit in self.audits],
        }


def sum_of(sizes: Iterable[float]) -> float:
    """Add sizes exactly; the largest number where a server tells of more than one can hold."""
    try:
        return fsum(sizes)
    except OverflowError:
        return float_info.max
