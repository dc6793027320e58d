"""Is every Droplet backed up as its policy says? Pure: policies, backups and a moment in.

`audit_droplet` judges one Droplet and `audit_fleet` all of them; neither asks the API. Who has a
client and no data yet takes `audit_account`, or `audit_account_blocking` without an event loop.

Example:
    >>> from datetime import UTC, datetime
    >>> from gradient_async.types import DropletBackupPolicy, Policy
    >>> policy = Policy(True, DropletBackupPolicy(plan="daily", hour=4), droplet_id=3164444)
    >>> audit = audit_droplet(policy, [], now=datetime(2026, 9, 1, tzinfo=UTC))
    >>> print(audit.finding, "-", audit.reason)
    never - Backups are enabled, but there is none yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from math import floor, fsum
from typing import TYPE_CHECKING, Any, Final, Protocol

import attrs

from .errors import DeadlineExceededError
from .types import DropletBackupPolicy, DropletBackups

if TYPE_CHECKING:
    from ._blocking import BlockingFanOut
    from ._fan_out import FanOut
    from ._fleet import PlanChoice
    from .client import AsyncGradient
    from .errors import GradientError
    from .resources._listings import DropletType
    from .sync import Gradient
    from .types import Backup, DropletNextBackupWindow, Policy

__all__ = [
    "DEFAULT_GRACE",
    "DEFAULT_WINDOW",
    "DropletAudit",
    "Finding",
    "FleetAudit",
    "audit_account",
    "audit_account_blocking",
    "audit_droplet",
    "audit_fleet",
    "format_duration",
    "plan_interval",
]

DEFAULT_GRACE: Final = timedelta(hours=2)
"""How much later than its window a backup may appear, and how far two clocks may differ."""

DEFAULT_WINDOW: Final = timedelta(hours=4)
"""The length of a backup window where the policy names none. Every documented plan has it."""

_CENTURY: Final = timedelta(days=36_525)
_UNNAMED: Final = "its policy names no plan"
_NO_PLAN: Final = DropletBackupPolicy()
_INTRA_DAILY: Final = re.compile(r"intra_daily_([1-9]|1[0-9]|2[0-3])h", re.ASCII)


class Finding(StrEnum):
    """What an audit finds about a Droplet, the more urgent the later."""

    OK = "ok"
    """The newest backup is recent enough, and none is missing."""
    DISABLED = "disabled"
    """Backups are disabled, which somebody decided. There may be old ones."""
    UNKNOWN_PLAN = "unknown_plan"
    """There are backups; how often the plan makes one is not known, so they are not judged."""
    SHORT = "short"
    """The newest backup is recent enough; of those before it there are fewer than promised."""
    OVERDUE = "overdue"
    """The newest backup is older than the policy allows."""
    NEVER = "never"
    """Backups are enabled, and there is none."""
    ERROR = "error"
    """The policy or the backups of the Droplet could not be had."""

    @property
    def severity(self) -> int:
        """0 for ``ok``, and higher for what is more urgent."""
        return list(Finding).index(self)


def plan_interval(plan: str | None) -> timedelta | None:
    """Give the time between two backups of a plan, ``None`` where its name does not tell.

    Args:
        plan: ``"daily"``, ``"weekly"``, or ``"intra_daily_<n>h"`` with 1 to 23 hours. Any other
            plan gives ``None``, never a guess.

    Example:
        >>> plan_interval("intra_daily_4h")
        datetime.timedelta(seconds=14400)
        >>> plan_interval("monthly") is None
        True
    """
    if plan == "daily":
        return timedelta(days=1)
    if plan == "weekly":
        return timedelta(weeks=1)
    hours = _INTRA_DAILY.fullmatch(plan or "")
    return timedelta(hours=int(hours[1])) if hours else None


def format_duration(duration: timedelta) -> str:
    """Write a duration for people, rounded down to its two largest units.

    Example:
        >>> format_duration(timedelta(days=10, hours=3, minutes=59))
        '10 d 3 h'
        >>> format_duration(timedelta(hours=7))
        '7 h'
    """
    minutes = max(0, duration // timedelta(minutes=1))
    days, rest = divmod(minutes, 24 * 60)
    parts = [(days, "d"), (rest // 60, "h"), (rest % 60, "min")]
    while len(parts) > 1 and not parts[0][0]:
        del parts[0]
    first, *others = (f"{number} {unit}" for number, unit in parts[:2] if number or len(parts) == 1)
    return " ".join([first, *others])


@attrs.frozen(kw_only=True)
class DropletAudit:
    """What was found about one Droplet. All times are in UTC.

    Attributes:
        droplet_id: The Droplet.
        droplet_name: Its name, ``None`` where it is not known: a run over the whole account knows
            it, one over given IDs does not.
        finding: What was found.
        reason: The finding in one sentence, for people.
        plan: The plan of its policy, ``None`` without one.
        interval: The time between two backups of the plan, ``None`` where it is not known.
        allowed_age: The age of the newest backup from which on it is overdue, ``None`` where that
            is not known.
        retention_period_days: How many days a backup is kept, ``None`` where the policy names none.
        kept: How many backups are within the retention, ``None`` where the policy names none.
        promised: The fewest backups within the retention that the policy promises for the history
            of the Droplet; ``None`` where that cannot be told.
        next_window: When the next backup will be made, if the API names it.
        backup_times: When each backup was made, oldest first; those in the future are among them.
        newest: The newest backup that is not in the future, ``None`` without one.
        oldest: The oldest backup that is not in the future, ``None`` without one.
        newest_name: The name of the newest backup.
        age: The age of the newest backup, ``None`` without one; never negative.
        in_future: How many backups are dated later than now and the grace. A clock is wrong. They
            protect nobody: neither ``newest`` nor ``age`` regard them.
        total_gigabytes: The size of all backups in GB.
        error: Why the backups could not be had.
    """

    droplet_id: int
    droplet_name: str | None = None
    finding: Finding
    reason: str
    plan: str | None = None
    interval: timedelta | None = None
    allowed_age: timedelta | None = None
    retention_period_days: int | None = None
    kept: int | None = None
    promised: int | None = None
    next_window: DropletNextBackupWindow | None = None
    backup_times: tuple[datetime, ...] = ()
    newest: datetime | None = None
    oldest: datetime | None = None
    newest_name: str | None = None
    age: timedelta | None = None
    in_future: int = 0
    total_gigabytes: float = 0.0
    error: GradientError | None = None

    @property
    def count(self) -> int:
        """The number of backups."""
        return len(self.backup_times)

    def to_dict(self) -> dict[str, str | int | float | None]:
        """Give one flat row for machines, ready for JSON or CSV.

        The keys and their order are part of the public interface; new ones are added at the end.
        Times are ISO 8601 in UTC with a ``Z``, durations are whole seconds.
        """
        window = self.next_window
        return {
            "droplet_id": self.droplet_id,
            "droplet_name": self.droplet_name,
            "finding": self.finding.value,
            "reason": self.reason,
            "plan": self.plan,
            "retention_period_days": self.retention_period_days,
            "newest": _iso(self.newest),
            "oldest": _iso(self.oldest),
            "age_seconds": _seconds(self.age),
            "allowed_age_seconds": _seconds(self.allowed_age),
            "interval_seconds": _seconds(self.interval),
            "count": self.count,
            "kept": self.kept,
            "promised": self.promised,
            "in_future": self.in_future,
            "total_gigabytes": round(self.total_gigabytes, 3),
            "next_window_start": _iso(window.start if window else None),
            "next_window_end": _iso(window.end if window else None),
            "newest_name": self.newest_name,
            "error": None if self.error is None else str(self.error),
        }


@attrs.frozen
class FleetAudit:
    """What was found about all Droplets. It can be iterated over, and has a length.

    Attributes:
        audits: One for each Droplet, by Droplet ID.
        now: The moment that the fleet was judged at, in UTC.
        max_age: The age that was allowed in place of the plans' own, if one was given.
        grace: The grace.
    """

    audits: tuple[DropletAudit, ...]
    now: datetime
    max_age: timedelta | None = None
    grace: timedelta = DEFAULT_GRACE

    def __iter__(self) -> Iterator[DropletAudit]:
        return iter(self.audits)

    def __len__(self) -> int:
        return len(self.audits)

    def with_findings(self, findings: Collection[Finding]) -> tuple[DropletAudit, ...]:
        """Give the Droplets with one of the findings.

        Example:
            >>> fleet = await audit_account(client)
            >>> late = fleet.with_findings({Finding.OVERDUE, Finding.NEVER})
            >>> [audit.droplet_id for audit in late]
            [3164445]
        """
        return tuple(audit for audit in self.audits if audit.finding in findings)

    @property
    def counts(self) -> dict[Finding, int]:
        """The number of Droplets for every finding, also where it is 0."""
        counts = dict.fromkeys(Finding, 0)
        for audit in self.audits:
            counts[audit.finding] += 1
        return counts

    @property
    def coverage(self) -> float | None:
        """The percentage of Droplets that are ``ok``, ``None`` where there is no Droplet.

        Rounded down to a tenth, so that 100.0 says that it is really every Droplet.
        """
        return floor(1000 * self.counts[Finding.OK] / len(self)) / 10 if self.audits else None

    @property
    def total_gigabytes(self) -> float:
        """The size of all backups in GB."""
        return fsum(audit.total_gigabytes for audit in self.audits)

    @property
    def worst_recovery_point(self) -> DropletAudit | None:
        """The Droplet, of those with backups enabled, whose newest backup is the oldest.

        ``None`` where no such Droplet has a backup. Those without any have no recovery point at
        all: they are counted under ``never``.
        """
        enabled = (audit for audit in self.audits if audit.finding is not Finding.DISABLED)
        return max(
            (audit for audit in enabled if audit.age is not None),
            key=lambda audit: audit.age or timedelta(),
            default=None,
        )

    def summary(self) -> dict[str, Any]:
        """Give the figures of the fleet for machines, ready for JSON."""
        worst = self.worst_recovery_point
        return {
            "now": _iso(self.now),
            "droplets": len(self),
            "backups": sum(audit.count for audit in self.audits),
            "findings": {finding.value: number for finding, number in self.counts.items()},
            "coverage_percent": self.coverage,
            "total_gigabytes": round(self.total_gigabytes, 3),
            "worst_recovery_point": worst
            and {
                "droplet_id": worst.droplet_id,
                "droplet_name": worst.droplet_name,
                "newest": _iso(worst.newest),
                "age_seconds": _seconds(worst.age),
            },
            "max_age_seconds": _seconds(self.max_age),
            "grace_seconds": _seconds(self.grace),
        }

    def to_dict(self) -> dict[str, Any]:
        """Give ``{"summary": ..., "droplets": [...]}`` for machines, ready for JSON."""
        return {
            "summary": self.summary(),
            "droplets": [audit.to_dict() for audit in self.audits],
        }


def audit_droplet(
    policy: Policy | None,
    backups: Iterable[Backup],
    *,
    now: datetime,
    droplet_id: int | None = None,
    droplet_name: str | None = None,
    error: GradientError | None = None,
    max_age: timedelta | None = None,
    grace: timedelta = DEFAULT_GRACE,
) -> DropletAudit:
    """Judge the backups of one Droplet by its policy. The first of these that holds is the finding.

    - ``error``: there is no policy.
    - ``disabled``: ``backup_enabled`` is not true, whatever old backups there are.
    - ``error``: an ``error`` is given.
    - ``never``: there is no backup, or each is dated later than ``now + grace``.
    - ``unknown_plan``: the policy names no plan, or one that `plan_interval` does not know, and
      there is no ``max_age``.
    - ``overdue``: the newest backup is older than ``max_age``; without one, older than the plan's
      interval, the length of its window (4 hours where the policy names none) and the grace.
    - ``short``: there are fewer backups within the retention than the policy promises. Of the
      intervals since the oldest of them, those count whose window and grace have certainly ended by
      now, or that ended with the newest: the larger of ``ceil((now - oldest - late) / interval)``
      and ``1 + ceil((newest - oldest - late) / interval)``, where ``late`` is the window and the
      grace. So the one that is just being made is allowed for. Where the Droplet has older backups,
      too, it is also at least ``ceil((retention - late - grace) / interval) - 1``. After a change
      of plan it takes one retention until the backups are as the new one promises. Not judged where
      the interval or the retention is not known.
    - ``ok`` otherwise.

    A backup in the future by no more than the grace counts as made now; a later one does not count
    at all. Times may be in any time zone.

    Args:
        policy: The policy, or ``None`` where the API named none for the Droplet.
        backups: All backups of the Droplet, in any order.
        now: The moment to judge at, with a time zone.
        droplet_id: The Droplet, where the policy does not name it.
        droplet_name: Its name, if it is known.
        error: Why the backups could not be had.
        max_age: The age up to which the newest backup is recent enough, whatever the plan; neither
            window nor grace are added to it.
        grace: How much later than its window a backup may appear, and how far clocks may differ.

    Raises:
        ValueError: ``now`` or a backup has no time zone, ``max_age`` is not positive, ``grace`` is
            negative, or nothing names the Droplet.

    Example:
        >>> answer = await client.gpu_droplets.backups.retrieve_policy(3164444)
        >>> page = await client.gpu_droplets.backups.list(3164444, per_page=200)
        >>> audit = audit_droplet(answer.policy, page.backups, now=datetime.now(UTC))
        >>> audit.finding
        <Finding.OK: 'ok'>
    """
    if droplet_id is None:
        droplet_id = policy.droplet_id if policy else None
    if droplet_id is None:
        raise ValueError("the policy does not name its Droplet: give droplet_id")
    result = DropletBackups(droplet_id, list(backups), error)
    return _Rules(now, max_age, grace).audit(droplet_id, droplet_name, policy, result)


def audit_fleet(
    policies: Mapping[int, Policy],
    results: Iterable[DropletBackups],
    *,
    now: datetime,
    max_age: timedelta | None = None,
    grace: timedelta = DEFAULT_GRACE,
) -> FleetAudit:
    """Judge many Droplets, each as `audit_droplet` does.

    A Droplet that has a policy and no result is an ``error`` (unless its backups are disabled), and
    so is one that has a result and no policy: it may have been made or deleted meanwhile.

    Args:
        policies: The policies by Droplet ID.
        results: What `list_many` gave; of two for one Droplet the later holds.
        now: As for `audit_droplet`, like the rest.
        max_age: See there.
        grace: See there.

    Raises:
        ValueError: As for `audit_droplet`.

    Example:
        >>> backups = client.gpu_droplets.backups
        >>> policies = {number: policy async for number, policy in backups.iter_policies()}
        >>> results = [result async for result in backups.list_many(list(policies))]
        >>> fleet = audit_fleet(policies, results, now=datetime.now(UTC))
        >>> fleet.coverage
        50.0
        >>> [audit.droplet_id for audit in fleet.with_findings({Finding.NEVER})]
        [3164445]
    """
    rules = _Rules(now, max_age, grace)
    answers = {result.droplet_id: result for result in results}
    audits = (
        rules.audit(
            droplet_id,
            _name(answers.get(droplet_id)),
            policies.get(droplet_id),
            answers.get(droplet_id),
        )
        for droplet_id in sorted({*policies, *answers})
    )
    return FleetAudit(tuple(audits), rules.now, max_age, grace)


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

    The policies are one request for every 200 Droplets; the backups are what `list_fleet` takes or,
    for given Droplets, what `list_many` takes.

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
            an ``error`` each, and the rest is judged.
        on_start: Called with the number of Droplets, as soon as it is known.
        on_result: Called with each Droplet's backups as they arrive, for a progress bar.

    Raises:
        AuthenticationError: The token is not valid.
        DeadlineExceededError: The deadline passed before all Droplets of the account were known.
        GradientError: The API could not be asked; see `iter_policies`, `list_fleet`, `list_many`.
        ValueError: As for `audit_droplet` and `list_fleet`, or IDs are given and a choice from the
            account, too.

    Example:
        >>> fleet = await audit_account(client, max_age=timedelta(hours=26))
        >>> fleet.counts[Finding.NEVER]
        1
    """
    rules = _Rules(now or datetime.now(UTC), max_age, grace)
    backups = client.gpu_droplets.backups
    fan_out: FanOut[DropletBackups] = _fan_out(
        backups, droplet_ids, type, tag_name, plan, concurrency, deadline
    )
    run = _Collection(rules, fan_out, on_start, on_result)
    async for droplet_id, policy in backups.iter_policies(max_rate_limit_wait=deadline):
        run.policies[droplet_id] = policy
    run.start()
    try:
        async with fan_out as results:
            async for result in results:
                run.add(result)
    except DeadlineExceededError as error:
        run.give_up(error)
    return run.audit()


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
    rules = _Rules(now or datetime.now(UTC), max_age, grace)
    backups = client.gpu_droplets.backups
    fan_out: BlockingFanOut[DropletBackups] = _fan_out(
        backups, droplet_ids, type, tag_name, plan, concurrency, deadline
    )
    run = _Collection(rules, fan_out, on_start, on_result)
    run.policies.update(backups.iter_policies(max_rate_limit_wait=deadline))
    run.start()
    try:
        with fan_out as results:
            for result in results:
                run.add(result)
    except DeadlineExceededError as error:
        run.give_up(error)
    return run.audit()


