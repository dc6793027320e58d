"""A long listing, item by item: what crossing from the loop to the caller costs."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator

from ..canned import TOKEN, canned
from ..processes import in_turn
from ..sides import roomy_limit
from ..tables import Goal, Scale, Table
from ..timing import CPU, WALL, columns, timed

BACKUPS = 20_000
ASYNC, SYNC = "`async for`", "`for`"


def asynchronously(url: str) -> Generator[dict[str, float], None, None]:
    """Measure `AsyncGradient`."""
    from gradient_async import AsyncGradient

    async def run(client: AsyncGradient) -> dict[str, float]:
        with timed(BACKUPS) as sample:
            count = 0
            async for _ in client.gpu_droplets.backups.iter_backups(1):
                count += 1
            assert count == BACKUPS
        return sample

    with asyncio.Runner() as runner:
        client = AsyncGradient(TOKEN, base_url=url, rate_limit=roomy_limit())
        while True:
            yield runner.run(run(client))


def synchronously(url: str) -> Generator[dict[str, float], None, None]:
    """Measure `Gradient`."""
    from gradient_async import Gradient

    with Gradient(TOKEN, base_url=url, rate_limit=roomy_limit()) as client:
        while True:
            with timed(BACKUPS) as sample:
                count = sum(1 for _ in client.gpu_droplets.backups.iter_backups(1))
                assert count == BACKUPS
            yield sample


def measure(scale: Scale) -> Iterator[Table]:
    """Measure both clients."""
    with canned(BACKUPS) as server:
        sides = {ASYNC: (asynchronously, (server.url,)), SYNC: (synchronously, (server.url,))}
        wall, cpu = columns(in_turn(sides, scale, together=sides), WALL, CPU)
    yield Table(
        f"Iterating over {BACKUPS:,} backups",
        [wall, cpu],
        base=ASYNC,
        goals=[Goal(f"iterating {BACKUPS:,} backups, sync / async", wall.ratio(SYNC, ASYNC), 1.3)],
        note="`iter_backups`, per backup.",
    )
