"""Reads the listings that a run over a whole account takes, as `_fleet` decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping
from typing import Any, TypeVar

import attrs

from . import errors
from ._droplet_ids import AsyncIds
from ._fan_out import ends_run
from ._fleet import (
    FirstPages,
    FleetPlan,
    PlanChoice,
    as_backup,
    joined_backups,
    pages,
    policies_pay,
)
from ._paging import Listing, Page, Paged, is_doubtful
from ._rate_limit import RateLimit
from .types import Backup, Droplet, DropletBackups, Policy
from .types._images import Image

__all__ = ["FleetReader"]

T = TypeVar("T")


class FleetReader(AsyncIds):
    """The IDs of the Droplets of an account, and the backups of each.

    Args:
        droplets: The Droplets.
        images: The private images.
        policies: The policies, by Droplet ID.
        ask: Gets the backups of one Droplet by its own endpoint.
        choice: The plan, or ``"auto"``.
        known_policies: The policies, if they need not be read.
    """

    def __init__(
        self,
        droplets: Paged[Droplet],
        images: Paged[Image],
        policies: Paged[tuple[int, Policy]],
        *,
        ask: Callable[[int], Coroutine[Any, Any, DropletBackups]],
        choice: PlanChoice,
        known_policies: Mapping[int, Policy] | None = None,
    ) -> None:
        super().__init__()
        self._droplets = droplets
        self._images = images
        self._policies = policies
        self._ask = ask
        self._choice: PlanChoice = choice
        self._known_policies = known_policies
        self._known: dict[int, Droplet] = {}
        self._handed_out: set[int] = set()
        self._all_listed = False
        self._join: _Join | None = None
        self._reading = self._read()

    async def __anext__(self) -> int:
        droplet_id = await anext(self._reading)
        self._handed_out.add(droplet_id)
        return droplet_id

    def rest(self) -> list[int]:
        """Return the IDs that are known and were not handed out."""
        known = list(self._known)  # in one step, as another thread may ask while the loop reads on
        return [droplet_id for droplet_id in known if droplet_id not in self._handed_out]

    def unlisted(self) -> int | None:
        """Return the number of Droplets that are not known yet."""
        if self._all_listed:
            return 0
        return None if self.total is None else max(0, self.total - len(self._known))

    async def aclose(self) -> None:
        """End what is being read."""
        await self._reading.aclose()

    async def answer(self, droplet_id: int) -> DropletBackups:
        """Return the backups of a Droplet that was handed out, asking for them where it has to."""
        droplet = self._known[droplet_id]
        backups = None if self._join is None else self._join.backups_of(droplet)
        if backups is None:
            return attrs.evolve(await self._ask(droplet_id), droplet=droplet)
        return DropletBackups(droplet_id, backups, droplet=droplet)

    async def plan(self, rate_limit: RateLimit | None) -> FleetPlan:
        """Read the first pages, and give what each plan would cost."""
        summary, _ = await self._first_pages(await self._droplets.fetch(1))
        return summary.plan(rate_limit)

    async def _read(self) -> AsyncGenerator[int, None]:
        first = await self._droplets.fetch(1)
        doubtful = is_doubtful(first.total, len(first.items), first.has_next)
        self.total = None if doubtful else first.total
        self._know(*first.items)
        listing = self._droplets.listing(first)
        joins, images = False, None
        if self._choice != "per_droplet":
            summary, images = await self._first_pages(first)
            joins = self._joins(summary)
        if not joins:
            async with listing:
                while page := await listing.take():
                    self._know(*page)
                    for droplet in page:
                        yield droplet.id
            self._end_listing()
            return
        incomplete = await _read_into(self._know, listing)
        if incomplete is None:
            self._end_listing()
        self._join = await self._read_join(images)
        for droplet_id in list(self._known):
            yield droplet_id
        if incomplete is not None:
            raise incomplete

    def _end_listing(self) -> None:
        self._all_listed, self.total = True, len(self._known)

    def _know(self, *droplets: Droplet) -> None:
        self._known.update((droplet.id, droplet) for droplet in droplets)

    def _joins(self, summary: FirstPages) -> bool:
        if self._choice == "joined":
            return summary.obstacle("joined") is None
        return summary.plan(None).choice == "joined"

    async def _first_pages(self, droplets: Page[Droplet]) -> tuple[FirstPages, Page[Image] | None]:
        """Look at the images, if they can be of use; give the first page of them, too."""
        reads_policies = self._known_policies is None
        summary = FirstPages(droplets.items, _total(droplets), reads_policies=reads_policies)
        if summary.obstacle_of_droplets(self._choice) is not None:
            return summary, None
        first = await _page(self._images, 1)
        if first is None:
            return summary, None
        summary = attrs.evolve(summary, images=first.items, images_total=_total(first))
        last = pages(summary.images_total)
        if summary.lacks_backups and last > 1:
            # Old snapshots alone may fill the first page of an account whose backups are newer.
            more = await _page(self._images, last)
            if more is not None:
                summary = attrs.evolve(summary, images=[*first.items, *more.items])
        return summary, first

    async def _read_join(self, images: Page[Image] | None) -> _Join:
        wanted = {number for droplet in self._known.values() for number in droplet.backup_ids or ()}
        join = _Join(wanted)
        await _together(
            _read_into(join.add_image, self._images.listing(images)), self._read_policies(join)
        )
        return join

    async def _read_policies(self, join: _Join) -> None:
        """Read the policies as long as they save more requests than they take."""
        if self._known_policies is not None:
            join.policies.update(self._known_policies)
            return
        empty = [droplet.id for droplet in self._known.values() if droplet.backup_ids == []]
        if not policies_pay(empty, {}, requests_left=1):
            return
        first = await _page(self._policies, 1)
        if first is None:
            return
        for item in first.items:
            join.add_policy(item)
        left = pages(_total(first)) - 1
        if left and policies_pay(empty, join.policies, left):
            await _read_into(join.add_policy, self._policies.listing(first))


class _Join:
    """The backups that Droplets name, and the policies of those that name none."""

    def __init__(self, wanted: set[int]) -> None:
        self.policies: dict[int, Policy] = {}
        self._wanted = wanted
        self._backups: dict[int, Backup] = {}

    def add_image(self, image: Image) -> None:
        if image.id in self._wanted and (backup := as_backup(image)) is not None:
            self._backups[image.id] = backup

    def add_policy(self, item: tuple[int, Policy]) -> None:
        droplet_id, policy = item
        self.policies[droplet_id] = policy

    def backups_of(self, droplet: Droplet) -> list[Backup] | None:
        return joined_backups(droplet, self._backups, self.policies)


async def _together(*works: Coroutine[Any, Any, object]) -> None:
    """Await all at once; when one fails or the wait is cancelled, end the others first."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


def _total(page: Page[Any]) -> int:
    return len(page.items) if page.total is None else page.total


async def _page(listing: Paged[T], number: int) -> Page[T] | None:
    """Return a page of a listing that may be refused, which is no reason to stop."""
    try:
        return await listing.fetch(number)
    except errors.APIError as error:
        if ends_run(error):
            raise
        return None


async def _read_into(add: Callable[[T], None], listing: Listing[T]) -> errors.GradientError | None:
    """Read a listing as far as it goes, and give the error that it ended in, if any.

    What is missing then is found to be missing by the join.
    """
    try:
        async for item in listing:
            add(item)
    except (errors.APIError, errors.IncompleteListingError) as error:
        if ends_run(error):
            raise
        return error
    return None
