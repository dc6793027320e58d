"""The audit of an account: its policies and backups are asked for, and judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from .._options import DEFAULT_CONCURRENCY
from ..errors import DeadlineExceededError, NotFoundError
from ..types import DropletBackups, Policy
from ._evidence import Evidence
from .findings import FleetAudit
from .judge import Rules
from .plans import DEFAULT_GRACE

if TYPE_CHECKING:
    from .. import AsyncGradient, DropletType, FanOut, PlanChoice

__all__ = ["audit_account", "policies_of", "results_of"]

MOST_ASKED_SINGLY: Final = 2
"""So few Droplets are asked about one by one: the listing may take any number of requests."""


async def audit_account(
    client: AsyncGradient,
    droplet_ids: Iterable[int] | None = None,
    *,
    type: DropletType | None = None,
    tag_name: str | None = None,
    plan: PlanChoice = "auto",
    now: datetime | None = None,
    max_age: timedelta | None = None,
    grace: timedelta = DEFAULT_GRACE,
    concurrency: int = DEFAULT_CONCURRENCY,
    deadline: float | None = None,
    on_start: Callable[[int], None] | None = None,
    on_result: Callable[[DropletBackups], None] | None = None,
) -> FleetAudit:
    """Ask for all policies and all backups of an account, and judge them.

    The policies are one request for every 200 Droplets of the account, or one each where only one
    or two Droplets are given; the backups are what `list_fleet` takes or, for given Droplets, what
    `list_many` takes.

    Args:
        client: The client.
        droplet_ids: The Droplets to judge; those of the account by default.
        type: Which Droplets of the account, as for `list_fleet`: those with GPUs by default.
        tag_name: Which Droplets of the account, as for `list_fleet`.
        plan: How to ask about the account, as for `list_fleet`.
        now: The moment to judge at; that of the call by default, however long the requests take.
        max_age: As for `audit_droplet`.
        grace: As for `audit_droplet`.
        concurrency: The most Droplets that are asked about at once; 50 by default.
        deadline: Seconds for the backups of all Droplets. Those that are left when it passes are
            an ``error`` each, and the rest is judged. The policies are read before, and each of
            their requests waits for the rate limit for as long at most.
        on_start: Called with the number of Droplets, as soon as it is known.
        on_result: Called with each Droplet's backups as they arrive, for a progress bar.

    Raises:
        AuthenticationError: The token is not valid.
        RateLimitError: The policies had to wait for the rate limit for longer than ``deadline``.
        DeadlineExceededError: The deadline passed before all Droplets of the account were known.
        GradientError: The API could not be asked; see `iter_policies`, `list_fleet`, `list_many`.
        ValueError: As for `audit_droplet` and `list_fleet`, or IDs are given and a choice from the
            account, too.

    Example:
        >>> from datetime import timedelta
        >>> from gradient_async.audit import Finding
        >>> fleet = await audit_account(client, max_age=timedelta(hours=26))
        >>> fleet.counts[Finding.NEVER]
        1
    """
    rules = Rules(now or datetime.now(UTC), max_age, grace)
    named = None if droplet_ids is None else list(dict.fromkeys(droplet_ids))
    policies: dict[int, Policy] = {}
    fan_out = results_of(
        client,
        named,
        type=type,
        tag_name=tag_name,
        plan=plan,
        policies=policies,
        concurrency=concurrency,
        deadline=deadline,
    )
    policies.update(await policies_of(client, named, max_rate_limit_wait=deadline))
    evidence = Evidence(rules, policies, fan_out, on_start, on_result)
    evidence.start()
    try:
        async with fan_out as results:
            async for result in results:
                evidence.add(result)
    except DeadlineExceededError as error:
        evidence.give_up(error)
    return evidence.audit()


def results_of(
    client: AsyncGradient,
    named: Sequence[int] | None,
    *,
    type: DropletType | None,
    tag_name: str | None,
    plan: PlanChoice,
    policies: Mapping[int, Policy],
    concurrency: int,
    deadline: float | None,
) -> FanOut[DropletBackups]:
    """Return the results of the Droplets that are to be judged.

    Made before the policies are read, as it checks the rest; they are there once it begins.
    """
    backups = client.gpu_droplets.backups
    if named is None:
        return backups.list_fleet(
            type=type,
            tag_name=tag_name,
            plan=plan,
            policies=policies,
            concurrency=concurrency,
            deadline=deadline,
        )
    if (type, tag_name, plan) != (None, None, "auto"):
        raise ValueError("type, tag_name and plan are for a whole account: give no droplet_ids")
    return backups.list_many(named, concurrency=concurrency, deadline=deadline)


async def policies_of(
    client: AsyncGradient, named: Sequence[int] | None, *, max_rate_limit_wait: float | None
) -> dict[int, Policy]:
    """Return the policies of all Droplets, or at least of those that are named, by Droplet ID.

    One or two are asked about by themselves. A Droplet that does not exist has no policy.
    """
    backups = client.gpu_droplets.backups
    if named is None or len(named) > MOST_ASKED_SINGLY:
        listing = backups.iter_policies(max_rate_limit_wait=max_rate_limit_wait)
        return {droplet_id: policy async for droplet_id, policy in listing}
    policies: dict[int, Policy] = {}
    for droplet_id in named:
        with suppress(NotFoundError):
            answer = await backups.retrieve_policy(
                droplet_id, max_rate_limit_wait=max_rate_limit_wait
            )
            policies[droplet_id] = answer.policy
    return policies
