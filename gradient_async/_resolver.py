"""Host names, looked up in threads that nobody has to wait for.

asyncio looks them up in the executor of the loop. The executor takes no more work once the main
thread has ended, though other threads go on; and where a lookup hangs, the loop cannot end.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Final

from aiohttp.abc import AbstractResolver, ResolveResult

__all__ = ["Resolver"]

NUMERIC_FLAGS: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
NUMERIC_NAMES: Final = socket.NI_NUMERICHOST | socket.NI_NUMERICSERV


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
        except RuntimeError as error:
            if threading.main_thread().is_alive():  # there can be no more threads
                raise socket.gaierror(socket.EAI_AGAIN, str(error)) from None
            return _addresses(host, port, family)  # the interpreter is ending
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
    # Those of the kinds of networks that there are; to some systems loopback is none of them.
    flags = 0 if host == "localhost" else socket.AI_ADDRCONFIG
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
    except UnicodeError as error:  # a label of the name is empty or too long
        raise socket.gaierror(socket.EAI_NONAME, str(error)) from None
    return [
        ResolveResult(
            hostname=host,
            host=socket.getnameinfo(address, NUMERIC_NAMES)[0],  # with its zone, if it has one
            port=port,
            family=family,
            proto=protocol,
            flags=NUMERIC_FLAGS,
        )
        for family, _, protocol, _, address in found
        if isinstance(address[0], str)  # not so on a Python without IPv6
    ]
