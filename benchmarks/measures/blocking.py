"""One blocking call: what code without an event loop waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Iterator, Sequence

from ..canned import canned
from ..processes import Sides, in_turn, on_one_cpu, once
from ..sides import ASYNC_SIDES, GRADIENT_SYNC, OURS, REQUESTS, SYNC_SIDES, THREADS
from ..tables import Column, Goal, Scale, Table
from ..timing import CPU, WALL, ask_in_tasks, columns, fitting, timed

AWAITED = "gradient_async, awaited"
BLOCKING = "gradient_async, blocking"
QUICK_SIDES = (OURS, GRADIENT_SYNC, REQUESTS)
TOGETHER = (AWAITED, BLOCKING, THREADS)
PAGE = 200


def awaited(url: str, seconds: float) -> Generator[dict[str, float], None, None]:
    """Measure the same call awaited, one after the other."""
    with asyncio.Runner() as runner:
        side = ASYNC_SIDES[OURS](url)
        ask = runner.run(side.__aenter__())

        def run(count: int) -> dict[str, float]:
            return runner.run(ask_in_tasks(lambda number: ask(number, PAGE), count, tasks=1))

        warm = run(200)
        count = fitting(run(200), seconds)
        yield warm
        while True:
            yield run(count)


def blocking(side: str, url: str, seconds: float) -> Generator[dict[str, float], None, None]:
    """Measure a blocking client, one call after the other."""
    with SYNC_SIDES[side](url) as ask:

        def run(count: int) -> dict[str, float]:
            with timed(count) as sample:
                for droplet_id in range(1, count + 1):
                    ask(droplet_id, PAGE)
            return sample

        warm = run(100)
        count = fitting(run(100), seconds)
        yield warm
        while True:
            yield run(count)


def thousand(side: str, url: str) -> Generator[dict[str, float], None, None]:
    """Make 1,000 calls, for their connections to be counted."""
    with SYNC_SIDES[side](url) as ask:
        for droplet_id in range(1, 1_001):
            ask(droplet_id, PAGE)
        yield {}


def measure(scale: Scale) -> Iterator[Table]:
    """Measure a call with 4 backups in the answer, and what of it is the number of CPUs."""
    yield _beside_peers(scale)
    if not scale.quick:
        yield _on_one_cpu(scale)


def _measured(names: Iterable[str], url: str, scale: Scale) -> Sequence[Column]:
    sides: Sides = {AWAITED: (awaited, (url, scale.seconds))} | {
        BLOCKING if side == OURS else side: (blocking, (side, url, scale.seconds)) for side in names
    }
    return columns(in_turn(sides, scale, together=TOGETHER), WALL, CPU)


def _beside_peers(scale: Scale) -> Table:
    names = QUICK_SIDES if scale.quick else SYNC_SIDES
    with canned(4) as server:
        wall, cpu = _measured(names, server.url, scale)
        before = server.connections
        once(thousand, OURS, server.url)
        connections = server.connections - before
    return Table(
        "One blocking `list`, 4 backups in the answer",
        [wall, cpu],
        base=BLOCKING,
        goals=[
            Goal(
                f"blocking `list` / {GRADIENT_SYNC}",
                wall.ratio(BLOCKING, GRADIENT_SYNC),
                bound=0.55,
            ),
            Goal(
                f"blocking `list` / `{REQUESTS}.Session().get().json()`",
                wall.ratio(BLOCKING, REQUESTS),
                bound=0.7,
            ),
            Goal(
                "blocking `list`, µs above the same call awaited",
                wall.difference(BLOCKING, AWAITED),
                bound=150,
            ),
            Goal("connections for 1,000 blocking calls", connections, bound=1),
        ],
        note="Per call, one after the other.",
    )


def _on_one_cpu(scale: Scale) -> Table:
    with on_one_cpu(), canned(4) as server:
        wall, cpu = _measured((OURS, THREADS), server.url, scale)
    above = round(wall.difference(BLOCKING, AWAITED))
    return Table(
        "One blocking `list`, with client and server on one CPU",
        [wall, cpu],
        base=BLOCKING,
        note=f"{above} µs above the same call awaited. On two CPUs it is more, as they hand the "
        "work to each other.",
    )
