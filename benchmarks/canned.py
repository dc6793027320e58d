"""A server that costs less than any client: it answers every GET with bytes that it made before.

It reads no more of a request than the number of the page. No client here pipelines, and their
requests fit into one segment, so what arrives at once is one request.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import trustme
import uvloop

from .bodies import PER_PAGE, page

TOKEN = "benchmark-token"
LIMIT = 1_000_000
"""What the answers name as the limit of the token: more than any benchmark sends."""


def _answer(body: bytes) -> bytes:
    head = (
        "HTTP/1.1 200 OK\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Date: Fri, 28 Aug 2026 12:00:00 GMT\r\n"
        f"ratelimit-limit: {LIMIT}\r\n"
        f"ratelimit-remaining: {LIMIT - 50}\r\n"
        "ratelimit-reset: 1787918460\r\n"
        "x-request-id: 515850a0-a812-4a8f-a9e8-7f1d4b1d2f3a\r\n"
        "\r\n"
    )
    return head.encode() + body


class _Protocol(asyncio.Protocol):
    def __init__(self, answers: list[bytes], opened: Any) -> None:
        self._answers = answers
        self._opened = opened

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._opened.value += 1

    def data_received(self, data: bytes) -> None:
        number = 1
        if len(self._answers) > 1:
            named = re.search(rb"[?&]page=(\d+)", data)
            number = int(named[1]) if named else 1
        self._transport.write(self._answers[number - 1])


@attrs.frozen
class Canned:
    """A canned server that runs.

    Attributes:
        url: Where it is.
        _opened: The number of connections ever made to it.
    """

    url: str
    _opened: Any

    @property
    def connections(self) -> int:
        """The number of connections that were ever made to it."""
        return int(self._opened.value)


@contextmanager
def canned(total: int, *, tls: bool = False) -> Iterator[Canned]:
    """Serve a listing of so many backups, the same for every Droplet, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    opened = context.Value("q", 0)
    ours, theirs = context.Pipe()
    with _trusted_certificate() if tls else nullcontext() as certificate:
        args = (total, opened, theirs, certificate)
        process = context.Process(target=_serve, args=args, daemon=True)
        process.start()
        try:
            host = "https://localhost" if tls else "http://127.0.0.1"
            yield Canned(f"{host}:{ours.recv()}", opened)
        finally:
            process.kill()
            process.join()


@contextmanager
def _trusted_certificate() -> Iterator[str]:
    """Make a certificate, which processes that are started meanwhile trust, and give its file."""
    authority = trustme.CA()
    with TemporaryDirectory() as folder:
        trusted, certificate = Path(folder) / "trusted.pem", Path(folder) / "server.pem"
        authority.cert_pem.write_to_path(trusted)
        authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
        os.environ["SSL_CERT_FILE"] = str(trusted)
        try:
            yield str(certificate)
        finally:
            del os.environ["SSL_CERT_FILE"]


def _serve(total: int, opened: Any, pipe: Connection, certificate: str | None) -> None:
    pages = -(-total // PER_PAGE)
    answers = [_answer(page(total, number)) for number in range(1, pages + 1)]
    context = None
    if certificate is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)

    async def listen() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: _Protocol(answers, opened), "127.0.0.1", 0, backlog=1024, ssl=context
        )
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(listen())
