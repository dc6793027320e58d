"""What can go wrong with a request, a run or the configuration.

All of it is a `GradientError`, so one ``except`` is enough where the reason does not matter::

    GradientError
    ├── ConfigurationError             what a client was given is wrong (also a ValueError)
    ├── DeadlineExceededError          the deadline of a fan-out passed (also a TimeoutError)
    ├── IncompleteListingError         pages that do not add up to the total that the API names
    └── APIError                       a request was tried
        ├── APIConnectionError         no answer: refused, reset, broken off
        │   └── APITimeoutError        no answer in time
        ├── APIResponseValidationError an answer that is not what the API promises
        └── APIStatusError             an answer that is an error
            ├── BadRequestError          400
            ├── AuthenticationError      401
            ├── PermissionDeniedError    403
            ├── NotFoundError            404
            ├── ConflictError            409
            ├── UnprocessableEntityError 422
            ├── RateLimitError           429
            └── InternalServerError      500 and above

    BlockingCallWarning                a blocking call on a thread whose event loop is running

Every error can be pickled, and none of them holds the access token.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, TypeVar

__all__ = [
    "APIConnectionError",
    "APIError",
    "APIResponseValidationError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "BlockingCallWarning",
    "ConfigurationError",
    "ConflictError",
    "DeadlineExceededError",
    "FailedResponse",
    "GradientError",
    "IncompleteListingError",
    "InternalServerError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "RequestLine",
    "UnprocessableEntityError",
]

_E = TypeVar("_E", bound="GradientError")


def _restore(cls: type[_E], args: tuple[Any, ...], state: dict[str, Any]) -> _E:
    """Rebuild a pickled error without calling its ``__init__``, whose arguments are keywords."""
    error = cls.__new__(cls, *args)
    error.args = args  # a TimeoutError, as an OSError, does not take them from `__new__`
    error.__dict__.update(state)
    return error


LimitKind: TypeAlias = Literal["burst", "hourly"]
"""Which of the token's limits: that of the minute, or that of the hour."""


class GradientError(Exception):
    """The root of all errors of this library."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by class, arguments and attributes; the traceback stays behind."""
        return _restore, (type(self), self.args, self.__dict__.copy())


class ConfigurationError(GradientError, ValueError):
    """A client cannot be made from what it was given: no token, a base URL without TLS, ...

    Attributes:
        problem: What is wrong, in words for whoever runs the program.
        remedy: What to do about it; empty where that is plain.
    """

    def __init__(self, problem: str, remedy: str = "") -> None:
        """Say what is wrong, and what to do about it."""
        super().__init__(f"{problem}: {remedy}" if remedy else problem)
        self.problem = problem
        self.remedy = remedy


class BlockingCallWarning(UserWarning):
    """A blocking call was made on a thread whose event loop is running, and held that loop up."""


class DeadlineExceededError(GradientError, TimeoutError):
    """The deadline of a fan-out passed before every Droplet was answered.

    Attributes:
        deadline: The seconds that the run was given.
        missing: The Droplet IDs that were not answered: those in work, and, where the IDs were
            given as a collection, those that were not begun. IDs that an iterator had not handed
            out yet are still in that iterator.
        unlisted: How many more Droplets of an account there are, which were not listed yet: they
            are not in ``missing``. ``None`` where that is not known, 0 for IDs that were given.
    """

    def __init__(
        self, *, deadline: float, missing: tuple[int, ...], unlisted: int | None = 0
    ) -> None:
        """Say how much time there was, and which Droplets it was too short for."""
        super().__init__(
            f"the deadline of {deadline:g} s passed {_what_is_left(missing, unlisted)}"
        )
        self.deadline = deadline
        self.missing = missing
        self.unlisted = unlisted


class IncompleteListingError(GradientError):
    """The pages of a listing do not add up to its total, also when they are looked at again.

    Attributes:
        path: The path of the listing.
        total: How many items the API says there are.
        received: How many different items its pages showed in the last look.
        droplet_id: The Droplet that the listing belongs to, if it belongs to one.
    """

    def __init__(
        self, *, path: str, total: int, received: int, droplet_id: int | None = None
    ) -> None:
        """Name the listing and both numbers."""
        super().__init__(
            f"{path}: the API names {total} items, its pages showed {received}; the listing may be "
            "changing faster than it can be read: ask again later"
        )
        self.path = path
        self.total = total
        self.received = received
        self.droplet_id = droplet_id


