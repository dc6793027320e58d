"""What tests of asynchronous code share: read all, let tasks run, see that nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from gradient_async import AsyncGradient
from gradient_async.testing import Simulator

T = TypeVar("T")


@asynccontextmanager
async def refusing_proxy(
    monkeypatch: pytest.MonkeyPatch, status: bytes
) -> AsyncIterator[list[bytes]]:
    """Run a proxy that the environment names and that opens no tunnel; give what it is sent."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield seen


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """Check that no task is left of what is done inside, and that asyncio has nothing to log."""
    loop, said = asyncio.get_running_loop(), list[object]()
    loop.set_exception_handler(lambda _, context: said.append(context))
    before = asyncio.all_tasks()
    try:
        yield
        assert asyncio.all_tasks() <= before
        assert not said
    finally:
        loop.set_exception_handler(None)


async def settle(rounds: int = 10) -> None:
    """Let every task that can run do so."""
    for _ in range(rounds):
        await asyncio.sleep(0)


async def until(reached: Callable[[], bool]) -> None:
    """Wait for what no event tells of."""
    for _ in range(5_000):
        if reached():
            return
        await asyncio.sleep(0.001)
    pytest.fail("did not happen within five seconds")


async def drop(calls: Sequence[asyncio.Future[Any]]) -> None:
    """Cancel calls and wait for their end."""
    for call in calls:
        call.cancel()
    await asyncio.wait(calls)


async def assert_idle(client: AsyncGradient, simulator: Simulator) -> None:
    """Check that no request is under way, and no connection or place in the limit is in use."""
    await simulator.wait_for(lambda simulator: simulator.in_flight == 0)
    transport = client._transport
    slots, schedule = transport.connections.here().slots, transport.pacer._schedule
    # An answer that was sent is not yet one that was read.
    await until(lambda: slots.free == 100 and schedule.running == 0)
    assert client.rate_limit.waiting == 0


@asynccontextmanager
async def far_client(simulator: Simulator, **options: Any) -> AsyncIterator[AsyncGradient]:
    """A client of a simulator that serves from a thread of its own."""
    options.setdefault("base_url", simulator.url)
    async with AsyncGradient(simulator.token, **options) as client:
        yield client


async def collect(results: AsyncIterable[T], into: list[T] | None = None) -> list[T]:
    """Read results to their end; ``into`` has those before an error, too."""
    items: list[T] = [] if into is None else into
    async for item in results:
        items.append(item)  # noqa: PERF401 - a comprehension would lose them
    return items
