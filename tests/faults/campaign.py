"""Many requests against servers that misbehave, each checked against what it may end in.

``python -m faults.campaign --requests 100000 --client async`` prints its seed and its figures, and
fails when a request ended otherwise than it may, or when anything is left over.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import random
import resource
import socket
import subprocess
import sys
import threading
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, TypeAlias

import aiohttp
import attrs
import pytest
from aiohttp import connector

from gradient_async import AsyncGradient, Gradient, RateLimit, _transport
from gradient_async._pacing import Pacer
from gradient_async._retry import retry_delay
from gradient_async.errors import APIError, GradientError
from gradient_async.testing import Fleet
from gradient_async.types import BackupListResponse

from .kinds import HEADER, KINDS, MAX_RETRIES, Ask, Where, plan
from .server import fleet

ClientKind: TypeAlias = Literal["async", "blocking"]

TOKEN = "simulated-token"
TIMEOUT = 20.0
SHORT_TIMEOUT = 0.4
MAX_BYTES = 1_000_000
MEGABYTE = 1024 * 1024
MAX_GROWTH = 24 * MEGABYTE
OWN_LIMIT = RateLimit(((1000, 0.5),))
SHARED_LIMIT = RateLimit(((50_000, 0.05),))
PATIENCE = 2.0


def budget(ask: Ask) -> float:
    """Give the most seconds that a request may take, generous to a busy machine."""
    kind = KINDS.get(ask.kind or "")
    tries = (MAX_RETRIES + 1) * (SHORT_TIMEOUT if kind and kind.slow else TIMEOUT)
    return tries + PATIENCE + 10.0


def options(ask: Ask) -> dict[str, Any]:
    """Give the options of a request: the header that asks for its fault, a short timeout."""
    given: dict[str, Any] = {"extra_headers": {HEADER: ask.header}}
    if ask.kind is not None and KINDS[ask.kind].slow:
        given["timeout"] = SHORT_TIMEOUT
    if ask.kind is not None and KINDS[ask.kind].limited:
        given["max_rate_limit_wait"] = PATIENCE
    return given


async def send(client: AsyncGradient, ask: Ask) -> object:
    """Make a request by its method."""
    backups, more = client.gpu_droplets.backups, options(ask)
    match ask.method:
        case "list":
            return await backups.list(ask.droplet_id, per_page=200, **more)
        case "policy":
            return await backups.retrieve_policy(ask.droplet_id, **more)
        case "raw":
            raw = await backups.with_raw_response.list(ask.droplet_id, per_page=200, **more)
            return await raw.parse()
        case "stream":
            streaming = backups.with_streaming_response
            async with streaming.list(ask.droplet_id, per_page=200, **more) as answer:
                return await answer.parse()
        case "iterate":
            return [backup async for backup in backups.iter_backups(ask.droplet_id, **more)]
        case "many":
            return [answer async for answer in backups.list_many([ask.droplet_id], **more)]


def send_blocking(client: Gradient, ask: Ask) -> object:
    """Make a request by its method, from a thread without an event loop."""
    backups, more = client.gpu_droplets.backups, options(ask)
    match ask.method:
        case "list":
            return backups.list(ask.droplet_id, per_page=200, **more)
        case "policy":
            return backups.retrieve_policy(ask.droplet_id, **more)
        case "raw":
            return backups.with_raw_response.list(ask.droplet_id, per_page=200, **more).parse()
        case "stream":
            streaming = backups.with_streaming_response
            with streaming.list(ask.droplet_id, per_page=200, **more) as answer:
                return answer.parse()
        case "iterate":
            return list(backups.iter_backups(ask.droplet_id, **more))
        case "many":
            return list(backups.list_many([ask.droplet_id], **more))


class Truth:
    """What the right answer to each request is."""

    def __init__(self, account: Fleet) -> None:
        self._backups = {
            droplet.id: [backup.id for backup in droplet.backups]
            for droplet in account.droplets.values()
        }
        self.droplet_ids = list(self._backups)

    def mismatch(self, ask: Ask, answer: Any) -> str | None:
        """Tell what is wrong with an answer, ``None`` when it is the right one."""
        if ask.method == "policy":
            got, wanted = answer.policy.droplet_id, ask.droplet_id
            return None if got == wanted else f"the policy of {got}"
        given: Any = answer.backups if isinstance(answer, BackupListResponse) else answer
        given = given[0].backups if ask.method == "many" else given
        ids, wanted_ids = [backup.id for backup in given], self._wanted(ask)
        if ask.method not in ("iterate", "many"):
            wanted_ids = wanted_ids[:200]
        return None if ids == wanted_ids else f"{len(ids)} backups {ids[:3]}..."

    def _wanted(self, ask: Ask) -> list[int]:
        if ask.where in ("raw", "secure"):
            return [10 * ask.droplet_id, 10 * ask.droplet_id + 1]
        return self._backups[ask.droplet_id]


@attrs.define
class Tally:
    """What a campaign came to.

    Attributes:
        asked: The requests by their fault.
        ended: The requests by how they ended.
        wrong: What ended otherwise than it may.
        slowest: Seconds of the slowest request, and its fault.
    """

    asked: Counter[str] = attrs.field(factory=Counter[str])
    ended: Counter[str] = attrs.field(factory=Counter[str])
    wrong: list[str] = attrs.field(factory=list[str])
    slowest: tuple[float, str] = (0.0, "")

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.asked + other.asked,
            self.ended + other.ended,
            self.wrong + other.wrong,
            max(self.slowest, other.slowest),
        )

    def judge(self, ask: Ask, truth: Truth, ending: object, seconds: float) -> None:
        """Take the answer or error that a request ended in."""
        error = ending if isinstance(ending, BaseException) else None
        if ask.method == "many" and isinstance(ending, list) and ending:
            error = ending[0].error
        self.asked[ask.kind or "none"] += 1
        self.ended["answer" if error is None else type(error).__name__] += 1
        self.slowest = max(self.slowest, (seconds, ask.kind or "none"))
        problem = self._problem(ask, truth, ending, error)
        if seconds > budget(ask):
            problem = f"{problem or ''} after {seconds:.1f} s"
        if problem is not None:
            self.wrong.append(f"{ask}: {problem}")

    def _problem(
        self, ask: Ask, truth: Truth, ending: object, error: BaseException | None
    ) -> str | None:
        if isinstance(error, asyncio.CancelledError) and ask.cancel_after is not None:
            return None
        allowed = ask.endings()
        if error is None:
            return truth.mismatch(ask, ending) if None in allowed else "an answer"
        if not isinstance(error, GradientError):
            return f"an error of another tree: {error!r}"
        named = [kind for kind in allowed if kind is not None]
        if not any(type(error) is kind for kind in named):
            return repr(error)
        if isinstance(error, APIError) and error.attempts > MAX_RETRIES + 10:
            return f"{error.attempts} attempts"
        return None


class Servers:
    """The servers, in a process of their own."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "faults.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        told = self._line()
        self.urls: dict[Where, str] = told["urls"]
        connector._SSL_CONTEXT_VERIFIED.load_verify_locations(cadata=told["authority"])

    def _line(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def counters(self) -> dict[str, int]:
        """Give what the servers saw so far."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        counters: dict[str, int] = self._line()
        return counters

    def stop(self) -> None:
        """End the process."""
        self._process.communicate()


def clients(make: Callable[..., Any], urls: dict[Where, str]) -> tuple[Any, Callable[[Ask], Any]]:
    """Make one client, and give its copy that fits a request: all share its connections."""
    main = make(
        TOKEN,
        base_url=urls["simulator"],
        timeout=TIMEOUT,
        max_retries=MAX_RETRIES,
        rate_limit=SHARED_LIMIT,
        max_response_bytes=MAX_BYTES,
    )
    copies = {where: main.copy(base_url=url) for where, url in urls.items()}

    def pick(ask: Ask) -> Any:
        if ask.kind is not None and KINDS[ask.kind].limited:
            return copies[ask.where].copy(rate_limit=OWN_LIMIT)
        return copies[ask.where]

    return main, pick


async def ask_all(
    asks: Iterator[Ask], pick: Callable[[Ask], AsyncGradient], truth: Truth, workers: int
) -> Tally:
    """Send requests, so many at once."""
    tally = Tally()

    async def work() -> None:
        for ask in asks:
            started = time.monotonic()
            task = asyncio.ensure_future(send(pick(ask), ask))
            if ask.cancel_after is not None:
                asyncio.get_running_loop().call_later(ask.cancel_after, task.cancel)
            await asyncio.wait([task])
            ending = asyncio.CancelledError() if task.cancelled() else task.exception()
            tally.judge(ask, truth, ending or task.result(), time.monotonic() - started)

    await asyncio.gather(*(work() for _ in range(workers)))
    return tally


def ask_all_blocking(
    asks: Iterator[Ask], pick: Callable[[Ask], Gradient], truth: Truth, workers: int
) -> Tally:
    """Send requests, from so many threads."""
    tally, lock = Tally(), threading.Lock()

    def take() -> Ask | None:
        with lock:
            return next(asks, None)

    def work() -> None:
        while (ask := take()) is not None:
            started = time.monotonic()
            try:
                ending = send_blocking(pick(ask), ask)
            except Exception as error:
                ending = error
            with lock:
                tally.judge(ask, truth, ending, time.monotonic() - started)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return tally


@contextmanager
def quick() -> Iterator[None]:
    """Make the pauses between tries a hundredth, and have no host be looked up."""
    look_up = socket.getaddrinfo

    def sooner(error: APIError, **about: Any) -> float | None:
        delay = retry_delay(error, **about)
        return None if delay is None else delay / 100

    def only_here(host: Any, *rest: Any, **more: Any) -> Any:
        if str(host).endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_transport, "retry_delay", sooner)
        patch.setattr(socket, "getaddrinfo", only_here)
        yield


@attrs.frozen
class Holdings:
    """What a process holds."""

    descriptors: int
    threads: int
    memory: int

    @classmethod
    def now(cls) -> Holdings:
        """Count them, after what is garbage was collected."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return cls(
            len(os.listdir("/proc/self/fd")),
            threading.active_count(),
            pages * resource.getpagesize(),
        )


