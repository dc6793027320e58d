"""Starting, stopping, threads, and what the simulator tells of the requests it got."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import aiohttp
import pytest
from thread_helpers import signalled

from gradient_async.testing import Fault, Fleet, LoggedRequest, Simulator

from .calls import Caller, exchange_bytes


def blocking_get(simulator: Simulator, path: str) -> bytes:
    """GET a path without a loop."""
    headers = {"Authorization": f"Bearer {simulator.token}"}
    request = urllib.request.Request(simulator.url + path, headers=headers)
    with urllib.request.urlopen(request, timeout=20) as response:
        body: bytes = response.read()
        return body


async def test_the_log_tells_what_was_asked(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """Each request is logged with its path, query, headers, status, connection and ID."""
    async with Simulator(fleet) as simulator:
        reply = await caller.get(simulator, f"{backups_path}?page=2&per_page=3")
        await caller.get(simulator, "/nope")
        first, second = simulator.requests
        assert isinstance(first, LoggedRequest)
        assert (first.method, first.path, first.status) == ("GET", backups_path, 200)
        assert first.query == {"page": "2", "per_page": "3"}
        assert first.headers["authorization"] == f"Bearer {simulator.token}"
        assert first.request_id == reply.headers["x-request-id"]
        assert (second.status, second.connection) == (404, first.connection)
        assert first.at < second.at
        assert (simulator.received, simulator.connections) == (2, 1)
        simulator.reset_log()
        assert (simulator.requests, simulator.received) == ([], 0)


async def test_the_log_is_bounded(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """The log keeps the latest requests and forgets the oldest; the counter goes on."""
    async with Simulator(fleet, log_size=3) as simulator:
        for number in range(20):
            await caller.get(simulator, f"{backups_path}?page={number + 1}")
        assert 3 <= len(simulator.requests) <= 6
        assert simulator.requests[-1].query["page"] == "20"
        assert simulator.received == 20


async def test_the_log_may_be_empty(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """A log of no requests keeps none."""
    async with Simulator(fleet, log_size=0) as simulator:
        await caller.get(simulator, backups_path)
        assert (simulator.requests, simulator.received) == ([], 1)


async def test_connections_and_concurrency_are_counted(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """Held requests show how many came at once and over how many connections."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.hold(), times=None)
        calls = [asyncio.create_task(caller.get(simulator, backups_path)) for _ in range(5)]
        await simulator.wait_for(held=5)
        assert (simulator.in_flight, simulator.held, simulator.connections) == (5, 5, 5)
        simulator.release(2)
        await simulator.wait_for(lambda s: s.in_flight == 3)
        assert simulator.held == 3
        simulator.release()
        assert [reply.status for reply in await asyncio.gather(*calls)] == [200] * 5
        assert (simulator.in_flight, simulator.max_in_flight) == (0, 5)
        await caller.session.close()
        await simulator.wait_for(lambda s: s.open_connections == 0)
        assert simulator.connections == 5


async def test_clients_that_go_away_are_counted(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """A client that leaves before its answer counts as cancelled, with status 0 in the log."""
    async with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.hold())
        call = asyncio.create_task(caller.get(simulator, backups_path))
        await simulator.wait_for(held=1)
        call.cancel()
        await simulator.wait_for(lambda s: s.cancelled == 1 and s.in_flight == 0)
        assert simulator.held == 0
        assert [request.status for request in simulator.requests] == [0]


async def test_waiting_ends_with_a_timeout(fleet: Fleet) -> None:
    """What does not happen in time is a TimeoutError, in both ways of waiting."""
    async with Simulator(fleet) as simulator:
        with pytest.raises(TimeoutError):
            await simulator.wait_for(received=1, timeout=0.01)
    with Simulator(fleet) as simulator, pytest.raises(TimeoutError):
        simulator.wait_for_sync(received=1, timeout=0.01)


