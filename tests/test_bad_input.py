"""What users and servers get wrong: refused before it is sent, or reported with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import AnyClient
from hypothesis import given
from hypothesis import strategies as st
from strategies import ANSWERS, Answer, answer_classes, damaged, encoded, json_values

from gradient_async._config import AccessToken
from gradient_async._http import Endpoint, Response
from gradient_async._transport import decoded
from gradient_async.errors import APIResponseValidationError
from gradient_async.testing import Fault, Simulator
from gradient_async.types import BackupListPoliciesResponse, BackupListResponse
from gradient_async.types._model import Model

pytestmark = pytest.mark.usefixtures("fresh_converter")

TOKEN = AccessToken("token-of-this-test")
HTML = b"<html>\n <body>Please log in</body>\n</html>"


@pytest.mark.parametrize("value", [True, False, "1", "1/../../account/keys?x=", 1.0, None, b"1"])
async def test_droplet_id_of_another_type(
    client: AnyClient, simulator: Simulator, value: Any
) -> None:
    """A Droplet ID that is not an ``int`` is a `TypeError` that names it; nothing is sent."""
    for call in (client.backups.list, client.backups.retrieve_policy):
        with pytest.raises(TypeError, match="droplet_id must be an int, got") as caught:
            await call(value)
        assert repr(value) in str(caught.value)
    assert simulator.connections == 0


@pytest.mark.parametrize("value", [0, -1])
async def test_droplet_id_out_of_range(client: AnyClient, simulator: Simulator, value: int) -> None:
    """A Droplet ID below one is a `ValueError` that names it; nothing is sent."""
    for call in (client.backups.list, client.backups.retrieve_policy):
        with pytest.raises(ValueError, match=f"droplet_id must be at least 1, got {value}"):
            await call(value)
    assert simulator.connections == 0


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        ({"page": 0}, ValueError, "page must be at least 1, got 0"),
        ({"page": -1}, ValueError, "page must be at least 1, got -1"),
        ({"page": "1"}, TypeError, "page must be an int, got '1'"),
        ({"page": True}, TypeError, "page must be an int, got True"),
        ({"per_page": 0}, ValueError, "per_page must be between 1 and 200, got 0"),
        ({"per_page": 201}, ValueError, "per_page must be between 1 and 200, got 201"),
        ({"per_page": 20.0}, TypeError, r"per_page must be an int, got 20\.0"),
    ],
)
async def test_paging_out_of_range(
    client: AnyClient,
    simulator: Simulator,
    query: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    """A page that cannot be is refused by name and value; nothing is sent."""
    with pytest.raises(error, match=message):
        await client.backups.list(1, **query)
    with pytest.raises(error, match=message):
        await client.backups.list_policies(**query)
    assert simulator.connections == 0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": 0}, ValueError),
        ({"timeout": float("inf")}, ValueError),
        ({"timeout": "1"}, TypeError),
        ({"max_retries": -1}, ValueError),
        ({"max_retries": None}, TypeError),
        ({"max_rate_limit_wait": -1}, ValueError),
        ({"max_rate_limit_wait": "1"}, TypeError),
    ],
)
async def test_options_of_a_call_are_checked(
    client: AnyClient, simulator: Simulator, options: dict[str, Any], error: type[Exception]
) -> None:
    """A keyword of a call is checked like that of a client; nothing is sent."""
    with pytest.raises(error, match=next(iter(options))):
        await client.backups.list(1, **options)
    assert simulator.connections == 0


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "\x00"])
async def test_header_with_a_line_break(
    client: AnyClient, simulator: Simulator, droplet_id: int, value: str
) -> None:
    """A header cannot smuggle in another one; the client is as good as before."""
    for _ in range(3):
        with pytest.raises(ValueError, match="header"):
            await client.backups.list(droplet_id, extra_headers={"X-Team": value})
    assert simulator.received == 0
    assert (await client.backups.list(droplet_id)).backups


@pytest.mark.parametrize(
    ("body", "path", "problem"),
    [
        (HTML, "$", "no valid JSON"),
        (b"", "$", "no valid JSON"),
        (b'{"meta": {"total": 1}, "backups": [{"id"', "$", "no valid JSON"),
        (b"[]", "$", "expected an object, got an array"),
        (b"null", "$", "expected an object, got null"),
        (b'{"links": {}}', "$.meta", "required field missing"),
        (b'{"meta": {"total": 1}, "backups": {}}', "$.backups", "expected an array"),
        (b'{"meta": {"total": "1"}}', "$.meta.total", "expected an integer, got a string"),
        (b"\x80\xff", "$", "no valid JSON"),
    ],
)
async def test_answer_that_is_not_as_promised(
    client: AnyClient,
    simulator: Simulator,
    droplet_id: int,
    body: bytes,
    path: str,
    problem: str,
) -> None:
    """A 200 with an odd body is an error with status, path, excerpt and advice, and no retry."""
    simulator.faults.add(Fault.body(body, content_type="text/html"))
    with pytest.raises(APIResponseValidationError, match=problem) as caught:
        await client.backups.list(droplet_id)
    error = caught.value
    assert error.path == path
    assert error.status_code == 200
    assert error.message.startswith("200 with an unexpected body: ")
    assert f"at {path} in " in error.message
    excerpt = " ".join(body.decode("utf-8", "replace").split())
    assert repr(excerpt) in error.message
    assert "is `base_url` another server?" in str(error)
    assert error.droplet_id == droplet_id
    assert error.request_id == simulator.requests[0].request_id
    assert error.response is not None
    assert error.response.content == body
    assert simulator.received == 1


async def test_html_is_kept_as_text(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """The page of a proxy is no response and no ``str`` in its place, but the error's body."""
    simulator.faults.add(Fault.body(HTML))
    with pytest.raises(APIResponseValidationError) as caught:
        await client.backups.list(droplet_id)
    assert caught.value.body == HTML.decode()


