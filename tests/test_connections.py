"""Sessions and loops: whose they are, how long they live, and that nothing is left over."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any

import aiohttp
import pytest
from async_helpers import refusing_proxy, settle, until
from conftest import AnyClient, MakeClient

from gradient_async import AsyncGradient, Timeout, errors
from gradient_async._proxies import proxy_from_environment
from gradient_async.testing import Fault, Simulator


@pytest.fixture
def served(fleet: Any) -> Iterator[Simulator]:
    """A simulator in a thread of its own, for tests that run loops of their own."""
    with Simulator(fleet) as simulator:
        yield simulator


def client_of(simulator: Simulator, **options: Any) -> AsyncGradient:
    """Make an asynchronous client of a simulator."""
    return AsyncGradient(simulator.token, base_url=simulator.url, **options)


# Sessions of the user's own.


async def test_own_session_is_used_and_stays_open(simulator: Simulator, droplet_id: int) -> None:
    """Requests go over the session that was given; closing the client leaves it open."""
    async with aiohttp.ClientSession(headers={"X-Session": "mine"}) as session:
        async with client_of(simulator, session=session) as client:
            assert (await client.gpu_droplets.backups.list(droplet_id)).backups
        assert client.is_closed()
        assert not session.closed
        async with session.get(f"{simulator.url}/v2/droplets/1/backups") as response:
            assert response.status == 401
    assert simulator.requests[0].headers["X-Session"] == "mine"
    assert simulator.connections == 1


async def test_headers_of_the_client_win_over_those_of_the_session(
    simulator: Simulator, droplet_id: int
) -> None:
    """A session's token is not what is sent in place of the client's."""
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer other"}) as session:
        client = client_of(simulator, session=session)
        assert (await client.gpu_droplets.backups.list(droplet_id)).backups
    [(_, sent)] = [
        header
        for header in simulator.requests[0].headers.items()
        if header[0].lower() == "authorization"
    ]
    assert sent == f"Bearer {simulator.token}"


async def test_session_that_raises_for_status(simulator: Simulator) -> None:
    """A session that is set to raise by itself does not hide which error it was."""
    async with aiohttp.ClientSession(raise_for_status=True) as session:
        client = client_of(simulator, session=session)
        with pytest.raises(errors.NotFoundError):
            await client.gpu_droplets.backups.list(7)
    assert simulator.received == 1


async def test_tracing_of_own_session_sees_the_requests(
    simulator: Simulator, droplet_id: int
) -> None:
    """What a user's session is made for, such as tracing, works."""
    seen: list[str] = []

    async def on_start(
        session: aiohttp.ClientSession, context: Any, params: aiohttp.TraceRequestStartParams
    ) -> None:
        seen.append(f"{params.method} {params.url.path}")

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(on_start)
    async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
        await client_of(simulator, session=session).gpu_droplets.backups.list(droplet_id)
    assert seen == [f"GET /v2/droplets/{droplet_id}/backups"]


async def test_own_session_that_was_closed(simulator: Simulator) -> None:
    """Whoever closes the own session gets aiohttp's clear word for it, and no new session."""
    session = aiohttp.ClientSession()
    client = client_of(simulator, session=session)
    await session.close()
    with pytest.raises(RuntimeError, match="Session is closed"):
        await client.gpu_droplets.backups.list(1)
    assert simulator.connections == 0


async def test_own_session_whose_kept_connection_ends(
    simulator: Simulator, droplet_id: int
) -> None:
    """In a user's session aiohttp repeats a request by itself, and it is not repeated again."""
    async with aiohttp.ClientSession() as session:
        client = client_of(simulator, session=session, max_retries=0)
        await client.gpu_droplets.backups.list(droplet_id)
        simulator.faults.add(Fault.drop("request"))
        assert (await client.gpu_droplets.backups.list(droplet_id)).backups
        simulator.faults.add(Fault.drop("request"), times=2)
        with pytest.raises(errors.APIConnectionError):
            await client.gpu_droplets.backups.list(droplet_id)
    assert len(simulator.requests) == 5


