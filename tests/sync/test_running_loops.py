"""Calls from where an event loop is at work already."""

from __future__ import annotations

import asyncio
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress

import aiohttp
import pytest
from asgiref.sync import async_to_sync, sync_to_async

from gradient_async import APIConnectionError, BlockingCallWarning, Gradient
from gradient_async.testing import Fault, Fleet, Simulator

from .helpers import Call, Clients, loop_threads


def here(caught: list[warnings.WarningMessage]) -> list[str]:
    """Give the source lines that the warnings point to, all of them in this file."""
    assert {warning.filename for warning in caught} <= {__file__}
    with open(__file__, encoding="utf-8") as file:
        lines = file.read().splitlines()
    return [lines[warning.lineno - 1].strip() for warning in caught]


def fetch(client: Gradient, droplet_id: int) -> int | None:
    """A helper of the user's own, around the library."""
    return client.gpu_droplets.backups.list(droplet_id).meta.total


@pytest.mark.blocks_loop
async def test_works_and_warns(client: Gradient, droplet_id: int) -> None:
    """A call in the thread of a running loop is answered, and warns at the caller's line."""
    with pytest.warns(BlockingCallWarning, match="use AsyncGradient there") as caught:
        page = client.gpu_droplets.backups.list(droplet_id)
    assert page.backups
    assert here(list(caught)) == ["page = client.gpu_droplets.backups.list(droplet_id)"]


@pytest.mark.blocks_loop
async def test_warns_once_per_place(client: Gradient, droplet_id: int) -> None:
    """With Python's own filters the same place warns once, and each place warns."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            fetch(client, droplet_id)
        fetch(client, droplet_id)
        client.gpu_droplets.backups.list_policies()
    assert here(caught) == [
        "return client.gpu_droplets.backups.list(droplet_id).meta.total",
        "client.gpu_droplets.backups.list_policies()",
    ]


@pytest.mark.blocks_loop
async def test_warns_at_the_loop_over_an_iterator(client: Gradient, droplet_id: int) -> None:
    """An iterator warns where it is iterated over, in whichever way."""
    backups = client.gpu_droplets.backups
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in backups.iter_backups(droplet_id):
            pass
        _ = list(backups.list_many([droplet_id]))
        _ = next(backups.list_many(iter([droplet_id])))
    assert here(caught) == [
        "for _ in backups.iter_backups(droplet_id):",
        "_ = list(backups.list_many([droplet_id]))",
        "_ = next(backups.list_many(iter([droplet_id])))",
    ]


@pytest.mark.blocks_loop
async def test_warns_at_the_with_of_a_stream(client: Gradient, droplet_id: int) -> None:
    """A streamed answer warns at its ``with`` and where it is read."""
    streaming = client.gpu_droplets.backups.with_streaming_response
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with streaming.list(droplet_id) as response:
            b"".join(response.iter_bytes())
    assert here(caught) == [
        "with streaming.list(droplet_id) as response:",
        'b"".join(response.iter_bytes())',
    ]


async def test_warning_as_an_error(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """Where warnings are errors, the call raises and sends nothing."""
    with pytest.raises(BlockingCallWarning):
        client.gpu_droplets.backups.list(droplet_id)
    assert simulator.received == 0


@pytest.mark.blocks_loop
async def test_iteration_works(client: Gradient, fleet: Fleet) -> None:
    """A fan-out is complete also in the thread of a running loop."""
    with pytest.warns(BlockingCallWarning):
        results = list(client.gpu_droplets.backups.list_many(iter(fleet.droplets)))
    assert {result.droplet_id for result in results} == set(fleet.droplets)


@pytest.mark.blocks_loop
async def test_closed_meanwhile(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """Closing ends a call in the thread of a running loop as it does in any other."""
    simulator.faults.add(Fault.hold())

    def close() -> None:
        simulator.wait_for_sync(held=1)
        client.close()

    closing = Call(close)
    with (
        pytest.warns(BlockingCallWarning),
        pytest.raises(
            APIConnectionError, match="the client was closed while the request was under way"
        ),
    ):
        client.gpu_droplets.backups.list(droplet_id)
    closing.result()


@pytest.mark.blocks_loop
async def test_close_needs_no_warning(clients: Clients, droplet_id: int) -> None:
    """Making a client and closing it is quiet in the thread of a running loop."""
    client = clients.make()
    await asyncio.to_thread(client.gpu_droplets.backups.list, droplet_id)
    client.close()
    assert client.is_closed()


def on_the_loop(clients: Clients, action: Callable[[], object], droplet_id: int) -> list[str]:
    """Do something on the loop of a client, in a hook of its session; the errors that it raised."""
    errors: list[str] = []

    async def hook(*_: object) -> None:
        try:
            action()
        except RuntimeError as error:
            errors.append(str(error))

    def session() -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(hook)
        return aiohttp.ClientSession(trace_configs=[tracing])

    client = clients.make(session=session)
    holder.append(client)
    client.gpu_droplets.backups.list(droplet_id)
    holder.clear()
    return errors


holder: list[Gradient] = []


def test_call_on_its_own_loop(clients: Clients, simulator: Simulator, droplet_id: int) -> None:
    """A call from the client's own loop is an error at once, as it would wait for itself."""

    def call() -> None:
        holder[0].gpu_droplets.backups.list(droplet_id)

    [error] = on_the_loop(clients, call, droplet_id)
    assert "would wait for itself: use AsyncGradient there" in error
    assert simulator.received == 1


