"""Does one thing over and over, and fails when anything of it is left.

``python -m leaks.rounds --count 5000`` prints what was held before and after: file descriptors,
threads and bytes of memory.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

import attrs
from faults.campaign import MEGABYTE, TOKEN, Holdings, Servers, not_slow
from faults.server import fleet

from gradient_async import AsyncGradient, Gradient
from gradient_async.errors import ConfigurationError

WARM_UP: Final = 50
MAX_GROWTH: Final = 4 * MEGABYTE
PATIENCE: Final = 10.0

Round = Callable[[str, int], Any]


async def closed(url: str, droplet_id: int) -> None:
    """Close a client after its request."""
    async with AsyncGradient(TOKEN, base_url=url) as client:
        await client.gpu_droplets.backups.list(droplet_id)


async def dropped(url: str, droplet_id: int) -> None:
    """Drop a client without closing it."""
    await AsyncGradient(TOKEN, base_url=url).gpu_droplets.backups.list(droplet_id)


async def abandoned(url: str, droplet_id: int) -> None:
    """Leave an iteration, a stream and a request before their ends."""
    async with AsyncGradient(TOKEN, base_url=url) as client:
        backups = client.gpu_droplets.backups
        async for _ in backups.iter_policies():
            break
        async with backups.with_streaming_response.list(droplet_id):
            pass
        task = asyncio.ensure_future(backups.list(droplet_id))
        await asyncio.sleep(0)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def looped(url: str, droplet_id: int) -> None:
    """Use a client that was made outside of the loop, which ends before the client."""
    asyncio.run(dropped(url, droplet_id))


def blocking(url: str, droplet_id: int) -> None:
    """Close a blocking client after its request."""
    with Gradient(TOKEN, base_url=url) as client:
        client.gpu_droplets.backups.list(droplet_id)


def blocking_dropped(url: str, droplet_id: int) -> None:
    """Drop a blocking client without closing it, and an iteration before its end."""
    client = Gradient(TOKEN, base_url=url)
    next(iter(client.gpu_droplets.backups.iter_policies()))
    client.copy(timeout=3.0).gpu_droplets.backups.list(droplet_id)


def never_made(url: str, _: int) -> None:
    """Have clients refuse to be made."""
    for make in (AsyncGradient, Gradient):
        with suppress(ConfigurationError):
            make("two\nlines", base_url=url)


ROUNDS: Final[dict[str, Round]] = {
    round_.__name__: round_
    for round_ in (closed, dropped, abandoned, looped, blocking, blocking_dropped, never_made)
}


def objects() -> Counter[str]:
    """Count the objects of our classes and of aiohttp's, and the tasks."""
    gc.collect()
    modules = ("gradient_async", "aiohttp.c", "_asyncio", "asyncio.")
    names = (f"{type(thing).__module__}.{type(thing).__qualname__}" for thing in gc.get_objects())
    return Counter(name for name in names if name.startswith(modules))


@attrs.frozen
class Left:
    """What a process holds."""

    holdings: Holdings
    objects: Counter[str]

    def since(self, before: Left) -> list[str]:
        """Name what there is more of than before."""
        grown = [f"{count} {name}" for name, count in (self.objects - before.objects).items()]
        now, then = self.holdings, before.holdings
        if now.descriptors > then.descriptors:
            grown.append(f"{now.descriptors - then.descriptors} file descriptors")
        if now.threads > then.threads:
            grown.append(f"{now.threads - then.threads} threads")
        if now.memory > then.memory + MAX_GROWTH:
            grown.append(f"{(now.memory - then.memory) / MEGABYTE:.1f} MB")
        return grown


async def repeat(round_: Callable[..., Coroutine[Any, Any, None]], *about: Any, count: int) -> None:
    """Await the same so many times on one loop."""
    for _ in range(count):
        await round_(*about)
    await asyncio.sleep(0.05)  # connections that were left are closed by the loop


def run(name: str, count: int, url: str, droplet_id: int) -> None:
    """Do something so many times."""
    round_ = ROUNDS[name]
    if asyncio.iscoroutinefunction(round_):
        asyncio.run(repeat(round_, url, droplet_id, count=count))
    else:
        for _ in range(count):
            round_(url, droplet_id)


def settled(before: Left) -> tuple[Left, list[str]]:
    """Look until nothing is left any more: threads of dropped clients end by themselves."""
    end = time.monotonic() + PATIENCE
    while True:
        after = Left(Holdings.now(), objects())
        grown = after.since(before)
        if not grown or time.monotonic() > end:
            return after, grown
        time.sleep(0.05)


def look(name: str, count: int, url: str, droplet_id: int) -> list[str]:
    """Do something over and over, print what was held, and name what is left of it."""
    run(name, WARM_UP, url, droplet_id)
    before, started = Left(Holdings.now(), objects()), time.monotonic()
    run(name, count, url, droplet_id)
    seconds = round(time.monotonic() - started, 1)
    after, grown = settled(before)
    held = [attrs.astuple(left.holdings) for left in (before, after)]
    print(json.dumps({"name": name, "count": count, "seconds": seconds, "held": held}))
    return [f"left of {name}: {what}" for what in grown]


def main() -> int:
    """Repeat what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(ROUNDS))
    parser.add_argument("--count", type=int, default=5000)
    chosen = parser.parse_args()
    warnings.simplefilter("error")
    logging.getLogger("asyncio").addFilter(not_slow)
    servers, droplet_id = Servers(), next(iter(fleet().droplets))
    url = servers.urls["simulator"]
    names = chosen.names or ROUNDS
    left = [line for name in names for line in look(name, chosen.count, url, droplet_id)]
    servers.stop()
    print("\n".join(left))
    return bool(left)


if __name__ == "__main__":
    sys.exit(main())
