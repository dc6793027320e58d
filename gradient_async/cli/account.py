"""The Droplets that ``backups`` and ``audit`` are about, and how they are asked about."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

import attrs

from .. import AsyncGradient
from .._fan_out import FanOut
from .._fleet import FleetPlan
from ..types import Droplet, DropletBackups, Policy
from .job import Job, perform
from .layouts import FLEET_PLAN
from .options import Account, Connection, Destination
from .run import Results, Run

__all__ = ["may_join", "rest_of", "results_of", "show_fleet_plan"]

TOO_FEW_TO_JOIN: Final = 4
"""So few are asked about by themselves: the join and a look at its cost take as many requests."""


def results_of(
    client: AsyncGradient,
    droplet_ids: Collection[int],
    account: Account,
    concurrency: int,
    policies: Mapping[int, Policy] | None = None,
) -> FanOut[DropletBackups]:
    """Ask about these Droplets or, if there are none, about the account.

    Args:
        client: The client.
        droplet_ids: The Droplets.
        account: Which Droplets of the account, and how it is asked about.
        concurrency: The most Droplets that are asked about at once.
        policies: The policies, if they were read before.
    """
    backups = client.gpu_droplets.backups
    if droplet_ids:
        return backups.list_many(droplet_ids, concurrency=concurrency)
    return backups.list_fleet(
        type=account.type,
        tag_name=account.tag_name,
        plan=account.plan,
        policies=policies,
        concurrency=concurrency,
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
    """Do as `results_of` without the Droplets that are finished.

    The Droplets of the account are listed first, so that it is known which are left whatever comes
    then. They are asked about by themselves, or the account is joined once more where that takes
    fewer requests; it lists the Droplets again.
    """
    backups = client.gpu_droplets.backups
    if droplet_ids:
        rest = [droplet_id for droplet_id in droplet_ids if droplet_id not in finished]
        return backups.list_many(rest, concurrency=concurrency)
    listing = client.gpu_droplets.iter_droplets(
        type=account.type, tag_name=account.tag_name, max_rate_limit_wait=None
    )
    droplets = {droplet.id: droplet async for droplet in listing if droplet.id not in finished}
    if await _joining_pays(client, account, len(droplets)):
        results = results_of(client, (), account, concurrency)
    else:
        results = backups.list_many(list(droplets), concurrency=concurrency)
    return _Rest(results, droplets, len(droplets))


async def _joining_pays(client: AsyncGradient, account: Account, left: int) -> bool:
    """Tell whether to join the whole account and not to ask about each Droplet that is left.

    By the plan that was chosen; ``auto`` joins if that takes fewer requests.
    """
    if account.plan != "auto":
        return account.plan == "joined" and left > 0
    if left <= TOO_FEW_TO_JOIN:
        return False
    plan = await client.gpu_droplets.backups.plan_fleet(
        type=account.type, tag_name=account.tag_name, max_rate_limit_wait=None
    )
    return plan.joined_requests is not None and plan.joined_requests < left


@attrs.define
class _Rest:
    """The results of these Droplets only, each with its Droplet beside it."""

    _results: FanOut[DropletBackups]
    _left: dict[int, Droplet]
    total: int

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(self._left)

    def __aiter__(self) -> _Rest:
        return self

    async def __anext__(self) -> DropletBackups:
        while True:
            result = await anext(self._results)
            if droplet := self._left.pop(result.droplet_id, None):
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
