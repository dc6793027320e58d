"""The token goes to the configured origin, and nowhere else: no log, repr, error or traceback."""

from __future__ import annotations

import asyncio
import gc
import io
import pickle
import socket
import ssl
import traceback
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from async_helpers import refusing_proxy
from cli.commands import Cli
from conftest import AnyClient, Kind
from rich.console import Console
from rich.traceback import Traceback

from gradient_async import AsyncGradient, Gradient
from gradient_async.errors import (
    APIConnectionError,
    APIStatusError,
    ConfigurationError,
    GradientError,
)
from gradient_async.testing import Fault, Fleet, Simulator

MARK = "c0ffee5ec7e7"
TOKEN = "dop_v1_" + 10 * MARK  # longer than what tools show of a string
ECHO = f'{{"id": "{TOKEN}", "message": "the token {TOKEN} is not known"}}'.encode()

FAULTS: dict[str, tuple[Fault, dict[str, Any]]] = {
    "401 with the token in its body": (Fault.status(401, body=ECHO), {}),
    "404 with the token in a header": (Fault.status(404, headers={"x-request-id": TOKEN}), {}),
    "429": (Fault.rate_limited(1), {}),
    "503 as HTML": (Fault.status(503, html=True), {}),
    "no JSON but the token": (Fault.body(TOKEN.encode()), {}),
    "the token in place of a number": (Fault.body(b'{"meta":{"total":"%b"}}' % TOKEN.encode()), {}),
    "the token as a name": (Fault.body(b'{"policies":{"%b":1}}' % TOKEN.encode()), {}),
    "a bad header with the token": (
        Fault.raw(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % TOKEN.encode()),
        {},
    ),
    "a bad header that is cut off in the token": (
        Fault.raw(b"HTTP/1.1 200 OK\r\nX Bad: %b%b\r\n\r\n" % (900 * b"x", TOKEN.encode())),
        {},
    ),
    "no answer": (Fault.hold("request"), {"timeout": 0.05}),
    "no body": (Fault.hold("body"), {"timeout": 0.05}),
    "reset before the answer": (Fault.drop("request"), {}),
    "closed in the headers": (Fault.drop("in_headers", reset=False), {}),
    "reset in the body": (Fault.drop("body"), {}),
    "too large": (Fault.gzip_bomb(100_000), {"max_response_bytes": 1000}),
    "redirect with the token": (Fault.redirect(f"https://elsewhere.test/{TOKEN}"), {}),
}


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A simulator in its own thread, which accepts the marked token."""
    with Simulator(Fleet.uniform(1, backups=3), token=TOKEN) as simulator:
        yield simulator


@pytest.fixture(autouse=True)
def all_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[None]:
    """The token is in the environment; every logger, and asyncio's debug mode, says all it can."""
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", TOKEN)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
    caplog.set_level(1)
    yield
    for record in caplog.get_records("call"):
        said = [record.getMessage(), repr(vars(record))]
        error = record.exc_info[1] if record.exc_info else None
        assert_secret(*said, *([] if error is None else shown(error)))


def assert_secret(*texts: str) -> None:
    """Fail, without showing it, where the token is in a text."""
    lines = [line for text in texts for line in text.splitlines() if MARK in line]
    assert not [line.replace(MARK, "<MARK>")[:300] for line in lines]


def shown(error: BaseException) -> Iterator[str]:
    """Give every form in which an error may come before somebody's eyes."""
    yield from (str(error), repr(error), repr(vars(error)), repr(error.args))
    with_locals = traceback.TracebackException.from_exception(error, capture_locals=True)
    yield "".join(with_locals.format())
    if isinstance(error, GradientError):
        pickled = pickle.dumps(error)
        yield pickled.decode("latin-1")
        yield repr(vars(pickle.loads(pickled)))


def shown_by_rich(error: BaseException) -> Iterator[str]:
    """Give the tracebacks that rich prints, with strings whole and with strings cut."""
    for longest in (10_000, 20):
        rich = Traceback.from_exception(
            type(error), error, error.__traceback__, show_locals=True, locals_max_string=longest
        )
        console = Console(file=io.StringIO(), width=300)
        with console.capture() as printed:
            console.print(rich)
        yield printed.get()


async def ending(call: Callable[[], Awaitable[object]]) -> BaseException:
    """Give what a call that must fail ends in."""
    try:
        await call()
    except (GradientError, asyncio.CancelledError) as error:
        return error
    raise AssertionError("it should have failed")