async def test_request_that_is_never_sent_takes_no_place(
    simulator: Simulator, droplet_id: int
) -> None:
    """What fails before anything is sent is not counted in the rate limit."""

    async def refuse(*_: Any) -> None:
        raise ZeroDivisionError

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(refuse)
    async with aiohttp.ClientSession(trace_configs=[tracing]) as session:
        client = client_of(simulator, session=session)
        with pytest.raises(ZeroDivisionError):
            await client.gpu_droplets.backups.list(droplet_id)
    with pytest.raises(RuntimeError, match="Session is closed"):
        await client.gpu_droplets.backups.list(droplet_id)
    assert client.rate_limit.windows[0].used == simulator.received == 0


async def test_function_that_makes_a_session(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """A function is called once per loop, and what it makes is closed with the client."""
    made: list[aiohttp.ClientSession] = []

    def make_session() -> aiohttp.ClientSession:
        made.append(aiohttp.ClientSession(headers={"X-Session": "made"}))
        return made[-1]

    client = make_client(session=make_session)
    assert made == []
    for _ in range(3):
        await client.backups.list(droplet_id)
    [session] = made
    assert simulator.requests[0].headers["X-Session"] == "made"
    await client.close()
    assert session.closed


@pytest.mark.parametrize("make_session", [object, int])
async def test_function_that_makes_something_else(
    make_client: MakeClient, make_session: Callable[[], Any]
) -> None:
    """The first request says what the function should have made."""
    with pytest.raises(TypeError, match=r"must return an aiohttp\.ClientSession, got (object|int)"):
        await make_client(session=make_session).backups.list(1)


async def test_made_session_that_was_closed_is_made_anew(
    simulator: Simulator, droplet_id: int
) -> None:
    """A session of ours that something closed is replaced."""
    made: list[aiohttp.ClientSession] = []

    def make_session() -> aiohttp.ClientSession:
        made.append(aiohttp.ClientSession())
        return made[-1]

    async with client_of(simulator, session=make_session) as client:
        await client.gpu_droplets.backups.list(droplet_id)
        await made[0].close()
        await client.gpu_droplets.backups.list(droplet_id)
    assert [session.closed for session in made] == [True, True]


@pytest.mark.parametrize(
    "fault",
    [
        Fault.status(503, headers={"retry-after": "0"}),
        Fault.rate_limited(0),
        Fault.redirect("?page=1"),
        Fault.body(b"x" * 2_000_000, status=500),
        Fault.drop("body"),
    ],
)
async def test_failed_response_is_released_before_the_next_try(
    simulator: Simulator, droplet_id: int, delays: list[float | None], fault: Fault
) -> None:
    """With a single connection, a failed answer that was kept would block the next try for good."""
    simulator.faults.add(fault)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        client = client_of(simulator, session=session, timeout=5.0)
        assert (await client.gpu_droplets.backups.list(droplet_id)).backups
        with pytest.raises(errors.NotFoundError):
            await client.gpu_droplets.backups.list(7)
        assert (await client.gpu_droplets.backups.list(droplet_id)).backups


@pytest.mark.parametrize(("limit", "limit_per_host"), [(2, 0), (0, 2)])
async def test_waiting_for_a_connection_is_no_timeout(
    simulator: Simulator, droplet_id: int, limit: int, limit_per_host: int
) -> None:
    """Requests queue for the connections of a small session without using up their own time."""
    simulator.faults.add(Fault.delay(0.1), times=None)
    connector = aiohttp.TCPConnector(limit=limit, limit_per_host=limit_per_host)
    async with aiohttp.ClientSession(connector=connector) as session:
        client = client_of(simulator, session=session, timeout=1.2, max_retries=0)
        calls = [client.gpu_droplets.backups.list(droplet_id) for _ in range(30)]
        pages = await asyncio.gather(*calls)
    assert len(pages) == 30
    assert simulator.connections == 2
    assert simulator.max_in_flight == 2


async def test_cancelled_while_waiting_for_a_connection(
    simulator: Simulator, droplet_id: int
) -> None:
    """A request that gives up its place in the queue counts as never sent, and holds nobody up."""
    hold = simulator.faults.add(Fault.hold(), times=1)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session:
        client = client_of(simulator, session=session)
        held = asyncio.create_task(list_one(client, droplet_id))
        await simulator.wait_for(lambda s: s.in_flight == 1)
        second, third = (asyncio.create_task(list_one(client, droplet_id)) for _ in range(2))
        await settle()
        assert client.rate_limit.windows[0].used == 3
        second.cancel()
        await asyncio.wait([second])
        assert client.rate_limit.windows[0].used == 2
        held.cancel()
        await third
    assert second.cancelled()
    assert hold.hits == 1
    assert simulator.received == 2


async def test_a_middleware_may_ask_the_client_itself(
    simulator: Simulator, droplet_id: int
) -> None:
    """A task whose middleware asks the same client can be cancelled, and the client closed."""
    asked = list[int]()

    async def ask_first(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if not asked:
            asked.append(droplet_id)
            await client.gpu_droplets.backups.retrieve_policy(droplet_id)
            simulator.faults.add(Fault.hold())
        return await handler(request)

    async with aiohttp.ClientSession(middlewares=(ask_first,)) as session:
        client = client_of(simulator, session=session)
        task = asyncio.create_task(list_one(client, droplet_id))
        await simulator.wait_for(lambda s: s.received == 2)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        simulator.faults.add(Fault.hold())
        asked.clear()
        task = asyncio.create_task(list_one(client, droplet_id))
        await simulator.wait_for(lambda s: s.received == 3)
        await client.close()
        with pytest.raises(errors.APIConnectionError, match="client was closed"):
            await task


async def test_many_requests_at_once(simulator: Simulator, droplet_id: int) -> None:
    """No more than a hundred connections are opened, and none more than there are requests."""
    simulator.faults.add(Fault.hold(), times=100)
    async with client_of(simulator) as client:
        calls = [
            asyncio.ensure_future(client.gpu_droplets.backups.list(droplet_id)) for _ in range(150)
        ]
        await simulator.wait_for(held=100)
        assert simulator.in_flight == 100
        simulator.release()
        await asyncio.gather(*calls)
    assert simulator.connections == 100


# Loops.


def test_client_outlives_its_loops(served: Simulator, droplet_id: int) -> None:
    """A client that was made without a loop works in one ``asyncio.run`` after another."""
    client = client_of(served)
    for _ in range(3):
        page = asyncio.run(client.gpu_droplets.backups.list(droplet_id))
        assert page.backups
        served.wait_for_sync(lambda s: s.open_connections == 0)
    assert served.connections == 3
    assert not client.is_closed()


def test_loops_in_threads_share_a_client(served: Simulator, droplet_id: int) -> None:
    """Several loops in several threads use one client at once, each its own connections."""
    client = client_of(served)
    barrier = threading.Barrier(4)
    counts: list[int] = []

    async def ask() -> None:
        barrier.wait(10)
        calls = (client.gpu_droplets.backups.list(droplet_id) for _ in range(10))
        counts.append(len(await asyncio.gather(*calls)))

    threads = [threading.Thread(target=lambda: asyncio.run(ask())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert counts == [10] * 4
    assert client.rate_limit.windows[0].used == 40
    served.wait_for_sync(lambda s: s.open_connections == 0)


def test_closing_reaches_the_loops_of_other_threads(served: Simulator, droplet_id: int) -> None:
    """Closing a client in one loop ends what runs in another, and closes its session there."""
    client = client_of(served)
    served.faults.add(Fault.hold())
    ended: list[BaseException] = []

    async def wait_for_an_answer() -> None:
        try:
            await client.gpu_droplets.backups.list(droplet_id)
        except errors.APIConnectionError as error:
            ended.append(error)
        await asyncio.to_thread(served.wait_for_sync, lambda s: s.open_connections == 0)

    thread = threading.Thread(target=lambda: asyncio.run(wait_for_an_answer()))
    thread.start()
    served.wait_for_sync(held=1)
    asyncio.run(client.close())
    thread.join(20)
    assert not thread.is_alive()
    assert "the client was closed" in str(ended[0])


def test_client_that_is_never_closed(served: Simulator, droplet_id: int) -> None:
    """Whoever forgets to close a client gets no warning and leaves no connection open."""

    async def use_and_forget() -> None:
        await client_of(served).gpu_droplets.backups.list(droplet_id)

    asyncio.run(use_and_forget())
    gc.collect()
    served.wait_for_sync(lambda s: s.open_connections == 0)


async def test_client_that_is_dropped(simulator: Simulator, droplet_id: int) -> None:
    """A client that nobody holds any more gives its connections back while the loop goes on."""
    client = client_of(simulator)
    await client.gpu_droplets.backups.list(droplet_id)
    assert simulator.open_connections == 1
    del client
    gc.collect()
    await simulator.wait_for(lambda s: s.open_connections == 0)


async def test_copy_outlives_a_dropped_original(simulator: Simulator, droplet_id: int) -> None:
    """A copy holds the connections as long as it is held itself."""
    copy = client_of(simulator).copy(max_retries=0)
    gc.collect()
    for _ in range(2):
        await copy.gpu_droplets.backups.list(droplet_id)
    assert simulator.connections == 1
    del copy
    gc.collect()
    await simulator.wait_for(lambda s: s.open_connections == 0)


FORK = """
import asyncio, os, sys
from gradient_async import AsyncGradient
from gradient_async.testing import Fleet, Simulator

with Simulator(Fleet.uniform(1, 2)) as simulator:
    [droplet_id] = simulator.fleet.droplets
    client = AsyncGradient(simulator.token, base_url=simulator.url)
    ask = lambda: client.gpu_droplets.backups.list(droplet_id)
    with asyncio.Runner() as runner:
        runner.run(ask())
        child = os.fork()
        if child == 0:
            os._exit(len(asyncio.run(ask()).backups))
        _, status = os.waitpid(child, 0)
        runner.run(ask())
    print(os.waitstatus_to_exitcode(status), simulator.connections, len(simulator.requests))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_fork() -> None:
    """A child makes connections of its own and leaves the parent's as they are."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    run = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert run.stdout.split() == ["2", "2", "3"]
    assert run.stderr == ""


# Ends.


async def test_close_with_calls_under_way(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """Closing a client ends its calls, wherever they are, in an error that says so."""
    client = make_client()
    simulator.faults.add(Fault.hold(), times=2)
    simulator.faults.add(Fault.hold("body"), times=2)
    calls = [asyncio.ensure_future(client.backups.list(droplet_id)) for _ in range(4)]
    await simulator.wait_for(held=4)
    await client.close()
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, errors.APIConnectionError)
        assert "the client was closed while the request was under way" in str(result)
        assert (result.droplet_id, result.attempts) == (droplet_id, 1)
        assert result.request is not None
        assert result.request.url.endswith(f"/v2/droplets/{droplet_id}/backups")
    await simulator.wait_for(lambda s: s.open_connections == 0)


async def test_close_ends_a_fan_out(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int
) -> None:
    """A client that is closed answers for no Droplet any more: the run ends with the error."""
    simulator.faults.add(Fault.hold(), times=None)
    results = async_client.gpu_droplets.backups.list_many([droplet_id, 7, 8])
    waiting = asyncio.ensure_future(anext(results))
    await simulator.wait_for(held=3)
    await async_client.close()
    with pytest.raises(errors.APIConnectionError, match="the client was closed") as caught:
        await waiting
    assert caught.value.unreachable
    assert set(results.missing) == {droplet_id, 7, 8}


async def test_close_while_calls_pause_or_queue(
    make_client: MakeClient, simulator: Simulator, droplet_id: int
) -> None:
    """Calls that wait for their next try, or for the rate limit, are ended by `close`, too."""
    client = make_client()
    simulator.faults.add(Fault.status(503, headers={"retry-after": "50"}))
    simulator.faults.add(Fault.rate_limited(50))
    calls = [asyncio.ensure_future(client.backups.list(droplet_id))]
    await simulator.wait_for(lambda s: len(s.requests) == 1)
    for waiting in (1, 2):
        calls.append(asyncio.ensure_future(client.backups.list(droplet_id)))
        await until(lambda waiting=waiting: client.rate_limit.waiting == waiting)  # type: ignore[misc]
    await client.close()
    for result in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(result, errors.APIConnectionError)
    assert client.rate_limit.waiting == 0
    assert simulator.received == 2


async def test_cancelled_and_closed_at_once(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int
) -> None:
    """A call that its own task cancels is cancelled, even if the client is closed as well."""
    simulator.faults.add(Fault.hold())
    call = asyncio.ensure_future(async_client.gpu_droplets.backups.list(droplet_id))
    await simulator.wait_for(held=1)
    call.cancel()
    await async_client.close()
    with pytest.raises(asyncio.CancelledError):
        await call


async def test_timeout_of_the_caller(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int
) -> None:
    """`asyncio.timeout` around a call works as around anything else."""
    simulator.faults.add(Fault.hold())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await async_client.gpu_droplets.backups.list(droplet_id)
    await simulator.wait_for(lambda s: s.in_flight == 0)
    assert (await async_client.gpu_droplets.backups.list(droplet_id)).backups


def tasks_of_the_client() -> set[asyncio.Task[Any]]:
    """Give the tasks that run, without those of the simulator's server."""
    ours = {task for task in asyncio.all_tasks() if "RequestHandler" not in repr(task)}
    return ours - {task for task in [asyncio.current_task()] if task}


async def assert_nothing_is_left(client: AsyncGradient, simulator: Simulator) -> None:
    """See that no request, slot, place in the window or task is held by nobody."""
    await simulator.wait_for(lambda s: s.in_flight == 0)
    await settle()  # a connection attempt that was cancelled ends a few turns later
    transport = client._transport
    assert transport.connections.here().slots.free == 100
    assert transport.pacer._schedule.running == 0
    assert client.rate_limit.waiting == 0
    assert not tasks_of_the_client()


Ask = Callable[[AsyncGradient, int], Awaitable[object]]


async def list_one(client: AsyncGradient, droplet_id: int) -> object:
    """Make one call."""
    return await client.gpu_droplets.backups.list(droplet_id)


async def stream_one(client: AsyncGradient, droplet_id: int) -> object:
    """Read one answer by hand."""
    backups = client.gpu_droplets.backups.with_streaming_response
    async with backups.list(droplet_id) as response:
        return await response.parse()


@pytest.mark.parametrize("ask", [list_one, stream_one])
@pytest.mark.parametrize(
    "fault",
    [
        None,
        Fault.status(503, headers={"retry-after": "0"}),
        Fault.rate_limited(0),
        Fault.redirect("?page=1"),
        Fault.drop("body"),
        Fault.drip(chunk=500, interval=0.0),
    ],
    ids=str,
)
async def test_cancellation_at_every_step(
    simulator: Simulator,
    droplet_id: int,
    delays: list[float | None],
    ask: Ask,
    fault: Fault | None,
) -> None:
    """Wherever a call is cancelled, nothing is left behind and the client works on."""
    completed = False
    steps = 0
    while not completed:
        simulator.faults.clear()
        async with client_of(simulator, rate_limit=None) as client:
            if steps % 2:  # every second call is cancelled as it connects, the others are connected
                await ask(client, droplet_id)
            if fault is not None:
                simulator.faults.add(fault)
            task = asyncio.ensure_future(ask(client, droplet_id))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            completed = not task.cancelled()
            if completed and task.exception() is not None:
                assert isinstance(task.exception(), errors.APIConnectionError)
            await assert_nothing_is_left(client, simulator)
            simulator.faults.clear()
            assert await ask(client, droplet_id)
        steps += 1
    assert steps > 5


# The way there.


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port whose listener accepts nothing more, so that connecting takes for ever."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.skipif(sys.platform != "linux", reason="depends on how the system queues")
@pytest.mark.parametrize(
    "timeout", [Timeout(None, connect=0.05), Timeout(9.0, connect=0.05), Timeout(0.05)], ids=str
)
async def test_connecting_takes_too_long(silent_port: int, timeout: Timeout) -> None:
    """A connection that does not come about in time is an `APITimeoutError`."""
    url = f"http://127.0.0.1:{silent_port}"
    async with AsyncGradient("token", base_url=url, timeout=timeout, max_retries=0) as client:
        with pytest.raises(errors.APITimeoutError, match=r"no connection in time|within 0\.05 s"):
            await client.gpu_droplets.backups.list(1)


@pytest.mark.skipif(sys.platform != "linux", reason="depends on how the system queues")
async def test_connecting_takes_too_long_for_all(silent_port: int) -> None:
    """Where no connection comes about in time, the next Droplet would fare no better."""
    url, timeout = f"http://127.0.0.1:{silent_port}", Timeout(9.0, connect=0.05)
    async with AsyncGradient("token", base_url=url, timeout=timeout, max_retries=0) as client:
        results = client.gpu_droplets.backups.list_many(range(1, 10_000), concurrency=1)
        with pytest.raises(errors.APITimeoutError, match="no connection in time") as caught:
            await anext(results)
    assert caught.value.unreachable
    assert len(results.missing) == 9_999


async def test_connecting_takes_too_long_for_one(simulator: Simulator, droplet_id: int) -> None:
    """Where others are answered meanwhile, one connection in vain ends no run."""

    class OneHangs(aiohttp.TCPConnector):
        async def connect(self, req: aiohttp.ClientRequest, *about: Any, **more: Any) -> Any:
            if req.url.path == "/v2/droplets/7/backups":
                await simulator.wait_for(lambda s: len(s.requests) == 2)
                raise TimeoutError
            return await super().connect(req, *about, **more)

    async with client_of(
        simulator, session=lambda: aiohttp.ClientSession(connector=OneHangs()), max_retries=0
    ) as client:
        results = client.gpu_droplets.backups.list_many([7, droplet_id, 8], concurrency=2)
        found = {result.droplet_id: result.error async for result in results}
    assert isinstance(found[7], errors.APITimeoutError)
    assert "no connection in time" in str(found[7])
    assert not found[7].unreachable
    assert found[droplet_id] is None
    assert isinstance(found[8], errors.NotFoundError)


async def test_a_proxy_that_refuses_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that wants a password lets no Droplet be asked about: the run ends with its word."""
    async with (
        refusing_proxy(monkeypatch, b"407 Who\x1b[2J are you") as seen,
        AsyncGradient("tok", base_url="https://api.test", max_retries=0) as client,
    ):
        results = client.gpu_droplets.backups.list_many([1, 2, 3], concurrency=1)
        with pytest.raises(errors.APIConnectionError, match="the proxy answered 407") as caught:
            await anext(results)
    assert caught.value.unreachable
    assert str(caught.value).isprintable()
    assert len(seen) == 1


@pytest.mark.usefixtures("unknown_hosts")
async def test_unknown_host(delays: list[float | None]) -> None:
    """A name that does not exist is an error that says so, and that nothing can be reached."""
    async with AsyncGradient("tok", base_url="https://no-such-host.invalid") as client:
        with pytest.raises(errors.APIConnectionError, match=r"no-such-host\.invalid") as caught:
            await client.gpu_droplets.backups.list(1)
    assert caught.value.unreachable
    assert client.rate_limit.windows[0].used == 0


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, None),
        ({"https_proxy": "http://p:1"}, "http://p:1"),
        ({"HTTPS_PROXY": "http://p:2"}, "http://p:2"),
        ({"http_proxy": "http://p:3"}, None),
        ({"all_proxy": "http://p:4"}, "http://p:4"),
        ({"https_proxy": "http://p:5", "no_proxy": "api.test"}, None),
        ({"https_proxy": "http://p:6", "no_proxy": "other.test"}, "http://p:6"),
        ({"https_proxy": "p.test:7"}, "http://p.test:7"),
        ({"https_proxy": "10.0.0.1:8", "all_proxy": "socks5://p"}, "http://10.0.0.1:8"),
        ({"https_proxy": " "}, None),
        ({"https_proxy": "https://user:word@p"}, "https://user:word@p"),
    ],
)
def test_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str | None
) -> None:
    """The proxy is the one that the environment names for the base URL, as for other programs."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_from_environment("https://api.test/v2") == proxy


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_proxy_for_loopback(monkeypatch: pytest.MonkeyPatch, scheme: str, host: str) -> None:
    """A proxy would take loopback for itself, and see the token of an ``http://`` URL."""
    monkeypatch.setenv("all_proxy", "http://p")
    assert proxy_from_environment(f"{scheme}://{host}:8080") is None


@pytest.mark.parametrize(
    "proxy", ["socks5://user:word@p:1080", "http://", "http://p:99999", "http://[::1", "//p"]
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_proxy_that_cannot_be_used(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, proxy: str, variable: str
) -> None:
    """Making the client says so by the name of the variable, without the proxy's password."""
    monkeypatch.setenv(variable, proxy)
    with pytest.raises(errors.ConfigurationError, match=variable) as caught:
        make_client(base_url="https://api.test")
    assert "word" not in str(caught.value)
    make_client(base_url="https://api.test", session=aiohttp.ClientSession)
    client = make_client()
    with pytest.raises(errors.ConfigurationError, match=variable):
        client.copy(base_url="https://api.test")


async def test_copy_for_another_server_goes_its_way(
    make_client: MakeClient, simulator: Simulator, droplet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each copy goes through the proxy that is for its own base URL, or through none."""
    async with Simulator(simulator.fleet, token=simulator.token) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        client = make_client()
        copy = client.copy(base_url="http://api.test", allow_insecure_http=True)
        for asked in (client, copy, copy.copy(base_url=simulator.url), copy.copy(max_retries=0)):
            await asked.backups.list(droplet_id)
        assert [request.headers["Host"] for request in proxy.requests] == ["api.test"] * 2
    assert len(simulator.requests) == 2


async def test_own_session_brings_its_own_proxy(
    simulator: Simulator, droplet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the environment says does not replace what the user's session says."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with aiohttp.ClientSession(proxy=simulator.url) as session:
        options: dict[str, Any] = {"base_url": "http://api.test", "allow_insecure_http": True}
        client = AsyncGradient(simulator.token, session=session, **options)
        assert (await client.gpu_droplets.backups.list(droplet_id)).backups
    assert simulator.requests[0].headers["Host"] == "api.test"


async def test_requests_go_through_the_proxy(
    make_client: MakeClient, simulator: Simulator, droplet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy that the environment names gets the requests."""
    monkeypatch.setenv("http_proxy", simulator.url)
    client = make_client(base_url="http://api.test", allow_insecure_http=True)
    assert (await client.backups.list(droplet_id)).backups
    assert simulator.requests[0].headers["Host"] == "api.test"


async def test_cookies_are_not_kept(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """What one answer sets does not come with the next request."""
    body = b'{"meta": {"total": 0}}'
    simulator.faults.add(Fault.status(200, body, headers={"set-cookie": "a=b; Path=/"}))
    await client.backups.list(droplet_id)
    await client.backups.list(droplet_id)
    assert "Cookie" not in simulator.requests[1].headers


async def test_concurrent_calls_get_their_own_answers(
    client: AnyClient, simulator: Simulator
) -> None:
    """Of many calls at once, each gets the answer to its own question."""
    known = simulator.fleet.droplets
    calls = [partial(client.backups.retrieve_policy, droplet_id) for droplet_id in known]
    answers = await asyncio.gather(*(call() for call in calls))
    assert [answer.policy.droplet_id for answer in answers] == list(known)
