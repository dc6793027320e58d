"""Processes that fork, pools of processes, and green threads."""

from __future__ import annotations

import multiprocessing
import sys
from importlib.util import find_spec

import pytest

from gradient_async.testing import Fault, Fleet, Simulator

from .helpers import Scripts, ended_well

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


@pytest.fixture
def total(fleet: Fleet, droplet_id: int) -> str:
    """How many backups the Droplet has, as the scripts print it."""
    return str(len(fleet.droplets[droplet_id].backups))


def connections(simulator: Simulator, process: str) -> set[int]:
    """Give the connections that the requests of a process came on."""
    return {
        request.connection
        for request in simulator.requests
        if request.headers["x-process"] == process
    }


@pytest.mark.parametrize("end", ["leaves", "closes"])
def test_fork_at_rest(scripts: Scripts, simulator: Simulator, total: str, end: str) -> None:
    """After a fork parent and child go on, each with connections of its own."""
    printed = scripts.run("forks", "rest", end, options=("-W", "error"))
    assert sorted(printed) == sorted([total] * 4 + ["2", "7", "2"])
    assert connections(simulator, "parent") & connections(simulator, "child") == set()
    assert len(connections(simulator, "parent")) == len(connections(simulator, "child")) == 1


@pytest.mark.parametrize("end", ["leaves", "closes"])
def test_fork_in_the_middle_of_a_call(
    scripts: Scripts, simulator: Simulator, total: str, end: str
) -> None:
    """A fork while another thread is in the middle of a call disturbs neither process."""
    simulator.faults.add(Fault.hold(), after=1)
    process = scripts.start("forks", "busy", end)
    simulator.wait_for_sync(held=1)
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()
    # Of the parent: one before, two iterated, two after; of the child: three.
    simulator.wait_for_sync(lambda simulator: len(simulator.requests) >= 7)
    simulator.release()
    printed = ended_well(process)
    assert sorted(printed) == sorted([total] * 5 + ["2", "7", "2"])
    assert connections(simulator, "parent") & connections(simulator, "child") == set()
    assert simulator.cancelled == 0


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pool(scripts: Scripts, simulator: Simulator, total: str, method: str) -> None:
    """The processes of a pool use the client of their module, however they are started."""
    assert scripts.run("pools", method) == [total, "False", total]
    parent = simulator.requests[0].connection
    assert [request.connection for request in simulator.requests].count(parent) == 2


def test_prefork_pool(scripts: Scripts, simulator: Simulator, total: str) -> None:
    """Celery's prefork pool works, and its soft time limit ends a call, not the client."""
    simulator.faults.add(Fault.hold(), path="policy", times=None)
    assert scripts.run("prefork") == [total, total, "limited", total, total]
    simulator.wait_for_sync(cancelled=1)


@pytest.mark.parametrize("patched", ["all", "all but threads"])
@pytest.mark.parametrize("library", ["gevent", "eventlet"])
def test_green_threads(scripts: Scripts, simulator: Simulator, library: str, patched: str) -> None:
    """Where a library has patched the standard one a call refuses at once, and says what to do."""
    if find_spec(library) is None:
        pytest.skip(f"{library} is not installed")
    said = " ".join(scripts.run("green_threads", library, patched))
    assert said.startswith(f"{library} has patched the standard library")
    assert "prefork" in said
    assert simulator.received == 0
