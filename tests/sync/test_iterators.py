"""Iterators of the blocking client: how often they cross to the loop, and how they can be left."""

from __future__ import annotations

import gc
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from thread_helpers import until

from gradient_async import (
    AuthenticationError,
    DeadlineExceededError,
    Gradient,
    NotFoundError,
    RateLimit,
    _portal,
)
from gradient_async._blocking import MOMENT
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


def test_one_crossing_per_page_of_policies(
    client: Gradient, simulator: Simulator, fleet: Fleet, crossings: list[str]
) -> None:
    """Four hundred policies are two pages and as many crossings, and one for the end."""
    while len(fleet.droplets) < 400:
        fleet.add_droplet()
    found = [number for number, _ in client.gpu_droplets.backups.iter_policies()]
    assert found == list(fleet.droplets)
    assert simulator.received == 2
    assert len(crossings) <= 3


def test_one_crossing_for_all_that_is_there(
    client: Gradient, simulator: Simulator, fleet: Fleet, crossings: list[str], large: int
) -> None:
    """With all answers but one at hand, a fan-out is read by three crossings."""
    asked = [droplet_id for droplet_id in fleet.droplets if droplet_id != large][:30]
    rule = simulator.faults.add(Fault.hold(), path=f"/{large}/", times=None)
    results = client.gpu_droplets.backups.list_many([*asked, large], concurrency=31)
    taken = [next(results).droplet_id]
    simulator.wait_for_sync(lambda simulator: simulator.in_flight == 1, received=31, held=1)
    until(lambda: len(results.missing) == 1)
    before = len(crossings)
    taken += [next(results).droplet_id for _ in range(29)]
    assert sorted(taken) == sorted(asked)
    assert len(crossings) - before <= 2
    simulator.faults.remove(rule)
    simulator.release()
    assert [result.droplet_id for result in results] == [large]
    assert len(crossings) - before <= 4


@pytest.mark.parametrize("kind", [list, tuple, set, dict.fromkeys, iter])
def test_any_iterable(client: Gradient, fleet: Fleet, kind: Callable[[Any], Any]) -> None:
    """A fan-out gives one result for each ID, with all its backups, from any kind of iterable."""
    results = list(client.gpu_droplets.backups.list_many(kind(list(fleet.droplets))))
    assert {result.droplet_id for result in results} == set(fleet.droplets)
    for result in results:
        expected = [backup.id for backup in fleet.droplets[result.droplet_id].backups]
        assert [backup.id for backup in result.backups] == expected


@pytest.mark.parametrize("kind", [list, iter])
def test_duplicates(
    client: Gradient, simulator: Simulator, droplet_id: int, kind: Callable[[Any], Any]
) -> None:
    """An ID that comes again is asked once and answered each time."""
    results = list(client.gpu_droplets.backups.list_many(kind([droplet_id] * 30), concurrency=3))
    assert [result.droplet_id for result in results] == [droplet_id] * 30
    assert simulator.received == 1


@pytest.mark.parametrize("wrong", [True, "1", 0], ids=repr)
def test_bad_ids(client: Gradient, simulator: Simulator, droplet_id: int, wrong: Any) -> None:
    """Bad IDs of a collection are refused at the call, those of an iterator at their turn."""
    backups = client.gpu_droplets.backups
    with pytest.raises((TypeError, ValueError), match="droplet_id"):
        backups.list_many([droplet_id, wrong])
    assert simulator.received == 0
    results = backups.list_many(iter([droplet_id, wrong]), concurrency=1)
    assert next(results).droplet_id == droplet_id
    with pytest.raises((TypeError, ValueError), match="droplet_id"):
        next(results)


@pytest.mark.parametrize("kind", [list, iter])
@pytest.mark.parametrize("wrong", [None, "2", True, 0], ids=repr)
def test_bad_concurrency(
    client: Gradient, simulator: Simulator, droplet_id: int, wrong: Any, kind: Callable[[Any], Any]
) -> None:
    """A concurrency that cannot be is refused by name, whatever the IDs come from."""
    with pytest.raises((TypeError, ValueError), match=r"^concurrency must be"):
        client.gpu_droplets.backups.list_many(kind([droplet_id]), concurrency=wrong)
    assert simulator.received == 0


def test_error_of_one_droplet(client: Gradient, fleet: Fleet) -> None:
    """A Droplet that is not there is a result with its error, and the others are answered."""
    results = list(client.gpu_droplets.backups.list_many([*fleet.droplets, 1]))
    assert [result.droplet_id for result in results if result.error is not None] == [1]
    assert all(isinstance(r.error, NotFoundError) for r in results if r.droplet_id == 1)
    assert len(results) == len(fleet.droplets) + 1


