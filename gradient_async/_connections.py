"""The aiohttp sessions of a client: one per event loop, each gone with its loop.

A client is not tied to a loop when it is made. The first request on a loop opens a session there;
it is closed with the client, with the loop, or when the client is dropped, whichever comes first.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final, TypeVar

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from ._deadlines import Deadlines
from ._fork import keep_in_child, tell_after_fork
from ._loop import running_loop
from ._proxies import proxy_from_environment
from ._session import SessionSource, own_session
from ._slots import Slots
from .errors import APIConnectionError

__all__ = ["CLOSED", "CLOSED_MEANWHILE", "Connections", "LoopConnections"]

T = TypeVar("T")

MAX_CONNECTIONS: Final = 100
CLOSED: Final = "this client is closed: make a new one"
CLOSED_MEANWHILE: Final = "the client was closed while the request was under way"


class LoopConnections:
    """The session of one event loop, and the requests that are under way on it.

    Attributes:
        answered: The number of requests that have been answered, with whatever status.
    """

    def __init__(self, session: aiohttp.ClientSession, limit: int, *, owned: bool) -> None:
        self.session = session
        self.owned = owned
        self.slots: Slots = Slots(limit)
        self.deadlines: Deadlines = Deadlines()
        self.answered: int = 0
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._until_loop_ends = _close_with_loop(session) if owned else None
        if self._until_loop_ends is not None:
            weakref.finalize(self, _close_soon, self._until_loop_ends).atexit = False

    @property
    def usable(self) -> bool:
        """Whether to go on with this session.

        One that a user gave is used even if it is closed, so that aiohttp says so.
        """
        return not (self._closed or (self.owned and self.session.closed))

    async def run(self, work: Coroutine[Any, Any, T], about: Callable[[], dict[str, Any]]) -> T:
        """Await ``work``, and end it with a clear error when the client is closed meanwhile.

        Args:
            work: A part of a request.
            about: Gives what an error says about that request.
        """
        task = asyncio.current_task(self.deadlines.loop)
        assert task is not None
        if task in self._under_way:  # a middleware of the user's session asks this client
            return await work
        if self._closed:
            work.close()
            raise _closed_meanwhile(about())
        before = task.cancelling()
        self._under_way.add(task)
        try:
            return await work
        except asyncio.CancelledError:
            # As `asyncio.timeout` does: what `close` cancelled is an error, what others did is not.
            if task not in self._under_way and task.uncancel() <= before:
                raise _closed_meanwhile(about()) from None
            raise
        finally:
            self._under_way.discard(task)

    def get(
        self, url: str | URL, headers: CIMultiDict[str], proxy: str | None, connect: float | None
    ) -> Awaitable[aiohttp.ClientResponse]:
        """Send a GET; awaited, it gives the answer once its headers are there.

        Args:
            url: Where to; a `URL` is sent as it is.
            headers: What to send beside what HTTP itself needs.
            proxy: The proxy, if there is one.
            connect: The most seconds until the connection is there. For all else there is
                `deadlines`.
        """
        return self.session.get(
            url,
            headers=headers,
            allow_redirects=False,
            raise_for_status=False,
            proxy=proxy,
            timeout=_connection_timeout(connect, self.owned),
        )

    async def close(self) -> None:
        """End the requests under way, then the session if it is ours."""
        self._closed = True
        while self._under_way:
            self._under_way.pop().cancel()
        self.deadlines.close()
        if self._until_loop_ends is not None:
            await self._until_loop_ends.aclose()


def _closed_meanwhile(about: dict[str, Any]) -> APIConnectionError:
    return APIConnectionError(CLOSED_MEANWHILE, unreachable=True, **about)


@lru_cache(maxsize=64)
def _connection_timeout(seconds: float | None, owned: bool) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        # In a session of ours this is DNS, TCP and TLS. One that a user gave may have a queue of
        # its own, shared with others, that it would count too.
        connect=seconds if owned else None,
        sock_connect=seconds,
        ceil_threshold=float("inf"),
    )


_until_their_loop_ends: dict[AsyncGenerator[None, None], asyncio.AbstractEventLoop] = {}


def _close_with_loop(session: aiohttp.ClientSession) -> AsyncGenerator[None, None]:
    """Have a session closed at the end of the running loop, and give what closes it before.

    A loop closes the asynchronous generators that were begun on it (``asyncio.run`` does so by
    `shutdown_asyncgens`): this one closes the session. It is held until then, so that a client
    which is dropped as the loop ends does not leave its session behind.
    """

    async def until_closed() -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            _until_their_loop_ends.pop(generator, None)
            await session.close()

    generator = until_closed()
    _until_their_loop_ends[generator] = asyncio.get_running_loop()
    with suppress(StopIteration):  # run it to its `yield`
        generator.asend(None).send(None)
    return generator


def _close_soon(generator: AsyncGenerator[None, None]) -> None:
    """Close the session of a client that was dropped, from whichever thread dropped it."""

    async def close() -> None:
        with suppress(RuntimeError):  # the loop, at its end, is closing it
            await generator.aclose()

    loop = _until_their_loop_ends.get(generator)
    if loop is None or loop.is_closed():
        _until_their_loop_ends.pop(generator, None)
    else:
        loop.call_soon_threadsafe(lambda: loop.create_task(close()))


class Connections:
    """The sessions of a client and its copies.

    Args:
        source: A session or a function that makes one, or ``None`` for our own. A session that
            was given is never closed here.

    Raises:
        TypeError: It is neither.
    """

    def __init__(self, source: SessionSource | None) -> None:
        if not (source is None or isinstance(source, aiohttp.ClientSession) or callable(source)):
            raise TypeError(
                "session must be an aiohttp.ClientSession or a function that makes one, "
                f"got {source!r}"
            )
        self._source = source
        self._by_loop: dict[asyncio.AbstractEventLoop, LoopConnections] = {}
        self._closed = False
        tell_after_fork(self)

    @property
    def closed(self) -> bool:
        """Whether no more requests can be sent."""
        return self._closed

    def here(self) -> LoopConnections:
        """Return the connections of the running loop.

        Raises:
            RuntimeError: The client is closed, or no loop is running.
        """
        if self.closed:
            raise RuntimeError(CLOSED)
        loop = running_loop()
        here = self._by_loop.get(loop)
        if here is None or not here.usable:
            here = self._open(loop)
        return here

    def _open(self, loop: asyncio.AbstractEventLoop) -> LoopConnections:
        for other in tuple(self._by_loop):  # which other threads change, too
            if other.is_closed():
                self._by_loop.pop(other, None)
        session, owned = _make_session(self._source)
        here = LoopConnections(session, _limit(session), owned=owned)
        self._by_loop[loop] = here
        return here

    def proxy_for(self, base_url: str) -> str | None:
        """Return the proxy for requests to a URL. A session of the user's brings its own.

        Raises:
            ConfigurationError: See `proxy_from_environment`.
        """
        return proxy_from_environment(base_url) if self._source is None else None

    async def close(self) -> None:
        """Close the sessions of all loops. Those of other threads' loops are closed over there."""
        self._closed = True
        by_loop, self._by_loop = self._by_loop, {}
        for loop, connections in by_loop.items():
            if not loop.is_running():
                continue
            if loop is asyncio.get_running_loop():
                await connections.close()
            else:
                asyncio.run_coroutine_threadsafe(connections.close(), loop)

    def shared(self) -> Connections:
        """Return the same connections for a copy of the client, which cannot close them."""
        return _BorrowedConnections(self, closed=self._closed)

    def after_fork_in_child(self) -> None:
        """Leave all sessions alone: they are the parent's.

        Closing one here would take the parent's sockets out of the selector that both share.
        """
        keep_in_child(self._by_loop)
        self._by_loop = {}


