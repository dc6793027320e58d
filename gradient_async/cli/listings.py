"""The commands that list: backups, policies, supported policies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import attrs

from .. import AsyncGradient, GradientError
from .._fan_out import FanOut, ends_run
from ..types import DropletBackups, SupportedPolicy
from .account import may_join, rest_of, results_of, show_fleet_plan
from .job import Job, perform
from .layouts import (
    BACKUPS,
    POLICIES,
    SUPPORTED_POLICIES,
    DropletPolicy,
    droplet_name,
    droplets_layout,
)
from .options import Account, Connection, Destination
from .resume import Resumed
from .run import Results, Run
from .text import count_of, gigabytes

__all__ = ["list_backups", "list_policies", "list_supported_policies"]


@attrs.define
class _Lister:
    """Asks about Droplets, and sums up what they have."""

    droplet_ids: Sequence[int]
    account: Account
    concurrency: int
    resumed: Resumed | None
    backups: int = 0
    size: float = 0.0
    without: int = 0

    async def work(self, client: AsyncGradient, run: Run[DropletBackups]) -> None:
        def take(result: DropletBackups) -> None:
            self.add(result)
            run.take(result.droplet_id, result, result.error, droplet_name(result))

        about = client, self.droplet_ids, self.account, self.concurrency
        results: Results[DropletBackups]
        if self.resumed:
            run.tally.listing = not self.droplet_ids
            results = await rest_of(*about, self.resumed.droplet_ids)
        else:
            results = results_of(*about)
        await run.take_all(results, take, listing=may_join(self.droplet_ids, self.account))

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
    account: Account,
    droplet_ids: tuple[int, ...],
    rows: str | None,
    resume: str | None,
) -> int:
    """Run ``backups``.

    Args:
        connection: The options about the API.
        destination: The options about the output.
        account: The options about the Droplets of the account.
        droplet_ids: The Droplets, none for all of the account.
        rows: ``"backup"`` or ``"droplet"``, or ``None`` for what suits.
        resume: The name of an export to be completed.

    Returns:
        The exit code.
    """
    account.check(droplet_ids)
    if account.dry_run:
        return show_fleet_plan(connection, destination, account)
    resumed = None if resume is None else Resumed.named(resume, destination)
    lister = _Lister(droplet_ids, account, connection.concurrency, resumed)
    whole_table = not droplet_ids and destination.format in (None, "table")
    by_droplet = whole_table if rows is None else rows == "droplet"
    job: Job[DropletBackups] = Job(
        title="Backups",
        layout=droplets_layout(datetime.now(UTC)) if by_droplet else BACKUPS,
        work=lister.work,
        summary=lister.summary,
        order=droplet_ids,
        resumed=resumed,
        again=["gradient-async", "backups", *account.arguments(), *map(str, droplet_ids)],
    )
    return perform(job, connection, destination)


def list_policies(
    connection: Connection, destination: Destination, droplet_ids: tuple[int, ...]
) -> int:
    """Run ``policies``; the arguments are those of `list_backups`."""

    async def work(client: AsyncGradient, run: Run[DropletPolicy]) -> None:
        if not droplet_ids:
            run.tally.listing = True
            policies = client.gpu_droplets.backups.iter_policies(max_rate_limit_wait=None)
            async for droplet_id, policy in policies:
                run.take(droplet_id, DropletPolicy(droplet_id, policy), None)
            return

        def take(result: DropletPolicy) -> None:
            run.take(result.droplet_id, result, result.error)

        await run.take_all(_retrieve_many(client, droplet_ids, connection.concurrency), take)

    def summary(run: Run[DropletPolicy]) -> str:
        return count_of(run.tally.done, "Droplet")

    job = Job("Policies", POLICIES, work, summary, order=droplet_ids)
    return perform(job, connection, destination)


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


def list_supported_policies(connection: Connection, destination: Destination) -> int:
    """Run ``supported-policies``; the arguments are those of `list_backups`."""

    async def work(client: AsyncGradient, run: Run[SupportedPolicy]) -> None:
        answer = await client.gpu_droplets.backups.list_supported_policies(max_rate_limit_wait=None)
        for number, plan in enumerate(answer.supported_policies):
            run.take(number, plan, None)

    def summary(run: Run[SupportedPolicy]) -> str:
        return count_of(run.tally.done, "plan")

    return perform(Job("Plans", SUPPORTED_POLICIES, work, summary), connection, destination)