def _fan_out(
    backups: Any,
    droplet_ids: Iterable[int] | None,
    type: DropletType | None,
    tag_name: str | None,
    plan: PlanChoice,
    concurrency: int | None,
    deadline: float | None,
) -> Any:
    """Give the results of the Droplets that are to be judged, of either client."""
    options = {"deadline": deadline} | ({} if concurrency is None else {"concurrency": concurrency})
    if droplet_ids is None:
        return backups.list_fleet(type=type, tag_name=tag_name, plan=plan, **options)
    if (type, tag_name, plan) != (None, None, "auto"):
        raise ValueError("type, tag_name and plan are for a whole account: give no droplet_ids")
    return backups.list_many(list(dict.fromkeys(droplet_ids)), **options)


class _Results(Protocol):
    """What is known of results that have not come yet."""

    @property
    def total(self) -> int | None: ...


class _Collection:
    """What is gathered from an account before it is judged, by either client."""

    def __init__(
        self,
        rules: _Rules,
        fan_out: _Results,
        on_start: Callable[[int], None] | None,
        on_result: Callable[[DropletBackups], None] | None,
    ) -> None:
        self.policies: dict[int, Policy] = {}
        self._results: list[DropletBackups] = []
        self._rules = rules
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
        if len(self._results) + len(error.missing) < (self._fan_out.total or 1):
            raise error
        for droplet_id in error.missing:
            late = DeadlineExceededError(deadline=error.deadline, missing=(droplet_id,))
            self._results.append(DropletBackups(droplet_id, error=late))

    def audit(self) -> FleetAudit:
        self.start()
        asked = {result.droplet_id for result in self._results}
        policies = {key: policy for key, policy in self.policies.items() if key in asked}
        rules = self._rules
        return audit_fleet(
            policies, self._results, now=rules.now, max_age=rules.max_age, grace=rules.grace
        )


