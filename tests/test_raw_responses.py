"""Answers as they came: whole, or while their body is still to be read; for both clients."""

from __future__ import annotations

import asyncio
import copy
import gc
import json
import logging
import pickle
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, TypeAlias

import pytest
from async_helpers import assert_idle
from conftest import AnyClient, MakeClient

from gradient_async import AsyncGradient, errors
from gradient_async.testing import Fault, Fleet, Simulator
from gradient_async.types import (
    BackupListPoliciesResponse,
    BackupListResponse,
    BackupListSupportedPoliciesResponse,
    BackupRetrievePolicyResponse,
)

METHODS = {
    "list": BackupListResponse,
    "list_policies": BackupListPoliciesResponse,
    "list_supported_policies": BackupListSupportedPoliciesResponse,
    "retrieve_policy": BackupRetrievePolicyResponse,
}
Read: TypeAlias = Callable[[Any], Any]


def pickled(thing: object) -> object:
    """Pickle and unpickle something."""
    return pickle.loads(pickle.dumps(thing))


async def raw(client: AnyClient, method: str, *arguments: Any, **options: Any) -> Any:
    """Make a call through the raw view."""
    called = getattr(client.real.gpu_droplets.backups.with_raw_response, method)
    return await client.finish(lambda: called(*arguments, **options))


def arguments_of(method: str, droplet_id: int) -> tuple[int, ...]:
    """What a method has to be given."""
    return (droplet_id,) if method in ("list", "retrieve_policy") else ()


@pytest.mark.parametrize(("method", "answer"), METHODS.items())
async def test_raw_answer(
    client: AnyClient, droplet_id: int, method: str, answer: type[Any]
) -> None:
    """Every method has a raw twin, whose `parse` gives what the method itself gives."""
    arguments = arguments_of(method, droplet_id)
    response = await raw(client, method, *arguments)
    parsed = await client.finish(response.parse)
    assert isinstance(parsed, answer)
    assert parsed == await getattr(client.backups, method)(*arguments)


async def test_what_a_raw_answer_tells(
    make_client: MakeClient, simulator: Simulator, droplet_id: int, delays: list[float | None]
) -> None:
    """All about the answer that came, after how many tries, and nothing about the token."""
    simulator.faults.add(Fault.status(503), times=2)
    response = await raw(make_client(), "list", droplet_id, page=1, per_page=2)
    assert (response.status_code, response.method, response.retries_taken) == (200, "GET", 2)
    assert response.url == f"{simulator.url}/v2/droplets/{droplet_id}/backups?page=1&per_page=2"
    assert (response.http_request.method, response.http_request.url) == ("GET", response.url)
    assert response.headers["Content-Type"] == response.headers["content-type"]
    assert "json" in response.headers["content-type"]
    assert isinstance(response.elapsed, timedelta)
    assert response.elapsed > timedelta(0)
    assert response.request_id == response.headers["x-request-id"]
    assert response.json() == json.loads(response.text) == json.loads(response.content)
    assert len(response.json()["backups"]) == 2
    assert response.is_closed
    assert repr(response).endswith(f"Response 200 GET {response.url}>")
    assert simulator.token not in repr(response)
    assert len(delays) == 2


