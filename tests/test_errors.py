"""The error tree: who is whose kind, what the messages say, and that errors travel."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context

import pytest

from gradient_async import errors
from gradient_async._http import RateLimitHeaders, Response, status_error, validation_error
from gradient_async.errors import FailedResponse, RequestLine

VALUES = {"FailedResponse", "RequestLine"}
"""What the module exports that cannot be raised."""

REQUEST = RequestLine("GET", "https://api.test/v2/droplets/7/backups")
RESPONSE = FailedResponse(404, {"x-request-id": "r1"}, b"{}", REQUEST.url, "GET")
RESET_AT = datetime(2026, 9, 1, tzinfo=UTC)


def answer(status: int, content: bytes = b"", **headers: str) -> Response:
    """Make an answer with an error status."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response("GET", REQUEST.url, status, named, content, retries_taken=2)


def error_for(status: int, content: bytes = b"", **headers: str) -> errors.APIStatusError:
    """Give the error that an answer is."""
    response = answer(status, content, **headers)
    return status_error(response, RateLimitHeaders(response.headers, 1_000.0), 7)


EVERY_ERROR: list[errors.GradientError] = [
    errors.GradientError("any"),
    errors.ConfigurationError("no token"),
    errors.DeadlineExceededError(deadline=2.5, missing=(1, 2, 3)),
    errors.IncompleteListingError(path="/v2/x", total=5, received=4, droplet_id=7),
    errors.APIError("broken", request=REQUEST, body={"id": "x"}, droplet_id=7, attempts=3),
    errors.APIConnectionError(unreachable=True, request=REQUEST, attempts=1),
    errors.APITimeoutError("no answer within 5 s", request=REQUEST, attempts=2),
    errors.APIResponseValidationError("odd", path="$.meta", response=RESPONSE, attempts=1),
    *(error_for(status, b'{"id": "x"}') for status in (400, 401, 403, 404, 409, 418, 422, 500)),
    error_for(429, retry_after="29", ratelimit_limit="250", ratelimit_remaining="0"),
    errors.RateLimitError("local", response=None, retry_after=3.0, reset_at=RESET_AT),
]


def by_name(error: object) -> str:
    """Name a parametrized error."""
    return type(error).__name__


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (errors.GradientError, Exception),
        (errors.ConfigurationError, errors.GradientError),
        (errors.ConfigurationError, ValueError),
        (errors.DeadlineExceededError, errors.GradientError),
        (errors.DeadlineExceededError, TimeoutError),
        (errors.IncompleteListingError, errors.GradientError),
        (errors.APIError, errors.GradientError),
        (errors.APIConnectionError, errors.APIError),
        (errors.APITimeoutError, errors.APIConnectionError),
        (errors.APIResponseValidationError, errors.APIError),
        (errors.APIStatusError, errors.APIError),
        (errors.BlockingCallWarning, UserWarning),
    ],
)
def test_tree(child: type[Exception], parent: type[Exception]) -> None:
    """One ``except`` with the parent catches the child."""
    assert issubclass(child, parent)


def test_unexpected_answer_is_no_status_error() -> None:
    """Whoever handles statuses does not get answers of status 200 along with them."""
    assert not issubclass(errors.APIResponseValidationError, errors.APIStatusError)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, errors.APIStatusError),
        (400, errors.BadRequestError),
        (401, errors.AuthenticationError),
        (403, errors.PermissionDeniedError),
        (404, errors.NotFoundError),
        (409, errors.ConflictError),
        (410, errors.APIStatusError),
        (422, errors.UnprocessableEntityError),
        (429, errors.RateLimitError),
        (500, errors.InternalServerError),
        (504, errors.InternalServerError),
        (599, errors.InternalServerError),
    ],
)
def test_status_has_its_class(status: int, kind: type[errors.APIStatusError]) -> None:
    """Each status is exactly the class that is documented for it."""
    error = error_for(status)
    assert type(error) is kind
    assert error.status_code == status


