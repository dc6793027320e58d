"""The raw and the streamed answers of the blocking client."""

from __future__ import annotations

import gc
import json

import pytest

from gradient_async import (
    APIConnectionError,
    APIResponse,
    APIResponseValidationError,
    APITimeoutError,
    Gradient,
    NotFoundError,
    StreamedResponse,
)
from gradient_async.testing import Fault, Fleet, Simulator
from gradient_async.types import BackupListResponse

from .helpers import Clients

WRONG = b'{"backups": 7, "meta": {"total": 1}}'


@pytest.fixture
def large(fleet: Fleet) -> int:
    """A Droplet whose whole first page is large."""
    return next(droplet.id for droplet in fleet.droplets.values() if len(droplet.backups) > 200)


def test_raw_answer(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """A raw answer is parsed without an ``await`` and without another request."""
    answer = client.gpu_droplets.backups.with_raw_response.list(droplet_id)
    assert isinstance(answer, APIResponse)
    page = answer.parse()
    assert isinstance(page, BackupListResponse)
    assert page == client.gpu_droplets.backups.list(droplet_id)
    assert (answer.status_code, answer.method, answer.retries_taken) == (200, "GET", 0)
    assert answer.url == f"{simulator.url}/v2/droplets/{droplet_id}/backups"
    assert answer.json() == json.loads(answer.text) == json.loads(answer.content)
    assert simulator.received == 2


@pytest.mark.parametrize(
    "name", ["list", "retrieve_policy", "list_policies", "list_supported_policies"]
)
def test_three_ways(client: Gradient, droplet_id: int, name: str) -> None:
    """The plain, the raw and the streamed way give the same answer, for each method."""
    arguments = (droplet_id,) if name in ("list", "retrieve_policy") else ()
    backups = client.gpu_droplets.backups
    plain = getattr(backups, name)(*arguments)
    assert getattr(backups.with_raw_response, name)(*arguments).parse() == plain
    with getattr(backups.with_streaming_response, name)(*arguments) as response:
        assert response.parse() == plain


def test_streamed_answer(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """A streamed answer has its headers before its body, and gives its connection back."""
    simulator.faults.add(Fault.hold("body"))
    with client.gpu_droplets.backups.with_streaming_response.list(droplet_id) as response:
        assert isinstance(response, StreamedResponse)
        simulator.wait_for_sync(held=1)
        assert response.status_code == 200
        was_closed = response.is_closed
        simulator.release()
        page = response.parse()
        assert response.read() == response.read()
    assert (was_closed, response.is_closed) == (False, True)
    assert page == client.gpu_droplets.backups.list(droplet_id)
    assert simulator.connections == 1


def test_a_streamed_answer_tells_what_the_raw_one_tells(
    client: Gradient, simulator: Simulator, droplet_id: int
) -> None:
    """A streamed answer has status, headers, request and number of tries before its body."""
    names = ("status_code", "method", "url", "http_request", "retries_taken")
    raw = client.gpu_droplets.backups.with_raw_response.list(droplet_id)
    with client.gpu_droplets.backups.with_streaming_response.list(droplet_id) as streamed:
        told = {name: getattr(streamed, name) for name in names}
        assert streamed.headers["content-type"] == raw.headers["Content-Type"]
        assert repr(streamed) == f"<StreamedResponse 200 GET {raw.url}>"
        assert streamed.request_id == simulator.requests[-1].request_id
    assert told == {name: getattr(raw, name) for name in names}


def test_bytes_as_they_arrive(client: Gradient, simulator: Simulator, large: int) -> None:
    """``iter_bytes`` gives what has arrived, before the rest of the body is there."""
    simulator.faults.add(Fault.hold("body"))
    with client.gpu_droplets.backups.with_streaming_response.list(large, per_page=200) as response:
        pieces = response.iter_bytes()
        received = next(pieces)
        simulator.wait_for_sync(held=1)
        simulator.release()
        received += b"".join(pieces)
    assert len(json.loads(received)["backups"]) == 200
    client.gpu_droplets.backups.list(large)
    assert simulator.connections == 1


def test_left_early(client: Gradient, simulator: Simulator, large: int) -> None:
    """Leaving a streamed answer with a part of its body unread drops that connection only."""
    streaming = client.gpu_droplets.backups.with_streaming_response
    for _ in range(3):
        simulator.faults.add(Fault.hold("body"))
        with streaming.list(large, per_page=200) as response:
            for piece in response.iter_bytes():
                assert piece
                break
    simulator.wait_for_sync(cancelled=3)
    simulator.wait_for_sync(lambda simulator: simulator.open_connections == 0)
    assert client.gpu_droplets.backups.list(large).backups


def test_read_and_pieces(client: Gradient, droplet_id: int) -> None:
    """What was read can be had in pieces; what was given in pieces, or left, cannot be read."""
    streaming = client.gpu_droplets.backups.with_streaming_response
    with streaming.list(droplet_id) as response:
        content = response.read()
        assert list(response.iter_bytes()) == [content]
    with streaming.list(droplet_id) as response:
        assert b"".join(response.iter_bytes()) == content
        for again in (response.read, response.parse, lambda: list(response.iter_bytes())):
            with pytest.raises(RuntimeError, match="was already read"):
                again()
    with streaming.list(droplet_id) as response:
        pass
    for late in (response.read, response.parse, lambda: list(response.iter_bytes())):
        with pytest.raises(RuntimeError, match="was left before"):
            late()


def test_error_in_the_block(client: Gradient, simulator: Simulator, large: int) -> None:
    """An exception in the block is raised as it is, and the connection is dropped."""
    simulator.faults.add(Fault.hold("body"))
    streaming = client.gpu_droplets.backups.with_streaming_response
    with pytest.raises(ZeroDivisionError), streaming.list(large):
        _ = 1 / 0
    simulator.wait_for_sync(cancelled=1)


def test_never_left(client: Gradient, simulator: Simulator, large: int) -> None:
    """A streamed answer that is dropped inside its block holds nothing any more."""
    simulator.faults.add(Fault.hold("body"))
    manager = client.gpu_droplets.backups.with_streaming_response.list(large)
    response = manager.__enter__()
    assert next(response.iter_bytes())
    del manager, response
    gc.collect()
    simulator.wait_for_sync(cancelled=1)
    assert client.gpu_droplets.backups.list(large).backups


@pytest.mark.parametrize("read", ["read", "parse", "iter_bytes"])
@pytest.mark.parametrize(
    "fault", [Fault.drop("body"), Fault.short_body(), Fault.broken_chunks()], ids=repr
)
def test_broken_body(
    client: Gradient, simulator: Simulator, droplet_id: int, read: str, fault: Fault
) -> None:
    """A body that breaks off ends in an error of the package, however it is read."""
    simulator.faults.add(fault)
    with client.gpu_droplets.backups.with_streaming_response.list(droplet_id) as response:
        with pytest.raises(APIConnectionError, match="the connection failed") as caught:
            list(response.iter_bytes()) if read == "iter_bytes" else getattr(response, read)()
        assert caught.value.droplet_id == droplet_id
        assert response.is_closed
    assert client.gpu_droplets.backups.list(droplet_id).backups


@pytest.mark.parametrize("read", ["read", "parse", "iter_bytes"])
def test_stalled_body(clients: Clients, simulator: Simulator, droplet_id: int, read: str) -> None:
    """A body that stalls ends in a timeout, however it is read."""
    client = clients.make(timeout=0.5, max_retries=0)
    simulator.faults.add(Fault.hold("body"))
    with client.gpu_droplets.backups.with_streaming_response.list(droplet_id) as response:
        with pytest.raises(APITimeoutError, match=r"no answer within 0\.5 s"):
            list(response.iter_bytes()) if read == "iter_bytes" else getattr(response, read)()
        assert response.is_closed
    simulator.wait_for_sync(cancelled=1)


def test_wrong_body(client: Gradient, simulator: Simulator, droplet_id: int) -> None:
    """A body that is not what was promised can be read, and not parsed."""
    simulator.faults.add(Fault.body(WRONG), times=2)
    raw = client.gpu_droplets.backups.with_raw_response.list(droplet_id)
    assert raw.json() == {"backups": 7, "meta": {"total": 1}}
    with pytest.raises(APIResponseValidationError, match=r"\$\.backups"):
        raw.parse()
    with client.gpu_droplets.backups.with_streaming_response.list(droplet_id) as response:
        assert response.read() == WRONG
        with pytest.raises(APIResponseValidationError, match=r"\$\.backups"):
            response.parse()


def test_error_instead_of_a_stream(client: Gradient, simulator: Simulator) -> None:
    """An answer that is an error is raised on entering, and nothing is held."""
    manager = client.gpu_droplets.backups.with_streaming_response.list(404)
    with pytest.raises(NotFoundError):
        manager.__enter__()
    simulator.wait_for_sync(lambda simulator: simulator.in_flight == 0)


def test_arguments_are_checked_at_once(client: Gradient, simulator: Simulator) -> None:
    """A wrong argument is an error of the call itself, in all three ways; nothing is sent."""
    backups = client.gpu_droplets.backups
    for view in (backups, backups.with_raw_response, backups.with_streaming_response):
        with pytest.raises(TypeError, match="droplet_id"):
            view.list("3164444")  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
    assert simulator.received == 0
