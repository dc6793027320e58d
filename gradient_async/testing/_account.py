"""The simulated account: Droplets, their backup policies, backups and other images."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Literal, TypeAlias, TypeVar

import attrs

from . import _seeded
from ._records import (
    EPOCH,
    SimulatedBackup,
    SimulatedDroplet,
    by_age,
    default_supported_policies,
    make_backup,
    policy_record,
)
from ._seeded import FIRST_IMAGE_ID

__all__ = ["Fleet"]

ListingName: TypeAlias = Literal["backups", "droplets", "images"]
Shown: TypeAlias = tuple[ListingName, int]  # a listing, and a backup that it may show
Owned: TypeAlias = tuple[int, SimulatedBackup]  # the ID of a Droplet, and a backup of it
T = TypeVar("T")


def _touch(fleet: Fleet, attribute: attrs.Attribute[T], value: T) -> T:
    fleet.version += 1
    return value


@attrs.define(eq=False)
class Fleet:
    """The state of a simulated account; may be changed while a simulator serves it.

    The methods can be called from any thread. Records may also be changed by hand, inside
    `edit`, so that the simulator sees the change.

    Attributes:
        droplets: The Droplets by ID, in the order of the listings.
        images: Private images other than backups: snapshots and custom images.
        supported_policies: The backup plans as the API sends them.
        now: The moment at which the account is looked at; times are relative to it.
        images_include_backups: Whether ``GET /v2/images?private=true`` lists backups at all.
        version: Rises with every change.
    """

    droplets: dict[int, SimulatedDroplet] = attrs.field(factory=dict[int, SimulatedDroplet])
    images: list[SimulatedBackup] = attrs.field(factory=list[SimulatedBackup])
    supported_policies: list[dict[str, Any]] = attrs.field(factory=default_supported_policies)
    now: datetime = EPOCH
    images_include_backups: bool = attrs.field(default=True, on_setattr=_touch)
    version: int = attrs.field(default=0, init=False)
    _lock: threading.RLock = attrs.field(factory=threading.RLock, init=False, repr=False)
    _last_id: int = attrs.field(default=0, init=False, repr=False)
    _lagging: set[ListingName] = attrs.field(factory=set[ListingName], init=False, repr=False)
    _hidden: set[Shown] = attrs.field(factory=set[Shown], init=False, repr=False)
    _lingering: dict[Shown, Owned] = attrs.field(factory=dict[Shown, Owned], init=False, repr=False)
    _memo: dict[object, Any] = attrs.field(factory=dict[object, Any], init=False, repr=False)
    _memo_version: int = attrs.field(default=-1, init=False, repr=False)

    @classmethod
    def generate(
        cls,
        droplets: int = 300,
        *,
        seed: int = 0,
        now: datetime | None = None,
        unrelated_images: int = 20,
    ) -> Fleet:
        """Make up a varied account: the same arguments give the same account.

        Of every 40 Droplets about 15 are backed up daily, 10 weekly and 5 every four hours (42
        backups); one has more than 200 backups, one is overdue, some are too new to have a
        backup, some have backups disabled, and two of those still have old ones.

        Args:
            droplets: Number of Droplets.
            seed: Seed of everything that is drawn at random.
            now: The moment that all times are relative to, a fixed one by default.
            unrelated_images: Number of snapshots and custom images in the account.

        Returns:
            The account.
        """
        made = _seeded.varied(droplets, seed, now or EPOCH, unrelated_images)
        return cls(*made, now=now or EPOCH)

    @classmethod
    def uniform(
        cls,
        droplets: int,
        backups: int,
        *,
        seed: int = 0,
        now: datetime | None = None,
        unrelated_images: int = 0,
    ) -> Fleet:
        """Make up an account of GPU Droplets with the same number of backups each, for benchmarks.

        Args:
            droplets: Number of Droplets.
            backups: Backups of each.
            seed: Seed of everything that is drawn at random.
            now: The moment that all times are relative to, a fixed one by default.
            unrelated_images: Number of snapshots and custom images in the account.

        Returns:
            The account.
        """
        made = _seeded.uniform(droplets, backups, seed, now or EPOCH, unrelated_images)
        return cls(*made, now=now or EPOCH)

    @contextmanager
    def edit(self) -> Generator[dict[int, SimulatedDroplet], None, None]:
        """Change records by hand: ``with fleet.edit() as droplets: ...``."""
        with self._lock:
            try:
                yield self.droplets
            finally:
                self.version += 1

    def reading(self) -> AbstractContextManager[object]:
        """Keep other threads from changing the account: ``with fleet.reading(): ...``."""
        return self._lock

    def add_droplet(self, droplet: SimulatedDroplet | None = None) -> SimulatedDroplet:
        """Append a Droplet to the account; by default a GPU Droplet with backups disabled."""
        with self.edit() as droplets:
            if droplet is None:
                identifier = max(droplets, default=300_000_000) + 1
                droplet = SimulatedDroplet(identifier, f"gpu-added-{identifier}")
            droplets[droplet.id] = droplet
            return droplet

    def remove_droplet(self, droplet_id: int) -> SimulatedDroplet:
        """Take a Droplet and its backups out of the account and return it."""
        with self.edit() as droplets:
            for backup in droplets[droplet_id].backups:
                self._linger(droplet_id, backup)
            return droplets.pop(droplet_id)

    def set_policy(
        self,
        droplet_id: int,
        plan: str | None,
        *,
        hour: int = 0,
        weekday: str | None = None,
        retention_period_days: int | None = None,
        next_backup_window: tuple[datetime, datetime] | None = None,
    ) -> None:
        """Give a Droplet a backup policy.

        Args:
            droplet_id: The Droplet.
            plan: Name of the plan, supported or not; ``None`` disables backups.
            hour: Hour of the day (UTC) at which the backup window starts.
            weekday: ``SUN`` to ``SAT``, for weekly plans.
            retention_period_days: By default that of the supported plan.
            next_backup_window: Start and end of the next window, ``None`` for ``null``.
        """
        with self.edit() as droplets:
            droplet = droplets[droplet_id]
            if plan is None:
                droplet.backup_policy = droplet.next_backup_window = None
                return
            if retention_period_days is None:
                retention_period_days = self._retention(plan)
            droplet.backup_policy = policy_record(plan, hour, weekday, retention_period_days)
            droplet.next_backup_window = next_backup_window

    def _retention(self, plan: str) -> int:
        known = {
            policy["name"]: policy["retention_period_days"] for policy in self.supported_policies
        }
        return int(known.get(plan, 7))

    def add_backup(
        self,
        droplet_id: int,
        *,
        created_at: datetime | None = None,
        name: str | None = None,
        size_gigabytes: float = 20.0,
        type: str = "backup",
    ) -> SimulatedBackup:
        """Make a backup of a Droplet.

        Args:
            droplet_id: The Droplet.
            created_at: When it was made, `Fleet.now` by default. Listings are sorted by it.
            name: By default the Droplet's name and the date.
            size_gigabytes: Its size.
            type: Kind of the image.

        Returns:
            The backup.
        """
        with self.edit() as droplets:
            droplet = droplets[droplet_id]
            when = created_at or self.now
            backup = make_backup(droplet, when, size_gigabytes, identifier=self.next_id())
            backup.type = type
            if name is not None:
                backup.name = name
            droplet.backups.append(backup)
            droplet.backups.sort(key=by_age)
            self._hidden.update((listing, backup.id) for listing in self._lagging)
            return backup

    def delete_backup(self, droplet_id: int, backup_id: int) -> SimulatedBackup:
        """Delete a backup of a Droplet and return it; `KeyError` if there is none such."""
        with self.edit() as droplets:
            backups = droplets[droplet_id].backups
            for backup in backups:
                if backup.id == backup_id:
                    backups.remove(backup)
                    self._linger(droplet_id, backup)
                    return backup
            raise KeyError(backup_id)

    def next_id(self) -> int:
        """Return an image ID that is higher than all others in the account."""
        with self._lock:
            ids = (backup.id for backup in (*self.images, *self._all_backups()))
            self._last_id = 1 + max(self._last_id, max(ids, default=FIRST_IMAGE_ID))
            return self._last_id

    def hide(self, backup_id: int, *listings: ListingName) -> None:
        """Leave a backup out of the named listings until `settle`.

        ``backups`` is the listing of one Droplet, ``droplets`` the ``backup_ids`` in the listing of
        Droplets, ``images`` the listing of private images.
        """
        with self.edit():
            self._hidden.update((listing, backup_id) for listing in listings)

    def lag(self, *listings: ListingName) -> None:
        """Let the named listings show no change of backups from now on, until `settle`."""
        with self.edit():
            self._lagging.update(listings)

    def settle(self) -> None:
        """End what `lag` and `hide` began: all listings show the account as it is."""
        with self.edit():
            for state in (self._lagging, self._hidden, self._lingering):
                state.clear()

    def _linger(self, droplet_id: int, backup: SimulatedBackup) -> None:
        for listing in self._lagging:
            key = (listing, backup.id)
            if key not in self._hidden:
                self._lingering[key] = (droplet_id, backup)

    def visible_backups(
        self, droplet: SimulatedDroplet, listing: ListingName
    ) -> list[SimulatedBackup]:
        """Return the backups of a Droplet, oldest first, as ``listing`` shows them."""
        with self._lock:
            if not self._hidden and not self._lingering:
                return droplet.backups
            owned = [
                backup
                for (where, _), (owner, backup) in self._lingering.items()
                if where == listing and owner == droplet.id
            ]
            return self._shown(listing, [*droplet.backups, *owned])

    def _shown(self, listing: ListingName, backups: list[SimulatedBackup]) -> list[SimulatedBackup]:
        shown = [backup for backup in backups if (listing, backup.id) not in self._hidden]
        return sorted(shown, key=by_age)

    def private_images(self) -> list[SimulatedBackup]:
        """Return the private images, oldest first, as the listing of images shows them."""
        return self._memoized("images", self._private_images)

    def _private_images(self) -> list[SimulatedBackup]:
        if not self.images_include_backups:
            return sorted(self.images, key=by_age)
        gone = [backup for (where, _), (_, backup) in self._lingering.items() if where == "images"]
        return self._shown("images", [*self.images, *self._all_backups(), *gone])

    def _all_backups(self) -> Iterable[SimulatedBackup]:
        return (backup for droplet in self.droplets.values() for backup in droplet.backups)

    def select(
        self, key: object, wanted: Callable[[SimulatedDroplet], bool]
    ) -> list[SimulatedDroplet]:
        """Find the wanted Droplets, and keep them under a key until the account changes."""
        return self._memoized(key, lambda: [d for d in self.droplets.values() if wanted(d)])

    def _memoized(self, key: object, build: Callable[[], T]) -> T:
        with self._lock:
            if self._memo_version != self.version:
                self._memo, self._memo_version = {}, self.version
            if key not in self._memo:
                self._memo[key] = build()
            result: T = self._memo[key]
            return result