def test_error_of_all(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """A token that is refused ends the loop, after the results that were there."""
    simulator.faults.add(Fault.status(401), times=None, after=3)
    asked, taken = list(fleet.droplets), list[int]()
    results = client.gpu_droplets.backups.list_many(asked, concurrency=1)
    with pytest.raises(AuthenticationError):
        taken.extend(result.droplet_id for result in results)
    assert taken == asked[: len(taken)]
    assert sorted([*taken, *results.missing]) == sorted(asked)


def test_an_error_comes_of_nothing_else(client: Gradient, simulator: Simulator) -> None:
    """What ends a loop is shown alone, not as what happened while another error was handled."""
    simulator.faults.add(Fault.status(401), times=None)
    with pytest.raises(AuthenticationError) as caught:
        next(client.gpu_droplets.backups.list_many([1]))
    assert caught.value.__context__ is None


def test_deadline(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """When the deadline has passed, results and missing Droplets are all, and nothing runs on."""
    simulator.faults.add(Fault.hold(), times=None, after=3)
    asked, taken = list(fleet.droplets), list[int]()
    results = client.gpu_droplets.backups.list_many(asked, concurrency=4, deadline=0.2)
    with pytest.raises(DeadlineExceededError) as caught:
        taken.extend(result.droplet_id for result in results)
    assert caught.value.missing == results.missing
    assert sorted([*taken, *results.missing]) == sorted(asked)
    simulator.wait_for_sync(lambda simulator: simulator.in_flight == 0)


def test_no_id_of_an_iterator_is_lost(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """At a deadline every ID is in a result, in `missing`, or still in the iterator."""
    simulator.faults.add(Fault.hold(), times=None, after=3)
    asked, taken = list(fleet.droplets), list[int]()
    ids = iter(asked)
    results = client.gpu_droplets.backups.list_many(ids, concurrency=3, deadline=0.2)
    with pytest.raises(DeadlineExceededError) as caught:
        taken.extend(result.droplet_id for result in results)
    assert caught.value.missing == results.missing
    assert sorted([*taken, *results.missing, *ids]) == sorted(asked)


def test_iterator_that_fails(client: Gradient, fleet: Fleet) -> None:
    """What an iterator gave before it failed is answered, then its own error is raised."""
    asked, taken = list(fleet.droplets)[:4], list[int]()

    def ids() -> Iterator[int]:
        yield from asked
        raise LookupError("no more rows")

    results = client.gpu_droplets.backups.list_many(ids(), concurrency=5)
    with pytest.raises(LookupError, match="no more rows"):
        taken.extend(result.droplet_id for result in results)
    assert (sorted(taken), results.missing) == (sorted(asked), ())


def test_iterator_that_is_slow(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """Droplets are asked about while the iterator still looks for more."""
    asked = list(fleet.droplets)[:8]

    def ids() -> Iterator[int]:
        for droplet_id in asked:
            threading.Event().wait(2 * MOMENT)  # this is how slow it is
            if droplet_id == asked[-1]:
                simulator.wait_for_sync(lambda simulator: simulator.received >= 3)
            yield droplet_id

    results = list(client.gpu_droplets.backups.list_many(ids()))
    assert sorted(result.droplet_id for result in results) == sorted(asked)


def test_progress(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """Before, during and after the loop, `missing` and `total` tell how far it is."""
    simulator.faults.add(Fault.hold(), times=None, after=1)
    results = client.gpu_droplets.backups.list_many([droplet_id, 1, 2], concurrency=1)
    assert (results.missing, results.total) == ((droplet_id, 1, 2), 3)
    assert next(results).droplet_id == droplet_id
    assert (results.missing, results.total) == ((1, 2), 3)
    simulator.wait_for_sync(held=1)
    simulator.faults.clear()
    simulator.release()
    assert len(list(results)) == 2
    assert (results.missing, results.total) == ((), 3)


def test_rate_limit(fleet: Fleet) -> None:
    """More Droplets than the limit allows are answered without a refusal."""
    with Simulator(fleet, limits=((20, 0.2),)) as limited:
        client = Gradient(limited.token, base_url=limited.url, rate_limit=RateLimit(((20, 0.2),)))
        with client:
            results = list(client.gpu_droplets.backups.list_many(fleet.droplets))
        assert sorted(r.droplet_id for r in results if r.error is None) == sorted(fleet.droplets)
        assert {request.status for request in limited.requests} == {200}