class RequestLine(NamedTuple):
    """What was asked, without its headers: those hold the token."""

    method: str
    """``GET``"""
    url: str
    """The whole URL, with its query."""

    def __str__(self) -> str:
        """Return both, as in a log."""
        return f"{self.method} {self.url}"


class FailedResponse(NamedTuple):
    """The answer that an error is about."""

    status_code: int
    """The HTTP status."""
    headers: Mapping[str, str]
    """The headers; names are case-insensitive."""
    content: bytes
    """The body, decompressed."""
    url: str
    """The whole URL that answered."""
    method: str
    """``GET``"""


class APIError(GradientError):
    """A request was tried and brought no usable answer.

    Attributes:
        message: What went wrong, in one line.
        request: The method and URL, also of a request that was not sent; ``None`` where it is
            about no single one.
        body: The decoded JSON of the answer; its text where it is no JSON; ``None`` without one.
        droplet_id: The Droplet that the request was about, if it was about one.
        attempts: How many times the request was sent.
    """

    hint: ClassVar[str] = ""
    """What to do next, added to the message of every error of the class."""

    def __init__(
        self,
        message: str,
        *,
        request: RequestLine | None = None,
        body: object = None,
        droplet_id: int | None = None,
        attempts: int = 0,
    ) -> None:
        """Keep what is known; ``str()`` puts it into one line."""
        super().__init__(message)
        self.message = message
        self.request = request
        self.body = body
        self.droplet_id = droplet_id
        self.attempts = attempts

    def __str__(self) -> str:
        """Return the message, what to do next, and the request it is about."""
        advice = self._advice()
        said = f"{self.message}: {advice}" if advice else self.message
        about = ", ".join(self._about())
        return f"{said} ({about})" if about else said

    def _advice(self) -> str:
        return self.hint

    def _about(self) -> list[str]:
        about = []
        if self.request is not None:
            about.append(str(self.request))
        if self.droplet_id is not None:
            about.append(f"Droplet {self.droplet_id}")
        if self.attempts > 1:
            about.append(f"{self.attempts} attempts")
        return about


class APIConnectionError(APIError):
    """No answer: the connection was refused, reset or broken off.

    Attributes:
        unreachable: The next request will fare no better: no connection came to be (refused, not
            in time, no such host, a TLS failure), and no other request was answered meanwhile; or
            the client was closed.
    """

    def __init__(
        self, message: str = "Connection error.", *, unreachable: bool = False, **about: Any
    ) -> None:
        """Say whether there was a connection; the rest is as for `APIError`."""
        super().__init__(message, **about)
        self.unreachable = unreachable


class APITimeoutError(APIConnectionError):
    """No whole answer within ``timeout``. Time spent waiting for the rate limit is not in it."""

    hint = "raise `timeout`, or `max_retries` if it happens now and then"

    def __init__(self, message: str = "Request timed out.", **about: Any) -> None:
        """As for `APIConnectionError`."""
        super().__init__(message, **about)


class _AnsweredError(APIError):
    """What the errors about an answer have in common."""

    status_code: int = 0

    def __init__(
        self,
        message: str,
        *,
        response: FailedResponse | None = None,
        request_id: str | None = None,
        **about: Any,
    ) -> None:
        super().__init__(message, **about)
        self.response = response
        self.request_id = request_id
        if response is not None:
            self.status_code = response.status_code

    def _about(self) -> list[str]:
        return super()._about() + ([f"request {self.request_id}"] if self.request_id else [])


class APIResponseValidationError(_AnsweredError):
    """An answer that is not what the API promises: HTML, truncated JSON, a missing field.

    Attributes:
        path: Where in the answer, as in ``$.backups[3].created_at``; ``$`` for the whole of it.
        too_large: Whether it is only that it is larger than ``max_response_bytes``.
        response: The answer; ``None`` when the error is about a part of a listing.
        status_code: The HTTP status of the answer; 0 without one.
        request_id: What DigitalOcean's support asks for, where the answer has one.
    """

    hint = "is something between you and the API, or is `base_url` another server?"

    def __init__(
        self,
        message: str = "An answer with an unexpected body.",
        *,
        path: str = "$",
        too_large: bool = False,
        **about: Any,
    ) -> None:
        """Say where in the answer; the rest is as for `APIStatusError`."""
        super().__init__(message, **about)
        self.path = path
        self.too_large = too_large

    def _advice(self) -> str:
        return "raise `max_response_bytes` if that is expected" if self.too_large else self.hint


