"""The audit of what is known: a table of cases, and laws that hold for any input."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from sys import float_info
from typing import Any
from zoneinfo import ZoneInfo

import attrs
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from gradient_async.audit import (
    DEFAULT_GRACE,
    DropletAudit,
    Finding,
    FleetAudit,
    audit_droplet,
    audit_fleet,
    format_duration,
    plan_interval,
)
from gradient_async.errors import APIConnectionError
from gradient_async.types import (
    Backup,
    Droplet,
    DropletBackupPolicy,
    DropletBackups,
    DropletNextBackupWindow,
    Policy,
)

NOW = datetime(2026, 9, 1, 13, 30, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def backup(made: datetime, number: int = 1) -> Backup:
    """A backup of 10 GB, made at a moment."""
    return Backup(number, made, 720, f"gpu-{number}", ["nyc2"], 10.0, "backup")


def backups(*ages: float, now: datetime = NOW) -> list[Backup]:
    """Backups of so many hours of age."""
    return [backup(now - age * HOUR, number) for number, age in enumerate(ages)]


def enabled(plan: str | None, days: int | None = 7, window: int | None = 4) -> Policy:
    """A policy of Droplet 1 with backups enabled."""
    record = DropletBackupPolicy(
        plan=plan, hour=0, retention_period_days=days, window_length_hours=window
    )
    return Policy(True, record, 1)


def every(step: float, number: int, first: float = 0.0) -> list[float]:
    """So many ages in hours, `step` apart, the newest first."""
    return [first + step * index for index in range(number)]


DISABLED = Policy(False, None, 1)
DAILY, WEEKLY, FOUR = enabled("daily"), enabled("weekly", 28), enabled("intra_daily_4h")

# What a person expects: policy, ages of the backups in hours, finding.
CASES: dict[str, tuple[Policy | None, list[float], Finding]] = {
    "daily, all seven there": (DAILY, every(24, 7, 13), Finding.OK),
    "daily, the oldest went before today's was made": (DAILY, every(24, 6, 23), Finding.OK),
    "daily, in its first hour": (DAILY, [0.5], Finding.OK),
    "daily, at the very end of window and grace": (DAILY, every(24, 6, 30), Finding.OK),
    "daily, a minute later": (DAILY, every(24, 6, 30.02), Finding.OVERDUE),
    "daily, ten days old": (DAILY, every(24, 7, 240), Finding.OVERDUE),
    "daily, the third day is missing": (DAILY, [13, 37, 85, 109, 133, 157], Finding.SHORT),
    "daily, only today's and one of last month": (DAILY, [13, 700], Finding.SHORT),
    "daily, enabled three days ago": (DAILY, every(24, 3, 13), Finding.OK),
    "daily, one of them made twice": (DAILY, [*every(24, 7, 13), 13.5], Finding.OK),
    "weekly, all four there": (WEEKLY, every(168, 4, 100), Finding.OK),
    "weekly, six days old": (WEEKLY, [144], Finding.OK),
    "weekly, eight days old": (WEEKLY, [192], Finding.OVERDUE),
    "weekly, a week is missing": (WEEKLY, [30, 30 + 336, 30 + 504], Finding.SHORT),
    "four-hourly, all 42 there": (FOUR, every(4, 42, 1), Finding.OK),
    "four-hourly, made at either end of the window": (FOUR, [3, 8.5, 11, 16.5], Finding.OK),
    "four-hourly, half a day old": (FOUR, every(4, 39, 12), Finding.OVERDUE),
    "four-hourly, every second is missing": (FOUR, every(8, 21, 1), Finding.SHORT),
    "enabled, nothing yet": (DAILY, [], Finding.NEVER),
    "enabled, but the policy itself is missing": (Policy(True, None, 1), [1], Finding.UNKNOWN_PLAN),
    "a plan of the future": (enabled("monthly", 365), [2000], Finding.UNKNOWN_PLAN),
    "a plan of the future, nothing yet": (enabled("monthly", 365), [], Finding.NEVER),
    "disabled": (DISABLED, [], Finding.DISABLED),
    "disabled, a fresh backup is left": (DISABLED, [1], Finding.DISABLED),
    "not said whether enabled": (Policy(None, DAILY.backup_policy, 1), [1], Finding.DISABLED),
    "no policy": (None, [1], Finding.ERROR),
    "this machine's clock is an hour slow": (DAILY, every(24, 7, -1), Finding.OK),
    "a backup of next year hides nothing": (DAILY, [-9000, 240], Finding.OVERDUE),
    "all backups of next year": (DAILY, [-9000], Finding.NEVER),
    "no retention named, so none is missing": (enabled("daily", None), [1, 240], Finding.OK),
    "no window named: four hours": (enabled("daily", 7, None), [29.9], Finding.OK),
    "a window of no length": (enabled("daily", 7, 0), [26.1], Finding.OVERDUE),
    "numbers that no calendar has": (enabled("daily", 10**15, -(10**15)), [1], Finding.OK),
}


@pytest.mark.parametrize(("policy", "ages", "finding"), CASES.values(), ids=CASES.keys())
def test_case(policy: Policy | None, ages: list[float], finding: Finding) -> None:
    """Each case of the table is found to be what it says, with a sentence that says why."""
    audit = audit_droplet(policy, backups(*ages), now=NOW, droplet_id=1)
    assert audit.finding is finding
    assert audit.reason.endswith(".")
    assert audit.count == len(ages)


REASONS: list[tuple[Policy | None, list[float], str]] = [
    (DAILY, [13], "The newest backup is 13 h old; 1 d 6 h are allowed."),
    (DAILY, [250], "The newest backup is 10 d 10 h old; 1 d 6 h are allowed."),
    (DAILY, [30.1], "The newest backup is 1 d 6 h old, a little more than is allowed."),
    (DAILY, [1, 700], "1 of at least 6 backups promised within 7 d."),
    (DAILY, [], "Backups are enabled, but there is none yet."),
    (DAILY, [-99], "Each of its backups (1) is dated in the future: a clock is wrong."),
    (DISABLED, [], "Backups are disabled."),
    (DISABLED, [50], "Backups are disabled; the newest is 2 d 2 h old."),
    (None, [], "The API named no backup policy for this Droplet."),
    (enabled("x"), [5], "The newest backup is 5 h old; the interval of the plan 'x' is not known."),
    (enabled(None), [5], "The newest backup is 5 h old; its policy names no plan."),
]


@pytest.mark.parametrize(("policy", "ages", "reason"), REASONS)
def test_reason_is_a_sentence(policy: Policy | None, ages: list[float], reason: str) -> None:
    """The reason names the figures that decided."""
    assert audit_droplet(policy, backups(*ages), now=NOW, droplet_id=1).reason == reason


def test_facts_of_a_droplet() -> None:
    """Newest, oldest, age, count, size, plan, retention and window are those that were given."""
    window = DropletNextBackupWindow(NOW + DAY, NOW + DAY + 4 * HOUR)
    policy = attrs.evolve(DAILY, next_backup_window=window)
    audit = audit_droplet(policy, backups(13, 61, 37), now=NOW)
    assert (audit.newest, audit.oldest) == (NOW - 13 * HOUR, NOW - 61 * HOUR)
    assert audit.backup_times == (NOW - 61 * HOUR, NOW - 37 * HOUR, NOW - 13 * HOUR)
    assert (audit.age, audit.interval, audit.allowed_age) == (13 * HOUR, DAY, 30 * HOUR)
    assert (audit.kept, audit.promised, audit.total_gigabytes) == (3, 3, 30.0)
    assert (audit.plan, audit.retention_period_days) == ("daily", 7)
    assert (audit.next_window, audit.newest_name) == (window, "gpu-0")


def test_row_for_machines() -> None:
    """The keys, their order and the form of the values are fixed, and are plain JSON."""
    window = DropletNextBackupWindow(NOW + DAY, NOW + DAY + 4 * HOUR)
    policy = attrs.evolve(DAILY, next_backup_window=window)
    row = audit_droplet(policy, backups(13.0001), now=NOW, droplet_name="gpu").to_dict()
    assert json.loads(json.dumps(row)) == row
    assert list(row.items()) == [
        ("droplet_id", 1),
        ("droplet_name", "gpu"),
        ("finding", "ok"),
        ("reason", "The newest backup is 13 h old; 1 d 6 h are allowed."),
        ("plan", "daily"),
        ("retention_period_days", 7),
        ("newest", "2026-09-01T00:29:59.640000Z"),
        ("oldest", "2026-09-01T00:29:59.640000Z"),
        ("age_seconds", 46800),
        ("allowed_age_seconds", 108000),
        ("interval_seconds", 86400),
        ("count", 1),
        ("kept", 1),
        ("promised", 1),
        ("in_future", 0),
        ("total_gigabytes", 10.0),
        ("next_window_start", "2026-09-02T13:30:00Z"),
        ("next_window_end", "2026-09-02T17:30:00Z"),
        ("newest_name", "gpu-0"),
        ("error", None),
    ]


@pytest.mark.parametrize(
    ("plan", "hours"),
    [
        *[("daily", 24), ("weekly", 168), ("intra_daily_4h", 4), ("intra_daily_12h", 12)],
        *[(None, None), ("", None), ("monthly", None), ("Daily", None), ("daily ", None)],
        *[("intra_daily_0h", None), ("intra_daily_24h", None), ("intra_daily_h", None)],
        *[("intra_daily_4", None), ("intra_daily_04h", None), ("intra_daily_٤h", None)],
        *[("intra_daily_4h\n", None), ("intra_daily_-4h", None), ("x_intra_daily_4h", None)],
    ],
)
def test_interval_is_never_guessed(plan: str | None, hours: int | None) -> None:
    """A plan whose name does not tell its interval exactly has none."""
    assert plan_interval(plan) == (None if hours is None else hours * HOUR)


@pytest.mark.parametrize(
    ("duration", "text"),
    [
        *[(timedelta(0), "0 min"), (timedelta(seconds=59), "0 min"), (-HOUR, "0 min")],
        *[(timedelta(minutes=90), "1 h 30 min"), (2 * HOUR, "2 h"), (DAY, "1 d")],
        *[(DAY + timedelta(minutes=5), "1 d"), (10 * DAY + 3.9 * HOUR, "10 d 3 h")],
    ],
)
def test_duration_for_people(duration: timedelta, text: str) -> None:
    """A duration is rounded down to its two largest units, and never negative."""
    assert format_duration(duration) == text


@pytest.mark.parametrize("finding", list(Finding))
def test_finding_is_its_text(finding: Finding) -> None:
    """A finding is a `str` of its value, and findings are ordered by urgency."""
    assert str(finding) == finding.value == json.loads(json.dumps(finding))
    assert [item.severity for item in Finding] == list(range(len(Finding)))
    assert Finding.OK.severity == 0


@pytest.mark.parametrize(
    ("max_age", "finding"), [(12, Finding.OVERDUE), (13, Finding.OK), (300, Finding.OK)]
)
@pytest.mark.parametrize("policy", [DAILY, WEEKLY, enabled("monthly"), enabled(None)])
def test_max_age_replaces_the_plan(policy: Policy, max_age: int, finding: Finding) -> None:
    """With a maximal age every plan is judged by it, to the second and without a grace."""
    audit = audit_droplet(policy, backups(13), now=NOW, max_age=max_age * HOUR)
    assert (audit.finding, audit.allowed_age) == (finding, max_age * HOUR)


def test_max_age_protects_nobody_without_backups() -> None:
    """A maximal age does not excuse a Droplet without any backup, nor one with them disabled."""
    for policy, finding in [(DAILY, Finding.NEVER), (DISABLED, Finding.DISABLED)]:
        assert audit_droplet(policy, [], now=NOW, max_age=1000 * DAY).finding is finding


def test_naive_times_are_refused() -> None:
    """A moment without a time zone is an error that says what to write, not a guess."""
    with pytest.raises(ValueError, match=r"no time zone: use datetime\.now\(UTC\)"):
        audit_droplet(DAILY, [], now=NOW.replace(tzinfo=None))
    with pytest.raises(ValueError, match="no time zone"):
        audit_droplet(DAILY, [backup(NOW.replace(tzinfo=None))], now=NOW)
    with pytest.raises(ValueError, match="no time zone"):
        audit_fleet({}, [], now=NOW.replace(tzinfo=None))


def test_senseless_limits_are_refused() -> None:
    """A maximal age of zero and a negative grace are errors, and so is a Droplet without an ID."""
    with pytest.raises(ValueError, match="max_age must be positive"):
        audit_droplet(DAILY, [], now=NOW, max_age=timedelta(0))
    with pytest.raises(ValueError, match="grace must not be negative"):
        audit_droplet(DAILY, [], now=NOW, grace=-HOUR)
    for policy in (Policy(True), None):
        with pytest.raises(ValueError, match=r"^the policy does not name its Droplet: give drop"):
            audit_droplet(policy, [], now=NOW)


CENTURY = timedelta(days=36_525)
EARLIEST = datetime.min.replace(tzinfo=UTC)
LATEST = datetime.max.replace(tzinfo=UTC)


@pytest.mark.parametrize("name", ["max_age", "grace"])
def test_limits_of_more_than_a_century_are_refused(name: str) -> None:
    """The error names the limit; a century is a limit like another, whatever the moment."""
    longer: dict[str, Any] = {name: CENTURY + timedelta.resolution}
    with pytest.raises(ValueError, match=f"^{name} must be at most 36525 days: "):
        audit_droplet(DAILY, backups(1), now=NOW, **longer)
    limits: dict[str, Any] = {name: CENTURY}
    for now in (EARLIEST + CENTURY, LATEST - CENTURY):
        policy = enabled("daily", days=10**9, window=10**9)
        assert audit_droplet(policy, [backup(now)], now=now, **limits).finding is Finding.OK


@pytest.mark.parametrize(
    "now",
    [
        EARLIEST + CENTURY - timedelta.resolution,
        LATEST - CENTURY + timedelta.resolution,
        LATEST.replace(tzinfo=timezone(-HOUR)),
    ],
)
def test_a_moment_at_an_end_of_the_calendar_is_refused(now: datetime) -> None:
    """It is an error that names it, and none of arithmetic."""
    with pytest.raises(ValueError, match=r"^now must be a century from the ends of"):
        audit_droplet(DAILY, [], now=now)


def test_backups_at_the_ends_of_the_calendar_are_judged() -> None:
    """A time that UTC has not is taken for the nearest that it has: the fleet is still judged."""
    first = backup(EARLIEST.replace(tzinfo=timezone(HOUR)), 1)
    last = backup(LATEST.replace(tzinfo=timezone(-HOUR)), 2)
    audit = audit_droplet(DAILY, [first, last], now=NOW)
    assert audit.backup_times == (EARLIEST, LATEST)
    assert (audit.newest, audit.newest_name) == (EARLIEST, first.name)
    assert (audit.in_future, audit.finding) == (1, Finding.OVERDUE)


def test_grace_makes_the_promise_smaller() -> None:
    """Where there are older backups, too: the next one may be late by it, the oldest have gone."""
    ages = [13, 37, 61, 85, 109, 700]
    assert audit_droplet(DAILY, backups(*ages), now=NOW).finding is Finding.SHORT
    audit = audit_droplet(DAILY, backups(*ages), now=NOW, grace=10 * HOUR)
    assert (audit.finding, audit.kept, audit.promised) == (Finding.OK, 5, 5)


def test_without_backups_nothing_is_promised() -> None:
    """There is no first backup to count from: how many there should be is not known."""
    audit = audit_droplet(DAILY, [], now=NOW)
    assert (audit.kept, audit.promised) == (0, None)


def test_a_retention_of_one_interval_promises_none_within_it() -> None:
    """The only backup may have gone while the next one is late, where that is old enough."""
    weekly = attrs.evolve(DAILY, backup_policy=DropletBackupPolicy(2, "weekly", 7, "MON", 4))
    audit = audit_droplet(weekly, backups(8 * 24), now=NOW, max_age=30 * DAY)
    assert (audit.finding, audit.kept, audit.promised) == (Finding.OK, 0, 0)


def test_the_ends_of_retention_and_grace_belong_to_them() -> None:
    """A backup as old as the retention is kept; one that is ahead by the grace is of now."""
    audit = audit_droplet(DAILY, backups(-2, 7 * 24), now=NOW)
    assert (audit.kept, audit.in_future, audit.age) == (2, 0, timedelta())


def test_a_droplet_whose_backups_could_not_be_had() -> None:
    """The error is in the audit, and its text in the reason."""
    error = APIConnectionError("no answer")
    audit = audit_droplet(DAILY, [], now=NOW, error=error)
    assert (audit.finding, audit.error) == (Finding.ERROR, error)
    assert audit.reason == f"Its backups could not be listed: {error}"


def test_grace_of_a_fleet() -> None:
    """It holds for each Droplet, and the fleet tells it."""
    fleet = audit_fleet({1: DAILY}, [DropletBackups(1, backups(35))], now=NOW, grace=9 * HOUR)
    assert (fleet.counts[Finding.OK], fleet.grace) == (1, 9 * HOUR)


def refused(droplet_id: int) -> DropletBackups:
    """The result of a Droplet whose backups could not be listed."""
    return DropletBackups(droplet_id, error=APIConnectionError("no answer"))


def test_fleet_joins_policies_and_results() -> None:
    """Every Droplet of either side is judged once, in the order of the IDs."""
    policies = {
        droplet_id: attrs.evolve(policy, droplet_id=droplet_id)
        for droplet_id, policy in [(5, DAILY), (3, DISABLED), (2, DAILY), (9, DISABLED), (7, DAILY)]
    }
    results = [DropletBackups(5, backups(1)), refused(2), refused(3), DropletBackups(4)]
    fleet = audit_fleet(policies, results, now=NOW)
    assert [(audit.droplet_id, audit.finding) for audit in fleet] == [
        (2, Finding.ERROR),
        (3, Finding.DISABLED),
        (4, Finding.ERROR),
        (5, Finding.OK),
        (7, Finding.ERROR),
        (9, Finding.DISABLED),
    ]
    reasons = {audit.droplet_id: audit.reason for audit in fleet}
    assert reasons[2].startswith("Its backups could not be listed: no answer")
    assert reasons[4] == "The API named no backup policy for this Droplet."
    assert reasons[7] == "Its backups were not listed."
    assert "no answer" in str(fleet.audits[1].to_dict()["error"])


def test_summary_of_a_fleet() -> None:
    """The figures add up, and the worst recovery point is that of an enabled Droplet."""
    results = [
        DropletBackups(1, backups(1)),
        DropletBackups(2, backups(99), droplet=Droplet(2, "gpu-train-02")),
        DropletBackups(3),
        DropletBackups(4, backups(2000)),
    ]
    policies = {1: DAILY, 2: DAILY, 3: DAILY, 4: DISABLED}
    fleet = audit_fleet(policies, results, now=NOW)
    assert json.loads(json.dumps(fleet.to_dict())) == fleet.to_dict()
    assert fleet.to_dict()["droplets"] == [audit.to_dict() for audit in fleet]
    assert fleet.summary() == {
        "now": "2026-09-01T13:30:00Z",
        "droplets": 4,
        "backups": 3,
        "findings": {
            "ok": 1,
            "unknown_plan": 0,
            "short": 0,
            "overdue": 1,
            "never": 1,
            "disabled": 1,
            "error": 0,
        },
        "coverage_percent": 25.0,
        "total_gigabytes": 30.0,
        "worst_recovery_point": {
            "droplet_id": 2,
            "droplet_name": "gpu-train-02",
            "newest": "2026-08-28T10:30:00Z",
            "age_seconds": 356400,
        },
        "max_age_seconds": None,
        "grace_seconds": 7200,
    }
    late = fleet.with_findings({Finding.OVERDUE, Finding.NEVER})
    assert [audit.droplet_id for audit in late] == [2, 3]


def test_sizes_that_no_number_can_hold() -> None:
    """A server that makes up sizes ends no audit, and what machines read stays JSON."""
    sizes = [attrs.evolve(backup(NOW), size_gigabytes=1e308) for _ in range(2)]
    results = [DropletBackups(number, sizes) for number in (1, 2)]
    fleet = audit_fleet({1: DAILY, 2: DAILY}, results, now=NOW)
    assert fleet.total_gigabytes == fleet.audits[0].total_gigabytes == float_info.max
    assert json.loads(json.dumps(fleet.to_dict(), allow_nan=False)) == fleet.to_dict()


def test_sizes_are_rounded_to_megabytes() -> None:
    """What machines read has no more digits than the API gives."""
    sizes = [attrs.evolve(backup(NOW), size_gigabytes=size) for size in (0.1, 0.20049)]
    fleet = audit_fleet({1: DAILY}, [DropletBackups(1, sizes)], now=NOW, max_age=DAY)
    told = fleet.to_dict()
    assert told["summary"]["total_gigabytes"] == told["droplets"][0]["total_gigabytes"] == 0.3
    assert told["summary"]["max_age_seconds"] == 86_400


def test_empty_fleet() -> None:
    """Without Droplets there is neither coverage nor a worst recovery point."""
    fleet = audit_fleet({}, [], now=NOW)
    assert (len(fleet), fleet.coverage, fleet.worst_recovery_point) == (0, None, None)
    assert fleet.summary()["worst_recovery_point"] is None


def test_coverage_is_full_only_when_it_is() -> None:
    """One Droplet of 5,000 without a backup is never rounded away."""
    results = [DropletBackups(number, backups(1)) for number in range(1, 5001)]
    policies = dict.fromkeys(range(1, 5001), DAILY)
    assert audit_fleet(policies, results, now=NOW).coverage == 100.0
    assert audit_fleet({**policies, 7: DISABLED}, results, now=NOW).coverage == 99.9


def test_values_can_be_pickled() -> None:
    """A task queue hands an audit on; a pickle may name the package in place of its parts."""
    fleet = audit_fleet({1: DAILY}, [DropletBackups(1, backups(13)), refused(2)], now=NOW)
    assert pickle.loads(pickle.dumps(fleet)).to_dict() == fleet.to_dict()
    assert pickle.loads(b"cgradient_async.audit\nFleetAudit\n.") is FleetAudit


def test_importing_the_audit_loads_no_client() -> None:
    """The module needs neither the clients nor the event loop: only types and errors."""
    code = (
        "import sys, types; stub = types.ModuleType('gradient_async');"
        "stub.__path__ = [sys.argv[1]]; sys.modules['gradient_async'] = stub;"
        "import gradient_async.audit; print(*sys.modules)"
    )
    package = attrs.__file__ and sys.modules["gradient_async"].__path__[0]
    command = [sys.executable, "-c", code, package]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"aiohttp", "asgiref", "asyncio", "gradient_async.client"} & set(loaded)


# Laws. Times are drawn as minutes of age, so that every case can be read.

minutes = st.integers(-3 * 24 * 60, 60 * 24 * 60)
ages = st.lists(minutes.map(lambda number: number / 60), max_size=60)
plans = st.sampled_from(["daily", "weekly", "intra_daily_4h", "intra_daily_12h", "monthly", None])
maybe = st.none() | st.integers(0, 40)
policies = st.builds(enabled, plans, maybe, st.none() | st.integers(0, 12))
all_policies = st.one_of(policies, st.just(DISABLED), st.none())
graces = st.integers(0, 48).map(lambda hours: hours * HOUR)
max_ages = st.none() | st.integers(1, 1000).map(lambda hours: hours * HOUR)
zones = st.sampled_from(
    [
        *map(
            ZoneInfo, ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]
        ),
        timezone(timedelta(hours=-12)),
        timezone(timedelta(minutes=345)),
    ]
)
# Around the nights in which Berlin's clocks go forward and back, New York's too.
moments = st.integers(0, 9 * 30 * 24 * 60).map(
    lambda number: datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=number)
)


def judge(
    policy: Policy | None,
    aged: Iterable[float],
    now: datetime = NOW,
    max_age: timedelta | None = None,
    grace: timedelta = DEFAULT_GRACE,
) -> DropletAudit:
    """The audit of Droplet 1, whose backups have so many hours of age."""
    sample = backups(*aged, now=now)
    return audit_droplet(policy, sample, now=now, droplet_id=1, max_age=max_age, grace=grace)


@given(all_policies, ages, minutes, max_ages, graces)
@example(DAILY, [700.0], 0, None, timedelta(0))
def test_a_newer_backup_makes_nothing_worse(
    policy: Policy | None, old: list[float], added: int, max_age: timedelta | None, grace: timedelta
) -> None:
    """A backup that is newer than all others never gives a worse finding."""
    newer = added / 60
    assume(all(newer < age for age in old))
    before = judge(policy, old, max_age=max_age, grace=grace)
    after = judge(policy, [*old, newer], max_age=max_age, grace=grace)
    assert after.finding.severity <= before.finding.severity


@given(all_policies, ages, max_ages, graces, graces)
def test_more_grace_makes_nothing_worse(
    policy: Policy | None,
    old: list[float],
    max_age: timedelta | None,
    grace: timedelta,
    more: timedelta,
) -> None:
    """A longer grace never gives a worse finding."""
    strict = judge(policy, old, max_age=max_age, grace=grace)
    lenient = judge(policy, old, max_age=max_age, grace=grace + more)
    assert lenient.finding.severity <= strict.finding.severity


@given(policies, ages, st.integers(1, 900), st.integers(0, 900))
def test_a_larger_max_age_makes_nothing_worse(
    policy: Policy, old: list[float], hours: int, more: int
) -> None:
    """A higher maximal age never gives a worse finding."""
    strict = judge(policy, old, max_age=hours * HOUR)
    lenient = judge(policy, old, max_age=(hours + more) * HOUR)
    assert lenient.finding.severity <= strict.finding.severity


@given(all_policies, ages, moments, zones, zones)
def test_time_zones_change_nothing(
    policy: Policy | None, old: list[float], now: datetime, mine: ZoneInfo, theirs: ZoneInfo
) -> None:
    """The same moments written in other zones, across changes of the clocks, give the same audit.

    Also with all of them in one zone, where Python compares what the clocks on the wall show.
    """
    sample = backups(*old, now=now)
    there = [attrs.evolve(item, created_at=item.created_at.astimezone(theirs)) for item in sample]
    expected = audit_droplet(policy, sample, now=now, droplet_id=1)
    for zone in (mine, theirs):
        moved = audit_droplet(policy, there, now=now.astimezone(zone), droplet_id=1)
        assert moved == expected


@given(all_policies, ages, moments, moments)
def test_the_calendar_changes_nothing(
    policy: Policy | None, old: list[float], now: datetime, later: datetime
) -> None:
    """Only distances count: the same ages give the same finding on any day of any year."""
    one, other = judge(policy, old, now), judge(policy, old, later)
    assert (one.finding, one.reason, one.age) == (other.finding, other.reason, other.age)
    assert (one.kept, one.promised) == (other.kept, other.promised)


@given(all_policies, st.permutations([1.0, 25.0, 50.0, 50.0, -5.0]))
def test_order_changes_nothing(policy: Policy | None, shuffled: list[float]) -> None:
    """Backups may come in any order."""
    times = {judge(policy, shuffled).backup_times, judge(policy, sorted(shuffled)).backup_times}
    assert len(times) == 1
    assert judge(policy, shuffled).finding is judge(policy, sorted(shuffled)).finding


@given(
    st.sampled_from([("daily", 24, 7), ("weekly", 168, 28), ("intra_daily_4h", 4, 7)]),
    st.data(),
)
def test_a_schedule_that_is_kept_is_ok(plan: tuple[str, int, int], data: st.DataObject) -> None:
    """Whatever the hour, the place in the window, the age of the Droplet and the clocks' skew.

    Backups are made anywhere in windows of four hours, one for each interval; those that are older
    than the retention are gone, give or take the skew; the newest may still be in the making.
    """
    name, step, days = plan
    skew = timedelta(minutes=data.draw(st.integers(-120, 120), label="skew"))
    phase = timedelta(minutes=data.draw(st.integers(0, step * 60), label="phase"))
    number = data.draw(st.integers(1, 60), label="windows since backups were enabled")
    late = st.integers(0, 240).map(lambda place: timedelta(minutes=place))
    starts = [NOW - phase - index * timedelta(hours=step) for index in range(number)]
    made = [start + data.draw(late) for start in starts]
    kept = [time for time in made if NOW - timedelta(days=days) < time <= NOW]
    assume(kept)
    audit = audit_droplet(
        enabled(name, days), [backup(time) for time in kept], now=NOW + skew, droplet_id=1
    )
    assert audit.finding is Finding.OK, audit.reason


@given(st.integers(0, 47), st.integers(1, 5), st.integers(2, 7))
def test_a_missing_day_is_found(half_hours: int, missing: int, number: int) -> None:
    """A daily backup that is missing between others is found, wherever it is."""
    assume(missing < number - 1)
    kept = [half_hours / 2 + 24 * index for index in range(number) if index != missing]
    assume(max(kept) < 7 * 24)
    assert judge(DAILY, kept).finding is Finding.SHORT


@given(ages, all_policies)
def test_figures_agree(old: list[float], policy: Policy | None) -> None:
    """Times are in order and in UTC, and what is derived from them fits together."""
    audit = judge(policy, old)
    assert all(one <= other for one, other in pairwise(audit.backup_times))
    assert all(time.tzinfo is UTC for time in audit.backup_times)
    assert audit.count == len(old)
    assert (audit.newest is None) == (audit.oldest is None) == (audit.age is None)
    assert audit.age is None or audit.age >= timedelta(0)
    assert audit.kept is None or audit.kept <= audit.count - audit.in_future
