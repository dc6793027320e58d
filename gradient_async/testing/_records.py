"""The records of a simulated account, with the API's field names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import attrs

__all__ = [
    "DEFAULT_SIZE",
    "EPOCH",
    "WEEKDAYS",
    "WINDOW_HOURS",
    "WINDOW_LENGTH",
    "DropletSize",
    "SimulatedBackup",
    "SimulatedDroplet",
    "by_age",
    "default_supported_policies",
    "make_backup",
    "policy_record",
]

EPOCH = datetime(2026, 9, 1, 13, 30, tzinfo=UTC)
WINDOW_HOURS = (0, 4, 8, 12, 16, 20)
WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
WINDOW_LENGTH = 4


@attrs.define
class SimulatedBackup:
    """A backup, or another private image of the account, with the API's field names."""

    id: int
    name: str
    distribution: str
    slug: str | None
    public: bool
    regions: Sequence[str]
    created_at: datetime
    min_disk_size: int
    size_gigabytes: float
    type: str


@attrs.define
class DropletSize:
    """What a size slug stands for.

    Attributes:
        slug: The slug, such as ``gpu-h100x1-80gb``.
        memory: Memory in MiB.
        vcpus: Number of virtual CPUs.
        disk: Size of the boot disk in GiB.
        gpu: ``(count, model, VRAM in GiB)``, or ``None`` for a Droplet without a GPU.
    """

    slug: str
    memory: int
    vcpus: int
    disk: int
    gpu: tuple[int, str, int] | None = None


DEFAULT_SIZE = DropletSize("gpu-h100x1-80gb", 245760, 20, 720, (1, "nvidia_h100", 80))


@attrs.define
class SimulatedDroplet:
    """One Droplet of the account.

    Attributes:
        id: The Droplet ID.
        name: Its name.
        region: Slug of its region.
        size: Its size; one with a GPU makes it a GPU Droplet.
        tags: Its tags.
        created_at: When it was made.
        status: ``new``, ``active``, ``off`` or ``archive``.
        backup_policy: The policy as the API sends it, ``None`` where backups are disabled.
        next_backup_window: ``(start, end)``, or ``None``.
        backups: Its backups, oldest first.
        snapshot_ids: IDs of the snapshots that were taken of it.
    """

    id: int
    name: str
    region: str = "nyc2"
    size: DropletSize = DEFAULT_SIZE
    tags: list[str] = attrs.field(factory=list[str])
    created_at: datetime = EPOCH - timedelta(days=90)
    status: str = "active"
    backup_policy: dict[str, Any] | None = None
    next_backup_window: tuple[datetime, datetime] | None = None
    backups: list[SimulatedBackup] = attrs.field(factory=list[SimulatedBackup])
    snapshot_ids: list[int] = attrs.field(factory=list[int])

    @property
    def is_gpu(self) -> bool:
        """Whether this is a GPU Droplet."""
        return self.size.gpu is not None


def default_supported_policies() -> list[dict[str, Any]]:
    """Return the backup plans that an account supports, as the API sends them."""
    return [
        _supported("weekly", 28, possible_days=["SUN", *WEEKDAYS[:-1]]),
        _supported("daily", 7, possible_days=[]),
        _supported("intra_daily_4h", 7, possible_days=[]),
    ]


def _supported(name: str, retention: int, possible_days: list[str]) -> dict[str, Any]:
    return {
        "name": name,
        "possible_window_starts": list(WINDOW_HOURS),
        "window_length_hours": WINDOW_LENGTH,
        "retention_period_days": retention,
        "possible_days": possible_days,
    }


def by_age(backup: SimulatedBackup) -> tuple[datetime, int]:
    """Return the sort key of listings: oldest first."""
    return backup.created_at, backup.id


def policy_record(plan: str, hour: int, weekday: str | None, retention: int) -> dict[str, Any]:
    """Make a backup policy as the API sends it; without ``weekday`` where the plan has none."""
    day = {} if weekday is None else {"weekday": weekday}
    return {
        "plan": plan,
        **day,
        "hour": hour,
        "window_length_hours": WINDOW_LENGTH,
        "retention_period_days": retention,
    }


def make_backup(
    droplet: SimulatedDroplet, created_at: datetime, size_gigabytes: float, identifier: int = 0
) -> SimulatedBackup:
    """Make a backup of ``droplet``, not yet in its list."""
    return SimulatedBackup(
        id=identifier,
        name=f"{droplet.name} {created_at:%Y-%m-%d}",
        distribution="Ubuntu",
        slug=None,
        public=False,
        regions=(droplet.region,),
        created_at=created_at,
        min_disk_size=droplet.size.disk,
        size_gigabytes=size_gigabytes,
        type="backup",
    )