def left_over(before: Holdings, warm: Holdings, after: Holdings) -> list[str]:
    """Name what a campaign has left behind."""
    found: list[str] = []
    if after.descriptors > before.descriptors:
        found.append(f"{after.descriptors - before.descriptors} file descriptors")
    if after.threads > before.threads:
        found.append(f"{after.threads - before.threads} threads")
    if after.memory - warm.memory > MAX_GROWTH:
        found.append(f"{(after.memory - warm.memory) / MEGABYTE:.0f} MB")
    kinds = (aiohttp.ClientResponse, aiohttp.ClientSession, aiohttp.BaseConnector, asyncio.Task)
    alive = Counter(type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, kinds))
    return found + [f"{count} {name}" for name, count in alive.items()]


async def lingering(look: Callable[[], list[str]]) -> list[str]:
    """Name what is left after a while: loops close what was broken off as they find time."""
    for _ in range(100):
        if not look():
            return []
        await asyncio.sleep(0.1)
    return look()


def other_tasks() -> list[str]:
    """Name the tasks beside the one that asks."""
    return [repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()]


def open_at(servers: Servers) -> list[str]:
    """Name the connections and requests that the servers have."""
    seen = servers.counters()
    return [f"{seen[what]} {what} at the servers" for what in ("open", "in flight") if seen[what]]