def test_classes_of_one_status_have_it() -> None:
    """A class tells its status, and so does an error that a test made without an answer."""
    classes = [getattr(errors, name) for name in errors.__all__]
    told = {kind.status_code for kind in classes if issubclass(kind, errors.APIStatusError)}
    assert told == {0, 400, 401, 403, 404, 409, 422, 429}
    assert errors.NotFoundError("made by a test").status_code == errors.NotFoundError.status_code


def test_messages_of_errors_that_say_no_more_than_their_class() -> None:
    """A user's test may make the errors that need no words without any."""
    assert errors.APITimeoutError().message == "Request timed out."
    assert errors.APIConnectionError().message == "Connection error."
    assert errors.APIResponseValidationError().message == "An answer with an unexpected body."


def test_status_error_keeps_all_that_is_known() -> None:
    """The error of a status names the answer, the request, the Droplet and the attempts."""
    error = error_for(404, b'{"id":"not_found","message":"Gone.","request_id":"r2"}', via="edge")
    assert error.status_code == 404
    assert error.request_id == "r2"
    assert error.body == {"id": "not_found", "message": "Gone.", "request_id": "r2"}
    assert error.droplet_id == 7
    assert error.attempts == 3
    assert error.request == REQUEST
    assert error.message == "404 not_found: Gone"
    assert error.response is not None
    assert error.response.headers["VIA"] == "edge"
    assert error.response.status_code == 404
    assert error.response.content.startswith(b"{")


def test_request_id_of_the_header_wins() -> None:
    """The ``x-request-id`` header is what support asks for."""
    assert error_for(500, b'{"request_id":"b"}', x_request_id="h").request_id == "h"
    assert error_for(500).request_id is None


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (error_for(401), "check DIGITALOCEAN_ACCESS_TOKEN or `access_token`"),
        (error_for(403), "the scope `droplet:read`"),
        (error_for(404), "is the ID right"),
        (error_for(429), "raise `max_rate_limit_wait`"),
        (error_for(500), "ask again later"),
        (errors.APITimeoutError("slow"), "raise `timeout`"),
        (errors.IncompleteListingError(path="/x", total=2, received=1), "ask again later"),
        (errors.DeadlineExceededError(deadline=1, missing=(5,)), "`missing` names all of them"),
    ],
    ids=by_name,
)
def test_message_says_what_to_do_next(error: errors.GradientError, advice: str) -> None:
    """A message ends with advice for whoever reads it in a log."""
    assert advice in str(error)


def test_message_names_request_droplet_attempts_and_request_id() -> None:
    """One line has all that it takes to look into the matter."""
    error = error_for(404, b'{"id":"not_found","message":"Gone."}', x_request_id="r9")
    assert str(error) == (
        "404 not_found: Gone: is the ID right, and the token of the same account? "
        "(GET https://api.test/v2/droplets/7/backups, Droplet 7, 3 attempts, request r9)"
    )


def test_message_without_surroundings_is_plain() -> None:
    """An error about nothing in particular is just its message."""
    assert str(errors.APIError("broken")) == "broken"
    assert str(errors.APIConnectionError()) == "Connection error."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "502"),
        (b"<html>\n<h1>Bad Gateway</h1>\n</html>", "502 '<html> <h1>Bad Gateway</h1> </html>'"),
        (b'{"message":"Down."}', "502 Down"),
        (b'{"id":"bad_gateway"}', "502 bad_gateway"),
        (b'["odd"]', "502 '[\"odd\"]'"),
        (b'{"id":null,"message":{"a":1}}', "502 {'a': 1}"),
        (b"x" * 500, f"502 '{'x' * 120}...'"),
    ],
)
def test_status_message_takes_what_there_is(content: bytes, message: str) -> None:
    """The API's own words, or an excerpt of whatever else came, on one line."""
    assert error_for(502, content).message == message