async def test_empty_answer(client: AnyClient, simulator: Simulator, droplet_id: int) -> None:
    """204 without a body is no answer to any of these questions."""
    simulator.faults.add(Fault.status(204, b""))
    with pytest.raises(APIResponseValidationError, match="204 with an unexpected body") as caught:
        await client.backups.list(droplet_id)
    assert caught.value.body is None


@pytest.mark.parametrize("fault", [Fault.nested(), Fault.nested(opening=b'{"a":')])
async def test_nested_answer(
    client: AnyClient, simulator: Simulator, droplet_id: int, fault: Fault
) -> None:
    """JSON that is nested without end is refused and ends nothing but the call."""
    simulator.faults.add(fault)
    with pytest.raises(APIResponseValidationError, match=r"no valid JSON|nested too deeply"):
        await client.backups.list(droplet_id)
    assert (await client.backups.list(droplet_id)).backups


async def test_content_type_does_not_matter(
    client: AnyClient, simulator: Simulator, droplet_id: int
) -> None:
    """What counts is the body: a server that mislabels its JSON is understood."""
    body = json.dumps({"meta": {"total": 0}, "backups": []}).encode()
    for content_type in ("text/plain", "application/octet-stream", "nonsense", ""):
        simulator.faults.add(Fault.body(body, content_type=content_type))
        assert (await client.backups.list(droplet_id)).meta.total == 0


def outcome(cls: type[Model], content: bytes) -> Model | APIResponseValidationError:
    """Decode a body as the client does, and give the error if it is one."""
    response = Response("GET", "https://h.test/v2/x", 200, {}, content)
    try:
        return decoded(Endpoint(cls, "/v2/x", droplet_id=7), response, TOKEN)
    except APIResponseValidationError as error:
        return error


def check(result: object, cls: type[Model]) -> None:
    """See that a result is a typed answer, or an error that says where and what."""
    if isinstance(result, APIResponseValidationError):
        assert result.path.startswith("$")
        assert (result.status_code, result.droplet_id) == (200, 7)
        assert str(result)
    else:
        assert isinstance(result, cls)


@given(answer_classes, json_values)
def test_any_json_is_an_answer_or_an_error(cls: type[Model], value: Any) -> None:
    """Any JSON at all gives a typed response or `APIResponseValidationError`."""
    check(outcome(cls, encoded(value)), cls)


@given(damaged())
def test_damaged_answer_is_an_answer_or_an_error(answer: Answer) -> None:
    """An answer with one odd value gives a typed response or `APIResponseValidationError`."""
    cls, payload = answer
    check(outcome(cls, encoded(payload)), cls)


@given(answer_classes, st.binary(max_size=200))
def test_any_bytes_are_an_answer_or_an_error(cls: type[Model], content: bytes) -> None:
    """Any bytes at all give a typed response or `APIResponseValidationError`."""
    check(outcome(cls, content), cls)


@pytest.mark.parametrize(
    ("cls", "content"),
    [
        *((cls, b'"token-of-this-test"') for cls in ANSWERS),
        (BackupListPoliciesResponse, b'{"policies": {"token-of-this-test": 1}, "meta": {}}'),
        (BackupListResponse, b'{"meta": {}, "backups": [{"created_at": "token-of-this-test"}]}'),
        (BackupListResponse, b"<p>token-of-this-test</p>"),
    ],
)
def test_token_in_a_body_is_masked(cls: type[Model], content: bytes) -> None:
    """A server that sends the token back does not get it into an error, not by a key either."""
    error = outcome(cls, content)
    assert isinstance(error, APIResponseValidationError)
    assert "***" in str(error)
    assert "token-of-this-test" not in f"{error!s}{error!r}{vars(error)}"


@pytest.mark.parametrize("method", ["list_many", "list_fleet"])
@pytest.mark.parametrize(
    ("deadline", "error"),
    [("5", TypeError), (True, TypeError), (-1, ValueError), (float("nan"), ValueError)],
)
async def test_deadline(
    client: AnyClient,
    simulator: Simulator,
    method: str,
    deadline: Any,
    error: type[Exception],
) -> None:
    """A deadline that is not a number of seconds is refused by the call itself."""
    arguments = ([1],) if method == "list_many" else ()
    with pytest.raises(error, match="deadline must be"):
        getattr(client.real.gpu_droplets.backups, method)(*arguments, deadline=deadline)
    assert simulator.received == 0
