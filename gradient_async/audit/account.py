"""The audit of an account: what is asked for, by either client, before it is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Protocol

from ..errors import DeadlineExceededError, NotFoundError
from ..types import DropletBackups
from .findings import FleetAudit
from .judge import Rules
from .plans import DEFAULT_GRACE

if TYPE_CHECKING:
    from .._blocking import BlockingFanOut
    from .._fan_out import FanOut
    from .._fleet import PlanChoice
    from ..client import AsyncGradient
    from ..resources._listings import DropletType
    from ..sync import Gradient
    from ..types import Policy

__all__ = ["audit_account", "audit_account_blocking", "policies_of"]

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
    concurrency: int | None = None,
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
        concurrency: The most Droplets that are asked about at once; the default is `list_fleet`'s.
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
    backups = client.gpu_droplets.backups
    named = None if droplet_ids is None else list(dict.fromkeys(droplet_ids))
    policies: dict[int, Policy] = {}
    fan_out: FanOut[DropletBackups] = _fan_out(
        backups, named, type, tag_name, plan, policies, concurrency, deadline
    )
    policies.update(await policies_of(client, named, max_rate_limit_wait=deadline))
    evidence = _Evidence(rules, policies, fan_out, on_start, on_result)
    evidence.start()
    try:
        async with fan_out as results:
            async for result in results:
                evidence.add(result)
    except DeadlineExceededError as error:
        evidence.give_up(error)
    return evidence.audit()


def audit_account_blocking(
    client: Gradient,
    droplet_ids: Iterable[int] | None = None,
    *,
    type: DropletType | None = None,
    tag_name: str | None = None,
    plan: PlanChoice = "auto",
    now: datetime | None = None,
    max_age: timedelta | None = None,
    grace: timedelta = DEFAULT_GRACE,
    concurrency: int | None = None,
    deadline: float | None = None,
    on_start: Callable[[int], None] | None = None,
    on_result: Callable[[DropletBackups], None] | None = None,
) -> FleetAudit:
    """Do what `audit_account` does, with a blocking client.

    Args:
        client: The client.
        droplet_ids: As for `audit_account`, like the rest.
        type: See there.
        tag_name: See there.
        plan: See there.
        now: See there.
        max_age: See there.
        grace: See there.
        concurrency: See there.
        deadline: See there.
        on_start: See there.
        on_result: See there.

    Raises:
        GradientError: As for `audit_account`.
        ValueError: As for `audit_account`.

    Example:
        >>> with Gradient() as client:
        ...     fleet = audit_account_blocking(client)
        >>> fleet.coverage
        50.0
    """
    rules = Rules(now or datetime.now(UTC), max_age, grace)
    backups = client.gpu_droplets.backups
    named = None if droplet_ids is None else list(dict.fromkeys(droplet_ids))
    policies: dict[int, Policy] = {}
    fan_out: BlockingFanOut[DropletBackups] = _fan_out(
        backups, named, type, tag_name, plan, policies, concurrency, deadline
    )
    policies.update(_policies_of_blocking(client, named, max_rate_limit_wait=deadline))
    evidence = _Evidence(rules, policies, fan_out, on_start, on_result)
    evidence.start()
    try:
        with fan_out as results:
            for result in results:
                evidence.add(result)
    except DeadlineExceededError as error:
        evidence.give_up(error)
    return evidence.audit()


async def policies_of(
    client: AsyncGradient, named: Sequence[int] | None, *, max_rate_limit_wait: float | None
) -> dict[int, Policy]:
    """Return the policies of all Droplets, or at least of those that are named, by Droplet ID.

    One or two are asked about by themselves. A Droplet that does not exist has no policy.
    """
    backups = client.gpu_droplets.backups
    if named is None or len(named) > MOST_ASKED_SINGLY:
        return dict(
            [item async for item in backups.iter_policies(max_rate_limit_wait=max_rate_limit_wait)]
        )
    policies: dict[int, Policy] = {}
    for droplet_id in named:
        with suppress(NotFoundError):
            answer = await backups.retrieve_policy(
                droplet_id, max_rate_limit_wait=max_rate_limit_wait
            )
            policies[droplet_id] = answer.policy
    return policies


def _policies_of_blocking(
    client: Gradient, named: Sequence[int] | None, *, max_rate_limit_wait: float | None
) -> dict[int, Policy]:
    backups = client.gpu_droplets.backups
    if named is None or len(named) > MOST_ASKED_SINGLY:
        return dict(backups.iter_policies(max_rate_limit_wait=max_rate_limit_wait))
    policies: dict[int, Policy] = {}
    for droplet_id in named:
        with suppress(NotFoundError):
            answer = backups.retrieve_policy(droplet_id, max_rate_limit_wait=max_rate_limit_wait)
            policies[droplet_id] = answer.policy
    return policies


def _fan_out(
    backups: Any,
    named: Sequence[int] | None,
    type: DropletType | None,
    tag_name: str | None,
    plan: PlanChoice,
    policies: Mapping[int, Policy],
    concurrency: int | None,
    deadline: float | None,
) -> Any:
    """Return the results of the Droplets that are to be judged, of either client.

    Made before the policies are read, as it checks the rest; they are there once it begins.
    """
    options = {"deadline": deadline} | ({} if concurrency is None else {"concurrency": concurrency})
    if named is None:
        return backups.list_fleet(
            type=type, tag_name=tag_name, plan=plan, policies=policies, **options
        )
    if (type, tag_name, plan) != (None, None, "auto"):
        raise ValueError("type, tag_name and plan are for a whole account: give no droplet_ids")
    return backups.list_many(named, **options)


class _Results(Protocol):
    """What is known of results that have not come yet."""

    @property
    def total(self) -> int | None: ...


class _Evidence:
    """What is gathered from an account before it is judged, by either client."""

    def __init__(
        self,
        rules: Rules,
        policies: Mapping[int, Policy],
        fan_out: _Results,
        on_start: Callable[[int], None] | None,
        on_result: Callable[[DropletBackups], None] | None,
    ) -> None:
        self._results: list[DropletBackups] = []
        self._rules = rules
        self._policies = policies
        self._fan_out = fan_out
        self._on_start = on_start
        self._on_result = on_result

    def start(self) -> None:
        """Tell how many Droplets there are, once, when it is known."""
        if self._on_start is not None and self._fan_out.total is not None:
            self._on_start(self._fan_out.total)
            self._on_start = None

    def add(self, result: DropletBackups) -> None:
        self.start()
        self._results.append(result)
        if self._on_result is not None:
            self._on_result(result)

    def give_up(self, error: DeadlineExceededError) -> None:
        """Take the Droplets without an answer for failed, if it is known which they are."""
        self.start()
        total = self._fan_out.total
        if total is None or len(self._results) + len(error.missing) < total:
            raise error
        for droplet_id in error.missing:
            late = DeadlineExceededError(deadline=error.deadline, missing=(droplet_id,))
            self._results.append(DropletBackups(droplet_id, error=late))

    def audit(self) -> FleetAudit:
        self.start()
        asked = {result.droplet_id for result in self._results}
        policies = {key: policy for key, policy in self._policies.items() if key in asked}
        return self._rules.audit_fleet(policies, self._results)
