"""What crosses to the loop and back: context variables, threads, exceptions, tracebacks."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from types import TracebackType

import aiohttp
import pytest
from asgiref.sync import sync_to_async

from gradient_async import APIConnectionError, AuthenticationError, Gradient, NotFoundError
from gradient_async.testing import Fault, Fleet, Simulator

from .helpers import Clients

JOB: ContextVar[str] = ContextVar("JOB", default="none")


def with_hook(clients: Clients, hook: Callable[[], Awaitable[None]]) -> Gradient:
    """Make a client whose session calls a hook before every request."""

    async def on_start(*_: object) -> None:
        await hook()

    def session() -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_request_start.append(on_start)
        return aiohttp.ClientSession(trace_configs=[tracing])

    return clients.make(session=session)


def modules(tb: TracebackType | None) -> list[str]:
    """Give the module of every frame of a traceback, from the caller's on."""
    return [str(frame.f_globals["__name__"]) for frame, _ in traceback.walk_tb(tb)]


def assert_without_machinery(error: BaseException, method: str) -> None:
    """The traceback begins with this file and the method, and shows nothing of the crossing."""
    names = modules(error.__traceback__)
    assert names[:2] == [__name__, "gradient_async.sync.backups"]
    assert traceback.extract_tb(error.__traceback__)[1].name == method
    unwanted = ("asgiref", "concurrent", "asyncio", "contextlib", "gradient_async._portal")
    assert [name for name in names if name.startswith(unwanted)] == []


def test_context_is_seen_by_hooks(clients: Clients, droplet_id: int) -> None:
    """A hook in the coroutine sees the context variables of each caller."""
    seen: list[str] = []

    async def hook() -> None:
        seen.append(JOB.get())

    client = with_hook(clients, hook)
    for job in ("one", "two"):
        token = JOB.set(job)
        client.gpu_droplets.backups.list(droplet_id)
        next(client.gpu_droplets.backups.list_many(iter([droplet_id])))
        JOB.reset(token)
    assert seen == ["one", "one", "two", "two"]


def test_context_comes_back(clients: Clients, droplet_id: int) -> None:
    """What a hook sets in a context variable is seen by the caller afterwards."""

    async def hook() -> None:
        JOB.set("set by the hook")

    client = with_hook(clients, hook)
    token = JOB.set("before")
    client.gpu_droplets.backups.list(droplet_id)
    seen = JOB.get()
    JOB.reset(token)
    assert seen == "set by the hook"


def test_threads_do_not_share_a_context(clients: Clients, droplet_id: int) -> None:
    """Calls of several threads at once are each made in the context of their thread."""
    seen: list[tuple[str, str]] = []

    async def hook() -> None:
        job = JOB.get()
        await sync_to_async(lambda: seen.append((job, threading.current_thread().name)))()

    client = with_hook(clients, hook)

    def call() -> None:
        JOB.set(threading.current_thread().name)
        client.gpu_droplets.backups.list(droplet_id)

    with ThreadPoolExecutor(8) as pool:
        for future in [pool.submit(call) for _ in range(40)]:
            future.result()
    assert len(seen) == 40
    assert all(job == thread for job, thread in seen)


def test_thread_sensitive_code_runs_in_the_calling_thread(
    clients: Clients, droplet_id: int
) -> None:
    """Code that a hook calls by ``sync_to_async`` runs in the thread that made the call."""
    threads: list[threading.Thread] = []

    async def hook() -> None:
        await sync_to_async(lambda: threads.append(threading.current_thread()))()

    with_hook(clients, hook).gpu_droplets.backups.list(droplet_id)
    assert threads == [threading.current_thread()]


def test_code_called_back_may_call_again(
    clients: Clients, simulator: Simulator, droplet_id: int
) -> None:
    """Code that is called back in the calling thread can use the client itself."""
    totals: list[int | None] = []

    async def hook() -> None:
        if not totals:
            totals.append(None)
            await sync_to_async(call_again)()

    def call_again() -> None:
        totals.append(client.gpu_droplets.backups.list(droplet_id).meta.total)

    client = with_hook(clients, hook)
    total = client.gpu_droplets.backups.list(droplet_id).meta.total
    assert totals == [None, total]
    assert simulator.received == 2