@pytest.mark.parametrize(
    ("content", "body"), [(b"", None), (b"<p>", "<p>"), (b"[1]", [1]), (b"\xff", "\ufffd")]
)
def test_body_is_json_or_text_or_nothing(content: bytes, body: object) -> None:
    """``body`` is the decoded JSON, the text of what is no JSON, or ``None``."""
    assert error_for(500, content).body == body


def test_what_a_server_says_is_one_line() -> None:
    """Line breaks and control characters of an answer forge no line of a log."""
    error = error_for(
        404,
        b'{"id":"not\\nfound\\u001b[2J","message":"line 1\\r\\nline 2","request_id":"a\\nb"}',
    )
    assert error.message == "404 not found\\x1b[2J: line 1 line 2"
    assert getattr(error, "request_id", None) == "a b"
    assert str(error).isprintable()


def test_rate_limit_error_of_the_minute() -> None:
    """A 429 with ``retry-after`` is of the short limit, and says when to come back."""
    error = error_for(
        429,
        retry_after="29",
        ratelimit_limit="250",
        ratelimit_remaining="0",
        ratelimit_reset="1788220800",
    )
    assert isinstance(error, errors.RateLimitError)
    assert (error.retry_after, error.limit, error.remaining) == (29.0, 250, 0)
    assert error.reset_at == datetime(2026, 9, 1, tzinfo=UTC)
    assert error.kind == "burst"


def test_rate_limit_error_of_the_hour() -> None:
    """A 429 without ``retry-after`` is of the hour limit; its reset tells how long to wait."""
    error = error_for(429, ratelimit_reset="1600")
    assert isinstance(error, errors.RateLimitError)
    assert (error.retry_after, error.kind) == (600.0, "hourly")


def test_rate_limit_error_of_something_else() -> None:
    """A 429 that names no moment, as a proxy's, is about neither limit."""
    error = error_for(429, b"slow down")
    assert isinstance(error, errors.RateLimitError)
    assert (error.retry_after, error.kind) == (None, None)


def test_rate_limit_error_with_a_reset_in_the_past() -> None:
    """A reset that lies in the past tells nothing about how long to wait."""
    error = error_for(429, ratelimit_reset="900")
    assert isinstance(error, errors.RateLimitError)
    assert error.retry_after is None


def test_rate_limit_error_without_answer_has_its_status() -> None:
    """When the client's own pacing refuses, there is no answer, but it is a 429 all the same."""
    error = errors.RateLimitError("too long", retry_after=3.0)
    assert (error.status_code, error.response) == (429, None)
    assert errors.APIStatusError("no answer").status_code == 0


def test_errors_of_requests_can_be_made_of_a_message() -> None:
    """Tests make them so, and Celery does with what its JSON results keep of an error."""
    kinds = [getattr(errors, name) for name in errors.__all__ if name not in VALUES]
    made = [kind("no answer") for kind in kinds if issubclass(kind, errors.APIError)]
    assert len(made) == 13
    assert {error.message for error in made} == {"no answer"}


def test_validation_error_names_status_path_and_excerpt() -> None:
    """An answer that is not what it should be is shown, shortened, with the place in it."""
    response = answer(200, b"<html>" + b"y" * 500)
    error = validation_error("expected an object", "$.meta", response, 7)
    assert error.path == "$.meta"
    assert error.status_code == 200
    assert error.droplet_id == 7
    assert "200 with an unexpected body: expected an object at $.meta in '<html>yyy" in str(error)
    assert "is `base_url` another server?" in str(error)
    assert len(error.message) < 250


def test_deadline_error_lists_the_first_ten() -> None:
    """A long list of missing Droplets is cut in the message and whole in ``missing``."""
    error = errors.DeadlineExceededError(deadline=2.0, missing=tuple(range(1, 31)))
    assert "30 Droplets unanswered: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ...;" in str(error)
    assert len(error.missing) == 30
    one = errors.DeadlineExceededError(deadline=2.0, missing=(7,))
    assert "with 1 Droplet unanswered: 7;" in str(one)
    assert error.deadline == 2.0
    assert error.unlisted == 0


