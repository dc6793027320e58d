"""The simulator: a real HTTP server on loopback that behaves as the DigitalOcean API."""

from __future__ import annotations

import asyncio
import concurrent.futures
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from .._loop import running_loop_or_none
from ._account import Fleet
from ._faults import Faults
from ._journal import Journal, LoggedRequest, Watcher
from ._limits import SlidingLimits
from ._pages import LinkStyle, PageRules
from ._routes import ALL_SCOPES
from ._server import CountingServer, Listener
from ._service import Hook, Service

__all__ = ["Simulator", "run_forever"]

TOKEN = "simulated-token"  # noqa: S105 - no secret


class Simulator:
    """A simulated DigitalOcean account behind a real HTTP server on loopback.

    ``async with Simulator() as simulator`` serves on the running loop; ``with Simulator() as
    simulator`` serves from a thread of its own, for code without a loop and for other processes.
    Its attributes may be read, and its methods and those of its fleet and faults called, from
    any thread. On the way out all connections are cut; nothing is waited for.

    For a benchmark run it in a process of its own, see `run_forever`.

    Args:
        fleet: The account, by default that of `Fleet.generate`.
        token: The access token that is accepted.
        limits: Sliding windows as pairs of (requests, seconds), such as ``((250, 60.0), (5000,
            3600.0))``; ``None`` for no limit.
        count_rejected: Whether a request answered with 429 uses up room in the windows.
        hour_style: Whether the 429 of a single window comes without ``retry-after``, as that of
            the API's hour limit; with several windows that of the longest does in any case.
        reset_in_past: Whether ``ratelimit-reset`` of a 429 lies a minute in the past.
        latency: Seconds before each answer, or a pair (least, most) to draw from.
        scopes: What the token may do; all scopes by default.
        links: How listings write their ``links``: ``full``, ``missing``, ``empty`` or
            ``trailing_slash``.
        link_origin: Scheme, host and port of the ``links``, the simulator's own by default.
        clamp: Whether ``page`` and ``per_page`` out of range are clamped instead of refused.
        compress: Whether answers are compressed for clients that accept it.
        keepalive_timeout: Seconds after which an idle connection is closed.
        log_size: The log keeps at least as many of the latest requests.
        seed: Seed of the random decisions (faults, latency).
        clock: Seconds since the epoch, for the limits and ``ratelimit-reset``.
        host: Address to listen on.
        port: Port to listen on, 0 for any free one.

    Raises:
        ValueError: The latency is less than 0, or there are no such scopes, links or limits.

    Attributes:
        fleet: The account; it may change while it is served.
        faults: What goes wrong, and when.
        token: The access token that is accepted.
    """

    def __init__(
        self,
        fleet: Fleet | None = None,
        *,
        token: str = TOKEN,
        limits: Iterable[tuple[int, float]] | None = None,
        count_rejected: bool = False,
        hour_style: bool = False,
        reset_in_past: bool = False,
        latency: float | tuple[float, float] = 0.0,
        scopes: Iterable[str] = ALL_SCOPES,
        links: LinkStyle = "full",
        link_origin: str | None = None,
        clamp: bool = False,
        compress: bool = False,
        keepalive_timeout: float = 3630.0,
        log_size: int = 50_000,
        seed: int = 0,
        clock: Callable[[], float] = time.time,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.fleet: Fleet = Fleet.generate() if fleet is None else fleet
        self.faults: Faults = Faults(seed)
        self.token = token
        self._journal = Journal(log_size)
        windows = None
        if limits is not None:
            windows = SlidingLimits(limits, count_rejected=count_rejected, hour_style=hour_style)
        self._service = Service(
            fleet=self.fleet,
            token=token,
            limits=windows,
            scopes=_known_scopes(scopes),
            rules=PageRules(links=links, clamp=clamp),
            reset_in_past=reset_in_past,
            latency=_latency(latency),
            compress=compress,
            clock=clock,
            faults=self.faults,
            journal=self._journal,
            rng=random.Random(seed),
        )
        self._keepalive_timeout = keepalive_timeout
        self._link_origin = link_origin
        self._address = (host, port)
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: ServerThread | None = None
        self._opened = 0
        self._url = ""

    def __repr__(self) -> str:
        where = self._url or "not started"
        return f"<Simulator {where}, {len(self.fleet.droplets)} Droplets>"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("the simulator is running already")
        self._thread = ServerThread(self)
        try:
            self._thread.start()
        except BaseException:
            self._thread = None
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()

    async def start(self) -> None:
        """Listen on the running loop.

        Raises:
            RuntimeError: If the simulator is running already.
            OSError: If the address is not free.
        """
        if self._listener is not None:
            raise RuntimeError("the simulator is running already")
        self._loop = asyncio.get_running_loop()
        server = CountingServer(
            self._service.handle, self._journal.changed, self._keepalive_timeout, self._opened
        )
        listener = Listener(server, *self._address)
        self._url = await listener.start()
        self._listener = listener
        self._service.open(self._url if self._link_origin is None else self._link_origin)

    async def stop(self) -> None:
        """Cut all connections and stop listening, at once; nothing happens if not running.

        It has to be awaited on the loop on which `start` was.
        """
        listener, self._listener = self._listener, None
        if listener is not None:
            self._service.serving = False
            self._opened = listener.server.opened
            await listener.stop()

    @property
    def url(self) -> str:
        """The base URL, with the port that it got; `RuntimeError` before the start."""
        if not self._url:
            raise RuntimeError("the simulator has not been started")
        return self._url

    @property
    def requests(self) -> list[LoggedRequest]:
        """The requests that were answered or lost so far, in this order; a copy."""
        return list(self._journal.entries)

    @property
    def received(self) -> int:
        """Number of requests that arrived, those that have no answer yet included."""
        return self._journal.received

    @property
    def in_flight(self) -> int:
        """Number of requests that are being answered now."""
        return len(self._journal.busy)

    @property
    def max_in_flight(self) -> int:
        """The most requests that were being answered at once."""
        return self._journal.max_in_flight

    @property
    def held(self) -> int:
        """Number of requests that a hold fault is holding now."""
        return len(self._journal.held)

    @property
    def cancelled(self) -> int:
        """Number of requests whose client went away before the answer was made."""
        return self._journal.cancelled

    @property
    def connections(self) -> int:
        """Number of TCP connections ever opened."""
        return self._listener.server.opened if self._listener else self._opened

    @property
    def open_connections(self) -> int:
        """Number of TCP connections that are open now."""
        return self._listener.server.open_count if self._listener else 0

    def reset_log(self) -> None:
        """Empty the log and set `received`, `cancelled` and `max_in_flight` back."""
        self._journal.reset()

    def before(self, hook: Hook) -> Callable[[], None]:
        """Call ``hook(request)`` with every request before it is answered.

        The hook may change the fleet; the answer shows the change.

        Returns:
            A function that takes the hook out again.
        """
        self._service.hooks = (*self._service.hooks, hook)

        def remove() -> None:
            hooks = self._service.hooks
            self._service.hooks = tuple(other for other in hooks if other is not hook)

        return remove

    def release(self, count: int | None = None) -> None:
        """Let the ``count`` longest held requests go on, or all that are held now."""
        self._on_loop(lambda: self._journal.release(count))

    def spend(self, count: int = 1) -> None:
        """Use up the limits by ``count`` requests, as another process with the same token does.

        It also counts before the start.
        """
        self._on_loop(lambda: self._service.spend(count))

    def drop_connections(self, *, idle_only: bool = True) -> None:
        """Close the connections that are idle now, or all of them."""
        self._on_loop(lambda: self._drop(idle_only))

    def _drop(self, idle_only: bool) -> None:
        if self._listener is not None:
            self._listener.server.drop(set(self._journal.busy) if idle_only else set())

    def _on_loop(self, action: Callable[[], None]) -> None:
        if self._loop is None or self._listener is None or running_loop_or_none() is self._loop:
            action()
        else:
            self._loop.call_soon_threadsafe(action)

    async def wait_for(
        self,
        condition: Callable[[Simulator], bool] | None = None,
        *,
        received: int = 0,
        held: int = 0,
        cancelled: int = 0,
        timeout: float = 10.0,
    ) -> None:
        """Wait until the counters are at least the given ones and the condition is true.

        Args:
            condition: Looked at after every change; must be quick.
            received: At least as many requests have arrived.
            held: At least as many requests are being held.
            cancelled: At least as many clients have gone away.
            timeout: Seconds after which `TimeoutError` is raised.
        """
        watcher = self._watch(condition, received, held, cancelled)
        try:
            await asyncio.wait_for(asyncio.wrap_future(watcher.done), timeout)
        finally:
            self._journal.unwatch(watcher)

    def wait_for_sync(
        self,
        condition: Callable[[Simulator], bool] | None = None,
        *,
        received: int = 0,
        held: int = 0,
        cancelled: int = 0,
        timeout: float = 10.0,
    ) -> None:
        """Wait as `wait_for` does, for code without a loop, while a thread serves."""
        watcher = self._watch(condition, received, held, cancelled)
        try:
            watcher.done.result(timeout)
        finally:
            self._journal.unwatch(watcher)

    def _watch(
        self,
        condition: Callable[[Simulator], bool] | None,
        received: int,
        held: int,
        cancelled: int,
    ) -> Watcher:
        return self._journal.watch(
            lambda: (
                self.received >= received
                and self.held >= held
                and self.cancelled >= cancelled
                and (condition is None or condition(self))
            )
        )


class ServerThread:
    """A thread whose loop serves a simulator.

    Args:
        simulator: The simulator; it is started and stopped by the thread.
    """

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._ready = concurrent.futures.Future[None]()
        self._stopping = concurrent.futures.Future[None]()
        self._thread = threading.Thread(target=self._run, name="gradient-simulator", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until the simulator listens; raise what prevents it."""
        try:
            self._thread.start()  # which an interrupt may leave when it has begun
            self._ready.result()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the simulator and wait for the end of the thread."""
        self._stopping.set_result(None)
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        try:
            with asyncio.Runner() as runner:  # makes its loop before there is anything to await
                runner.run(self._serve())
        except BaseException as error:
            self._ready.set_exception(error)

    async def _serve(self) -> None:
        async with self._simulator:
            self._ready.set_result(None)
            await asyncio.wrap_future(self._stopping)


def run_forever(
    simulator: Simulator, on_ready: Callable[[Simulator], object] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; for the main thread of a process of its own.

    Args:
        simulator: The simulator, not yet started.
        on_ready: Called with it once it listens, to print its URL, say.
    """
    with suppress(KeyboardInterrupt):
        asyncio.run(_serve_until_signal(simulator, on_ready))


async def _serve_until_signal(
    simulator: Simulator, on_ready: Callable[[Simulator], object] | None
) -> None:
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        with suppress(NotImplementedError):  # Windows: Ctrl-C is a KeyboardInterrupt there
            loop.add_signal_handler(number, stopping.set)
    async with simulator:
        if on_ready is not None:
            on_ready(simulator)
        await stopping.wait()


def _known_scopes(scopes: Iterable[str]) -> frozenset[str]:
    known = frozenset(scopes)
    if unknown := known - ALL_SCOPES:
        raise ValueError(
            f"there is no scope {', '.join(map(repr, sorted(unknown)))}: "
            f"there are {', '.join(sorted(ALL_SCOPES))}"
        )
    return known


def _latency(latency: float | tuple[float, float]) -> tuple[float, float]:
    least, most = latency if isinstance(latency, tuple) else (latency, latency)
    if not 0 <= least <= most:
        raise ValueError(
            f"latency must be seconds from 0, or a pair (least, most), got {latency!r}"
        )
    return least, most
