"""`list_many`: what it costs above the same calls awaited in 50 tasks, and over a large fleet."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator

from ..canned import TOKEN, canned
from ..processes import in_turn, once
from ..sides import ours, roomy_limit
from ..tables import Column, Goal, Scale, Table
from ..timing import CPU, WALL, ask_in_tasks, columns, timed

FLEET = 2_000
IN_TASKS = "`list` awaited in 50 tasks"
LIST_MANY = "`list_many`"


def by_list_many(url: str, droplets: int) -> Generator[dict[str, float], None, None]:
    """Measure `list_many` over so many Droplets; every round is a whole run."""
    from gradient_async import AsyncGradient

    async def run(client: AsyncGradient) -> dict[str, float]:
        with timed(droplets) as sample:
            async for result in client.gpu_droplets.backups.list_many(range(1, droplets + 1)):
                assert len(result.backups) == 4, result
        return sample

    with asyncio.Runner() as runner:
        client = AsyncGradient(TOKEN, base_url=url, rate_limit=roomy_limit())
        while True:
            yield runner.run(run(client))


def in_tasks(url: str, droplets: int) -> Generator[dict[str, float], None, None]:
    """Measure the same requests, made without `list_many`."""
    with asyncio.Runner() as runner:
        side = ours(url)
        ask = runner.run(side.__aenter__())
        while True:
            yield runner.run(ask_in_tasks(lambda droplet_id: ask(droplet_id, 200), droplets))


def measure(scale: Scale) -> Iterator[Table]:
    """Measure a fleet of 2,000, and a large one beside a small one."""
    with canned(4) as server:
        sides = {
            IN_TASKS: (in_tasks, (server.url, FLEET)),
            LIST_MANY: (by_list_many, (server.url, FLEET)),
        }
        cpu, wall = columns(in_turn(sides, scale, together=sides), CPU, WALL)
        yield Table(
            f"`list_many` over {FLEET:,} Droplets",
            [cpu, wall],
            base=IN_TASKS,
            goals=[
                Goal(
                    f"`list_many`, {FLEET:,} Droplets: CPU / awaited in 50 tasks",
                    cpu.ratio(LIST_MANY, IN_TASKS),
                    1.10,
                )
            ],
            note="Per Droplet, 4 backups each.",
        )
        yield _large(server.url, scale)


def _large(url: str, scale: Scale) -> Table:
    small, large = 1_000, 10_000 if scale.quick else 100_000
    names = {small: f"{small:,} Droplets", large: f"{large:,} Droplets"}
    samples: dict[str, list[dict[str, float]]] = {name: [] for name in names.values()}
    for _ in range(1 if scale.quick else 3):
        around = in_turn({names[small]: (by_list_many, (url, small))}, scale)
        samples[names[small]] += around[names[small]]
        samples[names[large]].append(once(by_list_many, url, large))
    cpu = Column.of(CPU, samples, CPU)
    return Table(
        "`list_many` over a large fleet",
        [cpu, Column.of(WALL, samples, WALL)],
        base=names[small],
        goals=[
            Goal(
                f"`list_many`, time per Droplet of {large:,} / of {small:,}",
                cpu.ratio(names[large], names[small]),
                1.10,
            )
        ],
        note="Per Droplet, no latency.",
    )