def test_traceback_of_an_answer(client: Gradient) -> None:
    """The traceback of an error leads from the caller's line by the method to where it began."""
    with pytest.raises(NotFoundError) as caught:
        client.gpu_droplets.backups.list(404)
    assert_without_machinery(caught.value, "list")
    first = traceback.extract_tb(caught.value.__traceback__)[0]
    assert first.line == "client.gpu_droplets.backups.list(404)"


def test_traceback_with_a_cause(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """An error that has a cause keeps it."""
    simulator.faults.add(Fault.drop(), times=None)
    with pytest.raises(APIConnectionError) as caught:
        client.copy(max_retries=0).gpu_droplets.backups.retrieve_policy(droplet_id)
    assert_without_machinery(caught.value, "retrieve_policy")
    assert isinstance(caught.value.__cause__, aiohttp.ClientError)


def test_traceback_of_a_hook(clients: Clients, droplet_id: int) -> None:
    """An error that a hook of the user raises shows the line of the hook."""

    async def hook() -> None:
        raise LookupError("by the hook")

    client = with_hook(clients, hook)
    with pytest.raises(LookupError, match="by the hook") as caught:
        client.gpu_droplets.backups.list(droplet_id)
    assert_without_machinery(caught.value, "list")
    assert traceback.extract_tb(caught.value.__traceback__)[-1].line == (
        'raise LookupError("by the hook")'
    )


def test_traceback_of_a_closed_client(client: Gradient, droplet_id: int) -> None:
    """The error of a closed client is raised at the method."""
    client.close()
    with pytest.raises(RuntimeError) as caught:
        client.gpu_droplets.backups.list(droplet_id)
    assert_without_machinery(caught.value, "list")


def test_traceback_of_an_iteration(client: Gradient, simulator: Simulator) -> None:
    """The traceback of an iteration shows the loop, and nothing of asgiref."""
    simulator.faults.add(Fault.status(401), times=None)
    with pytest.raises(AuthenticationError) as caught:
        for _ in client.gpu_droplets.backups.list_many([1, 2, 3]):
            pass
    names = modules(caught.value.__traceback__)
    assert names[0] == __name__
    assert not [name for name in names if name.startswith(("asgiref", "concurrent"))]


def test_same_error_raised_twice(client: Gradient) -> None:
    """The errors of two calls are two, with tracebacks of their own."""
    errors: list[NotFoundError] = []
    for _ in range(2):
        with pytest.raises(NotFoundError) as caught:
            client.gpu_droplets.backups.list(404)
        errors.append(caught.value)
    lengths = {len(modules(error.__traceback__)) for error in errors}
    assert errors[0] is not errors[1]
    assert len(lengths) == 1


def test_handled_exception_is_not_altered(client: Gradient, droplet_id: int) -> None:
    """Calls that are made while an exception is handled leave that and its traceback as it is."""
    handled = LookupError("being handled")
    seen: list[list[str]] = []
    try:
        raise handled
    except LookupError:
        seen.append(traceback.format_exception(handled))
        client.gpu_droplets.backups.list(droplet_id)
        list(client.gpu_droplets.backups.list_many([droplet_id]))
        with pytest.raises(NotFoundError) as caught:
            client.gpu_droplets.backups.list(404)
        seen.append(traceback.format_exception(handled))
    assert seen[0] == seen[1]
    assert (handled.__context__, handled.__cause__) == (None, None)
    assert outermost(caught.value) is handled


def outermost(error: BaseException) -> BaseException:
    """Give the exception at the end of the chain of what was being handled."""
    while error.__context__ is not None:
        error = error.__context__
    return error


def test_calls_in_a_generator_that_is_closed(client: Gradient, droplet_id: int) -> None:
    """A call in the cleanup of a generator works while the generator is being closed."""
    totals: list[int | None] = []

    def generate() -> Iterator[None]:
        try:
            yield
        finally:
            totals.append(client.gpu_droplets.backups.list(droplet_id).meta.total)

    generator = generate()
    next(generator)
    del generator
    assert len(totals) == 1


def test_thread_sensitive_code_in_a_fan_out(
    clients: Clients, simulator: Simulator, fleet: Fleet
) -> None:
    """A hook of a fan-out can call thread-sensitive code at any time of the run."""
    threads: set[threading.Thread] = set()

    async def hook() -> None:
        await sync_to_async(lambda: threads.add(threading.current_thread()))()

    client = with_hook(clients, hook)
    asked = list(fleet.droplets)
    results = list(client.gpu_droplets.backups.list_many(asked, concurrency=3))
    assert {result.droplet_id for result in results if result.error is None} == set(asked)
