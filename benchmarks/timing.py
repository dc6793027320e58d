"""Wall and CPU time per item, and how many items make a round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from .tables import Column

WALL, CPU = "wall µs", "CPU µs"
IN_FLIGHT = 50


@contextmanager
def timed(count: int) -> Iterator[dict[str, float]]:
    """Fill in the wall and CPU time, in microseconds for each of so many items, at the end."""
    sample: dict[str, float] = {}
    cpu, wall = time.process_time(), time.perf_counter()
    yield sample
    sample[WALL] = (time.perf_counter() - wall) / count * 1e6
    sample[CPU] = (time.process_time() - cpu) / count * 1e6


async def ask_in_tasks(
    ask: Callable[[int], Awaitable[Any]], count: int, tasks: int = IN_FLIGHT
) -> dict[str, float]:
    """Ask about so many Droplets, one after the other in each of some tasks."""
    droplet_ids = iter(range(1, count + 1))

    async def work() -> None:
        for droplet_id in droplet_ids:
            await ask(droplet_id)

    with timed(count) as sample:
        async with asyncio.TaskGroup() as group:
            for _ in range(tasks):
                group.create_task(work())
    return sample


def fitting(sample: dict[str, float], seconds: float, multiple: int = IN_FLIGHT) -> int:
    """Give the number of items, a multiple of some number, that take about so many seconds of CPU.

    Not of wall time: all sides warm up at once, and would take few for that.
    """
    return max(1, round(seconds * 1e6 / sample[CPU] / multiple)) * multiple


def columns(
    samples: dict[str, list[dict[str, float]]], *keys: str, suffix: str = ""
) -> Sequence[Column]:
    """Give one column for each quantity."""
    return [Column.of(key + suffix, samples, key) for key in keys]
