"""The Droplets that ``backups`` and ``audit`` are about, and how they are asked about."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import attrs

from .. import AsyncGradient
from .._fan_out import FanOut
from .._fleet import FleetPlan
from ..types import Droplet, DropletBackups
from .job import Job, perform
from .layouts import FLEET_PLAN
from .options import Account, Connection, Destination
from .run import Results, Run

__all__ = ["may_join", "rest_of", "results_of", "show_fleet_plan"]

FEWEST_JOINED = 3
"""The join takes at least so many requests: a page of each listing."""


def results_of(
    client: AsyncGradient, droplet_ids: Collection[int], account: Account, concurrency: int
) -> FanOut[DropletBackups]:
    """Ask about these Droplets or, if there are none, about the account."""
    backups = client.gpu_droplets.backups
    if droplet_ids:
        return backups.list_many(list(dict.fromkeys(droplet_ids)), concurrency=concurrency)
    return backups.list_fleet(
        type=account.type, tag_name=account.tag_name, plan=account.plan, concurrency=concurrency
    )


def may_join(droplet_ids: Collection[int], account: Account) -> bool:
    """Tell whether listings may be read before any Droplet has its answer."""
    return not droplet_ids and account.plan != "per_droplet"


async def rest_of(
    client: AsyncGradient,
    droplet_ids: Collection[int],
    account: Account,
    concurrency: int,
    finished: Collection[int],
) -> Results[DropletBackups]:
    """Do as `results_of` without the Droplets that are finished, in as few requests as it takes."""
    backups = client.gpu_droplets.backups
    if droplet_ids:
        rest = [droplet_id for droplet_id in droplet_ids if droplet_id not in finished]
        return backups.list_many(list(dict.fromkeys(rest)), concurrency=concurrency)
    listing = client.gpu_droplets.iter_droplets(
        type=account.type, tag_name=account.tag_name, max_rate_limit_wait=None
    )
    droplets = {droplet.id: droplet async for droplet in listing if droplet.id not in finished}
    if await _joining_pays(client, account, len(droplets)):
        return _Rest(results_of(client, (), account, concurrency), droplets)
    return _Rest(backups.list_many(droplets, concurrency=concurrency), droplets)


async def _joining_pays(client: AsyncGradient, account: Account, left: int) -> bool:
    """Tell whether joining the whole account takes fewer requests than asking about the rest."""
    if account.plan != "auto":
        return account.plan == "joined" and left > 0
    if left <= FEWEST_JOINED:
        return False
    plan = await client.gpu_droplets.backups.plan_fleet(
        type=account.type, tag_name=account.tag_name, max_rate_limit_wait=None
    )
    return plan.joined_requests is not None and plan.joined_requests < left


@attrs.define
class _Rest:
    """The results of these Droplets only, each with its Droplet beside it."""

    _results: FanOut[DropletBackups]
    _droplets: Mapping[int, Droplet]

    @property
    def total(self) -> int:
        return len(self._droplets)

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(self._droplets)

    def __aiter__(self) -> _Rest:
        return self

    async def __anext__(self) -> DropletBackups:
        while True:
            result = await anext(self._results)
            if droplet := self._droplets.get(result.droplet_id):
                return attrs.evolve(result, droplet=droplet)

    async def aclose(self) -> None:
        await self._results.aclose()


def show_fleet_plan(connection: Connection, destination: Destination, account: Account) -> int:
    """Print what asking about the account would cost, whatever else the options say.

    Returns:
        The exit code.
    """

    async def work(client: AsyncGradient, run: Run[FleetPlan]) -> None:
        plan = await client.gpu_droplets.backups.plan_fleet(
            type=account.type, tag_name=account.tag_name, max_rate_limit_wait=None
        )
        run.take(0, plan, None)

    job = Job("Plan", FLEET_PLAN, work, lambda _: "looked at the first pages")
    return perform(job, connection, Destination(format=destination.format))
