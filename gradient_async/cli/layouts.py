"""What each command's results look like: the rows of tables and CSV files, the JSON documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from typing import Any

import attrs

from .._fleet import FleetPlan
from ..errors import GradientError, error_document, error_text
from ..types import Backup, DropletBackups, Policy, SupportedPolicy
from .columns import Column, Layout
from .text import count_of

__all__ = [
    "BACKUPS",
    "FLEET_PLAN",
    "POLICIES",
    "SUPPORTED_POLICIES",
    "BackupRow",
    "DropletPolicy",
    "PlanCost",
    "droplet_name",
    "droplets_layout",
]


@attrs.frozen
class BackupRow:
    """A Droplet with one of its backups, or with none when it has none or could not be asked."""

    droplet: DropletBackups
    backup: Backup | None


@attrs.frozen
class DropletPolicy:
    """The backup policy of one Droplet, or why it could not be had."""

    droplet_id: int
    policy: Policy | None = None
    error: GradientError | None = None


def droplet_name(result: DropletBackups) -> str | None:
    """Return the name of a Droplet, which is known in runs over a whole account."""
    return None if result.droplet is None else result.droplet.name


def _red(_: str) -> str:
    return "red"


def _error_text(result: DropletBackups | DropletPolicy) -> str | None:
    return None if result.error is None else error_text(result.error)


def _backups_document(result: DropletBackups) -> object:
    return {
        "droplet_id": result.droplet_id,
        "droplet_name": droplet_name(result),
        "backups": result.backups,
        "error": error_document(result.error),
    }


def _backup_rows(result: DropletBackups) -> Iterator[BackupRow]:
    for backup in result.backups or (None,):
        yield BackupRow(result, backup)


def _of_backup(name: str) -> Callable[[BackupRow], Any]:
    return lambda row: None if row.backup is None else getattr(row.backup, name)


_DROPLET_ID = "droplet_id"

BACKUPS: Layout[DropletBackups, BackupRow] = Layout(
    columns=(
        Column(_DROPLET_ID, lambda row: row.droplet.droplet_id, "droplet", essential=True),
        Column(
            "droplet_name",
            lambda row: droplet_name(row.droplet),
            "name",
            min_width=16,
            essential=True,
        ),
        Column("backup_id", _of_backup("id"), "backup", essential=True),
        Column("created_at", _of_backup("created_at"), "made (UTC)", essential=True),
        Column("size_gigabytes", _of_backup("size_gigabytes"), "GB", right=True),
        Column("min_disk_size", _of_backup("min_disk_size"), "min disk", right=True),
        Column("type", _of_backup("type")),
        Column("regions", _of_backup("regions")),
        Column("name", _of_backup("name"), "backup name", min_width=16),
        Column(
            "error",
            lambda row: _error_text(row.droplet),
            style=_red,
            min_width=24,
            essential=True,
        ),
    ),
    rows=_backup_rows,
    document=_backups_document,
    key=attrgetter(_DROPLET_ID),
)


def droplets_layout(now: datetime) -> Layout[DropletBackups, DropletBackups]:
    """Return the layout with one row for each Droplet.

    Args:
        now: The time that the age of the newest backup is counted to.
    """

    def age(result: DropletBackups) -> timedelta | None:
        made = _newest(result)
        return None if made is None else now - made

    return Layout(
        columns=(
            Column(_DROPLET_ID, attrgetter(_DROPLET_ID), "droplet", essential=True),
            Column("droplet_name", droplet_name, "name", min_width=16, essential=True),
            Column("backups", _count, right=True, essential=True),
            Column("newest", _newest, "newest (UTC)"),
            Column("age", age, right=True, essential=True),
            Column("oldest", _oldest, "oldest (UTC)"),
            Column("total_gigabytes", _total_gigabytes, "GB", right=True),
            Column("regions", _regions),
            Column("newest_name", _newest_name, "newest backup", shown=False),
            Column("error", _error_text, style=_red, min_width=24, essential=True),
        ),
        rows=lambda result: (result,),
        document=_backups_document,
        key=attrgetter(_DROPLET_ID),
    )


def _newest(result: DropletBackups) -> datetime | None:
    return max((backup.created_at for backup in result.backups), default=None)


def _oldest(result: DropletBackups) -> datetime | None:
    return min((backup.created_at for backup in result.backups), default=None)


def _newest_name(result: DropletBackups) -> str | None:
    newest = max(result.backups, key=attrgetter("created_at"), default=None)
    return newest.name if newest else None


def _count(result: DropletBackups) -> int | None:
    return None if result.error else len(result.backups)


def _total_gigabytes(result: DropletBackups) -> float | None:
    total = sum(backup.size_gigabytes for backup in result.backups)
    return round(total, 2) if result.backups else None


def _regions(result: DropletBackups) -> list[str]:
    return sorted({region for backup in result.backups for region in backup.regions})


def _of_policy(name: str) -> Callable[[DropletPolicy], Any]:
    """Get a value that lies deeper in the policy, where one of those on the way may be missing."""

    def get(result: DropletPolicy) -> Any:
        value: Any = result.policy
        for part in name.split("."):
            value = None if value is None else getattr(value, part)
        return value

    return get


POLICIES: Layout[DropletPolicy, DropletPolicy] = Layout(
    columns=(
        Column(_DROPLET_ID, attrgetter(_DROPLET_ID), "droplet", essential=True),
        Column("backup_enabled", _of_policy("backup_enabled"), "enabled", essential=True),
        Column("plan", _of_policy("backup_policy.plan"), essential=True),
        Column("weekday", _of_policy("backup_policy.weekday"), "day"),
        Column("hour", _of_policy("backup_policy.hour"), "hour (UTC)", right=True),
        Column(
            "window_length_hours",
            _of_policy("backup_policy.window_length_hours"),
            "window h",
            right=True,
        ),
        Column(
            "retention_period_days",
            _of_policy("backup_policy.retention_period_days"),
            "kept days",
            right=True,
        ),
        Column("next_window_start", _of_policy("next_backup_window.start"), "next from (UTC)"),
        Column("next_window_end", _of_policy("next_backup_window.end"), "until (UTC)"),
        Column("error", _error_text, style=_red, min_width=24, essential=True),
    ),
    rows=lambda result: (result,),
    document=lambda result: {
        "droplet_id": result.droplet_id,
        "policy": result.policy,
        "error": error_document(result.error),
    },
    key=attrgetter(_DROPLET_ID),
)

SUPPORTED_POLICIES: Layout[SupportedPolicy, SupportedPolicy] = Layout(
    columns=(
        Column("name", attrgetter("name"), "plan", essential=True),
        Column("possible_window_starts", attrgetter("possible_window_starts"), "hours (UTC)"),
        Column("window_length_hours", attrgetter("window_length_hours"), "window h", right=True),
        Column(
            "retention_period_days", attrgetter("retention_period_days"), "kept days", right=True
        ),
        Column("possible_days", attrgetter("possible_days"), "days"),
    ),
    rows=lambda plan: (plan,),
    document=lambda plan: plan,
    key=lambda _: 0,
)


@attrs.frozen
class PlanCost:
    """What one plan costs; nothing is known of one that is not possible."""

    plan: str
    requests: int | None
    seconds: float | None
    fleet: FleetPlan

    @property
    def time(self) -> timedelta | None:
        """The time that it takes at least, under the rate limit."""
        return None if self.seconds is None else timedelta(seconds=self.seconds)


def _plan_costs(plan: FleetPlan) -> tuple[PlanCost, PlanCost]:
    return (
        PlanCost("joined", plan.joined_requests, plan.joined_seconds, plan),
        PlanCost("per_droplet", plan.per_droplet_requests, plan.per_droplet_seconds, plan),
    )


def _plan_heading(plans: Sequence[FleetPlan]) -> Iterator[str]:
    for plan in plans:
        images = "" if plan.images is None else f", {count_of(plan.images, 'private image')}"
        yield count_of(plan.droplets, "Droplet") + images
        yield f"auto takes {plan.choice}: {plan.reason}"
        yield ""


FLEET_PLAN: Layout[FleetPlan, PlanCost] = Layout(
    columns=(
        Column("plan", attrgetter("plan")),
        Column("requests", attrgetter("requests"), right=True),
        Column("seconds", attrgetter("time"), "at least", right=True),
        Column("chosen", lambda cost: cost.plan == cost.fleet.choice),
        Column("droplets", attrgetter("fleet.droplets"), shown=False),
        Column("images", attrgetter("fleet.images"), shown=False),
    ),
    rows=_plan_costs,
    document=attrs.asdict,
    key=lambda _: 0,
    whole=lambda plans: attrs.asdict(plans[0]),
    heading=_plan_heading,
)
