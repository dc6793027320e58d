"""Many threads on one client, and its end while they use it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from thread_helpers import until

from gradient_async import APIConnectionError, Gradient
from gradient_async.testing import Fault, Fleet, Simulator

from .helpers import Call, Clients, loop_threads


def test_fifty_threads(client: Gradient, simulator: Simulator, fleet: Fleet) -> None:
    """The calls of 50 threads are under way together, on as many connections, each answered."""
    simulator.faults.add(Fault.hold(), times=50)
    asked = (list(fleet.droplets) * 2)[:50]
    with ThreadPoolExecutor(50) as pool:
        answers = pool.map(client.gpu_droplets.backups.list, asked)
        simulator.wait_for_sync(held=50)
        simulator.release()
        for droplet_id, answer in zip(asked, answers, strict=True):
            assert answer.meta.total == len(fleet.droplets[droplet_id].backups)
    assert simulator.max_in_flight == simulator.connections == 50
    assert len(loop_threads()) == 1


def test_connections_are_bounded(
    client: Gradient, simulator: Simulator, droplet_id: int, fleet: Fleet
) -> None:
    """More threads than connections queue for those: never more than 100 requests at once."""
    simulator.faults.add(Fault.hold(), times=100)
    with ThreadPoolExecutor(130) as pool:
        answers = [pool.submit(client.gpu_droplets.backups.list, droplet_id) for _ in range(130)]
        simulator.wait_for_sync(held=100)
        simulator.release()
        totals = {answer.result().meta.total for answer in answers}
    assert totals == {len(fleet.droplets[droplet_id].backups)}
    assert simulator.received == 130
    assert simulator.max_in_flight == simulator.connections == 100


def test_calls_in_a_row_use_one_connection(
    client: Gradient, simulator: Simulator, droplet_id: int
) -> None:
    """Two hundred calls, one after the other, use one connection."""
    for _ in range(200):
        client.gpu_droplets.backups.list(droplet_id)
    assert (simulator.received, simulator.connections) == (200, 1)


def test_first_calls_race(clients: Clients, simulator: Simulator, droplet_id: int) -> None:
    """First calls from many threads at once start one loop."""
    client, ready = clients.make(), threading.Barrier(20)

    def call() -> int | None:
        ready.wait()
        return client.gpu_droplets.backups.list(droplet_id).meta.total

    with ThreadPoolExecutor(20) as pool:
        totals = [pool.submit(call) for _ in range(20)]
        assert len({total.result() for total in totals}) == 1
    assert len(loop_threads()) == 1
    assert simulator.received == 20


def test_close_with_calls_in_flight(
    client: Gradient, simulator: Simulator, droplet_id: int
) -> None:
    """Calls of other threads end in a clear error when the client is closed."""
    simulator.faults.add(Fault.hold(), times=None)
    calls = [Call(partial(client.gpu_droplets.backups.list, droplet_id)) for _ in range(10)]
    simulator.wait_for_sync(held=10)
    client.close()
    for call in calls:
        with pytest.raises(APIConnectionError, match="the client was closed while the request"):
            call.result()
    simulator.wait_for_sync(cancelled=10)
    assert loop_threads() == []


def test_close_with_an_iteration_under_way(
    client: Gradient, simulator: Simulator, fleet: Fleet
) -> None:
    """An iteration in another thread ends in a clear error when the client is closed."""
    simulator.faults.add(Fault.hold(), times=None, after=1)
    results = client.gpu_droplets.backups.list_many(list(fleet.droplets), concurrency=4)
    next(results)
    rest = Call(lambda: [*results])
    simulator.wait_for_sync(held=4)
    client.close()
    with pytest.raises((APIConnectionError, RuntimeError), match=r"client (was|is) closed"):
        rest.result()
    simulator.wait_for_sync(cancelled=4)


def test_two_threads_close_at_once(clients: Clients, simulator: Simulator, droplet_id: int) -> None:
    """Closing from several threads at once succeeds in each, and each finds the client closed."""
    for _ in range(20):
        client, ready = clients.make(), threading.Barrier(4)
        client.gpu_droplets.backups.list(droplet_id)

        def close(client: Gradient = client, ready: threading.Barrier = ready) -> bool:
            ready.wait()
            client.close()
            return client.is_closed()

        closing = [Call(close) for _ in range(4)]
        assert [call.result() for call in closing] == [True] * 4
    assert loop_threads() == []
    simulator.wait_for_sync(lambda simulator: simulator.open_connections == 0)


def test_close_races_with_calls(clients: Clients, simulator: Simulator, droplet_id: int) -> None:
    """A call that meets the closing is answered or ends in an error; none waits for ever."""
    for _ in range(30):
        client = clients.make()

        def call_until_closed(client: Gradient = client) -> None:
            while True:
                client.gpu_droplets.backups.list(droplet_id)

        before = simulator.received
        calls = [Call(call_until_closed) for _ in range(3)]
        simulator.wait_for_sync(received=before + 3)
        client.close()
        for call in calls:
            with pytest.raises((APIConnectionError, RuntimeError), match=r"client (was|is) closed"):
                call.result()


def test_closed_client(client: Gradient, droplet_id: int) -> None:
    """A closed client can be closed again, and says that it is closed when it is called."""
    client.gpu_droplets.backups.list(droplet_id)
    client.close()
    client.close()
    assert client.is_closed()
    with pytest.raises(RuntimeError, match="this client is closed: make a new one"):
        client.gpu_droplets.backups.list(droplet_id)


def test_close_without_a_call(clients: Clients) -> None:
    """Closing a client that was never used starts nothing."""
    client = clients.make()
    client.close()
    assert client.is_closed()
    assert loop_threads() == []


def test_two_clients_have_a_loop_each(
    clients: Clients, simulator: Simulator, droplet_id: int
) -> None:
    """Clients that take turns in one thread keep their own loops; each outlives the other."""
    first, second = clients.make(), clients.make()
    for client in (first, second, first, second):
        assert client.gpu_droplets.backups.list(droplet_id).backups
        assert list(client.gpu_droplets.backups.iter_backups(droplet_id))
    assert (simulator.connections, len(loop_threads())) == (2, 2)
    first.close()
    assert second.gpu_droplets.backups.list(droplet_id).backups
    assert simulator.connections == 2


def test_copy_shares_the_loop(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """A copy uses the connections and the loop of its original; closing it leaves those."""
    copy = client.copy(max_retries=0).with_options(timeout=30.0)
    assert copy.gpu_droplets.backups.list(droplet_id) == client.gpu_droplets.backups.list(
        droplet_id
    )
    assert (simulator.connections, len(loop_threads())) == (1, 1)
    copy.close()
    assert (copy.is_closed(), client.is_closed()) == (True, False)
    with pytest.raises(RuntimeError, match="this client is closed"):
        copy.gpu_droplets.backups.list(droplet_id)
    assert client.gpu_droplets.backups.list(droplet_id).backups


def test_copy_ends_with_its_original(client: Gradient, droplet_id: int) -> None:
    """Closing a client closes its copies."""
    copy = client.copy()
    client.close()
    assert copy.is_closed()
    with pytest.raises(RuntimeError, match="this client is closed"):
        copy.gpu_droplets.backups.list(droplet_id)


def test_copy_outlives_the_variable(simulator: Simulator, droplet_id: int) -> None:
    """A copy keeps the loop of an original that nobody holds any more."""
    copy = Gradient(simulator.token, base_url=simulator.url).copy()
    for _ in range(2):
        assert copy.gpu_droplets.backups.list(droplet_id).backups
    assert (simulator.connections, len(loop_threads())) == (1, 1)
    del copy
    until(lambda: loop_threads() == [])
