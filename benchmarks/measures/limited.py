"""A fleet under the token's rate limit: what is lost, what is wasted, how long it takes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import Any

import attrs

from ..canned import TOKEN
from ..processes import Rounds, Sample, Side
from ..sides import ASYNC_SIDES, GRADIENT, OURS, PYDO, UNPACED
from ..simulated import Simulated, simulated
from ..tables import Column, Goal, Scale, Table

LATENCY = 0.1
POLICIES = 10_000
PROCESSES = 4


@attrs.frozen
class Task:
    """A fleet and a limit.

    Attributes:
        droplets: How many Droplets are asked about, all at once.
        limit: How many requests the token may send in `seconds`.
        seconds: The length of the sliding window.
    """

    droplets: int
    limit: int
    seconds: float

    @property
    def ideal(self) -> float:
        """The seconds that nobody can be faster than: a burst as soon as each window allows it."""
        return (-(-self.droplets // self.limit) - 1) * self.seconds

    @property
    def windows(self) -> tuple[tuple[int, float], ...]:
        """The limit as both the simulator and the client take it."""
        return ((self.limit, self.seconds),)


def by_list_many(
    url: str, droplet_ids: list[int], windows: tuple[tuple[int, float], ...] | None
) -> Generator[dict[str, float], None, None]:
    """Ask with `list_many`; the first round only gets ready."""
    from gradient_async import AsyncGradient, RateLimit

    async def run() -> dict[str, float]:
        limit = None if windows is None else RateLimit(windows=windows)
        async with AsyncGradient(TOKEN, base_url=url, rate_limit=limit) as client:
            started = time.perf_counter()
            lost = 0
            async for result in client.gpu_droplets.backups.list_many(droplet_ids):
                lost += result.error is not None
            return {"wall s": time.perf_counter() - started, "lost": lost}

    yield {}
    yield asyncio.run(run())


def by_gather(
    side: str, url: str, droplet_ids: list[int]
) -> Generator[dict[str, float], None, None]:
    """Ask with a `gather` over all Droplets, as is shown for the peers."""

    async def run() -> dict[str, float]:
        async with ASYNC_SIDES[side](url) as ask:
            started = time.perf_counter()
            answers = await asyncio.gather(
                *(ask(droplet_id, 200) for droplet_id in droplet_ids), return_exceptions=True
            )
            lost = sum(isinstance(answer, BaseException) for answer in answers)
            return {"wall s": time.perf_counter() - started, "lost": lost}

    yield {}
    yield asyncio.run(run())


def measure(scale: Scale) -> Iterator[Table]:
    """Measure one process under two kinds of limit, several processes, and many pages."""
    task = Task(300, 100, 2.0) if scale.quick else Task(500, 100, 2.0)
    yield _one_process(task, scale, hour_style=False)
    yield _one_process(task, scale, hour_style=True)
    yield _several_processes(task)
    yield _policies(scale)


def _one_process(task: Task, scale: Scale, *, hour_style: bool) -> Table:
    sides: dict[str, tuple[Rounds, tuple[Any, ...]]] = {
        OURS: (by_list_many, (task.windows,)),
        UNPACED: (by_list_many, (None,)),
        GRADIENT: (by_gather, ()),
        PYDO: (by_gather, ()),
    }
    samples = {}
    for name in list(sides)[: 1 if scale.quick else None]:
        rounds, args = sides[name]
        with simulated(task.droplets, 4, limits=task.windows, hour_style=hour_style) as server:
            given = (server.url, server.droplet_ids)
            whole = (name, *given) if rounds is by_gather else (*given, *args)
            samples[name] = [_run_together(server, [Side(rounds, whole)])]
    ours = samples[OURS][0]
    kind = "hour-style 429" if hour_style else "429 with `retry-after`"
    return Table(
        f"{task.droplets} Droplets, {task.limit} requests per {task.seconds:g} s, {kind}",
        _columns(samples),
        goals=[
            Goal(f"{kind}: Droplets lost", ours["lost"], 0),
            Goal(f"{kind}: wall / ideal", ours["wall s"] / task.ideal, 1.03),
            Goal(f"{kind}: % of answers that are 429", ours["429"] / ours["requests"] * 100, 1),
        ],
        note=f"All asked for at once. The ideal is {task.ideal:.1f} s.",
    )


def _several_processes(task: Task) -> Table:
    with simulated(task.droplets, 4, limits=task.windows) as server:
        share = task.droplets // PROCESSES
        parts = [server.droplet_ids[n * share : (n + 1) * share] for n in range(PROCESSES)]
        sides = [Side(by_list_many, (server.url, part, task.windows)) for part in parts]
        sample = _run_together(server, sides)
    return Table(
        f"{PROCESSES} processes that share a limit of {task.limit} per {task.seconds:g} s, "
        f"{share} Droplets each",
        _columns({OURS: [sample]}),
        goals=[
            Goal(f"{PROCESSES} processes: Droplets lost", sample["lost"], 0),
            Goal(f"{PROCESSES} processes: wall / ideal", sample["wall s"] / task.ideal, 1.25),
        ],
        note=f"They know of each other by the headers only. The ideal is {task.ideal:.1f} s.",
    )


def _run_together(server: Simulated, sides: list[Side[Sample]]) -> dict[str, float]:
    """Run sides at the same time, once each of them is ready, and see what the server saw."""
    with ExitStack() as stack:
        for side in sides:
            stack.callback(side.stop)
            side.round()
        started = time.perf_counter()
        for side in sides:
            side.begin()
        lost = sum(side.result()["lost"] for side in sides)
        wall = time.perf_counter() - started
    statuses = server.statuses()
    return {"wall s": wall, "lost": lost, "requests": statuses.total(), "429": statuses[429]}


def _columns(samples: dict[str, list[dict[str, float]]]) -> list[Column]:
    return [Column.of(key, samples, key) for key in ("wall s", "lost", "requests", "429")]


def all_policies(url: str) -> Generator[dict[str, float], None, None]:
    """Read the policies of a whole fleet; each round does it once."""
    from gradient_async import AsyncGradient

    async def run(client: AsyncGradient) -> dict[str, float]:
        started = time.perf_counter()
        count = 0
        async for _ in client.gpu_droplets.backups.iter_policies(concurrency=64):
            count += 1
        assert count == POLICIES
        return {"round trips": (time.perf_counter() - started) / LATENCY}

    with asyncio.Runner() as runner:
        client = AsyncGradient(TOKEN, base_url=url, rate_limit=None)
        while True:
            yield runner.run(run(client))


def _policies(scale: Scale) -> Table:
    with simulated(POLICIES, 0, latency=LATENCY) as server:
        side = Side(all_policies, (server.url,))
        side.round()
        before = server.statuses().total()
        trips = [side.round()["round trips"] for _ in range(scale.rounds)]
        side.stop()
        requests = (server.statuses().total() - before) / scale.rounds
    column = Column("round trips", {OURS: trips})
    return Table(
        f"{POLICIES:,} policies at {LATENCY * 1000:.0f} ms latency",
        [column, Column("requests", {OURS: [requests]})],
        goals=[
            Goal(f"{POLICIES:,} policies: round trips", column.median(OURS), 2.5),
            Goal(f"{POLICIES:,} policies: requests", requests, 51),
        ],
        note="`iter_policies(concurrency=64)`; a round trip is the latency.",
    )