class APIStatusError(_AnsweredError):
    """An answer with an error status.

    Attributes:
        response: The answer; ``None`` when the client's own pacing refused to send.
        status_code: The HTTP status of the answer. The classes of one status have it, too.
        request_id: What DigitalOcean's support asks for, where the answer has one.
    """


class BadRequestError(APIStatusError):
    """400: the API does not understand the request."""

    status_code = 400


class AuthenticationError(APIStatusError):
    """401: the token is missing, wrong, expired or revoked."""

    status_code = 401
    hint = "check DIGITALOCEAN_ACCESS_TOKEN or `access_token`"


class PermissionDeniedError(APIStatusError):
    """403: the token lacks a scope."""

    status_code = 403
    hint = "the token needs the scope `droplet:read`, and `tag:read` to choose by `tag_name`"


class NotFoundError(APIStatusError):
    """404: there is no such Droplet in the account that the token belongs to."""

    status_code = 404
    hint = "is the ID right, and the token of the same account?"


class ConflictError(APIStatusError):
    """409: the API is busy with something that the request collides with."""

    status_code = 409


class UnprocessableEntityError(APIStatusError):
    """422: the API understands the request and refuses its values."""

    status_code = 422


class RateLimitError(APIStatusError):
    """429: the token's rate limit is used up for longer than the call may wait.

    Attributes:
        retry_after: Seconds to wait before it makes sense to ask again; a client always names them.
        limit: The number of requests that the limit allows, if it is known.
        remaining: The number of requests that are left of it.
        reset_at: When the oldest counted request expires. These three are as the answer 429 says
            or, where there was none, as the newest answer or the client's own count does.
        kind: ``"burst"`` for the limit per minute, ``"hourly"`` for the one per hour, ``None``
            where nothing tells, as in an answer of a proxy.
    """

    status_code = 429
    hint = "wait, or raise `max_rate_limit_wait`"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        limit: int | None = None,
        remaining: int | None = None,
        reset_at: datetime | None = None,
        kind: LimitKind | None = None,
        **about: Any,
    ) -> None:
        """Keep what the answer's headers say; the rest is as for `APIStatusError`."""
        super().__init__(message, **about)
        self.retry_after = retry_after
        self.limit = limit
        self.remaining = remaining
        self.reset_at = reset_at
        self.kind: LimitKind | None = kind

    def _advice(self) -> str:
        if self.retry_after is None:
            return self.hint
        return f"wait {self.retry_after:.1f} s, or raise `max_rate_limit_wait`"


class InternalServerError(APIStatusError):
    """500 and above: the API, or a proxy in front of it, failed."""

    hint = "nothing is wrong with the request: ask again later"


def _what_is_left(missing: tuple[int, ...], unlisted: int | None) -> str:
    if unlisted is None and not missing:
        return "before any Droplet of the account was listed: ask again"
    if unlisted != 0:
        count = "an unknown number" if unlisted is None else unlisted
        return (
            f"with {_droplets(missing)} unanswered and {count} not listed yet: ask about the "
            f"account again, as `missing` names the former only: {_first(missing)}"
        )
    return (
        f"with {_droplets(missing)} unanswered: {_first(missing)}; `missing` names all of them, "
        "to be asked again"
    )


def _droplets(ids: tuple[int, ...]) -> str:
    return f"{len(ids)} Droplet{'' if len(ids) == 1 else 's'}"


def _first(ids: tuple[int, ...], count: int = 10) -> str:
    listed = ", ".join(map(str, ids[:count]))
    return f"{listed}, ..." if len(ids) > count else listed


def error_document(error: GradientError | None) -> dict[str, Any] | None:
    """Return an error as it is written to JSON."""
    if error is None:
        return None
    return {
        "type": type(error).__name__,
        "message": error_text(error),
        "status_code": getattr(error, "status_code", None) or None,
        "request_id": getattr(error, "request_id", None),
    }


def error_text(error: GradientError) -> str:
    """Return an error in a few words: one of the API has the whole request in its text."""
    return error.message if isinstance(error, APIError) else str(error)