def _name(result: DropletBackups | None) -> str | None:
    return result.droplet.name if result is not None and result.droplet is not None else None


def _utc(moment: datetime) -> datetime:
    """Convert to UTC: between two times of one zone Python subtracts what the clocks show."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone: use datetime.now(UTC), for example")
    return moment.astimezone(UTC)


def _not_negative(rules: _Rules, attribute: attrs.Attribute[timedelta], value: timedelta) -> None:
    if value < timedelta():
        raise ValueError(f"{attribute.name} must not be negative: {value!r}")


def _positive(
    rules: _Rules, attribute: attrs.Attribute[timedelta | None], value: timedelta | None
) -> None:
    if value is not None and value <= timedelta():
        raise ValueError(f"{attribute.name} must be positive: {value!r}")


@attrs.frozen
class _Rules:
    """The moment to judge at, and how strictly."""

    now: datetime = attrs.field(converter=_utc)
    max_age: timedelta | None = attrs.field(validator=_positive)
    grace: timedelta = attrs.field(validator=_not_negative)

    def audit(
        self,
        droplet_id: int,
        name: str | None,
        policy: Policy | None,
        result: DropletBackups | None,
    ) -> DropletAudit:
        """Judge one Droplet; ``result`` is ``None`` where nobody asked for its backups."""
        facts = self._facts(droplet_id, policy, result.backups if result else ())
        facts = attrs.evolve(facts, droplet_name=name, error=result.error if result else None)
        finding, reason = _judge(policy, facts, asked=result is not None)
        return attrs.evolve(facts, finding=finding, reason=reason)

    def _facts(
        self, droplet_id: int, policy: Policy | None, backups: Iterable[Backup]
    ) -> DropletAudit:
        plan = (policy.backup_policy if policy else None) or _NO_PLAN
        dated = sorted(((_utc(backup.created_at), backup) for backup in backups), key=_first)
        past = [(made, backup) for made, backup in dated if made <= self.now + self.grace]
        newest, newest_backup = past[-1] if past else (None, None)
        times = [made for made, _ in past]
        kept, promised = self._kept_and_promised(plan, times)
        return DropletAudit(
            droplet_id=droplet_id,
            finding=Finding.OK,
            reason="",
            plan=plan.plan,
            interval=plan_interval(plan.plan),
            allowed_age=self._allowed_age(plan),
            retention_period_days=plan.retention_period_days,
            kept=kept,
            promised=promised,
            next_window=policy.next_backup_window if policy else None,
            backup_times=tuple(made for made, _ in dated),
            newest=newest,
            oldest=times[0] if times else None,
            newest_name=newest_backup.name if newest_backup else None,
            age=max(self.now - newest, timedelta()) if newest else None,
            in_future=len(dated) - len(past),
            total_gigabytes=fsum(backup.size_gigabytes for _, backup in dated),
        )

    def _allowed_age(self, plan: DropletBackupPolicy) -> timedelta | None:
        interval = plan_interval(plan.plan)
        if self.max_age is not None or interval is None:
            return self.max_age
        return interval + _window_length(plan) + self.grace

    def _kept_and_promised(
        self, plan: DropletBackupPolicy, times: Sequence[datetime]
    ) -> tuple[int | None, int | None]:
        """Count the backups within the retention, and those that should be."""
        retention = _bounded(plan.retention_period_days, timedelta(days=1))
        if retention is None:
            return None, None
        kept = [made for made in times if made >= self.now - retention]
        interval = plan_interval(plan.plan)
        if interval is None or not times:
            return len(kept), None
        late = _window_length(plan) + self.grace
        promised = [0]
        if kept:
            newest = min(kept[-1], self.now)
            promised.append(_ceil(self.now - kept[0] - late, interval))
            promised.append(1 + _ceil(newest - kept[0] - late, interval))
        if len(kept) < len(times):
            promised.append(_ceil(retention - late - self.grace, interval) - 1)
        return len(kept), max(promised)


def _judge(policy: Policy | None, facts: DropletAudit, *, asked: bool) -> tuple[Finding, str]:
    """Decide what is found: the first that holds, in the order of `audit_droplet`."""
    if policy is None:
        return Finding.ERROR, "The API named no backup policy for this Droplet."
    if not policy.backup_enabled:
        return Finding.DISABLED, _disabled(facts)
    if facts.error is not None:
        return Finding.ERROR, f"Its backups could not be listed: {facts.error}"
    if not asked:
        return Finding.ERROR, "Its backups were not listed."
    if facts.age is None:
        return Finding.NEVER, _never(facts)
    return _judge_age(facts, facts.age)


def _judge_age(facts: DropletAudit, age: timedelta) -> tuple[Finding, str]:
    newest = f"The newest backup is {format_duration(age)} old"
    if facts.allowed_age is None:
        known = f"the interval of the plan {facts.plan!r} is not known" if facts.plan else _UNNAMED
        return Finding.UNKNOWN_PLAN, f"{newest}; {known}."
    if age > facts.allowed_age:
        return Finding.OVERDUE, f"{newest}; {format_duration(facts.allowed_age)} are allowed."
    if facts.kept is not None and facts.promised is not None and facts.kept < facts.promised:
        promised = f"at least {facts.promised} backups promised"
        return Finding.SHORT, f"{facts.kept} of {promised} within {facts.retention_period_days} d."
    return Finding.OK, f"{newest}; {format_duration(facts.allowed_age)} are allowed."


def _disabled(facts: DropletAudit) -> str:
    if facts.age is None:
        return "Backups are disabled."
    return f"Backups are disabled; the newest is {format_duration(facts.age)} old."


def _never(facts: DropletAudit) -> str:
    if not facts.in_future:
        return "Backups are enabled, but there is none yet."
    return f"Each of its backups ({facts.in_future}) is dated in the future: a clock is wrong."


def _first(pair: tuple[datetime, Backup]) -> datetime:
    return pair[0]


def _ceil(duration: timedelta, interval: timedelta) -> int:
    return -(-duration // interval)


def _bounded(number: int | None, unit: timedelta) -> timedelta | None:
    """Give so many days or hours; within a century, whatever the API sends."""
    return None if number is None else unit * min(max(number, 0), _CENTURY // unit)


def _window_length(plan: DropletBackupPolicy) -> timedelta:
    length = _bounded(plan.window_length_hours, timedelta(hours=1))
    return DEFAULT_WINDOW if length is None else length


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else _utc(moment).isoformat().replace("+00:00", "Z")


def _seconds(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // timedelta(seconds=1)
