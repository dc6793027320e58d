"""One awaited `list`: the client's own work for each request."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial

from ..canned import canned
from ..processes import in_turn
from ..sides import ASYNC_SIDES, DECODED, FLOOR, GRADIENT, ON_AIOHTTP, OURS, Ask
from ..tables import Column, Goal, Scale, Table
from ..timing import CPU, IN_FLIGHT, WALL, ask_in_tasks, columns, fitting

PAGE = 200
FLOOR_BOUNDS = {4: 1.30, 200: 2.2}
GRADIENT_BOUNDS = {4: 4.0, 200: 6.0}
QUICK_SIDES = (FLOOR, DECODED, OURS, GRADIENT)


def rounds(
    side: str, url: str, seconds: float, uvloop: bool = False
) -> Generator[dict[str, float], None, None]:
    """Measure a side with 50 requests in flight."""
    with asyncio.Runner(loop_factory=_uvloop if uvloop else None) as runner:
        stack = AsyncExitStack()
        ask = runner.run(stack.enter_async_context(ASYNC_SIDES[side](url)))
        asking = partial(_asking, ask)
        runner.run(ask_in_tasks(asking, 2 * IN_FLIGHT))
        warm = runner.run(ask_in_tasks(asking, 2 * IN_FLIGHT))
        count = fitting(warm, seconds)
        yield warm
        while True:
            yield runner.run(ask_in_tasks(asking, count))


async def _asking(ask: Ask, droplet_id: int) -> None:
    await ask(droplet_id, PAGE)


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def measure(scale: Scale) -> Iterator[Table]:
    """Measure with few and with many backups in the answer, also over TLS as the API is."""
    names = QUICK_SIDES if scale.quick else ASYNC_SIDES
    for backups in (4, 200):
        cpu, wall = _measured(names, backups, scale)
        yield Table(
            f"One awaited `list`, {backups} backups in the answer",
            [cpu, wall],
            base=FLOOR,
            goals=_goals(cpu, backups),
            note="Per request, with 50 in flight. The wall time includes what the server takes.",
        )
    if not scale.quick:
        for backups in (4, 200):
            yield Table(
                f"One awaited `list` over TLS, {backups} backups in the answer",
                _measured(ON_AIOHTTP, backups, scale, tls=True),
                base=FLOOR,
                note="As above, with `https`, which is what the API speaks.",
            )


def _measured(
    names: Iterable[str], backups: int, scale: Scale, *, tls: bool = False
) -> Sequence[Column]:
    with canned(backups, tls=tls) as server:
        sides = {side: (rounds, (side, server.url, scale.seconds)) for side in names}
        return columns(in_turn(sides, scale, together=ON_AIOHTTP), CPU, WALL)


def _goals(cpu: Column, backups: int) -> list[Goal]:
    answer = f"awaited `list`, {backups} backups: CPU"
    return [
        Goal(f"{answer} / {FLOOR}", cpu.ratio(OURS, FLOOR), FLOOR_BOUNDS[backups]),
        Goal(
            f"{answer}, {GRADIENT} / ours",
            cpu.ratio(GRADIENT, OURS),
            GRADIENT_BOUNDS[backups],
            at_least=True,
        ),
    ]
