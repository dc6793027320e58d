"""The aiohttp sessions of a client: what users may give, and ours beside aiohttp's own.

Ours never re-sends a request by itself, tells an idle connection that the server had closed from
one that fails, and drops an idle one over which data has arrived.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Final, TypeAlias

import aiohttp

from ._resolver import Resolver

__all__ = [
    "SessionFactory",
    "SessionSource",
    "StaleConnectionError",
    "checked_factory",
    "how_it_ended",
    "own_session",
]

SessionFactory: TypeAlias = Callable[[], aiohttp.ClientSession]
"""Makes a session, on the loop that it is for; a client calls it once per event loop."""
SessionSource: TypeAlias = aiohttp.ClientSession | SessionFactory
"""What `AsyncGradient` takes as ``session``: also a session itself.

That one works on its own event loop only, and is never closed by the client.
"""

ENDED: Final = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    aiohttp.ClientConnectionResetError,
)
"""What aiohttp raises when a connection ends before the headers of an answer."""


def checked_factory(session: SessionFactory | None) -> SessionFactory | None:
    """Return a function that makes sessions, which is all that a client with its own loop takes.

    Raises:
        TypeError: It is a session, which belongs to another loop, or something else.
    """
    if session is not None and not callable(session):
        raise TypeError(
            "session must be a function that makes an aiohttp.ClientSession on the loop of this "
            f"client, got {session!r}"
        )
    return session


def how_it_ended(error: Exception) -> str:
    """Return what aiohttp says of a connection that ended: within headers, it shows its objects."""
    if isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str):
        return "it ended within the headers of an answer"
    return str(error)


class StaleConnectionError(aiohttp.ClientConnectionError):
    """A connection that was kept from an earlier request ended before the headers of an answer."""


_opened: ContextVar[list[socket.socket]] = ContextVar("_opened")
"""The sockets that the request under way has opened; none when it goes over a kept connection."""


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *about: Any, **more: Any) -> aiohttp.connector.Connection:
        """Give no connection that has brought something while it was idle.

        It would be taken for the answer to the next request.
        """
        while True:
            connection = await super().connect(*about, **more)
            if _opened.get() or not _has_brought_something(connection):
                return connection  # what a new one has brought is the answer to this request
            connection.close()


def _has_brought_something(connection: aiohttp.connector.Connection) -> bool:
    """Tell whether data, or the end, has come over a connection, be it read by the loop or not."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is None or transport is None or protocol.should_close:
        return True
    return _is_readable(transport.get_extra_info("socket").fileno())


def _is_readable(descriptor: int) -> bool:
    if sys.platform == "win32":
        return bool(select.select([descriptor], [], [], 0)[0])
    poll = select.poll()  # takes descriptors above 1,023, too
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


def own_session() -> aiohttp.ClientSession:
    """Make a session, on the running loop."""
    return aiohttp.ClientSession(
        # No limit here: requests queue for `slots`, where their timeout does not run yet.
        connector=_Connector(limit=0, socket_factory=_open_socket, resolver=Resolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        middlewares=(_without_silent_retry,),
    )


def _open_socket(address: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, *_ = address
    opened = socket.socket(family, kind, protocol)
    _opened.get().append(opened)
    return opened


async def _without_silent_retry(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keep aiohttp from sending a request again by itself, unseen by retries and pacing."""
    opened: list[socket.socket] = []
    before = _opened.set(opened)
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except ENDED as error:
        kind = aiohttp.ClientConnectionError if opened else StaleConnectionError
        raise kind(how_it_ended(error)) from error
    finally:
        _opened.reset(before)
