"""A whole account: how many requests each plan of `list_fleet` takes, and how long they take."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from typing import Any

import attrs

from ..canned import TOKEN
from ..processes import Side
from ..simulated import simulated
from ..tables import Column, Goal, Scale, Table

BURST, SECONDS = 250, 1.0
"""The simulated limit: what the API allows in a minute, in a second."""

PLANS = ("auto", "joined", "per_droplet")


@attrs.frozen
class Account:
    """An account to be listed.

    Attributes:
        title: What is special about it.
        backups: The backups of each Droplet.
        options: The keywords of `simulated`.
        most: The most requests that ``"auto"`` may take, beside three more than one per Droplet.
    """

    title: str
    backups: int
    options: dict[str, Any] = attrs.field(factory=dict)
    most: float = float("inf")


def accounts() -> list[Account]:
    """Give the accounts, each of 1,000 Droplets."""
    from gradient_async.testing import ALL_SCOPES

    return [
        Account("4 backups each", 4),
        Account("7 backups each", 7, most=45),
        Account("42 backups each", 42),
        Account("7 each, 20,000 unrelated images", 7, {"unrelated_images": 20_000}),
        Account("7 each, no `image:read`", 7, {"scopes": ALL_SCOPES - {"image:read"}}),
    ]


def by_list_fleet(url: str, plan: Any) -> Generator[dict[str, float], None, None]:
    """List the account once; the first round only gets ready."""
    from gradient_async import AsyncGradient, RateLimit

    async def run() -> dict[str, float]:
        limit = RateLimit(windows=((BURST, SECONDS),))
        async with AsyncGradient(TOKEN, base_url=url, rate_limit=limit) as client:
            fleet = client.gpu_droplets.backups.list_fleet(plan=plan)
            started = time.perf_counter()
            backups = [len(result.backups) async for result in fleet]
            return {"wall s": time.perf_counter() - started, "backups": sum(backups)}

    yield {}
    yield asyncio.run(run())


def measure(scale: Scale) -> Iterator[Table]:
    """Measure accounts of 1,000 Droplets, and compute one of 100,000."""
    droplets = 200 if scale.quick else 1_000
    samples: dict[str, list[dict[str, float]]] = {}
    goals = []
    for account in accounts()[1:2] if scale.quick else accounts():
        taken = {plan: _listed(account, plan, droplets) for plan in PLANS}
        samples |= {f"{account.title}, `{plan}`": [taken[plan]] for plan in PLANS}
        requests, per_droplet = (taken[plan]["requests"] for plan in ("auto", "per_droplet"))
        bound = min(account.most, per_droplet + 3)
        goals.append(Goal(f"{droplets:,} Droplets, {account.title}: requests", requests, bound))
    yield Table(
        f"A whole account of {droplets:,} Droplets, by plan",
        [Column.of(key, samples, key) for key in ("requests", "minutes", "wall s", "backups")],
        goals=goals,
        note=f"The minutes are what {BURST} requests a minute allow at best; the wall time was "
        f"taken under {BURST} requests per {SECONDS:g} s.",
    )
    yield _large()


def _listed(account: Account, plan: str, droplets: int) -> dict[str, float]:
    limits = ((BURST, SECONDS),)
    with simulated(droplets, account.backups, limits=limits, **account.options) as server:
        side = Side(by_list_fleet, (server.url, plan))
        side.round()
        sample = side.round()
        side.stop()
        requests = server.statuses().total()
    return sample | {"requests": requests, "minutes": _seconds(requests) / 60}


def _seconds(requests: int) -> float:
    """Give the seconds that so many requests take at least under the limits of a token."""
    from gradient_async import RateLimit
    from gradient_async._rate_limit import ideal_seconds

    return ideal_seconds(requests, RateLimit())


def _large() -> Table:
    from gradient_async._fleet import pages

    droplets, backups = 100_000, 7
    requests = {
        "`joined`": pages(droplets) + pages(droplets * backups),
        "`per_droplet`": pages(droplets) + droplets,
    }
    hours = {plan: _seconds(count) / 3600 for plan, count in requests.items()}
    return Table(
        f"{droplets:,} Droplets with {backups} backups each, computed",
        [
            Column("requests", {plan: [float(count)] for plan, count in requests.items()}),
            Column("hours", {plan: [count] for plan, count in hours.items()}),
        ],
        note="At least, under 250 requests a minute and 5,000 an hour.",
    )