class _BorrowedConnections(Connections):
    """The connections of a client as its copy sees them."""

    def __init__(self, owner: Connections, *, closed: bool) -> None:
        self._owner = owner
        self._closed = closed

    @property
    def closed(self) -> bool:
        return self._closed or self._owner.closed

    def here(self) -> LoopConnections:
        if self._closed:
            raise RuntimeError(CLOSED)
        return self._owner.here()

    def proxy_for(self, base_url: str) -> str | None:
        return self._owner.proxy_for(base_url)

    async def close(self) -> None:
        self._closed = True

    def shared(self) -> Connections:
        # Those of the owner: in a chain, each copy would keep all that it comes from.
        return _BorrowedConnections(self._owner, closed=self._closed)


def _make_session(source: SessionSource | None) -> tuple[aiohttp.ClientSession, bool]:
    if isinstance(source, aiohttp.ClientSession):
        return source, False
    session = own_session() if source is None else source()
    if not isinstance(session, aiohttp.ClientSession):
        raise TypeError(
            "the function that was given as `session` must return an aiohttp.ClientSession, "
            f"got {type(session).__name__}"
        )
    return session, True


def _limit(session: aiohttp.ClientSession) -> int:
    """Return the number of requests that the session can send at once without queueing itself."""
    connector = session.connector
    limits = () if connector is None else (connector.limit, connector.limit_per_host)
    return min([MAX_CONNECTIONS, *(limit for limit in limits if limit)])
