"""The command ``audit``: is every Droplet backed up as its policy says?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

import attrs

from .. import AsyncGradient
from ..audit import DropletAudit, Finding, FleetAudit
from ..audit.account import policies_of
from ..audit.judge import Rules
from ..errors import error_text
from ..types import DropletBackups
from .account import may_join, results_of, show_fleet_plan
from .columns import Column, Layout
from .job import Job, perform
from .layouts import droplet_name
from .options import Account, Connection, Destination
from .output import open_output, written_to
from .problems import FAILED, OK
from .run import Run
from .terminal import tell
from .text import count_of, droplet, gigabytes, short_duration

__all__ = ["audit_layout", "headline", "rules_of", "run_audit"]

NOT_OK: Final = frozenset(Finding) - {Finding.OK}
COLOURS: Final = {
    Finding.OK: "green",
    Finding.UNKNOWN_PLAN: "yellow",
    Finding.SHORT: "yellow",
}


def rules_of(max_age: float | None, grace: float) -> Rules:
    """Return the rules that the options ask for, in seconds; what is judged is the state of now."""
    age = None if max_age is None else timedelta(seconds=max_age)
    return Rules(datetime.now(UTC), age, timedelta(seconds=grace))


def _exported(name: str) -> Callable[[DropletAudit], Any]:
    return lambda audit: audit.to_dict()[name]


def _finding(audit: DropletAudit) -> str:
    return audit.finding.value


def _why(audit: DropletAudit) -> str:
    """Return the reason in a few words: that of an error has the whole request in it."""
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
    _column("droplet_id", "droplet", essential=True),
    _column("droplet_name", "name", min_width=16, essential=True),
    Column("finding", _finding, style=_colour, essential=True),
    Column("why", _why, "reason", exported=False, min_width=58, essential=True),
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
    """Return the layout of an audit.

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
        whole=lambda audits: _fleet(rules, audits).to_dict(),
        heading=lambda audits: headline(_fleet(rules, audits)),
    )


def _fleet(rules: Rules, audits: Iterable[DropletAudit]) -> FleetAudit:
    return rules.fleet(sorted(audits, key=attrgetter("droplet_id")))


def headline(fleet: FleetAudit) -> Iterator[str]:
    """Return the figures of a fleet, as they stand above the table."""
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
    age = short_duration(worst.age or timedelta())
    return f"worst recovery point {age}: {droplet(worst.droplet_id, worst.droplet_name)}"


@attrs.define
class _Auditor:
    """Asks about Droplets and judges each as soon as its backups are there."""

    rules: Rules
    fail_on: Collection[Finding]
    droplet_ids: Sequence[int]
    account: Account
    concurrency: int
    audits: list[DropletAudit] = attrs.field(factory=list[DropletAudit])

    async def work(self, client: AsyncGradient, run: Run[DropletAudit]) -> None:
        run.tally.listing = True
        policies = await policies_of(client, self.droplet_ids or None, max_rate_limit_wait=None)

        def take(result: DropletBackups) -> None:
            droplet_id, name = result.droplet_id, droplet_name(result)
            audit = self.rules.audit_droplet(droplet_id, name, policies.get(droplet_id), result)
            self.audits.append(audit)
            run.take(droplet_id, audit, result.error, name)

        results = results_of(client, self.droplet_ids, self.account, self.concurrency, policies)
        await run.take_all(results, take, listing=may_join(self.droplet_ids, self.account))

    def findings(self) -> list[DropletAudit]:
        return [audit for audit in self.audits if audit.finding in self.fail_on]

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
    fail_on: Sequence[str] | None,
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
        fail_on: The names of the findings that count; all but ``ok`` by default.
        show_ok: Whether tables list the Droplets that are well, too.
        html: Where to write the report, if one is wanted.

    Returns:
        The exit code.
    """
    account.check(droplet_ids)
    if account.dry_run:
        return show_fleet_plan(connection, destination, account)
    counting = NOT_OK if fail_on is None else {Finding(name) for name in fail_on}
    auditor = _Auditor(rules, counting, droplet_ids, account, connection.concurrency)
    layout = audit_layout(rules, show_ok=show_ok)
    job = Job("Audit", layout, auditor.work, auditor.summary, auditor.failed)
    work = partial(perform, job, connection, destination)
    if html is None:
        return work()
    return _with_report(work, lambda: _fleet(rules, auditor.audits), html, force=destination.force)


def _with_report(
    work: Callable[[], int], audited: Callable[[], FleetAudit], html: Path, *, force: bool
) -> int:
    """Do the work, and write the report if it came to its end."""
    from .html_report import render_report

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
