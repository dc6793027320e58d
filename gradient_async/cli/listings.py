"""The commands that list: backups, policies, plans."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs

from .. import AsyncGradient, GradientError
from .._fan_out import FanOut, ends_run
from ..types import DropletBackups, SupportedPolicy
from .columns import Layout
from .job import Job, perform
from .layouts import BACKUPS, PLANS, POLICIES, DropletPolicy, droplets
from .options import Connection, Destination
from .resume import Resumed
from .run import Run
from .text import count_of, gigabytes

__all__ = ["list_backups", "list_plans", "list_policies"]


@attrs.define
class _Totals:
    """Sums over the Droplets of a run."""

    backups: int = 0
    size: float = 0.0
    without: int = 0

    def add(self, result: DropletBackups) -> None:
        self.backups += len(result.backups)
        self.size += sum(backup.size_gigabytes for backup in result.backups)
        self.without += not (result.backups or result.error)

    def summary(self, run: Run[DropletBackups]) -> str:
        parts = [
            count_of(run.tally.done, "Droplet"),
            f"{count_of(self.backups, 'backup')}, {gigabytes(self.size)}",
            f"{self.without:,} without backups" if self.without else "",
            f"{run.tally.failed:,} failed" if run.tally.failed else "",
        ]
        return " · ".join(filter(None, parts))


def list_backups(
    connection: Connection,
    destination: Destination,
    droplet_ids: tuple[int, ...],
    rows: str | None,
    resume: str | None,
) -> int:
    """Run ``backups``.

    Args:
        connection: The options about the API.
        destination: The options about the output.
        droplet_ids: The Droplets, none for all of the account.
        rows: ``"backup"`` or ``"droplet"``, or ``None`` for what suits.
        resume: The name of an export to be completed.

    Returns:
        The exit code.
    """
    resumed = None if resume is None else Resumed.named(resume, destination)
    whole_table = not droplet_ids and destination.format in (None, "table")
    by_droplet = whole_table if rows is None else rows == "droplet"
    layout: Layout[DropletBackups, Any] = droplets(datetime.now(UTC)) if by_droplet else BACKUPS
    totals = _Totals()

    async def work(client: AsyncGradient, run: Run[DropletBackups]) -> None:
        wanted = dict.fromkeys(droplet_ids or await _all_droplets(client))
        finished = resumed.droplet_ids if resumed else ()
        run.about([droplet_id for droplet_id in wanted if droplet_id not in finished])
        async with client.gpu_droplets.backups.list_many(
            run.asked or (), concurrency=connection.concurrency
        ) as results:
            async for result in results:
                totals.add(result)
                run.take(result.droplet_id, result, result.error)

    def failed(run: Run[DropletBackups]) -> bool:
        return bool(run.failures) and not connection.simulate  # there, one is meant to fail

    job = Job("Backups", layout, work, totals.summary, failed, resumable=True, resumed=resumed)
    return perform(job, connection, destination)


async def _all_droplets(client: AsyncGradient) -> list[int]:
    policies = client.gpu_droplets.backups.iter_policies(max_rate_limit_wait=None)
    return [droplet_id async for droplet_id, _ in policies]


def list_policies(
    connection: Connection, destination: Destination, droplet_ids: tuple[int, ...]
) -> int:
    """Run ``policies``; the arguments are those of `list_backups`."""

    async def work(client: AsyncGradient, run: Run[DropletPolicy]) -> None:
        if not droplet_ids:
            policies = client.gpu_droplets.backups.iter_policies(max_rate_limit_wait=None)
            async for droplet_id, policy in policies:
                run.take(droplet_id, DropletPolicy(droplet_id, policy), None)
            return
        run.about(list(dict.fromkeys(droplet_ids)))
        async with _retrieve_many(client, run.asked or (), connection.concurrency) as results:
            async for result in results:
                run.take(result.droplet_id, result, result.error)

    def summary(run: Run[DropletPolicy]) -> str:
        return count_of(run.tally.done, "Droplet")

    return perform(Job("Policies", POLICIES, work, summary), connection, destination)


def _retrieve_many(
    client: AsyncGradient, droplet_ids: Sequence[int], concurrency: int
) -> FanOut[DropletPolicy]:
    async def retrieve(droplet_id: int) -> DropletPolicy:
        try:
            answer = await client.gpu_droplets.backups.retrieve_policy(
                droplet_id, max_rate_limit_wait=None
            )
        except GradientError as error:
            if ends_run(error):
                raise
            return DropletPolicy(droplet_id, error=error)
        return DropletPolicy(droplet_id, answer.policy)

    return FanOut(droplet_ids, retrieve, concurrency=concurrency)


def list_plans(connection: Connection, destination: Destination) -> int:
    """Run ``supported-policies``; the arguments are those of `list_backups`."""

    async def work(client: AsyncGradient, run: Run[SupportedPolicy]) -> None:
        answer = await client.gpu_droplets.backups.list_supported_policies(max_rate_limit_wait=None)
        for number, plan in enumerate(answer.supported_policies):
            run.take(number, plan, None)

    def summary(run: Run[SupportedPolicy]) -> str:
        return count_of(run.tally.done, "plan")

    return perform(Job("Plans", PLANS, work, summary), connection, destination)
