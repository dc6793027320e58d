"""Accounts made up from a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypeAlias

import attrs

from ._records import (
    DEFAULT_SIZE,
    WEEKDAYS,
    WINDOW_HOURS,
    WINDOW_LENGTH,
    DropletSize,
    SimulatedBackup,
    SimulatedDroplet,
    by_age,
    make_backup,
    policy_record,
)

__all__ = ["FIRST_IMAGE_ID", "uniform", "varied"]

GPU_SIZES = (
    DEFAULT_SIZE,
    DropletSize("gpu-h100x8-640gb", 1966080, 160, 2046, (8, "nvidia_h100", 640)),
    DropletSize("gpu-l40sx1-48gb", 65536, 8, 500, (1, "nvidia_l40s", 48)),
    DropletSize("gpu-mi300x1-192gb", 245760, 20, 720, (1, "amd_mi300x", 192)),
)
OTHER_SIZES = (
    DropletSize("s-2vcpu-4gb", 4096, 2, 80),
    DropletSize("g-4vcpu-16gb", 16384, 4, 50),
)
GPU_ROLES = ("gpu-train", "gpu-infer", "gpu-finetune", "gpu-eval", "gpu-render")
OTHER_ROLES = ("web", "db", "worker", "bastion")
REGIONS = ("nyc2", "tor1", "atl1", "ams3", "sfo3")
FIRST_DROPLET_ID = 300_000_000
FIRST_IMAGE_ID = 150_000_000

SeededAccount: TypeAlias = tuple[dict[int, SimulatedDroplet], list[SimulatedBackup]]


@attrs.frozen
class Maker:
    """What generation needs at hand: the random source and the moment of reference."""

    rng: random.Random
    now: datetime

    def backup_at(self, droplet: SimulatedDroplet, start: datetime) -> None:
        """Append a backup made in the window that begins at ``start``."""
        made = start + timedelta(seconds=self.rng.randrange(120, 3600))
        size = round(self.rng.uniform(2.0, droplet.size.disk * 0.4), 2)
        droplet.backups.append(make_backup(droplet, made, size))

    def windows(self, hour: int, step: timedelta, count: int, shift: int) -> list[datetime]:
        """Return the last ``count`` window starts that are over at ``now``, oldest first."""
        newest = self.now.replace(hour=hour, minute=0, second=0, microsecond=0)
        newest -= timedelta(days=shift)
        over = self.now - timedelta(hours=WINDOW_LENGTH)
        newest += step * ((over - newest) // step)
        return [newest - step * index for index in reversed(range(count))]

    def next_window(self, last: datetime, step: timedelta) -> tuple[datetime, datetime]:
        """Return the first window after ``last`` that begins after ``now``."""
        while last <= self.now:
            last += step
        return last, last + timedelta(hours=WINDOW_LENGTH)


@attrs.frozen
class Plan:
    """A backup plan: its name, the time between backups and the days that they are kept."""

    name: str
    step: timedelta
    retention: int


DAILY = Plan("daily", timedelta(days=1), 7)
WEEKLY = Plan("weekly", timedelta(days=7), 28)


def protect(maker: Maker, droplet: SimulatedDroplet, index: int, plan: Plan, backups: int) -> None:
    """Give ``droplet`` a plan and ``backups`` backups, the newest in the last window."""
    hour, day = WINDOW_HOURS[index % len(WINDOW_HOURS)], index % 7 if plan is WEEKLY else 0
    windows = maker.windows(hour, plan.step, max(1, backups), day)
    weekday = WEEKDAYS[windows[-1].weekday()] if plan is WEEKLY else None
    droplet.backup_policy = policy_record(plan.name, hour, weekday, plan.retention)
    droplet.next_backup_window = maker.next_window(windows[-1], plan.step)
    for start in windows[:backups]:
        maker.backup_at(droplet, start)


def daily(maker: Maker, droplet: SimulatedDroplet, index: int) -> None:
    """Give it seven daily backups."""
    protect(maker, droplet, index, DAILY, backups=7)


def weekly(maker: Maker, droplet: SimulatedDroplet, index: int) -> None:
    """Give it four weekly backups."""
    protect(maker, droplet, index, WEEKLY, backups=4)


def intra_daily(maker: Maker, droplet: SimulatedDroplet, index: int, days: int = 7) -> None:
    """Give it six backups a day, for a week by default: more than a default page."""
    plan = Plan("intra_daily_4h", timedelta(hours=4), days)
    protect(maker, droplet, index, plan, backups=6 * days)


def large(maker: Maker, droplet: SimulatedDroplet, index: int) -> None:
    """Give it six backups a day for five to ten weeks: more than one page of 200."""
    intra_daily(maker, droplet, index, days=maker.rng.randrange(35, 71))


def fresh(maker: Maker, droplet: SimulatedDroplet, index: int) -> None:
    """Enable backups a moment ago: there is none yet, and for some no window either."""
    protect(maker, droplet, index, DAILY, backups=0)
    droplet.created_at = maker.now - timedelta(hours=maker.rng.randrange(1, 6))
    if index % 4 == 0:
        droplet.next_backup_window = None


def overdue(maker: Maker, droplet: SimulatedDroplet, index: int) -> None:
    """Enable backups, but make the newest ten days old, with no window planned."""
    daily(maker, droplet, index)
    _shift(droplet, timedelta(days=10))
    droplet.next_backup_window = None


def disabled(maker: Maker, droplet: SimulatedDroplet, index: int) -> None:
    """Leave it as it is, without backups."""


def disabled_with_backups(maker: Maker, droplet: SimulatedDroplet, index: int) -> None:
    """Disable backups after there had been some."""
    weekly(maker, droplet, index)
    _shift(droplet, timedelta(days=21))
    droplet.backup_policy = droplet.next_backup_window = None


def _shift(droplet: SimulatedDroplet, age: timedelta) -> None:
    for backup in droplet.backups:
        backup.created_at -= age
        backup.name = f"{droplet.name} {backup.created_at:%Y-%m-%d}"


Profile = Callable[[Maker, SimulatedDroplet, int], None]

PROFILES: tuple[Profile, ...] = (
    *(daily, weekly, intra_daily, disabled, fresh, large, disabled_with_backups, overdue),
    *(daily, weekly, daily, intra_daily, daily, weekly, disabled, daily),
    *(weekly, daily, daily, weekly, intra_daily, daily, fresh, weekly),
    *(daily, disabled, daily, weekly, daily, intra_daily, weekly, disabled),
    *(daily, weekly, fresh, daily, disabled_with_backups, weekly, intra_daily, daily),
)


def varied(count: int, seed: int, now: datetime, unrelated_images: int) -> SeededAccount:
    """Make up a varied account; four in five of its Droplets have GPUs."""
    maker = Maker(random.Random(seed), now)
    droplets = _droplets(maker, count, gpu_share=0.8)
    for index, droplet in enumerate(droplets):
        PROFILES[index % len(PROFILES)](maker, droplet, index)
    return _with_images(maker, droplets, unrelated_images)


def uniform(
    count: int, backups: int, seed: int, now: datetime, unrelated_images: int
) -> SeededAccount:
    """Make up an account of GPU Droplets, each with a backup every four hours."""
    maker = Maker(random.Random(seed), now)
    droplets = _droplets(maker, count, gpu_share=1.0)
    plan = Plan("intra_daily_4h", timedelta(hours=4), max(1, backups // 6))
    for index, droplet in enumerate(droplets):
        protect(maker, droplet, index, plan, backups)
    return _with_images(maker, droplets, unrelated_images)


def _droplets(maker: Maker, count: int, gpu_share: float) -> list[SimulatedDroplet]:
    if count < 0:
        raise ValueError(f"droplets must be at least 0, got {count}")
    numbers: Counter[str] = Counter()
    identifier = FIRST_DROPLET_ID
    droplets: list[SimulatedDroplet] = []
    for index in range(count):
        identifier += maker.rng.randrange(1, 400)
        gpu = index < 8 or maker.rng.random() < gpu_share
        droplets.append(_droplet(maker.rng, maker.now, identifier, numbers, gpu))
    return droplets


def _droplet(
    rng: random.Random, now: datetime, identifier: int, numbers: Counter[str], gpu: bool
) -> SimulatedDroplet:
    role = rng.choice(GPU_ROLES if gpu else OTHER_ROLES)
    numbers[role] += 1
    environment = rng.choice(("prod", "prod", "staging", "research"))
    return SimulatedDroplet(
        id=identifier,
        name=f"{role}-{numbers[role]:02d}",
        region=rng.choice(REGIONS),
        size=rng.choice(GPU_SIZES if gpu else OTHER_SIZES),
        tags=[f"env:{environment}", role],
        created_at=now.replace(microsecond=0) - timedelta(seconds=rng.randrange(90, 700) * 86_400),
        status="off" if rng.random() < 0.03 else "active",
    )


def _with_images(maker: Maker, droplets: list[SimulatedDroplet], unrelated: int) -> SeededAccount:
    images: list[SimulatedBackup] = []
    for index in range(unrelated):
        owner = maker.rng.choice(droplets) if droplets and index % 4 else None
        images.append(_image(maker, index, owner))
    _number(maker.rng, droplets, images)
    _link_snapshots(droplets, images)
    return {droplet.id: droplet for droplet in droplets}, images


def _image(maker: Maker, index: int, droplet: SimulatedDroplet | None) -> SimulatedBackup:
    made = maker.now.replace(microsecond=0) - timedelta(seconds=maker.rng.randrange(1, 31_536_000))
    name = f"{droplet.name}-{int(made.timestamp())}" if droplet else f"base-image-{index:03d}"
    return SimulatedBackup(
        id=0,
        name=name,
        distribution="Ubuntu" if droplet else "Unknown OS",
        slug=None,
        public=False,
        regions=(droplet.region if droplet else "nyc3",),
        created_at=made,
        min_disk_size=droplet.size.disk if droplet else 15,
        size_gigabytes=round(maker.rng.uniform(0.5, 60.0), 2),
        type="snapshot" if droplet else "custom",
    )


def _number(
    rng: random.Random, droplets: list[SimulatedDroplet], images: list[SimulatedBackup]
) -> None:
    """Give every image an ID; the newer the image, the higher the ID."""
    backups = [backup for droplet in droplets for backup in droplet.backups]
    identifier = FIRST_IMAGE_ID
    for image in sorted([*images, *backups], key=by_age):
        identifier += rng.randrange(1, 50)
        image.id = identifier


def _link_snapshots(droplets: list[SimulatedDroplet], images: list[SimulatedBackup]) -> None:
    by_name = {droplet.name: droplet for droplet in droplets}
    for image in images:
        owner = by_name.get(image.name.rpartition("-")[0])
        if image.type == "snapshot" and owner:
            owner.snapshot_ids.append(image.id)
