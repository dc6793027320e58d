"""Host names: where they are looked up, and who has to wait for that."""

from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Any

import pytest
from aiohttp.abc import ResolveResult

from gradient_async import APITimeoutError, AsyncGradient, Gradient
from gradient_async._resolver import Resolver, _look_up
from gradient_async.testing import Simulator

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))


def addresses(host: str, port: int = 80) -> list[ResolveResult]:
    """Look a name up on a loop of its own."""
    return asyncio.run(Resolver().resolve(host, port, socket.AF_UNSPEC))


@pytest.mark.parametrize(("host", "flags"), [("api.test", socket.AI_ADDRCONFIG), ("localhost", 0)])
def test_addresses_of_a_name(monkeypatch: pytest.MonkeyPatch, host: str, flags: int) -> None:
    """The system is asked once, for TCP; the answer is what aiohttp needs to connect."""
    asked: list[tuple[Any, ...]] = []

    def getaddrinfo(*args: Any, **kwargs: Any) -> Any:
        asked.append((*args, kwargs))
        return [ADDRESS]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert addresses(host) == [
        {
            "hostname": host,
            "host": "127.0.0.1",
            "port": 80,
            "family": socket.AF_INET,
            "proto": socket.IPPROTO_TCP,
            "flags": socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
        }
    ]
    assert asked == [(host, 80, socket.AF_UNSPEC, socket.SOCK_STREAM, {"flags": flags})]


def test_name_of_this_machine() -> None:
    """What the system itself says of ``localhost`` is loopback."""
    found = addresses("localhost")
    assert {each["host"] for each in found} <= {"127.0.0.1", "::1"}
    assert found


@pytest.mark.parametrize(
    ("address", "hosts"),
    [(("fe80::1", 80, 0, 1), 1), ((10, b"\0" * 28), 0)],
    ids=["with a zone", "on a Python without IPv6"],
)
def test_addresses_of_version_6(
    monkeypatch: pytest.MonkeyPatch, address: tuple[Any, ...], hosts: int
) -> None:
    """A local address keeps the zone without which it means nothing; raw ones are left out."""
    found = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", address)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [found])
    local = addresses("printer.test")
    assert [each["host"].startswith("fe80::1%") for each in local] == [True] * hosts


@pytest.mark.usefixtures("unknown_hosts")
def test_name_without_an_address() -> None:
    """What the system says of an unknown name is raised where the name was asked for, alone."""
    with pytest.raises(socket.gaierror, match="not known") as caught:
        addresses("no-such-host.invalid")
    assert caught.value.__context__ is None


@pytest.mark.parametrize("host", ["api..test", f"{'a' * 64}.test"])
def test_name_that_is_none(host: str) -> None:
    """A name that cannot be asked for is an error of the same kind."""
    with pytest.raises(socket.gaierror, match="label"):
        addresses(host)


def no_more_threads(_: threading.Thread) -> None:
    """Stand in for the start of a thread."""
    raise RuntimeError("can't start new thread")


def test_lookup_when_the_main_thread_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the interpreter starts no more threads, as it ends, the loop itself looks names up."""
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    monkeypatch.setattr(threading.Thread, "is_alive", lambda _: False)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [ADDRESS])
    assert [each["host"] for each in addresses("api.test")] == ["127.0.0.1"]


def test_lookup_where_there_are_too_many_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that gives no more threads is an error, and the loop is not held up."""
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    with pytest.raises(socket.gaierror, match="can't start new thread"):
        addresses("api.test")


async def test_calls_at_once_look_up_once(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to one host share one lookup."""
    names: list[str] = []

    def getaddrinfo(host: str, port: int, *_: Any, **__: Any) -> Any:
        names.append(host)
        return [(*ADDRESS[:4], ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    url = simulator.url.replace("127.0.0.1", "localhost")
    async with AsyncGradient(simulator.token, base_url=url) as client:
        await asyncio.gather(*(client.gpu_droplets.list() for _ in range(20)))
    assert names == ["localhost"]


@pytest.fixture
def hanging_lookup(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """A lookup that hangs until the event is set."""
    answered = threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        answered.wait()
        return [ADDRESS]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return answered


def test_nobody_waits_for_a_lookup_that_hangs(hanging_lookup: threading.Event) -> None:
    """The call ends in its time, and the client closes with its thread while the lookup hangs."""
    client = Gradient("token", base_url="https://hangs.test", timeout=0.05, max_retries=0)
    with pytest.raises(APITimeoutError):
        client.gpu_droplets.list()
    client.close()
    threads = {thread.name: thread for thread in threading.enumerate()}
    assert "gradient-async" not in threads
    assert threads["gradient-async-dns"].daemon  # so that the program does not wait either
    hanging_lookup.set()


async def test_answer_that_comes_too_late(
    hanging_lookup: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """A lookup that ends when nobody asks for it any more is forgotten in silence."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    lookup = asyncio.ensure_future(Resolver().resolve("hangs.test"))
    await asyncio.sleep(0)
    [thread] = [each for each in threading.enumerate() if each.name == "gradient-async-dns"]
    lookup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lookup
    hanging_lookup.set()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)  # for what the thread has left to the loop
    assert (complaints, caplog.messages) == ([], [])


def test_lookup_that_is_given_up_before_it_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lookup whose caller has gone is not begun."""
    monkeypatch.setattr(socket, "getaddrinfo", pytest.fail)
    lookup: Future[list[ResolveResult]] = Future()
    lookup.cancel()
    _look_up(lookup, "api.test", 80, socket.AF_UNSPEC)
    assert lookup.cancelled()