def test_deadline_error_counts_what_was_not_listed() -> None:
    """Of an account some Droplets may not be known yet: they are counted, and not named."""
    error = errors.DeadlineExceededError(deadline=2.0, missing=(1, 2), unlisted=50)
    assert "with 2 Droplets unanswered and 50 not listed yet" in str(error)
    assert str(error).endswith("`missing` names the former only: 1, 2")
    unknown = errors.DeadlineExceededError(deadline=2.0, missing=(1, 2), unlisted=None)
    assert "with 2 Droplets unanswered and an unknown number not listed yet" in str(unknown)
    nothing = errors.DeadlineExceededError(deadline=2.0, missing=(), unlisted=None)
    assert "before any Droplet of the account was listed" in str(nothing)
    assert (error.unlisted, nothing.unlisted) == (50, None)


def test_incomplete_listing_names_both_numbers() -> None:
    """The message and the attributes say what was promised and what came."""
    error = errors.IncompleteListingError(path="/v2/x", total=5, received=4, droplet_id=7)
    assert "/v2/x: the API names 5 items, its pages showed 4" in str(error)
    assert (error.path, error.total, error.received, error.droplet_id) == ("/v2/x", 5, 4, 7)


def assert_same(one: errors.GradientError, other: errors.GradientError) -> None:
    """Compare two errors in all that they hold."""
    assert type(other) is type(one)
    assert str(other) == str(one)
    assert other.args == one.args
    for name, value in vars(one).items():
        if name == "response" and value is not None:
            assert dict(vars(other)[name].headers) == dict(value.headers)
            assert vars(other)[name]._replace(headers={}) == value._replace(headers={})
        else:
            assert vars(other)[name] == value


@pytest.mark.parametrize("error", EVERY_ERROR, ids=by_name)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_can_be_pickled(error: errors.GradientError, protocol: int) -> None:
    """Every error comes out of a pickle with all that it held, by every protocol."""
    assert_same(error, pickle.loads(pickle.dumps(error, protocol)))


@pytest.mark.parametrize("error", EVERY_ERROR, ids=by_name)
def test_errors_can_be_copied(error: errors.GradientError) -> None:
    """Copies are equal, and notes that were added go along."""
    noted = copy.copy(error)
    assert_same(error, noted)
    noted.add_note("while looking at the fleet")
    assert_same(noted, copy.deepcopy(noted))


def fail_like(number: int) -> None:
    """Raise one of the errors, in another process."""
    raise EVERY_ERROR[number]


def test_errors_cross_processes() -> None:
    """An error that a worker process raises arrives as it is, as Celery and pools need it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(fail_like, number) for number in range(len(EVERY_ERROR))]
        for error, future in zip(EVERY_ERROR, futures, strict=True):
            arrived = future.exception(30)
            assert isinstance(arrived, errors.GradientError)
            assert_same(error, arrived)


def test_public_names_are_sorted_and_exist() -> None:
    """``errors.__all__`` is in order and true."""
    assert errors.__all__ == sorted(errors.__all__)
    assert all(hasattr(errors, name) for name in errors.__all__)


def test_every_error_of_the_tree_is_exported() -> None:
    """Whatever can be caught can be imported from the package."""
    import gradient_async

    for name in errors.__all__:
        if name not in VALUES:
            assert getattr(gradient_async, name) is getattr(errors, name)


def test_docstring_draws_the_whole_tree() -> None:
    """The picture at the top of the module leaves no class out."""
    assert errors.__doc__ is not None
    for name in errors.__all__:
        if name not in VALUES:
            assert name in errors.__doc__


def test_configuration_error_tells_the_remedy_apart() -> None:
    """What is wrong and what to write instead can be shown one by one, and come in one text."""
    error = errors.ConfigurationError("no token", "give `access_token`")
    assert (error.problem, error.remedy) == ("no token", "give `access_token`")
    assert str(error) == "no token: give `access_token`"
    assert str(errors.ConfigurationError("no token")) == "no token"
    assert vars(pickle.loads(pickle.dumps(error))) == vars(error)