def client_of(kind: Kind, **options: Any) -> AnyClient:
    """Make a client; the token is that of the environment."""
    return AnyClient((AsyncGradient if kind == "async" else Gradient)(**options), kind)


@pytest.mark.parametrize("name", FAULTS)
async def test_no_error_shows_the_token(kind: Kind, simulator: Simulator, name: str) -> None:
    """No error or traceback with locals has the token, though the answer sends it back."""
    fault, options = FAULTS[name]
    simulator.faults.add(fault, times=None)
    async with client_of(kind, base_url=simulator.url, max_retries=0, **options) as client:
        for call in (lambda: client.backups.list(1), client.backups.list_policies):
            error = await ending(call)
            assert isinstance(error, GradientError)
            assert_secret(*shown(error))


@pytest.mark.parametrize("name", ["the token as a name", "no answer"])
async def test_no_pretty_traceback_shows_the_token(
    kind: Kind, simulator: Simulator, name: str
) -> None:
    """A traceback of rich, which looks into objects, does not show the token either."""
    fault, options = FAULTS[name]
    simulator.faults.add(fault, times=None)
    async with client_of(kind, base_url=simulator.url, max_retries=0, **options) as client:
        assert_secret(*shown_by_rich(await ending(lambda: client.backups.list(1))))


@pytest.mark.usefixtures("unknown_hosts")
@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "https://unknown.invalid"])
async def test_no_failed_connection_shows_the_token(kind: Kind, url: str) -> None:
    """The error of a server that cannot be reached does not show the token."""
    async with client_of(kind, base_url=url, max_retries=0) as client:
        error = await ending(lambda: client.backups.list(1))
        assert isinstance(error, APIConnectionError)
        assert_secret(*shown(error))


async def test_no_cancelled_request_shows_the_token(simulator: Simulator) -> None:
    """Wherever a request is cancelled, the frames that it was in show locals without it."""
    asyncio.get_running_loop().slow_callback_duration = 0.0  # so that each callback is logged
    async with AsyncGradient(base_url=simulator.url) as client:
        for turns in range(40):
            task = asyncio.ensure_future(client.gpu_droplets.backups.list(1))
            for _ in range(turns):
                await asyncio.sleep(0)
            assert_secret(repr(task))
            if task.cancel():
                assert_secret(*shown(await ending(partial(asyncio.wait_for, task, None))))


