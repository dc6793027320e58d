"""The TCP side: connections are counted, numbered and closed without waiting."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeAlias

from aiohttp import web

__all__ = ["CountingServer", "Listener"]

CLOSING_TURNS = 10  # of the loop: accept, connect, cut, cancel the handler, and some to spare

Handler: TypeAlias = Callable[[web.BaseRequest, int], Awaitable[web.StreamResponse]]


class CountingServer(web.Server):
    """aiohttp's low-level server, which numbers its connections.

    Args:
        handler: Answers a request, given the number of its connection.
        changed: Called when a connection is opened or closed.
        keepalive_timeout: Seconds after which an idle connection is closed.
        opened: Number of TCP connections that were accepted before.

    Attributes:
        opened: Number of TCP connections ever accepted.
    """

    def __init__(
        self,
        handler: Handler,
        changed: Callable[[], None],
        keepalive_timeout: float,
        opened: int,
    ) -> None:
        super().__init__(
            self._handle,
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=keepalive_timeout,
        )
        self.opened = opened
        self._answer = handler
        self._changed = changed
        self._closed = False
        self._open: dict[web.RequestHandler, tuple[int, asyncio.Transport]] = {}

    def _handle(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        number, _ = self._open[request.protocol]
        return self._answer(request, number)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """Number a new connection; cut it if the server is closed."""
        super().connection_made(handler, transport)
        self.opened += 1
        self._open[handler] = (self.opened, transport)
        if self._closed:
            transport.abort()
        self._changed()

    def connection_lost(
        self, handler: web.RequestHandler, exc: BaseException | None = None
    ) -> None:
        """Forget a connection."""
        self._open.pop(handler, None)
        super().connection_lost(handler, exc)
        self._changed()

    @property
    def open_count(self) -> int:
        """Number of connections that are open now."""
        return len(self._open)

    def drop(self, spared: set[int]) -> None:
        """Close all connections but those whose number is in ``spared``."""
        for number, transport in list(self._open.values()):
            if number not in spared:
                transport.close()

    def abort(self) -> None:
        """Cut all connections, and new ones as soon as they are made."""
        self._closed = True
        for _, transport in list(self._open.values()):
            transport.abort()


class Listener:
    """A listening `CountingServer`, from its start to a prompt stop.

    Args:
        server: The server.
        host: Address to listen on.
        port: Port, 0 for any free one.
    """

    def __init__(self, server: CountingServer, host: str, port: int) -> None:
        self.server = server
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        self._host = host
        self._port = port

    async def start(self) -> str:
        """Listen, and return the base URL."""
        await self._runner.setup()
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        self._socket = socket.create_server((self._host, self._port), family=family, backlog=1024)
        try:
            await web.SockSite(self._runner, self._socket, backlog=1024).start()
        except BaseException:
            self._socket.close()
            raise
        host, port = self._runner.addresses[0][:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def stop(self) -> None:
        """Stop listening, cut all connections and wait for their handlers to end."""
        # asyncio leaks what it accepted in the turn before: it needs its server to be open still.
        with suppress(NotImplementedError):  # Windows: its loop has no such readers
            asyncio.get_running_loop().remove_reader(self._socket)
        await asyncio.sleep(0)
        for site in list(self._runner.sites):
            await site.stop()
        self.server.abort()
        for _ in range(CLOSING_TURNS):
            await asyncio.sleep(0)
        await self._runner.cleanup()