async def test_fields_that_no_class_knows(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """The raw answer has fields that no class knows."""
    simulator.faults.add(Fault.body(b'{"policy": {"droplet_id": 7, "colour": "blue"}}'))
    response = await raw(client, "retrieve_policy", droplet_id)
    assert response.json()["policy"]["colour"] == "blue"
    assert (await client.finish(response.parse)).policy.droplet_id == 7


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickled], ids=["", "deep", "pickled"])
async def test_copies_of_a_raw_answer(
    make_client: MakeClient, fleet: Fleet, droplet_id: int, copied: Callable[[Any], Any]
) -> None:
    """A copy, and one in another process, tells and parses the same; no pickle has the token."""
    token = "dop_v1_" + "c0ffee" * 10
    async with Simulator(fleet, token=token) as simulator:
        client = make_client(access_token=token, base_url=simulator.url)
        response = await raw(client, "list", droplet_id)
    other = copied(response)
    assert type(other) is type(response)
    assert (other.url, other.elapsed) == (response.url, response.elapsed)
    assert (other.headers, other.content) == (response.headers, response.content)
    assert other.headers["X-Request-ID"] == response.request_id
    assert await client.finish(other.parse) == await client.finish(response.parse)
    assert token.encode() not in pickle.dumps(response)


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b'{"backups": 7}'])
async def test_raw_answer_that_is_not_what_was_promised(
    client: AnyClient, simulator: Simulator, droplet_id: int, body: bytes
) -> None:
    """A raw answer of another shape is given as it came, and `parse` raises what is wrong."""
    simulator.faults.add(Fault.body(body))
    response = await raw(client, "list", droplet_id)
    assert response.content == body
    with pytest.raises(errors.APIResponseValidationError) as caught:
        await client.finish(response.parse)
    assert caught.value.droplet_id == droplet_id


