"""Iterators of the blocking client: how often they cross to the loop, and how they can be left."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from gradient_async import Gradient, _portal
from gradient_async.testing import Fault, Fleet, Simulator

from .helpers import Call


@pytest.fixture
def crossings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The coroutines that were handed to the loop, in order."""
    handed: list[str] = []
    run = _portal.Portal.run

    def counting(portal: _portal.Portal, work: Coroutine[Any, Any, Any]) -> Any:
        handed.append(repr(work))
        return run(portal, work)

    monkeypatch.setattr(_portal.Portal, "run", counting)
    return handed


@pytest.fixture
def large(fleet: Fleet) -> int:
    """A Droplet with more than one whole page of backups."""
    return next(droplet.id for droplet in fleet.droplets.values() if len(droplet.backups) > 200)


def test_all_items_in_order(client: Gradient, fleet: Fleet, large: int) -> None:
    """``iter_backups`` gives all backups of all pages in the order of the API."""
    backups = client.gpu_droplets.backups.iter_backups(large)
    assert [backup.id for backup in backups] == [b.id for b in fleet.droplets[large].backups]


def test_policies(client: Gradient, fleet: Fleet) -> None:
    """``iter_policies`` gives the policy of every Droplet by its number."""
    assert set(dict(client.gpu_droplets.backups.iter_policies())) == set(fleet.droplets)


def test_one_crossing_for_a_batch(
    client: Gradient, fleet: Fleet, large: int, crossings: list[str]
) -> None:
    """An iterator crosses to the loop once for all that is there: per page, and for the end."""
    found = list(client.gpu_droplets.backups.iter_backups(large))
    pages = -(-len(found) // 200)
    assert len(found) == len(fleet.droplets[large].backups) > 200
    assert len(crossings) <= pages + 1


def test_fan_out_takes_what_is_there(
    client: Gradient, simulator: Simulator, fleet: Fleet, crossings: list[str]
) -> None:
    """A slow consumer of a fan-out finds all results that came meanwhile in one crossing."""
    asked = list(fleet.droplets)[:20]
    results = client.gpu_droplets.backups.list_many(asked, concurrency=20)
    first = next(results)
    simulator.wait_for_sync(lambda simulator: simulator.in_flight == 0, received=20)
    before = len(crossings)
    rest = list(results)
    assert {first.droplet_id, *(result.droplet_id for result in rest)} == set(asked)
    assert len(crossings) - before < 10


def test_left_early(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """Leaving the loop early cancels what is under way."""
    simulator.faults.add(Fault.hold(), times=None, after=1)
    for result in client.gpu_droplets.backups.list_many(list(fleet.droplets), concurrency=6):
        assert result.error is None
        simulator.wait_for_sync(held=6)
        break
    simulator.wait_for_sync(cancelled=6)
    assert simulator.received == 7


def test_error_in_the_body(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """An exception in the body of the loop cancels what is under way."""
    simulator.faults.add(Fault.hold(), times=None, after=1)

    def consume() -> None:
        for _ in client.gpu_droplets.backups.list_many(list(fleet.droplets), concurrency=6):
            simulator.wait_for_sync(held=6)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    simulator.wait_for_sync(cancelled=6)
    assert simulator.received == 7


def test_with_block(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """Leaving a ``with`` block waits until what was under way has ended."""
    simulator.faults.add(Fault.hold(), times=None, after=1)
    asked = list(fleet.droplets)
    with client.gpu_droplets.backups.list_many(asked, concurrency=6) as results:
        done = next(results).droplet_id
        simulator.wait_for_sync(held=6)
    assert set(results.missing) == set(asked) - {done}
    simulator.wait_for_sync(cancelled=6)
    assert list(results) == []


def test_collected(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """An iterator that is garbage, also by way of a cycle, has nothing under way any more."""
    simulator.faults.add(Fault.hold(), times=None, after=1)
    holder: list[object] = []
    results = client.gpu_droplets.backups.list_many(list(fleet.droplets), concurrency=6)
    next(results)
    holder += [holder, results]
    simulator.wait_for_sync(held=6)
    del holder, results
    gc.collect()
    simulator.wait_for_sync(cancelled=6)


def test_collected_in_the_thread_of_the_loop(
    client: Gradient, simulator: Simulator, fleet: Fleet, large: int
) -> None:
    """An iterator and a client that are collected in the loop's own thread end all the same."""
    simulator.faults.add(Fault.hold(), times=None, after=1)
    garbage = [client.gpu_droplets.backups.list_many(list(fleet.droplets))]
    next(garbage[0])
    simulator.wait_for_sync(held=1)
    loop = client._portal._thread
    assert loop is not None
    loop.loop.call_soon_threadsafe(garbage.clear)
    simulator.wait_for_sync(lambda simulator: simulator.in_flight == 0, cancelled=1)


def test_ids_are_asked_for_in_the_calling_thread(
    client: Gradient, simulator: Simulator, fleet: Fleet
) -> None:
    """An iterator of IDs is advanced in the calling thread, and only as far as there is room."""
    threads: set[threading.Thread] = set()
    given: list[int] = []

    def ids() -> Iterator[int]:
        for droplet_id in fleet.droplets:
            threads.add(threading.current_thread())
            given.append(droplet_id)
            yield droplet_id

    results = client.gpu_droplets.backups.list_many(ids(), concurrency=2)
    next(results)
    assert len(given) <= 4
    assert 1 + sum(1 for _ in results) == len(fleet.droplets)
    assert threads == {threading.current_thread()}


def test_ids_may_come_from_the_client_itself(client: Gradient, fleet: Fleet) -> None:
    """The IDs of a fan-out can be read from another iterator of the same client."""
    backups = client.gpu_droplets.backups
    results = backups.list_many((number for number, _ in backups.iter_policies()), concurrency=3)
    assert {result.droplet_id for result in results} == set(fleet.droplets)


def test_endless_ids(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """IDs without an end are taken as the results are."""
    asked = list(fleet.droplets)[:3]
    results = client.gpu_droplets.backups.list_many(itertools.cycle(asked), concurrency=2)
    taken = [result.droplet_id for result in itertools.islice(results, 30)]
    assert set(taken) == set(asked)
    assert simulator.received == 3


def test_error_of_the_ids(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """An exception of the iterator of IDs is raised in the loop over the results."""

    def ids() -> Iterator[int]:
        yield droplet_id
        raise LookupError("no more rows")

    results = client.gpu_droplets.backups.list_many(ids(), concurrency=1)
    with pytest.raises(LookupError, match="no more rows"):
        list(results)
    with pytest.raises(RuntimeError, match="start a new one"):
        next(results)
    simulator.wait_for_sync(lambda simulator: simulator.in_flight == 0)


def test_two_threads_share_an_iterator(client: Gradient, fleet: Fleet) -> None:
    """Threads that share one iterator get each result once between them."""
    asked = list(fleet.droplets) * 3
    results = client.gpu_droplets.backups.list_many(asked, concurrency=4)
    lists = [Call(lambda: [*results]) for _ in range(4)]
    taken = [result.droplet_id for part in lists for result in part.result()]
    assert sorted(taken) == sorted(asked)
