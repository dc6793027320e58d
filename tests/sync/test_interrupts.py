"""What ends a wait early: Ctrl-C, and signal handlers that raise."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine, Iterator
from contextlib import closing
from typing import Any

import pytest
from thread_helpers import signalled, until

from gradient_async import Gradient, RateLimit
from gradient_async.testing import Fault, Fleet, Simulator

from .helpers import Clients, Scripts


class SoftTimeLimitExceeded(Exception):
    """An exception of the kind that a worker's time limit raises in a signal handler."""


@pytest.fixture
def time_limit() -> Iterator[int]:
    """A signal whose handler raises, as that of a worker's time limit does."""

    def raise_it(*_: object) -> None:
        raise SoftTimeLimitExceeded

    before = signal.signal(signal.SIGUSR1, raise_it)
    yield signal.SIGUSR1
    signal.signal(signal.SIGUSR1, before)


def run_as_notebook(coroutine: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a loop that leaves the handling of Ctrl-C as it is."""
    with closing(asyncio.new_event_loop()) as loop:
        loop.run_until_complete(coroutine)


def test_interrupted_call(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """Ctrl-C ends a call at once, cancels its request, and leaves the client usable."""
    simulator.faults.add(Fault.hold())
    with (
        signalled(lambda: simulator.wait_for_sync(held=1)),
        pytest.raises(KeyboardInterrupt),
    ):
        client.gpu_droplets.backups.list(droplet_id)
    simulator.wait_for_sync(cancelled=1)
    assert client.gpu_droplets.backups.list(droplet_id).backups


def test_interrupted_fan_out(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """Ctrl-C ends a fan-out: all its requests are cancelled and no other one is sent."""
    simulator.faults.add(Fault.hold(), times=None)
    asked = list(fleet.droplets)
    with (
        signalled(lambda: simulator.wait_for_sync(held=8)),
        pytest.raises(KeyboardInterrupt),
    ):
        list(client.gpu_droplets.backups.list_many(asked, concurrency=8))
    simulator.wait_for_sync(cancelled=8)
    simulator.faults.clear()
    assert len(list(client.gpu_droplets.backups.list_many(asked))) == len(asked)
    assert simulator.received == 8 + sum(
        max(1, -(-len(droplet.backups) // 200)) for droplet in fleet.droplets.values()
    )


def test_interrupted_rate_limit_wait(
    clients: Clients, simulator: Simulator, droplet_id: int
) -> None:
    """Ctrl-C ends a wait for the rate limit, and gives the place in the queue back."""
    client = clients.make(rate_limit=RateLimit(windows=((1, 3600.0),)), max_rate_limit_wait=None)
    client.gpu_droplets.backups.list(droplet_id)
    with (
        signalled(lambda: until(lambda: client.rate_limit.waiting == 1)),
        pytest.raises(KeyboardInterrupt),
    ):
        client.gpu_droplets.backups.list(droplet_id)
    until(lambda: client.rate_limit.waiting == 0)
    assert simulator.received == 1


def test_interrupted_stream(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """Ctrl-C ends the reading of a body, and the connection of that is dropped."""
    simulator.faults.add(Fault.hold("body"))
    streaming = client.gpu_droplets.backups.with_streaming_response
    with (
        signalled(lambda: simulator.wait_for_sync(held=1)),
        pytest.raises(KeyboardInterrupt),
        streaming.list(droplet_id) as response,
    ):
        response.read()
    simulator.wait_for_sync(cancelled=1)
    assert client.gpu_droplets.backups.list(droplet_id).backups
    assert simulator.connections == 2


@pytest.mark.blocks_loop
def test_interrupted_while_a_loop_runs(
    client: Gradient, simulator: Simulator, droplet_id: int
) -> None:
    """Ctrl-C also ends a call in a thread whose own loop is running, in a notebook say."""
    simulator.faults.add(Fault.hold())

    async def cell() -> None:
        with pytest.warns(UserWarning, match="AsyncGradient"):
            client.gpu_droplets.backups.list(droplet_id)

    with signalled(lambda: simulator.wait_for_sync(held=1)), pytest.raises(KeyboardInterrupt):
        run_as_notebook(cell())
    simulator.wait_for_sync(cancelled=1)


def test_time_limit_of_a_worker(
    client: Gradient, simulator: Simulator, droplet_id: int, time_limit: int
) -> None:
    """An exception that a signal handler raises ends a call as Ctrl-C does."""
    simulator.faults.add(Fault.hold())
    with (
        signalled(lambda: simulator.wait_for_sync(held=1), time_limit),
        pytest.raises(SoftTimeLimitExceeded),
    ):
        client.gpu_droplets.backups.list(droplet_id)
    simulator.wait_for_sync(cancelled=1)
    assert client.gpu_droplets.backups.list(droplet_id).backups


def test_time_limit_in_a_fan_out(
    client: Gradient, simulator: Simulator, fleet: Fleet, time_limit: int
) -> None:
    """An exception that a signal handler raises ends a fan-out as Ctrl-C does."""
    simulator.faults.add(Fault.hold(), times=None)
    results = client.gpu_droplets.backups.list_many(iter(fleet.droplets), concurrency=4)
    with (
        signalled(lambda: simulator.wait_for_sync(held=4), time_limit),
        pytest.raises(SoftTimeLimitExceeded),
    ):
        list(results)
    simulator.wait_for_sync(cancelled=4)
    with pytest.raises(RuntimeError, match="start a new one"):
        next(results)


def test_signal_handler_calls_the_client(
    client: Gradient, simulator: Simulator, droplet_id: int
) -> None:
    """A signal handler may use the client while a call of the same thread is under way."""
    simulator.faults.add(Fault.hold())
    seen: list[int | None] = []

    def call_too(*_: object) -> None:
        seen.append(client.gpu_droplets.backups.list(droplet_id).meta.total)
        simulator.release()

    before = signal.signal(signal.SIGUSR1, call_too)
    try:
        with signalled(lambda: simulator.wait_for_sync(held=1), signal.SIGUSR1):
            answer = client.gpu_droplets.backups.list(droplet_id)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert seen == [answer.meta.total]


def test_script_ends_as_python_does(scripts: Scripts, simulator: Simulator) -> None:
    """Ctrl-C ends a script with the usual traceback, to its own line, and nothing after it."""
    simulator.faults.add(Fault.hold())
    with scripts.start("hold") as process:
        simulator.wait_for_sync(held=1)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=30)
    simulator.wait_for_sync(cancelled=1)
    assert process.returncode == -signal.SIGINT
    assert complaints.startswith("Traceback (most recent call last):")
    assert complaints.endswith("\nKeyboardInterrupt\n")
    assert "line 8, in <module>" in complaints
    assert "asgiref" not in complaints
    assert "During handling" not in complaints


def test_a_handler_that_raises_anywhere(scripts: Scripts) -> None:
    """Wherever a signal handler raises, the call is over, and gives its connection back.

    asgiref is left as it was, but after the one line of each crossing that puts that right.
    """
    listed, streamed = ["True", "1", "0"], ["True", "2", "0"]
    assert scripts.run("raises_anywhere") == listed + streamed
