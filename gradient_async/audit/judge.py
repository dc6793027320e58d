"""The judgement: policies and backups against a moment that is passed in. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any, Final

import attrs

from .._checks import SafeRepr
from ..errors import GradientError
from ..types import Backup, DropletBackupPolicy, DropletBackups, Policy
from .findings import DropletAudit, Finding, FleetAudit, sum_of
from .plans import (
    CENTURY,
    DEFAULT_GRACE,
    fewest_promised,
    plan_interval,
    retention,
    window_length,
)
from .times import EARLIEST, LATEST, format_duration, in_utc

__all__ = ["Rules", "audit_droplet", "audit_fleet"]

_NO_POLICY: Final = DropletBackupPolicy()
_UNNAMED: Final = "its policy names no plan"


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
        now: The moment to judge at, with a time zone; at least a century from either end of the
            calendar.
        droplet_id: The Droplet, where the policy does not name it.
        droplet_name: Its name, if it is known.
        error: Why the backups could not be had.
        max_age: The age up to which the newest backup is recent enough, whatever the plan; neither
            window nor grace are added to it. At most 36,525 days.
        grace: How much later than its window a backup may appear, and how far clocks may differ; at
            most 36,525 days.

    Raises:
        ValueError: ``now`` or a backup has no time zone, ``max_age`` is not positive, ``grace`` is
            negative, one of the three is out of its bounds, or nothing names the Droplet.

    Example:
        >>> from datetime import UTC, datetime
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
    return Rules(now, max_age, grace).audit_droplet(droplet_id, droplet_name, policy, result)


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
        >>> from datetime import UTC, datetime
        >>> backups = client.gpu_droplets.backups
        >>> policies = {number: policy async for number, policy in backups.iter_policies()}
        >>> results = [result async for result in backups.list_many(list(policies))]
        >>> fleet = audit_fleet(policies, results, now=datetime.now(UTC))
        >>> fleet.coverage
        50.0
        >>> [audit.droplet_id for audit in fleet.with_findings({Finding.NEVER})]
        [3164445]
    """
    return Rules(now, max_age, grace).audit_fleet(policies, results)


def _not_negative(rules: Rules, attribute: attrs.Attribute[timedelta], value: timedelta) -> None:
    if value < timedelta():
        raise ValueError(f"{attribute.name} must not be negative: {value!r}")


def _positive(
    rules: Rules, attribute: attrs.Attribute[timedelta | None], value: timedelta | None
) -> None:
    if value is not None and value <= timedelta():
        raise ValueError(f"{attribute.name} must be positive: {value!r}")


def _within_century(rules: Rules, attribute: attrs.Attribute[Any], value: timedelta | None) -> None:
    if value is not None and value > CENTURY:
        raise ValueError(f"{attribute.name} must be at most {CENTURY.days} days: {value!r}")


def _within_calendar(rules: Rules, attribute: attrs.Attribute[datetime], value: datetime) -> None:
    """See that the judgement, which looks a century ahead and back, stays in the calendar."""
    if not EARLIEST + CENTURY <= value <= LATEST - CENTURY:
        raise ValueError(
            f"{attribute.name} must be a century from the ends of the calendar: {value!r}"
        )