async def test_raw_answer_with_invalid_json(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """`json` raises for a body that is no JSON as `parse` does, and its text can be read."""
    simulator.faults.add(Fault.body(b"<html>\xff"))
    response = await raw(client, "list", droplet_id)
    assert response.text == "<html>\N{REPLACEMENT CHARACTER}"
    with pytest.raises(errors.APIResponseValidationError, match="no valid JSON") as caught:
        response.json()
    assert (caught.value.droplet_id, caught.value.status_code) == (droplet_id, 200)


async def entered(client: AnyClient, droplet_id: int) -> bool:
    """Enter the streamed answer of either client."""
    answer = client.real.gpu_droplets.backups.with_streaming_response.list(droplet_id)
    if client.kind == "async":
        async with answer as response:
            return bool(response)

    def blocking() -> bool:
        with answer as response:
            return bool(response)

    return await asyncio.to_thread(blocking)


async def test_error_answer(client: AnyClient) -> None:
    """An error status is raised, as by the method itself."""
    with pytest.raises(errors.NotFoundError):
        await raw(client, "list", 404)
    with pytest.raises(errors.NotFoundError):
        await entered(client, 404)


# Streams, of the asynchronous client; those of the blocking one are in ``sync/test_responses.py``.


@pytest.mark.parametrize(("method", "answer"), METHODS.items())
async def test_streamed_answer(
    async_client: AsyncGradient, droplet_id: int, method: str, answer: type[Any]
) -> None:
    """Every method has a streamed twin, whose `parse` gives what the method itself gives."""
    arguments = arguments_of(method, droplet_id)
    backups = async_client.gpu_droplets.backups
    async with getattr(backups.with_streaming_response, method)(*arguments) as response:
        parsed = await response.parse()
        assert await response.parse() == parsed  # the body is kept
    assert isinstance(parsed, answer)
    assert parsed == await getattr(backups, method)(*arguments)


async def test_headers_come_before_the_body(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int
) -> None:
    """What the headers say can be read while the body is still on its way."""
    simulator.faults.add(Fault.hold("body"))
    streaming = async_client.gpu_droplets.backups.with_streaming_response
    async with streaming.list(droplet_id, per_page=3) as response:
        await simulator.wait_for(held=1)
        assert (response.status_code, response.method, response.retries_taken) == (200, "GET", 0)
        assert response.url.endswith(f"/v2/droplets/{droplet_id}/backups?per_page=3")
        assert response.http_request.url == response.url
        assert response.request_id == response.headers["X-Request-Id"]
        assert repr(response) == f"<AsyncStreamedResponse 200 GET {response.url}>"
        was_closed = response.is_closed
        simulator.release()
        content = await response.read()
        assert await response.read() is content
        assert (was_closed, response.is_closed) == (False, True)
    assert len(json.loads(content)["backups"]) == 3


async def test_pieces(async_client: AsyncGradient, droplet_id: int) -> None:
    """The pieces of a streamed answer, joined, are its body."""
    backups = async_client.gpu_droplets.backups
    async with backups.with_streaming_response.list(droplet_id) as response:
        content = b"".join([piece async for piece in response.iter_bytes()])
    assert content == (await backups.with_raw_response.list(droplet_id)).content


async def pieces_of(response: Any) -> list[bytes]:
    """Read a streamed answer piece by piece."""
    pieces: AsyncIterator[bytes] = response.iter_bytes()
    return [piece async for piece in pieces]


READS: dict[str, Read] = {
    "read": lambda response: response.read(),
    "parse": lambda response: response.parse(),
    "iter_bytes": pieces_of,
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize(
    "fault", [Fault.drop("body"), Fault.short_body(), Fault.broken_chunks()], ids=str
)
async def test_body_that_breaks_off(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int, read: Read, fault: Fault
) -> None:
    """A body that breaks off is an error of the package, and its connection is given back."""
    simulator.faults.add(fault)
    backups = async_client.gpu_droplets.backups
    async with backups.with_streaming_response.list(droplet_id) as response:
        with pytest.raises(errors.APIConnectionError, match="the connection failed") as caught:
            await read(response)
        assert caught.value.droplet_id == droplet_id
        assert response.is_closed
    assert (await backups.list(droplet_id)).backups


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_body_that_stalls(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int, read: Read
) -> None:
    """A body that stalls ends in a timeout, however it is read."""
    simulator.faults.add(Fault.hold("body"), times=None)
    streaming = async_client.gpu_droplets.backups.with_streaming_response
    async with streaming.list(droplet_id, timeout=0.5) as response:
        with pytest.raises(errors.APITimeoutError, match=r"no answer within 0\.5 s"):
            await read(response)
    await simulator.wait_for(lambda s: s.in_flight == 0)


async def test_left_with_a_part_unread(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int
) -> None:
    """A streamed answer that is left with a part unread costs its connection, and no other."""
    simulator.faults.add(Fault.hold("body"))
    backups = async_client.gpu_droplets.backups
    async with backups.with_streaming_response.list(droplet_id):
        pass
    await simulator.wait_for(lambda s: s.open_connections == 0)
    assert (await backups.list(droplet_id)).backups
    assert simulator.connections == 2


SPLIT: dict[str, Fault | None] = {
    "arrived with the headers": None,
    "still on its way": Fault.drip(chunk=500, interval=0.001),
}


@pytest.mark.parametrize("fault", SPLIT.values(), ids=SPLIT)
async def test_pieces_after_reading(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int, fault: Fault | None
) -> None:
    """What `read` gave can be had in pieces, and parsed, after the block, too."""
    if fault:
        simulator.faults.add(fault)
    streaming = async_client.gpu_droplets.backups.with_streaming_response
    async with streaming.list(droplet_id) as response:
        content = await response.read()
        assert await pieces_of(response) == [content]
    assert await pieces_of(response) == [content]
    assert await response.read() is content
    assert (await response.parse()).backups


@pytest.mark.parametrize("fault", SPLIT.values(), ids=SPLIT)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
@pytest.mark.parametrize("whole", [True, False])
async def test_reading_after_pieces(
    async_client: AsyncGradient,
    simulator: Simulator,
    droplet_id: int,
    fault: Fault | None,
    read: Read,
    whole: bool,
) -> None:
    """Reading a body again that was given in pieces is an error that says so."""
    if fault:
        simulator.faults.add(fault)
    streaming = async_client.gpu_droplets.backups.with_streaming_response
    async with streaming.list(droplet_id) as response:
        pieces = response.iter_bytes()
        assert await anext(pieces)
        if whole:
            assert all([piece async for piece in pieces])
        with pytest.raises(RuntimeError, match="was already read"):
            await read(response)


@pytest.mark.parametrize("fault", SPLIT.values(), ids=SPLIT)
@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_reading_after_the_block(
    async_client: AsyncGradient,
    simulator: Simulator,
    droplet_id: int,
    fault: Fault | None,
    read: Read,
) -> None:
    """A streamed body can be read inside its block only, also when it came with the headers."""
    streaming = async_client.gpu_droplets.backups.with_streaming_response
    if fault:
        simulator.faults.add(fault, times=2)
    async with streaming.list(droplet_id) as response:
        pass
    with pytest.raises(RuntimeError, match="block of this answer was left before"):
        await read(response)
    async with streaming.list(droplet_id) as response:
        pieces = response.iter_bytes()
        assert await anext(pieces)
    with pytest.raises(RuntimeError, match="block of this answer was left while"):
        await anext(pieces)


async def test_too_large_a_body(simulator: Simulator, droplet_id: int) -> None:
    """`read` and `parse` keep to the bound on an answer; `iter_bytes` leaves it to the reader."""
    options: dict[str, Any] = {"base_url": simulator.url, "max_response_bytes": 100}
    async with AsyncGradient(simulator.token, **options) as client:
        streaming = client.gpu_droplets.backups.with_streaming_response
        for read in (READS["read"], READS["parse"]):
            async with streaming.list(droplet_id) as response:
                with pytest.raises(errors.APIResponseValidationError, match="more than 100 bytes"):
                    await read(response)
        async with streaming.list(droplet_id) as response:
            assert len(b"".join(await pieces_of(response))) > 100


async def test_a_block_is_entered_once(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int
) -> None:
    """Each ``async with`` takes a request of its own: what was entered once is used up."""
    request = async_client.gpu_droplets.backups.with_streaming_response.list(droplet_id)
    entering = [asyncio.ensure_future(request.__aenter__()) for _ in range(2)]
    with pytest.raises(RuntimeError, match="sent already: ask for a new one"):
        await entering[1]
    await entering[0]
    await request.__aexit__(None, None, None)
    await request.__aexit__(None, None, None)
    await assert_idle(async_client, simulator)
    not_entered = async_client.gpu_droplets.backups.with_streaming_response.list(droplet_id)
    await not_entered.__aexit__(None, None, None)


async def test_a_block_that_is_never_left(
    async_client: AsyncGradient, simulator: Simulator, droplet_id: int
) -> None:
    """What was dropped before its block was left gives its connection back."""
    simulator.faults.add(Fault.hold("body"))
    streaming = async_client.gpu_droplets.backups.with_streaming_response
    await streaming.list(droplet_id).__aenter__()
    gc.collect()
    await assert_idle(async_client, simulator)
    assert simulator.cancelled == 1


async def test_a_failing_log_keeps_no_connection(
    async_client: AsyncGradient,
    simulator: Simulator,
    droplet_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where the log of a program fails, the answer that it was told of is closed."""

    def fail(_: logging.LogRecord) -> bool:
        raise OSError("the log is gone")

    logger = logging.getLogger("gradient_async")
    monkeypatch.setattr(logger, "filters", [fail])
    monkeypatch.setattr(logger, "level", logging.DEBUG)
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    streaming = async_client.gpu_droplets.backups.with_streaming_response
    with pytest.raises(OSError, match="the log is gone"):
        await streaming.list(droplet_id).__aenter__()
    logger.manager._clear_cache()  # type: ignore[attr-defined]
    await assert_idle(async_client, simulator)


def test_a_loop_that_ends_in_the_middle_of_a_body(
    caplog: pytest.LogCaptureFixture, fleet: Fleet, droplet_id: int
) -> None:
    """A generator of the user's that is inside a block is closed by its loop without a word."""

    async def pieces() -> AsyncIterator[bytes]:
        async with streaming.list(droplet_id) as response:
            async for piece in response.iter_bytes():
                yield piece

    async def read_one() -> AsyncIterator[bytes]:
        half_read = pieces()
        assert await anext(half_read)
        return half_read

    with Simulator(fleet) as simulator:
        client = AsyncGradient(simulator.token, base_url=simulator.url)
        streaming = client.gpu_droplets.backups.with_streaming_response
        asyncio.run(read_one())
        simulator.wait_for_sync(lambda simulator: simulator.open_connections == 0)
    assert [record for record in caplog.records if record.name == "asyncio"] == []
