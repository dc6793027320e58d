"""What the campaigns, the fuzzing and the searches have found, each as small as it can be."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

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
    """What was accepted a moment before is closed: asyncio forgets it when its server is closed."""
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
    """Once it has arrived, the connection is used again; what breaks there is not its error."""
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
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(first)
            if served == 1:
                await send.wait()
                writer.write(unasked_for)
            await reader.read()
        writer.close()
        ended.set() if served == 1 else None

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", send
        await ended.wait()


async def arrived(server_sends: asyncio.Event) -> None:
    """Have the server send, and the client's side of the connection take it in."""
    server_sends.set()
    for _ in range(10):
        await asyncio.sleep(0)


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
    """By the timer of aiohttp it is that of the request before, which has ended."""
    async with (
        unasked(whole(ANSWER), ANOTHER[:-30]) as (url, server_sends),
        aiohttp.ClientSession() as session,
        AsyncGradient("token", base_url=url, session=session, max_retries=0) as client,
    ):
        await client.gpu_droplets.backups.list(1)
        await arrived(server_sends)
        with pytest.raises(errors.APITimeoutError, match=r"no answer within 0\.05 s"):
            await client.gpu_droplets.backups.list(1, timeout=0.05)
