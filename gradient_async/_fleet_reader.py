"""Reads the listings that a run over a whole account takes, as `_fleet` decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeVar

import attrs

from . import errors
from ._fan_out import ends_run
from ._fleet import FirstPages, FleetPlan, PlanChoice, as_backup, joined_backups
from ._pacing import RateLimit
from ._paging import Listing, Page, Paged
from .types import Backup, Droplet, DropletBackups, Policy
from .types._images import Image

__all__ = ["FleetReader"]

T = TypeVar("T")


class FleetReader(AsyncIterator[int]):
    """The IDs of the Droplets of an account, and the backups of each.

    Args:
        droplets: The Droplets.
        images: The private images.
        policies: The policies, by Droplet ID.
        ask: Gets the backups of one Droplet by its own endpoint.
        choice: The plan, or ``"auto"``.
    """

    def __init__(
        self,
        droplets: Paged[Droplet],
        images: Paged[Image],
        policies: Paged[tuple[int, Policy]],
        ask: Callable[[int], Coroutine[Any, Any, DropletBackups]],
        choice: PlanChoice,
    ) -> None:
        self.total: int | None = None
        self._droplets = droplets
        self._images = images
        self._policies = policies
        self._ask = ask
        self._choice: PlanChoice = choice
        self._known: dict[int, Droplet] = {}
        self._handed_out: set[int] = set()
        self._join: _Join | None = None
        self._ids = self._read()

    async def __anext__(self) -> int:
        droplet_id = await anext(self._ids)
        self._handed_out.add(droplet_id)
        return droplet_id

    def rest(self) -> list[int]:
        """Give the IDs that are known and were not handed out."""
        return [droplet_id for droplet_id in self._known if droplet_id not in self._handed_out]

    async def answer(self, droplet_id: int) -> DropletBackups:
        """Give the backups of a Droplet that was handed out, asking for them where it has to."""
        droplet = self._known[droplet_id]
        backups = None if self._join is None else self._join.backups_of(droplet)
        if backups is None:
            return attrs.evolve(await self._ask(droplet_id), droplet=droplet)
        return DropletBackups(droplet_id, backups, droplet=droplet)

    async def plan(self, rate_limit: RateLimit | None) -> FleetPlan:
        """Read the first pages, and give what each plan would cost."""
        pages = await self._first_pages(await self._droplets.fetch(1))
        return pages.summary.plan(rate_limit)

    async def _read(self) -> AsyncIterator[int]:
        first = await self._droplets.fetch(1)
        self.total = first.total
        pages = None if self._choice == "per_droplet" else await self._first_pages(first)
        listing = self._droplets.listing(first)
        if pages is None or not self._joins(pages.summary):
            async for droplet in listing:
                self._known[droplet.id] = droplet
                yield droplet.id
            return
        incomplete = await _read_into(self._know, listing)
        self._join = await self._read_join(pages)
        for droplet_id in list(self._known):
            yield droplet_id
        if incomplete is not None:
            raise incomplete

    def _know(self, droplet: Droplet) -> None:
        self._known[droplet.id] = droplet

    def _joins(self, summary: FirstPages) -> bool:
        if self._choice == "joined":
            return summary.obstacle("joined") is None
        return summary.plan(None).choice == "joined"

    async def _first_pages(self, droplets: Page[Droplet]) -> _FirstPages:
        """Read the first pages of the other listings, if they can be of use."""
        total = len(droplets.items) if droplets.total is None else droplets.total
        summary = FirstPages(droplets.items, total)
        if summary.obstacle_of_droplets(self._choice) is not None:
            return _FirstPages(summary, None, None)
        images, policies = await asyncio.gather(_first(self._images), _first(self._policies))
        if images is not None:
            summary = attrs.evolve(summary, images=images.items, images_total=images.total or 0)
        if policies is not None:
            summary = attrs.evolve(summary, policies_total=policies.total or 0)
        return _FirstPages(summary, images, policies)

    async def _read_join(self, pages: _FirstPages) -> _Join:
        wanted = {number for droplet in self._known.values() for number in droplet.backup_ids or ()}
        join = _Join(wanted)
        await asyncio.gather(
            _read_into(join.add_image, self._images.listing(pages.images)),
            _read_into(join.add_policy, self._policies.listing(pages.policies)),
        )
        return join


@attrs.frozen
class _FirstPages:
    summary: FirstPages
    images: Page[Image] | None
    policies: Page[tuple[int, Policy]] | None


class _Join:
    """The backups that Droplets name, and the policies of those that name none."""

    def __init__(self, wanted: set[int]) -> None:
        self._wanted = wanted
        self._backups: dict[int, Backup] = {}
        self._policies: dict[int, Policy] = {}

    def add_image(self, image: Image) -> None:
        if image.id in self._wanted and (backup := as_backup(image)) is not None:
            self._backups[image.id] = backup

    def add_policy(self, item: tuple[int, Policy]) -> None:
        droplet_id, policy = item
        self._policies[droplet_id] = policy

    def backups_of(self, droplet: Droplet) -> list[Backup] | None:
        return joined_backups(droplet, self._backups, self._policies)


async def _first(listing: Paged[T]) -> Page[T] | None:
    """Give the first page of a listing that may be refused, which is no reason to stop."""
    try:
        return await listing.fetch(1)
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