async def test_an_error_in_a_condition_is_raised_to_who_waits(fleet: Fleet) -> None:
    """A condition that fails does not leave its waiter waiting."""
    async with Simulator(fleet) as simulator:
        with pytest.raises(ZeroDivisionError):
            await simulator.wait_for(lambda s: 1 // s.received == 0)


async def test_closing_is_prompt_and_leaves_no_task(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """Stalled requests and idle connections are cut, not waited for; no task stays behind."""
    before = asyncio.all_tasks()
    loop = asyncio.get_running_loop()
    async with Simulator(fleet) as simulator:
        await caller.get(simulator, backups_path)
        for at in ("request", "headers", "body"):
            simulator.faults.add(Fault.hold(at))
        calls = [asyncio.create_task(caller.get(simulator, backups_path)) for _ in range(3)]
        await simulator.wait_for(held=3)
        closing = loop.time()
    assert loop.time() - closing < 5
    assert simulator.open_connections == simulator.in_flight == simulator.cancelled == 0
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(result, aiohttp.ClientError) for result in results)
    assert asyncio.all_tasks() == before


def test_a_thread_serves_code_without_a_loop(fleet: Fleet, backups_path: str) -> None:
    """``with`` serves from a thread that is gone afterwards, and counts as the other way does."""
    with Simulator(fleet) as simulator:
        assert b'"backups"' in blocking_get(simulator, backups_path)
        assert [request.status for request in simulator.requests] == [200]
        assert simulator.connections == 1
    assert not [t for t in threading.enumerate() if t.name == "gradient-simulator"]


def test_the_account_can_be_changed_from_another_thread(fleet: Fleet, backups_path: str) -> None:
    """What another thread changes shows in the next answer."""
    with Simulator(fleet) as simulator:
        fewer = blocking_get(simulator, backups_path)
        fleet.add_backup(next(iter(fleet.droplets)), name="a new one")
        assert b"a new one" in blocking_get(simulator, backups_path)
        assert b"a new one" not in fewer


def test_a_thread_can_hold_and_release(fleet: Fleet, backups_path: str) -> None:
    """Waiting for held requests and releasing them works from any thread."""
    bodies: list[bytes] = []
    with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.hold("body"))
        thread = threading.Thread(
            target=lambda: bodies.append(blocking_get(simulator, backups_path))
        )
        thread.start()
        simulator.wait_for_sync(held=1)
        simulator.release()
        thread.join()
        assert bodies == [blocking_get(simulator, backups_path)]


