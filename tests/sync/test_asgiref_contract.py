"""How asgiref is told which loop to use: not documented by it, so pinned here.

When one of these fails with a new asgiref, `_portal._BridgedThread.run` has to be adapted, or the
version of asgiref bounded.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator

import pytest
from asgiref.sync import AsyncToSync, SyncToAsync, sync_to_async

CHANGED = "asgiref has changed how AsyncToSync finds its loop: adapt `_portal._BridgedThread.run`"


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def handed_over(loop: asyncio.AbstractEventLoop) -> Iterator[asyncio.AbstractEventLoop]:
    """The loop, handed over to asgiref for this thread in the way that the portal does."""
    place = SyncToAsync.threadlocal
    names = ("main_event_loop", "main_event_loop_pid", "task_context")
    before = {name: getattr(place, name, None) for name in names}
    place.main_event_loop = loop
    place.main_event_loop_pid = os.getpid()
    place.task_context = []
    yield loop
    place.__dict__.update(before)


async def where() -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    """Tell where this runs."""
    return asyncio.get_running_loop(), threading.current_thread()


def test_runs_on_the_loop_that_is_handed_over(handed_over: asyncio.AbstractEventLoop) -> None:
    """``AsyncToSync`` runs a coroutine on the loop of the thread-local pair, not on a new one."""
    call = AsyncToSync(where)
    found = {call() for _ in range(3)}
    assert {loop for loop, _ in found} == {handed_over}, CHANGED
    assert len(found) == 1, CHANGED
    assert threading.current_thread() not in {thread for _, thread in found}, CHANGED


def test_names_that_sync_to_async_sets() -> None:
    """``sync_to_async`` hands its loop over by the very names that the portal sets."""

    def look() -> dict[str, object]:
        return dict(SyncToAsync.threadlocal.__dict__)

    async def ask() -> dict[str, object]:
        found = await sync_to_async(look, thread_sensitive=False)()
        assert found["main_event_loop"] is asyncio.get_running_loop(), CHANGED
        return found

    found = asyncio.run(ask())
    assert found["main_event_loop_pid"] == os.getpid(), CHANGED
    assert set(found) <= {"main_event_loop", "main_event_loop_pid", "task_context"}, CHANGED


def test_another_process_id_is_not_used(handed_over: asyncio.AbstractEventLoop) -> None:
    """The loop of another process is not used: that is what the process ID is for."""
    SyncToAsync.threadlocal.main_event_loop_pid = os.getpid() + 1
    loop, _ = AsyncToSync(where)()
    assert loop is not handed_over, CHANGED


@pytest.mark.usefixtures("handed_over")
def test_calls_back_into_the_calling_thread() -> None:
    """Thread-sensitive code that the coroutine calls runs in the thread that waits for it."""

    async def call_back() -> threading.Thread:
        return await sync_to_async(threading.current_thread)()

    assert AsyncToSync(call_back)() is threading.current_thread(), CHANGED


def test_refuses_where_a_loop_runs(handed_over: asyncio.AbstractEventLoop) -> None:
    """``AsyncToSync`` refuses where a loop runs in this thread: the portal goes another way."""

    async def call() -> None:
        with pytest.raises(RuntimeError, match="event loop"):
            AsyncToSync(where)()

    asyncio.run(call())
    assert handed_over.is_running()
