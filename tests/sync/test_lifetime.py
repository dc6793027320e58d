"""The end of a program, and of clients that nobody holds any more."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import tracemalloc
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from thread_helpers import until

from gradient_async import Gradient, NotFoundError
from gradient_async.testing import Fault, Fleet, Simulator

from .helpers import Scripts, ended_well, loop_threads, open_files

WITHOUT_NEW_THREADS = pytest.mark.skipif(
    (3, 12, 0) <= sys.version_info[:3] <= (3, 12, 2),
    reason="this CPython starts no thread once the main thread has ended",
)
STRICT = ("-W", "error")  # without asyncio's debug mode, which complains of a busy machine


@pytest.fixture
def total(fleet: Fleet, droplet_id: int) -> str:
    """How many backups the Droplet has, as the scripts print it."""
    return str(len(fleet.droplets[droplet_id].backups))


@pytest.mark.parametrize("options", [(), STRICT], ids=["usual", "strict"])
@pytest.mark.parametrize(
    ("way", "calls"),
    [
        ("plain", 1),
        ("at_exit", 2),
        ("close_at_exit", 1),
        ("daemons", 1),
        ("exit_in_a_thread", 2),
        ("thread_goes_on", 2),
        pytest.param("thread_begins", 1, marks=WITHOUT_NEW_THREADS),
        ("terminated", 1),
    ],
)
def test_never_closed(
    scripts: Scripts, total: str, way: str, calls: int, options: tuple[str, ...]
) -> None:
    """A program that never closes its client ends well, in silence, in every usual way."""
    assert scripts.run("ends", way, options=options) == [total] * calls


def test_ends_half_way(scripts: Scripts, simulator: Simulator) -> None:
    """A program that leaves an iteration half way ends well, and leaves no connection."""
    assert len(scripts.run("ends", "iteration", options=STRICT)) == 2
    simulator.wait_for_sync(lambda simulator: simulator.open_connections == 0)


def test_ends_while_a_daemon_thread_waits(scripts: Scripts, simulator: Simulator) -> None:
    """A daemon thread in the middle of a call neither holds the end up nor leaves a traceback."""
    simulator.faults.add(Fault.hold())
    process = scripts.start("ends", "held_daemon", options=STRICT)
    simulator.wait_for_sync(held=1)
    assert ended_well(process) == []
    simulator.wait_for_sync(cancelled=1)


def test_call_after_the_threads_have_ended(scripts: Scripts, total: str) -> None:
    """A call from a finalizer at the very end is an error, and does not wait for ever."""
    printed = scripts.run("ends", "collected_late", options=STRICT)
    assert printed == [total, "the-interpreter-is-ending,-and-its-threads-with-it"]


def test_close_after_the_threads_have_ended(scripts: Scripts, total: str) -> None:
    """Closing in a finalizer at the very end works."""
    assert scripts.run("ends", "close_late", options=STRICT) == [total, "True", "True"]


def test_close_again_after_an_interrupt(
    simulator: Simulator, droplet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C as a client begins to close: closing again waits for the loop, and is no error."""
    client = made_and_used(simulator, droplet_id)
    thread = client._portal._thread
    assert thread is not None
    release = threading.Event()
    thread.loop.call_soon_threadsafe(release.wait)  # so that it cannot end at once

    def interrupt(work: Coroutine[Any, Any, Any], _: object) -> None:
        work.close()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "run_coroutine_threadsafe", interrupt)
        with pytest.raises(KeyboardInterrupt):
            client.close()
    threading.Timer(0.05, release.set).start()
    client.close()
    assert client.is_closed()
    assert loop_threads() == []
    until(lambda: simulator.open_connections == 0)


def made_and_used(simulator: Simulator, droplet_id: int) -> Gradient:
    """Make a client and call it."""
    client = Gradient(simulator.token, base_url=simulator.url, rate_limit=None)
    client.gpu_droplets.backups.list(droplet_id)
    return client


def drop(client: Gradient) -> None:
    """Do nothing: the caller holds the client no longer."""


@pytest.mark.parametrize("end", [drop, Gradient.close], ids=["dropped", "closed"])
def test_hundreds_of_clients(
    simulator: Simulator,
    droplet_id: int,
    end: Callable[[Gradient], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Clients that are made and dropped, or closed, leave no thread, socket or memory behind."""

    def round_of(count: int) -> None:
        for _ in range(count):
            end(made_and_used(simulator, droplet_id))
        until(lambda: loop_threads() == [])
        simulator.wait_for_sync(lambda simulator: simulator.open_connections == 0)
        simulator.reset_log()
        gc.collect()

    round_of(20)
    threads, files = threading.active_count(), open_files()
    tracemalloc.start()
    try:
        round_of(10)
        before, _ = tracemalloc.get_traced_memory()
        round_of(150)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (threading.active_count(), open_files()) == (threads, files)
    each = 500 if sys.gettrace() is None else 5_000  # coverage keeps a tracer for every thread
    assert after - before < 150 * each
    assert caplog.records == []


def test_collected_in_the_thread_of_its_loop(simulator: Simulator, droplet_id: int) -> None:
    """A client whose last reference goes away on its own loop ends."""
    garbage = [made_and_used(simulator, droplet_id)]
    thread = garbage[0]._portal._thread
    assert thread is not None
    thread.loop.call_soon_threadsafe(garbage.clear)
    del thread
    until(lambda: loop_threads() == [])
    simulator.wait_for_sync(lambda simulator: simulator.open_connections == 0)


def test_resource_keeps_the_client(simulator: Simulator, droplet_id: int) -> None:
    """A resource can be used without its client being held."""
    backups = Gradient(simulator.token, base_url=simulator.url).gpu_droplets.backups
    gc.collect()
    assert backups.list(droplet_id) == backups.list(droplet_id)
    assert simulator.connections == 1


def test_dropped_after_an_error(simulator: Simulator) -> None:
    """A client that is dropped after a failed call ends, once garbage is collected."""
    client = Gradient(simulator.token, base_url=simulator.url)
    with pytest.raises(NotFoundError):
        client.gpu_droplets.backups.list(404)
    del client
    gc.collect()
    until(lambda: loop_threads() == [])
