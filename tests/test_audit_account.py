"""The audit of an account, which is asked for real, through both clients."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, timedelta
from typing import Any, TypeAlias, get_args

import attrs
import pytest

from gradient_async import AsyncGradient, Gradient
from gradient_async._fleet import PlanChoice
from gradient_async.audit import Finding, FleetAudit, audit_account, audit_account_blocking
from gradient_async.errors import AuthenticationError, DeadlineExceededError, RateLimitError
from gradient_async.testing import Fault, Fleet, Simulator
from gradient_async.types import DropletBackups

HOUR = timedelta(hours=1)


def gpus(account: Fleet) -> list[int]:
    """The Droplets that are meant where none are named."""
    return [droplet.id for droplet in account.droplets.values() if droplet.is_gpu]


def found(account: Fleet, fleet: FleetAudit) -> dict[int, int]:
    """The number of backups of each Droplet, after a look at what must be there anyway."""
    names = {audit.droplet_id: audit.droplet_name for audit in fleet}
    assert names == {droplet_id: account.droplets[droplet_id].name for droplet_id in gpus(account)}
    counts = fleet.counts
    assert counts[Finding.OK] > 20
    assert counts[Finding.NEVER] == 2
    assert counts[Finding.OVERDUE] == 1
    assert counts[Finding.DISABLED] == 5
    assert counts[Finding.ERROR] == counts[Finding.UNKNOWN_PLAN] == 0
    return {audit.droplet_id: audit.count for audit in fleet}


def awaited(simulator: Simulator, *args: Any, **options: Any) -> FleetAudit:
    """Audit through the asynchronous client."""

    async def audit() -> FleetAudit:
        async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
            return await audit_account(client, *args, **options)

    return asyncio.run(audit())


def blocking(simulator: Simulator, *args: Any, **options: Any) -> FleetAudit:
    """Audit through the blocking client."""
    with Gradient(simulator.token, base_url=simulator.url) as client:
        return audit_account_blocking(client, *args, **options)


Audit: TypeAlias = Callable[..., FleetAudit]
BOTH = pytest.mark.parametrize("audit", [awaited, blocking])


async def test_account_through_the_asynchronous_client(simulator: Simulator) -> None:
    """The whole account is asked, each Droplet once, and progress is told as it goes."""
    totals: list[int] = []
    results: list[DropletBackups] = []
    account = simulator.fleet
    async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
        fleet = await audit_account(
            client,
            now=account.now,
            concurrency=4,
            on_start=totals.append,
            on_result=results.append,
        )
    number = len(gpus(account))
    assert (totals, len(results)) == ([number], number)
    expected = {key: len(account.droplets[key].backups) for key in gpus(account)}
    assert found(account, fleet) == expected


def test_account_through_the_blocking_client() -> None:
    """The blocking twin gives the same audit; only names are not known of Droplets by ID."""
    account = Fleet.generate(40)
    with (
        Simulator(account) as simulator,
        Gradient(simulator.token, base_url=simulator.url) as client,
    ):
        fleet = audit_account_blocking(client, now=account.now)
        again = audit_account_blocking(client, gpus(account), now=account.now)
    found(account, fleet)
    assert {audit.droplet_name for audit in again} == {None}
    assert tuple(attrs.evolve(audit, droplet_name=None) for audit in fleet) == again.audits


async def test_the_plan_changes_no_finding(simulator: Simulator) -> None:
    """An account is judged alike whichever way it is asked about, also where images are missing."""
    account, token = simulator.fleet, simulator.token
    for droplet_id in gpus(account)[:3]:
        account.hide(account.droplets[droplet_id].backups[0].id, "images")
    async with AsyncGradient(token, base_url=simulator.url) as client:
        fleets = {
            plan: await audit_account(client, plan=plan, now=account.now)
            for plan in get_args(PlanChoice)
        }
    assert fleets["joined"] == fleets["per_droplet"] == fleets["auto"]
    found(account, fleets["auto"])
    own = [request for request in simulator.requests if request.path.endswith("/backups")]
    assert len(gpus(account)) < len(own) < 2 * len(gpus(account))  # the plans did differ


@BOTH
def test_the_policies_are_read_once(audit: Audit) -> None:
    """An account whose Droplets have no backups takes each page of each listing one time."""
    account = Fleet.uniform(450, 0)
    for droplet_id in account.droplets:
        account.set_policy(droplet_id, None)
    with Simulator(account) as simulator:
        fleet = audit(simulator, now=account.now)
        pages = Counter(request.path for request in simulator.requests)
    assert fleet.counts[Finding.DISABLED] == 450
    assert pages == {"/v2/droplets": 3, "/v2/droplets/backups/policies": 3, "/v2/images": 1}


@BOTH
def test_a_part_of_the_account(audit: Audit) -> None:
    """A type and a tag choose Droplets of the account; those that are not chosen are no finding."""
    account = Fleet.generate(40)
    others = account.droplets.keys() - set(gpus(account))
    tagged = {number for number, droplet in account.droplets.items() if "env:prod" in droplet.tags}
    choices: list[tuple[set[int], dict[str, Any]]] = [
        (others, {"type": "droplets"}),
        (tagged, {"tag_name": "env:prod"}),
    ]
    with Simulator(account) as simulator:
        for expected, choice in choices:
            fleet = audit(simulator, now=account.now, **choice)
            assert {audit.droplet_id for audit in fleet} == expected
            assert not fleet.counts[Finding.ERROR]


async def test_an_account_without_droplets() -> None:
    """An audit of an account without Droplets has none, and progress tells a total of 0."""
    totals: list[int] = []
    with Simulator(Fleet()) as simulator:
        async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
            fleet = await audit_account(client, on_start=totals.append)
    assert (len(fleet), fleet.coverage, totals) == (0, None, [0])


@BOTH
@pytest.mark.parametrize("named", [True, False], ids=["named", "account"])
def test_options_of_an_audit(audit: Audit, *, named: bool) -> None:
    """Options of an audit hold for named Droplets and for those of the account."""
    account = Fleet.generate(12)
    totals: list[int] = []
    results: list[DropletBackups] = []
    chosen = gpus(account)[:5] if named else gpus(account)
    with Simulator(account) as simulator:
        simulator.faults.add(Fault.delay(0.02), path="/backups$", times=None)
        fleet = audit(
            simulator,
            chosen if named else None,
            plan="auto" if named else "per_droplet",
            now=account.now,
            max_age=HOUR,
            grace=3 * HOUR,
            concurrency=1,
            on_start=totals.append,
            on_result=results.append,
        )
        assert simulator.max_in_flight == 1
    assert (fleet.now, fleet.max_age, fleet.grace) == (account.now, HOUR, 3 * HOUR)
    assert (totals, len(fleet)) == ([len(chosen)], len(chosen))
    assert sorted(result.droplet_id for result in results) == sorted(chosen)


@BOTH
@pytest.mark.parametrize("named", [True, False], ids=["named", "account"])
def test_droplets_that_a_deadline_leaves(audit: Audit, *, named: bool) -> None:
    """Droplets that a deadline leaves are errors that name it; the others are judged."""
    account = Fleet.generate(12)
    with Simulator(account, limits=[(5, 3600.0)]) as simulator:
        fleet = audit(
            simulator,
            gpus(account) if named else None,
            plan="auto" if named else "per_droplet",
            concurrency=1,
            deadline=1.0,
        )
    late = fleet.with_findings({Finding.ERROR})
    assert 0 < len(late) < len(fleet) == len(gpus(account))
    assert all("deadline of 1 s" in audit.reason for audit in late)
    assert fleet.now.tzinfo is UTC


@BOTH
@pytest.mark.parametrize("named", [True, False], ids=["named", "account"])
def test_policies_that_would_come_after_the_deadline(audit: Audit, *, named: bool) -> None:
    """An audit whose policies would come after the deadline is an error at once."""
    account = Fleet.generate(12)
    with Simulator(account, limits=[(5, 30.0)]) as simulator:
        with Gradient(simulator.token, base_url=simulator.url) as client:
            for _ in range(5):
                client.gpu_droplets.backups.list_policies()
        with pytest.raises(RateLimitError):
            audit(simulator, gpus(account)[:1] if named else None, deadline=1.0)


@BOTH
def test_a_choice_beside_named_droplets(audit: Audit) -> None:
    """Droplets that are named are all that is asked about: a choice from the account is refused."""
    with Simulator(Fleet()) as simulator:
        for choice in ({"type": "gpus"}, {"tag_name": "env:prod"}, {"plan": "joined"}):
            with pytest.raises(ValueError, match=r"^type, tag_name and plan .* no droplet_ids$"):
                audit(simulator, [1], **choice)
        assert not simulator.requests


async def test_account_of_chosen_droplets(simulator: Simulator) -> None:
    """Only the Droplets that were named are asked about; an unknown one is an error of its own."""
    one, two, *_ = simulator.fleet.droplets
    async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
        fleet = await audit_account(client, [two, one, two, 7], now=simulator.fleet.now)
    assert [audit.droplet_id for audit in fleet] == [7, one, two]
    assert [audit.finding for audit in fleet] == [Finding.ERROR, Finding.OK, Finding.OK]
    assert fleet.audits[0].error is not None
    assert len(simulator.requests) == 4


@BOTH
def test_one_or_two_droplets_cost_two_requests_each(audit: Audit) -> None:
    """One or two named Droplets cost two requests each, however large the account is."""
    account = Fleet.generate(300)
    one, two, *_ = gpus(account)
    with Simulator(account) as simulator:
        alone = audit(simulator, [one], now=account.now)
        assert sorted(request.path for request in simulator.requests) == [
            f"/v2/droplets/{one}/backups",
            f"/v2/droplets/{one}/backups/policy",
        ]
        both = audit(simulator, [two, one, one], now=account.now)
        gone = audit(simulator, [7], now=account.now)
        assert not [request for request in simulator.requests if "policies" in request.path]
        everything = audit(simulator, gpus(account), now=account.now)
    judged = {audit.droplet_id: audit for audit in everything}
    assert list(alone) == [judged[one]]
    assert list(both) == [judged[droplet_id] for droplet_id in sorted((one, two))]
    assert [audit.finding for audit in gone] == [Finding.ERROR]


async def test_account_when_the_deadline_passes_too_early() -> None:
    """An audit does not pass over Droplets that it has not heard of: that is an error."""
    totals: list[int] = []
    with Simulator(Fleet.generate(12)) as simulator:
        simulator.faults.add(Fault.hold(), path="/v2/droplets$")
        async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
            with pytest.raises(DeadlineExceededError):
                await audit_account(client, deadline=0.2, on_start=totals.append)
    assert totals == []


async def test_account_with_a_wrong_token(simulator: Simulator) -> None:
    """An API that cannot be asked is an error, not an audit."""
    async with AsyncGradient("wrong", base_url=simulator.url) as client:
        with pytest.raises(AuthenticationError):
            await audit_account(client)
