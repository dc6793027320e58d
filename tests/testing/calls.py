"""A plain aiohttp client for the simulator's tests."""

from __future__ import annotations

import socket
from typing import Any

import aiohttp
import attrs

from gradient_async.testing import Simulator


@attrs.frozen
class Reply:
    """What came back.

    Attributes:
        status: HTTP status code.
        headers: Headers by their name in lower case.
        body: The body's bytes, after decompression.
        json: The body as JSON, None if it is none.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    json: Any


@attrs.frozen
class Caller:
    """Calls a simulator with its token, over one session."""

    session: aiohttp.ClientSession

    async def get(self, simulator: Simulator, path: str, **options: Any) -> Reply:
        """GET a path of the simulator."""
        options.setdefault("headers", {"Authorization": f"Bearer {simulator.token}"})
        async with self.session.get(simulator.url + path, **options) as response:
            body = await response.read()
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Reply(response.status, headers, body, await _json(response))


async def _json(response: aiohttp.ClientResponse) -> Any:
    try:
        return await response.json(content_type=None)
    except (ValueError, RecursionError):
        return None


def exchange_bytes(url: str, path: str) -> tuple[bytes, bool]:
    """All bytes that one request gets, and whether the connection was reset."""
    host, _, port = url.removeprefix("http://").partition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        lines = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer simulated-token\r\n\r\n"
        connection.sendall(lines.encode())
        try:
            while part := connection.recv(65536):
                received += part
        except ConnectionResetError:
            return received, True
    return received, False