@attrs.frozen(repr=False)
class Rules(SafeRepr):
    """The moment to judge at, and how strictly; see `audit_droplet`.

    Raises:
        ValueError: ``now`` has no time zone or is within a century of an end of the calendar,
            ``max_age`` is not positive, ``grace`` is negative, or either is more than a century.
    """

    now: datetime = attrs.field(converter=in_utc, validator=_within_calendar)
    max_age: timedelta | None = attrs.field(default=None, validator=[_positive, _within_century])
    grace: timedelta = attrs.field(
        default=DEFAULT_GRACE, validator=[_not_negative, _within_century]
    )

    def audit_fleet(
        self, policies: Mapping[int, Policy], results: Iterable[DropletBackups]
    ) -> FleetAudit:
        """Judge all Droplets that have a policy or a result."""
        by_id = {result.droplet_id: result for result in results}
        audits = []
        for droplet_id in sorted({*policies, *by_id}):
            result = by_id.get(droplet_id)
            name = result.droplet.name if result and result.droplet else None
            audits.append(self.audit_droplet(droplet_id, name, policies.get(droplet_id), result))
        return self.fleet(audits)

    def fleet(self, audits: Iterable[DropletAudit]) -> FleetAudit:
        """Put what was found about Droplets together."""
        return FleetAudit(tuple(audits), self.now, self.max_age, self.grace)

    def audit_droplet(
        self,
        droplet_id: int,
        name: str | None,
        policy: Policy | None,
        result: DropletBackups | None,
    ) -> DropletAudit:
        """Judge one Droplet; ``result`` is ``None`` where nobody asked for its backups."""
        backup_policy = (policy.backup_policy if policy else None) or _NO_POLICY
        facts = DropletAudit(
            droplet_id=droplet_id,
            droplet_name=name,
            finding=Finding.OK,
            reason="",
            plan=backup_policy.plan,
            interval=plan_interval(backup_policy.plan),
            allowed_age=self._allowed_age(backup_policy),
            retention_period_days=backup_policy.retention_period_days,
            next_window=policy.next_backup_window if policy else None,
            error=result.error if result else None,
        )
        facts = self._with_backups(facts, backup_policy, result.backups if result else ())
        finding, reason = _judge(policy, facts, asked=result is not None)
        return attrs.evolve(facts, finding=finding, reason=reason)

    def _with_backups(
        self, facts: DropletAudit, backup_policy: DropletBackupPolicy, backups: Iterable[Backup]
    ) -> DropletAudit:
        dated = sorted(
            ((in_utc(backup.created_at), backup) for backup in backups), key=itemgetter(0)
        )
        past = [(made, backup) for made, backup in dated if made <= self.now + self.grace]
        newest, newest_backup = past[-1] if past else (None, None)
        times = [made for made, _ in past]
        kept, promised = self._kept_and_promised(backup_policy, times)
        return attrs.evolve(
            facts,
            kept=kept,
            promised=promised,
            backup_times=tuple(made for made, _ in dated),
            newest=newest,
            oldest=times[0] if times else None,
            newest_name=newest_backup.name if newest_backup else None,
            age=max(self.now - newest, timedelta()) if newest else None,
            in_future=len(dated) - len(past),
            total_gigabytes=sum_of(backup.size_gigabytes for _, backup in dated),
        )

    def _allowed_age(self, backup_policy: DropletBackupPolicy) -> timedelta | None:
        interval = plan_interval(backup_policy.plan)
        if self.max_age is not None or interval is None:
            return self.max_age
        return interval + window_length(backup_policy) + self.grace

    def _kept_and_promised(
        self, backup_policy: DropletBackupPolicy, times: Sequence[datetime]
    ) -> tuple[int | None, int | None]:
        """Count the backups within the retention, and those that should be."""
        kept_for = retention(backup_policy)
        if kept_for is None:
            return None, None
        kept = [made for made in times if made >= self.now - kept_for]
        has_older = len(kept) < len(times)
        promised = fewest_promised(backup_policy, kept, self.now, self.grace, has_older=has_older)
        return len(kept), promised


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
    allowed = format_duration(facts.allowed_age)
    if age > facts.allowed_age:
        if allowed == format_duration(age):  # both are rounded
            return Finding.OVERDUE, f"{newest}, a little more than is allowed."
        return Finding.OVERDUE, f"{newest}; {allowed} are allowed."
    if facts.kept is not None and facts.promised is not None and facts.kept < facts.promised:
        promised = f"at least {facts.promised} backups promised"
        return Finding.SHORT, f"{facts.kept} of {promised} within {facts.retention_period_days} d."
    return Finding.OK, f"{newest}; {allowed} are allowed."


def _disabled(facts: DropletAudit) -> str:
    if facts.age is None:
        return "Backups are disabled."
    return f"Backups are disabled; the newest is {format_duration(facts.age)} old."


def _never(facts: DropletAudit) -> str:
    if not facts.in_future:
        return "Backups are enabled, but there is none yet."
    return f"Each of its backups ({facts.in_future}) is dated in the future: a clock is wrong."
