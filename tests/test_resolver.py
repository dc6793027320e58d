"""Host names: where they are looked up, and who has to wait for that."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import pytest

from gradient_async import APITimeoutError, AsyncGradient, Gradient
from gradient_async._resolver import Resolver
from gradient_async.testing import Simulator

ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))


def test_addresses_of_a_name() -> None:
    """Each address of a host is given with the port that was asked for."""
    found = asyncio.run(Resolver().resolve("localhost", 80, socket.AF_UNSPEC))
    assert {each["host"] for each in found} <= {"127.0.0.1", "::1"}
    assert {(each["hostname"], each["port"]) for each in found} == {("localhost", 80)}


def test_zone_of_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of a local network keeps the zone without which it means nothing."""
    local = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("fe80::1", 80, 0, 1))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [local])
    [found] = asyncio.run(Resolver().resolve("printer.test", 80, socket.AF_UNSPEC))
    assert found["host"].startswith("fe80::1%")
    assert found["family"] == socket.AF_INET6


@pytest.mark.usefixtures("unknown_hosts")
def test_name_without_an_address() -> None:
    """What the system says of an unknown name is raised where the name was asked for."""
    with pytest.raises(socket.gaierror, match="not known"):
        asyncio.run(Resolver().resolve("no-such-host.invalid"))


def test_name_of_the_machine_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where only the addresses of configured networks find nothing, all are asked for."""

    def getaddrinfo(*_: Any, flags: int = 0, **__: Any) -> Any:
        if flags:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [ADDRESS]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    [found] = asyncio.run(Resolver().resolve("localhost", 80))
    assert found["host"] == "127.0.0.1"


def test_lookup_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started any more, the loop itself looks the name up."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [ADDRESS])
    [found] = asyncio.run(Resolver().resolve("localhost", 80))
    assert found["host"] == "127.0.0.1"


async def test_calls_at_once_look_up_once(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls to one host share one lookup."""
    names: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> Any:
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
    names = [thread.name for thread in threading.enumerate()]
    assert "gradient-async" not in names
    assert "gradient-async-dns" in names
    hanging_lookup.set()


async def test_answer_that_comes_too_late(hanging_lookup: threading.Event) -> None:
    """A lookup that ends when nobody asks for it any more is forgotten in silence."""
    lookup = asyncio.ensure_future(Resolver().resolve("hangs.test"))
    await asyncio.sleep(0)
    [thread] = [each for each in threading.enumerate() if each.name == "gradient-async-dns"]
    lookup.cancel()
    with pytest.raises(asyncio.CancelledError):
        await lookup
    hanging_lookup.set()
    await asyncio.to_thread(thread.join)
    assert lookup.cancelled()
