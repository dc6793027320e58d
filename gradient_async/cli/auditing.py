"""The command ``audit``: is every Droplet backed up as its policy says?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import attrs

from .. import AsyncGradient
from ..audit import DropletAudit, Finding, FleetAudit, audit_droplet
from ..types import DropletBackups, Policy
from .account import may_join, results_of, show_plan
from .columns import Column, Layout
from .job import Job, perform
from .layouts import droplet_name, error_text
from .options import Account, Connection, Destination
from .output import open_output, written_to
from .problems import FAILED, OK
from .run import Run
from .terminal import tell
from .text import count_of, droplet, duration, gigabytes

__all__ = ["Rules", "audit_layout", "headline", "rules_of", "run_audit"]

COLOURS: Final = {
    Finding.OK: "green",
    Finding.UNKNOWN_PLAN: "yellow",
    Finding.SHORT: "yellow",
}


@attrs.frozen
class Rules:
    """How strictly an audit judges.

    Attributes:
        max_age: The age up to which a newest backup is recent enough, ``None`` for the plans' own.
        grace: How much later than its window a backup may appear.
        fail_on: The findings that count.
        now: The moment that is judged at.
    """

    max_age: timedelta | None
    grace: timedelta
    fail_on: Collection[Finding]
    now: datetime

    def audit(self, policy: Policy | None, result: DropletBackups) -> DropletAudit:
        """Judge one Droplet."""
        return audit_droplet(
            policy,
            result.backups,
            now=self.now,
            droplet_id=result.droplet_id,
            droplet_name=droplet_name(result),
            error=result.error,
            max_age=self.max_age,
            grace=self.grace,
        )

    def fleet(self, audits: Sequence[DropletAudit]) -> FleetAudit:
        """Put the Droplets together, ordered by ID."""
        by_id = tuple(sorted(audits, key=attrgetter("droplet_id")))
        return FleetAudit(by_id, self.now, self.max_age, self.grace)


def rules_of(max_age: float | None, grace: float, fail_on: Sequence[str] | None) -> Rules:
    """Give the rules that the options ask for: seconds, seconds, names of findings."""
    every = [finding for finding in Finding if finding is not Finding.OK]
    return Rules(
        max_age=None if max_age is None else timedelta(seconds=max_age),
        grace=timedelta(seconds=grace),
        fail_on=every if fail_on is None else [Finding(name) for name in fail_on],
        now=datetime.now(UTC),
    )


def _exported(name: str) -> Callable[[DropletAudit], Any]:
    return lambda audit: audit.to_dict()[name]


def _finding(audit: DropletAudit) -> str:
    return audit.finding.value


def _why(audit: DropletAudit) -> str:
    """Give the reason in a few words: that of an error has the whole request in it."""
    return error_text(audit.error) if audit.error is not None else audit.reason


def _window_start(audit: DropletAudit) -> datetime | None:
    return audit.next_window.start if audit.next_window else None


def _window_end(audit: DropletAudit) -> datetime | None:
    return audit.next_window.end if audit.next_window else None


def _column(name: str, title: str = "", **looks: Any) -> Column[DropletAudit]:
    return Column(name, attrgetter(name), title, **looks)


def _only_exported(name: str) -> Column[DropletAudit]:
    return Column(name, _exported(name), shown=False)


def _colour(finding: str) -> str:
    return COLOURS.get(Finding(finding), "red")


_COLUMNS: tuple[Column[DropletAudit], ...] = (
    _column("droplet_id", "droplet", last_to_go=True),
    _column("droplet_name", "name", least=16, last_to_go=True),
    Column("finding", _finding, style=_colour, last_to_go=True),
    Column("why", _why, "reason", exported=False, least=58, last_to_go=True),
    _column("reason", shown=False),
    _column("plan"),
    _column("retention_period_days", shown=False),
    _column("newest", "newest (UTC)"),
    _column("oldest", "oldest (UTC)", shown=False),
    Column("age_seconds", attrgetter("age"), "age", right=True),
    Column("allowed_age_seconds", attrgetter("allowed_age"), "allowed", right=True),
    Column("interval_seconds", attrgetter("interval"), "interval", right=True, shown=False),
    _column("count", "backups", right=True),
    _only_exported("kept"),
    _only_exported("promised"),
    _only_exported("in_future"),
    Column("total_gigabytes", _exported("total_gigabytes"), "GB", right=True),
    Column("next_window_start", _window_start, "next from (UTC)", shown=False),
    Column("next_window_end", _window_end, "until (UTC)", shown=False),
    _column("newest_name", shown=False),
    _only_exported("error"),
)


def audit_layout(rules: Rules, *, show_ok: bool = False) -> Layout[DropletAudit, DropletAudit]:
    """Give the layout of an audit.

    Args:
        rules: How it judges.
        show_ok: Whether tables list the Droplets that are well, too.
    """

    def listed(audits: Sequence[DropletAudit]) -> list[DropletAudit]:
        wanted = [audit for audit in audits if show_ok or audit.finding is not Finding.OK]
        return sorted(wanted, key=lambda audit: -audit.finding.severity)

    return Layout(
        columns=_COLUMNS,
        rows=lambda audit: (audit,),
        document=lambda audit: audit.to_dict(),
        key=attrgetter("droplet_id"),
        listed=listed,
        whole=lambda audits: rules.fleet(audits).to_dict(),
        heading=lambda audits: headline(rules.fleet(audits)),
    )


def headline(fleet: FleetAudit) -> Iterator[str]:
    """Give the figures of a fleet, as they stand above the table."""
    found = [f"{number:,} {finding.value}" for finding, number in fleet.counts.items() if number]
    yield f"{count_of(len(fleet), 'Droplet')}: {', '.join(found) or 'none'}"
    worst = fleet.worst_recovery_point
    parts = [
        f"{fleet.coverage} % protected" if fleet.coverage is not None else "",
        f"{count_of(sum(audit.count for audit in fleet), 'backup')}",
        gigabytes(fleet.total_gigabytes),
        "" if worst is None else _recovery_point(worst),
    ]
    yield " · ".join(filter(None, parts))
    yield ""


def _recovery_point(worst: DropletAudit) -> str:
    age = duration(worst.age or timedelta())
    return f"worst recovery point {age}: {droplet(worst.droplet_id, worst.droplet_name)}"


@attrs.define
class _Auditor:
    """Asks about Droplets and judges each as soon as its backups are there."""

    rules: Rules
    droplet_ids: Sequence[int]
    account: Account
    concurrency: int
    audits: list[DropletAudit] = attrs.field(factory=list[DropletAudit])

    async def work(self, client: AsyncGradient, run: Run[DropletAudit]) -> None:
        run.tally.listing = True
        listing = client.gpu_droplets.backups.iter_policies(max_rate_limit_wait=None)
        policies = {droplet_id: policy async for droplet_id, policy in listing}

        def take(result: DropletBackups) -> None:
            audit = self.rules.audit(policies.get(result.droplet_id), result)
            self.audits.append(audit)
            run.take(result.droplet_id, audit, result.error, audit.droplet_name)

        results = results_of(client, self.droplet_ids, self.account, self.concurrency)
        await run.take_all(results, take, listing=may_join(self.droplet_ids, self.account))

    def findings(self) -> list[DropletAudit]:
        return [audit for audit in self.audits if audit.finding in self.rules.fail_on]

    def summary(self, run: Run[DropletAudit]) -> str:
        return f"{count_of(run.tally.done, 'Droplet')} · {len(self.findings()):,} with findings"

    def failed(self, _: Run[DropletAudit]) -> bool:
        return bool(self.findings())


def run_audit(
    connection: Connection,
    destination: Destination,
    account: Account,
    droplet_ids: tuple[int, ...],
    rules: Rules,
    *,
    show_ok: bool = False,
    html: Path | None = None,
) -> int:
    """Run ``audit``.

    Args:
        connection: The options about the API.
        destination: The options about the output.
        account: The options about the Droplets of the account.
        droplet_ids: The Droplets, none for all of the account.
        rules: How strictly to judge.
        show_ok: Whether tables list the Droplets that are well, too.
        html: Where to write the report, if one is wanted.

    Returns:
        The exit code.
    """
    account.check(droplet_ids)
    if account.dry_run:
        return show_plan(connection, destination, account)
    auditor = _Auditor(rules, droplet_ids, account, connection.concurrency)
    layout = audit_layout(rules, show_ok=show_ok)
    job = Job("Audit", layout, auditor.work, auditor.summary, auditor.failed)
    work = partial(perform, job, connection, destination)
    if html is None:
        return work()
    return _with_report(work, lambda: rules.fleet(auditor.audits), html, force=destination.force)


def _with_report(
    work: Callable[[], int], audited: Callable[[], FleetAudit], html: Path, *, force: bool
) -> int:
    """Do the work, and write the report if it came to its end."""
    from ._report import render_report

    page = open_output(html, force=force)
    with written_to(page, keep=False):
        code = work()
        if code not in (OK, FAILED):
            page.abandon(keep=False)
            tell(["no report was written: the audit did not come to its end"], fg="red")
            return code
        page.stream.write(render_report(audited()))
        where = page.finish()
    if where:
        tell([f"report: {where}"], dim=True)
    return code
