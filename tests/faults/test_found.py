"""What the campaigns, the fuzzing and the searches have found, each as small as it can be."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import ssl
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from urllib.parse import urlsplit

import aiohttp
import pytest
import trustme
from aiohttp import web
from async_helpers import settle

from gradient_async import AsyncGradient, Gradient, errors
from gradient_async._http import RateLimitHeaders, Response, status_error
from gradient_async._structure import MAX_NESTING, DecodeFailure, decode, decode_any
from gradient_async.testing import Fault, Fleet, Simulator
from gradient_async.types import BackupListResponse

from .server import raw_answer, whole


def nested(depth: int) -> bytes:
    """Give JSON that is so many arrays deep."""
    return b"[" * depth + b"1" + b"]" * depth


def test_nesting_is_bounded_by_a_number_and_not_by_the_stack() -> None:
    """The limit is the same wherever the call comes from; what is within it is decoded."""
    assert decode_any(nested(MAX_NESTING))
    with pytest.raises(DecodeFailure, match="nested too deeply"):
        decode_any(nested(MAX_NESTING + 1))
    assert decode_any(b"[" + b",".join([b"{}"] * 1000) + b"]") == [{}] * 1000


@pytest.mark.parametrize(
    ("opening", "closing"), [(b"[", b"]"), (b'{"meta":', b"}"), (b'{"backups":[', b"]}")]
)
def test_no_depth_of_nesting_gives_a_recursion_error(opening: bytes, closing: bytes) -> None:
    """Around the depth that Python's stack allows, too, a bad answer is a `DecodeFailure`."""
    for depth in (100, 500, *range(900, 1010), 5000):
        with suppress(DecodeFailure):
            decode(BackupListResponse, opening * depth + b"1" + closing * depth)


def test_an_error_with_a_deeply_nested_body_can_be_pickled() -> None:
    """A server cannot keep an error from crossing a process boundary by what it sends with it."""
    response = Response("GET", "https://a.test", 400, {}, nested(800))
    error = status_error(response, RateLimitHeaders({}, 0))
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, errors.BadRequestError)
    assert again.body == copy.deepcopy(error.body) == nested(800).decode()


