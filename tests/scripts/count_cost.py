"""Counts what one request and one decoded page cost, without a clock, and prints it as JSON.

Only what our own code does is counted, so neither the machine nor the version of a dependency
matters: the lines it runs, the calls it makes, the tasks and timers it starts.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import gradient_async
from gradient_async import AsyncGradient
from gradient_async._structure import decode
from gradient_async.testing import Fleet, Simulator
from gradient_async.types.gpu_droplets import BackupListResponse

# attrs writes methods of its own, whose file is named after the module of the class.
OURS = (str(Path(gradient_async.__file__).parent), "<attrs generated")
ROUNDS = 20
BACKUPS = 200
SUSPENDABLE = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR


def is_ours(code: CodeType) -> bool:
    """Whether code is of the package."""
    return code.co_filename.startswith(OURS)


def is_function(code: CodeType) -> bool:
    """Whether code is called once each time: a coroutine is when it goes on, too.

    A comprehension is a function in some versions of Python only.
    """
    return not code.co_flags & SUSPENDABLE and not code.co_name.startswith("<")


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count lines run and calls made by our code in this thread."""
    counts: Counter[str] = Counter()

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any] | None:
        if not is_ours(frame.f_code):
            return None
        if event == "line":
            counts["lines"] += 1
        return trace

    def profile(frame: FrameType, event: str, _: Any) -> None:
        code = frame.f_code
        if event == "c_call" and is_ours(code):
            counts["calls"] += 1
        elif event == "call" and is_function(code):
            caller = frame.f_back
            counts["calls"] += is_ours(code) or (caller is not None and is_ours(caller.f_code))

    sys.settrace(trace)
    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)
        sys.settrace(None)


def counting_loop(made: Counter[str]) -> asyncio.AbstractEventLoop:
    """Make a loop that counts the tasks and timers that our code makes."""
    loop = asyncio.SelectorEventLoop()

    def counting(what: str, make: Callable[..., Any]) -> Callable[..., Any]:
        def make_and_count(*args: Any, **kwargs: Any) -> Any:
            frame: FrameType | None = sys._getframe(1)
            while frame is not None and "asyncio" in frame.f_code.co_filename:
                frame = frame.f_back
            made[what] += frame is not None and is_ours(frame.f_code)
            return make(*args, **kwargs)

        return make_and_count

    for what, name in (("tasks", "create_task"), ("timers", "call_at")):
        setattr(loop, name, counting(what, getattr(loop, name)))
    return loop


async def cost_of_request(simulator: Simulator, made: Counter[str]) -> dict[str, float]:
    """Count one request on a connection that is open already."""
    async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
        ask = client.gpu_droplets.backups.list
        (droplet_id,) = simulator.fleet.droplets
        for _ in range(3):
            await ask(droplet_id, per_page=200)
        made.clear()
        with counted() as counts:
            for _ in range(ROUNDS):
                await ask(droplet_id, per_page=200)
    counts += made
    return {what: counts[what] / ROUNDS for what in ("lines", "calls", "tasks", "timers")}


def cost_of_decoding(page: bytes) -> dict[str, float]:
    """Count one decoded page, and what each backup of it leaves in memory."""
    decode(BackupListResponse, page)
    with counted() as counts:
        decode(BackupListResponse, page)
    gc.collect()
    gc.disable()
    objects, blocks = len(gc.get_objects()), sys.getallocatedblocks()
    held = [decode(BackupListResponse, page) for _ in range(ROUNDS)]
    blocks = sys.getallocatedblocks() - blocks
    backups = sum(len(answer.backups) for answer in held)
    return {
        **{what: counts[what] for what in ("lines", "calls")},
        "collectable objects per backup": round((len(gc.get_objects()) - objects) / backups, 1),
        "memory blocks per backup": round(blocks / backups, 1),
    }


async def page_of(simulator: Simulator) -> bytes:
    """Give a full page as the simulator answers it."""
    async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
        raw = client.gpu_droplets.backups.with_raw_response
        (droplet_id,) = simulator.fleet.droplets
        return (await raw.list(droplet_id, per_page=BACKUPS)).content


def main() -> None:
    """Print the counts."""
    made: Counter[str] = Counter()
    with asyncio.Runner(loop_factory=partial(counting_loop, made)) as runner:
        with Simulator(Fleet.uniform(1, 4)) as simulator:
            request = runner.run(cost_of_request(simulator, made))
        with Simulator(Fleet.uniform(1, BACKUPS)) as simulator:
            page = runner.run(page_of(simulator))
    print(json.dumps({"request": request, "decoding": cost_of_decoding(page)}))


if __name__ == "__main__":
    main()