def unreturned(client: AsyncGradient) -> list[str]:
    """Name what a client whose requests have all ended still counts as under way."""
    transport = client._transport
    found = _under_way(transport.pacer)
    for here in transport.connections._by_loop.values():
        if here.slots.free != 100 or here._under_way:
            found.append(f"{100 - here.slots.free} slots, {len(here._under_way)} requests")
        connector = here.session.connector
        if connector is not None and connector._acquired:
            found.append(f"{len(connector._acquired)} connections")
    return found


def _under_way(pacer: Pacer) -> list[str]:
    running, waiting = pacer._schedule.running, len(pacer._waiting)
    return [f"{running} running, {waiting} waiting"] if running or waiting else []


@attrs.frozen
class Run:
    """A campaign.

    Attributes:
        seed: What its requests are drawn from.
        requests: How many.
        share: The share of them that meets a fault.
        client: Which client sends them.
        workers: How many at once.
    """

    seed: int
    requests: int
    share: float
    client: ClientKind
    workers: int

    def asks(self, truth: Truth, part: int) -> Iterator[Ask]:
        """Draw the requests: those to warm up with, or all others."""
        count = self.requests // 10 if part == 0 else self.requests - self.requests // 10
        cancelling = self.client == "async"
        return plan(self.seed + part, count, self.share, truth.droplet_ids, cancelling=cancelling)

    async def parts(self, urls: dict[Where, str], truth: Truth) -> tuple[Tally, Holdings]:
        """Send them with the asynchronous client."""
        client, pick = clients(AsyncGradient, urls)
        async with client:
            warmed = await ask_all(self.asks(truth, 0), pick, truth, self.workers)
            warm = Holdings.now()
            tally = warmed + await ask_all(self.asks(truth, 1), pick, truth, self.workers)
            tally.wrong += await lingering(lambda: unreturned(client) + other_tasks())
        return tally, warm

    def parts_blocking(self, urls: dict[Where, str], truth: Truth) -> tuple[Tally, Holdings]:
        """Send them with the blocking client."""
        client, pick = clients(Gradient, urls)
        with client:
            warmed = ask_all_blocking(self.asks(truth, 0), pick, truth, self.workers)
            warm = Holdings.now()
            tally = warmed + ask_all_blocking(self.asks(truth, 1), pick, truth, self.workers)
            tally.wrong += asyncio.run(lingering(lambda: unreturned(client._wrapped)))
        return tally, warm

    def run(self) -> tuple[Tally, dict[str, Any]]:
        """Run it, and give what it came to and its figures."""
        servers, truth = Servers(), Truth(fleet())
        asyncio.run(asyncio.sleep(0))
        before, started = Holdings.now(), time.monotonic()
        if self.client == "async":
            tally, warm = asyncio.run(self.parts(servers.urls, truth))
        else:
            tally, warm = self.parts_blocking(servers.urls, truth)
        seconds, after = time.monotonic() - started, Holdings.now()
        tally.wrong += left_over(before, warm, after)
        tally.wrong += asyncio.run(lingering(lambda: open_at(servers)))
        seen = servers.counters()
        if seen["visits elsewhere"]:
            tally.wrong.append(f"{seen['visits elsewhere']} visits to another origin")
        servers.stop()
        return tally, self.figures(tally, seconds, (before, warm, after), seen)

    def figures(
        self,
        tally: Tally,
        seconds: float,
        holdings: Sequence[Holdings],
        seen: dict[str, int],
    ) -> dict[str, Any]:
        """Give the figures for people and machines."""
        faulty = tally.asked.total() - tally.asked["none"]
        return {
            **attrs.asdict(self),
            "seconds": round(seconds, 1),
            "slowest": [round(tally.slowest[0], 2), tally.slowest[1]],
            "with a fault": faulty,
            "tries that the servers saw": seen["requests"],
            "faults": dict(sorted(tally.asked.items())),
            "endings": dict(tally.ended.most_common()),
            "before, warm, after": [attrs.astuple(held) for held in holdings],
        }


def not_slow(record: logging.LogRecord) -> bool:
    """Leave out that a callback was slow: that depends on what else the machine does."""
    return not record.getMessage().startswith("Executing")


def main() -> int:
    """Run a campaign as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--share", type=float, default=0.1, help="with a fault")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--client", choices=("async", "blocking"), default="async")
    parser.add_argument("--workers", type=int, default=64)
    run = Run(**vars(parser.parse_args()))
    print(f"seed {run.seed}", flush=True)
    warnings.simplefilter("error")
    logging.getLogger("asyncio").addFilter(not_slow)
    with quick():
        tally, figures = run.run()
    print(json.dumps(figures, indent=2))
    for line in tally.wrong[:20]:
        print(line)
    print(f"{len(tally.wrong)} wrong")
    return bool(tally.wrong)


if __name__ == "__main__":
    sys.exit(main())
