"""The backups of a whole account from three listings, where that is cheaper. Pure.

Every Droplet names its backups (``backup_ids``), and every backup is a private image. So the pages
of Droplets and of images, joined on the number, tell what one request per Droplet would tell. That
the images of an account include its backups is likely but documented nowhere. The join therefore
never takes it for granted: a Droplet whose backups it cannot vouch for is asked about by itself.

What a Droplet names is its state at one moment, and a backup does not change. So the result for a
Droplet is its state at that moment, or at the later one at which it was asked about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Final, Literal, TypeAlias, get_args

import attrs

from ._http import MAX_PER_PAGE
from ._rate_limit import RateLimit, ideal_seconds
from .types import Backup, Droplet, Policy
from .types._images import Image

__all__ = [
    "FirstPages",
    "FleetPlan",
    "PlanChoice",
    "as_backup",
    "checked_plan",
    "joined_backups",
    "oldest_first",
    "pages",
    "policies_pay",
]

PlanName: TypeAlias = Literal["joined", "per_droplet"]
PlanChoice: TypeAlias = Literal["auto", "joined", "per_droplet"]
"""How `list_fleet` is to ask; with ``"auto"`` by the plan that takes fewer requests."""

AGE: Final = attrgetter("created_at", "id")
FEW: Final = 2
"""So few Droplets are asked about before it is known whether joining would save a request."""


def checked_plan(plan: PlanChoice) -> PlanChoice:
    """Return the name of a plan if there is such a plan.

    Raises:
        ValueError: There is none.
    """
    if plan not in get_args(PlanChoice):
        raise ValueError(f"plan must be one of {', '.join(get_args(PlanChoice))}, got {plan!r}")
    return plan


@attrs.frozen
class FleetPlan:
    """What asking about a whole account costs, by each plan.

    Attributes:
        droplets: The number of Droplets.
        images: The number of private images; ``None`` when they were not looked at.
        joined_requests: The requests of the join, if every Droplet's backups are found by it and
            the Droplets are all like those on the first page; ``None`` when it is not possible.
        per_droplet_requests: The requests of asking about each Droplet, if they are all like those
            on the first page.
        joined_seconds: How long the join takes at least, under the rate limit.
        per_droplet_seconds: How long asking about each takes at least, under the rate limit.
        choice: The plan that ``"auto"`` takes.
        reason: Why, in one sentence.
    """

    droplets: int
    images: int | None
    joined_requests: int | None
    per_droplet_requests: int
    joined_seconds: float | None
    per_droplet_seconds: float
    choice: PlanName
    reason: str


@attrs.frozen
class FirstPages:
    """What a plan is decided from: the first page of the Droplets, and what was seen of the images.

    Attributes:
        droplets: The Droplets on the first page.
        droplets_total: The number of Droplets.
        images: The images on the first page, and on the last one if the first shows no backup;
            ``None`` when they were not or cannot be listed.
        images_total: The number of private images.
        reads_policies: Whether the join has to read the policies that it needs.
    """

    droplets: Sequence[Droplet]
    droplets_total: int
    images: Sequence[Image] | None = None
    images_total: int = 0
    reads_policies: bool = True

    def plan(self, rate_limit: RateLimit | None) -> FleetPlan:
        """Decide by the number of requests."""
        each = pages(self.droplets_total) + self._requests_one_by_one()
        obstacle = self.obstacle("auto")
        joined = None if obstacle is not None else self._joined_requests()
        cheaper = joined is not None and joined < each
        return FleetPlan(
            droplets=self.droplets_total,
            images=None if self.images is None else self.images_total,
            joined_requests=joined,
            per_droplet_requests=each,
            joined_seconds=None if joined is None else ideal_seconds(joined, rate_limit),
            per_droplet_seconds=ideal_seconds(each, rate_limit),
            choice="joined" if cheaper else "per_droplet",
            reason=obstacle or f"{joined} requests joined, {each} per Droplet",
        )

    def _requests_one_by_one(self) -> int:
        """Count the pages of the backups of each Droplet."""
        if not self.droplets:
            return self.droplets_total
        seen = sum(pages(len(droplet.backup_ids or ())) for droplet in self.droplets)
        return -(-seen * self.droplets_total // len(self.droplets))

    def _joined_requests(self) -> int:
        """Count the pages; the policies are read for Droplets that name no backup."""
        listings = pages(self.droplets_total) + pages(self.images_total)
        if not self.reads_policies:
            return listings
        empty = sum(not droplet.backup_ids for droplet in self.droplets)
        return listings + min(pages(self.droplets_total), empty)

    @property
    def lacks_backups(self) -> bool:
        """Whether Droplets name backups and none of the images seen is one."""
        named = any(droplet.backup_ids for droplet in self.droplets)
        return named and not any(as_backup(image) for image in self.images or ())

    def obstacle(self, choice: PlanChoice) -> str | None:
        """Tell why the join is not possible or not wanted, as far as the first pages show."""
        obstacle = self.obstacle_of_droplets(choice)
        if obstacle is not None:
            return obstacle
        if self.images is None:
            return "the private images of the account cannot be listed"
        if self.lacks_backups:
            return "the private images of the account show no backups"
        return None

    def obstacle_of_droplets(self, choice: PlanChoice) -> str | None:
        """Tell why the images need not be looked at, as far as the Droplets show."""
        if choice == "auto" and self.droplets_total <= FEW:
            return "so few Droplets cost no more requests one by one"
        if any(droplet.backup_ids is None for droplet in self.droplets):
            return "the token does not see which backups a Droplet has: it lacks `image:read`"
        return None


def pages(total: int) -> int:
    """Return the number of requests that a listing takes: at least one."""
    return max(1, -(-total // MAX_PER_PAGE))


def as_backup(image: Image) -> Backup | None:
    """Return the backup that an image is; ``None`` for another kind, or where a part is missing."""
    if image.type != "backup" or None in (
        image.created_at,
        image.min_disk_size,
        image.name,
        image.regions,
        image.size_gigabytes,
    ):
        return None
    return Backup(**{field.name: getattr(image, field.name) for field in attrs.fields(Backup)})


def joined_backups(
    droplet: Droplet, images: Mapping[int, Backup], policies: Mapping[int, Policy]
) -> list[Backup] | None:
    """Return the backups of a Droplet, oldest first, or ``None`` when they cannot be vouched for.

    They cannot when the Droplet does not say which it has, when one that it names is not among the
    images, and when it names none although its policy is enabled or not known.
    """
    if droplet.backup_ids is None:
        return None
    if not droplet.backup_ids:
        policy = policies.get(droplet.id)
        return [] if policy is not None and policy.backup_enabled is False else None
    found = [images[number] for number in droplet.backup_ids if number in images]
    if len(found) < len(droplet.backup_ids):
        return None
    return oldest_first(found)


def oldest_first(backups: Iterable[Backup]) -> list[Backup]:
    """Return backups in the order in which they were made, which no listing promises."""
    return sorted(backups, key=AGE)


def policies_pay(empty: Iterable[int], policies: Mapping[int, Policy], requests_left: int) -> bool:
    """Tell whether reading more policies is likely to save more requests than it takes.

    The policy of a Droplet that names no backup saves asking about it, if it is disabled.

    Args:
        empty: The Droplets that name no backup.
        policies: The policies read so far.
        requests_left: The requests that the others take.
    """
    unseen = 0
    seen: list[Policy] = []
    for droplet_id in empty:
        if droplet_id in policies:
            seen.append(policies[droplet_id])
        else:
            unseen += 1
    disabled = sum(policy.backup_enabled is False for policy in seen)
    share = disabled / len(seen) if seen else 1.0
    return share * unseen > requests_left