async def test_no_logger_says_the_token(
    kind: Kind, simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """With each callback of the loop logged, neither asyncio nor aiohttp logs the token."""
    asyncio.get_running_loop().slow_callback_duration = 0.0
    async with client_of(kind, base_url=simulator.url) as client:
        page = await client.backups.list(next(iter(simulator.fleet.droplets)))
    assert len(page.backups) == 3
    assert {record.name for record in caplog.records} >= {"asyncio"}


async def test_no_object_shows_the_token(kind: Kind) -> None:
    """While a request is under way, no object of ours or of aiohttp has the token in its repr."""
    modules = ("gradient_async", "aiohttp", "yarl", "asyncio", "_asyncio")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = client_of(kind, base_url=url)
        task = asyncio.ensure_future(ending(lambda: client.backups.list(1)))
        connection, _ = await asyncio.to_thread(silent.accept)
        received = await asyncio.to_thread(connection.recv, 65_536)
        things = list(map(repr, objects_of(modules)))
        assert len(things) > 50
        assert_secret(*things)
        connection.close()
        await client.close()
        await task
    assert TOKEN.encode() in received


def objects_of(modules: tuple[str, ...]) -> Iterator[object]:
    """Give the objects of classes of these modules, and their attributes, but for servers'."""
    servers = ("gradient_async.testing", "aiohttp.web")
    gc.collect()  # what earlier tests left
    for thing in gc.get_objects():
        module = str(type(thing).__module__)
        if module.startswith(modules) and not module.startswith(servers):
            yield thing
            yield getattr(thing, "__dict__", None)


@pytest.mark.parametrize("suffix", ["\nX-Evil: 1", "\u20ac"])
def test_no_refused_token_is_shown(
    kind: Kind, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that cannot be sent is not shown by the error that says so."""
    make = AsyncGradient if kind == "async" else Gradient
    monkeypatch.setenv("DIGITALOCEAN_ACCESS_TOKEN", TOKEN + suffix)
    for arguments in ((), (TOKEN + suffix,)):
        with pytest.raises(ConfigurationError) as caught:
            make(*arguments)
        del arguments  # it is in a frame of the test
        assert_secret(*shown(caught.value))


@pytest.mark.parametrize(
    "wrong",
    [
        {"access_token": TOKEN.encode()},
        {"access_token": [TOKEN]},
        {"access_token": TOKEN, "timeout": "5"},
        {"access_token": TOKEN, "max_retries": -1},
        {"access_token": TOKEN, "rate_limit": 5},
        {"access_token": TOKEN, "nonsense": 1},
    ],
    ids=", ".join,
)
@pytest.mark.parametrize("copied", [False, True])
def test_no_wrong_option_shows_the_token(kind: Kind, wrong: dict[str, Any], copied: bool) -> None:
    """What cannot be an option, be it the token itself, is refused without a look at the token."""
    make: Any = AsyncGradient if kind == "async" else Gradient
    make = make().copy if copied else make
    with pytest.raises((TypeError, ValueError)) as caught:
        make(**wrong)
    frames = traceback.walk_tb(caught.value.__traceback__)
    ours = [frame for frame, _ in frames if "gradient_async" in frame.f_code.co_filename]
    assert_secret(str(caught.value), *(repr(frame.f_locals) for frame in ours))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_takes_the_token_elsewhere(
    kind: Kind, simulator: Simulator, status: int
) -> None:
    """A redirect to another origin is an error, and nobody connects to there."""
    with Simulator(token=TOKEN) as elsewhere:
        simulator.faults.add(Fault.redirect(elsewhere.url, status), times=None)
        async with client_of(kind, base_url=simulator.url) as client:
            error = await ending(lambda: client.backups.list(1))
        assert isinstance(error, APIStatusError)
        assert elsewhere.connections == 0


async def test_no_link_takes_the_token_elsewhere(kind: Kind) -> None:
    """All pages are read, and no request goes where the links of the answers lead."""
    fleet = Fleet.uniform(1, backups=450)
    droplet_id = next(iter(fleet.droplets))
    with (
        Simulator(token=TOKEN) as elsewhere,
        Simulator(fleet, token=TOKEN, link_origin=elsewhere.url) as simulator,
    ):
        async with client_of(kind, base_url=simulator.url) as client:
            page = await client.backups.list(droplet_id)
            assert page.links is not None
            assert page.links.pages is not None
            assert str(page.links.pages.next).startswith(elsewhere.url)
            listing = client.real.gpu_droplets.backups.iter_backups(droplet_id)
            if kind == "async":
                count = len([backup async for backup in listing])
            else:
                count = len(await asyncio.to_thread(list, listing))
        assert count == 450
        assert elsewhere.connections == 0


async def test_no_redirect_takes_the_token_out_of_tls(kind: Kind) -> None:
    """A redirect from https to http is an error, though it is to the same host and port."""
    authority = trustme.CA()
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        port = writer.get_extra_info("sockname")[1]
        writer.write(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n")
        writer.write(b"Location: http://127.0.0.1:%d/v2\r\n\r\n" % port)
        await writer.drain()
        writer.close()

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting))

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=serving) as server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with client_of(kind, base_url=url, session=session) as client:
            error = await ending(lambda: client.backups.list(1))
    assert isinstance(error, APIStatusError)
    assert error.status_code == 302
    assert len(seen) == 1
    assert TOKEN.encode() in seen[0]


async def test_no_proxy_sees_the_token(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy is asked for a tunnel, and told nothing of what is to go through it."""
    async with (
        refusing_proxy(monkeypatch, b"502 Bad Gateway") as seen,
        client_of(kind, base_url="https://api.test", max_retries=0) as client,
    ):
        error = await ending(lambda: client.backups.list(1))
    assert isinstance(error, APIConnectionError)
    assert seen[0].startswith(b"CONNECT api.test:443")
    assert_secret(*(request.decode() for request in seen), *shown(error))


@pytest.mark.parametrize("fault", ["401 with the token in its body", "503 as HTML", "no answer"])
def test_the_command_line_does_not_show_the_token(
    simulator: Simulator, tmp_path: Path, fault: str
) -> None:
    """The command does not print the token, with --debug, debug mode and an answer that has it."""
    simulator.faults.add(FAULTS[fault][0], times=None)
    cli = Cli(simulator, tmp_path)
    ended = cli("backups", "1", "--debug", "--deadline", "1s", PYTHONASYNCIODEBUG="1")
    assert ended.code in (1, 3)
    assert_secret(ended.out, ended.err)
