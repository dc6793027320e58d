"""Host names, looked up in threads that nobody has to wait for.

asyncio looks them up in the executor of the loop. That takes no more work once the main thread has
ended, though other threads go on, and the end of the loop waits for a lookup that hangs.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["Resolver"]

NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV


class Resolver(AbstractResolver):
    """Asks the operating system, in a daemon thread for each lookup; aiohttp keeps the answers."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: It has none, or they cannot be found out.
        """
        lookup: Future[list[ResolveResult]] = Future()
        thread = threading.Thread(
            target=_look_up,
            args=(lookup, host, port, family),
            name="gradient-async-dns",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is ending and starts no more threads
            return _addresses(host, port, family)
        return await asyncio.wrap_future(lookup)

    async def close(self) -> None:
        """Do nothing: a lookup that is under way ends by itself."""


def _look_up(
    lookup: Future[list[ResolveResult]], host: str, port: int, family: socket.AddressFamily
) -> None:
    if not lookup.set_running_or_notify_cancel():
        return
    try:
        found = _addresses(host, port, family)
    except Exception as error:
        lookup.set_exception(error)
    else:
        lookup.set_result(found)


def _addresses(host: str, port: int, family: socket.AddressFamily) -> list[ResolveResult]:
    kinds = {"family": family, "type": socket.SOCK_STREAM}
    try:
        found = socket.getaddrinfo(host, port, flags=socket.AI_ADDRCONFIG, **kinds)
    except socket.gaierror:  # also where loopback is the only network, on some systems
        found = socket.getaddrinfo(host, port, **kinds)
    return [
        ResolveResult(
            hostname=host,
            host=_numeric_host(address),
            port=port,
            family=family,
            proto=protocol,
            flags=NUMERIC,
        )
        for family, _, protocol, _, address in found
    ]


def _numeric_host(address: tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]) -> str:
    """Return the address as text, with the zone that one of a local network has."""
    return socket.getnameinfo(address, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
