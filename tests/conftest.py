"""What all tests share: a clean environment, a simulated account, and both clients in one shape."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self, TypeAlias, cast

import attrs
import coverage
import pytest
from blockbuster import BlockBuster
from hypothesis import HealthCheck, Phase, settings

import gradient_async
from gradient_async import AsyncGradient, RateLimitStatus, _structure, _transport, errors
from gradient_async._retry import retry_delay
from gradient_async.resources import AsyncBackupsResource
from gradient_async.testing import Fleet, Simulator

Kind: TypeAlias = Literal["async", "blocking"]

settings.register_profile("project", deadline=None, derandomize=True, max_examples=80)
settings.register_profile(
    "mutation",  # which runs the tests again and again in one process
    settings.get_profile("project"),
    suppress_health_check=[HealthCheck.differing_executors],
    phases=[Phase.explicit, Phase.generate],  # a mutant is caught by any example, small or not
)
settings.load_profile("project")

# A program whose loop is its own, and what waits for servers in threads.
MAY_BLOCK = ("gradient_async.cli", "gradient_async.testing")
UNWANTED = ("DIGITALOCEAN_ACCESS_TOKEN", "GRADIENT_BASE_URL", "NO_PROXY", "ALL_PROXY")


@pytest.fixture(scope="session", autouse=True)
def clean_environment() -> Iterator[None]:
    """No variable of the developer's machine changes what a client does."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.upper() in UNWANTED or name.upper() in {"HTTP_PROXY", "HTTPS_PROXY"}:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session", autouse=True)
def sigint_is_not_ignored() -> Iterator[None]:
    """A shell starts what runs in the background with SIGINT ignored, and children inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def unknown_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """No host name is known, whatever the machine's resolver says."""

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.fixture(autouse=True)
def no_blocking_calls(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing of ours sleeps, reads a file or waits for a lock where an event loop is running.

    Such a call raises a `BlockingError` in its place, in whichever thread the loop is.
    """
    if request.node.get_closest_marker("blocks_loop"):
        yield
        return
    detector = BlockBuster("gradient_async", excluded_modules=MAY_BLOCK)
    acquire = detector.functions["threading.Lock.acquire"]
    acquire.can_block_predicate = partial(_may_wait_for, acquire.can_block_predicate)
    detector.activate()
    try:
        yield
    finally:
        detector.deactivate()


def _may_wait_for(
    otherwise: Callable[..., bool], lock: threading.Lock, *args: Any, **keywords: Any
) -> bool:
    """Allow the lock of coverage's data, which it takes in whatever function it traces first."""
    collector = getattr(coverage.Coverage.current(), "_collector", None)
    return lock is getattr(collector, "data_lock", None) or otherwise(lock, *args, **keywords)


class _InThread:
    """The methods of a blocking object as coroutine functions, each call in a worker thread."""

    def __init__(self, blocking: object) -> None:
        self._blocking = blocking

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._blocking, name)
        return partial(asyncio.to_thread, value) if callable(value) else _InThread(value)


@attrs.frozen
class AnyClient:
    """Either client behind one awaitable interface, so that a test is written once.

    Attributes:
        real: The client itself.
        kind: Which of the two it is.
    """

    real: Any
    kind: Kind

    @property
    def backups(self) -> AsyncBackupsResource:
        """The backups resource, awaitable for both."""
        backups = self.real.gpu_droplets.backups
        return cast("AsyncBackupsResource", backups if self.kind == "async" else _InThread(backups))

    @property
    def rate_limit(self) -> RateLimitStatus:
        """The rate limit of either client."""
        status = self.real.rate_limit
        assert isinstance(status, RateLimitStatus)
        return status

    async def finish(self, result: Callable[[], Any]) -> Any:
        """Call and await what is a coroutine function for one client and blocks for the other."""
        if self.kind == "async":
            return await result()
        return await asyncio.to_thread(result)

    def copy(self, **changes: Any) -> AnyClient:
        """Copy the client."""
        return AnyClient(self.real.copy(**changes), self.kind)

    async def close(self) -> None:
        """Close the client."""
        await self.finish(self.real.close)

    async def __aenter__(self) -> Self:
        if self.kind == "async":
            await self.real.__aenter__()
        else:
            await asyncio.to_thread(self.real.__enter__)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.kind == "async":
            await self.real.__aexit__(kind, error, traceback)
        else:
            await asyncio.to_thread(self.real.__exit__, kind, error, traceback)


MakeClient: TypeAlias = Callable[..., AnyClient]


@pytest.fixture
def fleet() -> Fleet:
    """An account of 40 Droplets."""
    return Fleet.generate(40)


@pytest.fixture
async def simulator(fleet: Fleet) -> AsyncIterator[Simulator]:
    """A simulator of the account, on the loop of the test."""
    async with Simulator(fleet) as simulator:
        yield simulator


@pytest.fixture
def droplet_id(fleet: Fleet) -> int:
    """A Droplet that has a few backups."""
    return next(droplet.id for droplet in fleet.droplets.values() if len(droplet.backups) > 3)


@pytest.fixture(params=["async", "blocking"])
def kind(request: pytest.FixtureRequest) -> Kind:
    """Which client the test is run for: every test that asks is run for both."""
    return cast("Kind", request.param)


@pytest.fixture
async def make_client(kind: Kind, simulator: Simulator) -> AsyncIterator[MakeClient]:
    """Makes clients of the simulator, of the kind that is asked for; closes all in the end."""
    made: list[AnyClient] = []

    def make(**options: Any) -> AnyClient:
        usual: dict[str, Any] = {"access_token": simulator.token, "base_url": simulator.url}
        cls = AsyncGradient if kind == "async" else gradient_async.Gradient
        made.append(AnyClient(cls(**{**usual, **options}), kind))
        return made[-1]

    yield make
    for client in made:
        await client.close()


@pytest.fixture
def client(make_client: MakeClient) -> AnyClient:
    """A client of the simulator with the default options."""
    return make_client()


@pytest.fixture
async def async_client(simulator: Simulator) -> AsyncIterator[AsyncGradient]:
    """The asynchronous client of the simulator, for what only that one has."""
    async with AsyncGradient(simulator.token, base_url=simulator.url) as client:
        yield client


@pytest.fixture
def fresh_converter() -> None:
    """The test makes the converter anew, as the first odd answer does in a program."""
    _structure._converter.cache_clear()
    _structure._decoders.clear()


@pytest.fixture
def delays(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """The pauses that were decided between tries, in order; none of them is waited for."""
    decided: list[float | None] = []

    def without_waiting(error: errors.APIError, **about: Any) -> float | None:
        decided.append(retry_delay(error, **about))
        return None if decided[-1] is None else 0.0

    monkeypatch.setattr(_transport, "retry_delay", without_waiting)
    return decided