@pytest.mark.parametrize("turns", range(4))
async def test_a_simulator_that_stops_while_clients_connect_leaves_no_socket(turns: int) -> None:
    """Connections that the simulator accepted a moment before it stops are closed."""
    async with Simulator() as simulator:
        port = urlsplit(simulator.url).port
        clients = [socket.create_connection(("127.0.0.1", port)) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
    ended = [await asyncio.to_thread(_is_closed, client) for client in clients]
    assert all(ended)


def _is_closed(client: socket.socket) -> bool:
    """Tell whether the other side has closed, by an end or a reset, and close this one."""
    client.settimeout(5)
    with client, suppress(ConnectionResetError):
        return client.recv(1) == b""
    return True


def _hang_up(request: web.BaseRequest) -> None:
    assert request.transport is not None
    request.transport.close()


async def test_a_client_that_goes_away_is_no_error_of_the_simulator(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A fault that finds its connection gone ends as quietly as one that is cancelled."""
    async with Simulator(Fleet.generate(1)) as simulator:
        simulator.faults.add(Fault.hold("headers"), times=None)
        simulator.before(_hang_up)
        async with AsyncGradient(simulator.token, base_url=simulator.url, max_retries=0) as client:
            with pytest.raises(errors.APIConnectionError):
                await client.gpu_droplets.backups.list(1)
        await simulator.wait_for(cancelled=1)
    assert not caplog.records


@pytest.mark.parametrize("make", [AsyncGradient, Gradient])
def test_a_client_that_was_never_made_can_be_shown(
    make: type[AsyncGradient | Gradient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback of a constructor that raises has the client among its locals."""
    monkeypatch.delenv("DIGITALOCEAN_ACCESS_TOKEN", raising=False)
    with pytest.raises(errors.ConfigurationError) as caught:
        make()
    lines = traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
    assert f"self = <{make.__name__}>" in "".join(lines)


async def test_a_streamed_answer_is_kept_from_what_comes_after_it() -> None:
    """A streamed answer that has arrived is not changed by a later failure of its connection."""
    right, wrong = whole(raw_answer("/v2/droplets/1/backups")), 200 * b"a: b\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for reply in (right, b"HTTP/1.1 200 OK\r\n" + wrong):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncGradient("token", base_url=url, max_retries=0) as client:
            backups = client.gpu_droplets.backups
            async with backups.with_streaming_response.list(1) as answer:
                with pytest.raises(errors.APIConnectionError):
                    await backups.list(2)
                page = await answer.parse()
            assert [backup.id for backup in page.backups] == [10, 11]
            assert answer.is_closed


@asynccontextmanager
async def unasked(first: bytes, unasked_for: bytes) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Serve an answer, and on the same connection another one that nobody asked for.

    That one is sent when the event is set. All connections after the first are answered well.
    """
    send, ended, served = asyncio.Event(), asyncio.Event(), 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal served
        served += 1
        is_first = served == 1
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            if is_first:
                await send.wait()
                writer.write(unasked_for)
            await reader.read()
        writer.close()
        if is_first:
            ended.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", send
        await ended.wait()


async def arrived(server_sends: asyncio.Event) -> None:
    """Have the server send, and the client's side of the connection take it in."""
    server_sends.set()
    await settle()


ANSWER = raw_answer("/v2/droplets/1/backups")
ANOTHER = whole(raw_answer("/v2/droplets/7/backups"))


@pytest.mark.parametrize("unasked_for", [ANOTHER, ANOTHER[:-30]], ids=["whole", "half"])
async def test_an_answer_that_nobody_asked_for_is_nobodys(unasked_for: bytes) -> None:
    """What a kept connection brought while it was idle is not taken for the next answer."""
    async with (
        unasked(whole(ANSWER), unasked_for) as (url, server_sends),
        AsyncGradient("token", base_url=url, max_retries=0, timeout=5) as client,
    ):
        answers = [await client.gpu_droplets.backups.list(1)]
        await arrived(server_sends)
        answers.append(await client.gpu_droplets.backups.list(1))
    assert [[backup.id for backup in answer.backups] for answer in answers] == [[10, 11]] * 2


async def test_the_timeout_holds_for_a_body_that_began_before_its_request() -> None:
    """An unasked answer that stalls on a kept connection is a timeout of the next request."""
    async with (
        unasked(whole(ANSWER), ANOTHER[:-30]) as (url, server_sends),
        aiohttp.ClientSession() as session,
        AsyncGradient("token", base_url=url, session=session, max_retries=0) as client,
    ):
        await client.gpu_droplets.backups.list(1)
        await arrived(server_sends)
        with pytest.raises(errors.APITimeoutError, match=r"no answer within 0\.05 s"):
            await client.gpu_droplets.backups.list(1, timeout=0.05)


async def test_what_the_loop_has_not_read_yet_is_seen_too() -> None:
    """An unasked answer that the busy loop has not read yet is not taken for the next answer."""
    go_on, sent = threading.Event(), threading.Event()

    def serve(listening: socket.socket) -> None:
        for number in range(2):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(whole(ANSWER))
                if number == 0:
                    go_on.wait(5)
                    connection.sendall(ANOTHER)
                    sent.set()
                    with suppress(ConnectionResetError):
                        connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = threading.Thread(target=serve, args=(listening,))
        serving.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with AsyncGradient("token", base_url=url, max_retries=0, timeout=5) as client:
            first = await client.gpu_droplets.backups.list(1)
            go_on.set()
            sent.wait(5)  # and nothing else happens on this loop
            second = await client.gpu_droplets.backups.list(1)
        serving.join()
    assert [backup.id for backup in (*first.backups, *second.backups)] == [10, 11] * 2


async def test_a_new_connection_may_bring_something_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a server sends on a new connection before it is asked is the answer."""
    serving, trusting = tls_contexts()
    serving.maximum_version = ssl.TLSVersion.TLSv1_2  # whose handshake ends with the server
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        with suppress(OSError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncGradient("token", base_url=url, max_retries=0, timeout=5) as client:
            with pytest.raises(errors.InternalServerError):
                await client.gpu_droplets.backups.list(1)
    assert connections == 1


def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Give what a server on loopback needs for TLS, and what trusts it."""
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    return serving, trusting


async def answering(*replies: bytes | None) -> tuple[asyncio.Server, str]:
    """Serve these replies, over however many connections; ``None`` closes without one."""
    left = iter(replies)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, StopIteration):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                reply = next(left)
                if reply is None:
                    break
                writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    return server, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


TOO_MANY = b"HTTP/1.1 429 Too Many\r\nretry-after: 0\r\nContent-Length: 0\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: /v2/other\r\nContent-Length: 0\r\n\r\n"


@pytest.mark.parametrize("between", [TOO_MANY, REDIRECT], ids=["429", "redirect"])
async def test_a_closed_connection_is_no_failure_however_often_it_is_met(between: bytes) -> None:
    """Each try of a call repeats at once a request that met a closed connection."""
    server, url = await answering(whole(ANSWER), None, between, None, whole(ANSWER))
    async with server, AsyncGradient("token", base_url=url, max_retries=0) as client:
        list_waiting = partial(client.gpu_droplets.backups.list, 1, max_rate_limit_wait=None)
        await list_waiting()
        assert (await list_waiting()).backups


@pytest.mark.parametrize("between", [True, False], ids=["between pieces", "within one"])
async def test_a_client_that_is_closed_ends_who_reads_a_streamed_answer(between: bool) -> None:
    """Closing the client ends the reader of a streamed answer in a clear error, at once."""
    server, url = await answering(whole(ANSWER)[:-30])
    go_on, waits = asyncio.Event(), asyncio.Event()

    async def read(client: AsyncGradient) -> None:
        streaming = client.gpu_droplets.backups.with_streaming_response
        async with streaming.list(1) as answer:
            async for _ in answer.iter_bytes():
                asyncio.get_running_loop().call_soon(waits.set)
                if between:
                    await go_on.wait()

    async with server, AsyncGradient("token", base_url=url, timeout=None) as client:
        reading = asyncio.create_task(read(client))
        await waits.wait()
        await client.close()
        go_on.set()
        with pytest.raises(errors.APIConnectionError, match="client was closed"):
            await reading


async def test_a_body_that_has_come_in_time_can_be_read_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """`timeout` is until the last byte has come, not until the user has looked at it."""
    head, rest = whole(ANSWER)[:-30], whole(ANSWER)[-30:]
    ask = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await ask.wait()
        writer.write(rest)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with AsyncGradient("token", base_url=url, timeout=60) as client:
            streaming = client.gpu_droplets.backups.with_streaming_response
            async with streaming.list(1) as answer:
                await arrived(ask)
                loop = asyncio.get_running_loop()
                late = loop.time() + 61
                with monkeypatch.context() as patch:
                    patch.setattr(loop, "time", lambda: late)
                    assert (await answer.parse()).backups


async def test_a_body_that_a_middleware_has_read_is_the_answer() -> None:
    """A body that a middleware of the user's session has read is still the answer."""

    async def log(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        response = await handler(request)
        await response.read()
        return response

    server, url = await answering(whole(ANSWER))
    async with (
        server,
        aiohttp.ClientSession(middlewares=(log,)) as session,
        AsyncGradient("token", base_url=url, session=session) as client,
    ):
        assert (await client.gpu_droplets.backups.list(1)).backups