def test_close_on_its_own_loop(clients: Clients, droplet_id: int) -> None:
    """Closing the client from its own loop is an error at once, too."""
    [error] = on_the_loop(clients, lambda: holder[0].close(), droplet_id)
    assert "would wait for itself" in error


async def test_in_sync_to_async(client: Gradient, droplet_id: int) -> None:
    """Blocking code that a coroutine calls by ``sync_to_async`` works, and warns of nothing."""
    for thread_sensitive in (True, False):
        work = sync_to_async(fetch, thread_sensitive=thread_sensitive)
        assert await work(client, droplet_id)
    assert len(loop_threads()) == 1


async def test_many_in_sync_to_async(
    client: Gradient, simulator: Simulator, droplet_id: int
) -> None:
    """Calls by ``sync_to_async`` in threads of their own are under way together."""
    simulator.faults.add(Fault.hold(), times=4)
    work = sync_to_async(fetch, thread_sensitive=False)
    calls = [asyncio.ensure_future(work(client, droplet_id)) for _ in range(4)]
    await simulator.wait_for(held=4)
    simulator.release()
    assert len(set(await asyncio.gather(*calls))) == 1


def test_in_async_to_sync_in_sync_to_async(client: Gradient, droplet_id: int) -> None:
    """Layers of ``async_to_sync`` and ``sync_to_async`` around a call do not block each other."""

    async def view() -> int | None:
        return await sync_to_async(fetch)(client, droplet_id)

    assert async_to_sync(view)() == fetch(client, droplet_id)


async def test_cancelled_around_the_call(
    client: Gradient, simulator: Simulator, droplet_id: int
) -> None:
    """A coroutine that is cancelled while its thread makes a call leaves the client usable."""
    simulator.faults.add(Fault.hold())
    view = asyncio.ensure_future(sync_to_async(fetch)(client, droplet_id))
    await simulator.wait_for(held=1)
    view.cancel()
    simulator.release()
    with suppress(asyncio.CancelledError):
        await view
    assert await asyncio.to_thread(fetch, client, droplet_id)


def test_loops_in_two_threads(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """Threads with and without loops use one client at once."""

    async def in_loop() -> int | None:
        return await asyncio.to_thread(fetch, client, droplet_id)

    calls = [Call(lambda: asyncio.run(in_loop())) for _ in range(3)]
    calls += [Call(lambda: fetch(client, droplet_id)) for _ in range(3)]
    assert len({call.result() for call in calls}) == 1
    assert (simulator.received, len(loop_threads())) == (6, 1)


def test_loop_factory_that_raises(clients: Clients, droplet_id: int) -> None:
    """What a loop factory raises is raised by the call, and the next call asks it again."""
    loops: list[asyncio.AbstractEventLoop] = []

    def factory() -> asyncio.AbstractEventLoop:
        if not loops:
            loops.append(asyncio.new_event_loop())
            raise OSError("no loop today")
        return loops[0]

    client = clients.make(loop_factory=factory)
    with pytest.raises(OSError, match="no loop today"):
        fetch(client, droplet_id)
    assert loop_threads() == []
    assert fetch(client, droplet_id)


def test_uvloop(clients: Clients, simulator: Simulator, droplet_id: int, fleet: Fleet) -> None:
    """The client runs on uvloop where that is asked for."""
    uvloop = pytest.importorskip("uvloop")
    client = clients.make(loop_factory=uvloop.new_event_loop)
    assert fetch(client, droplet_id) == len(fleet.droplets[droplet_id].backups)
    assert len(list(client.gpu_droplets.backups.list_many(list(fleet.droplets)))) == 40
    with client.gpu_droplets.backups.with_streaming_response.list(droplet_id) as response:
        assert response.parse().backups
    client.close()
    assert loop_threads() == []
    simulator.wait_for_sync(lambda simulator: simulator.open_connections == 0)


def test_without_threads_left(
    clients: Clients, droplet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no thread can be started the call says so, and the next call tries again."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    client = clients.make()
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError, match="can't start new thread"):
            fetch(client, droplet_id)
    assert fetch(client, droplet_id)


async def test_a_session_of_another_loop_is_refused(simulator: Simulator) -> None:
    """A session lives on the loop that it was made on, which is never that of a blocking client."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(TypeError, match=r"must be a function that makes an aiohttp"):
            Gradient(simulator.token, session=session)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