async def test_a_threaded_simulator_can_be_awaited(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """`wait_for` works from a loop that is not the simulator's."""
    with Simulator(fleet) as simulator:
        simulator.faults.add(Fault.hold())
        call = asyncio.create_task(caller.get(simulator, backups_path))
        await simulator.wait_for(held=1)
        simulator.release()
        assert (await call).status == 200


def test_a_thread_that_cannot_listen_says_so(fleet: Fleet) -> None:
    """A port in use is an OSError for who starts the simulator, and nothing is left running."""
    with Simulator(fleet) as first:
        port = int(first.url.rpartition(":")[2])
        second = Simulator(fleet, port=port)
        with pytest.raises(OSError, match="in use"):
            second.__enter__()
    with second:
        assert second.url == first.url


CANNOT_BEGIN = """
import os, resource, threading
from gradient_async.testing import Fleet, Simulator

simulator = Simulator(Fleet())
usual = resource.getrlimit(resource.RLIMIT_NOFILE)
free = os.open(os.devnull, os.O_RDONLY)
os.close(free)
resource.setrlimit(resource.RLIMIT_NOFILE, (free, usual[1]))
try:
    with simulator:
        pass
except OSError as error:
    print(error.strerror)
assert threading.active_count() == 1
resource.setrlimit(resource.RLIMIT_NOFILE, usual)
with simulator:
    print(simulator.url.startswith("http://127.0.0.1:"))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_thread_that_cannot_have_a_loop_says_so() -> None:
    """With no file descriptor left ``with`` raises at once and leaves no thread; later it works."""
    result = subprocess.run(
        [sys.executable, "-c", CANNOT_BEGIN],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert result.stdout == "Too many open files\nTrue\n", result.stderr


class Slow(Simulator):
    """Begins to listen when the main thread is about to leave."""

    def __init__(self, fleet: Fleet) -> None:
        super().__init__(fleet)
        self.asked = threading.Event()

    async def start(self) -> None:
        """Wait first."""
        assert self._thread is not None
        self.asked.set()
        await asyncio.wrap_future(self._thread._stopping)
        await super().start()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_ends_a_start(fleet: Fleet) -> None:
    """An interrupt while a thread is being started ends the thread, too."""
    simulator = Slow(fleet)
    with signalled(simulator.asked.wait), pytest.raises(KeyboardInterrupt):
        simulator.__enter__()
    assert not [t for t in threading.enumerate() if t.name == "gradient-simulator"]


async def test_starting_twice_is_refused_and_stopping_twice_is_not(fleet: Fleet) -> None:
    """A running simulator cannot be started; a stopped one may be stopped, and started, again."""
    simulator = Simulator(fleet)
    with pytest.raises(RuntimeError, match="not been started"):
        _ = simulator.url
    async with simulator:
        with pytest.raises(RuntimeError, match="running already"):
            await simulator.start()
        await simulator.stop()
    await simulator.stop()
    with simulator, pytest.raises(RuntimeError, match="running already"):
        simulator.__enter__()


async def test_a_restarted_simulator_links_to_itself(fleet: Fleet, caller: Caller) -> None:
    """After a start on another port the links of cached answers point there."""
    simulator = Simulator(fleet)
    for _ in range(2):
        async with simulator:
            reply = await caller.get(simulator, "/v2/droplets/backups/policies")
            assert reply.json["links"]["pages"]["next"].startswith(simulator.url)
    assert simulator.connections == 2


async def test_no_number_is_given_twice(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """Neither an emptied log nor a second start lets IDs and numbers begin anew."""
    simulator = Simulator(fleet)
    async with simulator:
        first = (await caller.get(simulator, backups_path)).headers["x-request-id"]
        simulator.reset_log()
        second = (await caller.get(simulator, backups_path)).headers["x-request-id"]
    async with simulator:
        third = (await caller.get(simulator, backups_path)).headers["x-request-id"]
    assert len({first, second, third}) == 3
    assert [request.connection for request in simulator.requests] == [1, 2]
    assert simulator.received == simulator.connections == 2


async def test_idle_connections_can_be_dropped(
    fleet: Fleet, backups_path: str, caller: Caller
) -> None:
    """Idle connections are closed and busy ones spared, unless all are to go."""
    async with Simulator(fleet) as simulator:
        await caller.get(simulator, backups_path)
        simulator.drop_connections()
        await simulator.wait_for(lambda s: s.open_connections == 0)
        simulator.faults.add(Fault.hold())
        call = asyncio.to_thread(exchange_bytes, simulator.url, backups_path)
        reading = asyncio.create_task(call)
        await simulator.wait_for(held=1)
        simulator.drop_connections()
        assert simulator.open_connections == 1
        simulator.drop_connections(idle_only=False)
        assert await reading == (b"", False)


async def test_latency_delays_every_answer(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """With a latency, or a range of it, no answer comes before the least of it has passed."""
    for latency in (0.05, (0.05, 0.06)):
        async with Simulator(fleet, latency=latency) as simulator:
            asked_at = time.monotonic()
            assert (await caller.get(simulator, backups_path)).status == 200
            assert time.monotonic() - asked_at > 0.045


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"links": "none"}, "links"),
        ({"scopes": ["droplet:read", "images:read"]}, "'images:read'"),
        ({"latency": -0.1}, "latency"),
        ({"latency": (0.2, 0.1)}, "latency"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], named: str) -> None:
    """A typing mistake in an option is told, and not a simulator that does something else."""
    with pytest.raises(ValueError, match=named):
        Simulator(**options)


def test_a_fleet_has_no_negative_size() -> None:
    """A number of Droplets below 0 is refused."""
    for make in (Fleet.generate, partial(Fleet.uniform, backups=1)):
        with pytest.raises(ValueError, match="droplets must be at least 0"):
            make(-1)


async def test_it_listens_on_ipv6(fleet: Fleet, backups_path: str, caller: Caller) -> None:
    """An IPv6 address is put into brackets in the URL."""
    try:
        async with Simulator(fleet, host="::1") as simulator:
            assert simulator.url.startswith("http://[::1]:")
            assert (await caller.get(simulator, backups_path)).status == 200
    except OSError:
        pytest.skip("no IPv6 on this machine")


def test_its_repr_shows_where_it_is(fleet: Fleet) -> None:
    """The repr has the URL and the size of the account, and no token."""
    simulator = Simulator(fleet, token="marked-token")
    assert repr(simulator) == "<Simulator not started, 40 Droplets>"
    with simulator:
        assert simulator.url in repr(simulator)
    assert "marked-token" not in repr(simulator)


SERVE = """
from gradient_async.testing import Fleet, Simulator, run_forever
run_forever(Simulator(Fleet.generate(3)), lambda simulator: print(simulator.url, flush=True))
print("closed")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_it_serves_until_a_signal(number: signal.Signals, backups_path: str) -> None:
    """`run_forever` serves other processes, and a signal ends it cleanly, connections or not."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        simulator = Simulator(Fleet())
        simulator.__dict__["_url"] = process.stdout.readline().strip()
        assert b'"policies"' in blocking_get(simulator, "/v2/droplets/backups/policies")
        process.send_signal(number)
        assert process.stdout.read() == "closed\n"
        assert process.stderr.read() == ""
    assert process.returncode == 0


LEAVES_NOTHING = """
import http.client, logging, threading, urllib.request
from gradient_async.testing import Fault, Fleet, Simulator

# That a callback is slow depends on what else the machine does.
logging.getLogger("asyncio").addFilter(lambda said: not said.getMessage().startswith("Executing"))

def get(simulator):
    headers = {"Authorization": f"Bearer {simulator.token}"}
    url = simulator.url + "/v2/droplets/backups/policies"
    request = urllib.request.Request(url, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=20) as response:
            response.read()
    except (OSError, http.client.HTTPException):
        pass

fleet = Fleet.generate(3)
for _ in range(3):
    with Simulator(fleet) as simulator:
        simulator.faults.add([Fault.hold(), Fault.hold("body"), Fault.drop("body")], times=4)
        threads = [threading.Thread(target=get, args=[simulator]) for _ in range(6)]
        for thread in threads:
            thread.start()
        simulator.wait_for_sync(received=6)
    for thread in threads:
        thread.join()
assert threading.active_count() == 1
"""


def test_nothing_is_left_behind() -> None:
    """In development mode with asyncio's debugging and warnings as errors nothing is printed."""
    result = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", LEAVES_NOTHING],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (result.returncode, result.stdout) == (0, "")
    assert "Traceback" not in result.stderr
    assert "Warning" not in result.stderr


async def test_hooks_may_be_taken_out(
    fleet: Fleet, backups_path: str, caller: Caller, droplet_with: Callable[[int], int]
) -> None:
    """A hook sees every request until it is removed."""
    paths: list[str] = []
    async with Simulator(fleet) as simulator:
        remove = simulator.before(lambda request: paths.append(request.path))
        await caller.get(simulator, backups_path)
        remove()
        await caller.get(simulator, backups_path)
    assert paths == [backups_path]
